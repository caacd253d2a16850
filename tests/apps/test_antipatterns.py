"""Chapter 2's parts: two worlds in one folder, what strays, and histories of versions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentops_ref import build, load_config
from agentops_ref.apps.antipatterns import desk, history
from agentops_ref.errors import ConfigError, DeveloperError
from agentops_ref.evals import CaseResult, EvalResult, load_cases, select, states
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit, Score
from agentops_ref.wiring import App

ROOT = Path(__file__).parents[2]
COMPANY = load_cases(ROOT / "corpus" / "company-cases.yaml")
HISTORIES = history.load_versions(ROOT / "corpus" / "chapter-02.yaml")


# --- the company's questions and documents ------------------------------------------------------


@pytest.mark.parametrize("case", COMPANY, ids=lambda case: case.id)
def test_what_a_question_expects_stands_in_its_source(case: Case) -> None:
    texts = [(ROOT / "corpus" / source).read_text(encoding="utf-8") for source in case.sources]
    assert case.abstain == (not texts)
    for fact in case.facts:
        lines = [line for text in texts for line in text.splitlines()]
        assert any(states(line, fact, bare="always") for line in lines)


def test_a_forbidden_value_is_printed_somewhere() -> None:
    folder = ROOT / "corpus" / "company"
    text = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.md"))
    own = {case.id: [v for v in case.forbidden if states(text, v)] for case in COMPANY}
    others = {("company-05", "5 years"), ("company-08", "120 EUR")}  # of the technical documents
    for case in COMPANY:
        for value in set(case.forbidden) - set(own[case.id]):
            assert (case.id, value) in others


# --- the desk -----------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    docs = tmp_path / "corpus" / "v1" / "docs" / "manuals"
    docs.mkdir(parents=True)
    (tmp_path / "corpus" / "v1" / "tables").mkdir()
    (docs / "nx-4.md").write_text("# NX-4 manual\n\nThe flare nut is tightened to 17 Nm.\n")
    company = tmp_path / "company"
    company.mkdir()
    (company / "lockers.md").write_text("# Lockers\n\nThe key of a locker costs 15 EUR.\n")
    return tmp_path


def everything(corpus: Path) -> Path:
    return desk.everything(corpus / "corpus", corpus / "company", corpus / "everything")


def test_both_worlds_stand_in_one_folder_and_it_can_be_written_again(corpus: Path) -> None:
    for _ in range(2):
        folder = everything(corpus)
        found = {str(path.relative_to(folder)) for path in folder.rglob("*.md")}
        assert found == {"manuals/nx-4.md", "company/lockers.md"}
    assert desk.world_of("company/lockers.md") == desk.COMPANY
    assert desk.world_of("manuals/company.md") == desk.TECHNICAL


@pytest.fixture
def apps(corpus: Path) -> dict[str, App]:
    def wired(overrides: Mapping[str, Any]) -> App:
        own = {
            "models.mode": "scripted",
            "paths.corpus": str(corpus / "corpus"),
            "paths.state": str(corpus / "state"),
            "paths.cache": str(corpus / "cache"),
        }
        return build(load_config(overrides={**own, **overrides}))

    return desk.bots(wired, everything(corpus), corpus / "state")


def test_each_bot_reads_its_own_documents_with_its_own_prompt(apps: dict[str, App]) -> None:
    held = {name: set(app.sink.ledger()) for name, app in apps.items()}
    assert held == {
        "broad": {"manuals/nx-4.md", "company/lockers.md"},
        "support": {"manuals/nx-4.md"},
        "company": {"company/lockers.md"},
    }
    prompts = {app.config.agent.prompts["chain"] for app in apps.values()}
    assert len(prompts) == len(apps)


# --- what strays --------------------------------------------------------------------------------


def hit(document: str) -> Hit:
    return Hit(Chunk("id", document, "v", 0, "text", "title"), 1.0)


def answered(
    name: str,
    value: float,
    *,
    slice: str = desk.COMPANY,
    hits: tuple[str, ...] = (),
    cites: tuple[str, ...] = (),
    abstained: bool = False,
) -> CaseResult:
    answer = Answer(
        "said",
        abstained=abstained,
        hits=tuple(map(hit, hits)),
        citations=tuple(Citation(one, "v", None, "text") for one in cites),
    )
    case = Case(name, "?", slice=slice, facts=("x",), sources=("a",))
    return CaseResult(case, answer, (Score("correct", value),))


def evaluation(*results: CaseResult, scorers: str = "digest") -> EvalResult:
    return EvalResult("run", results, {"correct": scorers}, "cases", seconds=1.0)


def test_excerpts_and_citations_of_the_other_world_are_counted() -> None:
    result = evaluation(
        answered("a", 1, hits=("company/a.md", "manuals/a.pdf")),
        answered("b", 0, hits=("manuals/a.pdf",), cites=("manuals/a.pdf",)),
        answered("c", 1, hits=("company/a.md",), cites=("company/a.md",)),
        answered("d", 1, slice=desk.TECHNICAL, hits=("company/a.md",)),
    )
    assert desk.strays(result, desk.COMPANY) == (3, 2, 1, 0.5)
    assert desk.strays(result, desk.TECHNICAL) == (1, 1, 0, 1.0)
    assert desk.strays(evaluation(), desk.COMPANY) == (0, 0, 0, 0.0)


def test_the_share_of_stray_hits_needs_no_answer() -> None:
    found = {"q": [hit("company/a.md"), hit("manuals/a.pdf")], "r": [hit("company/b.md")]}

    def search(query: str) -> list[Hit]:
        return found.get(query, [])

    cases = [Case(name, name, abstain=True) for name in "qr"]
    assert desk.stray_share(search, cases, desk.COMPANY) == pytest.approx(1 / 3)
    assert desk.stray_share(search, cases, desk.TECHNICAL) == pytest.approx(2 / 3)
    assert desk.stray_share(search, [Case("n", "n", abstain=True)], desk.COMPANY) == 0


def test_the_best_hit_says_whose_question_it_is() -> None:
    found = {"q": [hit("company/a.md"), hit("manuals/a.pdf")], "r": [hit("manuals/a.pdf")]}

    def search(query: str) -> list[Hit]:
        return found.get(query, [])

    assert [desk.sent(search, name) for name in "qrs"] == ["company", "technical", "technical"]


def test_evaluations_are_joined_when_the_same_scorers_made_them() -> None:
    one, two = evaluation(answered("a", 1)), evaluation(answered("b", 0))
    both = desk.joined("desk", one, two)
    assert [r.case.id for r in both.results] == ["a", "b"]
    assert (both.name, both.seconds) == ("desk", 2.0)
    with pytest.raises(DeveloperError, match="same scorers"):
        desk.joined("desk", one, evaluation(scorers="other"))
    with pytest.raises(DeveloperError, match="at least one"):
        desk.joined("desk")


# --- histories ----------------------------------------------------------------------------------


def test_the_histories_begin_alike_and_each_complaint_is_a_case_of_the_working_set() -> None:
    whack, characterised = HISTORIES["whack"], HISTORIES["characterised"]
    assert whack[0] == characterised[0]
    cases = load_cases(ROOT / "corpus" / "cases.yaml")
    known = {case.id for case in cases if case.corpus_version == 1}
    complaints = [one.complaint for one in whack[1:]]
    assert set(complaints) <= known
    assert len(complaints) == len(set(complaints))
    for one in [*whack, *characterised]:
        config = load_config(overrides=one.settings)
        assert (config.prompts(one.settings["agent.prompts.chain"])).is_dir()


def test_each_version_of_the_whack_history_adds_a_rule_and_nothing_else() -> None:
    texts = []
    for one in HISTORIES["whack"]:
        assert set(one.settings) == {"agent.prompts.chain"}
        name = one.settings["agent.prompts.chain"]
        texts.append((load_config().prompts(name) / name).read_text(encoding="utf-8"))
    for old, new in pairwise(texts):
        assert [line[:2] for line in history.added(old, new).splitlines()] == ["+ "]


def test_a_working_set_and_one_held_out_by_the_order_of_the_file() -> None:
    cases = [
        Case(f"{part}{n}", "?", abstain=True, slice=part) for n in range(5) for part in ("a", "b")
    ]
    working, held = history.split(cases, each=2)
    assert [one.id for one in working] == ["a0", "b0", "a1", "b1"]
    assert [one.id for one in held] == ["a2", "b2", "a3", "b3"]
    assert select(working, slices=["a"]) == [cases[0], cases[2]]


OLD = evaluation(answered("a", 1), answered("b", 0), answered("c", 0, abstained=True))
NEW = evaluation(answered("a", 0), answered("b", 1), answered("c", 0))


def test_the_next_complaint_is_the_first_failure_that_nobody_told_of() -> None:
    told = history.next_complaint(OLD, ())
    assert told is not None
    assert told.case.id == "b"
    later = history.next_complaint(OLD, {"b"})
    assert later is not None
    assert later.case.id == "c"
    assert history.next_complaint(OLD, {"b", "c"}) is None


def test_what_a_version_mended_and_broke() -> None:
    assert history.changed({"v0": OLD, "v1": NEW}) == {"v1": ({"b"}, {"a"})}


def test_the_matrix_says_the_same_in_words_and_in_the_figure() -> None:
    history_of_two = {"v0": OLD, "v1": NEW}
    assert history.describe_history(history_of_two).splitlines() == [
        "a: v0 right, v1 − wrong",
        "b: v0 wrong, v1 + right",
        "c: v0 silent, v1 wrong",
    ]
    axes = history.plot_history(history_of_two).axes[0]
    drawn = [text.get_text() for text in axes.texts]
    assert drawn == ["right", "− wrong", "wrong", "+ right", "silent", "wrong"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["v0", "v1"]


def test_each_version_is_asked_the_same_cases() -> None:
    asked: list[tuple[str, str]] = []

    class Stub:
        def __init__(self, settings: Mapping[str, Any]) -> None:
            self.settings = settings

        def evaluate(self, cases: list[Case], *, run_name: str) -> EvalResult:
            asked.append((run_name, self.settings["agent.prompts.chain"]))
            return OLD

    versions = [history.Version("v0", {"agent.prompts.chain": "a.md"}, ""),
                history.Version("v1", {"agent.prompts.chain": "b.md"}, "")]  # fmt: skip
    assert list(history.run(Stub, versions, [])) == ["v0", "v1"]  # type: ignore[arg-type]
    assert asked == [("v0", "a.md"), ("v1", "b.md")]


@pytest.mark.parametrize(
    "text", ["- a\n", "whack: [{name: v0}]\n", "whack: [{naem: v0}]\n", "a: ["]
)
def test_a_malformed_file_of_histories_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "h.yaml").write_text(text)
    with pytest.raises(ConfigError, match="expected histories"):
        history.load_versions(tmp_path / "h.yaml")


def test_a_missing_file_of_histories_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="histories not found"):
        history.load_versions(tmp_path / "none.yaml")
