"""What is measured: an agent on the cases, and recordings against the live models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.records import Case
from agentops_ref.wiring.agents import Agents, kind_of
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.models import TOOL_STEP
from agentops_ref.wiring.syncing import Syncing

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent
    from agentops_ref.evals import EvalResult, Scorer
    from agentops_ref.evals.judge import Judge


class Evaluation(Agents, Syncing):
    """Cases, scorers and runs; see `agentops_ref.evals`."""

    def cases(self, *, slices: Sequence[str] = (), corpus_version: int | None = None) -> list[Case]:
        """Return the evaluation cases, all or some."""
        from agentops_ref.evals import load_cases, select

        cases = load_cases(self.config.path(self.config.evals.cases))
        return select(cases, slices=slices or None, corpus_version=corpus_version)

    def scorers(self) -> list[Scorer]:
        """Return the configured scorers."""
        from agentops_ref.evals import load_scorers

        return load_scorers(self.config.evals.scorers)

    def judge(self, name: str) -> Judge:
        """Return a configured judge; it scores answers like any other scorer."""
        from agentops_ref.evals.judge import Judge
        from agentops_ref.wiring.asking import Judging

        judges = self.config.evals.judges
        if name not in judges:
            raise ConfigError(f"evals.judges: no judge '{name}'{nearest(name, tuple(judges))}")
        one = judges[name]
        ask = Judging(self, one)
        return Judge(
            name,
            criterion=one.criterion,
            ask=ask,
            recipe=ask.recipe,
            reason=one.reason,
            chars=one.context_chars,
        )

    def evaluate(
        self,
        cases: Sequence[Case] | None = None,
        *,
        agent: Agent | None = None,
        run_name: str = "evaluation",
        progress: Progress | None = None,
    ) -> EvalResult:
        """Run the agent on the cases and score its answers, as one MLflow run.

        ``agent`` takes the place of the configured one: one of `agent_of`, or the caller's own.
        """
        from agentops_ref.evals import evaluate

        answer = agent or self.agent
        return evaluate(
            self.cases(corpus_version=1) if cases is None else cases,
            lambda case: answer(case.question),
            self.scorers(),
            tracer=self.tracer,
            run_name=run_name,
            params={
                "agent": kind_of(answer),
                "model": self.config.models.chat.name,
                "mode": self.config.models.mode,
                "index_version": self.index.version,
                "retrieval": self.config.retrieval.model_dump_json(),
            },
            progress=progress and (lambda done, total, _: progress("evaluate", done, total)),
        )

    def verify_recordings(self, *, sample: int, seed: int, progress: Progress | None = None) -> Any:
        """Ask the live models a random sample of what is recorded; see `models.verify`.

        Compares up to ``sample`` each of chats, of the index's texts and of the source's scans.
        """
        import random
        from itertools import islice

        from agentops_ref.etl.scans import scans
        from agentops_ref.etl.sinks.base import searchable
        from agentops_ref.models.verify import verify

        self.ensure_index(progress=progress)
        rng = random.Random(seed)
        index = self.sink.snapshot()
        chunks = [chunk for name in sorted(index.ledger()) for chunk in index.chunks_of(name)]
        documents = sorted(item.document for item in self.source.list().items)
        rng.shuffle(documents)
        return verify(
            self.config.path(self.config.paths.recordings),
            self.config.models,
            weights=self.config.weights,
            prompts=self.config.prompts(TOOL_STEP),
            sample=sample,
            rng=rng,
            texts=map(searchable, rng.sample(chunks, min(sample, len(chunks)))),
            images=islice(scans(self.source, documents), sample),
            progress=progress,
        )
