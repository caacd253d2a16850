"""What a source of rows says now: typed columns and the key that names a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import DocumentError, nearest
from agentops_ref.etl.tabular.kinds import Kind, cast, kind_of_type

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Incoming:
    """All rows of one source."""

    where: str
    """Names the source in errors."""
    key: tuple[str, ...]
    cells: pa.Table
    """Columns of the types of `kinds.arrow_type`, or null where a column has no values."""
    forms: Mapping[str, Kind] | None = None
    """Column → the kind that its text has, where cells are text as a CSV file holds them."""
    numbers: Sequence[int] | None = None
    """Number of each row in its source, for errors; by default 1, 2, ..."""

    def kinds(self) -> dict[str, Kind | None]:
        """Return column → kind, the key first; None where a column has no values."""
        names = (*self.key, *(n for n in self.cells.column_names if n not in self.key))
        if self.forms is not None:
            return {name: self.forms.get(name) for name in names}
        return {name: kind_of_type(self.cells.schema.field(name).type) for name in names}

    def typed(self, kinds: Mapping[str, Kind]) -> pa.Table:
        """Return the rows with columns of these kinds, and in this order."""
        import pyarrow as pa

        return pa.table(
            {
                name: self._column(name, kind)
                for name, kind in kinds.items()
                if name in self.cells.column_names
            }
        )

    def _column(self, name: str, kind: Kind) -> Any:
        import pyarrow.compute as pc

        column = self.cells.column(name)
        if self.forms is None or kind == "string":
            return cast(column, kind)
        if kind == "bool":
            return pc.equal(column, "true")
        form = self.forms.get(name, kind)
        # By way of its own kind, so that a number too long for a float is noticed.
        return cast(cast(column, form), kind)


def checked(made: Incoming) -> Incoming:
    """Return it again if its key names each row once.

    Raises
    ------
    DocumentError
        No rows' key column, null or repeated keys; with the first of them and their rows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = made.cells.column_names
    for column in made.key:
        if column not in names:
            raise DocumentError(
                f"{made.where}: no key column '{column}'{nearest(column, names)}; mend the header, "
                "or `key` in the table's entry of etl.tables.sources"
            )
    lowered: dict[str, str] = {}
    for name in names:
        if (same := lowered.setdefault(name.lower(), name)) != name:
            raise DocumentError(
                f"{made.where}: the columns '{same}' and '{name}' differ in case only; rename one"
            )
    for column in made.key:
        if made.cells.column(column).null_count:
            # Not `indices_nonzero`, which takes the process down on a column without rows.
            empty = [n for n, v in enumerate(made.cells.column(column).to_pylist()) if v is None]
            raise DocumentError(
                f"{made.where}: the key is empty: column '{column}' in row"
                f"{_listed(_number(made, n) for n in empty)} ({len(empty)} in all); "
                "each row needs its key"
            )
    keys = made.cells.select(list(made.key)).append_column(
        _fresh("row", names), pa.array(range(made.cells.num_rows), pa.int64())
    )
    number = keys.column_names[-1]
    groups = keys.group_by(list(made.key)).aggregate(
        [(number, "min"), (number, "max"), (number, "count")]
    )
    again = groups.filter(pc.greater(groups.column(f"{number}_count"), 1))
    if again.num_rows:
        shown = again.sort_by(f"{number}_min").slice(0, _SHOWN).to_pylist()
        told = "; ".join(
            f"row {_number(made, row[f'{number}_max'])}: the key "
            f"'{', '.join(str(row[c]) for c in made.key)}' is repeated ({row[f'{number}_count']} "
            f"rows have it, first row {_number(made, row[f'{number}_min'])})"
            for row in shown
        )
        raise DocumentError(
            f"{made.where}, {told}; {again.num_rows} repeated in all: "
            "remove the copies, or name more columns as the `key`"
        )
    return made


def _number(made: Incoming, position: int) -> int:
    return made.numbers[position] if made.numbers else position + 1


def _listed(rows: Any) -> str:
    first = [str(row) for _, row in zip(range(_SHOWN), rows, strict=False)]
    return f"{'s' * (len(first) > 1)} {', '.join(first)}"


def _fresh(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name
