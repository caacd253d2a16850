"""Rows of files and databases → Delta tables by MERGE; read through DuckDB. Taught in chapter 3.

Each table is one transaction: inserts, updates, deletes and new columns land together or not at
all. There is no transaction over several tables; a sync that dies between two leaves each of them
whole, and the next one finishes. Nothing is written where nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from agentops_ref.etl.tabular.alike import alike
from agentops_ref.etl.tabular.changes import RowChange, changes_of, net
from agentops_ref.etl.tabular.difference import difference
from agentops_ref.etl.tabular.evolve import Policy, evolve
from agentops_ref.etl.tabular.history import TableVersion, version_of
from agentops_ref.etl.tabular.incoming import Incoming, checked
from agentops_ref.etl.tabular.kinds import Kind, arrow_type, kind_of_type
from agentops_ref.etl.tabular.query import Limits, Parameters, Rows, select
from agentops_ref.etl.tabular.reading import dataset, schema_of
from agentops_ref.etl.tabular.report import Landed, TablesReport
from agentops_ref.etl.tabular.sources import Found, folder, once, read

ATTEMPTS = 5
"""Times that a merge is tried while a writer that takes no lock changes the table as well."""


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
        return landing.key_of(schema_of(self._table(name)))

    def history(self, name: str, *, limit: int | None = None) -> list[TableVersion]:
        """Return the versions of a table, newest first, with the rows that each changed.

        Raises
        ------
        DeveloperError
            There is no such table.
        """
        return [version_of(line) for line in self._table(name).history(limit)]

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
        key = landing.key_of(schema_of(table))
        if key != new.key:
            raise DocumentError(
                f"{new.where}: its key is {', '.join(new.key)}, that of the table {name} is "
                f"{', '.join(key)}; name that `key`, or remove {self.uri / name} to start anew"
            )
        before = {f.name: kind_of_type(f.type) or "string" for f in old.schema}
        shape = evolve(new.where, before, new.kinds(), policy)
        shape, wide_old, wide_new = alike(before, shape, old, new)
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
            rows = landing.shaped(wide_old, wide_new, key, shape)
            landing.rewrite(table, rows, key, found.counts)
        elif found.counts:
            landing.merge(table, found, key, add_columns=bool(shape.added))
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
            open_table=lambda name: dataset(self._table(name, at)),
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
        last, key = int(table.version()), landing.key_of(schema_of(table))
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


__all__ = ["DeltaTables", "Landed", "TableVersion", "TablesReport"]
