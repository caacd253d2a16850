"""What guards add to one request, each alone and together.

One request: a question, a search that shows four excerpts, one tool call, an answer; the model and
the tool answer at once, so that what is left is the agent's own work. Each text is another one each
time, so that nothing is remembered from an earlier request; the way ``warm`` asks for the same four
excerpts again, as a search in earnest does. The guards' own time is taken inside each request, so
that a request is compared with itself less that time; ways take turns. The running case's tables
stand behind the tenancy guard and the known names. The guard ``scope`` judges by words alone,
without the time of the embedding model.
"""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agentops_ref.agents.guards import Channel, Context, Decision, Guarded, Guards
from agentops_ref.agents.loop import ToolLoop
from agentops_ref.agents.request import Request
from agentops_ref.agents.tools import Registry, SearchTool
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.config import load_config
from agentops_ref.records import Chunk, Hit, Usage
from agentops_ref.testing import ScriptedChat
from agentops_ref.wiring import App, build
from benchmarks._report import write

REQUESTS = 200
WARM = 10
EXCERPTS = 4


class Timed(Guards):
    """Guards that add up the seconds that they take."""

    spent = 0.0

    def check(self, text: str, channel: Channel, context: Context | None = None) -> Decision:
        started = time.perf_counter()
        decision = super().check(text, channel, context)
        self.spent += time.perf_counter() - started
        return decision


def reply(messages: Sequence[BaseMessage]) -> AIMessage | str:
    """Search, look up, answer: by what the conversation holds so far."""
    found = sum(isinstance(message, ToolMessage) for message in messages)
    if found == 0:
        call = {"name": "search_documents", "args": {"query": "torque of the flare nut"}, "id": "1"}
        return AIMessage("", tool_calls=[call])
    if found == 1:
        return AIMessage("", tool_calls=[{"name": "readings", "args": {}, "id": "2"}])
    return "The flow of NL8-241007 was 35.2 l/min; clean the strainer and measure again."


def texts() -> list[str]:
    """Return paragraphs of the running case's documents, about as long as chunks."""
    folder = Path(__file__).resolve().parents[1] / "corpus"
    files = sorted((*folder.glob("notes/*.md"), *folder.glob("bulletins/*.md")))
    whole = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return [whole[start : start + 600] for start in range(0, len(whole) - 600, 600)]


def way(
    app: App, given: Guards, paragraphs: Sequence[str], *, fresh: bool
) -> Callable[[], tuple[float, float]]:
    """Return a request; it gives its seconds, and those of the guards."""
    guards = Timed(given.checks, withheld="withheld")
    numbers, draw = itertools.count(), random.Random(7)

    def search(query: str, **more: Any) -> list[Hit]:
        number = next(numbers) if fresh else 0
        chosen = draw.sample(paragraphs, EXCERPTS) if fresh else paragraphs[:EXCERPTS]
        return [
            Hit(Chunk(f"{i}", "notes/a.md", "0" * 12, i, f"{one} ({number})", "Notes"), 1.0)
            for i, one in enumerate(chosen)
        ]

    def readings() -> str:
        """Readings of a unit."""
        return f"serial: NL8-241007; flow: 35.2 l/min; power: {next(numbers)} W"

    registry = Registry(
        [SearchTool(guards.search(search)), FunctionTool(readings)], inspect=guards.result
    )
    loop = ToolLoop(
        name="tools",
        registry=registry,
        model=ScriptedChat(script=reply),
        prompt=app.prompt_of("tools"),
        usage_of=lambda message: Usage(calls=1),
        context_chars=3000,
        min_support=0.5,
        max_steps=4,
    )
    told = app.config.guards.refusals.model_dump(include={"user", "answer", "ask"})
    agent = Guarded(loop, guards, **told)

    def ask() -> tuple[float, float]:
        question, guards.spent = f"What was the flow of NL8-241007 in week {next(numbers)}?", 0.0
        started = time.perf_counter()
        answer = agent(question, request=Request(tenant="torvik"))
        seconds = time.perf_counter() - started
        assert not answer.problem, answer.problem
        return seconds, guards.spent

    return ask


def sets(app: App) -> Mapping[str, Guards]:
    every = app.guards_with(every=True, traced=False)
    every.checks["scope"].guard._embeddings = None  # type: ignore[attr-defined]
    alone = {name: every.only(name) for name in every.checks}
    on = app.guards_with(every=False, traced=False)
    return {**alone, "all": on, "warm": on, "every": every}


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        app = build(load_config(overrides=(f"paths.state={place}",)))
        app.sync_tables()
        paragraphs = texts()
        ways = {
            name: way(app, guards, paragraphs, fresh=name != "warm")
            for name, guards in sets(app).items()
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(WARM + REQUESTS):
            for name, ask in ways.items():
                measured = ask()
                if number >= WARM:
                    took[name].append(measured)
    for name, pairs in took.items():
        added = [spent for _, spent in pairs]
        p50, p99 = np.percentile(added, [50, 99])
        write(
            f"guard_cost_{name}",
            "the same request less its guards' time",
            [seconds for seconds, _ in pairs],
            [seconds - spent for seconds, spent in pairs],
            what=f"one request, four excerpts, one tool call, no latency: {name}",
            added_p50_ms=round(1000 * float(p50), 3),
            added_p99_ms=round(1000 * float(p99), 3),
        )


if __name__ == "__main__":
    main()
