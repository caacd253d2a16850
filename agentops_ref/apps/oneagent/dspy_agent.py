"""The agent as a DSPy program: a signature says what goes in and out, DSPy writes the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import dspy

from agentops_ref.agents.run import OutOfSteps, Run, ToolAgent
from agentops_ref.agents.tools import ToolSpec
from agentops_ref.apps.oneagent import one_agent
from agentops_ref.apps.oneagent.dspy_model import speaking
from agentops_ref.errors import ModelError
from agentops_ref.wiring import App

COMPILED = "one_agent.dspy.json"
"""The optimised program: a file among the prompts."""
NO_TOOL = "none"


class Decide(dspy.Signature):  # type: ignore[misc]  # dspy has no types
    question: str = dspy.InputField()
    notes: str = dspy.InputField(desc="what the tools returned so far")
    tool: str = dspy.OutputField()
    argument: str = dspy.OutputField(desc="of the tool")
    answer: str = dspy.OutputField(desc="only when no tool is needed any more")


class Looking(dspy.Module):  # type: ignore[misc]
    """Decide → tool → decide → …, until no tool is wanted."""

    def __init__(self, task: str, tools: Sequence[ToolSpec], most: int) -> None:
        super().__init__()
        about = "; ".join(f"{tool.name}: {tool.description}" for tool in tools)
        choice: Any = Literal[(*(tool.name for tool in tools), NO_TOOL)]
        signature = Decide.with_instructions(task)
        self.decide = dspy.Predict(signature.with_updated_fields("tool", choice, desc=about))
        self.arguments = {tool.name: next(iter(tool.parameters["properties"])) for tool in tools}
        self.most = most

    def forward(self, question: str, run: Run) -> dspy.Prediction:
        notes: list[str] = []
        for _ in range(self.most):
            said = self.decide(question=question, notes="\n".join(notes) or "nothing yet")
            if said.tool == NO_TOOL:
                return dspy.Prediction(answer=said.answer)
            arguments = {self.arguments[said.tool]: said.argument}
            told = run.call({"name": said.tool, "args": arguments, "id": said.tool})
            notes.append(f"{said.tool}({said.argument}): {told.text}")
        return dspy.Prediction(answer=None)


class DspyAgent(ToolAgent):
    """Runs the program, as it is written or as it was compiled."""

    def __init__(self, *, compiled: Path | None = None, **parts: Any) -> None:
        super().__init__(**parts)
        task = self.prompt.sections[0][1].split("\n\n")[0]  # without the examples that follow it
        self.program = Looking(task, self.registry.specs(self.name), self.max_steps)
        if compiled is not None:
            self.program.load(compiled)

    def solve(self, run: Run, question: str) -> str:
        try:
            with speaking(self.model, run.ask):
                text = self.program(question=question, run=run).answer
        except dspy.AdapterParseError as error:
            raise ModelError(f"no such fields: {error.lm_response[:200]!r}") from error
        except dspy.LMError as error:  # around what the call of the model raised
            raise (error.__cause__ or error) from None
        if text is None:
            raise OutOfSteps(self.max_steps)
        return str(text)


def agent(app: App) -> ToolAgent:
    return one_agent(app, partial(DspyAgent, compiled=app.config.prompts(COMPILED) / COMPILED))


def uncompiled(app: App) -> DspyAgent:
    """Return the agent before an optimiser has seen it."""
    return one_agent(app, DspyAgent)
