"""A desk with one consequential tool, whose doings can be counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from agentops_ref.agents.approvals import Approvals, Decider, Policy, Rule
from agentops_ref.agents.memory import Database
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.errors import ModelError
from tests.agents.memory.parts import Clock

POLICY = Policy(
    [
        Rule(("pay",), "treasurer", amount="euros", above=100, why="above 100 EUR"),
        Rule(("pay",), "clerk", confidence_below=0.5, why="not what was said"),
        Rule(("pay",)),
    ],
    role="chief",
)
LASTS = timedelta(hours=72)
ASKER = Caller("desk", tenant="torvik", user="bo", request="r1", said="pay 500 EUR to Ada")
TREASURER = Decider("ida", ("treasurer",), "torvik")
CHIEF = Decider("eva", ("chief",), "*")
BIG = {"euros": 500, "to": "Ada"}


class Desk:
    """A registry with `pay` behind the gate; ``paid`` is what was really done."""

    def __init__(
        self, database: Database, *, during: Callable[[], None] = lambda: None, version: str = "1"
    ) -> None:
        self.clock, self.paid, self.during = Clock(), list[tuple[float, str]](), during
        self.approvals = Approvals(lambda: database, POLICY, lasts=LASTS, clock=self.clock)
        tool = FunctionTool(self.pay, effect="write", rehearses=True, version=version)
        self.registry = Registry([tool], gate=self.approvals.gate)

    def pay(self, euros: float, to: str, caller: Caller) -> str:
        """Pay somebody."""
        if to == "nobody":
            raise ModelError("there is nobody of that name")
        if not caller.rehearsal:
            self.during()
            self.paid.append((euros, to))
        return f"paid {euros:g} EUR to {to}"

    def ask(self, caller: Caller = ASKER, **arguments: Any) -> Any:
        return self.registry.call("pay", {**BIG, **arguments}, caller)

    def decide(self, id_: str, *, approve: bool = True, by: Decider = TREASURER) -> Any:
        return self.approvals.decide(id_, approve=approve, by=by, call=self.registry.call)
