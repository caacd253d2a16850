"""Chapter 3's checks tell right from wrong, and the working folder moves as the corpus says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentops_ref.apps.checks.ch03 import flaky_source, plan, simulate, situation
from agentops_ref.apps.corpus_folder import bring_to
from agentops_ref.apps.outdated import Outdated, outdated, prints, still_held
from agentops_ref.errors import OperatorError
from agentops_ref.records import Chunk
from agentops_ref.settings import DeletionConfig

RIGHT = {
    "create": {"bulletin-8.docx"},
    "update": {"bulletin-7.docx", "prices.xlsx"},
    "delete": {"old-note.md"},
    "keep": {"alarms.pdf", "charge.pdf"},
    "tombstone": {"draft.md"},
}


def test_the_right_plan_is_right() -> None:
    assert plan(RIGHT).right
    assert set(situation().ledger) | {"bulletin-8.docx"} == set().union(*RIGHT.values())


@pytest.mark.parametrize("document", sorted(set().union(*RIGHT.values())))
def test_a_document_under_a_wrong_kind_is_named_with_the_reason(document: str) -> None:
    wrong = {kind: names - {document} for kind, names in RIGHT.items()}
    other = "keep" if document not in RIGHT["keep"] else "delete"
    wrong[other] = wrong[other] | {document}
    checked = plan(wrong)
    assert not checked.right
    assert checked.why.startswith(document)


def test_a_plan_with_gaps_doubles_and_strangers_is_not_right() -> None:
    assert not plan({}).right
    assert not plan({**RIGHT, "archive": {"draft.md"}}).right
    assert not plan({**RIGHT, "keep": RIGHT["keep"] | {"draft.md"}}).right
    assert not plan({**RIGHT, "keep": RIGHT["keep"] | {"nowhere.pdf"}}).right


def test_settings_that_wait_or_doubt_enough_pass() -> None:
    assert flaky_source(listings=3, max_share=0.2).right
    assert not flaky_source(listings=1, max_share=0.3).right  # deletes in an outage
    assert not flaky_source(listings=3, max_share=1).right  # two outages in a row
    assert not flaky_source(listings=5, max_share=0.3).right  # too slow
    assert not flaky_source(listings=1, max_share=0).right  # nothing is ever deleted
    assert not flaky_source(listings=0, max_share=2).right


def test_the_simulation_is_reproducible() -> None:
    deletion = DeletionConfig(listings=1, max_share=0.3)
    assert simulate(deletion) == simulate(deletion)
    assert simulate(deletion).wrongly_deleted > 0


def _corpus(root: Path) -> Path:
    for version, files in {1: {"a": "1", "b/c": "2"}, 2: {"a": "1", "b/c": "3", "d": "4"}}.items():
        for name, text in files.items():
            file = root / f"v{version}" / "docs" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return root


def test_a_folder_is_brought_to_a_version_without_touching_the_rest(tmp_path: Path) -> None:
    corpus, folder = _corpus(tmp_path / "corpus"), tmp_path / "docs"
    assert bring_to(corpus, 1, folder) == ("a", "b/c")
    before = (folder / "a").stat()
    assert bring_to(corpus, 2, folder) == ("b/c", "d")
    assert (folder / "a").stat().st_ctime_ns == before.st_ctime_ns
    assert bring_to(corpus, 1, folder) == ("b/c", "d")
    assert not (folder / "d").exists()
    with pytest.raises(OperatorError):
        bring_to(corpus, 9, folder)


def test_outdated_facts_are_the_withdrawn_and_the_amended_ones(tmp_path: Path) -> None:
    def fact(id: str, document: str, value: str) -> dict[str, str]:
        return {"id": id, "document": document, "subject": "X", "field": "a_b~2", "value": value}

    old = [fact("1", "docs/a", "18"), fact("2", "docs/a", "5"), fact("3", "docs/b", "7")]
    new = [fact("1", "docs/a", "20"), fact("2", "docs/a", "5")]
    (tmp_path / "truth").mkdir()
    for version, facts in {1: old, 2: new}.items():
        documents = [{"path": path} for path in sorted({f["document"] for f in facts})]
        text = json.dumps({"facts": facts, "documents": documents})
        (tmp_path / "truth" / f"v{version}.json").write_text(text, encoding="utf-8")
    found = outdated(tmp_path, 1, 2)
    assert [(f.document, f.value, f.now, f.how) for f in found] == [
        ("a", "18", "20", "amended"),
        ("b", "7", "", "withdrawn"),
    ]
    assert found[0].question == "X: a b"


def test_a_value_counts_only_by_itself_and_only_in_an_earlier_version() -> None:
    fact = Outdated("a", "X", "f", "2.4", "2.5", "amended")
    old = Chunk("1", "a", "v1", 0, "Charge 2.4 kg", "")
    assert prints(old, "2.4")
    assert not prints(Chunk("1", "a", "v1", 0, "Charge 2.40 or 12.4 kg", ""), "2.4")
    assert still_held([fact], lambda _: [old], {"a": "v2"}) == (fact,)
    assert still_held([fact], lambda _: [old], {"a": "v1"}) == ()
