"""The registry: the one place where tools are called, for every agent and every framework.

Taught in chapter 6. Each call passes the same gates in the same order (known, allowed, right
arguments, not made before, within the rate), runs no longer than its tool and its request may, and
leaves one audit record and one span. What a tool or a model does wrong comes back as a result that
the model can read; nothing of it is raised.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from agentops_ref.agents.identity import Identity
from agentops_ref.agents.limits import LimitReached, Limits
from agentops_ref.agents.tools.arguments import validator_of, wrong
from agentops_ref.agents.tools.audit import Audit, AuditRecord, digest_of
from agentops_ref.agents.tools.policy import Busy, Calls, RateLimit
from agentops_ref.agents.tools.spec import (
    MAX_CHARS,
    Caller,
    Status,
    Stopped,
    Tool,
    ToolResult,
    ToolSource,
    ToolSpec,
    WrongArguments,
    cut,
    told,
)
from agentops_ref.errors import AgentOpsError, DeveloperError, OperatorError, nearest, reason
from agentops_ref.secret import scrub
from agentops_ref.tracing import NoTracer, Tracer

log = logging.getLogger(__name__)

Gate = Callable[[ToolSpec, Mapping[str, Any], Caller, Callable[[], Any] | None], Stopped | None]
"""(tool, arguments, caller, rehearsal) → why the call is not made, or None."""

AT_ONCE = 16
"""Calls of one tool that may be running, those that were given up included."""
ASK_AGAIN = 30.0
"""Seconds before a source that was not there is asked again."""


Inspect = Callable[[Any, ToolResult, Caller], ToolResult]
"""(arguments, result, caller) → the result as a model may be told it."""


class _Outcome(NamedTuple):
    status: Status
    text: str
    value: Any = None


class _Entry(NamedTuple):
    tool: Tool
    validator: Any


class Registry:
    """Tools by name. Safe to share between threads and requests.

    Parameters
    ----------
    audit
        Is given one record for each call; by default nothing is kept.
    clock
        Monotonic seconds, for rates.
    at_once
        Calls of one tool that may be running.
    gate
        Asked before each call of a tool that writes; what it returns is the result in its place.
    adapt
        Changes a tool's specification before it is registered; what it raises leaves the tool out.
    inspect
        Looks at each result before a model is told it.
    """

    def __init__(
        self,
        tools: Sequence[Tool] = (),
        *,
        audit: Audit | None = None,
        tracer: Tracer | None = None,
        clock: Callable[[], float] = time.monotonic,
        at_once: int = AT_ONCE,
        adapt: Callable[[ToolSpec], ToolSpec] | None = None,
        gate: Gate | None = None,
        inspect: Inspect | None = None,
    ) -> None:
        self._gate = gate
        self._audit: Audit = audit or (lambda record: None)
        self._tracer, self._adapt = tracer or NoTracer(), adapt
        self._inspect: Inspect = inspect or (lambda given, result, caller: result)
        self._clock, self._rate = clock, RateLimit(clock=clock)
        self._calls, self._busy = Calls(), Busy(at_once)
        self._entries: dict[str, _Entry] = {}
        self._guard, self._connecting = threading.Lock(), threading.Lock()
        self._sources: dict[str, ToolSource] = {}
        self._asked_at = clock()
        self.absent: dict[str, str] = {}
        """Source, or tool of it → why it is not there."""
        for tool in tools:
            self.register(tool)

    # --- what there is --------------------------------------------------------------------

    def register(self, tool: Tool) -> None:
        """Add a tool.

        Raises
        ------
        DeveloperError
            There is one of that name, or its parameters are no JSON schema of an object.
        """
        spec = self._adapt(tool.spec) if self._adapt else tool.spec
        if spec != tool.spec:
            tool = copy.copy(tool)
            tool.spec = spec  # type: ignore[misc]  # a tool looks up its own time-out there
        entry = _Entry(tool, validator_of(spec.parameters, spec.name))
        with self._guard:
            if spec.name in self._entries:
                raise DeveloperError(f"there are two tools named '{spec.name}': rename one")
            self._entries[spec.name] = entry

    def connect(self, source: ToolSource) -> None:
        """Add the tools of a source. One that cannot be reached is noted and asked again later."""
        try:
            found = source.tools()
        except Exception as error:  # whatever a server or a library raises, the others go on
            self._sources[source.name] = source
            self.absent[source.name] = reason(error)
            log.warning("tools of %s are not there: %s", source.name, reason(error))
            return
        self._sources.pop(source.name, None)
        self.absent.pop(source.name, None)
        for tool in found:
            try:
                self.register(tool)
            except AgentOpsError as error:
                self.absent[f"{source.name}: {tool.spec.name}"] = str(error)
                log.warning("tool of %s left out: %s", source.name, error)

    def reconnect(self) -> None:
        """Ask the sources that were not there once more."""
        with self._connecting:
            for source in list(self._sources.values()):
                self.connect(source)

    def specs(
        self, agent: str | None = None, identity: Identity | None = None
    ) -> tuple[ToolSpec, ...]:
        """Return the tools that an agent may call, in the order in which they came; None is all.

        Of an agent's, only those that it may call on behalf of whoever asks.

        Sources that were not there are asked again in the background, every half minute at most.
        """
        if self._sources and self._clock() - self._asked_at >= ASK_AGAIN:
            self._asked_at = self._clock()
            threading.Thread(target=self.reconnect, daemon=True).start()
        specs = [entry.tool.spec for entry in list(self._entries.values())]
        if agent is None:
            return tuple(specs)
        return tuple(spec for spec in specs if spec.admits(agent) and spec.serves(identity))

    def digest(self) -> str:
        """Return a digest of all specifications with their versions: what a release pins."""
        specs = sorted((asdict(entry.tool.spec) for entry in self._entries.values()), key=_name)
        whole = json.dumps(specs, sort_keys=True, default=str)
        return hashlib.sha256(whole.encode()).hexdigest()

    # --- calling --------------------------------------------------------------------------

    def call(
        self, name: str, arguments: Any, caller: Caller, limits: Limits | None = None
    ) -> ToolResult:
        """Call a tool on behalf of a caller, within the request's limits.

        Raises
        ------
        OperatorError
            The audit cannot be written. Nothing else is raised.
        """
        name, limits = str(name)[:100], limits or Limits()  # a model may say anything
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        started = time.perf_counter()
        given = _as_json(arguments)
        inputs = given if isinstance(given, dict) else {"arguments": given}
        entry = self._entries.get(name)
        with self._tracer.span(name, "TOOL", inputs) as span:
            outcome, repeated = self._answer(entry, name, given, caller, limits)
            most = entry.tool.spec.max_chars if entry else MAX_CHARS
            result = ToolResult(
                name,
                outcome.status,
                cut(scrub(outcome.text), most),
                outcome.value,
                time.perf_counter() - started,
                repeated,
            )
            result = self._inspect(given, result, caller)
            span.outputs(result.text)
            if not result.ok:
                span.failed(f"{result.status}: {result.text}")
            version = entry.tool.spec.version if entry else ""
            try:
                self._audit(_record(at, name, version, caller, given, result))
            except OperatorError as error:
                if not (result.ok and entry and entry.tool.spec.effect == "write"):
                    raise
                # It is done, and that it was begun is on record: who asked must hear of it.
                log.error("a write is recorded as begun only: %s", error)
        return result

    def _answer(
        self,
        entry: _Entry | None,
        name: str,
        given: Any,
        caller: Caller,
        limits: Limits,
    ) -> tuple[_Outcome, bool]:
        """Return what comes of a call, and whether it was made before."""
        if entry is None:
            allowed = tuple(spec.name for spec in self.specs(caller.agent, caller.identity))
            return _Outcome("unknown", f"there is no tool '{name}'{nearest(name, allowed)}"), False
        spec = entry.tool.spec
        if not spec.admits(caller.agent):
            return _Outcome("denied", f"{caller.agent} may not use the tool {name}"), False
        if not spec.serves(caller.identity):
            who = f"{caller.user or 'nobody'}, who asks,"
            return _Outcome("denied", f"{who} has no role that opens the tool {name}"), False
        if isinstance(given, _NotJson) or (found := _judge(given, entry.validator)):
            what = str(given) if isinstance(given, _NotJson) else found
            return _Outcome("invalid", f"{name}: {what}"), False
        if spec.repeat == "free":
            return self._make(entry.tool, given, caller, limits, Future(), lambda: None), False
        call = json.dumps([name, given], sort_keys=True)
        request = (caller.request, caller.tenant, caller.user)
        outcome, first = self._calls.claim(request, call)
        if first:
            forget = partial(self._calls.forget, request, call, outcome)
            return self._make(entry.tool, given, caller, limits, outcome, forget), False
        if spec.repeat == "never":
            text = f"{name} was called with these arguments before and is not called again"
            return _Outcome("limited", text), True
        waited = _waited(spec, limits, partial(outcome.result, spec.timeout))
        return _unsure(spec, waited), True

    def _stopped(
        self, tool: Tool, arguments: Mapping[str, Any], caller: Caller, limits: Limits
    ) -> _Outcome | None:
        """Return what the gate gives in place of a call that writes. One that fails is shut."""
        if self._gate is None or tool.spec.effect == "read":
            return None
        gate, rehearse = self._gate, getattr(tool, "rehearse", None)

        def rehearsed() -> Any:
            assert rehearse is not None
            made = _performed(tool.spec.name, rehearse, arguments, caller)
            if made.status != "ok":
                raise _Impossible(made)
            return made.value

        def ask() -> _Outcome:
            try:
                found = gate(tool.spec, arguments, caller, rehearsed if rehearse else None)
                return _Outcome("ok", "") if found is None else _Outcome(*found)
            except _Impossible as error:
                return error.outcome
            except Exception as error:
                return _Outcome("failed", f"nothing was done: {reason(error)}")

        asked = _waited(tool.spec, limits, ask)
        return None if asked.status == "ok" else asked

    def _make(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        caller: Caller,
        limits: Limits,
        outcome: Future[_Outcome],
        forget: Callable[[], None],
    ) -> _Outcome:
        """Call the tool; what comes of it goes to ``outcome``, for those who wait for the same."""
        spec = tool.spec

        def refused(why: _Outcome) -> _Outcome:
            forget()
            outcome.cancel()
            return why

        if (stopped := self._stopped(tool, arguments, caller, limits)) is not None:
            return refused(stopped)
        if not self._busy.enter(spec.name):
            busy = f"{spec.name} is still busy with {self._busy.most} earlier calls"
            return refused(_Outcome("limited", busy))
        if wait := self._rate.admit((spec.name, caller.tenant), spec.rate):
            self._busy.leave(spec.name)
            often = f"{spec.name} was called too often: try again in {wait:.0f} s"
            return refused(_Outcome("limited", often))

        def step() -> _Outcome:
            if not outcome.set_running_or_notify_cancel():
                return _Outcome("timeout", "")  # nobody waits any more, and nothing was done
            made = self._recorded(spec, arguments, caller) or _performed(
                spec.name, tool, arguments, caller
            )
            if made.status != "ok" and spec.effect == "read":
                forget()  # a read that failed may be tried again; of a write nobody knows
            self._busy.leave(spec.name)
            outcome.set_result(made)
            return made

        waited = _waited(spec, limits, step)
        if outcome.cancel():  # it never began, and never will
            forget()
            self._busy.leave(spec.name)
            return waited
        return _unsure(spec, waited)

    def _recorded(self, spec: ToolSpec, arguments: Any, caller: Caller) -> _Outcome | None:
        """Record that a write is about to be made. One that leaves no record is not made."""
        if spec.effect == "read":
            return None
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        begun = ToolResult(spec.name, "begun", "")
        try:
            self._audit(_record(at, spec.name, spec.version, caller, arguments, begun))
        except Exception as error:
            return _Outcome("failed", f"{spec.name} was not called: {reason(error)}")
        return None


def _record(
    at: str, tool: str, version: str, caller: Caller, given: Any, result: ToolResult
) -> AuditRecord:
    return AuditRecord(
        at,
        tool,
        version,
        result.status,
        result.repeated,
        round(result.seconds, 6),
        caller.agent,
        caller.tenant,
        caller.user,
        caller.request,
        caller.thread,
        given,
        digest_of(result.text),
    )


class _Impossible(Exception):
    """What a rehearsal gave in place of a result."""

    def __init__(self, outcome: _Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class _NotJson(str):
    """How Python shows arguments that are not JSON."""


def _as_json(arguments: Any) -> Any:
    """Return a copy of arguments that are JSON, as they were given; `_NotJson` of others."""
    try:
        return json.loads(json.dumps(arguments, allow_nan=False))
    except Exception:  # not only TypeError and ValueError: an object may raise anything
        try:
            return _NotJson(f"expected JSON, got {arguments!r:.200}")
        except Exception:
            return _NotJson(f"expected JSON, got an object of {type(arguments).__name__}")


def _judge(arguments: Any, validator: Any) -> str:
    """Return what is wrong with arguments; a schema that cannot be followed counts as that."""
    try:
        return wrong(arguments, validator)
    except Exception as error:  # a reference to nowhere, a pattern that is none
        return f"these arguments cannot be judged: {reason(error)}"


def _performed(
    name: str,
    call: Callable[[Mapping[str, Any], Caller], Any],
    arguments: Mapping[str, Any],
    caller: Caller,
) -> _Outcome:
    try:
        value = call(arguments, caller)
        return _Outcome("ok", told(value), value)
    except WrongArguments as error:
        return _Outcome("invalid", f"{name}: {error}")
    except TimeoutError as error:
        return _Outcome("timeout", f"{name}: {reason(error)}")
    except BaseException as error:  # SystemExit and a cancelled task too: a tool ends no request
        return _Outcome("failed", f"the tool failed: {reason(error)}")


def _waited(spec: ToolSpec, limits: Limits, step: Callable[[], _Outcome]) -> _Outcome:
    """Wait for a step as long as the tool and the request may take."""
    try:
        return limits.run(spec.name, step, at_most=spec.timeout)
    except LimitReached as error:
        # Before the step began, or by the deadline while it was running.
        return _Outcome("timeout" if error.limit == "seconds" else "limited", str(error))
    except TimeoutError:
        return _Outcome("timeout", f"{spec.name}: no answer within {spec.timeout:g} seconds")
    except CancelledError:
        return _Outcome("limited", f"{spec.name} was not called: call it again")
    except RuntimeError as error:  # no more threads
        return _Outcome("limited", f"{spec.name}: {reason(error)}")


def _unsure(spec: ToolSpec, outcome: _Outcome) -> _Outcome:
    """Say of a write that was given up that it may have been done all the same."""
    if outcome.status != "timeout" or spec.effect == "read":
        return outcome
    return outcome._replace(text=f"{outcome.text}; it may have been done all the same")


def _name(spec: Mapping[str, Any]) -> str:
    return str(spec["name"])
