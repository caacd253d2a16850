"""The agent in plain Python: a loop."""

from __future__ import annotations

from agentops_ref.agents.run import OutOfSteps, Run, ToolAgent
from agentops_ref.apps.oneagent import one_agent
from agentops_ref.wiring import App


class PlainAgent(ToolAgent):
    """Asks the model until it calls no tool."""

    def solve(self, run: Run, question: str) -> str:
        messages = self.prompt.messages(question=question)
        for _ in range(self.max_steps):
            reply = run.ask(messages)
            if not reply.tool_calls:
                return reply.text
            messages.append(reply)
            for call in reply.tool_calls:
                messages.append(run.call(call))
        raise OutOfSteps(self.max_steps)


def agent(app: App) -> ToolAgent:
    return one_agent(app, PlainAgent)
