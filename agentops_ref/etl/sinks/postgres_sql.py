"""The Postgres sink's tables and statements, and how records become rows.

Every statement is written for the schema ``{s}``, whose name is checked before it is put in; values
are always bound. ``%(at)s`` is the commit that a reader looks at.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.sinks.base import searchable
from agentops_ref.etl.sinks.bm25 import K1, B, words
from agentops_ref.records import Chunk, LedgerEntry

ALIVE = 9223372036854775807
"""``died`` of a row that no commit has ended: the largest bigint."""
LONGEST_WORD = 200
"""Bytes; an index entry has a limit (about 2,700 bytes), a word in a document has none."""

TABLES = f"""
CREATE TABLE {{s}}.commits (
    number bigint PRIMARY KEY,
    version bigint NOT NULL,
    made_at text NOT NULL,
    documents bigint NOT NULL,
    chunks bigint NOT NULL,
    words bigint NOT NULL,
    dimensions integer,
    note text NOT NULL,
    digest text NOT NULL,
    kept boolean NOT NULL DEFAULT true
);
CREATE INDEX commits_version ON {{s}}.commits (version, number) WHERE kept;
CREATE TABLE {{s}}.ledger (
    document text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    born bigint NOT NULL,
    died bigint NOT NULL DEFAULT {ALIVE},
    PRIMARY KEY (document, born)
);
CREATE INDEX ledger_died ON {{s}}.ledger (died);
CREATE TABLE {{s}}.chunks (
    row_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    document text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    title text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    terms text[] COLLATE "C" NOT NULL,
    times integer[] NOT NULL,
    words integer NOT NULL,
    vector vector STORAGE MAIN NOT NULL,
    born bigint NOT NULL,
    died bigint NOT NULL DEFAULT {ALIVE}
) WITH (toast_tuple_target = 8160);
CREATE INDEX chunks_owner ON {{s}}.chunks (owner);
CREATE INDEX chunks_document ON {{s}}.chunks (document);
CREATE INDEX chunks_died ON {{s}}.chunks (died) INCLUDE (words);
CREATE INDEX chunks_terms ON {{s}}.chunks USING gin (terms);
COMMENT ON TABLE {{s}}.chunks IS
    'A row is part of every commit from born to before died; payload is the chunk as JSON.';
"""

STATE = """
SELECT to_regclass('{s}.commits') IS NOT NULL,
    EXISTS (SELECT FROM pg_extension WHERE extname = 'vector'),
    EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s)
"""
# Since pgvector 0.8 a filtered search goes on until it has enough.
ITERATES = """
SELECT string_to_array(extversion, '.')::int[] >= '{{0,8}}' FROM pg_extension
WHERE extname = 'vector'
"""
_CHUNK_VALUES = "owner, id, document, kind, tenant, title, payload, terms, times, words, vector"
_HEAD = (
    "number, version, made_at, dimensions, note, digest, chunks, words, "
    "to_regclass('{s}.chunks_hnsw_' || dimensions) IS NOT NULL"
)
NEWEST = f"SELECT {_HEAD} FROM {{s}}.commits ORDER BY number DESC LIMIT 1"
# Commits that no reader can notice share a version; its last one counts.
VERSION = (
    f"SELECT {_HEAD} FROM {{s}}.commits WHERE version = %(version)s AND kept "
    "ORDER BY number DESC LIMIT 1"
)
KEPT = "SELECT kept FROM {s}.commits WHERE number = %(at)s"
HISTORY = """
SELECT DISTINCT ON (version) version, made_at, documents, chunks, note
FROM {s}.commits ORDER BY version DESC, number DESC LIMIT %(lines)s
"""
# Counted each time, from the index (0.2 µs a row, 5 until the table's first vacuum): totals that
# were carried on from commit to commit would stay wrong for ever after somebody else's DELETE, and
# with them all BM25 scores.
ADD_COMMIT = f"""
INSERT INTO {{s}}.commits
    (number, version, made_at, dimensions, note, digest, documents, chunks, words)
SELECT %(number)s, %(version)s, %(made_at)s, %(dimensions)s, %(note)s, %(digest)s,
    (SELECT count(*) FROM {{s}}.ledger WHERE died = {ALIVE}), count(*), coalesce(sum(words), 0)
FROM {{s}}.chunks WHERE died = {ALIVE}
"""

# --- writing ----------------------------------------------------------------------------------

END_ENTRIES = f"""
UPDATE {{s}}.ledger SET died = %(number)s
WHERE document = ANY(%(documents)s) AND died = {ALIVE}
"""
END_CHUNKS = f"""
UPDATE {{s}}.chunks SET died = %(number)s
WHERE owner = ANY(%(documents)s) AND died = {ALIVE}
"""
COPY_ENTRIES = "COPY {s}.ledger (document, payload, born) FROM STDIN"
# In binary: a vector takes 4 bytes a number instead of some 20 characters to write and to parse.
COPY_CHUNKS = f"COPY {{s}}.chunks ({_CHUNK_VALUES}, born) FROM STDIN (FORMAT binary)"
CHUNK_TYPES = (*["text"] * 7, "text[]", "int4[]", "int4", "bytea", "int8")
"""How the values of `chunk_row` travel; what arrives is JSON and a vector."""
STRANDED = f"""
SELECT DISTINCT owner FROM {{s}}.chunks
WHERE died = {ALIVE} AND owner <> ALL(%(documents)s) ORDER BY owner
"""
# A rollback writes the difference only: what was there then and is not now comes back as a new
# row, what is there now and was not then ends.
ROLL_BACK = (
    f"""
    INSERT INTO {{s}}.ledger (document, payload, born)
    SELECT document, payload, %(number)s FROM {{s}}.ledger
    WHERE born <= %(at)s AND died > %(at)s AND died < {ALIVE}
    """,
    f"""
    UPDATE {{s}}.ledger SET died = %(number)s
    WHERE died = {ALIVE} AND born > %(at)s AND born < %(number)s
    """,
    f"""
    INSERT INTO {{s}}.chunks ({_CHUNK_VALUES}, born)
    SELECT {_CHUNK_VALUES}, %(number)s FROM {{s}}.chunks
    WHERE born <= %(at)s AND died > %(at)s AND died < {ALIVE}
    """,
    f"""
    UPDATE {{s}}.chunks SET died = %(number)s
    WHERE died = {ALIVE} AND born > %(at)s AND born < %(number)s
    """,
)
# The first commit whose version stays, if there is one before it that is still kept; what ended up
# to it can be seen by no kept version.
OLDEST_KEPT = """
SELECT min(number) FROM {s}.commits WHERE kept AND version > %(past)s
HAVING EXISTS (SELECT FROM {s}.commits WHERE kept AND version <= %(past)s)
"""
PRUNE = (
    "DELETE FROM {s}.chunks WHERE died <= %(oldest)s",
    "DELETE FROM {s}.ledger WHERE died <= %(oldest)s",
    "UPDATE {s}.commits SET kept = false WHERE number < %(oldest)s AND kept",
)

# --- reading ----------------------------------------------------------------------------------

_SEEN = "born <= %(at)s AND died > %(at)s"
ENTRIES = f"SELECT payload FROM {{s}}.ledger WHERE {_SEEN}"
CHUNKS_OF = f"SELECT payload FROM {{s}}.chunks WHERE document = %(document)s AND {_SEEN}"
COUNT = f"SELECT count(*) FROM {{s}}.chunks WHERE {_SEEN}"
STORED = f"""
SELECT row_number, owner, payload, vector::real[] FROM {{s}}.chunks
WHERE row_number > %(after)s AND {_SEEN}{{filters}} ORDER BY row_number LIMIT %(n)s
"""
# Cosine distance is NaN where a vector has no length; that counts as neither near nor far.
NEAREST_EXACT = f"""
SELECT payload, 1 - distance FROM (
    SELECT payload, id, coalesce(nullif(vector <=> %(vector)s::vector, 'NaN'), 1) AS distance
    FROM {{s}}.chunks WHERE {_SEEN}{{filters}}
) AS near
ORDER BY round(distance::numeric, 6), id LIMIT %(n)s
"""
# For a snapshot of some time ago: those of its rows that live on through the index, those that
# have ended since by reading them.
NEAREST_INDEXED = f"""
(SELECT payload, 1 - (vector::vector({{width}}) <=> %(vector)s::vector), true
 FROM {{s}}.chunks
 WHERE died = {ALIVE} AND vector_dims(vector) = {{width}} AND born <= %(at)s{{filters}}
 ORDER BY vector::vector({{width}}) <=> %(vector)s::vector LIMIT %(n)s)
UNION ALL
(SELECT payload, 1 - coalesce(nullif(vector <=> %(vector)s::vector, 'NaN'), 1), false
 FROM {{s}}.chunks WHERE {_SEEN} AND died < {ALIVE}{{filters}})
"""
VECTOR_INDEX = f"""
CREATE INDEX IF NOT EXISTS chunks_hnsw_{{width}} ON {{s}}.chunks
USING hnsw ((vector::vector({{width}})) vector_cosine_ops)
WHERE died = {ALIVE} AND vector_dims(vector) = {{width}}
"""
# The formula of `bm25.Bm25`, to the same order of additions, so that equal indexes give equal
# scores. How rare a word is does not depend on the filters.
BM25 = f"""
WITH asked AS (
    SELECT unnest(%(words)s::text[]) COLLATE "C" AS word
), hits AS MATERIALIZED (
    SELECT row_number, id, word, chunks.words, (true{{filters}}) AS passes,
        times[array_position(terms, word)]::float8 AS f
    FROM {{s}}.chunks JOIN asked ON terms @> ARRAY[word] WHERE {_SEEN}
), rare AS (
    SELECT word, ln(1 + (%(total)s::float8 - count(*) + 0.5) / (count(*) + 0.5)) AS idf
    FROM hits GROUP BY word
), scores AS (
    SELECT row_number, id, sum(
        idf * f * ({K1} + 1) / (f + {K1} * (1 - {B} + {B} * words / %(mean)s::float8))
        ORDER BY word
    ) AS score
    FROM hits JOIN rare USING (word) WHERE passes
    GROUP BY row_number, id
), best AS (
    SELECT row_number, score FROM scores
    ORDER BY round(score::numeric, 6) DESC, id LIMIT %(n)s
)
SELECT payload, score FROM best JOIN {{s}}.chunks USING (row_number)
"""


class Head(NamedTuple):
    """One line of ``commits``."""

    number: int
    version: int
    made_at: str
    dimensions: int | None
    """None until there is a first vector."""
    note: str
    digest: str
    chunks: int = 0
    words: int = 0
    """Of all its chunks, repeated ones counted each time."""
    indexed: bool = False
    """Whether vectors of its length have an HNSW index."""


NOTHING = Head(0, 0, "", None, "", "")


def json_of(record: Chunk | LedgerEntry) -> str:
    """Return a record as JSON in ASCII: a text column refuses NUL and half an emoji."""
    return json.dumps(asdict(record), sort_keys=True)


def chunk_of(payload: Mapping[str, Any]) -> Chunk:
    return Chunk(**payload)


def entry_of(payload: Mapping[str, Any]) -> LedgerEntry:
    return LedgerEntry(**payload)


def key(text: str) -> str:
    """Return a text as a text column can hold it, for columns that are only compared."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def term(word: str) -> str:
    """Return a word as it stands in the index; a very long one by its digest."""
    data = word.encode()
    return word if len(data) <= LONGEST_WORD else hashlib.sha256(data).hexdigest()


def terms_of(query: str) -> list[str]:
    """Return the words of a query, each once."""
    return sorted({term(word) for word in words(query)})


def chunk_row(owner: str, chunk: Chunk, vector: Vectors, born: int) -> tuple[Any, ...]:
    """Return the values of one row, in the order of `COPY_CHUNKS`."""
    counts = Counter(term(word) for word in words(searchable(chunk)))
    filters = [key(chunk.metadata.get(name, "")) for name in ("kind", "tenant", "title")]
    return (
        key(owner),
        key(chunk.id),
        key(chunk.document),
        *filters,
        json_of(chunk),
        list(counts),
        list(counts.values()),
        counts.total(),
        struct.pack(">HH", len(vector), 0) + vector.astype(">f4").tobytes(),  # as pgvector sends it
        born,
    )


def vector_text(vector: Sequence[float]) -> str:
    """Return pgvector's notation."""
    return "[" + ",".join(map(repr, map(float, vector))) + "]"


def conditions(filters: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, Any]]:
    """Return an SQL condition that begins with AND, and the values that it binds."""
    text = "".join(f" AND {column} = ANY(%({column})s::text[])" for column in filters)
    return text, {column: [key(value) for value in values] for column, values in filters.items()}
