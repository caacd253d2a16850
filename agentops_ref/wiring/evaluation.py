"""What is measured: an agent on the cases, and recordings against the live models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.records import Answer, Case, CaseSplit
from agentops_ref.wiring.agents import Agents, kind_of
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.models import TOOL_STEP
from agentops_ref.wiring.syncing import Syncing

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent
    from agentops_ref.evals import EvalResult, Rescored, Scorer, ScoreTable
    from agentops_ref.evals.comparing import ComparisonReport
    from agentops_ref.evals.dialogues import Dialogue
    from agentops_ref.evals.judge import Judge


@dataclass(frozen=True, slots=True)
class Recorded:
    """Outputs that were recorded: a run's, or a file of anybody's."""

    name: str
    path: Path
    digests: Mapping[str, str] = field(default_factory=dict)
    """Scorer → digest, where a run says it."""
    run_id: str = ""


class Evaluation(Agents, Syncing):
    """Cases, scorers and runs; see `agentops_ref.evals`."""

    def cases(
        self,
        *,
        slices: Sequence[str] = (),
        corpus_version: int | None = None,
        split: CaseSplit | None = None,
    ) -> list[Case]:
        """Return the evaluation cases that are not retired, all or some."""
        from agentops_ref.evals import load_cases, select

        cases = load_cases(self.config.path(self.config.evals.cases))
        return select(cases, slices=slices or None, corpus_version=corpus_version, split=split)

    def scorers(self) -> list[Scorer]:
        """Return the configured scorers; a factory that asks for ``chat`` gets the chat model."""
        from agentops_ref.evals import load_scorers

        return load_scorers(self.config.evals.scorers, {"chat": lambda: self.chat}, self.judge)

    def judge(self, name: str) -> Judge:
        """Return a configured judge; it scores answers like any other scorer."""
        from agentops_ref.evals.judge import Judge
        from agentops_ref.wiring.asking import Filling

        judges = self.config.evals.judges
        if name not in judges:
            raise ConfigError(f"evals.judges: no judge '{name}'{nearest(name, tuple(judges))}")
        one = judges[name]
        ask = Filling(self, one.prompt, one.model)
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
        repeat: int = 1,
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
            repeat=repeat,
        )

    def dialogues(self) -> list[Dialogue]:
        """Return the conversations that are to be held with a simulated user."""
        from agentops_ref.evals.dialogues import load_dialogues

        return load_dialogues(self.config.path(self.config.evals.dialogues.file))

    def talk(
        self,
        dialogues: Sequence[Dialogue] | None = None,
        *,
        user: Literal["scripted", "simulated"] = "scripted",
        run_name: str = "conversations",
        progress: Progress | None = None,
    ) -> EvalResult:
        """Hold conversations with the agent and score each as a whole, as one MLflow run.

        The user says the script's lines, or a model pursues the dialogue's goal. Each conversation
        is a thread of its own, of the configured tenant.
        """
        from agentops_ref.evals import evaluate
        from agentops_ref.evals.dialogues import (
            Simulated,
            goal_reached,
            hold,
            policy_kept,
            scripted,
            turns_right,
        )
        from agentops_ref.wiring.asking import Filling

        chosen = self.dialogues() if dialogues is None else dialogues
        settings = self.config.evals.dialogues
        playing = Filling(self, settings.user)
        speaks = scripted if user == "scripted" else Simulated(playing)
        by_id = {one.id: one for one in chosen}
        most = settings.turns if user == "simulated" else max(len(one.turns) for one in chosen)
        return evaluate(
            [one.case() for one in chosen],
            lambda case: hold(by_id[case.id], self._conversation(), speaks, most=most),
            [goal_reached, policy_kept, turns_right(chosen)],
            tracer=self.tracer,
            run_name=run_name,
            params={
                "agent": kind_of(self.agent),
                "user": user if user == "scripted" else playing.recipe,
                "model": self.config.models.chat.name,
                "mode": self.config.models.mode,
                "index_version": self.index.version,
            },
            progress=progress and (lambda done, total, _: progress("talk", done, total)),
        )

    def _conversation(self) -> Callable[[str], Answer]:
        """Return the agent within a new conversation."""
        from uuid import uuid4

        from agentops_ref.agents.request import Request

        talk, owner = self.memory.conversation(self.agent), self.config.agent.tenant
        request = Request(tenant=owner, desk=self.config.agent.desk)
        return partial(talk, thread=f"eval-{uuid4().hex[:12]}", owner=owner, request=request)

    def recorded(self, name: str) -> Recorded:
        """Find recorded outputs: a file, or those of a run by its id or its name (the newest)."""
        from agentops_ref.evals.tracking import digests_of, find_run, outputs_of

        path = Path(name)
        if path.suffix == ".jsonl" or path.is_file():
            return Recorded(path.stem, path)
        run = find_run(self.tracer, name)
        found = outputs_of(self.tracer, run)
        return Recorded(str(run.info.run_name), found, digests_of(run), str(run.info.run_id))

    def rescore(
        self,
        recorded: Recorded,
        *,
        run_name: str = "re-scored",
        out: Path | None = None,
        progress: Progress | None = None,
    ) -> Rescored:
        """Score recorded outputs with the configured scorers, as a run; no agent is asked."""
        from agentops_ref.evals import rescore
        from agentops_ref.evals.outputs import read_rows

        return rescore(
            read_rows(recorded.path, {case.id: case for case in self.cases()}),
            self.scorers(),
            tracer=self.tracer,
            run_name=run_name,
            params={"scored.from": recorded.run_id or recorded.path.name},
            out=out,
            progress=progress and (lambda done: progress("score", done, done)),
        )

    def scores(self, recorded: Recorded, *, again: bool = False) -> ScoreTable:
        """Return the scores of recorded outputs.

        A file without scores is scored with the configured scorers, and so is any with ``again``.
        Nothing is logged.
        """
        from agentops_ref.evals import rescore
        from agentops_ref.evals.loading import is_judge
        from agentops_ref.evals.outputs import read_rows, scorers_of
        from agentops_ref.evals.run import read_scores

        configured = self.scorers()
        found = scorers_of(recorded.path)
        if again or not found:
            rows = read_rows(recorded.path, {case.id: case for case in self.cases()})
            return rescore(rows, configured, run_name=recorded.name).table
        judged = [scorer.__name__ for scorer in configured if is_judge(scorer)]
        digests = {name: recorded.digests.get(name, "") for name in found}
        return read_scores(read_rows(recorded.path), recorded.name, digests, judged)

    def keep_comparison(
        self, report: ComparisonReport, before: Recorded, after: Recorded
    ) -> str | None:
        """Keep a comparison in MLflow and return its run; None where two files were compared."""
        from agentops_ref.evals.tracking import log_comparison

        if not before.run_id and not after.run_id:
            return None
        return log_comparison(self.tracer, report, (before.run_id, after.run_id))

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
