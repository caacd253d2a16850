"""A case from what was really asked: the trace gives the question, a person the expectations.

Taught in chapter 8. What the agent answered is never taken for what it should have answered; it
stands in the draft as a comment, for whoever fills in the facts.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentops_ref.errors import OperatorError, printable
from agentops_ref.records import Case


@dataclass(frozen=True, slots=True)
class Asked:
    """What a trace says of one request."""

    trace_id: str
    question: str
    answer: str = ""
    cited: tuple[str, ...] = ()
    """Documents, in the order of the citations."""

    @classmethod
    def of(cls, trace_id: str, inputs: Any, outputs: Any) -> Asked:
        """Read a trace's root: its inputs and outputs as they were noted.

        Raises
        ------
        OperatorError
            No question in it.
        """
        question = inputs.get("question") if isinstance(inputs, Mapping) else None
        if not isinstance(question, str) or not question.strip():
            raise OperatorError(
                f"trace {trace_id} holds no question: its root has the inputs {_short(inputs)}; "
                "take the trace of an agent's answer"
            )
        answer = outputs.get("answer", "") if isinstance(outputs, Mapping) else outputs
        cited = outputs.get("cited") or () if isinstance(outputs, Mapping) else ()
        documents = [row[0] for row in cited if isinstance(row, list | tuple) and row]
        return cls(
            trace_id,
            question.strip(),
            answer if isinstance(answer, str) else _short(answer),
            tuple(dict.fromkeys(str(one) for one in documents)),
        )


def draft_of(asked: Asked, *, case_id: str, slice: str) -> str:
    """Return a file of cases for a person to finish; until then it is not valid.

    The expectations are empty and what the agent said is a comment.
    """
    draft = Case(case_id, asked.question, slice=slice, origin="trace", origin_note=asked.trace_id)
    said = textwrap.wrap(printable(asked.answer) or "nothing", 88)
    return "\n".join(
        [
            "# Say what a right answer holds, then: agentops dataset add --file THIS_FILE",
            "# The agent answered (which may be wrong):",
            *(f"#   {line}" for line in said),
            f"# and cited: {', '.join(map(printable, asked.cited)) or 'nothing'}",
            "cases:",
            *(f"  {'- ' if key == 'id' else '  '}{key}: {_quoted(getattr(draft, key))}"
              for key in ("id", "slice", "origin", "origin_note", "question")),
            "    facts: []      # what must be stated; or, in place of facts, abstain: true",
            "    forbidden: []  # what would do harm",
            "    sources: []    # documents that hold the answer",
            "",
        ]
    )  # fmt: skip


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON text is a YAML text


def _short(value: Any) -> str:
    return textwrap.shorten(printable(str(value)), 120, placeholder=" …")
