"""The matrix counts every failed reading with two states once; paths, loops and dead ends."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.evals.errors import failure_matrix, matrix_dict, trajectories
from agentops_ref.evals.errors.matrix import describe_matrix
from agentops_ref.evals.errors.page import matrix_page
from agentops_ref.evals.errors.paths import describe_trajectories, rounds
from agentops_ref.evals.errors.plots import plot_matrix
from tests.evals.errors.build import failed, placed, readings, right, trace

STATES = ("plan", "search", "sql", "say")
CELL = st.tuples(st.sampled_from(("start", *STATES)), st.sampled_from(STATES))
CELLS = st.dictionaries(CELL, st.integers(1, 4), max_size=8)


@given(CELLS)
def test_rows_and_columns_add_up(cells: dict[tuple[str, str], int]) -> None:
    found = failure_matrix(placed(cells))
    assert found.placed == sum(cells.values()) == sum(map(sum, found.counts))
    for i, state in enumerate(found.states):
        assert sum(found.counts[i]) == sum(n for (last, _), n in cells.items() if last == state)
        column = sum(row[i] for row in found.counts)
        assert column == sum(n for (_, first), n in cells.items() if first == state)
    assert {(c.last_success, c.first_failure): c.count for c in found.cells} == cells
    assert all(0 <= c.interval.low <= c.share <= c.interval.high <= 1 for c in found.cells)


@given(CELLS, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter(
    cells: dict[tuple[str, str], int], rng: random.Random
) -> None:
    held = placed(cells)
    traces, said = list(held.traces.values()), list(held.by_coder.values())
    rng.shuffle(traces)
    rng.shuffle(said)
    one, other = failure_matrix(held), failure_matrix(readings(traces, said))
    assert {(c.last_success, c.first_failure): c.traces for c in one.cells} == {
        (c.last_success, c.first_failure): c.traces for c in other.cells
    }


def test_what_is_right_or_has_no_place_is_in_no_cell() -> None:
    held = readings(
        [trace("a"), trace("b"), trace("c"), trace("unread")],
        [failed("a", "plan", "sql"), failed("b"), right("c")],
    )
    found = failure_matrix(held)
    assert (found.placed, found.unplaced) == (1, ("b",))
    told = matrix_dict(found)
    assert told["states"] == ["start", "plan", "sql"]
    assert told["counts"] == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert "right until plan, wrong in sql: 1" in describe_matrix(found)
    empty = failure_matrix(readings([]))
    assert (empty.states, empty.counts, empty.cells) == (("start",), ((0,),), ())
    plot_matrix(empty)


def test_a_reading_that_was_revised_moves() -> None:
    held = readings([trace("a")], [failed("a", "plan", "sql"), failed("a", "start", "plan")])
    assert [c[:2] for c in failure_matrix(held).cells] == [("start", "plan")]


def test_transitions_add_up_to_the_visits() -> None:
    held = readings(
        [trace("a", ["plan", "sql", "say"]), trace("b", ["plan", "say"]), trace("c")],
        [failed("a", "plan", "sql"), right("b")],
    )
    found = trajectories(held)
    assert found.runs == 2
    counts = {(one.before, one.after): (one.count, one.n) for one in found.transitions}
    assert counts == {
        ("start", "plan"): (2, 2),
        ("plan", "sql"): (1, 2),
        ("plan", "say"): (1, 2),
        ("sql", "say"): (1, 1),
        ("say", "end"): (2, 2),
    }
    assert [(e.state, e.failed, e.ended) for e in found.dead_ends] == [("say", 1, 2)]
    assert "plan > sql: 1 of 2" in describe_trajectories(found)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("abc", {}),
        ("aaaa", {("a",): 4}),
        ("xababy", {("a", "b"): 2}),
        ("abcabcabc", {("a", "b", "c"): 3}),
        ("aabb", {("a",): 2, ("b",): 2}),
        ("abab" + "c" + "ababab", {("a", "b"): 3}),
        ("abcdeabcde", {}),  # longer than what is looked for
        ("", {}),
    ],
)
def test_rounds(path: str, found: dict[tuple[str, ...], int]) -> None:
    assert rounds(path) == found


@given(st.text("abc", max_size=12), st.text("ab", min_size=1, max_size=3), st.integers(2, 4))
def test_a_planted_loop_is_found(before: str, cycle: str, count: int) -> None:
    found = rounds([*before, *(cycle * count)])
    shortest = next(cycle[:n] for n in range(1, 4) if cycle == cycle[:n] * (len(cycle) // n))
    turned = {tuple(shortest[i:] + shortest[:i]) for i in range(len(shortest))}
    assert turned & set(found)


def test_a_loop_is_the_same_wherever_it_is_entered() -> None:
    held = readings([trace("a", list("abab")), trace("b", list("xbaba"))])
    (loop,) = trajectories(held).loops
    assert (loop.states, loop.runs, loop.most) == (("a", "b"), ("a", "b"), 2)


class Page(HTMLParser):
    """Collects what a page links to, and what it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if "href" in given:
            self.links.append(str(given["href"]))
        assert not any(name.startswith("on") or name == "src" for name in given)


@given(CELLS)
def test_each_cell_of_the_page_leads_to_its_traces(cells: dict[tuple[str, str], int]) -> None:
    held = placed(cells)
    found = failure_matrix(held)
    text = matrix_page(held, {"all": found, "again": found}, trajectories(held))
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    for index, cell in enumerate(found.cells):
        (part,) = re.findall(rf'<div id="m1c{index}">.*?</div>', text, re.DOTALL)
        assert re.findall(r">(t\d+)</a>", part) == list(cell.traces)
    assert not {"script", "img", "link", "iframe"} & set(page.tags)


def test_the_page_shows_texts_and_obeys_none() -> None:
    bad = '<script>alert(1)</script>"&'
    one = trace("a", ["plan"], question=bad, slice=bad)
    held = readings([one], [failed("a", bad, bad, bad)])
    text = matrix_page(held, {bad: failure_matrix(held)}, trajectories(held))
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
