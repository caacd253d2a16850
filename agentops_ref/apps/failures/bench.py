"""The parts of one question's agents, healthy until a failure is put in the place of one.

What decides, reads and calls tools is scripted. The agents, limits, registry, memory and HTTP
around them are the package's own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agentops_ref.agents.bounded import Bounded
from agentops_ref.agents.limits import Allowance
from agentops_ref.agents.prompts import Prompt, load_prompt
from agentops_ref.agents.specialists import Router, Specialist
from agentops_ref.apps.failures.processes import TOOL, Processes
from agentops_ref.records import Answer, Chunk, Hit, Usage
from agentops_ref.testing import RecordingTracer, ScriptedChat

Act = Callable[[Callable[[], Any]], Any]
"""What a broken part does in place of the healthy one, which it is given."""

PARTS: Mapping[str, frozenset[str]] = {
    "chain": frozenset({"model", "form", "search", "traces"}),
    "tools": frozenset({"model", "tool", "mcp", "write", "audit"}),
    "router": frozenset({"model", "form", "decider", "search", "tool", "audit"}),
    "supervisor": frozenset(
        {"model", "form", "decider", "search", "tool", "mcp", "write", "audit"}
    ),
    "endpoints": frozenset({"decider", "endpoint"}),
    "conversation": frozenset({"model", "form", "search", "memory"}),
}
"""Architecture → the parts of it that can fail."""
ARCHITECTURES = tuple(PARTS)
CALLED = frozenset({"tool", "mcp", "write", "audit"})
"""Parts that the specialist with tools has; the others are the one's that reads documents."""

QUESTION = "How tight is the nut of an NL-8, and until when is NL8-241007 under warranty?"
TIGHT, UNTIL, BOOKED = "18 Nm", "2029", "Visit V-1 is booked."
"""What the healthy specialists say."""
_PAGE = Chunk("nl8.pdf#1", "nl8.pdf", "0" * 12, 1, f"Flare nut: {TIGHT}", "NL-8 manual", 0, {})


class Bench:
    """One architecture with its parts, and what breaks them.

    Parameters
    ----------
    part
        The part that will fail; it decides whom a router asks and which tool is called.
    folder
        Where stores and logs are.
    seconds
        The request's deadline.
    """

    def __init__(
        self, architecture: str, part: str, folder: Path, seconds: float, processes: Processes
    ) -> None:
        self.architecture, self.part, self.folder = architecture, part, folder
        self.seconds, self.processes = seconds, processes
        self.acts: dict[str, Act] = {}
        """Part → what it does in place of what it should."""
        self.over = threading.Event()
        """Set at the end; what hangs, hangs until then."""
        self.around = ExitStack()
        """What is undone at the end."""
        self.recorded = RecordingTracer()
        self.tracer: Any = self.recorded
        self.mcp = processes.take("mcp") if part == "mcp" else None
        self.urls: dict[str, str] = {}
        """Of the specialists behind endpoints."""
        self.written: list[str] = []
        """What the tool that writes has done."""

    @property
    def store(self) -> Path:
        """The file of the conversations."""
        return self.folder / "memory.db"

    @property
    def audit(self) -> Path:
        return self.folder / "tools.jsonl"

    def at(self, part: str, healthy: Callable[[], Any]) -> Any:
        """Return what a part gives, or let what is put in its place happen."""
        act = self.acts.get(part)
        return healthy() if act is None else act(healthy)

    # --- the scripted parts ------------------------------------------------------------------

    def _model(self, part: str, script: Callable[[Sequence[Any]], Any]) -> ScriptedChat:
        return ScriptedChat(script=lambda messages: self.at(part, lambda: script(messages)))

    def _decider(self) -> ScriptedChat:
        """A model that sends a router to the part's specialist, and a supervisor to both."""
        order = ["records", "knowledge"] if self.part in CALLED else ["knowledge", "records"]
        plan = [{"agent": name, "task": QUESTION} for name in order]
        said = iter([json.dumps({"agent": order[0], "tasks": plan, "more": False})])
        return self._model("decider", lambda _: next(said, '{"tasks": [], "more": false}'))

    def _calls(self, messages: Sequence[Any]) -> Any:
        """Call the tool; then say what it gave, or that it gave nothing."""
        from langchain_core.messages import AIMessage

        if messages[-1].type != "tool":
            tool = {"mcp": TOOL, "write": "book_visit"}.get(self.part, "find_installation")
            call = {"name": tool, "args": {"serial": "NL8-241007"}, "id": "1"}
            return AIMessage("", tool_calls=[call])
        if self.part == "write":
            return self.at("after a write", lambda: BOOKED)
        said = UNTIL in messages[-1].text
        return f"Until {UNTIL}." if said else _prompt("tools.md").abstain

    # --- the agents --------------------------------------------------------------------------

    def agent(self) -> Callable[[], Answer]:
        """Return what asks the question of this architecture."""
        if self.architecture == "conversation":
            return self._conversation()
        bounded = Bounded(
            getattr(self, f"_{self.architecture}")(),
            Allowance(seconds=self.seconds),
            reply="There is no answer.",
            tracer=self.tracer,
        )
        return lambda: bounded(QUESTION)

    def _common(self, prompt: str) -> dict[str, Any]:
        return {"prompt": _prompt(prompt), "usage_of": _usage_of, "tracer": self.tracer}

    def _chain(self) -> Any:
        from agentops_ref.agents.chain import Chain

        said = json.dumps({"excerpt": 1, "quote": "Flare nut", "answer": f"{TIGHT}."})
        return Chain(
            search=lambda query, **_: self.at("search", lambda: [Hit(_PAGE, 1.0)]),
            model=self._model("model", lambda _: said),
            context_chars=1500,
            min_support=0.5,
            **self._common("answer.md"),
        )

    def _tools(self) -> Any:
        from agentops_ref.agents.loop import ToolLoop
        from agentops_ref.agents.tools.audit import AuditFile
        from agentops_ref.agents.tools.functions import FunctionTool
        from agentops_ref.agents.tools.registry import Registry

        def find_installation(serial: str) -> Any:
            """Says until when a unit is under warranty."""
            return self.at("tool", lambda: f"{serial}: warranty until {UNTIL}")

        def book_visit(serial: str) -> str:
            """Books a technician."""
            self.written.append(serial)
            return BOOKED

        registry = Registry(
            [FunctionTool(find_installation), FunctionTool(book_visit, effect="write")],
            audit=AuditFile(self.audit),
            tracer=self.tracer,
        )
        if self.mcp is not None:
            from agentops_ref.agents.tools.mcp import source_of
            from agentops_ref.settings import McpServerConfig

            server = McpServerConfig(name="warranties", url=self.mcp.url)
            registry.connect(source_of(server, timeout=30.0))
        alone = self.architecture == "tools"
        return ToolLoop(
            name="records",
            registry=registry,
            model=self._model("model" if alone else "calls", self._calls),
            context_chars=1500,
            min_support=0.5,
            max_steps=3,
            **self._common("tools.md"),
        )

    def _team(self) -> list[Specialist]:
        return [
            Specialist("knowledge", "what the manuals say", self._chain()),
            Specialist("records", "what is known of one unit", self._tools()),
        ]

    def _router(self) -> Any:
        prompt = self._common("route.md")
        return Router(self._team(), model=self._decider(), fallback="knowledge", **prompt)

    def _supervised(self, team: Sequence[Specialist]) -> Any:
        from agentops_ref.agents.supervisor import Supervisor

        prompt = self._common("supervise.md")
        return Supervisor(team, model=self._decider(), max_tasks=3, **prompt)

    def _supervisor(self) -> Any:
        return self._supervised(self._team())

    def _endpoints(self) -> Any:
        from agentops_ref.agents.remote import RemoteAgent, answer_json
        from agentops_ref.apps.loopback import JsonService

        def healthy(text: str) -> str:
            answer = {"custom_outputs": {"answer": answer_json(Answer(text, abstained=False))}}
            return self.around.enter_context(JsonService(lambda _: (200, answer))).url

        urls = {"knowledge": f"{TIGHT}.", "records": f"Until {UNTIL}."}
        team = []
        for name, text in urls.items():
            url = self.urls.get(name) or healthy(text)
            remote = RemoteAgent(name, url, connect_seconds=2, tracer=self.tracer)
            team.append(Specialist(name, f"what {name} says", remote))
        return self._supervised(team)

    def _conversation(self) -> Callable[[], Answer]:
        """Return what asks in a thread that holds a turn already, from before the failure."""
        from agentops_ref.agents.memory import Ask, Standalone, Summariser, Threads, open_database
        from agentops_ref.agents.memory.conversation import Conversation

        def ask(prompt: str, script: Callable[[Sequence[Any]], str]) -> Ask:
            return Ask(ScriptedChat(script=script), _prompt(prompt), _usage_of, self.tracer)

        database = open_database(f"sqlite:///{self.store}")
        self.around.callback(database.close)

        def talk(seconds: float | None) -> Any:
            return Conversation(
                self._chain(),
                threads,
                standalone=Standalone(ask("standalone.md", lambda _: QUESTION)),
                summariser=Summariser(ask("thread_summary.md", lambda _: "notes"), most=400),
                budget=4000,
                allowance=Allowance(seconds=seconds),
                reply="There is no answer.",
                tracer=self.tracer,
            )

        threads = Threads(database, version="1")
        broken, self.acts = self.acts, {}
        talk(None)("What is an NL-8?", thread="t")
        self.acts = broken
        self.recorded.spans.clear()
        bounded = talk(self.seconds)
        return lambda: bounded("And its nut?", thread="t")


def _prompt(name: str) -> Prompt:
    from agentops_ref.config import shipped_config_dir

    return load_prompt(shipped_config_dir() / "prompts", name)


def _usage_of(_: Any) -> Usage:
    return Usage(10, 2, 0.0, 1)
