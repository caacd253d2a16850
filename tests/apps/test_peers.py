"""What an interrupted update leaves to readers, in this package and in two others as pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentops_ref.apps import peers
from agentops_ref.testing import HashEmbeddings

BEFORE = {f"note-{i}.md": f"Note {i}. The torque is {10 + i} Nm." for i in range(6)}
AFTER = {name: text for name, text in BEFORE.items() if name != "note-5.md"} | {
    f"note-{i}.md": f"Note {i}. The torque is {90 + i} Nm." for i in (1, 3, 4)
}
EMBED = HashEmbeddings(32)


@pytest.mark.parametrize("texts", [0, 1, 2])
def test_this_package_serves_the_old_version_whole(tmp_path: Path, texts: int) -> None:
    served = peers.this_package(BEFORE, AFTER, EMBED, texts, tmp_path / "docs")
    assert served == {
        "note-0.md": "kept",
        "note-1.md": "old",
        "note-2.md": "kept",
        "note-3.md": "old",
        "note-4.md": "old",
        "note-5.md": "old",
    }


def test_llama_index_has_deleted_what_it_had_not_replaced_yet() -> None:
    served = peers.llama_index(BEFORE, AFTER, EMBED, 1)
    assert [name for name, what in served.items() if what == "nothing"] == [
        "note-1.md",
        "note-3.md",
        "note-4.md",
        "note-5.md",
    ]


def test_langchain_serves_two_versions_of_a_document() -> None:
    served = peers.langchain(BEFORE, AFTER, EMBED, 1)
    assert served["note-1.md"] == "both"
    assert served["note-5.md"] == "old"


def test_langchain_does_not_notice_that_its_store_lost_a_document() -> None:
    served = peers.langchain_after_a_loss(BEFORE, EMBED, "note-2.md")
    assert [name for name, what in served.items() if what != "kept"] == ["note-2.md"]
    assert served["note-2.md"] == "nothing"


def test_an_interruption_that_never_comes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="was to be interrupted"):
        peers.this_package(BEFORE, AFTER, EMBED, 99, tmp_path / "docs")
