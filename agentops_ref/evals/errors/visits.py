"""From what a run left behind to the states that it went through.

Two sources say it: the spans of a trace, and the steps of an `Answer`. Both use the same names: a
node of the graph as it is called there, and what an agent below it did as ``agent/what``. Spans
see more, since an answer's steps leave out searches and calls of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

from agentops_ref.errors import printable
from agentops_ref.evals.errors.records import Visit
from agentops_ref.records import Answer

SHOWN = 2_000
"""Characters of a state's input and output that are kept to read."""
KINDS = ("AGENT", "RETRIEVER", "TOOL", "CHAT_MODEL", "PARSER", "GUARDRAIL")
"""Kinds of spans that are states."""


class SpanData(NamedTuple):
    """What is needed of a span."""

    id: str
    parent: str
    """Id of the span around it; empty for the outermost."""
    name: str
    kind: str
    start: int
    """Orders the spans, in nanoseconds."""
    failed: str = ""
    """Why it is marked as failed; empty where it is not."""
    inputs: Any = None
    outputs: Any = None


@dataclass(frozen=True, slots=True)
class Naming:
    """How spans are named as states. The composition root knows the agents, and says it."""

    deciders: Mapping[str, str] = field(default_factory=dict)
    """Agent → the node in which it calls its model: a supervisor's ``decide``."""
    nodes: Mapping[str, str] = field(default_factory=dict)
    """Name of an agent's span → its node, where the two differ."""
    around: frozenset[str] = frozenset()
    """Names of spans that are no agent's own: limits around all of it."""
    last: Mapping[str, str] = field(default_factory=dict)
    """Agent → the node that it always ends in, for which there is no span."""


def visits_of_spans(spans: Iterable[SpanData], naming: Naming | None = None) -> tuple[Visit, ...]:
    """Return the states that a trace's spans went through, in order of start.

    The outermost agent is the system itself and no state of its own. A span whose status is an
    error gives a visit that is ``failed``; so does what it was called from, as the tracer has it,
    and a suggested failure must be the innermost: an agent's visit is ``failed`` only where
    nothing below it is.
    """
    naming = naming or Naming()
    ordered = sorted(spans, key=lambda span: span.start)
    by_id = {span.id: span for span in ordered}
    blamed = _with_failure_below(ordered, by_id)
    root = next((s for s in ordered if s.kind == "AGENT" and s.name not in naming.around), None)
    found = []
    for span in ordered:
        if span.kind not in KINDS or span is root or span.name in naming.around:
            continue
        agents = _agents(span, by_id, root, naming)
        if span.kind == "AGENT" and agents[-1:] == [naming.nodes.get(span.name, span.name)]:
            continue  # the same node, once as it is called and once as it works
        failed = span.failed if span.id not in blamed else ""
        found.append(
            Visit(
                _name(span, agents, root, naming),
                status="failed" if failed else "ok",
                input=_short(span.inputs),
                output=f"failed: {printable(failed)[:SHOWN]}" if failed else _short(span.outputs),
            )
        )
    if (
        root is not None
        and (last := naming.last.get(root.name))
        and not (root.failed and not found)
    ):
        found.append(Visit(last))
    return tuple(found)


def visits_of_answer(answer: Answer, naming: Naming | None = None) -> tuple[Visit, ...]:
    """Return the states that an answer's steps went through, for an answer without a trace.

    One without steps is that of a chain: it retrieved, generated and cited.
    """
    naming = naming or Naming()
    if not answer.steps:
        return _chain(answer)
    found: list[Visit] = []
    leads = [step.agent for step in answer.steps if step.agent in naming.deciders]
    for at, step in enumerate(answer.steps):
        status = step.status
        if step.agent in naming.deciders:
            found.append(Visit(naming.deciders[step.agent], output=step.action))
            name = step.action
            inner = takewhile(lambda one: one.agent not in naming.deciders, answer.steps[at + 1 :])
            if any(one.status != "ok" for one in inner):
                status = "ok"  # what went wrong below it is blamed
        else:
            name = f"{step.agent}/{step.action}" if leads else step.action
        said = step.detail if step.status != "ok" else step.result
        found.append(Visit(name, status, _short(step.input), _short(said)))
    if leads and (last := naming.last.get(leads[0])):
        found.append(Visit(last))
    elif not leads:
        found.append(Visit("generate", output=_short(answer.text)))
    return tuple(found)


def _chain(answer: Answer) -> tuple[Visit, ...]:
    documents = ", ".join(dict.fromkeys(hit.chunk.document for hit in answer.hits))
    visits = [Visit("retrieve", output=_short(documents or "nothing"))]
    if answer.hits:
        status = "failed" if answer.problem else "ok"
        visits.append(Visit("generate", status, output=_short(answer.problem or answer.text)))
    if answer.hits and not answer.problem:
        cited = ", ".join(dict.fromkeys(one.document for one in answer.citations))
        visits.append(Visit("cite", output=_short(cited or "nothing")))
    return tuple(visits)


def _with_failure_below(spans: Sequence[SpanData], by_id: Mapping[str, SpanData]) -> set[str]:
    """Return the ids of the spans that failed because one within them did."""
    found = set()
    for span in spans:
        above = by_id.get(span.parent) if span.failed and span.kind in KINDS else None
        while above is not None and above.id not in found:
            found.add(above.id)
            above = by_id.get(above.parent)
    return found


def _agents(
    span: SpanData, by_id: Mapping[str, SpanData], root: SpanData | None, naming: Naming
) -> list[str]:
    """Return the nodes around a span, from the outermost in, without the system itself."""
    names: list[str] = []
    seen = {span.id}
    above = by_id.get(span.parent)
    while above is not None and above is not root and above.id not in seen:
        seen.add(above.id)
        if above.kind == "AGENT" and above.name not in naming.around:
            names.append(naming.nodes.get(above.name, above.name))
        above = by_id.get(above.parent)
    return list(dict.fromkeys(reversed(names)))


def _name(span: SpanData, agents: list[str], root: SpanData | None, naming: Naming) -> str:
    name = span.name
    if span.kind == "AGENT":
        name = naming.nodes.get(name, name)
    elif span.kind == "CHAT_MODEL" and not agents and root is not None:
        name = naming.deciders.get(root.name, name)
    return "/".join([*agents, name])


def _short(value: Any) -> str:
    """Return what a person needs to see of an input or an output, on one line."""
    if value is None or value == "" or value == {}:
        return ""
    if isinstance(value, list) and value and all(map(_is_document, value)):
        each = max(60, SHOWN // len(value) - 40)
        text = "; ".join(
            f"{(one.get('metadata') or {}).get('doc_uri', '?')}: "
            f"{printable(str(one['page_content']))[:each]}"
            for one in value
        )
        return text[: 2 * SHOWN]
    if isinstance(value, Mapping) and set(value) == {"messages"}:
        value = value["messages"][-1] if value["messages"] else ""
    if isinstance(value, Mapping) and "content" in value and not value.get("tool_calls"):
        value = value["content"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = printable(text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]} …"


def _is_document(one: Any) -> bool:
    return isinstance(one, Mapping) and "page_content" in one
