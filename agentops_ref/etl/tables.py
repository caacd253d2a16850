"""CSV files → Delta tables by MERGE; read through DuckDB. Taught in chapter 4.

Each table is one transaction: inserts, updates and deletes land together or not at all. There is no
transaction over several tables; a sync that dies between two leaves each of them whole, and the
next one finishes. Nothing is written where nothing changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import (
    DeveloperError,
    OperatorError,
    SyncRefused,
    TransientError,
    nearest,
)
from agentops_ref.etl.csvtable import Kind, Row, read_csv, wider

if TYPE_CHECKING:
    import pyarrow as pa

Parameters = Sequence[Any] | Mapping[str, Any]


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
class Difference:
    """What has to be done to one table."""

    name: str
    kinds: Mapping[str, Kind]
    """Column → type, the key first."""
    rows: Mapping[str, Row]
    """All rows that the table shall have."""
    inserted: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    held: int
    """Rows that the table has now."""
    reshaped: bool = False
    """Columns or types differ, so the table is written anew (still one transaction)."""

    @property
    def counts(self) -> dict[str, int]:
        """``{}`` when there is nothing to do."""
        found = {
            "inserted": len(self.inserted),
            "updated": len(self.updated),
            "deleted": len(self.deleted),
        }
        return found if any(found.values()) or self.reshaped else {}


class DeltaTables:
    """The Delta tables below a folder.

    Parameters
    ----------
    uri
        Folder; each table is a folder below it.
    max_share
        Share of a table's rows (0..1) that a file may drop before it is not believed.
    views
        Gives name → SELECT over the tables; called when a query names what is no table.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        max_share: float = 0.5,
        views: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.uri, self.max_share, self.views = Path(uri), max_share, views

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

    def history(self, name: str) -> list[TableVersion]:
        """Return the versions of a table, newest first, with the rows that each changed.

        Raises
        ------
        DeveloperError
            There is no such table.
        """
        lines = []
        for line in self._table(name).history():
            told = line.get("operationMetrics") or {}
            made = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
            lines.append(
                TableVersion(
                    int(line["version"]),
                    made.isoformat(timespec="seconds"),
                    str(line["operation"]),
                    _first(told, "num_target_rows_inserted", "num_added_rows"),
                    _first(told, "num_target_rows_updated"),
                    _first(told, "num_target_rows_deleted", "num_deleted_rows"),
                )
            )
        return lines

    # --- writing --------------------------------------------------------------------------

    def sync(
        self, root: Path | str, *, allow_mass_deletion: bool = False
    ) -> dict[str, dict[str, int]]:
        """Merge every ``<table>.csv`` below ``root`` into its table, by its first column.

        A table whose file is missing stays as it is. All files are compared before anything is
        written, so that a wrong one stops the sync before it began.

        Returns
        -------
        dict
            Table → ``{"inserted": n, "updated": n, "deleted": n}``, or ``{}`` where nothing changed
            and nothing was written.

        Raises
        ------
        SyncRefused
            A file would drop more than ``max_share`` of its table, e.g. because it is empty.
        DocumentError
            A file is not a table.
        """
        root = Path(root)
        if not root.is_dir():
            raise OperatorError(
                f"no folder {root} to read tables from: create it, or run "
                "`agentops corpus build` for the sample corpus"
            )
        found = [self._difference(path) for path in sorted(root.glob("*.csv"))]
        for table in found:
            gone = len(table.deleted)
            if gone > self.max_share * table.held and not allow_mass_deletion:
                raise SyncRefused(
                    f"{root / table.name}.csv lacks {gone} of the {table.held} rows of its table, "
                    f"more than the allowed share of {self.max_share:g}; no table was changed"
                )
        for table in found:
            if table.counts:
                with _conflicts(table.name):
                    self._apply(table)
        return {table.name: table.counts for table in found}

    def _difference(self, path: Path) -> Difference:
        new, name = read_csv(path), path.stem
        kinds = new.kinds()
        old: dict[str, Row] = {}
        reshaped = False
        if name in self.names():
            stored = self._table(name).to_pyarrow_table()
            before = {field.name: _kind(field.type) for field in stored.schema}
            for column in kinds.keys() & before.keys():
                at = new.columns.index(column)
                if any(row[at] is not None for row in new.rows.values()):
                    kinds[column] = wider(before[column], kinds[column])
                else:
                    kinds[column] = before[column]
            reshaped = list(kinds.items()) != list(before.items())
            columns = [stored[c].to_pylist() if c in before else [] for c in kinds]
            if all(columns) or not stored.num_rows:
                old = {row[0]: row for row in zip(*columns, strict=True)}
            else:  # a new column: every row changes
                old = dict.fromkeys(stored.column(0).to_pylist(), ())
        rows = new.typed(kinds)
        return Difference(
            name,
            kinds,
            rows,
            inserted=tuple(key for key in rows if key not in old),
            updated=tuple(key for key, row in rows.items() if key in old and old[key] != row),
            deleted=tuple(key for key in old if key not in rows),
            held=len(old),
            reshaped=reshaped,
        )

    def _apply(self, table: Difference) -> None:
        from deltalake import write_deltalake

        place = self.uri / table.name
        if table.reshaped or (not table.held and table.name not in self.names()):
            place.mkdir(parents=True, exist_ok=True)
            write_deltalake(
                str(place), _arrow(table, table.rows), mode="overwrite", schema_mode="overwrite"
            )
            return
        key = next(iter(table.kinds))
        quoted = '"' + key.replace('"', '""') + '"'
        values = ", ".join("'" + value.replace("'", "''") + "'" for value in table.deleted)
        changed = (*table.inserted, *table.updated)
        if not changed:
            self._table(table.name).delete(f"{quoted} IN ({values})")
            return
        merge = (
            self._table(table.name)
            .merge(
                _arrow(table, changed),
                predicate=f"t.{quoted} = s.{quoted}",
                source_alias="s",
                target_alias="t",
            )
            .when_matched_update_all()
            .when_not_matched_insert_all()
        )
        if table.deleted:
            merge = merge.when_not_matched_by_source_delete(f"t.{quoted} IN ({values})")
        merge.execute()

    # --- reading --------------------------------------------------------------------------

    def query(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """Run one SELECT over the tables; values go into ``parameters`` (``?`` or ``$name``).

        The connection sees these tables and nothing else: no files, no other statements.

        Raises
        ------
        DeveloperError
            Not one SELECT, an unknown table or column, a wrong parameter.
        """
        import duckdb

        settings: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": False,
            "python_enable_replacements": False,
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            try:
                statements = connection.extract_statements(sql)
                if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                    raise DeveloperError(f"one SELECT is expected, not: {sql[:80]}")
                used = _words(sql)
                tables = self.names()
                views = self._views(used - {name.lower() for name in tables})
                used.update(word for text in views.values() for word in _words(text))
                for name in tables:
                    if name.lower() in used:
                        connection.register(name, filterable(self._table(name)))
                for name, text in views.items():
                    connection.execute(f'CREATE VIEW "{name}" AS {text}')
                connection.execute("SET lock_configuration = true")
                cursor = connection.execute(sql, parameters or None)
                columns = [column[0] for column in cursor.description or ()]
                return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            except duckdb.CatalogException as error:
                reason = str(error).strip().splitlines()[0]
                wanted = re.search(r"Table with name (\S+) does not exist", reason)
                if wanted is None:
                    raise DeveloperError(f"SQL: {reason} ({sql[:80]})") from error
                known = nearest(wanted[1], self.names())
                raise DeveloperError(f"no table '{wanted[1]}'{known}") from error
            except duckdb.Error as error:
                reason = str(error).strip().splitlines()[0]
                raise DeveloperError(f"SQL: {reason} ({sql[:80]})") from error

    def _views(self, words: set[str]) -> Mapping[str, str]:
        """Return the views that a query names; nothing is asked where it can name none."""
        if self.views is None or not any("_" in word for word in words):
            return {}
        return {name: text for name, text in self.views().items() if name.lower() in words}

    def _table(self, name: str) -> Any:
        from deltalake import DeltaTable

        known = self.names()
        if name not in known:
            raise DeveloperError(f"no table '{name}'{nearest(name, known)}")
        return DeltaTable(str(self.uri / name))


def filterable(table: Any) -> Any:
    """Return a Delta table's newest version as a dataset that takes conditions on any column.

    A merge writes its files' strings as views (deltalake 1.6), and pyarrow (25) cannot compare
    these files' statistics with a string: every condition on such a column fails. Such a table is
    read whole, and the condition looks at what was read.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    dataset = table.to_pyarrow_dataset()
    for fragment in dataset.get_fragments():
        if any(pa.types.is_string_view(column) for column in fragment.physical_schema.types):
            return ds.dataset(dataset.to_table())
    return dataset


def _words(sql: str) -> set[str]:
    return set(re.findall(r"\w+", sql.lower()))


def _first(told: Mapping[str, Any], *names: str) -> int:
    """Return the first of these counts that an operation tells; 0 for none."""
    return next((int(told[name]) for name in names if name in told), 0)


def _arrow(table: Difference, keys: Sequence[str] | Mapping[str, Row]) -> pa.Table:
    import pyarrow as pa

    types = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "string": pa.string(),
    }
    rows = [table.rows[key] for key in keys]
    return pa.table(
        {
            name: pa.array([row[position] for row in rows], types[kind])
            for position, (name, kind) in enumerate(table.kinds.items())
        }
    )


def _kind(of: pa.DataType) -> Kind:
    import pyarrow as pa

    if pa.types.is_integer(of):
        return "int"
    if pa.types.is_floating(of):
        return "float"
    if pa.types.is_boolean(of):
        return "bool"
    if pa.types.is_date(of):
        return "date"
    return "string"


@contextmanager
def _conflicts(name: str) -> Iterator[None]:
    """Say so when another process changed the table in between."""
    from deltalake.exceptions import CommitFailedError

    try:
        yield
    except CommitFailedError as error:
        raise TransientError(f"table {name} was changed by another process: {error}") from error
