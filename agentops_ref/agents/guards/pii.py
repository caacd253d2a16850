"""Personal data as a guard: what goes to somebody else's model, and what an answer gives away.

Taught in chapter 7. On the way in everything personal is masked. In an answer a value may stand
that was asked with, or shown for this request, since what is shown belongs to the caller's tenant;
any other is from elsewhere, or made up, and is masked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentops_ref.agents.guards.decision import Channel, Context, Decision, OnHit, hit, passed
from agentops_ref.agents.guards.personal import Masker


class Pii:
    """Masks personal data.

    Parameters
    ----------
    allow
        Regular expressions of what is nobody's secret, such as the addresses of our own desks.
    """

    def __init__(self, *, on_hit: OnHit, masker: Masker, allow: Sequence[str] = ()) -> None:
        self._on_hit, self._masker = on_hit, masker
        self._allow = re.compile("|".join(allow) or r"(?!)", re.IGNORECASE)

    def check(self, text: str, channel: Channel, context: Context) -> Decision:
        """Look for personal data."""
        seen = _flat("\n".join((context.question, *context.shown))) if channel == "answer" else ""

        def keep(value: str) -> bool:
            return bool(self._allow.search(value)) or (bool(seen) and _flat(value) in seen)

        masked, kinds = self._masker(text, keep)
        return (
            hit(self._on_hit, [f"pii: {kind}" for kind in kinds], masked) if kinds else passed(text)
        )


def _flat(text: str) -> str:
    return " ".join(text.lower().split())
