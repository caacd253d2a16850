"""What changed between two versions of a dataset, case by case. Taught in chapter 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from agentops_ref.evals.datasets.versions import Version
from agentops_ref.records import Case


class CaseChange(NamedTuple):
    """One field of one case that differs."""

    case: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """Every difference between two versions; each case is in one of the groups at most."""

    before: str
    """Digest of the older version."""
    after: str
    added: tuple[Case, ...] = ()
    removed: tuple[Case, ...] = ()
    """Gone from the file. A case that nobody wants any more is better retired: see `retired`."""
    retired: tuple[Case, ...] = ()
    """As they are now, with the reason; other fields of them may have changed as well."""
    restored: tuple[Case, ...] = ()
    """Retired before, and no longer."""
    changes: tuple[CaseChange, ...] = ()
    """Fields of cases in no other group, in the order of the newer version."""

    def __bool__(self) -> bool:
        return self.before != self.after

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON holds."""
        groups = ("added", "removed", "retired", "restored")
        return {
            "before": self.before,
            "after": self.after,
            **{name: [asdict(case) for case in getattr(self, name)] for name in groups},
            "changes": [change._asdict() for change in self.changes],
        }


def diff(before: Version, after: Version) -> DatasetDiff:
    """Compare two versions by the ids of their cases. The order of the cases does not matter."""
    old = {case.id: case for case in before.cases}
    new = {case.id: case for case in after.cases}
    both = [(old[name], new[name]) for name in new if name in old]
    retired = tuple(now for was, now in both if now.retired and not was.retired)
    restored = tuple(now for was, now in both if was.retired and not now.retired)
    moved = {case.id for case in (*retired, *restored)}
    return DatasetDiff(
        before.digest,
        after.digest,
        tuple(case for name, case in new.items() if name not in old),
        tuple(case for name, case in old.items() if name not in new),
        retired,
        restored,
        tuple(one for was, now in both if now.id not in moved for one in _changes(was, now)),
    )


def diff_lines(found: DatasetDiff) -> list[tuple[str, str, str]]:
    """Return (what happened, case, how) per line; a changed case has a line for each field."""
    return [
        *(("added", c.id, f"{c.slice}, {c.split}: {c.question}") for c in found.added),
        *(("removed", case.id, case.question) for case in found.removed),
        *(("retired", case.id, case.retired) for case in found.retired),
        *(("restored", case.id, case.question) for case in found.restored),
        *(("changed", c.case, f"{c.field}: {_shown(c.before)} -> {_shown(c.after)}")
          for c in found.changes),
    ]  # fmt: skip


def _changes(was: Case, now: Case) -> Iterator[CaseChange]:
    for field in fields(Case):
        before, after = getattr(was, field.name), getattr(now, field.name)
        if before != after:
            yield CaseChange(now.id, field.name, before, after)


def _shown(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value) if value != "" else '""'
