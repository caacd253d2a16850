"""The taxonomy: open notes grouped into categories. People decide; a model may propose.

A category that a model proposed is marked so in the file and counts nowhere until a person
accepts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.errors.reading import Count, count_of, trace_called
from agentops_ref.evals.errors.records import Readings

MODEL = "model"
"""The coder of what was proposed."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of failure."""

    name: str
    """Lower case, with dashes: it becomes the slice of the category's regression cases."""
    definition: str
    """When a trace belongs to it, so that two people would say the same."""
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Coder → ids of the traces that this person put here."""
    examples: tuple[str, ...] = ()
    """Ids of traces that show it most clearly."""
    proposed: bool = False
    """By a model, and not accepted."""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All categories, in the order of the file."""

    categories: tuple[Category, ...] = ()

    @property
    def decided(self) -> tuple[Category, ...]:
        return tuple(one for one in self.categories if not one.proposed)

    def named(self, name: str) -> Category:
        """Return a category.

        Raises
        ------
        ConfigError
            There is none of that name.
        """
        for one in self.categories:
            if one.name == name:
                return one
        hint = nearest(name, tuple(one.name for one in self.categories))
        hint = hint or "; add it: agentops errors taxonomy add"
        raise ConfigError(f"no category '{name}'{hint}")

    def said_by(self, coder: str) -> dict[str, str]:
        """Return trace → category as one person put them; proposed categories do not count."""
        return {id_: one.name for one in self.decided for id_ in one.members.get(coder, ())}

    @property
    def coders(self) -> tuple[str, ...]:
        """Who put traces into decided categories."""
        return tuple(dict.fromkeys(coder for one in self.decided for coder in one.members))

    def agreed(self) -> dict[str, str]:
        """Return trace → category, where everybody who put it somewhere put it there."""
        said: dict[str, set[str]] = {}
        for one in self.decided:
            for ids in one.members.values():
                for id_ in ids:
                    said.setdefault(id_, set()).add(one.name)
        return {id_: next(iter(names)) for id_, names in said.items() if len(names) == 1}

    def with_category(self, category: Category) -> Taxonomy:
        """Return a taxonomy with a category added, or in place of the one of its name."""
        if category.name in (one.name for one in self.categories):
            kept = [category if one.name == category.name else one for one in self.categories]
            return Taxonomy(tuple(kept))
        return Taxonomy((*self.categories, category))


# --- decisions ----------------------------------------------------------------------------------


def add_category(taxonomy: Taxonomy, name: str, definition: str) -> Taxonomy:
    """Return a taxonomy with a new, empty category."""
    if name in (one.name for one in taxonomy.categories):
        raise ConfigError(f"there is a category '{name}' already")
    return taxonomy.with_category(checked(Category(name, definition.strip())))


def assign(taxonomy: Taxonomy, readings: Readings, id_: str, name: str, *, coder: str) -> Taxonomy:
    """Return a taxonomy in which a person has put a failed trace into a category, and no other.

    Raises
    ------
    ConfigError
        No such category, one that is only proposed, or a trace that nobody read as failed.
    """
    if taxonomy.named(name).proposed:
        raise ConfigError(f"'{name}' is only proposed: agentops errors taxonomy accept {name}")
    if id_ not in {one.trace for one in readings.failed}:
        trace_called(readings, id_)
        raise ConfigError(f"'{id_}' is not read as failed: agentops errors codes add {id_}")
    kept = []
    for one in taxonomy.categories:
        mine = tuple(other for other in one.members.get(coder, ()) if other != id_)
        if one.name == name:
            mine = (*mine, id_)
        kept.append(one if one.proposed else replace(one, members=_with(one.members, coder, mine)))
    return Taxonomy(tuple(kept))


def accept(taxonomy: Taxonomy, name: str, *, coder: str, into: str | None = None) -> Taxonomy:
    """Return a taxonomy in which a person stands for what a model proposed.

    Parameters
    ----------
    into
        Another name for it; where that is a decided category, the traces go there.

    Raises
    ------
    ConfigError
        No such category, or one that is decided already; a trace that this person has put
        elsewhere keeps its place.
    """
    one = taxonomy.named(name)
    if not one.proposed:
        raise ConfigError(f"'{name}' is decided already")
    others = Taxonomy(tuple(other for other in taxonomy.categories if other is not one))
    elsewhere = others.said_by(coder)
    ids = dict.fromkeys(id_ for held in one.members.values() for id_ in held)
    mine = tuple(id_ for id_ in ids if id_ not in elsewhere)
    target = into or name
    if target in (other.name for other in others.decided):
        held = others.named(target)
        joined = (*held.members.get(coder, ()), *mine)
        return others.with_category(replace(held, members=_with(held.members, coder, joined)))
    made = replace(one, name=target, proposed=False, members={coder: mine} if mine else {})
    at = taxonomy.categories.index(one)
    return Taxonomy((*taxonomy.categories[:at], checked(made), *taxonomy.categories[at + 1 :]))


# --- counts -------------------------------------------------------------------------------------


def category_counts(taxonomy: Taxonomy, readings: Readings, *, level: float = 0.95) -> list[Count]:
    """Return how many of the read traces failed in each category, in all and by slice."""
    agreed = taxonomy.agreed()
    rows = []
    for category in taxonomy.decided:
        for slice in (None, *readings.slices):
            part = readings.within(slice=slice)
            count = sum(agreed.get(one.trace) == category.name for one in part.failed)
            if count or slice is None:
                rows.append(
                    count_of(category.name, slice or "all", count, len(part.decided), level)
                )
    return rows


def coverage(taxonomy: Taxonomy, readings: Readings, *, level: float = 0.95) -> Count:
    """Return the share of the failed traces that have a category on which nobody differs."""
    agreed = taxonomy.agreed()
    count = sum(one.trace in agreed for one in readings.failed)
    return count_of("has a category", "all", count, len(readings.failed), level)


def checked(category: Category) -> Category:
    """Return a category whose name and definition are ones.

    Raises
    ------
    ConfigError
        The name cannot be a slice's, or there is no definition.
    """
    if not _NAME.fullmatch(category.name):
        raise ConfigError(
            f"a category's name is words in lower case with dashes, got {category.name!r}: it "
            "becomes the slice of its regression cases"
        )
    if not category.definition.strip():
        raise ConfigError(f"'{category.name}' needs a 'definition': what belongs to it?")
    return category


def _with(
    members: Mapping[str, tuple[str, ...]], coder: str, ids: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    found = {**members, coder: tuple(ids)}
    return {name: held for name, held in found.items() if held}


def strays(taxonomy: Taxonomy, readings: Readings) -> list[str]:
    """Return ids in decided categories of traces that nobody reads as failed (any more)."""
    failed = {one.trace for one in readings.failed}
    return sorted(_every(taxonomy.decided) - failed)


def _every(categories: Iterable[Category]) -> set[str]:
    return {id_ for one in categories for ids in one.members.values() for id_ in ids}
