"""The configured guards in their order, and where they stand: before, behind and inside an agent.

Taught in chapter 7::

    question ─► [user] ─► agent ─────────────────────────► [answer] ─► who asked
    facts ────► [document] ─┘ ▲           ▲
                    search ─► [document]  └ [tool] ◄─ Registry.call

A guard that fails stops the text: nobody has judged it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from agentops_ref.agents.chain import Search
from agentops_ref.agents.guards.decision import Channel, Context, Decision, Guard, hit
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools.documents import Excerpts
from agentops_ref.agents.tools.spec import Caller, ToolResult
from agentops_ref.errors import ConfigError, DeveloperError, NotRecorded, nearest
from agentops_ref.records import Hit
from agentops_ref.tracing import NoTracer, Tracer

log = logging.getLogger(__name__)


class Check(NamedTuple):
    """A guard and the channels that it looks at."""

    guard: Guard
    channels: Collection[Channel]


class Guards:
    """Asks one guard after the other; safe to share between threads.

    Parameters
    ----------
    checks
        Name → guard, in the order in which they are asked.
    withheld
        What a model is told in place of a tool's result that was stopped; ``{reasons}`` names why.
    tracer
        Gets a span for each decision that is not to pass, without the text.
    """

    def __init__(
        self, checks: Mapping[str, Check], *, withheld: str, tracer: Tracer | None = None
    ) -> None:
        self.checks, self._withheld = dict(checks), withheld
        self._tracer = tracer or NoTracer()

    def only(self, *names: str) -> Guards:
        """Return some of the guards, in the same order.

        Raises
        ------
        ConfigError
            There is no guard of a name.
        """
        for name in names:
            if name not in self.checks:
                raise ConfigError(f"no guard '{name}'{nearest(name, tuple(self.checks))}")
        chosen = {name: check for name, check in self.checks.items() if name in names}
        return Guards(chosen, withheld=self._withheld, tracer=self._tracer)

    def check(self, text: str, channel: Channel, context: Context | None = None) -> Decision:
        """Return what becomes of a text.

        A guard sees what the ones before it left of the text; the first that stops it has the last
        word.
        """
        context, left = context or Context(), text
        reasons: list[str] = []
        verdict = Decision("pass", text)
        for name, one in self.checks.items():
            if channel not in one.channels:
                continue
            made = _asked(name, one.guard, left, channel, context)
            if made.verdict == "ask" and channel == "user" and context.request.approved:
                continue  # a person was asked
            reasons += made.reasons
            if made.stopped:
                verdict = made
                break
            if made.verdict == "redact":
                left, verdict = made.text, made
        decision = replace(verdict, text="" if verdict.stopped else left, reasons=tuple(reasons))
        if decision.verdict != "pass":
            with self._tracer.span("guard", "GUARDRAIL", {"channel": channel}) as span:
                span.outputs({"decision": decision.verdict, "reasons": list(reasons)})
        return decision

    # --- the places -------------------------------------------------------------------------

    def search(self, search: Search) -> Search:
        """Return a search whose hits were looked at before anybody sees them."""

        def sifted(
            query: str, *, k: int | None = None, filters: Mapping[str, Any] | None = None
        ) -> list[Hit]:
            return self.sifted(search(query, k=k, filters=filters))

        return sifted

    def sifted(self, hits: Sequence[Hit], context: Context | None = None) -> list[Hit]:
        """Return the hits that may be shown, redacted where a guard redacts."""
        kept = []
        for one in hits:
            chunk = one.chunk
            about = self.check(chunk.context, "document", context)
            said = self.check(chunk.text, "document", context)
            if about.stopped or said.stopped:
                why = ", ".join(about.reasons + said.reasons)
                log.info("%s is not shown: %s", chunk.document, why)
                continue
            if about.text != chunk.context or said.text != chunk.text:
                one = replace(one, chunk=replace(chunk, context=about.text, text=said.text))
            kept.append(one)
        return kept

    def result(self, given: Any, result: ToolResult, caller: Caller) -> ToolResult:
        """Return a tool's result as a model may be told it; excerpts were looked at when found."""
        if isinstance(result.value, Excerpts):
            return result
        request = Request(tenant=caller.tenant, user=caller.user, desk=caller.desk)
        asked = json.dumps(given, ensure_ascii=False, default=str)
        made = self.check(result.text, "tool", Context(request, asked))
        if made.verdict == "pass":
            return result
        text = self._withheld.format(reasons=", ".join(made.reasons))
        return replace(result, text=text if made.stopped else made.text, value=None)


def _asked(name: str, guard: Guard, text: str, channel: Channel, context: Context) -> Decision:
    try:
        return guard.check(text, channel, context)
    except (ConfigError, DeveloperError, NotRecorded):
        raise  # of whoever set the system up
    except Exception as error:
        log.exception("guard %s failed", name)
        return hit("block", (f"{name}: the guard failed: {type(error).__name__}",))
