"""Scores in columns, and what is compared of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from agentops_ref.errors import ConfigError, DeveloperError
from agentops_ref.evals.compare_report import comparison_tables, save, sentences
from agentops_ref.evals.comparing import compare_tables
from agentops_ref.evals.statistics import paired_bootstrap, pass_hat_k
from agentops_ref.evals.table import ScoreTable
from agentops_ref.records import Answer, Case, Score, Usage


def table(
    values: Sequence[float | None],
    name: str = "a",
    *,
    digest: str = "d",
    failed: Sequence[int] = (),
) -> ScoreTable:
    """One scorer, cases c0, c1, ... in two slices."""
    made = ScoreTable(name, {"correct": digest})
    for at, value in enumerate(values):
        score = Score("correct", value, error="ill" if at in failed else "")
        case = Case(f"c{at}", "q", slice="even" if at % 2 == 0 else "odd")
        made.add(case, Answer(f"{value}", False, usage=Usage(10, 1), seconds=at), [score])
    return made


def test_tries_of_one_case_are_one_row() -> None:
    made = ScoreTable("a", {"correct": ""})
    for case, values in (("x", (1, 1, 0)), ("y", (1, 1, 1)), ("z", (0, 0, 0))):
        for value in values:
            made.add(Case(case, "q"), Answer(f"{value}", False), [Score("correct", value)])
    row = made.aggregate("correct")
    assert row.n == 3, "three cases, not nine"
    assert row.mean == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert made.passes("correct") == {"x": (2, 3), "y": (3, 3), "z": (0, 3)}
    assert made.unstable() == (1, 3)
    assert made.unstable("correct") == (1, 3)
    assert len(made.measures("seconds")) == 9


def test_failed_scores_widen_to_both_sides() -> None:
    whole, hurt = table([1, 1, 0, 1]), table([1, 1, 0, None], failed=[3])
    assert hurt.aggregate("correct").errors == 1
    assert hurt.aggregate("correct").n == 4
    assert hurt.aggregate("correct").interval.low < whole.aggregate("correct").interval.low
    assert hurt.aggregate("correct").interval.high == whole.aggregate("correct").interval.high
    assert hurt.bounds("correct")["c3"] == (0, 1)
    assert table([1, None]).aggregate("correct").n == 1, "does not apply"


def test_refuses_what_it_has_no_place_for() -> None:
    made = table([1])
    with pytest.raises(DeveloperError, match="did you mean 'correct'"):
        made.add(Case("c9", "q"), Answer("", False), [Score("corect", 1)])
    with pytest.raises(DeveloperError, match="two slices"):
        made.add(Case("c0", "q", slice="odd"), Answer("", False), [])
    with pytest.raises(DeveloperError, match="no scorer 'other'"):
        made.values("other")


def compared(a: ScoreTable, b: ScoreTable, **more: object):  # type: ignore[no-untyped-def]
    return compare_tables(a, b, np.random.default_rng(1), **more)  # type: ignore[arg-type]


def test_a_comparison_by_slice() -> None:
    before, after = table([0, 0, 0, 0, 0, 0, 1, 1, 1]), table([1, 1, 1, 1, 1, 1, 0, 1], "b")
    report = compared(before, after)
    whole, even, odd = report.rows
    assert (whole.slice, even.slice, odd.slice) == ("all", "even", "odd")
    assert (whole.n, report.only_before, report.only_after) == (8, 1, 0)
    assert whole.gained == ("c0", "c1", "c2", "c3", "c4", "c5")
    assert whole.lost == ("c6",)
    assert whole.p == whole.adjusted == 0.125
    # Odd: three gained of four, p = 2/8; even: three gained, one lost, p = 10/16; times 2.
    assert (odd.p, odd.adjusted) == (0.25, 0.5)
    assert even.p == 0.625
    assert even.adjusted == even.p, "the larger of two is times 1"
    assert whole.difference.low < whole.difference.mean == pytest.approx(5 / 8)
    assert whole.needed is not None
    assert json.loads(json.dumps(report.to_dict()))["rows"][0]["bootstrap"]["mean"] == 0.625


def test_what_a_comparison_says_of_equal_means() -> None:
    swapped = sentences(compared(table([0, 1, 1, 0]), table([1, 0, 1, 0], "b")))[0]
    assert "never differ" not in swapped
    assert "no difference that is certain" in swapped
    assert "They never differ." in sentences(compared(table([0, 1]), table([0, 1], "b")))[0]


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="two versions"):
        compared(table([1]), table([1], digest="other"))
    with pytest.raises(ConfigError, match="did not score both"):
        compared(table([1]), table([1]), scorers=["latency"])
    other = ScoreTable("o", {"correct": "d"})
    other.add(Case("elsewhere", "q"), Answer("", False), [Score("correct", 1)])
    with pytest.raises(ConfigError, match="no case is in both"):
        compared(table([1]), other)
    with pytest.raises(ConfigError, match="no scorer scored both"):
        compared(table([1]), ScoreTable("o", {"x": ""}))


def test_the_bootstrap_in_little_memory_is_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.random(1200) < 0.6).astype(float), (rng.random(1200) < 0.63).astype(float)
    found = compared(table(a.tolist()), table(b.tolist(), "b")).rows[0].bootstrap
    plain = paired_bootstrap(a.tolist(), b.tolist(), np.random.default_rng(7))
    assert found.mean == pytest.approx(plain.mean)
    assert found.low == pytest.approx(plain.low, abs=0.004)
    assert found.high == pytest.approx(plain.high, abs=0.004)


def repeated(name: str) -> ScoreTable:
    made = ScoreTable(name, {"correct": ""})
    for case, values in (("x", (1, 1, 0)), ("y", (1, 1, 1)), ("z", (0, 0, 0)), ("w", (1, 0, 1))):
        for at, value in enumerate(values):
            said = f"{value}" if case != "w" else f"{at}"
            made.add(Case(case, "q"), Answer(said, False), [Score("correct", value)])
    return made


def test_repeated_runs_say_how_stable_they_are() -> None:
    one, two = compared(repeated("a"), repeated("b")).stability
    assert (one.asked, one.differs, one.flips, one.tries) == (4, 2, 2, 3)
    expected = pass_hat_k([2, 3, 0, 2], 3, 3, np.random.default_rng(1))
    assert one.pass_hat.mean == expected.mean == 0.25
    assert two.name == "b"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [
            v for k, v in attrs if k in ("src", "href") and v and not v.startswith("#")
        ]


def test_reports(tmp_path: Path) -> None:
    report = compared(table([0, 0, 1, 0, 1, 0], "old|one"), table([1, 1, 1, 1, 0, 1], "<new>"))
    console = Console(width=80, record=True, color_system=None)
    for one in comparison_tables(report):
        console.print(one)
    for sentence in sentences(report):
        console.print(sentence, markup=False)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for ending in ("html", "md", "png"):
        save(report, tmp_path / f"r.{ending}")
    page = _Page()
    html = (tmp_path / "r.html").read_text()
    page.feed(html)
    assert page.outside == [], "the page needs no other file"
    assert {"svg", "table", "figure"} <= set(page.tags)
    assert "<new>" not in html
    markdown = (tmp_path / "r.md").read_text().splitlines()
    rows = [line for line in markdown if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {11}
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="the ending must be"):
        save(report, tmp_path / "r.pdf")
