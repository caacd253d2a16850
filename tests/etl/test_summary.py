"""Summaries: what is asked, what is marked, and that nothing is asked twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agentops_ref import load_config
from agentops_ref.apps.cli import cli
from agentops_ref.etl.summary import MARK, Summaries, as_json, marked, of_json, summarise
from agentops_ref.records import Element
from agentops_ref.settings import SummariesConfig
from agentops_ref.testing import ScriptedChat
from agentops_ref.wiring import build

SOURCE = "The NL-12 G2 holds 1.70 kg, or 1,250 g; see SB-2025-003. Wait 5 minutes."


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("The NL-12 G2 holds 1.7 kg.", ()),
        ("It holds 1,70 kg of R32.", ("R32",)),
        ("The NL-12 holds 1.75 kg.", ("1.75",)),
        ("The NL-8 waits 5 minutes.", ("NL-8",)),
        ("It waits 12 minutes.", ("12",)),
        ("See SB-2025-004 of 2025.", ("SB-2025-004", "2025")),
        ("No numbers at all.", ()),
    ],
)
def test_a_number_that_the_source_lacks_is_marked(text: str, invented: tuple[str, ...]) -> None:
    shown, found = marked(text, SOURCE)
    assert found == invented
    assert shown.count(MARK) == len(invented)
    assert shown.replace(f" {MARK}", "") == text
    assert all(f"{number} {MARK}" in shown for number in invented)


class Asked:
    """Answers with the first sentence, and remembers."""

    recipe = "first sentence"

    def __init__(self, more: str = "") -> None:
        self.texts: list[tuple[str, str]] = []
        self._more = more

    def __call__(self, document: str, text: str, /) -> str:
        self.texts.append((document, text))
        return f"{text.split('. ')[0]}. {self._more}"


LONG = "Some words about it that say little. "
MANUAL = [
    Element("title", "Manual", 1),
    Element("text", f"For NL-8. {LONG * 8}", 1),
    Element("title", "Charge", 2),
    Element("text", f"Fill in 1.70 kg of it. {LONG * 8}", 2),
    Element("table", "Part | Nm\nNut | 18", 3),
    Element("title", "Short", 3),
    Element("text", "Done at once.", 3),
]
SETTINGS = SummariesConfig(prompt="summary.md", min_chars=100, max_chars=400)


def test_sections_are_summarised_and_then_the_document() -> None:
    ask = Asked("And 99 more.")
    found = summarise(MANUAL, document="m.pdf", ask=ask, settings=SETTINGS)
    assert [name for name, _ in ask.texts] == ["Manual", "Manual › Charge", "Manual"]
    assert [(one.section, one.first, one.last, one.pages) for one in found.sections] == [
        ("", 1, 1, (1,)),
        ("Charge", 3, 4, (2, 3)),
    ]
    assert (found.whole.first, found.whole.last, found.whole.pages) == (0, 6, (1, 2, 3))
    assert all(one.invented == ("99",) for one in (found.whole, *found.sections))
    assert (found.calls, found.invented) == (3, 3)
    # The document's is made from the sections' summaries, and a short section as it stands.
    joined = ask.texts[-1][1]
    assert "Charge: Fill in 1.70 kg of it." in joined
    assert "Short: Done at once." in joined
    assert LONG not in joined


def test_how_much_the_model_was_shown_is_said() -> None:
    tight = SummariesConfig(prompt="summary.md", min_chars=100, max_chars=120)
    ask = Asked()
    found = summarise(MANUAL, document="m.pdf", ask=ask, settings=tight)
    assert all(len(text) <= 120 for _, text in ask.texts)
    assert all(0 < one.shown < one.of for one in (found.whole, *found.sections))
    wide = SummariesConfig(prompt="summary.md", min_chars=100, max_chars=10_000)
    whole = summarise(MANUAL, document="m.pdf", ask=ask, settings=wide).whole
    assert whole.shown == whole.of


def test_it_comes_back_from_json_as_it_was_but_for_the_calls() -> None:
    found = summarise(MANUAL, document="m.pdf", ask=Asked(), settings=SETTINGS)
    back = of_json(json.loads(json.dumps(as_json(found))))
    assert isinstance(back, Summaries)
    assert (back.whole, back.sections, back.calls) == (found.whole, found.sections, 0)


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    overrides = {"models.mode": "scripted", "paths.cache": str(tmp_path)}
    app = build(load_config(overrides=overrides))
    chat = ScriptedChat(script=lambda messages: "It holds 1.70 kg, and 42 more.")
    app.__dict__["chat"] = chat
    data = b"# Charge\n\nFill in 1.70 kg.\n"
    first = app.summarise("a.md", data)
    assert first.whole.text == f"It holds 1.70 kg, and 42 {MARK} more."
    asked = len(chat.asked)
    again = app.summarise("copy/b.md", data)
    assert (len(chat.asked), again.calls, again.document) == (asked, 0, "copy/b.md")
    assert again.whole == first.whole
    other = {**overrides, "etl.summaries.max_chars": 5000}
    more = build(load_config(overrides=other))
    more.__dict__["chat"] = chat
    assert more.summarise("a.md", data).calls == 1, "another recipe"


def test_the_command_prints_marks_and_json(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("# Charge\n\nFill in 1.70 kg.\n")
    args = ["--set", "models.mode=scripted", "--set", f"paths.cache={tmp_path}"]
    given = ["ingest", "summarise", str(file), *args]
    shown = CliRunner().invoke(cli, given)
    assert shown.exit_code == 0, shown.output
    assert "summaries: 1, calls to the model: 1" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    told = json.loads(CliRunner().invoke(cli, [*given, "--json"]).output)
    assert told["title"] == "Charge"
    assert told["whole"]["of"] == told["whole"]["shown"] > 0
