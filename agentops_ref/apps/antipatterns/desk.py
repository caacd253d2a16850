"""One bot for everybody, or one for each kind of question, over the same documents.

Taught in chapter 2. The technical documents are those of corpus version 1; the company's own, of
staff, travel, computers and buildings, are in ``corpus/company``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from agentops_ref.apps.corpus_folder import bring_to
from agentops_ref.errors import DeveloperError
from agentops_ref.evals import EvalResult
from agentops_ref.evals.retrieval import Search
from agentops_ref.records import Case
from agentops_ref.wiring import App

FOLDER = "company"
"""Below it stand the company's documents in a folder that holds everything."""
TECHNICAL, COMPANY = "technical", "company"
PROMPTS = "chapter-02"


def everything(corpus: Path | str, company: Path | str, folder: Path | str) -> Path:
    """Write the documents of both worlds into one folder, the company's below ``company/``."""
    place = Path(folder)
    bring_to(corpus, 1, place)
    shutil.copytree(company, place / FOLDER, dirs_exist_ok=True)
    return place


def bots(
    wired: Callable[[Mapping[str, Any]], App], folder: Path | str, state: Path | str
) -> dict[str, App]:
    """Return the broad bot and the two narrow ones, each with an index of its own.

    ``wired`` is called with overrides of the configuration. The bot for technicians is the one of
    all other chapters. All three are the same chain.
    """
    all_of_it: dict[str, Any] = {"etl.source.root": str(folder)}
    own: dict[str, Mapping[str, Any]] = {
        "broad": all_of_it
        | {
            "etl.sink.uri": f"{state}/broad",
            "agent.prompts.chain": f"{PROMPTS}/broad.md",
        },
        "support": {},
        "company": all_of_it
        | {
            "etl.source.include": [f"{FOLDER}/**"],
            "etl.sink.uri": f"{state}/company",
            "agent.prompts.chain": f"{PROMPTS}/company.md",
        },
    }
    made = {name: wired({"agent.kind": "chain", **settings}) for name, settings in own.items()}
    for app in made.values():
        app.ensure_index()
    return made


def labelled(cases: Sequence[Case], world: str) -> list[Case]:
    """Return the cases as those of one world: its name takes the place of their slices."""
    return [replace(case, slice=world) for case in cases]


def world_of(document: str) -> str:
    """Return which world a document of the folder with everything belongs to."""
    return COMPANY if document.startswith(f"{FOLDER}/") else TECHNICAL


def joined(name: str, *results: EvalResult) -> EvalResult:
    """Return several evaluations as one: what a desk answers that sends each question on.

    Raises
    ------
    DeveloperError
        No evaluation, or other scorers.
    """
    if not results or any(one.scorers != results[0].scorers for one in results):
        raise DeveloperError("expected evaluations by the same scorers, at least one")
    return replace(
        results[0],
        name=name,
        results=tuple(case for one in results for case in one.results),
        cases_digest="+".join(one.cases_digest for one in results),
        run_id="",
        seconds=sum(one.seconds for one in results),
    )


class Strays(NamedTuple):
    """What of the other world came up in the answers to questions of one."""

    cases: int
    shown: int
    """Questions with an excerpt of the other world before the model."""
    cited: int
    """Questions whose answer cites the other world."""
    excerpts: float
    """Share of the other world among all excerpts that the model was shown, 0..1."""


def strays(result: EvalResult, world: str) -> Strays:
    """Count the other world's documents in the answers to one world's questions."""
    chosen = [one.answer for one in result.results if one.case.slice == world]
    shown = [[world_of(hit.chunk.document) != world for hit in one.hits] for one in chosen]
    cited = [any(world_of(c.document) != world for c in one.citations) for one in chosen]
    excerpts = sum(map(len, shown))
    return Strays(
        len(chosen),
        sum(map(any, shown)),
        sum(cited),
        sum(map(sum, shown)) / excerpts if excerpts else 0.0,
    )


def stray_share(search: Search, cases: Sequence[Case], world: str) -> float:
    """Return the share of the other world among all hits for these questions; 0 without hits."""
    found = [world_of(hit.chunk.document) for case in cases for hit in search(case.question)]
    return sum(one != world for one in found) / len(found) if found else 0.0


def sent(search: Search, question: str) -> str:
    """Return whose question it is, by the best hit over both worlds: a door without a model."""
    hits = search(question)
    return world_of(hits[0].chunk.document) if hits else TECHNICAL
