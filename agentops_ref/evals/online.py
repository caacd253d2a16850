"""The scorers of a release on traces of production: the same objects, the same verdicts.

Taught in chapter 8. An agent writes its whole answer into its trace (`agentops_ref.plain`); here it
is read back, with what is expected of the question where a person or an evaluation has said so. A
question of production of which nothing is expected is only scored by what needs no expectation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentops_ref.errors import DocumentError
from agentops_ref.evals.run import scored
from agentops_ref.evals.scorers import Scorer
from agentops_ref.plain import answer_of, case_of
from agentops_ref.records import Answer, Case, Score


class Traced(NamedTuple):
    """What a trace says of one question."""

    case: Case
    answer: Answer
    error: str
    """Why there is no answer; empty otherwise."""


def read_trace(trace: Any) -> Traced:
    """Return question, answer and expectations of an MLflow trace.

    Parameters
    ----------
    trace
        Of an agent of this package, or of `agentops_ref.evals.evaluate`. What the tracer masked is
        masked.

    Raises
    ------
    DocumentError
        No span holds an answer; names the trace.
    """
    for span in _outermost_first(trace):
        said, asked = span.outputs, span.inputs
        if not (isinstance(said, Mapping) and {"answer", "abstained"} <= said.keys()):
            continue
        if not (isinstance(asked, Mapping) and isinstance(asked.get("question"), str)):
            continue
        expected: dict[str, Any] = {}
        for one in trace.info.assessments:
            if one.expectation is not None and one.name == "expected":
                expected = dict(one.expectation.value)
        name = str(asked.get("case") or trace.info.trace_id)
        try:
            case = case_of({"id": name, "question": asked["question"], **expected})
            answer = answer_of({key: said[key] for key in said if key != "error"})
        except DocumentError as error:
            raise DocumentError(f"trace {trace.info.trace_id}: {error}") from None
        failed = said.get("error") or (answer.problem if answer.abstained else "")
        return Traced(case, answer, str(failed))
    raise DocumentError(
        f"trace {trace.info.trace_id}: no span has a 'question' as input and an answer as output; "
        "is it of an agent of this package?"
    )


def score_trace(trace: Any, scorers: Sequence[Scorer]) -> tuple[Score, ...]:
    """Score a trace as an evaluation scores an answer.

    A scorer that fails leaves a `Score` with its error; a trace without an answer is an error of
    the caller's, see `read_trace`.
    """
    case, answer, error = read_trace(trace)
    return scored(scorers, case, answer, error)


def _outermost_first(trace: Any) -> Iterator[Any]:
    spans = sorted(trace.data.spans, key=lambda span: span.start_time_ns)
    known = {span.span_id for span in spans}
    level = [span for span in spans if span.parent_id not in known]
    while level:
        yield from level
        above = {span.span_id for span in level}
        level = [span for span in spans if span.parent_id in above]
