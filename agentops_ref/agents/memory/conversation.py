"""A conversation: an agent that answers one question at a time, with memory around it.

Taught in chapter 6. One graph:

    question (stand alone) ─► answer (the agent) ─► learn ─► trim (summarise what no longer fits)
                                                               └─► wait (for a person's approval)

The agent knows no history. What it needs of it, the first step has put into the question. What is
known of those whom it concerns goes to the agent beside it; what the user says of them is learned.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import uuid
from functools import cached_property
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.channels import UntrackedValue
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime

from agentops_ref.agents.chain import Agent
from agentops_ref.agents.memory.approval import Outcome, Wait, still_waiting, wake
from agentops_ref.agents.memory.facts import FactSource
from agentops_ref.agents.memory.learn import Learn, learned_step
from agentops_ref.agents.memory.recall import Recall, recalled_step
from agentops_ref.agents.memory.summary import Standalone, Summariser
from agentops_ref.agents.memory.threads import Threads, answer_to
from agentops_ref.agents.memory.trim import Count, trimmed
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import OURS
from agentops_ref.errors import AgentOpsError
from agentops_ref.records import Answer, Citation, Step

log = logging.getLogger(__name__)
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
    ) -> None:
        self._outcome = outcome
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
        started = time.perf_counter()
        message = message or str(uuid.uuid4())
        ran = self.threads.turn(
            self.graph,
            thread,
            {"messages": [HumanMessage(question, id=message)]},
            message=message,
            owner=owner,
            context=dataclasses.replace(request or Request(), thread=thread),
        )
        if "reply" not in ran:
            return _answer(answer_to(ran["messages"], message))
        reply: Answer = ran["reply"]
        spent = time.perf_counter() - started
        return dataclasses.replace(reply, usage=ran["usage"], seconds=spent)

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
        standing = self._standalone(
            asked.text, before, summary=state.get("summary", ""), limits=runtime.context.limits
        )
        return {"question": standing.text, "usage": standing.usage}

    def _reply(self, state: ConversationState, runtime: Runtime[Request]) -> ConversationState:
        question, said = state["question"], state["messages"][-1].text
        request = runtime.context
        if self._recall is not None:
            request = dataclasses.replace(request, known=self._recall(question, request))
        words = [message.text for message in state["messages"] if message.type == "human"]
        request = dataclasses.replace(request, asked="\n".join(words))
        answer = self._agent(question, request=request)
        steps = [Step("memory", "question", question)] if question != said else []
        steps += [recalled_step(request.known)] if request.known else []
        answer = dataclasses.replace(answer, steps=(*steps, *answer.steps))
        return {
            "messages": [_message(answer)],
            "waiting": [*state.get("waiting", ()), *answer.waiting] if self._outcome else [],
            "reply": answer,
            "usage": state["usage"] + answer.usage,
        }

    def _learn(self, state: ConversationState, runtime: Runtime[Request]) -> ConversationState:
        request = runtime.context
        if self._learner is None or not request.subjects:
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
            log.warning("nothing was learned from a message: %s", error)
            return {}
        reply: Answer = state["reply"]
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
            log.warning("a conversation was not summarised: %s", error)
            return {}
        gone: list[Any] = [RemoveMessage(id=str(one.id)) for one in dropped]
        return {
            "messages": gone,
            "summary": longer.text,
            "usage": state["usage"] + longer.usage,
        }


def _message(answer: Answer) -> AIMessage:
    kept = {
        "abstained": answer.abstained,
        "citations": [dataclasses.asdict(one) for one in answer.citations],
        "model": answer.model,
        "index_version": answer.index_version,
        "trace_id": answer.trace_id,
        "waiting": list(answer.waiting),
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
    )
