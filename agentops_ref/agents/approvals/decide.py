"""Who may decide, and that what was decided is done once, as it was asked for.

Taught in chapter 7. What is approved is the call itself: tool, version and arguments. It is done by
code from the record, so no model is asked a second time, and nothing can change in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from agentops_ref.agents.approvals.policy import Demand, Policy
from agentops_ref.agents.approvals.store import Approval, ApprovalStore
from agentops_ref.agents.memory.database import Database
from agentops_ref.agents.memory.fact_store import Clock, utc_now
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools.spec import Caller, Stopped, ToolResult, ToolSpec, told
from agentops_ref.errors import OperatorError, reason

ALL = "*"
Call = Callable[[str, Any, Caller], ToolResult]
ANSWER, GIVE_OUT = "answer_question", "give_out_answer"
"""What guards put before a person: a question, or an answer that is there. No tools: nobody can
call them, and a rule of the policy may name them."""
CUT_OFF = timedelta(minutes=10)
"""After which an approved action that has not ended counts as cut off."""
_HELD = {ANSWER: "the question be answered", GIVE_OUT: "this answer out"}
_KEPT_BACK = {ANSWER: "The question was not answered", GIVE_OUT: "The answer was not given out"}


class NotDecided(OperatorError):
    """A decision that changes nothing: twice, late, of nothing, or by the wrong person."""


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides. It comes from a checked token or from whoever runs the machine."""

    user: str
    roles: tuple[str, ...]
    tenant: str = ""
    """Whose actions may be decided; "*" is everybody's."""


class Approvals:
    """The gate that consequential actions pass, and the decisions that open it.

    Parameters
    ----------
    database
        Where records are kept; called when one is first needed.
    lasts
        After which an action that nobody decided is off.
    answer
        Answers a question that a person let pass; gets its record. What is wrong is raised.
    """

    def __init__(
        self,
        database: Callable[[], Database],
        policy: Policy,
        *,
        lasts: timedelta,
        clock: Clock = utc_now,
        answer: Callable[[Approval], str] | None = None,
    ) -> None:
        self._database, self.policy, self._answer = database, policy, answer
        self._lasts, self.clock = lasts, clock

    @cached_property
    def store(self) -> ApprovalStore:
        """The records."""
        return ApprovalStore(self._database())

    def gate(
        self,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        caller: Caller,
        rehearse: Callable[[], Any] | None = None,
    ) -> Stopped | None:
        """Return why a call is not made now; None lets it be made.

        Parameters
        ----------
        rehearse
            Tells what the call would give, and raises what it would raise, without doing it: what
            cannot be done is put before nobody.
        """
        if caller.approval:
            opened = self.store.begin(
                caller.approval,
                tenant=caller.tenant,
                tool=spec.name,
                version=spec.version,
                arguments=arguments,
            )
            return None if opened else Stopped("denied", f"{spec.name}: this was not approved")
        effect = rehearse() if rehearse is not None else None
        named = effect if isinstance(effect, Mapping) else None
        demand = self.policy.demand(spec, arguments, caller.said, named)
        if demand is None:
            return None
        asked = self._ask(spec, arguments, caller, demand, "" if effect is None else told(effect))
        # Without the record's id: what a model is told should be the same each time.
        text = f"not done yet: it waits for approval by the {demand.role} ({demand.why})"
        return Stopped("waiting", text, asked.id)

    def hold(
        self, question: str, answer: str | None, request: Request, reasons: Sequence[str]
    ) -> str:
        """Put a question, or the answer to it, before a person; return the record's id.

        Parameters
        ----------
        answer
            Is given out, as it is, when it is approved; None: the question is answered then.
        reasons
            What the guards found.
        """
        spec = ToolSpec(ANSWER if answer is None else GIVE_OUT, "", {}, effect="write")
        arguments = {"question": question} | ({} if answer is None else {"answer": answer})
        caller = Caller(
            "guards",
            tenant=request.tenant,
            user=request.user,
            request=request.id,
            thread=request.thread,
            identity=request.identity,
        )
        asked = self.policy.demand(spec, arguments, request.asked)
        demand = Demand(asked.role if asked else self.policy.role, ", ".join(reasons))
        return self._ask(spec, arguments, caller, demand, "").id

    def _ask(
        self,
        spec: ToolSpec,
        arguments: Mapping[str, Any],
        caller: Caller,
        demand: Demand,
        effect: str,
    ) -> Approval:
        return self.store.ask(
            tenant=caller.tenant,
            tool=spec.name,
            version=spec.version,
            arguments=arguments,
            effect=effect,
            why=demand.why,
            role=demand.role,
            agent=caller.agent,
            requested_by=caller.user,
            roles=caller.identity.roles if caller.identity else (),
            request=caller.request,
            thread=caller.thread,
            now=self.clock(),
            lasts=self._lasts,
        )

    def decide(
        self, id_: str, *, approve: bool, by: Decider, call: Call, note: str = ""
    ) -> Approval:
        """Decide, and do what was approved through ``call``, a `Registry`'s.

        Raises
        ------
        NotDecided
            Nothing has changed; says why.
        """
        held = self._may(id_, by)
        state: Any = "approved" if approve else "rejected"
        if not self.store.decide(id_, state, by=by.user, note=note, now=self.clock()):
            raise NotDecided(self._undecidable(self.store.get(id_) or held))
        if approve:
            self._carry_out(held, call)
        done = self.store.get(id_)
        assert done is not None  # nothing deletes it
        return done

    def close(self, id_: str, *, done: bool, by: Decider, note: str) -> Approval:
        """State what became of an action that was approved and cut off, as somebody has found.

        Raises
        ------
        NotDecided
            It was not cut off, may still be running, or the wrong person says so.
        """
        held = self._may(id_, by)
        if held.state not in ("approved", "running"):
            raise NotDecided(f"{id_} was not cut off: {held.state}")
        until = datetime.fromisoformat(held.decided_at) + CUT_OFF
        if self.clock() < until:
            raise NotDecided(f"{id_} may still be running: look again after {until:%H:%M} UTC")
        said = f"{by.user} looked: {note}" if note else f"{by.user} looked"
        if not self.store.end(id_, "done" if done else "failed", said):
            raise NotDecided(f"{id_} has ended in the meantime")
        closed = self.store.get(id_)
        assert closed is not None
        return closed

    def outcome(self, id_: str) -> str | None:
        """Return what became of an action in a sentence; None while it waits or is being done."""
        held = self.store.get(id_)
        if held is None:
            return "There is no record of this action any more."
        undone = _KEPT_BACK.get(held.tool, f"{held.tool} was not done")
        if held.late(self.clock()):
            return f"{undone}: nobody decided until {held.expires_at[:16]} UTC."
        by = f"the {held.role} ({held.decided_by})" if held.decided_by else f"the {held.role}"
        note = f" Note: {held.note}." if held.note else ""
        if held.state == "rejected":
            return f"{undone}: {by} did not approve it.{note}"
        if held.tool in _HELD and held.state in ("done", "failed"):
            failed = ", but it failed" if held.state == "failed" else ""
            let = f"{by[0].upper()}{by[1:]} let {_HELD[held.tool]}"
            return f"{let}{failed}: {held.result}{note}"
        if held.state == "done":
            return f"{held.tool} was approved by {by} and done: {held.result}.{note}"
        if held.state == "failed":
            return f"{held.tool} was approved by {by} but failed: {held.result}.{note}"
        return None

    def _may(self, id_: str, by: Decider) -> Approval:
        held = self.store.get(id_)
        if held is None or by.tenant not in (ALL, held.tenant):
            # The same words, so that nobody learns what others have waiting.
            raise NotDecided(f"no action '{id_}' waits: agentops approvals list")
        if not by.user:
            raise NotDecided(f"{id_}: who decides must be known; nobody is named")
        if held.role not in by.roles:
            has = ", ".join(by.roles) or "no role"
            raise NotDecided(f"{id_} is decided by the {held.role}; {by.user} has {has}")
        if by.user == held.requested_by:
            raise NotDecided(f"{id_} was asked for by {by.user}, so somebody else must decide it")
        return held

    def _undecidable(self, held: Approval) -> str:
        if held.late(self.clock()):
            return (
                f"{held.id} could be decided until {held.expires_at[:16]} UTC: nothing was done; "
                "ask for the action again"
            )
        return f"{held.id} was decided before: {held.state}, by {held.decided_by or 'nobody'}"

    def _carry_out(self, held: Approval, call: Call) -> None:
        if held.tool in _HELD:
            self._let_through(held)
            return
        caller = Caller(
            held.agent,
            tenant=held.tenant,
            user=held.requested_by,
            request=held.request,
            thread=held.thread,
            approval=held.id,
            identity=held.identity,
        )
        result = call(held.tool, held.arguments, caller)
        if result.status == "timeout":
            return  # it may have been done; the record says that nobody knows
        self.store.end(held.id, "done" if result.ok else "failed", result.text)

    def _let_through(self, held: Approval) -> None:
        same = {"tenant": held.tenant, "tool": held.tool, "version": held.version}
        if not self.store.begin(held.id, arguments=held.arguments, **same):
            return
        if held.tool == GIVE_OUT:
            self.store.end(held.id, "done", str(held.arguments["answer"]))
            return
        assert self._answer is not None  # whoever has guards that ask can answer
        try:
            self.store.end(held.id, "done", self._answer(held))
        except Exception as error:
            self.store.end(held.id, "failed", reason(error))
