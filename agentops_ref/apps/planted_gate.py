"""What a gate decides on a desk with one known defect, by cases that reading its failures gave.

`suite` makes regression cases of the categories. `decisions`, `often` and `returning` put them to
desks with one defect each (`agentops_ref.apps.planted`), and let the gate decide by three sets of
rules: for the answers, for the calls of tools, and for a budget. For chapter 12.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from agentops_ref.apps.planted import (
    DEFECTS,
    TOOLS,
    UNITS,
    UNKNOWN,
    Analysis,
    desk,
    in_categories,
    in_loops,
    in_matrix,
    own_units,
    seeded,
    unit_of,
)
from agentops_ref.evals import EvalResult, Verdict, decide, evaluate, parse_cases
from agentops_ref.evals.errors import Expected, draft_cases, gate_rule
from agentops_ref.evals.errors.regression import MOST
from agentops_ref.evals.gate_report import sentence
from agentops_ref.evals.paired import tango_interval
from agentops_ref.evals.run import Predict
from agentops_ref.evals.scorers import correct
from agentops_ref.evals.trajectory import tool_correctness, trajectory
from agentops_ref.records import Answer, Case, Step, Usage
from agentops_ref.settings_evals import GateRule

SCORERS = (correct, trajectory("strict"), tool_correctness)
RULES = ("answers", "calls", "budget")
"""The sets of rules that `Gate` decides by."""
TOKENS = 100
"""Tokens of a state, all alike: the gate has no budget for steps, and so they are counted."""
Strikes = Callable[[str], bool]
"""Whether a defect shows on a question about this unit."""


def suite(found: Analysis, *, most: int = MOST) -> list[Case]:
    """Make regression cases of each category, as ``agentops errors case`` does, and finish them.

    A draft of a category holds up to `MOST` traces; more come from drafts of single traces. A
    person fills in the facts and sources and, beyond what a draft asks for, the right calls.
    """
    cases = []
    for id_ in _chosen(found, most):
        told = Expected((found.held.traces[id_].expected,), ("manual 2024",))
        draft = draft_cases(found.groups, found.held, id_, expected=told)
        (case,) = parse_cases(draft.text, id_)
        unit = unit_of(case.question)
        model = {"model": UNITS[unit]}
        given = {"look up": {"unit": unit}, "search": model, "query": {**model, "column": "fuse"}}
        cases.append(replace(case, tools=TOOLS, arguments=given))
    return cases


def _chosen(found: Analysis, most: int) -> Iterator[str]:
    for category in found.groups.decided:
        ids = category.members["reader"]
        yield from sorted(ids, key=lambda i: (len(found.held.traces[i].question), i))[:most]


def agent(defect: str, strikes: Strikes, seed: int) -> Predict:
    """Return a desk with a defect on some questions, as what an evaluation asks."""

    def predict(case: Case) -> Answer:
        unit = unit_of(case.question)
        trace = desk(unit, defect if strikes(unit) else "", seeded(seed, defect, unit))
        steps = [
            Step("desk", one.state, one.input, one.status, result=one.output)
            for one in trace.visits
            if one.state in TOOLS
        ]
        usage = Usage(output_tokens=TOKENS * len(trace.visits))
        return Answer(trace.answer, trace.answer == UNKNOWN, usage=usage, steps=tuple(steps))

    return predict


def at_rate(defect: str, rate: float, seed: int) -> Strikes:
    """Say that a defect strikes a random share of the questions, the same ones for one seed."""
    return lambda unit: seeded("strikes", seed, defect, unit).random() < rate


class Gate:
    """A suite, the desk without a defect as its baseline, and rules that it can just meet."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.baseline = evaluate(cases, agent("", lambda _: False, 0), SCORERS).table
        self.rules = strictest(len(cases), max(self.baseline.measures("tokens")))

    def put(
        self, defect: str, strikes: Strikes, seed: int
    ) -> tuple[EvalResult, dict[str, Verdict]]:
        """Evaluate a desk with a defect; return what it did, and a verdict for each of `RULES`."""
        made = evaluate(self.cases, agent(defect, strikes, seed), SCORERS)
        return made, {k: decide(r, made.table, self.baseline) for k, r in self.rules.items()}


def strictest(n: int, most_tokens: float) -> dict[str, list[GateRule]]:
    """Return the strictest rules, to a hundredth, that ``n`` cases can meet when all of them pass.

    ``answers`` holds a threshold and a margin to a baseline, ``calls`` thresholds for which tools
    were called and with what, ``budget`` the share of the answers that keep to ``most_tokens``. The
    fewer cases, the laxer: a stricter rule would leave an agent without any defect undecided.
    """
    answers, *calls = (_suggested("all", n, one.__name__) for one in SCORERS)
    margin = int(-100 * tango_interval(0, 0, n).low + 1) / 100
    quantile = int(100 * 0.025 ** (1 / n)) / 100  # for a higher one, n values have no upper end
    return {
        "answers": [answers, GateRule(scorer="correct", no_worse_than=margin)],
        "calls": calls,
        "budget": [GateRule(measure="tokens", at_most=most_tokens, quantile=quantile)],
    }


def _suggested(slice: str, n: int, scorer: str = "correct") -> GateRule:
    return GateRule(**yaml.safe_load(gate_rule(slice, n, scorer=scorer)))


@dataclass(frozen=True)
class Decision:
    """What shows a defect, and what the gate says of an agent that has it."""

    defect: str
    """"none" for the desk without any."""
    matrix: bool
    categories: bool
    loop: str
    rate: float
    struck: int
    """Cases on which it showed, of ``n``."""
    wrong: int
    """Cases whose answer is wrong, so says `correct`."""
    n: int
    answers: str
    """The gate's outcome by each of `RULES`: pass, fail or undecided."""
    calls: str
    budget: str
    why: str
    """The check behind the first outcome that is no pass; of the answers where all pass."""


def decisions(
    found: Analysis, cases: Sequence[Case], *, rate: float = 1.0, seed: int = 0
) -> list[Decision]:
    """Return a row for each defect, and a last one for the desk without any."""
    matrix, categories, loops = in_matrix(found), in_categories(found), in_loops(found)
    gate, rows = Gate(cases), []
    for one in (*DEFECTS, ""):
        strikes = at_rate(one, rate if one else 0, seed)
        made, said = gate.put(one, strikes, seed)
        rows.append(
            Decision(
                one or "none",
                matrix=one in matrix,
                categories=one in categories,
                loop=loops.get(one, ""),
                rate=rate,
                struck=sum(strikes(unit_of(case.question)) for case in cases),
                wrong=len(made.failures("correct")),
                n=len(cases),
                answers=said["answers"].outcome,
                calls=said["calls"].outcome,
                budget=said["budget"].outcome,
                why=_why(said),
            )
        )
    return rows


def _why(said: Mapping[str, Verdict]) -> str:
    verdict = next((said[k] for k in RULES if said[k].outcome != "pass"), said["answers"])
    check = next(one for one in verdict.checks if one.outcome == verdict.outcome)
    return f"{check.name}: {sentence(check)}"


@dataclass(frozen=True)
class Share:
    """How often the gate gave each outcome on one defect, by one of `RULES`."""

    defect: str
    rules: str
    rate: float
    passed: int
    undecided: int
    failed: int


def often(cases: Sequence[Case], rate: float, seeds: Iterable[int]) -> list[Share]:
    """Return a row for each defect, and for none, by each of `RULES`, over several seeds.

    A defect that strikes some questions strikes others next time: one seed is one draw.
    """
    gate, counts = Gate(cases), Counter[tuple[str, str, str]]()
    for seed in seeds:
        for one in (*DEFECTS, ""):
            for name, verdict in gate.put(one, at_rate(one, rate, seed), seed)[1].items():
                counts[one, name, verdict.outcome] += 1
    return [
        Share(one or "none", name, rate, counts[one, name, "pass"],
              counts[one, name, "undecided"], counts[one, name, "fail"])
        for one in (*DEFECTS, "")
        for name in RULES
    ]  # fmt: skip


@dataclass(frozen=True)
class Return:
    """What the rules for the answers say of a defect that is back on just the units it was on."""

    defect: str
    cases: int
    """Cases of the suite that ask about these units."""
    own: str
    """By the rule that ``agentops errors case`` gives for so many cases; "" without one."""
    suite: str
    """By the whole suite."""
    without: str
    """By the rest of the suite; "" where there is none."""


def returning(cases: Sequence[Case], *, seed: int = 0) -> list[Return]:
    """Return a row for each defect: does the gate see it return where it was read?"""
    rows = []
    for one in DEFECTS:
        units = frozenset(own_units(one))
        mine = [case for case in cases if unit_of(case.question) in units]
        rest = [case for case in cases if unit_of(case.question) not in units]
        whole, left = (
            Gate(part).put(one, units.__contains__, seed)[1]["answers"].outcome if part else ""
            for part in (cases, rest)
        )
        own = ""
        if mine:
            made = evaluate(mine, agent(one, units.__contains__, seed), SCORERS)
            own = decide([_suggested("all", len(mine))], made.table).outcome
        rows.append(Return(one, len(mine), own, whole, left))
    return rows
