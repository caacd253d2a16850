"""The deterministic chain: retrieve, answer from what was found, cite or abstain.

Taught in chapters 1 and 5. No model decides what happens next, which makes the chain the
cheapest agent to test and the baseline that every other architecture has to beat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agentops_ref.agents.citations import Draft, answer_schema, cite, read_draft, strip_markers
from agentops_ref.agents.limits import Limits
from agentops_ref.agents.prompts import Prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.tenants import restricted
from agentops_ref.errors import (
    AgentOpsError,
    ModelError,
    OperatorError,
    TransientError,
    encodable,
    printable,
    reason,
)
from agentops_ref.records import Answer, Hit, Usage
from agentops_ref.tracing import NoTracer, Tracer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage


class Search(Protocol):
    """What an agent knows of retrieval: a question in, hits out."""

    def __call__(
        self, query: str, *, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> list[Hit]: ...


class Agent(Protocol):
    """Every agent of the book: a question in, an `Answer` out."""

    def __call__(self, question: str, *, request: Request | None = None) -> Answer: ...


NOT_ASKED = "no model: nothing was found"
"""Who answered when a search found nothing: the chain abstains without a model call."""

SILENT = "the model said nothing"
UNREADABLE = "the model's answer cannot be read"
MAX_CHARS = 100_000
"""Characters of what a model says in one call; more is not an answer."""

UsageOf = Callable[["BaseMessage"], Usage]


def format_context(
    hits: Sequence[Hit], limit: int | None = None, *, start: int = 1
) -> tuple[str, tuple[Hit, ...]]:
    """Number the excerpts from ``start``, best first, until ``limit`` characters are used.

    The first excerpt is always shown; without a limit, all are. Returns the text and the hits that
    are in it, so that a marker can only ever point to what the model has really seen.
    """
    lines: list[str] = []
    used = 0
    for hit in hits:
        line = f"[{start + len(lines)}] {hit.chunk.context}: {hit.chunk.text}"
        if limit is not None and lines and used + len(line) > limit:
            break
        lines.append(line)
        used += len(line)
    return "\n".join(lines), tuple(hits[: len(lines)])


class Chain:
    """Retrieve → answer → cite. Holds no state between questions."""

    def __init__(
        self,
        *,
        search: Search,
        model: BaseChatModel,
        prompt: Prompt,
        usage_of: UsageOf,
        context_chars: int,
        min_support: float,
        tracer: Tracer | None = None,
    ) -> None:
        self.search, self.model, self.prompt = search, model, prompt
        self.usage_of, self.context_chars, self.min_support = usage_of, context_chars, min_support
        self.tracer = tracer or NoTracer()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        with self.tracer.span("chain", "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            with self.tracer.span("retrieve", "RETRIEVER", {"query": question}) as found:
                hits = request.limits.run("the search", lambda: self._found(question, request))
                found.outputs([document_of(hit) for hit in hits])
            excerpts, shown = format_context(hits, self.context_chars)
            facts, known = format_context(request.known, start=len(shown) + 1)
            context, shown = "\n".join(filter(None, (excerpts, facts))), shown + known
            if not shown:
                answer = Answer(
                    text=self.prompt.reply,
                    abstained=True,
                    seconds=time.perf_counter() - started,
                    model=NOT_ASKED,
                    trace_id=span.trace_id,
                )
                span.outputs({"answer": answer.text, "abstained": True})
                return answer
            messages = self.prompt.messages(context=context, question=question)
            model: Any = self.model
            if self.prompt.structured:
                schema = {"name": "answer", "schema": answer_schema(len(shown))}
                model = model.bind(response_format={"type": "json_schema", "json_schema": schema})
            reply, usage = generate(model, messages, self.usage_of, self.tracer, request.limits)
            draft = read_draft(reply.text)
            problem = unread(draft)
            abstained = bool(problem) or says(draft.text, self.prompt.abstain)
            with self.tracer.span("cite", "PARSER", draft._asdict()) as cited:
                citations = () if abstained else cite(draft, shown, min_support=self.min_support)
                cited.outputs([[c.document, c.page, c.quote] for c in citations])
            answer = Answer(
                text=self.prompt.reply if abstained else strip_markers(draft.text),
                abstained=abstained,
                citations=citations,
                hits=shown,
                usage=usage,
                seconds=time.perf_counter() - started,
                model=who_answered(reply),
                trace_id=span.trace_id,
                problem=problem,
            )
            span.outputs({"answer": answer.text, "abstained": abstained, "problem": problem})
            if problem:
                span.failed(problem)
        return answer

    def _found(self, question: str, request: Request) -> list[Hit]:
        filters = restricted(request.filters, request.tenant, desk=request.desk)
        try:
            return self.search(question, filters=filters or None)
        except AgentOpsError:
            raise
        except Exception as error:  # whatever an index raises
            raise OperatorError(f"the search failed: {reason(error)}") from error


class Direct:
    """The model alone, with or without a role prompt: what chapter 1 compares an agent with."""

    def __init__(
        self,
        *,
        model: BaseChatModel,
        prompt: Prompt,
        usage_of: UsageOf,
        tracer: Tracer | None = None,
    ) -> None:
        self.model, self.prompt, self.usage_of = model, prompt, usage_of
        self.tracer = tracer or NoTracer()

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        request = request or Request()
        with self.tracer.span("direct", "AGENT", {"question": question}) as span:
            started = time.perf_counter()
            messages = self.prompt.messages(question=question)
            reply, usage = generate(
                self.model, messages, self.usage_of, self.tracer, request.limits
            )
            text = reply.text.strip()
            problem = "" if text else f"failed: {SILENT}"
            abstained = not text or says(text, self.prompt.abstain)
            span.outputs({"answer": text, "abstained": abstained, "problem": problem})
            if problem:
                span.failed(problem)
            return Answer(
                text=self.prompt.reply if abstained else text,
                abstained=abstained,
                usage=usage,
                seconds=time.perf_counter() - started,
                model=who_answered(reply),
                trace_id=span.trace_id,
                problem=problem,
            )


def generate(
    model: Any,
    messages: Sequence[BaseMessage],
    usage_of: UsageOf,
    tracer: Tracer,
    limits: Limits,
) -> tuple[AIMessage, Usage]:
    """Call the model inside a span; return its message and what it cost.

    Raises
    ------
    LimitReached
        The request has no step left, or the model took longer than the request may.
    ModelError
        It said more than anybody could read.
    TransientError
        It cannot be asked, whatever its library raised.
    """
    shown = [{"role": message.type, "content": message.text} for message in messages]
    with tracer.span("generate", "CHAT_MODEL", {"messages": shown}) as span:
        try:
            reply: AIMessage = limits.run("the model", lambda: model.invoke(list(messages)))
        except AgentOpsError:
            raise
        except Exception as error:
            raise TransientError(f"the model failed: {reason(error)}") from error
        usage = usage_of(reply)
        limits.spend(usage)
        reply = _readable(reply)
        said: dict[str, Any] = {"role": "assistant", "content": reply.text}
        if reply.tool_calls:
            said["tool_calls"] = [[call["name"], call["args"]] for call in reply.tool_calls]
        span.outputs(said)
        span.usage(usage, model=who_answered(reply))
    return reply, usage


def _readable(reply: AIMessage) -> AIMessage:
    """Return a reply that can be written and sent on."""
    if (size := len(reply.text)) > MAX_CHARS:
        raise ModelError(f"the model said {size} characters, and {MAX_CHARS} are the most")
    told = {"content": reply.content, "tool_calls": reply.tool_calls}
    clean = encodable(told)
    return reply if clean == told else reply.model_copy(update=clean)


def unread(draft: Draft) -> str:
    """Return the problem of a draft that is no answer: nothing, half a form, no word; else ""."""
    if not draft.text:
        return f"failed: {SILENT}"
    if draft.text[0] == "{" or not any(map(str.isalnum, strip_markers(draft.text))):
        return f"failed: {UNREADABLE}: {printable(draft.text[:80])}"
    return ""


def who_answered(reply: BaseMessage) -> str:
    """Return "<model name> (<live | replay | scripted>)" from a reply's metadata."""
    metadata = reply.response_metadata
    name, how = metadata.get("model_name", "model"), metadata.get("answered", "live")
    return f"{name} ({how})"


def says(text: str, phrase: str) -> bool:
    """Whether the model used the agreed phrase; case, markers and closing dots do not matter."""
    return bool(phrase) and phrase.lower() in text.lower()


def document_of(hit: Hit) -> dict[str, Any]:
    """Return a hit in the form that MLflow's trace view draws as a retrieved document."""
    return {
        "page_content": hit.chunk.text,
        "metadata": {
            "doc_uri": hit.chunk.document,
            "chunk_id": hit.chunk.id,
            "version": hit.chunk.version,
            "page": hit.chunk.page,
            "score": round(hit.score, 6),
        },
    }
