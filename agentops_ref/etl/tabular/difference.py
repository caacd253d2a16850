"""Two states of a table compared by key, column by column, in DuckDB; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from one state to the other."""

    inserted: pa.Table
    """Rows of the new state."""
    updated: pa.Table
    """Rows of the new state, whose keys the old one has too."""
    deleted: pa.Table
    """Keys, as the old state has them."""
    held: int
    """Rows of the old state."""

    @property
    def counts(self) -> dict[str, int]:
        """``{}`` when there is nothing to do."""
        found = {
            "inserted": self.inserted.num_rows,
            "updated": self.updated.num_rows,
            "deleted": self.deleted.num_rows,
        }
        return found if any(found.values()) else {}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def difference(old: pa.Table, new: pa.Table, key: Sequence[str]) -> Difference:
    """Compare by ``key``; keys are not null and not repeated, key columns have one type in both.

    Columns that only ``old`` has are not compared; one that only ``new`` has counts as null before.
    """
    keys = " AND ".join(f"n.{quoted(name)} = o.{quoted(name)}" for name in key)
    rest = [name for name in new.column_names if name not in key]
    known = set(old.column_names)
    tests = [
        f"n.{quoted(c)} IS DISTINCT FROM o.{quoted(c)}"
        if c in known
        else f"n.{quoted(c)} IS NOT NULL"
        for c in rest
    ]
    named = ", ".join(f"o.{quoted(name)}" for name in key)
    run = _over(old, new)
    return Difference(
        run(f"SELECT n.* FROM new_rows n ANTI JOIN old_rows o ON {keys}", new),
        run(
            f"SELECT n.* FROM new_rows n JOIN old_rows o ON {keys} WHERE "
            f"{' OR '.join(tests) or 'false'}",
            new,
        ),
        run(f"SELECT {named} FROM old_rows o ANTI JOIN new_rows n ON {keys}", old.select(key)),
        old.num_rows,
    )


def filled(old: pa.Table, new: pa.Table, key: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """Return ``new`` with these columns of ``old`` where the key is the same, null elsewhere."""
    keys = " AND ".join(f"n.{quoted(name)} = o.{quoted(name)}" for name in key)
    more = ", ".join(f"o.{quoted(name)}" for name in columns)
    return _over(old, new)(
        f"SELECT n.*, {more} FROM new_rows n LEFT JOIN old_rows o ON {keys}", None
    )


def _over(old: pa.Table, new: pa.Table) -> Any:
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("old_rows", old)
    connection.register("new_rows", new)

    def run(sql: str, like: pa.Table | None) -> pa.Table:
        found = connection.sql(sql).to_arrow_table()
        return found if like is None else found.cast(like.schema)

    return run
