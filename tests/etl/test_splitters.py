"""One contract for every way of cutting, ours and foreign; and the names in the context line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.etl.context import names_of, with_names
from agentops_ref.etl.splitter import Chunker, chunker
from agentops_ref.records import Chunk, Element
from agentops_ref.settings import ChunkConfig, ContextConfig
from tests.etl.test_chunk import LIGHT, documents, letters

LLAMA = "llama_index.core.node_parser"
SPLITTERS: dict[str, dict[str, Any]] = {
    "structure": {},
    f"{LLAMA}:SentenceSplitter": {"chunk_size": 60, "chunk_overlap": 0},
    f"{LLAMA}:TokenTextSplitter": {"chunk_size": 60, "chunk_overlap": 10},
    f"{LLAMA}:SentenceWindowNodeParser": {},
    "langchain_text_splitters:RecursiveCharacterTextSplitter": {
        "chunk_size": 200,
        "chunk_overlap": 0,
    },
}


def configured(splitter: str, **more: Any) -> ChunkConfig:
    options = more.pop("options", SPLITTERS.get(splitter, {}))
    return ChunkConfig(target_chars=150, max_chars=200, splitter=splitter, options=options, **more)


def cut(made: Chunker, elements: Sequence[Element]) -> Sequence[Chunk]:
    return made(elements, "d.pdf", "0" * 12)


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_no_letter_is_lost_pages_are_right_and_ids_are_stable(splitter: str) -> None:
    made = chunker(configured(splitter))

    @LIGHT
    @given(documents())
    def holds(elements: list[Element]) -> None:
        chunks = cut(made, elements)
        assert chunks == cut(made, elements)
        assert bool(chunks) == bool(elements)
        assert [one.ordinal for one in chunks] == list(range(len(chunks)))
        assert len({one.id for one in chunks}) == len(chunks)
        assert all(one.text.strip() for one in chunks)
        for page in {item.page for item in elements}:
            own = [item for item in elements if item.page == page]
            here = [one for one in chunks if one.page == page]
            body = letters("".join(item.text for item in own if item.kind != "title"))
            kept = letters("".join(one.text for one in here))
            assert not body - kept, "a letter is lost, or stands on another page"
            shown = letters("".join(item.text for item in elements if item.kind == "title"))
            of_lists = letters("-" * len(own))
            assert set(kept) <= set(body + shown + of_lists)

    holds()


TABLE = "Code | Meaning\n" + "\n".join(f"E{n:02} | The meaning of number {n}" for n in range(30))
MANUAL = [
    Element("title", "NL-8 installation manual", 1),
    Element("text", "This manual is for the pump NL-8, revision C.", 1),
    Element("title", "Fault codes", 2),
    Element("table", TABLE, 2),
    Element("title", "Torque", 3),
    Element("text", "Tighten the nut. Check it.", 3),
]


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_the_section_is_that_in_which_a_chunk_begins(splitter: str) -> None:
    for one in cut(chunker(configured(splitter)), MANUAL):
        section = {1: "", 2: " › Fault codes", 3: " › Torque"}[one.page or 0]
        assert one.context == f"NL-8 installation manual{section}"


def test_only_ours_repeats_the_header_of_a_table_that_is_cut() -> None:
    headed = {
        splitter: [
            one.text.startswith("Code | Meaning")
            for one in cut(chunker(configured(splitter)), MANUAL)
            if one.page == 2
        ]
        for splitter in SPLITTERS
    }
    assert all(headed.pop("structure"))
    assert not any(map(all, headed.values())), "what the docstring says is lost"


def test_the_recipe_names_splitter_options_and_library(tmp_path: Path) -> None:
    ours = chunker(configured("structure")).parameters
    theirs = chunker(configured(f"{LLAMA}:SentenceSplitter")).parameters
    assert ours["library"] == ""
    assert theirs["library"].startswith("llama-index-core-0.")
    assert theirs["options"] == {"chunk_size": 60, "chunk_overlap": 0}
    own = chunker(configured(f"{__name__}:Halves"))
    assert len(own.parameters["library"]) == 12, "the digest of this file"
    assert [one.text for one in cut(own, [Element("text", "one two")])] == ["one", " two"]


class Halves:
    """A splitter of one's own."""

    def split_text(self, text: str) -> list[str]:
        return [text[: len(text) // 2], text[len(text) // 2 :]]


@pytest.mark.parametrize(
    ("splitter", "options", "error", "message"),
    [
        ("structur", {}, ConfigError, "did you mean 'structure'"),
        ("structure", {"size": 3}, ConfigError, "expected none"),
        ("no_such_library:Splitter", {}, OperatorError, "pip install no-such-library"),
        ("llama_index.core.nothing:Splitter", {}, ConfigError, "no module"),
        (f"{LLAMA}:NoSplitter", {}, ConfigError, "NoSplitter"),
        (f"{LLAMA}:SentenceSplitter", {"chunk_size": -1}, ConfigError, "larger chunk overlap"),
        ("pathlib:PurePath", {}, ConfigError, "neither get_nodes_from_documents nor split_text"),
    ],
)
def test_what_is_no_splitter_is_said(
    splitter: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        chunker(configured(splitter, options=options))


# --- names in the context line ------------------------------------------------------------------

NAMES = ContextConfig(product=r"\bNL-\d+(?: G2)?\b", version=r"revision [A-Z]|20\d\d-\d\d-\d\d")


@pytest.mark.parametrize(
    ("elements", "names"),
    [
        (MANUAL, ("NL-8", "revision C")),
        ([Element("title", "A", 1), Element("text", "Both NL-8 and NL-12 G2.", 1)],
         ("NL-8", "NL-12 G2")),
        ([Element("title", "A", 1), Element("text", "No more of NL-8.", 2)], ()),
        ([Element("title", "A", 1),
          Element("table", "Nr | Affected models\n1 | NL-6, NL-8", 2)], ("NL-6", "NL-8")),
        ([Element("title", "A", 1), Element("table", "Part | For\nX-1 | NL-8", 2)], ()),
        ([Element("text", " ".join(f"NL-{n}" for n in range(9)))], ()),
        ([Element("text", "Dated 2024-03-01, corrects 2023-01-01.")], ("2024-03-01",)),
        ([], ()),
    ],
)  # fmt: skip
def test_product_and_version_are_looked_for_where_they_stand(
    elements: list[Element], names: tuple[str, ...]
) -> None:
    assert names_of(elements, NAMES) == names
    assert names_of(elements, ContextConfig()) == ()


def test_a_group_is_what_is_shown() -> None:
    named = ContextConfig(version=r"revision ([A-Z])")
    assert names_of(MANUAL, named) == ("C",)


def test_the_line_says_nothing_twice() -> None:
    assert with_names("NL-8 manual › Torque", ("NL-8", "revision C")) == (
        "NL-8 manual › Torque (revision C)"
    )
    chunks = cut(chunker(configured("structure", context=NAMES)), MANUAL)
    assert {one.context for one in chunks if one.page == 2} == {
        "NL-8 installation manual › Fault codes (revision C)"
    }
    assert not any("revision C" in one.text for one in chunks if one.page == 2)


def test_a_broken_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        ContextConfig(product="(")
