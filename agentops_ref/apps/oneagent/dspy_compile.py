"""Compile the DSPy agent: run it on a train split, keep what went right as examples in its prompt.

::

    python -m agentops_ref.apps.oneagent.dspy_compile    # writes config/prompts/one_agent.dspy.json

The file is what a release would pin; `corpus/agent-train.yaml` shares no question with the cases
that the agent is measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy

from agentops_ref.agents.chain import generate
from agentops_ref.agents.limits import Limits
from agentops_ref.agents.request import Request
from agentops_ref.agents.run import Run
from agentops_ref.apps.oneagent import LOW_CODE
from agentops_ref.apps.oneagent.dspy_agent import COMPILED, Looking, uncompiled
from agentops_ref.apps.oneagent.dspy_model import speaking
from agentops_ref.evals import load_cases
from agentops_ref.evals.scorers import correct
from agentops_ref.records import Case, Usage
from agentops_ref.tracing import NoTracer
from agentops_ref.wiring import App

TRAIN = Path("corpus/agent-train.yaml")
DEMOS = 4
"""Examples in the compiled prompt; each costs its tokens in every call."""


def compile_program(
    app: App, cases: Sequence[Case], *, demos: int = DEMOS
) -> tuple[Looking, Usage]:
    """Return the compiled program and what compiling cost.

    An example that cannot be run at all ends the compilation: it would say nothing of the program.
    """
    agent, limits = uncompiled(app), Limits()
    examples = [
        dspy.Example(
            question=case.question,
            run=Run(agent, Request(tenant=app.config.agent.tenant)),
            case=case,
        ).with_inputs("question", "run")
        for case in cases
    ]

    def right(example: Any, said: Any, trace: Any = None) -> bool:
        return correct(example.case, example.run.answer(said.answer)).value == 1

    def ask(messages: Any, model: Any) -> Any:
        return generate(model, messages, app.usage_of, NoTracer(), limits)[0]

    optimiser = dspy.BootstrapFewShot(
        metric=right, max_bootstrapped_demos=demos, max_labeled_demos=0, max_errors=1
    )
    try:
        with speaking(app.chat, ask):
            program = optimiser.compile(agent.program, trainset=examples)
    except dspy.LMError as error:
        raise (error.__cause__ or error) from None
    return program, limits.usage


def main() -> None:
    from agentops_ref import build, load_config

    app = build(load_config(env=LOW_CODE))
    app.ensure_index()
    app.sync_tables()
    program, usage = compile_program(app, load_cases(app.config.path(TRAIN)))
    target = app.config.path(app.config.paths.prompts) / COMPILED
    program.save(target)
    print(f"{target}: {usage.calls} model calls")


if __name__ == "__main__":
    main()
