"""What changed in a table, version by version: its change feed, and what that adds up to.

Delta writes the changed rows of a merge beside it (``delta.enableChangeDataFeed``), so that they
can be read without the table. What a version wrote anew as a whole, and versions from before the
feed was switched on, are compared with the version before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentops_ref.errors import OperatorError
from agentops_ref.etl.tabular.difference import difference
from agentops_ref.etl.tabular.kinds import cast, kind_of_type, wider

if TYPE_CHECKING:
    import pyarrow as pa

ChangeKind = Literal["insert", "update", "delete"]
Key = tuple[Any, ...]

_NO_ROWS = {"SET TBLPROPERTIES", "ADD COLUMN", "OPTIMIZE", "VACUUM START", "VACUUM END"}
_FED = {"MERGE", "DELETE", "UPDATE"}


@dataclass(frozen=True, slots=True)
class RowChange:
    """What one version did to one row."""

    version: int
    kind: ChangeKind
    key: Key
    before: Mapping[str, Any] | None
    """The row as it was; None for an insert."""
    after: Mapping[str, Any] | None
    """The row as it is since; None for a delete."""


def changes_of(
    open_at: Any, operation: str, version: int, key: Sequence[str], *, where: str
) -> list[RowChange]:
    """Return what one version did, by key.

    Parameters
    ----------
    open_at
        ``open_at(version)`` gives the `deltalake.DeltaTable` as it was.
    operation
        Delta's name of what made the version.

    Raises
    ------
    OperatorError
        The version's files were vacuumed away.
    """
    if operation in _NO_ROWS:
        return []
    try:
        if operation in _FED:
            try:
                return _fed(open_at(version), version, key)
            except Exception as error:
                if "change data" not in str(error):
                    raise
        new = open_at(version).to_pyarrow_table()
        old = open_at(version - 1).to_pyarrow_table() if version else new.slice(0, 0)
    except Exception as error:
        raise OperatorError(
            f"{where}: version {version} cannot be read any more ({_line(error)}); ask for changes "
            "since a later version, or read the table as it is now"
        ) from error
    return compared(old, new, key, version)


def compared(old: pa.Table, new: pa.Table, key: Sequence[str], version: int) -> list[RowChange]:
    """Return what leads from one state to the next. Keys are told as the next has them.

    A wider type is no change of a row; a column that was dropped changes the rows that had a value.
    """
    import pyarrow as pa

    both = [name for name in new.column_names if name in old.column_names]
    alike_old, alike_new = old, new
    for name in both:
        a, b = kind_of_type(old.schema.field(name).type), kind_of_type(new.schema.field(name).type)
        if a and b and a != b:
            kind = wider(a, b)
            alike_old = _with(alike_old, name, cast(old.column(name), kind))
            alike_new = _with(alike_new, name, cast(new.column(name), kind))
    for name in old.column_names:
        if name not in new.column_names:
            kind_type = old.schema.field(name).type
            alike_new = alike_new.append_column(name, pa.nulls(new.num_rows, kind_type))
    found = difference(alike_old, alike_new, key)
    before = {_key(k, key): row for k, row in _paired(alike_old, old)}
    after = {_key(k, key): row for k, row in _paired(alike_new, new)}
    made = [
        *(("insert", k) for k in _keys(found.inserted, key)),
        *(("update", k) for k in _keys(found.updated, key)),
        *(("delete", k) for k in _keys(found.deleted, key)),
    ]
    return _sorted(
        RowChange(version, kind, k, before.get(k), after.get(k))  # type: ignore[arg-type]
        for kind, k in made
    )


def net(changes: Iterable[RowChange]) -> dict[Key, RowChange]:
    """Return key → what all changes of its row add up to; none for a row that is as it was.

    So a reader that keeps something made of the rows of a version does work for the rows that have
    changed since, and once for each.
    """
    found: dict[Key, RowChange] = {}
    for change in changes:
        earlier = found.get(change.key)
        before = earlier.before if earlier else change.before
        if before == change.after:  # also both None: came and went
            found.pop(change.key, None)
            if earlier or before is not None:
                continue
        kind: ChangeKind = (
            "insert" if before is None else "delete" if change.after is None else "update"
        )
        found[change.key] = RowChange(change.version, kind, change.key, before, change.after)
    return found


def _fed(table: Any, version: int, key: Sequence[str]) -> list[RowChange]:
    import pyarrow as pa

    rows = pa.table(table.load_cdf(version, version)).to_pylist()
    before: dict[Key, Mapping[str, Any]] = {}
    after: dict[Key, Mapping[str, Any]] = {}
    for row in rows:
        what = row["_change_type"]
        plain = {name: value for name, value in row.items() if name not in _FEED_COLUMNS}
        side = before if what in {"delete", "update_preimage"} else after
        side[_key(plain, key)] = plain
    return _sorted(
        RowChange(
            version,
            "insert" if k not in before else "delete" if k not in after else "update",
            k,
            before.get(k),
            after.get(k),
        )
        for k in {**before, **after}
        if before.get(k) != after.get(k)
    )


_FEED_COLUMNS = {"_change_type", "_commit_version", "_commit_timestamp"}


def _paired(alike: pa.Table, rows: pa.Table) -> Iterator[tuple[Mapping[str, Any], Any]]:
    yield from zip(alike.to_pylist(), rows.to_pylist(), strict=True)


def _keys(rows: pa.Table, key: Sequence[str]) -> list[Key]:
    return [_key(row, key) for row in rows.select(list(key)).to_pylist()]


def _key(row: Mapping[str, Any], key: Sequence[str]) -> Key:
    return tuple(row[name] for name in key)


def _with(rows: pa.Table, name: str, column: Any) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, column)


def _sorted(changes: Iterable[RowChange]) -> list[RowChange]:
    return sorted(changes, key=lambda change: tuple(map(str, change.key)))


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
