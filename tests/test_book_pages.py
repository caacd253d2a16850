"""The outline, the pages written from the project, and the rendered book."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentops_ref.apps.book.execute import Run
from agentops_ref.apps.book.figures import PLOTLY_MIME, localise
from agentops_ref.apps.book.layout import Layout, write_notebook
from agentops_ref.apps.book.offline import fetches
from agentops_ref.apps.book.outline import anchors, missing_sections, read_outline, slug
from agentops_ref.apps.book.pages import configuration, how_the_book_was_run, roadmap
from agentops_ref.apps.book.render import render, stage
from agentops_ref.apps.book.sphinx_ext import PLOTLY_MARK, to_mathml
from agentops_ref.errors import DeveloperError, OperatorError

CHAPTERS = [
    "1. What is an agent?",
    "2. Antipatterns",
    "3. Data preprocessing and indexing",
    "4. ETL in production",
    "5. Designing the agent",
    "6. Tools and memory",
    "7. Guardrails and securing user data",
    "8. Evaluation: the testing pyramid",
    "9. The feedback process",
    "10. The deployment pipeline",
    "11. Flow",
    "12. Feedback",
    "13. Continuous learning",
    "14. Hidden technical debt of GenAI systems",
    "15. Value streams and early adopters",
    "16. Roles and responsibilities",
]


@pytest.fixture
def own_book(tmp_path: Path, repo_root: Path) -> Layout:
    """A copy of the book's pages that a test may change."""
    shutil.copy(repo_root / "_config.yml", tmp_path / "_config.yml")
    toc = yaml.safe_load((repo_root / "_toc.yml").read_text())
    # A chapter that these tests write themselves and one that is missing, whatever the book has.
    chapters = [
        {"file": f"notebooks/{name}", "title": name}
        for name in ("01-what-is-an-agent", "03-ingestion")
    ]
    written = [part for part in toc["parts"] if "notebooks/" not in str(part)]
    toc["parts"] = [{"caption": "Part 1", "chapters": chapters}, *written]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    shutil.copytree(repo_root / "book", tmp_path / "book")
    shutil.copytree(repo_root / "config", tmp_path / "config")
    return Layout(tmp_path)


def write_outline(layout: Layout, *topics: dict[str, Any]) -> None:
    tree = [{"part": "Part", "chapters": [{"chapter": "1. One", "topics": list(topics)}]}]
    (layout.pages / "outline.yml").write_text(yaml.safe_dump(tree))


def test_the_outline_covers_every_chapter_in_order(repo_root: Path) -> None:
    chapters = list(dict.fromkeys(topic.chapter for topic in read_outline(Layout(repo_root))))
    assert chapters[: len(CHAPTERS)] == CHAPTERS
    assert chapters[len(CHAPTERS) :] == ["Tracks", "Capstone", "Reference"]


def test_every_section_that_the_outline_names_exists(repo_root: Path, own_book: Layout) -> None:
    if (repo_root / "notebooks").is_dir():
        shutil.copytree(repo_root / "notebooks", own_book.notebooks)
    stage_generated(own_book)
    assert missing_sections(own_book, read_outline(own_book)) == []


def stage_generated(layout: Layout) -> None:
    """Put generated pages where they would lie, so that their headings can be looked up."""
    from agentops_ref.apps.book.pages import GENERATED

    for name, write in GENERATED.items():
        (layout.root / name).write_text(write(layout), encoding="utf-8")


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ({"topic": "Nowhere"}, "'Nowhere' needs either a section or `planned: true`"),
        ({"topic": "Both", "planned": True, "section": "a#b"}, "'Both' needs either"),
        ({"topic": "Typo", "plannned": True}, "expected topic and section or planned"),
    ],
)
def test_a_topic_is_written_or_planned(own_book: Layout, topic: dict[str, Any], said: str) -> None:
    write_outline(own_book, topic)
    with pytest.raises(DeveloperError, match=said.replace("(", r"\(")):
        read_outline(own_book)


def test_a_section_that_is_named_must_exist(own_book: Layout) -> None:
    write_outline(
        own_book,
        {"topic": "Here", "section": "book/intro.md#the-running-case"},
        {"topic": "No heading", "section": "book/intro.md#the-walking-case"},
        {"topic": "No file", "section": "book/outro.md#the-running-case"},
    )
    assert missing_sections(own_book, read_outline(own_book)) == [
        "No heading: no heading or label 'the-walking-case' in book/intro.md",
        "No file: no file book/outro.md",
    ]


def test_anchors_are_headings_and_labels_outside_of_code(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "(my-label)=\n# What is RAG?\n\n```bash\n# no heading\n```\n\n## `E41` & more\n"
    )
    assert list(anchors(page)) == ["my-label", "what-is-rag", "e41--more"]
    assert slug("From MLOps to LLMOps") == "from-mlops-to-llmops"


def test_the_roadmap_counts_and_says_planned(own_book: Layout) -> None:
    write_outline(
        own_book,
        {"topic": "Written", "section": "book/intro.md#the-running-case"},
        {"topic": "Later", "planned": True},
    )
    page = roadmap(own_book)
    assert "2 topics. **1** of them" in page
    assert "- [Written](../book/intro.md#the-running-case)" in page
    assert "- Later *(planned)*" in page


def test_the_configuration_page_explains_every_key(repo_root: Path) -> None:
    page = configuration(Layout(repo_root))
    assert '| `models.mode` | `"replay"` | live \\| replay \\| record \\| scripted |' in page
    # A comment that goes on over two lines is one text.
    assert "an excerpt must hold to be cited for it when the model gave no marker" in page


def test_without_a_run_the_execution_page_says_so(own_book: Layout) -> None:
    assert "No notebook has been executed" in how_the_book_was_run(own_book)


def test_mathematics_becomes_mathml() -> None:
    assert "<mfrac>" in to_mathml(r"\kappa = \frac{p_o - p_e}{1 - p_e}", display=True)
    with pytest.raises(ValueError, match="not understood"):
        to_mathml(r"\nosuchcommand{x}", display=False)


def test_a_plotly_figure_keeps_its_data_and_names_itself() -> None:
    figure = {"data": [{"y": [1]}], "layout": {"title": {"text": "Share </script> right"}}}
    cell = {"cell_type": "code", "outputs": [{"data": {PLOTLY_MIME: figure}}]}
    out = localise(cell)["outputs"][0]["data"]
    assert out["text/html"].count("</script>") == 1
    assert (
        f'class="{PLOTLY_MARK}" role="img" aria-label="Share &lt;/script&gt; right"'
        in (out["text/html"])
    )
    assert out["text/plain"] == "Share </script> right"


@pytest.mark.parametrize(
    ("text", "fetched"),
    [
        ('<script src="https://cdn.example/x.js"></script>', 1),
        ('<script src="//cdn.example/x.js"></script>', 1),
        ('<link rel="stylesheet" href="https://cdn.example/x.css">', 1),
        ('<img src="http://example/x.png">', 1),
        ("<style>@import url(https://fonts.example/f.css);</style>", 1),
        ('<p style="background: url(https://example/x.png)">', 1),
        ('<script>import("https://cdn.example/m.js")</script>', 1),
        ('<a href="https://example.org">a link is the reader\'s</a>', 0),
        ('<link rel="canonical" href="https://example.org">', 0),
        ('<script src="_static/x.js"></script><img src="data:image/png;base64,AA">', 0),
        ('<script>const help = "https://example.org"</script>', 0),
    ],
)
def test_what_a_page_would_fetch_is_found(tmp_path: Path, text: str, fetched: int) -> None:
    (tmp_path / "page.html").write_text(f"<html><body>{text}</body></html>")
    assert len(list(fetches(tmp_path))) == fetched


def test_fonts_of_a_style_sheet_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example/a.woff2') }")
    assert [found.address for found in fetches(tmp_path)] == ["https://fonts.example/a.woff2"]


def executed(layout: Layout, name: str, text: str) -> None:
    """Put a page where the executor would."""
    run = Run(
        notebook=name,
        status="executed",
        seconds=1.0,
        finished="2026-01-01T00:00:00+00:00",
        cells=0,
        warnings=0,
        mode="replay",
        model="a-model",
        answers={"replay": 2, "live": 1},
        key="key",
    )
    write_notebook(
        layout.executed / f"{name}.ipynb",
        {
            "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": text}],
            "metadata": {"agentops": vars(run)},
            "nbformat": 4,
            "nbformat_minor": 5,
        },
    )
    layout.notebooks.mkdir(exist_ok=True)
    shutil.copy(layout.executed / f"{name}.ipynb", layout.notebooks / f"{name}.ipynb")


def test_a_missing_page_is_an_error_and_a_draft_leaves_it_out(own_book: Layout) -> None:
    executed(own_book, "01-what-is-an-agent", "# One\n\nText")
    with pytest.raises(OperatorError, match="notebooks/03-ingestion"):
        stage(own_book, draft=False, environ={})
    stage(own_book, draft=True, environ={})
    toc = (own_book.staged / "_toc.yml").read_text()
    assert "01-what-is-an-agent" in toc
    assert "03-ingestion" not in toc
    with pytest.raises(OperatorError, match="not executed since something changed: 01-what"):
        render(own_book)
    page = (own_book.staged / "notebooks" / "01-what-is-an-agent.ipynb").read_text()
    assert "answers of `a-model`, recorded once and replayed but for 1 of 3, given live" in page


@pytest.mark.parametrize("address", ["", "https://git.example/team/book"])
def test_buttons_need_an_address(own_book: Layout, address: str) -> None:
    environ = {"AGENTOPS_BOOK_REPOSITORY": address} if address else {}
    stage(own_book, draft=True, environ=environ)
    config = yaml.safe_load((own_book.staged / "_config.yml").read_text())
    assert ("launch_buttons" in config) == bool(address)
    assert config["html"]["use_repository_button"] == bool(address)
    assert config.get("repository", {}).get("url", "") == address


@pytest.mark.slow
def test_rendering_refuses_warnings_and_repeats_nothing(own_book: Layout) -> None:
    # The roadmap links to the sections of chapters that this small book does not have.
    write_outline(own_book, {"topic": "Agents", "planned": True})
    executed(own_book, "01-what-is-an-agent", "# One\n\n$$x^2$$\n\nSee {term}`judge`.")
    first = render(own_book, draft=True)
    assert first.was_built
    page = (own_book.html / "notebooks" / "01-what-is-an-agent.html").read_text()
    assert "<math" in page
    assert not re.search(r"<script[^>]*mathjax", page, re.IGNORECASE)
    assert not render(own_book, draft=True).was_built

    executed(own_book, "01-what-is-an-agent", "# One\n\nSee {term}`no such term`.")
    with pytest.raises(DeveloperError, match="no such term"):
        render(own_book, draft=True)
    # The last good book stays until a better one is there.
    assert "<math" in (own_book.html / "notebooks" / "01-what-is-an-agent.html").read_text()
