"""The red-team suite: attacks on the running case, and what looks like them. For chapter 7.

::

    corpus/redteam/*.yaml ─► cases ─► arena (a real agent, tools and tables; an obedient model)
                                        └─► outcomes ─► rates with intervals, table, figure
"""

from agentops_ref.apps.redteam.arena import Arena, Outcome
from agentops_ref.apps.redteam.cases import Attack, first_attacks, load_attacks
from agentops_ref.apps.redteam.report import Rate, as_json, figure, rates, table
from agentops_ref.apps.redteam.run import SETS, guard_sets, play, play_real

__all__ = [
    "SETS",
    "Arena",
    "Attack",
    "Outcome",
    "Rate",
    "as_json",
    "figure",
    "first_attacks",
    "guard_sets",
    "load_attacks",
    "play",
    "play_real",
    "rates",
    "table",
]
