"""What error analysis needs of the agents: their states, and their runs as traces to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.records import Case
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.evaluation import Evaluation
from agentops_ref.wiring.parts import load

if TYPE_CHECKING:
    from agentops_ref.evals.errors import Imported, Machine, Naming, Readings, Taxonomy, Trace

CHAIN = ("retrieve", "generate", "cite")
"""The spans of `agents.chain.Chain`, in order."""
DECIDERS = {"supervisor": "decide", "endpoints": "decide", "router": "choose"}
"""Kinds of agents that hand over, and the node in which they decide to whom."""


class ErrorAnalysis(Evaluation):
    """See `agentops_ref.evals.errors`."""

    @property
    def readings_file(self) -> Path:
        return self.config.path(self.config.evals.errors.readings)

    def readings(self, path: Path | None = None) -> Readings:
        """Return the traces of a file and what was read in them; by default the configured one."""
        from agentops_ref.evals.errors import load_readings

        return load_readings(path or self.readings_file)

    @property
    def naming(self) -> Naming:
        """How the spans of our agents are named as states: as the nodes of their graph."""
        from agentops_ref.evals.errors import Naming

        chains = [n for n, one in self.config.agent.specialists.items() if one.kind == "chain"]
        return Naming(
            deciders=DECIDERS,
            nodes={"chain": chains[0]} if len(chains) == 1 else {},
            around=frozenset({"request"}),
            last={kind: "finish" for kind, node in DECIDERS.items() if node == "decide"},
        )

    def machine(self, kind: str) -> Machine | None:
        """Return the states of one of our kinds of agent; None for others.

        A supervisor's are the nodes of its compiled graph; below each specialist stand its own.
        """
        from agentops_ref.evals.errors import Machine

        if kind == "chain":
            return Machine(kind, CHAIN, tuple(pairwise(CHAIN)))
        if kind in ("llm", "prompt"):
            return Machine(kind, ("generate",))
        if kind == "tools":
            return Machine(kind, self._inner("tools", kind))
        if kind not in DECIDERS:
            return None
        nodes: tuple[str, ...]
        edges: tuple[tuple[str, str], ...]
        if kind == "router":
            nodes = (DECIDERS[kind], *self.config.agent.specialists)
            edges = tuple((DECIDERS[kind], name) for name in self.config.agent.specialists)
        else:  # `endpoints` is the same graph, whose specialists are elsewhere
            graph = load("agent", "supervisor")(self).graph.get_graph()
            nodes = tuple(name for name in graph.nodes if not name.startswith("__"))
            edges = tuple((e.source, e.target) for e in graph.edges)
            edges = tuple(edge for edge in edges if set(edge) <= set(nodes))
        states: list[str] = []
        for node in nodes:
            states.append(node)
            if node in self.config.agent.specialists:
                kind_of = self.config.agent.specialists[node].kind
                states += [f"{node}/{state}" for state in self._inner(kind_of, node)]
        return Machine(kind, tuple(states), edges)

    def _inner(self, kind: str, name: str) -> tuple[str, ...]:
        if kind == "chain":
            return CHAIN
        if kind == "tools":
            return ("generate", *(spec.name for spec in self.tools.specs(name)))
        return ()

    def import_traces(
        self, traces: Sequence[Trace], path: Path | None = None, *, systems: Sequence[str] = ()
    ) -> Imported:
        """Add traces to a file of readings, with the states of the systems that they are of."""
        from agentops_ref.evals.errors import add_records

        named = dict.fromkeys([*systems, *(trace.system for trace in traces)])
        machines = [machine for name in named if (machine := self.machine(name))]
        return add_records(path or self.readings_file, [*machines, *traces])

    def tracked_traces(self, where: str) -> list[Trace]:
        """Return the traces of the MLflow run ``EXPERIMENT/RUN``."""
        from agentops_ref.evals.errors import traces_of_run

        return traces_of_run(self.tracer.connect(), where, naming=self.naming)

    def asked_traces(
        self, cases: Sequence[Case], kind: str, *, progress: Progress | None = None
    ) -> list[Trace]:
        """Put cases to a kind of agent, as an evaluation that MLflow keeps; return its traces.

        A trace is called as its case is, below its agent: asked again, it is the same trace.
        """
        agent = self.agent_of(kind)
        result = self.evaluate(cases, agent=agent, run_name=f"errors-{kind}", progress=progress)
        found = self.tracked_traces(f"{self.config.tracking.experiment}/{result.run_id}")
        by_id = {trace.id: trace for trace in found}
        return [
            replace(by_id[one.trace_id], id=f"{kind}/{one.case.id}", source=f"case {one.case.id}")
            for one in result.results
            if one.trace_id in by_id
        ]

    # --- the taxonomy, which stands beside the readings -----------------------------------------

    def taxonomy_file(self, path: Path | None = None) -> Path:
        return (path or self.readings_file).with_name("taxonomy.yaml")

    def taxonomy(self, path: Path | None = None) -> Taxonomy:
        """Return the categories beside a file of readings; by default the configured one."""
        from agentops_ref.evals.errors import load_taxonomy

        return load_taxonomy(self.taxonomy_file(path))

    def change_taxonomy(
        self, change: Callable[[Taxonomy], Taxonomy], path: Path | None = None
    ) -> Taxonomy:
        """Read the categories, change them and write them, with nobody between."""
        from agentops_ref.evals.errors import load_taxonomy, save_taxonomy
        from agentops_ref.evals.errors.store import locked

        file = self.taxonomy_file(path)
        with locked(file):
            made = change(load_taxonomy(file))
            save_taxonomy(file, made)
        return made

    def propose_categories(self, path: Path | None = None) -> Taxonomy:
        """Let the chat model group the notes that have no category; they count for nothing yet."""
        from agentops_ref.evals.errors import propose

        held, batch = self.readings(path), self.config.evals.errors.batch
        change = partial(propose, readings=held, ask=self._ask_for_groups, batch=batch)
        return self.change_taxonomy(change, path)

    def _ask_for_groups(self, notes: str, known: str) -> str:
        from agentops_ref.evals.errors import SCHEMA

        settings = self.config.evals.errors
        prompt = self.prompt_file(settings.prompt)
        form = {"type": "json_schema", "json_schema": {"name": "groups", "schema": SCHEMA}}
        messages = prompt.messages(notes=notes, known=known)
        asked = self.chat.bind(response_format=form, max_tokens=settings.tokens)
        return str(asked.invoke(messages).text)
