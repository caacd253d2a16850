"""Rows of files and databases → Delta tables by MERGE; read through DuckDB. Taught in chapter 3.

Each table is one transaction: inserts, updates, deletes and new columns land together or not at
all. There is no transaction over several tables; a sync that dies between two leaves each of them
whole, and the next one finishes. Nothing is written where nothing changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import (
    AgentOpsError,
    DeveloperError,
    DocumentError,
    OperatorError,
    SyncRefused,
    TransientError,
    nearest,
)
from agentops_ref.etl.tabular import landing
from agentops_ref.etl.tabular.changes import RowChange, changes_of, net
from agentops_ref.etl.tabular.difference import difference
from agentops_ref.etl.tabular.evolve import Policy, Shape, evolve
from agentops_ref.etl.tabular.incoming import Incoming, checked
from agentops_ref.etl.tabular.kinds import Kind, arrow_type, cast, kind_of_type, wider
from agentops_ref.etl.tabular.query import Limits, Parameters, Rows, select
from agentops_ref.etl.tabular.sources import Found, folder, once, read

if TYPE_CHECKING:
    import pyarrow as pa

ATTEMPTS = 5
"""Times that a merge is tried while a writer that takes no lock changes the table as well."""


class TableVersion(NamedTuple):
    """One line of a table's history."""

    number: int
    made_at: str
    """UTC, ISO 8601 to the second."""
    operation: str
    """Delta's own name of it: WRITE, MERGE, DELETE, ..."""
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Landed:
    """What was done to one table."""

    counts: Mapping[str, int]
    """``{"inserted": n, "updated": n, "deleted": n}``; ``{}`` when nothing was written."""
    notes: tuple[str, ...] = ()
    """Columns that came, went or changed their type."""


@dataclass(frozen=True, slots=True)
class TablesReport:
    """What a sync did to each table."""

    landed: Mapping[str, Landed] = field(default_factory=dict)
    failed: Mapping[str, AgentOpsError] = field(default_factory=dict)
    """Table → why it stayed as it was. The others landed."""

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        return {name: dict(done.counts) for name, done in self.landed.items()}

    @property
    def notes(self) -> dict[str, tuple[str, ...]]:
        return {name: done.notes for name, done in self.landed.items() if done.notes}

    def require(self) -> TablesReport:
        """Return it again.

        Raises
        ------
        AgentOpsError
            A table failed: of the kind of the first failure, with all reasons.
        """
        if not self.failed:
            return self
        first = next(iter(self.failed.values()))
        more = "".join(f"\n{reason}" for reason in list(map(str, self.failed.values()))[1:])
        raise type(first)(f"{first}{more}") from first


class DeltaTables:
    """The Delta tables below a folder.

    Parameters
    ----------
    uri
        Folder; each table is a folder below it.
    max_share
        Share of a table's rows (0..1) that its source may drop before it is not believed.
    wait
        Seconds to wait while another process writes to the same table.
    policy
        What may happen to a table's columns.
    limits
        What one question may cost.
    views
        Gives name → SELECT over the tables; called when a query names what is no table.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        max_share: float = 0.5,
        wait: float = 60,
        policy: Policy | None = None,
        limits: Limits | None = None,
        views: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.uri, self.max_share, self.wait = Path(uri), max_share, wait
        self.policy, self.limits = policy or Policy(), limits or Limits()
        self.views = views or dict

    def names(self) -> list[str]:
        from deltalake import DeltaTable

        if not self.uri.is_dir():
            return []
        folders = sorted(path for path in self.uri.iterdir() if path.is_dir())
        return [path.name for path in folders if DeltaTable.is_deltatable(str(path))]

    def version(self, name: str) -> int:
        """Return the Delta version of a table; it grows with each transaction."""
        return int(self._table(name).version())

    def rows(self, name: str) -> int:
        """Return how many rows a table has."""
        return int(self._table(name).count())

    def key(self, name: str) -> tuple[str, ...]:
        """Return the columns that name a row of a table."""
        return landing.key_of(_schema(self._table(name)))

    def history(self, name: str, *, limit: int | None = None) -> list[TableVersion]:
        """Return the versions of a table, newest first, with the rows that each changed.

        Raises
        ------
        DeveloperError
            There is no such table.
        """
        return [_line(line) for line in self._table(name).history(limit)]

    # --- writing --------------------------------------------------------------------------

    def sync(
        self, root: Path | str, *, allow_mass_deletion: bool = False
    ) -> dict[str, dict[str, int]]:
        """Merge every table below a folder, by its first column.

        Returns
        -------
        dict
            Table → ``{"inserted": n, "updated": n, "deleted": n}``, or ``{}`` where nothing changed
            and nothing was written.

        Raises
        ------
        SyncRefused
            A file would drop more than ``max_share`` of its table, e.g. because it is empty. That
            table stays as it is, and the others have landed.
        DocumentError
            A file is not a table; in the same way.
        """
        found = self.found(root)
        return self.sync_sources(found, allow_mass_deletion=allow_mass_deletion).require().counts

    def found(self, root: Path | str) -> Found:
        """Return the tables that a folder holds."""
        if not Path(root).is_dir():
            raise OperatorError(
                f"no folder {root} to read tables from: create it, or run "
                "`agentops corpus build` for the sample corpus"
            )
        return folder(Path(root), self.policy)

    def sync_sources(self, found: Found, *, allow_mass_deletion: bool = False) -> TablesReport:
        """Merge each source into its table; what fails is reported, and the others land.

        A table whose source is not among them stays as it is.
        """
        found = once(found)
        landed: dict[str, Landed] = {}
        failed = dict(found.failed)
        for source in found.sources:
            try:
                landed[source.name] = self.land(
                    source.name,
                    read(source),
                    policy=source.policy,
                    allow_mass_deletion=allow_mass_deletion,
                )
            except AgentOpsError as error:
                failed[source.name] = error
        return TablesReport(dict(sorted(landed.items())), dict(sorted(failed.items())))

    def merge(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        key: str | Sequence[str],
        kinds: Mapping[str, Kind],
        allow_mass_deletion: bool = False,
    ) -> dict[str, int]:
        """Bring a table to exactly these rows, in one transaction.

        Parameters
        ----------
        rows
            Column → value; a column that a row lacks is null.
        key
            The column or columns that name a row.
        kinds
            Column → type, of all columns.

        Returns
        -------
        dict
            ``{"inserted": n, "updated": n, "deleted": n}``; ``{}`` when nothing was written.

        Raises
        ------
        DocumentError
            Null or repeated keys, or values that are not of their kind.
        SyncRefused
            More than ``max_share`` of the table's rows would go.
        """
        import pyarrow as pa

        names = (key,) if isinstance(key, str) else tuple(key)
        try:
            cells = pa.table(
                {
                    column: pa.array([row.get(column) for row in rows], arrow_type(kind))
                    for column, kind in kinds.items()
                }
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DocumentError(f"table {name}: values are not of their kind ({error})") from error
        made = checked(Incoming(f"table {name}", names, cells))
        return dict(self.land(name, made, allow_mass_deletion=allow_mass_deletion).counts)

    def land(
        self,
        name: str,
        new: Incoming,
        *,
        policy: Policy | None = None,
        allow_mass_deletion: bool = False,
    ) -> Landed:
        """Bring a table to what a source says now, in one transaction.

        Raises
        ------
        SyncRefused
            More rows would go than ``max_share`` allows, or a column did what the policy refuses.
        DocumentError
            The table has another key.
        TransientError
            Other writers keep the table busy.
        """
        from deltalake.exceptions import CommitFailedError

        with self._held(name):
            for _ in range(ATTEMPTS):
                try:
                    return self._land(name, new, policy or self.policy, allow_mass_deletion)
                except CommitFailedError as error:
                    # Somebody writes without our lock: compare again with what is there now.
                    reason = error
        raise TransientError(
            f"table {name} was changed by another process {ATTEMPTS} times in a row ({reason}); "
            "sync again"
        ) from reason

    def _land(self, name: str, new: Incoming, policy: Policy, any_share: bool) -> Landed:
        if name not in self.names():
            kinds = evolve(new.where, {}, new.kinds(), policy).kinds
            rows = new.typed(kinds)
            landing.create(self.uri / name, rows, new.key)
            return Landed({"inserted": rows.num_rows, "updated": 0, "deleted": 0})
        table = self._table(name)
        old = table.to_pyarrow_table()
        key = landing.key_of(_schema(table))
        if key != new.key:
            raise DocumentError(
                f"{new.where}: its key is {', '.join(new.key)}, that of the table {name} is "
                f"{', '.join(key)}; name that `key`, or remove {self.uri / name} to start anew"
            )
        before = {f.name: kind_of_type(f.type) or "string" for f in old.schema}
        shape = evolve(new.where, before, new.kinds(), policy)
        shape, wide_old, wide_new = _alike(before, shape, old, new)
        found = difference(wide_old, wide_new, key)
        gone = found.deleted.num_rows
        if gone > self.max_share * found.held and not any_share:
            raise SyncRefused(
                f"{new.where} lacks {gone} of the {found.held} rows of its table, more than the "
                f"allowed share of {self.max_share:g}; the table {name} was not changed. If that "
                "is right: --allow-mass-deletion"
            )
        if not (found.counts or shape.added or shape.rewrite):
            return Landed({}, shape.notes)
        landing.switch_feed_on(table)
        if shape.rewrite:
            landing.rewrite(table, wide_old, wide_new, key, shape, found)
        elif found.counts:
            landing.merge(table, found, key, shape)
        else:
            landing.add_columns(table, shape)
        counts = {"inserted": 0, "updated": 0, "deleted": 0} | found.counts
        return Landed(counts, shape.notes)

    # --- reading --------------------------------------------------------------------------

    def query(self, sql: str, parameters: Parameters = (), *, at: int | None = None) -> Rows:
        """Run one SELECT over the tables; values go into ``parameters`` (``?`` or ``$name``).

        The connection sees these tables and nothing else: no files, no other statements. Of more
        rows than the limits allow the first are returned, and ``.truncated`` says so.

        Parameters
        ----------
        at
            Version that the tables are read at; by default the newest.

        Raises
        ------
        DeveloperError
            Not one SELECT, an unknown table or column, a wrong parameter; more time or memory than
            the limits allow.
        """
        return select(
            sql,
            parameters,
            known=self.names(),
            open_table=lambda name: _dataset(self._table(name, at)),
            limits=self.limits,
            views=self.views,
        )

    def changes(
        self, name: str, *, since: int = -1, until: int | None = None
    ) -> Iterator[RowChange]:
        """Yield the rows that changed after version ``since``, up to ``until`` (the newest).

        In the order of the versions, a version's by key; ``since=-1`` begins with the first rows.

        Raises
        ------
        DeveloperError
            No such table or version.
        OperatorError
            The files of a version are gone.
        """
        table = self._table(name)
        last, key = int(table.version()), landing.key_of(_schema(table))
        until = last if until is None else until
        if not -1 <= since <= last or not since <= until <= last:
            raise DeveloperError(
                f"table {name} has the versions 0 to {last}; there are none from {since} to {until}"
            )
        made = {line.number: line.operation for line in self.history(name)}
        for version in range(since + 1, until + 1):
            yield from changes_of(
                lambda number: self._table(name, number),
                made.get(version, ""),
                version,
                key,
                where=f"table {name}",
            )

    def changed(self, name: str, *, since: int = -1) -> dict[tuple[Any, ...], RowChange]:
        """Return key → what all changes after version ``since`` add up to for that row.

        Work that was done for the rows of version ``since`` is in step again when it is done for
        these; remember `version` beside it.
        """
        return net(self.changes(name, since=since))

    def _table(self, name: str, version: int | None = None) -> Any:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        known = self.names()
        if name not in known:
            raise DeveloperError(f"no table '{name}'{nearest(name, known)}")
        try:
            return DeltaTable(str(self.uri / name), version=version)
        except DeltaError as error:
            raise DeveloperError(
                f"table {name} has no version {version}; `agentops tables history {name}` lists "
                "them"
            ) from error

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        """Keep other writers of this package out; the lock is free when its process dies."""
        from filelock import FileLock, Timeout

        self.uri.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.uri / f".{name}.lock", timeout=self.wait):
                yield
        except Timeout:
            raise TransientError(
                f"another process has been writing to the table {name} for {self.wait:g} s "
                "(etl.tables.wait_seconds); try again when it is done"
            ) from None


def _alike(
    before: Mapping[str, Kind], shape: Shape, old: pa.Table, new: Incoming
) -> tuple[Shape, pa.Table, pa.Table]:
    """Return both states in kinds that they can be compared in, and the shape that follows."""
    import pyarrow as pa

    compared = {
        name: wider(before[name], kind) if name in before else kind
        for name, kind in shape.kinds.items()
    }
    kinds, notes = dict(shape.kinds), list(shape.notes)
    olds, news = {}, {}
    for name in compared:
        try:
            olds[name], news[name] = _column(name, compared[name], old, new)
        except pa.ArrowInvalid:  # an integer that a float cannot hold
            compared[name] = kinds[name] = "string"
            notes.append(f"column {name} widened: {before.get(name)} → string, to lose no digit")
            olds[name], news[name] = _column(name, "string", old, new)
    rewrite = shape.rewrite or any(kinds[n] != before.get(n, kinds[n]) for n in kinds)
    return (
        Shape(kinds, tuple(notes), shape.added, shape.kept, rewrite),
        pa.table({n: c for n, c in olds.items() if c is not None}),
        pa.table({n: c for n, c in news.items() if c is not None}),
    )


def _column(name: str, kind: Kind, old: pa.Table, new: Incoming) -> tuple[Any, Any]:
    return (
        cast(old.column(name), kind) if name in old.column_names else None,
        new.typed({name: kind}).column(name) if name in new.cells.column_names else None,
    )


def _dataset(table: Any) -> Any:
    """Return a table for DuckDB to scan.

    A merge that adds columns writes its files' text as string views, and Arrow does not compare
    those with the text that a condition names. Declared as views everywhere, DuckDB compares them.
    """
    import pyarrow as pa

    fields = [
        field.with_type(pa.string_view()) if pa.types.is_string(field.type) else field
        for field in _schema(table)
    ]
    return table.to_pyarrow_dataset(schema=pa.schema(fields))


def _schema(table: Any) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(table.schema())


def _line(line: Mapping[str, Any]) -> TableVersion:
    """Return one entry of Delta's history; counts are ours where the commit carries them."""
    told = line.get("operationMetrics") or {}
    ours = json.loads(line.get(landing.COUNTS) or "null")
    counts = ours or {
        "inserted": _first(told, "num_target_rows_inserted", "num_added_rows"),
        "updated": _first(told, "num_target_rows_updated"),
        "deleted": _first(told, "num_target_rows_deleted", "num_deleted_rows"),
    }
    made = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
    return TableVersion(
        int(line["version"]),
        made.isoformat(timespec="seconds"),
        str(line["operation"]),
        *(counts.get(what, 0) for what in ("inserted", "updated", "deleted")),
    )


def _first(told: Mapping[str, Any], *names: str) -> int:
    """Return the first of these counts that an operation tells; 0 for none."""
    return next((int(told[name]) for name in names if name in told), 0)
