"""A conversation: an agent that answers one question at a time, with memory around it.

Taught in chapter 6. One graph:

    question (stand alone) ─► answer (the agent) ─► learn ─► trim (summarise what no longer fits)
                                                               └─► wait (for a person's approval)

A failure is an answer here too: of memory, one that says what was not remembered or not kept. A
question that found no answer for a failure is not kept, so that it can be asked again.

The agent knows no history. What it needs of it, the first step has put into the question. What is
known of those whom it concerns goes to the agent beside it; what the user says of them is learned.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from functools import cached_property, partial
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.channels import UntrackedValue
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime

from agentops_ref.agents.bounded import OURS, Bounded
from agentops_ref.agents.chain import Agent
from agentops_ref.agents.limits import Allowance
from agentops_ref.agents.memory.approval import Outcome, Wait, still_waiting, wake
from agentops_ref.agents.memory.facts import FactSource
from agentops_ref.agents.memory.learn import Learn, learned_step
from agentops_ref.agents.memory.recall import Recall, recalled_step
from agentops_ref.agents.memory.summary import Standalone, Summariser
from agentops_ref.agents.memory.threads import Threads, answer_to
from agentops_ref.agents.memory.trim import Count, trimmed
from agentops_ref.agents.request import Kept, Request
from agentops_ref.errors import AgentOpsError, reason
from agentops_ref.records import Answer, Citation, Hit, Step
from agentops_ref.tracing import Tracer

log = logging.getLogger(__name__)
STOPPED = ("block:", "ask:")
"""How the problem of an answer begins that guards stopped; nothing is learned of such a turn."""
RECALL = 0.25
"""Share of what a request has left that recalling may take."""
_KEPT = "answer"
"""Where an answer's message keeps what its text does not say."""


class ConversationState(TypedDict, total=False):
    """What a checkpoint holds, and, untracked, what lives for one turn."""

    messages: Annotated[list[AnyMessage], add_messages]
    summary: str
    waiting: list[str]
    """Approvals whose outcome the conversation has not been told."""
    question: Annotated[str, UntrackedValue]
    reply: Annotated[Any, UntrackedValue]
    usage: Annotated[Any, UntrackedValue]


class Conversation:
    """Answers questions within threads.

    Parameters
    ----------
    budget
        Tokens of history that the next question is read with; older turns are summarised.
    allowance, reply, tracer
        Of one turn with all that works on it, and what is said where there is no answer; see
        `agentops_ref.agents.bounded`.
    recall, learn
        Long-term memory; None is none. Learned is about the request's first subject, after the
        answer: with durability ``sync``, a process that dies between the two has learned nothing.
    outcome
        Tells what became of an action that waits for a person. With it a turn that ends in such an
        action is interrupted, and `tell` ends it.
    """

    def __init__(
        self,
        agent: Agent,
        threads: Threads,
        *,
        standalone: Standalone,
        summariser: Summariser,
        budget: int,
        count: Count | None = None,
        recall: Recall | None = None,
        learn: Learn | None = None,
        outcome: Outcome | None = None,
        allowance: Allowance | None = None,
        reply: str = "There is no answer.",
        tracer: Tracer | None = None,
    ) -> None:
        self._outcome = outcome
        self._allowance, self._apology, self._tracer = allowance or Allowance(), reply, tracer
        self._recall, self._learner = recall, learn
        self._agent, self.threads = agent, threads
        self._standalone, self._summariser = standalone, summariser
        self._budget, self._count = budget, count

    def __call__(
        self,
        question: str,
        *,
        thread: str,
        message: str | None = None,
        owner: str = "",
        request: Request | None = None,
    ) -> Answer:
        """Answer a question of a thread; its usage counts the calls of memory too.

        Parameters
        ----------
        message
            Id of the user's message, chosen by whoever asks. A message that was answered already,
            by a process that died before it could say so, is answered again without a model.
        request
            What the agent is given beside the question; no checkpoint holds it.
        """
        message = message or str(uuid.uuid4())
        bounded = Bounded(
            partial(self._turn, message=message, owner=owner),
            self._allowance,
            reply=self._apology,
            tracer=self._tracer,
            name="conversation",
        )
        given = dataclasses.replace(request or Request(), thread=thread)
        return bounded(question, request=given)

    def _turn(self, question: str, *, request: Request, message: str, owner: str) -> Answer:
        request.kept.at = "reading what was said before"
        try:
            ran = self.threads.turn(
                self.graph,
                request.thread,
                {"messages": [HumanMessage(question, id=message)]},
                message=message,
                owner=owner,
                context=request,
            )
        except _NoAnswer as found:
            return found.answer
        except OURS:
            raise
        except Exception as error:
            if request.kept.answer is None:
                raise
            raise AgentOpsError(f"this turn was not kept: {reason(error)}") from error
        if "reply" not in ran:
            return _answer(answer_to(ran["messages"], message))
        reply: Answer = ran["reply"]
        return dataclasses.replace(reply, usage=ran["usage"])

    def tell(self, thread: str) -> bool:
        """Let a thread go on that waits for approvals; False if it does not wait.

        It says what became of those that were decided, and goes on waiting for the others.
        """
        return wake(self.threads, self.graph, thread)

    @cached_property
    def graph(self) -> Any:
        """The compiled graph."""
        graph = StateGraph(ConversationState, context_schema=Request)
        graph.add_node("question", self._question)
        graph.add_node("answer", self._reply)
        graph.add_node("learn", self._learn)
        graph.add_node("trim", self._trim)
        graph.add_edge(START, "question")
        graph.add_edge("question", "answer")
        graph.add_edge("answer", "learn")
        graph.add_edge("learn", "trim")
        graph.add_node("wait", Wait(self._outcome).node)
        graph.add_conditional_edges("trim", still_waiting, {True: "wait", False: END})
        graph.add_conditional_edges("wait", still_waiting, {True: "wait", False: END})
        return graph.compile(checkpointer=self.threads.saver)

    def _question(self, state: ConversationState, runtime: Runtime[Request]) -> ConversationState:
        *before, asked = state["messages"]
        runtime.context.kept.at = ""
        standing = self._standalone(
            asked.text, before, summary=state.get("summary", ""), limits=runtime.context.limits
        )
        return {"question": standing.text, "usage": standing.usage}

    def _reply(self, state: ConversationState, runtime: Runtime[Request]) -> ConversationState:
        question, said = state["question"], state["messages"][-1].text
        request, kept = runtime.context, runtime.context.kept
        known, problem = self._known(question, request)
        words = [message.text for message in state["messages"] if message.type == "human"]
        # What the agent keeps of its own is not the turn's: its steps and its cost come on top.
        given = dataclasses.replace(request, known=known, asked="\n".join(words), kept=Kept())
        answer = self._agent(question, request=given)
        if answer.abstained and answer.problem and not (answer.waiting and self._outcome):
            raise _NoAnswer(answer)
        steps = [Step("memory", "question", question)] if question != said else []
        steps += [recalled_step(known)] if known else []
        answer = dataclasses.replace(
            answer, steps=(*steps, *answer.steps), problem=_joined(answer.problem, problem)
        )
        kept.answer, kept.at = answer, "learning and keeping this turn"
        return {
            "messages": [_message(answer)],
            "waiting": [*state.get("waiting", ()), *answer.waiting] if self._outcome else [],
            "reply": answer,
            "usage": state["usage"] + answer.usage,
        }

    def _known(self, question: str, request: Request) -> tuple[tuple[Hit, ...], str]:
        """Return what is known of those whom a question concerns, or what kept it from us."""
        if self._recall is None:
            return (), ""
        recall, left = self._recall, request.limits.left()
        try:
            most = None if left is None else left * RECALL
            return request.limits.run("memory", lambda: recall(question, request), at_most=most), ""
        except OURS:
            raise
        except Exception as error:  # the question can be answered without
            log.warning("nothing was recalled: %s", reason(error))
            return (), f"failed: nothing was recalled: {reason(error)}"

    def _learn(self, state: ConversationState, runtime: Runtime[Request]) -> ConversationState:
        request = runtime.context
        reply: Answer = state["reply"]
        if self._learner is None or not request.subjects or reply.problem.startswith(STOPPED):
            return {}
        *before, said, _ = state["messages"]
        who = request.user or request.subjects[0]
        try:
            learned = self._learner(
                said.text,
                tenant=request.tenant,
                subject=request.subjects[0],
                source=FactSource(request.thread, str(said.id), who),
                asked=next((one.text for one in reversed(before) if one.type == "ai"), ""),
                limits=request.limits,
            )
        except OURS:
            raise
        except AgentOpsError as error:  # the answer stands
            log.warning("nothing was learned from a message: %s", reason(error))
            problem = f"failed: nothing was learned: {reason(error)}"
            reply = dataclasses.replace(reply, problem=_joined(reply.problem, problem))
            request.kept.answer = reply
            return {"reply": reply}
        steps = (*reply.steps, *(learned_step(fact) for fact in learned.facts))
        return {
            "reply": dataclasses.replace(reply, steps=steps),
            "usage": state["usage"] + learned.usage,
        }

    def _trim(self, state: ConversationState, runtime: Runtime[Request]) -> ConversationState:
        messages = state["messages"]
        dropped = trimmed(messages, self._budget, count=self._count).dropped
        if not dropped:
            return {}
        try:
            longer = self._summariser.extend(
                state.get("summary", ""), dropped, limits=runtime.context.limits
            )
        except AgentOpsError as error:  # the answer stands; the next turn tries again
            log.warning("a conversation was not summarised: %s", reason(error))
            return {}
        gone: list[Any] = [RemoveMessage(id=str(one.id)) for one in dropped]
        return {
            "messages": gone,
            "summary": longer.text,
            "usage": state["usage"] + longer.usage,
        }


class _NoAnswer(Exception):
    """A failure left a question without an answer: the turn is not to be kept."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.problem)
        self.answer = answer


def _joined(*problems: str) -> str:
    return "; ".join(filter(None, problems))


def _message(answer: Answer) -> AIMessage:
    kept = {
        "abstained": answer.abstained,
        "citations": [dataclasses.asdict(one) for one in answer.citations],
        "model": answer.model,
        "index_version": answer.index_version,
        "trace_id": answer.trace_id,
        "waiting": list(answer.waiting),
        "problem": answer.problem,
    }
    return AIMessage(answer.text, id=str(uuid.uuid4()), additional_kwargs={_KEPT: kept})


def _answer(message: AIMessage | None) -> Answer:
    assert message is not None  # or the turn would have run
    kept = message.additional_kwargs.get(_KEPT, {})
    return Answer(
        text=message.text,
        abstained=bool(kept.get("abstained", False)),
        citations=tuple(Citation(**one) for one in kept.get("citations", ())),
        model=str(kept.get("model", "")),
        index_version=kept.get("index_version"),
        trace_id=str(kept.get("trace_id", "")),
        waiting=tuple(kept.get("waiting", ())),
        problem=str(kept.get("problem", "")),
    )
