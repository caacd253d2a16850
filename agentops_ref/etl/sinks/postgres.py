"""The Postgres sink: rows with a lifetime, one transaction per sync. Taught in chapter 3.

A commit has a number. Each row of the ledger and of the chunks says with which commit it was born
and with which it died, and a snapshot is a number: it sees the rows with ``born <= number < died``,
whatever is committed meanwhile. So readers take no lock and hold no transaction open, older
versions stay readable, and a rollback writes the difference only. Everything that a commit changes,
and the line that makes it visible, is one transaction; a killed process leaves none of it.

**Full text.** ``ts_rank`` is not BM25: it knows neither how rare a word is nor how long the others
are. Each chunk's row holds its distinct words and how often each occurs, a GIN index over the words
is the postings list, and the score is computed in SQL from them. A postings table would be several
times larger, a row of some 40 bytes for each word of each chunk. The cost grows with the chunks
that hold a word of the query, so a query of very common words reads most of the index.

**Vectors.** pgvector's cosine distance. Up to ``exact_rows`` chunks each search reads them all,
which is exact and, filters or not, misses nothing (some 4 µs a chunk of 384 dimensions). Above,
`maintain` builds an HNSW index over the living rows, which the planner uses for ``ORDER BY distance
LIMIT n`` unless a filter leaves so few rows that sorting those is cheaper. HNSW visits near rows
first and the filter drops among them; an iterative scan goes on until there are enough, and where
it gives up (``hnsw.max_scan_tuples``) the search is done again exactly. What remains approximate is
which near rows the graph reaches: little is missed where vectors lie in clusters, as those of texts
do, much where they are random. The index is first built in one go (12,000 chunks: 3 s); meanwhile
readers go on and writers wait.
pgvector indexes up to 2,000 dimensions; longer vectors are always read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from agentops_ref.errors import ConfigError, DeveloperError, OperatorError
from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.sinks import postgres_sql as sql
from agentops_ref.etl.sinks.base import (
    KEPT_LINES,
    Commit,
    Filters,
    Found,
    IndexVersion,
    Newest,
    Snapshot,
    best,
    busy,
    normalised,
)
from agentops_ref.etl.sinks.memory import MemorySnapshot
from agentops_ref.etl.sinks.postgres_server import Server
from agentops_ref.etl.sinks.postgres_sql import NOTHING, Head
from agentops_ref.lakebase import LakebasePassword
from agentops_ref.records import Chunk, LedgerEntry

if TYPE_CHECKING:
    from agentops_ref.etl.sinks.postgres_server import Connection

_PAGE = 500
_SPARE = 32
"""Results fetched from the vector index beyond those asked for; equal ones are cut by id."""
_HNSW_DIMENSIONS = 2000
_BREADTH = 200
"""Near rows that a search through the graph keeps in view, at least; pgvector allows 1,000."""


class PostgresSnapshot:
    """One commit, held still."""

    def __init__(self, server: Server, schema: str, head: Head) -> None:
        self._server, self._schema, self._head = server, schema, head
        self.version, self.digest = head.version, head.digest

    def ledger(self) -> dict[str, LedgerEntry]:
        entries = [sql.entry_of(payload) for (payload,) in self._rows(sql.ENTRIES)]
        return {entry.document: entry for entry in sorted(entries, key=lambda e: e.document)}

    def search_vector(
        self, vector: Sequence[float], n: int, filters: Filters | None = None
    ) -> list[Found]:
        condition, values = sql.conditions(normalised(filters))
        if n < 1 or not self._head.chunks:
            return []
        if len(vector) != self._head.dimensions:
            raise OperatorError(
                f"the index holds vectors of {self._head.dimensions} dimensions, the query has "
                f"{len(vector)}: the embedding model was changed; run `agentops ingest sync`"
            )
        values |= {"vector": sql.vector_text(vector), "n": n}
        rows = None
        if self._head.indexed:
            rows = self._through_index(condition, {**values, "n": n + _SPARE})
        if rows is None:
            rows = self._rows(sql.NEAREST_EXACT, filters=condition, **values)
        return best([Found(sql.chunk_of(payload), score) for payload, score in rows], n)

    def search_text(self, query: str, n: int, filters: Filters | None = None) -> list[Found]:
        condition, values = sql.conditions(normalised(filters))
        words = sql.terms_of(query)
        if n < 1 or not words or not self._head.words:
            return []
        values |= {"words": words, "n": n, "total": self._head.chunks}
        values["mean"] = self._head.words / self._head.chunks
        rows = self._rows(sql.BM25, filters=condition, **values)
        return best([Found(sql.chunk_of(payload), score) for payload, score in rows], n)

    def chunks_of(self, document: str) -> list[Chunk]:
        rows = self._rows(sql.CHUNKS_OF, document=sql.key(document))
        chunks = [sql.chunk_of(payload) for (payload,) in rows]
        return sorted(chunks, key=lambda chunk: (chunk.ordinal, chunk.id))

    def count(self) -> int:
        return int(self._rows(sql.COUNT)[0][0])

    def stored(
        self, documents: Collection[str] | None = None
    ) -> Iterator[tuple[str, Chunk, Vectors]]:
        after = 0
        owned = "" if documents is None else " AND owner = ANY(%(owners)s)"
        owners = [sql.key(name) for name in documents or ()]
        while rows := self._rows(sql.STORED, filters=owned, after=after, n=_PAGE, owners=owners):
            for _, owner, payload, vector in rows:
                yield owner, sql.chunk_of(payload), np.asarray(vector, np.float32)
            after = rows[-1][0]

    def _rows(self, statement: str, *, filters: str = "", **values: Any) -> list[tuple[Any, ...]]:
        with self._server.connection() as connection:
            return self._asked(
                connection, statement.format(s=self._schema, filters=filters), values
            )

    def _asked(
        self, connection: Connection, statement: str, values: dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        values["at"] = self._head.number
        rows = connection.execute(statement, values, binary=True).fetchall()
        # Asked afterwards: if it is kept now, none of its rows was missing before.
        kept = connection.execute(sql.KEPT.format(s=self._schema), values).fetchone()
        if kept != (True,):
            raise OperatorError(f"index version {self.version} is no longer kept; read a newer one")
        return rows

    def _through_index(
        self, condition: str, values: dict[str, Any]
    ) -> list[tuple[dict[str, Any], float]] | None:
        """Search through the HNSW index; None when that may have missed rows that pass."""
        statement = sql.NEAREST_INDEXED.format(
            s=self._schema, filters=condition, width=self._head.dimensions
        )
        wanted = values["n"]
        with self._server.connection() as connection, connection.transaction():
            connection.execute(
                "SELECT set_config('hnsw.iterative_scan', 'strict_order', true), "
                "set_config('hnsw.ef_search', %s, true)",
                [str(min(max(2 * wanted, _BREADTH), 1000))],
            )
            rows = self._asked(connection, statement, values)
        if sum(living for *_, living in rows) < wanted:
            return None
        return [(payload, score) for payload, score, _ in rows]


class PostgresSink(Newest):
    """An index in a Postgres database with the pgvector extension.

    The database needs the extension once (``CREATE EXTENSION vector``; the sink does it where its
    user may), the user needs ``CREATE`` on the schema. Writers lock each other out by an advisory
    lock of the session that commits, so a connection pooler in between must keep sessions.

    Parameters
    ----------
    uri
        ``postgresql://user@host:5432/database``; any parameter of libpq may follow as a query, and
        ``schema`` in the place of the option below.
    schema
        Holds the index's tables, so that several indexes share a database. Lower-case letters,
        digits and underscores.
    password_env
        Environment variable that holds the password.
    password_from
        Function that returns the password, or its import path; asked for each connection, for
        tokens that expire.
    databricks_instance
        Name of the Lakebase instance, whose password is a Databricks token that is renewed.
    keep_versions
        So many versions, the newest, stay readable; `maintain` removes what only older ones see. A
        release that pins a version must be younger.
    exact_rows
        Up to so many chunks a vector search reads them all; above, there is an HNSW index.
    observe
        Called with a name before and after each effect; for tests that kill a sync there.

    Raises
    ------
    MissingExtra
        psycopg is not installed.
    ConfigError
        An address or schema that cannot be one.
    OperatorError
        The server cannot be reached, refuses, or lacks pgvector.
    TransientError
        The connection was lost; nothing of the commit is visible, unless the server had just
        confirmed it.
    """

    def __init__(
        self,
        uri: str,
        *,
        schema: str = "",
        password_env: str = "",
        password_from: str | Callable[[], str] = "",
        databricks_instance: str = "",
        keep_versions: int = KEPT_LINES,
        exact_rows: int = 50_000,
        observe: Callable[[str], None] | None = None,
    ) -> None:
        uri, named = _without_schema(str(uri))
        self.schema = schema or named or "agentops"
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self.schema):
            raise ConfigError(
                f"etl.sink.options.schema: '{self.schema}' is not lower-case letters, digits and "
                "underscores, at most 63"
            )
        if keep_versions < 1:
            raise ConfigError(
                f"etl.sink.options.keep_versions: {keep_versions}, expected 1 or more"
            )
        self.keep_versions, self.exact_rows = keep_versions, exact_rows
        if databricks_instance:
            if password_env or password_from:
                raise ConfigError(
                    "etl.sink.options: expected one of password_env, password_from and "
                    "databricks_instance"
                )
            password_from = LakebasePassword(databricks_instance)
        self._server = Server(uri, password_env, password_from)
        self._observe = observe or (lambda name: None)
        self._holding: Connection | None = None

    @property
    def name(self) -> str:
        """Where the index is, for messages."""
        return f"{self._server.name}, schema {self.schema}"

    @contextmanager
    def hold(self, wait: float = 0) -> Iterator[None]:
        key = f"hashtextextended('agentops sync {self.schema}', 0)"
        deadline = time.monotonic() + wait
        connection = self._server.open()
        try:
            with self._server.translated():
                while connection.execute(f"SELECT pg_try_advisory_lock({key})").fetchone() != (
                    True,
                ):
                    if time.monotonic() >= deadline:
                        raise busy(f"the lock of {self.name}")
                    time.sleep(0.1)
            # The commit goes through this very session: if it is lost, the lock is lost with it,
            # and another sync may be at work.
            self._holding = connection
            yield
        finally:
            if self._holding is connection:
                self._holding = None
                # The server notices a closed session only some time later, and the next sync,
                # started at once, would be told that another one is running.
                with suppress(Exception):  # a session that is lost has lost its lock
                    connection.execute(f"SELECT pg_advisory_unlock({key})")
            connection.close()

    # --- reading --------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        with self._server.connection() as connection:
            return self._seen(self._head(connection, sql.NEWEST))

    def at(self, version: int) -> Snapshot:
        with self._server.connection() as connection:
            newest = self._head(connection, sql.NEWEST)
            if version == newest.version or version == 0:
                return self._seen(newest if version == newest.version else NOTHING)
            head = self._head(connection, sql.VERSION, version=version)
        if head == NOTHING:
            raise OperatorError(
                f"no index version {version} is kept; the newest is {newest.version}"
            )
        return self._seen(head)

    def history(self) -> list[IndexVersion]:
        from psycopg.errors import UndefinedTable

        with self._server.connection() as connection:
            try:
                rows = connection.execute(self._sql(sql.HISTORY), {"lines": KEPT_LINES}).fetchall()
            except UndefinedTable:
                return []
        return [IndexVersion(*row) for row in rows]

    def _seen(self, head: Head) -> Snapshot:
        return PostgresSnapshot(self._server, self.schema, head) if head.number else _EMPTY

    def _head(self, connection: Connection, statement: str, **values: Any) -> Head:
        from psycopg.errors import UndefinedTable

        try:
            row = connection.execute(self._sql(statement), values).fetchone()
        except UndefinedTable:  # nobody has written yet; a reader creates nothing
            return NOTHING
        return Head(*row) if row else NOTHING

    # --- writing --------------------------------------------------------------------------

    def commit(self, commit: Commit) -> int:
        if not commit:
            return self.version
        brought, brings = commit.brought()
        self._observe("before commit")
        with self._writing() as connection:
            old = self._prepared(connection)
            number = old.number + 1
            ended = [sql.key(name) for name in {*brought, *commit.delete}]
            width = brings or old.dimensions
            if width != old.dimensions:
                self._check_stranded(connection, ended, width)
            self._do(connection, sql.END_CHUNKS, number=number, documents=ended)
            entries = {entry.document: entry for entry in commit.entries}
            told = [sql.key(name) for name in {*brought, *entries, *commit.delete}]
            self._do(connection, sql.END_ENTRIES, number=number, documents=told)
            self._observe("old rows ended")
            with connection.cursor().copy(self._sql(sql.COPY_CHUNKS)) as copy:
                copy.set_types(sql.CHUNK_TYPES)
                for part in commit.replace:
                    entries[part.entry.document] = part.entry
                    for chunk, vector in zip(part.chunks, part.vectors, strict=True):
                        copy.write_row(sql.chunk_row(part.entry.document, chunk, vector, number))
            self._observe("chunks written")
            with connection.cursor().copy(self._sql(sql.COPY_ENTRIES)) as copy:
                for entry in entries.values():
                    copy.write_row((sql.key(entry.document), sql.json_of(entry), number))
            self._observe("ledger written")
            version = old.version + commit.visible
            self._land(connection, old, Head(number, version, "", width, "sync", commit.digest))
        self._observe("after commit")
        self.maintain()
        return version

    def rollback(self, version: int) -> int:
        """Make a new version that is equal to an older one; only what differs is written."""
        with self._writing() as connection:
            newest = self._head(connection, sql.NEWEST)
            then = newest if version == newest.version else NOTHING
            if version not in (0, newest.version):
                then = self._head(connection, sql.VERSION, version=version)
                if then == NOTHING:
                    raise OperatorError(
                        f"no index version {version} is kept; the newest is {newest.version}"
                    )
            if newest == NOTHING:
                return 0
            self._observe("before commit")
            number = newest.number + 1
            for statement in sql.ROLL_BACK:
                self._do(connection, statement, number=number, at=then.number)
            width, note = then.dimensions or newest.dimensions, f"rollback to {version}"
            head = Head(number, newest.version + 1, "", width, note, "")
            self._land(connection, newest, head)
        self._observe("after commit")
        self.maintain()
        return head.version

    def maintain(self) -> None:
        """Remove what only versions beyond ``keep_versions`` see; build the vector index.

        Each is a transaction of its own, and a sync that changes nothing makes up for one that was
        killed before it.
        """
        with self._server.connection() as connection:
            head = self._head(connection, sql.NEWEST)
            past = {"past": head.version - self.keep_versions}
            if not head.number:
                return
            oldest = connection.execute(self._sql(sql.OLDEST_KEPT), past).fetchone()
        if oldest:
            self._observe("before prune")
            with self._writing() as connection:
                self._locked(connection)
                for statement in sql.PRUNE:
                    self._do(connection, statement, oldest=oldest[0])
            self._observe("after prune")
        width = head.dimensions or 0
        if head.chunks > self.exact_rows and not head.indexed and width <= _HNSW_DIMENSIONS:
            self._observe("before index")
            with self._writing() as connection:
                self._locked(connection)
                if self._one(connection, sql.ITERATES) == (True,):
                    # A limit. A graph that does not fit takes many times as long to build.
                    connection.execute("SET LOCAL maintenance_work_mem = '1GB'")
                    connection.execute(sql.VECTOR_INDEX.format(s=self.schema, width=width))
            self._observe("after index")

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Open a transaction; on the session that holds the lock, while one does."""
        if self._holding is None:
            with self._server.connection() as connection, connection.transaction():
                yield connection
        else:
            with self._server.translated(), self._holding.transaction():
                yield self._holding

    def _locked(self, connection: Connection) -> None:
        """Let writers that hold nothing come one after the other, until the transaction ends."""
        lock = f"pg_advisory_xact_lock(hashtextextended('agentops commit {self.schema}', 0))"
        connection.execute(f"SELECT {lock}")

    def _prepared(self, connection: Connection) -> Head:
        """Lock out other commits, make the tables if there are none, return the newest head."""
        from psycopg import errors

        self._locked(connection)
        made, extended, known = self._one(connection, sql.STATE, schema=self.schema)
        if not made:
            if not extended:
                try:
                    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                except (
                    errors.FeatureNotSupported,
                    errors.InsufficientPrivilege,
                    errors.UndefinedFile,
                ) as error:
                    raise OperatorError(
                        f"Postgres at {self._server.name} lacks pgvector: install it on the server "
                        "(package postgresql-NN-pgvector) and let an administrator run CREATE "
                        f"EXTENSION vector in this database ({error.diag.message_primary})"
                    ) from error
            if not known:
                connection.execute(f"CREATE SCHEMA {self.schema}")
            connection.execute(self._sql(sql.TABLES))
            self._observe("tables made")
        return self._head(connection, sql.NEWEST)

    def _check_stranded(
        self, connection: Connection, brought: Sequence[str], width: int | None
    ) -> None:
        values = {"documents": list(brought)}
        stranded = connection.execute(self._sql(sql.STRANDED), values).fetchall()
        if stranded:
            raise DeveloperError(
                f"a commit with vectors of {width} dimensions leaves {len(stranded)} documents "
                f"behind, e.g. {stranded[0][0]}: change the embedding recipe with the model"
            )

    def _land(self, connection: Connection, old: Head, head: Head) -> None:
        """Write the line that makes the commit visible once its transaction ends."""
        made_at, note = old.made_at, old.note
        if not made_at or head.version != old.version:
            made_at, note = datetime.now(UTC).isoformat(timespec="seconds"), head.note
        line = head._replace(made_at=made_at, note=note)._asdict()
        self._do(connection, sql.ADD_COMMIT, **line)
        self._observe("head written")

    def _do(self, connection: Connection, statement: str, **values: Any) -> None:
        connection.execute(self._sql(statement), values)

    def _one(self, connection: Connection, statement: str, **values: Any) -> tuple[Any, ...]:
        row = connection.execute(self._sql(statement), values).fetchone()
        return row or ()

    def _sql(self, statement: str) -> str:
        return statement.format(s=self.schema)


def _without_schema(uri: str) -> tuple[str, str]:
    """Take our own parameter out of an address: libpq refuses what it does not know."""
    address, mark, query = uri.partition("?")
    if not mark:
        return uri, ""
    parts = query.split("&")
    own = [part.partition("=")[2] for part in parts if part.startswith("schema=")]
    others = "&".join(part for part in parts if not part.startswith("schema="))
    return f"{address}?{others}" if others else address, own[0] if own else ""


_EMPTY = MemorySnapshot(0, {})
