"""Which actions wait for whom: by kind, by amount, and by how surely the user asked for them.

Taught in chapter 7. The policy is data and its judgement is code, so no text that a model reads or
writes has a part in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from agentops_ref.agents.tools.spec import ToolSpec

_TOKEN = re.compile(r"[^\W_]+(?:[-.,][^\W_]+)*")


class Demand(NamedTuple):
    """An action may be done when somebody has said so."""

    role: str
    """Who decides."""
    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Says of some writing tools who decides; all conditions that it states must hold."""

    tools: tuple[str, ...]
    """Names or patterns such as ``delete_*``."""
    role: str | None = None
    """Who decides; None lets the action be done."""
    amount: str = ""
    above: float | None = None
    """Holds where that value is more, also where it is missing or no number. It is one of what the
    tool would do, as its rehearsal says, or one of the arguments."""
    confidence_below: float | None = None
    """Holds where the `confidence` is less."""
    why: str = ""

    def fits(self, tool: str, values: Mapping[str, Any], sure: float) -> bool:
        """Whether the rule speaks of a call of these arguments and effects."""
        return (
            any(fnmatchcase(tool, pattern) for pattern in self.tools)
            and (self.above is None or not _at_most(values.get(self.amount), self.above))
            and (self.confidence_below is None or sure < self.confidence_below)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules, of which the first that fits decides. A write that none names waits for ``role``."""

    rules: Sequence[Rule]
    role: str

    def demand(
        self,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        said: str,
        effect: Mapping[str, Any] | None = None,
    ) -> Demand | None:
        """Return what a call waits for; None where nobody needs to be asked.

        Parameters
        ----------
        effect
            What the tool would do, by name, as its rehearsal says.
        said
            What the user said, see `confidence`.
        """
        if spec.effect == "read":
            return None
        sure = confidence(arguments, said)
        for rule in self.rules:
            if rule.fits(spec.name, {**arguments, **(effect or {})}, sure):
                return (rule.role and Demand(rule.role, rule.why or "a rule says so")) or None
        return Demand(self.role, "no rule lets it be done unasked")


def confidence(arguments: Mapping[str, Any], said: str) -> float:
    """Return how surely the user asked for an action: the share of its values that the user said.

    Counted are values with a digit (numbers, codes, dates), which a model can invent and a reader
    does not notice; 1 where there are none. A date counts in the forms in which people write it.

    >>> confidence({"invoice": "I8029", "amount_eur": 50}, "credit 50.00 EUR on I8029")
    1.0
    >>> confidence({"invoice": "I8029", "amount_eur": 500}, "credit 50 EUR on I8029")
    0.5
    """
    tokens = _tokens(said)
    values = [value for value in _leaves(arguments) if any(c.isdigit() for c in str(value))]
    if not values:
        return 1.0
    return sum(_stands(value, tokens) for value in values) / len(values)


def _at_most(value: Any, limit: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value <= limit


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _tokens(text: str) -> list[str]:
    return [_plain(token) for token in _TOKEN.findall(text)]


def _plain(token: str) -> str:
    """Return a token in lower case, a number without leading and trailing zeros."""
    if re.fullmatch(r"\d+(?:\.\d+)?", token):
        return f"{float(token):.10g}"
    return token.casefold()


def _stands(value: Any, tokens: Sequence[str]) -> bool:
    return any(_within(_tokens(form), tokens) for form in _forms(str(value)))


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    most = len(whole) - len(part) + 1
    return bool(part) and any(list(whole[n : n + len(part)]) == list(part) for n in range(most))


def _forms(value: str) -> Iterator[str]:
    yield value
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return
    month = day.strftime("%B")
    for name in (month, month[:3]):
        yield f"{day.day} {name} {day.year}"
        yield f"{name} {day.day} {day.year}"
    yield f"{day:%d.%m.%Y}"
    yield f"{day.day}.{day.month}.{day.year}"
    yield f"{day:%d/%m/%Y}"
