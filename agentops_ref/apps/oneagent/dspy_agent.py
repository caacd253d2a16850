"""The agent as a DSPy program: signatures say what goes in and out, DSPy writes the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import dspy
from pydantic import create_model

from agentops_ref.agents.run import Run, ToolAgent
from agentops_ref.agents.tools import ToolSpec
from agentops_ref.apps.oneagent import one_agent
from agentops_ref.apps.oneagent.dspy_model import speaking
from agentops_ref.errors import ModelError
from agentops_ref.wiring import App

COMPILED = "one_agent.dspy.json"
"""The optimised program: a file among the prompts."""


class Plan(dspy.Signature):  # type: ignore[misc]  # dspy has no types
    question: str = dspy.InputField()
    lookups: list[Any] = dspy.OutputField()  # tool and argument, see `Looking`


class Reply(dspy.Signature):  # type: ignore[misc]
    question: str = dspy.InputField()
    found: str = dspy.InputField(desc="what the tools returned")
    answer: str = dspy.OutputField()


class Looking(dspy.Module):  # type: ignore[misc]
    """Plan the look-ups, make them, reply."""

    def __init__(self, task: str, tools: Sequence[ToolSpec], most: int) -> None:
        super().__init__()
        names: Any = Literal[tuple(tool.name for tool in tools)]
        lookup: Any = create_model("Lookup", tool=(names, ...), argument=(str, ...))
        about = " ".join(f"{tool.name}: {tool.description}" for tool in tools)
        plan = Plan.with_instructions(task).with_updated_fields("lookups", list[lookup], desc=about)
        self.plan = dspy.Predict(plan)
        self.reply = dspy.Predict(Reply.with_instructions(task))
        self.arguments = {tool.name: next(iter(tool.parameters["properties"])) for tool in tools}
        self.most = most

    def forward(self, question: str, run: Run) -> dspy.Prediction:
        found = []
        for wanted in self.plan(question=question).lookups[: self.most]:
            arguments = {self.arguments[wanted.tool]: wanted.argument}
            told = run.call({"name": wanted.tool, "args": arguments, "id": wanted.tool})
            found.append(f"{wanted.tool}({wanted.argument}): {told.text}")
        return self.reply(question=question, found="\n".join(found) or "nothing")


class DspyAgent(ToolAgent):
    """Runs the program, as it is written or as it was compiled."""

    def __init__(self, *, compiled: Path | None = None, **parts: Any) -> None:
        super().__init__(**parts)
        task = self.prompt.instructions
        self.program = Looking(task, self.registry.specs(self.name), self.max_steps)
        if compiled is not None:
            self.program.load(compiled)

    def solve(self, run: Run, question: str) -> str:
        try:
            with speaking(self.model, run.ask):
                return str(self.program(question=question, run=run).answer)
        except dspy.AdapterParseError as error:
            raise ModelError(f"no such fields: {error.lm_response[:200]!r}") from error
        except dspy.LMError as error:  # around what the call of the model raised
            raise (error.__cause__ or error) from None


def agent(app: App) -> ToolAgent:
    return one_agent(app, partial(DspyAgent, compiled=app.config.prompts(COMPILED) / COMPILED))


def uncompiled(app: App) -> DspyAgent:
    """Return the agent before an optimiser has seen it."""
    return one_agent(app, DspyAgent)
