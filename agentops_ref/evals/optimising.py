"""Prompts that an optimiser writes: MLflow's rewrite the instructions, DSPy's choose the examples.

Taught in chapter 12. An optimiser reports the score of the best of many prompts on the cases it
chose it by, which is too good by how much it searched: what a prompt gained is a comparison on
cases that it never saw (`agentops_ref.evals.comparing`).
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.scorers import Scorer, apply
from agentops_ref.records import Answer, Case

if TYPE_CHECKING:
    from mlflow.genai.optimize.optimizers import BasePromptOptimizer

PROVIDER = "agentops"
OWN_MODEL = f"{PROVIDER}:/chat"
"""As an optimiser's ``reflection_model``: the configured chat model, within `speaking`."""


class Example(NamedTuple):
    """A question as it was answered: what an optimiser shows a model as an example."""

    question: str
    excerpt: str
    """The excerpt that the answer rests on; empty where there was none."""
    quote: str
    answer: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be changed of a prompt."""

    instructions: str
    examples: tuple[Example, ...] | None = None
    """None: the examples that the prompt has."""


Attempt = Callable[[Candidate, Case], tuple[Answer, Example | None]]
"""Answers a case with a candidate; the example is that answer as one, None where it makes none."""
Scored = tuple[float, str, Answer, Example | None]
"""Score, reason, answer, and the answer as an example."""


class Tried(NamedTuple):
    """A candidate and how it did."""

    candidate: Candidate
    score: float
    cases: int


@dataclass(slots=True)
class Search:
    """All that an optimiser asked for; the same candidate on the same case is asked once."""

    attempt: Attempt
    scorer: Scorer
    seen: dict[tuple[Candidate, str], Scored] = field(default_factory=dict)
    failed: list[Exception] = field(default_factory=list)
    """What ended the search: nothing is asked after it."""
    _one: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, candidate: Candidate, case: Case) -> Scored:
        """Return what came of a candidate on a case."""
        with self._one:  # an optimiser asks from several threads; a local model is one
            key = candidate, case.id
            if self.failed:
                raise self.failed[0]
            if key not in self.seen:
                try:
                    self.seen[key] = self._ask(candidate, case)
                except Exception as error:
                    self.failed.append(error)
                    raise
            return self.seen[key]

    def _ask(self, candidate: Candidate, case: Case) -> Scored:
        answer, example = self.attempt(candidate, case)
        score = apply(self.scorer, case, answer)
        if score.value is None:
            why = score.error or score.rationale
            raise DeveloperError(f"no {score.scorer} of case '{case.id}': {why}")
        return score.value, score.rationale, answer, example

    @contextmanager
    def going_on(self, *libraries: str) -> Iterator[None]:
        """Let libraries search, without their prints; raise what failed, which they take as bad."""
        try:
            with _quiet(*libraries):
                yield
        except Exception:
            if not self.failed:
                raise
        if self.failed:
            raise self.failed[0]

    def tried(self) -> list[Tried]:
        """Return the candidates in the order in which they were first asked."""
        scores: dict[Candidate, list[float]] = {}
        for (candidate, _), (score, *_) in self.seen.items():
            scores.setdefault(candidate, []).append(score)
        return [Tried(one, sum(all_) / len(all_), len(all_)) for one, all_ in scores.items()]


@dataclass(frozen=True, slots=True)
class Optimised:
    """What an optimiser found."""

    best: Candidate
    before: float
    """Mean score, 0 to 1, of the given prompt on the cases by which the best was chosen."""
    after: float
    """The best's on the same cases: not what it gained, see the module."""
    tried: tuple[Tried, ...]
    answers: int
    """Different answers that were asked of the agent."""
    judged: int
    """Cases by which the best was chosen."""


def rewrite_instructions(
    start: Candidate,
    cases: Sequence[Case],
    attempt: Attempt,
    scorer: Scorer,
    optimiser: BasePromptOptimizer,
    *,
    name: str,
) -> Optimised:
    """Let one of MLflow's optimisers rewrite the instructions, judged by these cases.

    The prompt and what comes out are versions of the registered prompt ``name``, and the search is
    a run. Each record of the optimiser holds question, answer, score and the scorer's reason.

    Raises
    ------
    DeveloperError
        No cases, or the scorer failed.
    """
    import mlflow
    from mlflow.entities import Feedback
    from mlflow.genai.scorers import scorer as as_scorer

    by_id = _by_id(cases)
    search = Search(attempt, scorer)
    registered = mlflow.genai.register_prompt(name=name, template=start.instructions)

    def predict(case: str, question: str) -> dict[str, Any]:
        told = mlflow.genai.load_prompt(f"prompts:/{name}/{registered.version}")
        tried = Candidate(str(told.template), start.examples)  # formatting refuses "{{"
        if not tried.instructions.strip():
            return {"answer": "", "score": 0.0, "reason": "the instructions are empty"}
        score, why, answer, _ = search(tried, by_id[case])
        return {"answer": answer.text, "score": score, "reason": why}

    @as_scorer(name=scorer.__name__)
    def scored(outputs: Any) -> Feedback:
        if search.failed:  # MLflow has made an answer of it
            raise search.failed[0]
        return Feedback(value=outputs["score"], rationale=outputs["reason"])

    records = [
        {"inputs": {"case": one.id, "question": one.question}, "expectations": _expected(one)}
        for one in cases
    ]
    with search.going_on("mlflow", "gepa", "LiteLLM"):
        found = mlflow.genai.optimize_prompts(
            predict_fn=predict,
            train_data=records,
            prompt_uris=[registered.uri],
            optimizer=optimiser,
            scorers=[scored],
        )
    best = Candidate(str(found.optimized_prompts[0].template), start.examples)
    return _optimised(search, start, best, cases)


def choose_examples(
    start: Candidate,
    cases: Sequence[Case],
    attempt: Attempt,
    scorer: Scorer,
    *,
    candidates: int,
    most: int,
    seed: int,
) -> Optimised:
    """Let DSPy choose the prompt's examples among right answers to half of the cases.

    Bootstrapped few-shot examples with random search (`dspy.BootstrapFewShotWithRandomSearch`,
    Khattab et al. 2024): one set more than ``candidates``, of up to ``most`` examples each, is
    measured on the other half. The given prompt stays where none is better.

    Raises
    ------
    DeveloperError
        Fewer than two cases, or the scorer failed.
    """
    import dspy

    by_id = _by_id(cases)
    if len(cases) < 2:
        raise DeveloperError("choosing examples needs two cases or more: to take from, to judge by")
    order = list(cases)
    random.Random(seed).shuffle(order)
    half = len(order) // 2
    search = Search(attempt, scorer)

    class Answering(dspy.Module):  # type: ignore[misc]  # dspy has no types
        """The agent as DSPy sees it: a question in, and a predictor that holds the examples."""

        def __init__(self) -> None:
            super().__init__()
            self.answer = dspy.Predict("question -> excerpt, quote, answer")

        def forward(self, case: str, question: str) -> Any:
            score, _, _, shown = search(candidate_of(self), by_id[case])
            if dspy.settings.trace is not None and shown:  # what examples are made of
                _, excerpt, quote, answer = shown
                said = dspy.Prediction(excerpt=excerpt, quote=quote, answer=answer)
                dspy.settings.trace.append((self.answer, {"question": question}, said))
            return dspy.Prediction(score=score)

    def candidate_of(program: Any) -> Candidate:
        chosen = tuple(
            Example(*(demo[f] for f in Example._fields)) for demo in program.answer.demos
        )
        return Candidate(start.instructions, chosen or start.examples)

    def metric(_: Any, said: Any, trace: Any = None) -> Any:
        return said.score == 1 if trace is not None else said.score

    given = [
        dspy.Example(case=one.id, question=one.question).with_inputs("case", "question")
        for one in order
    ]
    with search.going_on("dspy"):
        optimiser = dspy.BootstrapFewShotWithRandomSearch(
            metric=metric,
            max_bootstrapped_demos=most,
            max_labeled_demos=0,
            num_candidate_programs=candidates,
            num_threads=1,
            max_errors=1,
        )
        program = optimiser.compile(Answering(), trainset=given[:half], valset=given[half:])
    return _optimised(search, start, candidate_of(program), order[half:])


@contextmanager
def _quiet(*libraries: str) -> Iterator[None]:
    """Silence what libraries print of a search while it goes on, their progress bars included."""
    import tqdm

    loggers = [logging.getLogger(name) for name in libraries]
    levels, bar = [one.level for one in loggers], tqdm.tqdm.__init__
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        try:
            tqdm.tqdm.__init__ = partialmethod(bar, disable=True)
            for one in loggers:
                one.setLevel(logging.CRITICAL)
            yield
        finally:
            tqdm.tqdm.__init__ = bar
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)


@contextmanager
def speaking(reply: Callable[[list[dict[str, str]], int], str]) -> Iterator[None]:
    """Have `OWN_MODEL` answer by ``reply(messages, max_tokens)`` where LiteLLM is asked.

    MLflow's optimisers take a model by name; this gives the configured one a name.
    """
    import litellm
    from litellm.llms.custom_llm import CustomLLM

    class Own(CustomLLM):
        def completion(self, *_: Any, **asked: Any) -> Any:
            told = asked["optional_params"]
            most = told.get("max_tokens") or told.get("max_completion_tokens") or 0
            said = reply(asked["messages"], int(most))
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return litellm.ModelResponse(model=asked["model"], choices=[choice])

    before = litellm.custom_provider_map
    litellm.custom_provider_map = [*before, {"provider": PROVIDER, "custom_handler": Own()}]
    try:
        yield
    finally:
        litellm.custom_provider_map = before


def _by_id(cases: Sequence[Case]) -> dict[str, Case]:
    if not cases:
        raise DeveloperError("an optimiser needs cases to judge prompts by")
    return {one.id: one for one in cases}


def _expected(case: Case) -> dict[str, Any]:
    if case.abstain:
        return {"expected_response": "that the documents do not say it"}
    return {"expected_response": "; ".join(case.facts)}


def _optimised(
    search: Search, start: Candidate, best: Candidate, cases: Sequence[Case]
) -> Optimised:
    """Measure start and best on the same cases; what was asked already is not asked again."""

    def mean(candidate: Candidate) -> float:
        return sum(search(candidate, one)[0] for one in cases) / len(cases)

    before, after = mean(start), mean(best)
    return Optimised(best, before, after, tuple(search.tried()), len(search.seen), len(cases))
