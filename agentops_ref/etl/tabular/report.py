"""What a sync of tables reports: what landed, and why the others stayed as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agentops_ref.errors import AgentOpsError


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
