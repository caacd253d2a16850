"""The Databricks Vector Search sink: versions in a store that has no transactions.

Taught in chapter 3. Works on direct-access indexes through the Databricks SDK; the tests run it
against a server on loopback that speaks the published REST API, never against an account.

The service upserts and deletes rows by key, a request at a time, so several requests are never one
step. The one step that there is, is the upsert of a single row. So each row says from which commit
on it is there (``born``) and from which on it is not (``died``), and one row, the head, says which
commit readers look at. A commit N writes in this order:

1. the head, unchanged but for a mark that N is being written;
2. its new rows with ``born = N``: readers at N-1 leave them out;
3. what it ends, again with ``died = N``: readers at N-1 still see it;
4. the head with number N: the one step in which all of it becomes visible.

A writer that dies between 1 and 4 leaves its mark, and nothing that a reader could see. The next
writer finds the mark, takes back what N had written, and begins anew.
"""

from __future__ import annotations

import hashlib
import json
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from agentops_ref.errors import (
    ConfigError,
    DeveloperError,
    OperatorError,
    TransientError,
)
from agentops_ref.etl.cache import Vectors
from agentops_ref.etl.sinks.base import (
    Commit,
    Filters,
    Found,
    IndexVersion,
    Newest,
    Snapshot,
    best,
    held_file,
    lengthened,
    normalised,
)
from agentops_ref.etl.sinks.databricks_api import DELETE_ROWS, Row, VectorSearch
from agentops_ref.etl.sinks.databricks_rows import (
    ALIVE,
    CHUNKS,
    LEDGER,
    Kept,
    State,
    born_at,
    chunk_of,
    chunk_rows,
    ledger_row,
    owned_by,
    text_of,
    unit,
)
from agentops_ref.etl.sinks.memory import MemorySnapshot
from agentops_ref.records import Chunk, LedgerEntry

_SPARE = 32
"""Results fetched beyond those asked for, so that equal scores at the end are cut by id."""


class VectorSearchSnapshot:
    """One commit of an index. Every search asks for the rows that it has, by ``born``, ``died``."""

    def __init__(self, api: VectorSearch, name: str, line: Kept, digest: str = "") -> None:
        self._api, self._name, self.digest = api, name, digest
        self.version, self._at, self._width, self._chunks = line

    def ledger(self) -> dict[str, LedgerEntry]:
        entries = [LedgerEntry(**json.loads(row["payload"])) for row in self.ledger_rows()]
        return {entry.document: entry for entry in sorted(entries, key=lambda e: e.document)}

    def search_vector(
        self, vector: Sequence[float], n: int, filters: Filters | None = None
    ) -> list[Found]:
        wanted = self._filters(filters)
        if n < 1 or wanted is None or not self._width:
            return []
        if len(vector) != self._width:
            if not self._chunks:
                return []
            raise OperatorError(
                f"the index holds vectors of {self._width} dimensions, the query has {len(vector)}:"
                " the embedding model was changed; run `agentops ingest sync`"
            )
        asked = unit(np.asarray(vector, np.float64)).tolist()
        rows = self._api.query(self.data, wanted, n + _SPARE, query_type="ANN", query_vector=asked)
        # The service tells 1 / (1 + d²) with the Euclidean distance d; of vectors of length 1 the
        # cosine is 1 - d²/2. A vector without a length is neither near nor far.
        found = [
            Found(chunk_of(payload), 1 - (1 / float(score) - 1) / 2 if float(norm) else 0.0)
            for payload, norm, score in rows
        ]
        return best(found, n)

    def search_text(self, query: str, n: int, filters: Filters | None = None) -> list[Found]:
        wanted = self._filters(filters)
        words = query.replace("\x00", " ").encode("utf-8", "replace").decode()
        if n < 1 or wanted is None or not self._width or not words.strip():
            return []
        rows = self._api.query(
            self.data,
            wanted,
            n + _SPARE,
            query_type="FULL_TEXT",
            query_text=words,
            query_columns=["search"],
        )
        return best([Found(chunk_of(payload), float(score)) for payload, _, score in rows], n)

    def chunks_of(self, document: str) -> list[Chunk]:
        """Return the chunks that the ledger's entry of this name has."""
        found = [chunk_of(row["payload"]) for row in self.rows_of([document])]
        return sorted(found, key=lambda chunk: (chunk.ordinal, chunk.id))

    def count(self) -> int:
        return self._chunks

    def stored(
        self, documents: Collection[str] | None = None
    ) -> Iterator[tuple[str, Chunk, Vectors]]:
        for row in self.rows() if documents is None else self.rows_of(documents):
            vector = np.asarray(row["vector"], np.float64) * float(row["norm"])
            yield row["owner"], chunk_of(row["payload"]), vector.astype(np.float32)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of chunks as they stand in the index."""
        if self._width:
            yield from (row for row in self._api.scan(self.data) if self.sees(row))

    def ledger_rows(self) -> Iterator[Row]:
        return (row for row in self._api.scan(self._name, "ledger|") if self.sees(row))

    def rows_of(self, documents: Collection[str]) -> list[Row]:
        """Return the rows of chunks that these ledger entries have."""
        if len(documents) > DELETE_ROWS:  # one pass over all is cheaper than so many questions
            names = {text_of(name) for name in documents}
            return [row for row in self.rows() if row["owner"] in names]
        found = (self._api.scan(self.data, owned_by(name)) for name in sorted(documents))
        return [row for rows in found for row in rows if self.sees(row)] if self._width else []

    def sees(self, row: Row) -> bool:
        return bool(row["born"] <= self._at < row["died"])

    @property
    def data(self) -> str:
        """Name of the index that its vectors stand in."""
        return f"{self._name}_{self._width}"

    def _filters(self, filters: Filters | None) -> dict[str, Any] | None:
        """Return the service's filters; None where nothing can pass."""
        chosen = normalised(filters)
        if not all(chosen.values()):
            return None
        seen = {"born <=": self._at, "died >": self._at}
        return seen | {column: list(values) for column, values in chosen.items()}


class DatabricksSink(Newest):
    """An index in Databricks Vector Search.

    Parameters
    ----------
    uri
        ``databricks://catalog/schema/name?endpoint=ENDPOINT``; ``profile`` or ``host`` may follow.
        Credentials come from the SDK's own places: the environment or a profile. It makes the
        index of that name, which holds the ledger, and one ``name_N`` for vectors of length N.
    keep_versions
        So many versions, the newest, stay readable; `maintain` removes what only older ones see. A
        release that pins a version must be younger.
    clean_rows
        So many ended rows may wait before `maintain` removes them, which reads the whole index.
    lease_seconds
        A writer on another machine that has not finished for so long counts as dead.
    observe
        Called with a name before and after each effect; for tests that kill a sync there.

    Notes
    -----
    The service has no lock and no conditional write. Writers on one machine keep each other out by
    a lock file. A writer that finds another machine's mark gives up until the mark is older than
    its lease, and each looks at the mark again before it moves the head. What remains is the moment
    between that look and the move, and a writer that was paused for longer than its lease and then
    goes on: rows of both may be left, which `audit` finds and repairs. Let one machine sync.

    Text search is the service's own; its scores may depend on rows that have ended and are not
    removed yet.
    """

    def __init__(
        self,
        uri: str,
        *,
        keep_versions: int = 20,
        clean_rows: int = 10_000,
        lease_seconds: float = 900,
        observe: Callable[[str], None] | None = None,
    ) -> None:
        parts = urlsplit(str(uri))
        asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        names = [parts.netloc, *parts.path.strip("/").split("/")]
        unknown = asked.keys() - {"endpoint", "profile", "host"}
        if parts.scheme != "databricks" or len(names) != 3 or not all(names) or unknown:
            raise ConfigError(
                f"etl.sink.uri: expected databricks://catalog/schema/name?endpoint=ENDPOINT, "
                f"got {uri}"
            )
        if not asked.get("endpoint"):
            raise ConfigError(f"etl.sink.uri: {uri} names no endpoint: add ?endpoint=ENDPOINT")
        self.uri, self.name = str(uri), ".".join(names)
        self.keep_versions, self.clean_rows = keep_versions, clean_rows
        self.lease_seconds = lease_seconds
        self._observe = observe or (lambda name: None)
        self._api = VectorSearch(asked["endpoint"], asked.get("host"), asked.get("profile"))
        self._who = uuid.uuid4().hex

    def hold(self, wait: float = 0) -> AbstractContextManager[None]:
        mark = hashlib.sha256(f"{self._api.host} {self.name}".encode()).hexdigest()[:16]
        return held_file(Path(tempfile.gettempdir()) / f"agentops-index-{mark}.lock", wait)

    # --- reading --------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        state = self._state()
        return _EMPTY if state is None else self._snapshot(state.newest, state.digest)

    def at(self, version: int) -> Snapshot:
        state = self._state() or State()
        if version == state.version:
            return self._snapshot(state.newest, state.digest) if version else _EMPTY
        return self._snapshot(self._line(state, version)) if version else _EMPTY

    def history(self) -> list[IndexVersion]:
        return list((self._state() or State()).history)

    def _snapshot(self, line: Kept, digest: str = "") -> VectorSearchSnapshot:
        return VectorSearchSnapshot(self._api, self.name, line, digest)

    def _line(self, state: State, version: int) -> Kept:
        line = state.at(version)
        if line is None:
            raise OperatorError(
                f"no index version {version} is kept; the newest is {state.version}"
            )
        return line

    def _state(self) -> State | None:
        """Read the head; None when there is no index yet."""
        from databricks.sdk.errors import NotFound

        try:
            rows = list(self._api.scan(self.name, "head"))
        except OperatorError as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise
        if not rows:
            return None
        told = json.loads(rows[0]["payload"])
        history = tuple(IndexVersion(*line) for line in told.pop("history"))
        kept = tuple(Kept(*line) for line in told.pop("kept"))
        return State(**told, history=history, kept=kept)

    # --- writing --------------------------------------------------------------------------

    def commit(self, commit: Commit) -> int:
        if not commit:
            return self.version
        told, brings = commit.brought()
        self._observe("before commit")
        state = self._begin()
        number, width = state.number + 1, brings or state.width
        now = self._snapshot(state.newest)
        ended = now.rows_of({*told, *commit.delete})
        if width != state.width and state.chunks > len(ended):
            brought = {text_of(name) for name in (*told, *commit.delete)}
            left = sorted({row["owner"] for row in now.rows()} - brought)
            raise DeveloperError(
                f"a commit with vectors of {width} dimensions leaves {len(left)} documents "
                f"behind, e.g. {left[0]}: change the embedding recipe with the model"
            )
        entries = {entry.document: entry for entry in commit.entries}
        entries |= {part.entry.document: part.entry for part in commit.replace}
        renewed, gone = set(map(text_of, entries)), set(map(text_of, commit.delete))
        listed = list(now.ledger_rows())
        old = [row for row in listed if row["document"] in renewed | gone]
        documents = len(({row["document"] for row in listed} | renewed) - gone)

        state = self._mark(state, width)
        if brings:
            data = f"{self.name}_{width}"
            self._api.create(data, CHUNKS, width)
            self._api.upsert(data, chunk_rows(commit, number))
        self._observe("chunks written")
        self._api.upsert(self.name, (ledger_row(entry, number) for entry in entries.values()))
        self._observe("ledger written")
        self._api.upsert(self.name, (row | {"died": number} for row in old))
        if ended:
            self._api.upsert(now.data, (row | {"died": number} for row in ended))
        self._observe("old rows ended")
        chunks = state.chunks - len(ended) + sum(told.values())
        line = Kept(state.version + commit.visible, number, width, chunks)
        self._land(state, line, documents, "sync", commit.digest, len(ended) + len(old))
        self._observe("after commit")
        self.maintain()
        return line.version

    def rollback(self, version: int) -> int:
        """Make a new version that is equal to an older one; only what differs is written."""
        state = self._begin()
        old = self._line(state, version)
        was, now = self._snapshot(old), self._snapshot(state.newest)
        number = state.number + 1
        changes = []
        for place, then, today in (
            (self.name, was.ledger_rows(), now.ledger_rows()),
            (was.data, was.rows(), now.rows() if was.data == now.data else iter(())),
            (now.data, iter(()), now.rows() if was.data != now.data else iter(())),
        ):
            before, after = ({row["key"]: row for row in rows} for rows in (then, today))
            born = {"born": number, "died": ALIVE}
            back = [
                row | born | {"key": born_at(key, number)}
                for key, row in before.items()
                if key not in after
            ]
            ends = [row | {"died": number} for key, row in after.items() if key not in before]
            changes.append((place, back, ends))
        documents = len(list(was.ledger_rows()))
        state = self._mark(state, old.width)
        for place, back, ends in changes:
            self._api.upsert(place, back)
            self._api.upsert(place, ends)
        line = Kept(state.version + 1, number, old.width, old.chunks)
        ended = sum(len(ends) for _, _, ends in changes)
        self._land(state, line, documents, f"rollback to {version}", "", ended)
        self._observe("after commit")
        self.maintain()
        return line.version

    def maintain(self) -> None:
        """Remove rows that no kept version sees, once they are many."""
        state = self._state()
        if state is None or state.writing or state.ended < self.clean_rows:
            return
        self._observe("before prune")
        kept = state.kept[: self.keep_versions]
        # What died at or before the oldest commit that can be read is seen by none.
        oldest = min((line.number for line in kept), default=state.number)
        for place, start in self._places(state):
            old = [row["key"] for row in self._api.scan(place, start) if row["died"] <= oldest]
            self._api.delete(place, old)
        self._write_head(replace(state, kept=kept, ended=0))
        self._observe("after prune")

    def _begin(self) -> State:
        """Return the state to write upon: what a dead writer left is taken back first."""
        state = self._state()
        if state is None:
            self._api.create(self.name, LEDGER, 1)
            self._observe("index made")
            return State()
        if state.writing:
            self._take_over(state)
        return state

    def _mark(self, state: State, width: int) -> State:
        """Say that the next commit is being written. An error leaves the mark to the next one."""
        who = {"who": self._who, "host": socket.gethostname(), "since": time.time()}
        marked = replace(state, writing=who | {"width": width})
        self._write_head(marked)
        self._observe("mark written")
        return marked

    def _take_over(self, state: State) -> None:
        """Remove what a writer that died had written; refuse while it may be alive."""
        mark = state.writing
        age = time.time() - float(mark["since"])
        # On this machine the lock file tells: whoever wrote the mark does not hold it any more.
        if mark["host"] != socket.gethostname() and age < self.lease_seconds:
            raise TransientError(
                f"another sync of {self.name} is running on {mark['host']} since {age:.0f} s; it "
                f"counts as dead after {self.lease_seconds:g} s: try again then"
            )
        for place, start in self._places(state):
            late = [row for row in self._api.scan(place, start) if row["died"] > state.number]
            self._api.delete(place, [r["key"] for r in late if r["born"] > state.number])
            self._api.upsert(
                place,
                [
                    row | {"died": ALIVE}
                    for row in late
                    if row["born"] <= state.number and row["died"] != ALIVE
                ],
            )

    def _places(self, state: State) -> Iterator[tuple[str, str]]:
        yield self.name, "ledger|"
        for width in sorted(state.widths()):
            name = f"{self.name}_{width}"
            self._api.create(name, CHUNKS, width)  # a writer may have died before it did
            yield name, ""

    def _land(
        self, state: State, line: Kept, documents: int, note: str, digest: str, ended: int
    ) -> None:
        """Move the head: the step in which the commit becomes visible."""
        now = self._state()
        if now is None or now.number != state.number or now.writing.get("who") != self._who:
            raise TransientError(
                f"another sync of this index is running: it took {self.name} over while this one "
                "was writing; nothing of this one is visible; try again"
            )
        self._observe("before head")
        history = lengthened(state.history, line.version, documents, line.chunks, note)
        kept = (line, *(one for one in state.kept if one.version != line.version))
        version, number, width, chunks = line
        ended += state.ended
        self._write_head(State(number, version, digest, width, chunks, history, kept, ended))

    def _write_head(self, state: State) -> None:
        payload = json.dumps(asdict(state) | {"history": [list(h) for h in state.history]})
        row = {"key": "head|", "document": "", "payload": payload, "born": 0, "died": ALIVE}
        self._api.upsert(self.name, [row | {"norm": 0.0, "vector": [1.0]}])


_EMPTY = MemorySnapshot(0, {})
