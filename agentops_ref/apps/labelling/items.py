"""What is put before a reader: a question, the excerpts that the model was shown, its answer.

The answers are recorded ones of the local model, given by the systems that other chapters
evaluate, so that making the items asks no model. Abstentions are left out: whether silence was
right, code can tell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agentops_ref.apps.antipatterns import desk, history
from agentops_ref.apps.architectures import first_of_each
from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals import load_cases, select
from agentops_ref.evals.jsonl import read_objects
from agentops_ref.records import Answer, Case, CaseSplit, Chunk, Hit
from agentops_ref.wiring import App

Documents = Literal["v1", "v2", "both-worlds"]
"""A version of the technical documents, or version 1 with the company's own (chapter 2)."""
Wired = Callable[[Documents, Mapping[str, Any]], App]
"""Called with overrides of the configuration."""

DEV_SHARE = 0.4
"""Share of the questions whose answers a judge's prompt may be chosen on."""
AGENT_CASES = Path("corpus/agent-cases.yaml")
LABELS = Path("corpus/labels")
HISTORIES = Path("corpus/chapter-02.yaml")
COMPANY_CASES = Path("corpus/company-cases.yaml")
BROAD = (
    *("fault-code-05", "same-code-01", "procedure-01", "procedure-04", "procedure-08"),
    *("warranty-01", "warranty-05", "price-parts-06", "price-parts-08", "scanned-04"),
    *("unanswerable-05", "unanswerable-08"),
)
HISTORY_SLICES = (
    *("fault-code", "same-code", "procedure", "value"),
    *("warranty", "superseded", "changed", "unanswerable"),
)
AGENT_SLICES = ("documents", "both", "nobody")
"""Without what only tables hold, and without actions, which change what is said next."""
KINDS = ("chain", "router")
"""Systems of chapter 5 whose answer rests on excerpts alone; a supervisor's also on tables."""
SEEDS, TEMPERATURE = range(1, 5), 0.7


class Excerpt(NamedTuple):
    """One passage as the model was shown it: its context line, then its text."""

    document: str
    page: int | None
    """1-based; None where the format has no pages."""
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One answer with all that a label needs."""

    id: str
    """8 hex digits: hash of question, excerpts and answer. Another answer is another item."""
    question: str
    answer: str
    excerpts: tuple[Excerpt, ...]
    system: str
    """Who gave the answer; the first one where several said the same."""
    case: str
    """The first case, in the order of the sets, that asks this question."""

    @property
    def split(self) -> CaseSplit:
        return split_of(self.question)


@dataclass(frozen=True, slots=True)
class System:
    """One configuration, and the cases on which its answers are recorded."""

    name: str
    cases: Sequence[Case]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the configuration."""
    documents: Documents = "v1"
    kind: str = "chain"


def split_of(question: str) -> CaseSplit:
    """Return the split of a question, decided by its hash and nothing else.

    By the question and not by the case's id, because the sets share questions, and two answers to
    one question are alike: a prompt chosen on the one would know the other.
    """
    return "dev" if uniform(_normal(question)) < DEV_SHARE else "test"


def recorded_systems(app: App) -> list[System]:
    """Return the systems of chapters 2, 5 and 8 whose answers are recorded."""
    own = app.cases(corpus_version=1)
    later = app.cases(corpus_version=2)
    agents = load_cases(app.config.path(AGENT_CASES))
    few = select(first_of_each(agents, most=3), slices=AGENT_SLICES)
    agents = select(agents, slices=AGENT_SLICES)
    histories = history.load_versions(app.config.path(HISTORIES))
    working, held = history.split(select(own, slices=HISTORY_SLICES), each=2)
    systems = [
        System("hybrid", own),
        System("vector", own, {"retrieval.mode": "vector"}),
        System("old-index", later),
        System("new-index", later, documents="v2"),
    ]
    for versions in histories.values():
        for version in versions:
            asked = working + held if version is versions[-1] else working
            systems.append(System(f"prompt-{version.name}", asked, version.settings))
    systems += [System(f"{kind}-agents", agents, kind=kind) for kind in KINDS]
    for seed in SEEDS:
        drawn = {"models.chat.seed": seed, "models.chat.temperature": TEMPERATURE}
        systems += [System(f"{kind}-seed-{seed}", few, drawn, kind=kind) for kind in KINDS]
    company = load_cases(app.config.path(COMPANY_CASES))
    broad = {"agent.prompts.chain": f"{desk.PROMPTS}/broad.md"}
    narrow = {
        "agent.prompts.chain": f"{desk.PROMPTS}/company.md",
        "etl.source.include": [f"{desk.FOLDER}/**"],
    }
    systems.append(System("bot-company", company, narrow, "both-worlds"))
    asked = [*select(own, ids=BROAD), *company]
    systems.append(System("bot-broad", asked, broad, "both-worlds"))
    return systems


def make_items(systems: Iterable[System], wired: Wired) -> list[Item]:
    """Ask the systems and return each different (question, answer) once, in order.

    Left out are abstentions, answers that a guard or a failure changed, and answers that were given
    without an excerpt, as there is nothing to hold them against.

    Raises
    ------
    OperatorError
        An answer is not recorded; a model that is at hand is not asked, as its answers would be
        items on this machine only.
    """
    made: dict[tuple[str, str], Item] = {}
    asking: dict[str, str] = {}
    for system in systems:
        app = wired(system.documents, system.settings)
        app.ensure_index()
        agent = app.agent_of(system.kind)
        for case in system.cases:
            first = asking.setdefault(_normal(case.question), case.id)
            answer = agent(case.question)
            if answer.model.endswith("(live)"):
                raise OperatorError(
                    f"{system.name}, {case.id}: the answer is not recorded; expected one of "
                    "recordings/. Items are made of recorded answers only: run `make record`"
                )
            key = (_normal(case.question), answer.text)
            if answer.abstained or answer.problem or not answer.hits or key in made:
                continue
            made[key] = item_of(case.question, answer, system=system.name, case=first)
    return list(made.values())


def item_of(question: str, answer: Answer, *, system: str, case: str) -> Item:
    """Return an answer as an item, with the excerpts as the model was shown them."""
    excerpts = tuple(map(_excerpt, answer.hits))
    told = json.dumps([_normal(question), [e.text for e in excerpts], answer.text])
    name = hashlib.sha256(told.encode()).hexdigest()[:8]
    return Item(name, question, answer.text, excerpts, system, case)


def as_scored(item: Item) -> tuple[Case, Answer]:
    """Return the item as what a scorer takes; the case expects nothing."""
    hits = tuple(
        Hit(Chunk(f"{item.id}-{at}", e.document, "", at, e.text, "", e.page), 0.0)
        for at, e in enumerate(item.excerpts)
    )
    return Case(item.case, item.question), Answer(item.answer, abstained=False, hits=hits)


def write_items(items: Iterable[Item], file: Path) -> None:
    """Write one line of JSON for each item."""
    lines = [
        json.dumps(
            asdict(item) | {"excerpts": [e._asdict() for e in item.excerpts]}, ensure_ascii=False
        )
        for item in items
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_items(file: Path) -> list[Item]:
    """Read what `write_items` wrote.

    Raises
    ------
    ConfigError
        The file is missing, or a line is no item; names the file and the line.
    """
    remedy = f"run python -m {__package__} items"
    return [_read(row, where) for where, row in read_objects(file, remedy=remedy)]


def uniform(text: str) -> float:
    """Return a number from 0 to 1 that only the text decides, evenly spread over texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def _read(row: Any, where: str) -> Item:
    try:
        excerpts = tuple(Excerpt(**one) for one in row["excerpts"])
        return Item(**row | {"excerpts": excerpts})
    except (TypeError, KeyError) as error:
        keys = ", ".join(Item.__dataclass_fields__)
        raise ConfigError(f"{where}: expected an item with {keys}: {error}") from None


def _excerpt(hit: Hit) -> Excerpt:
    chunk = hit.chunk
    text = f"{chunk.context}: {chunk.text}" if chunk.context else chunk.text
    return Excerpt(chunk.document, chunk.page, text)


def _normal(question: str) -> str:
    return " ".join(question.casefold().split())
