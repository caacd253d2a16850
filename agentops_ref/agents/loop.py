"""An agent in plain Python: the model chooses tools until it answers or runs out of steps.

Taught in chapters 1 and 5. The loop is bounded, every step is a span, and whatever a tool does is a
result that the model can read.
"""

from __future__ import annotations

from typing import Any

from agentops_ref.agents.run import OutOfSteps, Run, ToolAgent


class ToolLoop(ToolAgent):
    """Model → tool → model → … → answer, with the tools that ``name`` may use.

    With ``look_first`` the first step is a tool's: a small model may otherwise answer from nothing.
    """

    def __init__(self, *, look_first: bool = False, **parts: Any) -> None:
        super().__init__(**parts)
        self.look_first = look_first

    def solve(self, run: Run, question: str) -> str:
        messages = self.prompt.messages(question="\n".join([question, *run.known]))
        model: Any = run.model
        if self.look_first:
            model = self.model.bind_tools(run.offered, tool_choice="any")
        for _ in range(self.max_steps):
            reply = run.ask(messages, model)
            if not reply.tool_calls:
                return reply.text
            messages.append(reply)
            messages.extend(run.call(call) for call in reply.tool_calls)
            model = run.model
        raise OutOfSteps(self.max_steps)
