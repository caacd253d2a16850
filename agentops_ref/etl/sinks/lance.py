"""The LanceDB sink: one table, one commit per sync. Taught in chapter 3.

Chunks, ledger and version number are rows of one table, and a commit is one ``merge_insert``: it
inserts and updates by key and, among the rows of the documents that the commit touches, deletes
those that it does not bring. LanceDB makes that one new version of the table, published by writing
one manifest file. A process killed before leaves the old version, one killed after has landed all.

The version that users see is a number in that same commit, not LanceDB's own, which also grows when
an index is rebuilt. Full-text search covers rows that are not indexed yet by scanning them, so new
chunks are found at once; `maintain` then rebuilds the index, after which BM25 scores do not depend
on the path that the index took. If the process is killed in between, the next sync does it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref.errors import DeveloperError, OperatorError
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
from agentops_ref.etl.sinks.lance_rows import (
    CHUNK_COLUMNS,
    Head,
    chunk_of,
    entries_of,
    head_of,
    head_row,
    head_table,
    one_of,
    reader_of,
)
from agentops_ref.etl.sinks.memory import MemorySnapshot
from agentops_ref.records import Chunk, LedgerEntry

_SPARE = 32
"""Results fetched beyond those asked for, so that equal scores at the end are cut by id."""
_INDEX = "search_idx"
_FRAGMENTS = 20
"""Files past which they are merged; each commit adds one."""


class LanceSnapshot:
    """One version of the table, held still."""

    def __init__(self, table: Any, head: Head) -> None:
        self._table, self.version, self.digest = table, head.version, head.digest

    def ledger(self) -> dict[str, LedgerEntry]:
        search = self._table.search().where("row_kind = 'ledger'").select(["payload"])
        entries = entries_of(search.limit(None).to_arrow()["payload"].to_pylist())
        return {entry.document: entry for entry in sorted(entries, key=lambda e: e.document)}

    def search_vector(
        self, vector: Sequence[float], n: int, filters: Filters | None = None
    ) -> list[Found]:
        if n < 1:
            return []
        dimensions = dimensions_of(self._table)
        if len(vector) != dimensions:
            if not self.count():
                return []
            raise OperatorError(
                f"the index holds vectors of {dimensions} dimensions, the query has {len(vector)}: "
                "the embedding model was changed; run `agentops ingest sync`"
            )
        search = self._table.search(list(vector), vector_column_name="vector")
        search = search.distance_type("cosine")
        rows = self._found(search, n, filters, "_distance")
        return best([Found(chunk_of(row), 1.0 - row["_distance"]) for row in rows], n)

    def search_text(self, query: str, n: int, filters: Filters | None = None) -> list[Found]:
        from lancedb import query as fts

        words = query.encode("utf-8", "replace").decode()  # half an emoji would raise
        if n < 1 or not words.strip():
            return []
        match: Any = fts.MatchQuery  # a plain match: nothing in the words is an operator
        search = self._table.search(match(words, "search"), query_type="fts")
        rows = self._found(search, n, filters, "_score")
        return best([Found(chunk_of(row), row["_score"]) for row in rows], n)

    def chunks_of(self, document: str) -> list[Chunk]:
        condition = f"row_kind = 'chunk' AND {one_of('document', [document])}"
        chunks = [chunk_of(row) for row in self._rows(condition, CHUNK_COLUMNS)]
        return sorted(chunks, key=lambda chunk: (chunk.ordinal, chunk.id))

    def count(self) -> int:
        return int(self._table.count_rows("row_kind = 'chunk'"))

    def stored(
        self, documents: Collection[str] | None = None
    ) -> Iterator[tuple[str, Chunk, Vectors]]:
        columns = [*CHUNK_COLUMNS, "owner", "vector"]
        condition = "row_kind = 'chunk'"
        if documents is not None:
            condition += f" AND {one_of('owner', sorted(documents))}"
        search = self._table.search().where(condition).select(columns)
        for batch in search.limit(None).to_arrow().to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                yield row["owner"], chunk_of(row), np.asarray(row["vector"], np.float32)

    def owners(self) -> set[str]:
        """Return the ledger entries that have chunks."""
        return {row["owner"] for row in self._rows("row_kind = 'chunk'", ["owner"])}

    def rows_with(self, head: Mapping[str, Any]) -> Any:
        """Return the whole version as an Arrow table, with another head row."""
        import pyarrow as pa

        kept = self._table.search().where("row_kind <> 'version'").limit(None).to_arrow()
        names = self._table.schema.names
        return pa.concat_tables([head_table(head, dimensions_of(self._table)), kept.select(names)])

    def _found(self, search: Any, n: int, filters: Filters | None, score: str) -> list[Any]:
        conditions = ["row_kind = 'chunk'"]
        conditions += [one_of(column, values) for column, values in normalised(filters).items()]
        search = search.where(" AND ".join(conditions), prefilter=True)
        rows: list[Any] = search.select([*CHUNK_COLUMNS, score]).limit(n + _SPARE).to_list()
        return rows

    def _rows(self, condition: str, columns: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (
            self._table.search().where(condition).select(columns).limit(None).to_list()
        )
        return rows


class LanceSink(Newest):
    """An index in a folder, or wherever else LanceDB can keep one.

    Parameters
    ----------
    uri
        Folder, or an object store's address.
    table
        Name of the table below it.
    keep_days
        Older versions than that may be removed when small files are merged; a release that pins
        an index version must be younger.
    rebuild_rows
        Up to so many rows the full-text index is rebuilt after each commit, which keeps scores
        independent of history; above, it is extended, which costs less.
    observe
        Called with a name before and after each effect; for tests that kill a sync there.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        table: str = "chunks",
        keep_days: float = 365,
        rebuild_rows: int = 50_000,
        observe: Callable[[str], None] | None = None,
    ) -> None:
        self.uri, self.table = str(uri), table
        self.keep_days, self.rebuild_rows = keep_days, rebuild_rows
        self._observe = observe or (lambda name: None)
        self._connection: Any = None
        self._heads: dict[int, Head] = {}

    def hold(self, wait: float = 0) -> AbstractContextManager[None]:
        # A store that is no folder has no file to lock; there, one process at a time is up to you.
        return nullcontext() if "://" in self.uri else held_file(Path(self.uri) / "sync.lock", wait)

    # --- reading --------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        table = self._open()
        return _EMPTY if table is None else LanceSnapshot(table, self._head_of(table))

    def at(self, version: int) -> Snapshot:
        newest = self.snapshot()
        if version == newest.version:
            return newest
        if version == 0:
            return _EMPTY
        table = self._table_at(version)
        if table is None:
            raise OperatorError(
                f"no index version {version} is kept; the newest is {newest.version}; what was "
                "made, and when: agentops ingest history"
            )
        return LanceSnapshot(table, self._head_of(table))

    def history(self) -> list[IndexVersion]:
        table = self._open()
        return [] if table is None else list(self._head_of(table).history)

    # --- writing --------------------------------------------------------------------------

    def commit(self, commit: Commit) -> int:
        table = self._open()
        head = _NO_HEAD if table is None else self._head_of(table)
        if not commit:
            return head.version
        version = head.version + commit.visible
        told, brings = commit.brought()
        current = 1 if table is None else dimensions_of(table)
        width = brings or current
        touched = ["", *told, *commit.delete]
        told |= dict.fromkeys(commit.delete, 0)
        chunks = sum(told.values()) + _rows_of(table, "chunk", told)
        entries = {*told, *(entry.document for entry in commit.entries)} - set(commit.delete)
        documents = len(entries) + _rows_of(table, "ledger", {*entries, *commit.delete})
        history = lengthened(head.history, version, documents, chunks, "sync")
        rows = reader_of(commit, version, history, width)
        self._observe("before commit")
        with self._writing():
            self._land(table, commit, head, rows, touched, history)
        self._observe("after commit")
        with self._writing():
            self.maintain()
        return version

    def _land(
        self,
        table: Any,
        commit: Commit,
        head: Head,
        rows: Any,
        touched: Sequence[str],
        history: Sequence[IndexVersion],
    ) -> None:
        """Write a commit's rows as one new version of the table."""
        import pyarrow as pa

        width = rows.schema.field("vector").type.list_size
        if table is None:
            self._connect().create_table(self.table, data=rows)
        elif width != dimensions_of(table):
            self._rewrite(table, commit, head, history, head.version + commit.visible, width)
        elif doubled(table, touched):
            # Only another program can have done that. A merge would bring each of them up to date.
            kept = table.search().where(f"NOT {one_of('owner', touched)}").limit(None).to_arrow()
            whole = pa.concat_tables([kept.select(rows.schema.names), rows.read_all()])
            self._connect().create_table(self.table, data=whole, mode="overwrite")
        else:
            (
                table.merge_insert("key")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .when_not_matched_by_source_delete(one_of("owner", touched))
                .execute(rows)
            )

    def rollback(self, version: int) -> int:
        """Make a new version that is equal to an older one; all its rows are written again."""
        old = self.at(version)
        table = self._open()
        if table is None:
            return 0
        head = self._head_of(table)
        number, note = head.version + 1, f"rollback to {version}"
        documents, chunks = len(old.ledger()), old.count()
        history = lengthened(head.history, number, documents, chunks, note)
        if isinstance(old, LanceSnapshot):
            rows = old.rows_with(head_row(number, "", history))
        else:
            rows = head_table(head_row(number, "", history), dimensions_of(table))
        self._observe("before commit")
        with self._writing():
            if dimensions_of(table) != rows.schema.field("vector").type.list_size:
                self._connect().create_table(self.table, data=rows, mode="overwrite")
            else:
                (
                    table.merge_insert("key")
                    .when_matched_update_all()
                    .when_not_matched_insert_all()
                    .when_not_matched_by_source_delete()
                    .execute(rows)
                )
        self._observe("after commit")
        with self._writing():
            self.maintain()
        return number

    def maintain(self) -> None:
        """Bring the full-text index up to date and merge small files; readers are not disturbed.

        Each commit writes at least the version's row anew, so a commit that was not followed by
        this always shows as a row that is not indexed.
        """
        from lancedb.index import FTS

        table = self._open()
        if table is None:
            return
        names = [index.name for index in table.list_indices()]
        if _INDEX in names and not table.index_stats(_INDEX).num_unindexed_rows:
            return
        self._observe("before index")
        if table.stats()["fragment_stats"]["num_fragments"] > _FRAGMENTS:
            table.optimize(cleanup_older_than=timedelta(days=self.keep_days))
            self._observe("after merge of files")
        if _INDEX not in names or table.count_rows() <= self.rebuild_rows:
            table.create_index("search", config=FTS(), replace=True, name=_INDEX)
        else:
            table.optimize(cleanup_older_than=timedelta(days=self.keep_days))
        self._observe("after index")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say what the store said, for an operator: a full disk is no bug."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # LanceDB tells of a full disk by RuntimeError
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise OperatorError(
                f"cannot write the index in {self.uri}: {why}; readers have its last whole "
                "version: mend that and sync again"
            ) from error

    # --- the table ------------------------------------------------------------------------

    def _rewrite(
        self,
        table: Any,
        commit: Commit,
        head: Head,
        history: Sequence[IndexVersion],
        version: int,
        dimensions: int,
    ) -> None:
        """Change the vectors' length: the whole table is written anew, as one more version of it.

        That is possible when the commit brings every document that has chunks.
        """
        brought = {part.entry.document for part in commit.replace} | set(commit.delete)
        old = LanceSnapshot(table, head)
        stranded = sorted(old.owners() - brought)
        if stranded:
            raise DeveloperError(
                f"a commit with vectors of {dimensions} dimensions leaves {len(stranded)} "
                f"documents behind, e.g. {stranded[0]}: change the embedding recipe with the model"
            )
        told = brought | {entry.document for entry in commit.entries}
        silent = tuple(e for name, e in old.ledger().items() if name not in told)
        whole = replace(commit, entries=(*commit.entries, *silent))
        rows = reader_of(whole, version, history, dimensions)
        self._connect().create_table(self.table, data=rows, mode="overwrite")

    def _connect(self) -> Any:
        if self._connection is None:
            try:
                import lancedb
            except ImportError as error:
                raise OperatorError("lancedb is not installed: pip install lancedb") from error
            self._connection = lancedb.connect(self.uri)
        return self._connection

    def _open(self) -> Any:
        """Open the table at its newest version; None when there is none yet."""
        try:
            return self._connect().open_table(self.table)
        except ValueError as error:
            if "not found" in str(error):
                return None
            raise OperatorError(f"cannot open the index in {self.uri}: {error}") from error

    def _table_at(self, version: int) -> Any:
        """Check out the last state of the table in which it had our ``version``; None for none."""
        table = self._open()
        states = [] if table is None else sorted(v["version"] for v in table.list_versions())
        low, high = 0, len(states)  # our number grows with LanceDB's
        while low < high:
            middle = (low + high) // 2
            table.checkout(states[middle])
            older = self._head_of(table).version <= version
            low, high = (middle + 1, high) if older else (low, middle)
        if not low:
            return None
        table.checkout(states[low - 1])
        return table if self._head_of(table).version == version else None

    def _head_of(self, table: Any) -> Head:
        state = table.version
        if state not in self._heads:
            query = table.search().where("row_kind = 'version'").select(["ordinal", "payload"])
            self._heads[state] = head_of(query.to_list()[0])
        return self._heads[state]


def dimensions_of(table: Any) -> int:
    return int(table.schema.field("vector").type.list_size)


def doubled(table: Any, owners: Collection[str]) -> bool:
    """Whether a row of these owners stands in the table more than once."""
    keys = table.search().where(one_of("owner", owners)).select(["key"]).limit(None).to_arrow()
    return int(keys.num_rows) > len(set(keys.column("key").to_pylist()))


def _rows_of(table: Any, row_kind: str, but: Collection[str]) -> int:
    """Count the rows of a kind, without those of some owners."""
    if table is None:
        return 0
    kind = f"row_kind = '{row_kind}'"
    left_out = f" AND NOT {one_of('owner', but)}" if but else ""
    return int(table.count_rows(kind + left_out))


_EMPTY = MemorySnapshot(0, {})
_NO_HEAD = Head(0, "", ())
