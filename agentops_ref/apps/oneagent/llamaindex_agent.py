"""The agent as a LlamaIndex workflow: each step is run by an event, and returns the next one."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

from agentops_ref.agents.run import OutOfSteps, Run, ToolAgent
from agentops_ref.agents.tools import background
from agentops_ref.apps.oneagent import one_agent
from agentops_ref.apps.oneagent.llamaindex_model import RunModel, as_llamaindex, tool_calls
from agentops_ref.wiring import App


class Asked(StartEvent):
    run: Run
    messages: list[ChatMessage]
    most: int


class Turn(Event):
    messages: list[ChatMessage]
    left: int


class Calls(Turn):
    pass


class Looking(Workflow):
    """Model → tools → model → …, until the model calls none."""

    @step
    async def begin(self, context: Context, asked: Asked) -> Turn:
        await context.store.set("run", asked.run)
        return Turn(messages=asked.messages, left=asked.most)

    @step
    async def ask(self, context: Context, turn: Turn) -> Calls | StopEvent:
        if not turn.left:
            return StopEvent(result=None)
        model = RunModel(await context.store.get("run"))
        reply = (await model.achat(turn.messages)).message
        if not tool_calls(reply):
            return StopEvent(result=reply.content or "")
        return Calls(messages=[*turn.messages, reply], left=turn.left - 1)

    @step
    async def call(self, context: Context, turn: Calls) -> Turn:
        run: Run = await context.store.get("run")
        told = [await asyncio.to_thread(run.call, one) for one in tool_calls(turn.messages[-1])]
        return Turn(messages=[*turn.messages, *map(as_llamaindex, told)], left=turn.left)


class WorkflowAgent(ToolAgent):
    """Runs the workflow in the background loop, since workflows are asynchronous only."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.workflow = Looking(timeout=None)

    def solve(self, run: Run, question: str) -> str:
        messages = list(map(as_llamaindex, self.prompt.messages(question=question)))

        async def work() -> str | None:
            return await self.workflow.run(run=run, messages=messages, most=self.max_steps)

        text = background.run(work())
        if text is None:
            raise OutOfSteps(self.max_steps)
        return text


def agent(app: App) -> ToolAgent:
    return one_agent(app, WorkflowAgent)
