"""From a failed trace, or a category of them, to cases that will fail again should it come back.

The question is the trace's; what a right answer holds is for a person to say, never the answer
that was given. An unfinished case is a valid draft and no valid case: `load_cases` refuses it.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agentops_ref.errors import ConfigError, OperatorError, printable
from agentops_ref.evals.errors.reading import trace_called
from agentops_ref.evals.errors.records import Reading, Readings, Trace
from agentops_ref.evals.errors.taxonomy import Taxonomy
from agentops_ref.intervals import proportion_interval

MOST = 4
"""Traces of a category that become cases: at a level of 95%, the fewest that a gate can fail."""
Origin = Literal["trace", "incident"]


class Expected(NamedTuple):
    """What a person says a right answer holds."""

    facts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    abstain: bool = False

    @property
    def whole(self) -> bool:
        """Whether a case with it can be scored."""
        return self.abstain or bool(self.facts and self.sources)


class Draft(NamedTuple):
    """A file of cases."""

    text: str
    slice: str
    ids: tuple[str, ...]
    finished: bool


def clearest(taxonomy: Taxonomy, readings: Readings, name: str) -> list[Trace]:
    """Return up to `MOST` traces of a category, those that show it best first.

    First the category's own examples, then the traces that most people put there, then those
    whose place is known; among equals the shortest questions.

    Raises
    ------
    ConfigError
        No such category, one that is only proposed, or one without a failed trace.
    """
    category = taxonomy.named(name)
    if category.proposed:
        raise ConfigError(f"'{name}' is only proposed: agentops errors taxonomy accept {name}")
    agreed = taxonomy.agreed()
    failed = {one.trace: one for one in readings.failed if agreed.get(one.trace) == name}
    if not failed:
        raise ConfigError(f"category '{name}' has no failed trace on which nobody differs")

    def rank(id_: str) -> tuple[bool, int, bool, int, str]:
        people = sum(id_ in ids for ids in category.members.values())
        question = readings.traces[id_].question
        return (id_ not in category.examples, -people, not failed[id_].placed, len(question), id_)

    return [readings.traces[id_] for id_ in sorted(failed, key=rank)[:MOST]]


def draft_cases(
    taxonomy: Taxonomy,
    readings: Readings,
    name: str,
    *,
    origin: Origin = "trace",
    expected: Expected | None = None,
) -> Draft:
    """Return cases in the form of ``corpus/cases.yaml``, from a failed trace or a category.

    Parameters
    ----------
    name
        A category's name, or a trace's id.
    expected
        What a right answer holds. For one trace: with it the case is finished. A category gives
        several questions, which no one expectation answers.

    Raises
    ------
    ConfigError
        Neither a category nor a trace; a trace that was not read as failed or asks nothing.
    """
    category = next((one.name for one in taxonomy.categories if one.name == name), "")
    if category:
        chosen = clearest(taxonomy, readings, category)
        if expected and len(chosen) > 1:
            raise ConfigError(
                f"'{name}' gives {len(chosen)} cases, and one expectation does not answer them "
                "all: draft them and finish the file, or take one of the traces"
            )
    else:
        chosen = [trace_called(readings, name)]
    failed = {one.trace: one for one in readings.failed}
    for trace in chosen:
        if trace.id not in failed:
            raise ConfigError(f"'{trace.id}' is not read as failed: agentops errors codes add")
        if not trace.question.strip():
            raise ConfigError(f"'{trace.id}' holds no question of a user, so it makes no case")
    slice = category or taxonomy.agreed().get(chosen[0].id) or chosen[0].slice or "regression"
    expected = expected or Expected()
    cases, ids = [], []
    for trace in chosen:
        id_ = f"{slice}-{_slug(trace.id)}"
        ids.append(id_)
        cases.append(_case(id_, slice, trace, failed[trace.id], origin, expected))
    finished = expected.whole
    head = (
        "# Finished: agentops dataset add --file THIS_FILE"
        if finished
        else "# A draft. Fill in what stands empty, then: agentops dataset add --file THIS_FILE"
    )
    return Draft("\n".join([head, "cases:", *cases, ""]), slice, tuple(ids), finished)


def gate_rule(slice: str, passing: int, *, scorer: str = "correct", level: float = 0.95) -> str:
    """Return a line for ``evals.gate`` that this many cases of a slice can meet, when all pass.

    A gate passes where the whole interval is at or above its threshold, and the interval of few
    cases reaches far down: a threshold of 1 could never be met.
    """
    return f"{{scorer: {scorer}, slice: {slice}, at_least: {_threshold(passing, level)}}}"


def can_fail(cases: int, *, level: float = 0.95) -> bool:
    """Whether `gate_rule` for so many cases can fail; with fewer it is undecided at worst."""
    return proportion_interval(0, cases, level).high < _threshold(cases, level)


def _threshold(passing: int, level: float) -> float:
    """Return the highest threshold, to a hundredth, that so many right answers can meet."""
    return int(100 * proportion_interval(passing, passing, level).low) / 100


def write_draft(path: Path, draft: Draft) -> None:
    """Write a new file; what is there already is never touched.

    Raises
    ------
    OperatorError
        The file exists: a dataset takes finished cases only, and by its own command.
    """
    if path.exists():
        how = (
            "agentops dataset add adds finished cases to a dataset; write them to another --out"
            if draft.finished
            else "and the draft is not finished; choose another --out"
        )
        raise OperatorError(f"{path} exists, {how}")
    path.write_text(draft.text, encoding="utf-8")


def _case(
    id_: str, slice: str, trace: Trace, reading: Reading, origin: Origin, expected: Expected
) -> str:
    about = f"{trace.id}: {'; '.join(reading.notes) or 'failed'}"
    lines = [
        f"  - id: {_quoted(id_)}",
        f"    slice: {_quoted(slice)}",
        f"    question: {_quoted(trace.question)}",
        f"    origin: {origin}",
        f"    origin_note: {_quoted(printable(about))}",
    ]
    if reading.placed:
        lines.append(f"    # right until {reading.last_success}, wrong in {reading.first_failure}")
    if trace.expected:
        lines += _comment("its case expected:", trace.expected)
    lines += _comment("it was answered (which is wrong):", trace.answer or "nothing")
    if expected.abstain:
        lines.append("    abstain: true")
    else:
        lines.append(_list("facts", expected.facts, "what must be stated; or abstain: true"))
        lines.append(_list("sources", expected.sources, "documents that hold the answer"))
    if expected.forbidden or not expected.whole:
        lines.append(_list("forbidden", expected.forbidden, "what would do harm; may stay empty"))
    return "\n".join(lines)


def _list(key: str, values: Sequence[str], told: str) -> str:
    if values:
        return f"    {key}: {json.dumps(list(values), ensure_ascii=False)}"
    return f"    {key}: []  # FILL IN: {told}"


def _comment(head: str, text: str) -> list[str]:
    return [f"    # {head}", *(f"    #   {one}" for one in textwrap.wrap(printable(text), 84))]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON text is a YAML text


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())) or "case"
