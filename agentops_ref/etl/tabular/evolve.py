"""What becomes of a table's columns when its source's columns have changed; decided, not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agentops_ref.errors import DocumentError, SyncRefused
from agentops_ref.etl.tabular.kinds import Kind, wider

Vanished = Literal["keep", "drop", "refuse"]
Narrowed = Literal["keep", "narrow", "refuse"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What may happen to a table's columns without anybody being asked."""

    vanished: Vanished = "keep"
    """A column that the source has no more: kept (rows keep their values, new rows have null),
    dropped, or the table is refused."""
    narrowed: Narrowed = "keep"
    """A column whose values fit a narrower type: the wider one is kept, the narrower taken, or the
    table is refused."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns after a merge."""

    kinds: Mapping[str, Kind]
    """Column → kind, in the table's order; new columns come last."""
    notes: tuple[str, ...] = ()
    """What changed, a line each."""
    added: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Columns that the source has no more and the table keeps."""
    rewrite: bool = False
    """Delta cannot do it while merging, so the table is written anew, as one transaction."""


def evolve(
    where: str, before: Mapping[str, Kind], now: Mapping[str, Kind | None], policy: Policy
) -> Shape:
    """Return the columns that a table shall have.

    Parameters
    ----------
    where
        Names the source in errors.
    before
        Column → kind of the table; empty for a table that is not there yet.
    now
        Column → kind of the source; None where it has no values, which says nothing about types.

    Raises
    ------
    SyncRefused
        A column vanished or narrowed, and the policy is to refuse that.
    DocumentError
        A new column differs from a kept one in case only, which Delta does not tell apart.
    """
    if not before:
        return Shape({name: kind or "string" for name, kind in now.items()})
    kinds: dict[str, Kind] = {}
    notes: list[str] = []
    kept: list[str] = []
    rewrite = False
    for name, old in before.items():
        if name not in now:
            if policy.vanished == "refuse":
                raise SyncRefused(
                    f"{where}: column '{name}' is gone; bring it back, or set etl.tables.vanished "
                    "to keep or drop; the table was not changed"
                )
            if policy.vanished == "drop":
                notes.append(f"column {name} dropped: the source has it no more")
                rewrite = True
                continue
            notes.append(f"column {name} kept, though the source has it no more")
            kept.append(name)
            kinds[name] = old
            continue
        new = now[name] or old
        kinds[name] = wider(old, new)
        if kinds[name] != old:
            notes.append(f"column {name} widened: {old} → {kinds[name]}")
            rewrite = True
        elif new != old and policy.narrowed == "refuse":
            raise SyncRefused(
                f"{where}: column '{name}' has {new} values where its table has {old}; mend it, or "
                "set etl.tables.narrowed to keep or narrow; the table was not changed"
            )
        elif new != old and policy.narrowed == "narrow":
            kinds[name] = new
            notes.append(f"column {name} narrowed: {old} → {new}")
            rewrite = True
    added = tuple(name for name in now if name not in before)
    lowered = {name.lower(): name for name in kinds}
    for name in added:
        if name.lower() in lowered:
            raise DocumentError(
                f"{where}: the new column '{name}' differs from the table's column "
                f"'{lowered[name.lower()]}' in case only; rename it, or set etl.tables.vanished "
                "to drop"
            )
        kinds[name] = now[name] or "string"
        notes.append(f"column {name} added: {kinds[name]}")
    # A merge cannot raise the table's protocol, which the first time without a zone needs.
    first = any(kinds[n] == "datetime" for n in added) and "datetime" not in before.values()
    return Shape(kinds, tuple(notes), added, tuple(kept), rewrite or first)
