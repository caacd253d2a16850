"""Two states of a table whose columns' types differ, brought to types that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentops_ref.etl.tabular.evolve import Shape
from agentops_ref.etl.tabular.incoming import Incoming
from agentops_ref.etl.tabular.kinds import Kind, cast, wider

if TYPE_CHECKING:
    import pyarrow as pa


def alike(
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
