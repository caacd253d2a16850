"""The chunker's properties, and how its chunks read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentops_ref.etl.chunk import chunk, chunk_id, kind_and_tenant, title_of
from agentops_ref.records import Chunk, Element, ElementKind
from agentops_ref.settings import ChunkConfig

USUAL = ChunkConfig(target_chars=600, max_chars=900)


def cut(*elements: Element, config: ChunkConfig = USUAL, document: str = "d.pdf") -> list[Chunk]:
    return list(chunk(elements, document=document, version="0" * 12, settings=config))


def sentence(words: int, word: str = "heat") -> str:
    return f"The {' '.join([word] * words)} ends."


# --- properties -------------------------------------------------------------------------------

LETTERS = st.text("abcdefghijkABCXYZ0123456789.,;-°", min_size=1, max_size=14)
LINE = st.lists(LETTERS, min_size=1, max_size=60).map(" ".join)
CELLS = st.lists(LETTERS, min_size=3, max_size=3).map(" | ".join)
TABLE = st.lists(CELLS, min_size=1, max_size=30).map("\n".join)


@st.composite
def documents(draw: st.DrawFn) -> list[Element]:
    paged = draw(st.booleans())
    page, found = 1, []
    for _ in range(draw(st.integers(0, 20))):
        page += draw(st.sampled_from([0, 0, 0, 1]))
        kinds: list[ElementKind] = ["title", "text", "list", "table", "figure", "caption"]
        kind = draw(st.sampled_from(kinds))
        text = draw({"table": TABLE, "title": LINE.map(lambda t: t[:80])}.get(kind, LINE))
        found.append(Element(kind, text.strip(), page if paged else None))
    return found


CONFIGS = st.builds(
    lambda target, more: ChunkConfig(target_chars=target, max_chars=target + more),
    st.integers(60, 700),
    st.integers(0, 400),
)
LIGHT = settings(max_examples=60, derandomize=True)


def letters(text: str) -> Counter[str]:
    return Counter(re.sub(r"\s", "", text))


@LIGHT
@given(documents(), CONFIGS)
def test_no_letter_is_lost_and_no_chunk_is_too_long(
    elements: list[Element], config: ChunkConfig
) -> None:
    chunks = cut(*elements, config=config)
    assert all(0 < len(made.text) <= config.max_chars for made in chunks)
    kept = letters("".join(f"{made.text}{made.context}" for made in chunks))
    for item in elements:
        if chunks:
            assert not letters(item.text) - kept
    body = [item for item in elements if item.kind != "title"]
    assert bool(chunks) == bool(elements)
    shown = letters("".join(made.text for made in chunks))
    assert not letters("".join(item.text for item in body)) - shown


@LIGHT
@given(documents(), CONFIGS)
def test_ids_and_order(elements: list[Element], config: ChunkConfig) -> None:
    chunks = cut(*elements, config=config)
    assert chunks == cut(*elements, config=config)
    assert [made.ordinal for made in chunks] == list(range(len(chunks)))
    assert len({made.id for made in chunks}) == len(chunks)
    pages = [made.page for made in chunks if made.page is not None]
    assert pages == sorted(pages)
    assert len({(made.document, made.version, str(made.metadata)) for made in chunks}) <= 1


@LIGHT
@given(documents(), CONFIGS)
def test_a_chunks_text_stands_on_its_page(elements: list[Element], config: ChunkConfig) -> None:
    by_page: dict[int | None, str] = {}
    for item in elements:
        by_page[item.page] = by_page.get(item.page, "") + item.text
    for made in cut(*elements, config=config):
        titles = "".join(item.text for item in elements if item.kind == "title")
        assert set(letters(made.text)) <= set(letters(by_page[made.page] + titles + "-"))


@LIGHT
@given(st.lists(CELLS, min_size=2, max_size=60), CONFIGS)
def test_each_part_of_a_table_begins_with_the_header_row(
    rows: list[str], config: ChunkConfig
) -> None:
    header, *body = rows
    chunks = cut(Element("table", "\n".join(rows)), config=config)
    if len(header) > config.max_chars // 2:
        return
    lines = [made.text.split("\n") for made in chunks]
    assert all(part[0] == header for part in lines)
    if max(map(len, body)) < config.max_chars - len(header):
        assert [line for part in lines for line in part[1:]] == body


@LIGHT
@given(st.integers(1, 400), st.integers(1, 9))
def test_long_paragraphs_are_cut_at_sentence_ends(words: int, sentences: int) -> None:
    text = " ".join(sentence(min(words, 150)) for _ in range(sentences))
    chunks = cut(Element("text", text))
    assert " ".join(made.text for made in chunks) == text
    assert all(made.text.endswith("ends.") for made in chunks)


# --- examples ---------------------------------------------------------------------------------


def test_context_is_the_title_and_the_section() -> None:
    chunks = cut(
        Element("title", "NL-8 installation manual", 1),
        Element("title", "Safety", 1),
        Element("text", sentence(60), 1),
        Element("title", "Fault codes", 2),
        Element("text", sentence(60), 2),
        Element("title", "Installation manual", 3),
        Element("text", sentence(60), 3),
    )
    assert [(made.context, made.page) for made in chunks] == [
        ("NL-8 installation manual › Safety", 1),
        ("NL-8 installation manual › Fault codes", 2),
        ("NL-8 installation manual", 3),
    ]
    assert all("NL-8" not in made.text for made in chunks)
    assert {made.metadata["title"] for made in chunks} == {"NL-8 installation manual"}


def test_paragraphs_fill_up_to_the_target_and_stay_in_their_section() -> None:
    elements = [Element("title", "A")]
    for _ in range(2):
        elements += [Element("title", "Section")] + [Element("text", sentence(50))] * 5
    sizes = [len(made.text) for made in cut(*elements)]
    assert sizes == [779, 519, 779, 519]


def test_short_sections_are_merged_and_keep_their_headings() -> None:
    chunks = cut(
        Element("title", "Bulletin"),
        Element("title", "Reason"),
        Element("text", "The hose kinks."),
        Element("title", "What to do"),
        Element("list", "Cut it"),
        Element("list", "[ ] Test it"),
    )
    assert [(made.context, made.text) for made in chunks] == [
        ("Bulletin", "Reason\nThe hose kinks.\nWhat to do\n- Cut it\n[ ] Test it")
    ]


def test_pages_are_never_merged() -> None:
    chunks = cut(Element("text", "One.", 1), Element("text", "Two.", 2))
    assert [(made.text, made.page) for made in chunks] == [("One.", 1), ("Two.", 2)]


def test_a_small_table_stays_whole_and_a_large_one_is_cut_by_rows() -> None:
    caption, header = Element("caption", "Fault codes"), "Code | Meaning | Remedy"
    rows = [f"E{n} | Some fault with a name | Measure it and replace it" for n in range(10, 34)]
    small = Element("table", "\n".join([header, *rows[:6]]))
    large = Element("table", "\n".join([header, *rows]))
    together = cut(Element("text", sentence(50)), caption, small)
    assert [made.text for made in together] == [
        f"{sentence(50)}\nFault codes\n{small.text}",
    ]
    for above, first in ((20, sentence(20)), (80, sentence(80))):
        chunks = cut(Element("text", sentence(above)), caption, large)
        assert chunks[0].text.startswith(first)
        assert ("Fault codes" in chunks[0].text) == (above == 20)
        lines = "\n".join(made.text for made in chunks).split("\n")
        assert [line for line in lines if line.startswith("E")] == rows
        for made in chunks[1:]:
            assert made.text.startswith(f"Fault codes\n{header}\nE")


def test_headings_without_text_are_kept() -> None:
    assert [made.text for made in cut(Element("title", "Only a title"))] == ["Only a title"]
    chunks = cut(Element("title", "T"), Element("text", sentence(60)), Element("title", "Last"))
    assert chunks[-1].text.endswith("Last")
    assert cut() == []


def test_titles_and_filters_come_from_the_path() -> None:
    assert title_of("a/nl-8_user--guide.pdf") == "Nl 8 user guide"
    assert kind_and_tenant("manuals/nl-8.pdf") == {"kind": "manuals", "tenant": ""}
    assert kind_and_tenant("tenants/granmo/mails/a.eml") == {"kind": "mails", "tenant": "granmo"}
    assert kind_and_tenant("tenants/granmo/a.eml") == {"kind": "", "tenant": "granmo"}
    assert kind_and_tenant("a.pdf") == {"kind": "", "tenant": ""}
    made = cut(Element("text", "Hi there."), document="tenants/granmo/mails/big-leak.eml")[0]
    assert dict(made.metadata) == {"kind": "mails", "tenant": "granmo", "title": "Big leak"}
    assert made.context == "Big leak"


def test_the_id_is_what_the_ledger_expects() -> None:
    digest = hashlib.sha256(b"a.pdf\n0123456789ab\n7\n").hexdigest()
    assert chunk_id("a.pdf", "0123456789ab", 7) == digest[:16]


@pytest.mark.parametrize("size", [901, 5000])
def test_a_word_longer_than_a_chunk_is_cut_anywhere(size: int) -> None:
    chunks = cut(Element("text", "x" * size))
    assert "".join(made.text for made in chunks) == "x" * size


def test_a_figure_without_text_changes_nothing() -> None:
    title, text = Element("title", "Valves", 1), Element("text", "Open it by hand.", 1)
    figure = Element("figure", "", 1, None, (0.1, 0.1, 0.5, 0.5))
    last = Element("title", "Thank you", 2)
    plain = cut(title, text, last)
    assert plain[-1].text == "Thank you"
    assert cut(title, figure, text, figure, last, figure) == plain
