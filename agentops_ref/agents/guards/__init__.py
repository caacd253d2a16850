"""Guards with one type of decision: pass, redact, block, ask a person. Taught in chapter 7.

::

    question ─► [user] ─► agent ─────────────────────────► [answer] ─► who asked
    facts ────► [document] ─┘ ▲           ▲
                    search ─► [document]  └ [tool] ◄─ Registry.call

Which guard looks at which channel, and what follows, stands in the section ``guards:``.
"""

from agentops_ref.agents.guards.build import GUARDS, Parts, build_guards
from agentops_ref.agents.guards.checks import Check, Guards
from agentops_ref.agents.guards.decision import (
    Channel,
    Context,
    Decision,
    Guard,
    OnHit,
    Verdict,
    hit,
    passed,
)
from agentops_ref.agents.guards.guarded import Guarded
from agentops_ref.agents.guards.personal import Masker, Patterns, Presidio

__all__ = [
    "GUARDS",
    "Channel",
    "Check",
    "Context",
    "Decision",
    "Guard",
    "Guarded",
    "Guards",
    "Masker",
    "OnHit",
    "Parts",
    "Patterns",
    "Presidio",
    "Verdict",
    "build_guards",
    "hit",
    "passed",
]
