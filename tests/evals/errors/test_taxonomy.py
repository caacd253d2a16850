"""People decide the categories; a model's proposals count for nothing before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError, ModelError
from agentops_ref.evals.errors import (
    Category,
    Readings,
    Taxonomy,
    accept,
    add_category,
    agreements,
    assign,
    category_counts,
    cohen_kappa,
    coverage,
    load_taxonomy,
    propose,
    save_taxonomy,
    strays,
)
from agentops_ref.evals.errors.taxonomy_file import taxonomy_text
from tests.evals.errors.build import failed, readings, right, trace

HELD = readings(
    [trace("a", slice="x"), trace("b", slice="x"), trace("c", slice="y"), trace("d", slice="y")],
    [failed("a"), failed("b"), failed("c"), right("d")],
)
TWO = add_category(
    add_category(Taxonomy(), "wrong-unit", "It looked at another unit."), "silent", "No answer."
)


def test_a_trace_has_one_category_of_each_person() -> None:
    groups = assign(TWO, HELD, "a", "wrong-unit", coder="anna")
    groups = assign(groups, HELD, "a", "silent", coder="anna")
    assert groups.said_by("anna") == {"a": "silent"}
    assert groups.named("wrong-unit").members == {}
    disputed = assign(groups, HELD, "a", "wrong-unit", coder="bo")
    assert disputed.agreed() == {}
    assert coverage(disputed, HELD).count == 0
    assert assign(disputed, HELD, "a", "wrong-unit", coder="anna").agreed() == {"a": "wrong-unit"}


def test_counts_and_coverage() -> None:
    groups = assign(TWO, HELD, "a", "silent", coder="anna")
    groups = assign(groups, HELD, "c", "silent", coder="anna")
    rows = {(row.name, row.slice): (row.count, row.n) for row in category_counts(groups, HELD)}
    assert rows == {
        ("wrong-unit", "all"): (0, 4),
        ("silent", "all"): (2, 4),
        ("silent", "x"): (1, 2),
        ("silent", "y"): (1, 2),
    }
    assert coverage(groups, HELD)[2:4] == (2, 3)
    now_right = readings(HELD.traces.values(), [*HELD.by_coder.values(), right("a")])
    assert strays(groups, now_right) == ["a"]
    assert coverage(groups, now_right)[2:4] == (1, 2)


@pytest.mark.parametrize(
    ("id_", "name", "told"),
    [("d", "silent", "not read as failed"), ("aa", "silent", "no trace"), ("a", "silnt", "silent")],
)
def test_what_cannot_be_assigned(id_: str, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        assign(TWO, HELD, id_, name, coder="anna")


def test_a_name_is_a_slice_and_has_a_definition() -> None:
    for name, definition in (("Wrong Unit", "d"), ("", "d"), ("ok", " ")):
        with pytest.raises(ConfigError):
            add_category(TWO, name, definition)
    with pytest.raises(ConfigError, match="already"):
        add_category(TWO, "silent", "again")


# --- proposals ----------------------------------------------------------------------------------


def says(*groups: tuple[str, list[int]]) -> str:
    rows = [{"name": n, "definition": f"About {n}.", "notes": notes} for n, notes in groups]
    return json.dumps({"categories": rows})


def proposed(reply: str, groups: Taxonomy = TWO, *, batch: int = 10) -> Taxonomy:
    return propose(groups, HELD, lambda notes, known: reply, batch=batch)


def test_a_proposal_counts_only_when_a_person_accepts_it() -> None:
    made = proposed(says(("Stale Value!", [1, 2])))
    one = made.named("stale-value")
    assert one.proposed
    assert one.members == {"model": ("a", "b")}
    assert made.agreed() == {}
    assert coverage(made, HELD).count == 0
    assert "stale-value" not in {row.name for row in category_counts(made, HELD)}
    with pytest.raises(ConfigError, match="only proposed"):
        assign(made, HELD, "c", "stale-value", coder="anna")
    taken = accept(made, "stale-value", coder="anna")
    assert taken.agreed() == {"a": "stale-value", "b": "stale-value"}
    assert "model" not in taken.coders
    with pytest.raises(ConfigError, match="decided already"):
        accept(taken, "stale-value", coder="anna")


def test_accepting_into_a_category_and_under_another_name() -> None:
    groups = assign(TWO, HELD, "a", "silent", coder="anna")
    made = proposed(says(("silent", [1]), ("other", [2])), groups)
    assert {c.name for c in made.categories if c.proposed} == {"silent-more", "other"}
    joined = accept(made, "silent-more", coder="anna", into="silent")
    assert joined.named("silent").members == {"anna": ("a", "b")}
    assert "silent-more" not in {c.name for c in joined.categories}
    assert accept(made, "other", coder="anna", into="late").named("late").members == {
        "anna": ("c",)
    }


def test_a_proposal_leaves_what_people_decided() -> None:
    groups = assign(TWO, HELD, "a", "silent", coder="anna")
    seen: list[str] = []

    def ask(notes: str, known: str) -> str:
        seen.append(notes)
        return says(("new", [1]))

    made = propose(groups, HELD, ask, batch=1)
    assert len(seen) == 2  # b and c; what has a category is not asked about
    assert made.decided == groups.decided
    assert made.named("new").members == {"model": ("b", "c")}
    # Proposing again drops what nobody accepted.
    assert {c.name for c in proposed(says(("newer", [1])), made).categories} == {
        "wrong-unit", "silent", "newer",
    }  # fmt: skip


def test_what_a_model_says_is_not_trusted() -> None:
    wild = proposed(says(("x", [0, 99, -1]), ("", [1]), ("y", [1, 1]), ("z", [1, 2])))
    members = {c.name: c.members["model"] for c in wild.categories if c.proposed}
    assert members == {"y": ("a",), "z": ("b",)}
    for bad in ("", "no", "[]", "{}", '{"categories": [1]}', '{"categories": {"a": 1}}'):
        with pytest.raises(ModelError):
            proposed(bad)
    assert proposed('{"categories": [{"name": "x", "definition": "d", "notes": "1"}]}') == TWO


# --- the file -----------------------------------------------------------------------------------

IDS = st.lists(st.text("abc/1é'\"#: ", min_size=1, max_size=6), max_size=3, unique=True)


@given(st.lists(st.tuples(IDS, IDS, st.booleans()), max_size=4))
def test_the_file_holds_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[list[str], list[str], bool]]
) -> None:
    taken: set[str] = set()
    categories = []
    for at, (ids, examples, is_proposed) in enumerate(rows):
        mine = tuple(id_ for id_ in ids if id_ not in taken)
        taken |= set(mine)
        members = {"anna": mine} if mine else {}
        categories.append(Category(f"c-{at}", "Say: 'so'", members, tuple(examples), is_proposed))
    path = tmp_path_factory.mktemp("t") / "taxonomy.yaml"
    save_taxonomy(path, Taxonomy(tuple(categories)))
    assert load_taxonomy(path) == Taxonomy(tuple(categories))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("categories: 3", "a list under"),
        ("- a", "a list under"),
        ("a: [", "not valid YAML"),
        ("categories: [{name: a, definition: d, exmples: []}]", "did you mean 'examples'"),
        ("categories: [{name: a}]", "needs a 'definition'"),
        ("categories: [{name: a, definition: d}, {name: a, definition: d}]", "twice"),
        ("categories: [{name: a, definition: d, members: {anna: [1]}}]", "quote numbers"),
        ("categories: [{name: a, definition: d, members: [x]}]", "must map"),
        ("categories: [{name: a, definition: d, proposed: 1}]", "true or false"),
        (
            "categories: [{name: a, definition: d, members: {anna: [x]}},"
            " {name: b, definition: d, members: {anna: [x]}}]",
            "one category",
        ),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_taxonomy(path)


def test_no_file_is_no_category_and_an_empty_one_as_well(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "taxonomy.yaml"
    assert load_taxonomy(path) == Taxonomy()
    save_taxonomy(path, Taxonomy())
    assert load_taxonomy(path) == Taxonomy()
    assert taxonomy_text(TWO).startswith("#")


# --- agreement ----------------------------------------------------------------------------------


def test_kappa_by_hand() -> None:
    # 140 of 200 the same; by the margins .6 x .5 + .3 x .3 + .1 x .2 = .41 by chance.
    cells = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    for i, row in enumerate(cells):
        for j, count in enumerate(row):
            for _ in range(count):
                id_ = str(len(first))
                first[id_], second[id_] = "abc"[i], "abc"[j]
    kappa, interval = cohen_kappa(first, second)
    assert kappa == pytest.approx((0.70 - 0.41) / (1 - 0.41), abs=1e-3)
    assert interval.low < kappa < interval.high


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab")), max_size=15))
def test_kappa_is_symmetric_and_in_its_range(pairs: list[tuple[str, str]]) -> None:
    first = {str(at): a for at, (a, _) in enumerate(pairs)}
    second = {str(at): b for at, (_, b) in enumerate(pairs)}
    kappa, interval = cohen_kappa(first, second)
    other, _ = cohen_kappa(second, first)
    assert kappa == other or kappa == pytest.approx(other)
    assert -1 <= interval.low <= interval.high <= 1
    if kappa is not None:
        assert interval.low - 1e-9 <= kappa <= interval.high + 1e-9
        assert (kappa == pytest.approx(1)) == (first == second)
    if first == second and kappa is not None:
        assert interval.low < 1  # few items are not certain


def test_who_agrees_on_what() -> None:
    held: Readings = readings(
        HELD.traces.values(),
        [failed("a", "start", "x"), failed("b", "start", "x"), right("d"),
         failed("a", "start", "x", coder="bo"), failed("b", "x", "y", coder="bo"),
         right("c", "cleo")],
    )  # fmt: skip
    groups = assign(TWO, held, "a", "silent", coder="anna")
    groups = assign(groups, held, "a", "silent", coder="bo")
    found = {
        (one.what, one.first, one.second): (one.n, one.share) for one in agreements(held, groups)
    }
    assert found == {
        ("outcome", "anna", "bo"): (2, 1.0),
        ("first failure", "anna", "bo"): (2, 0.5),
        ("category", "anna", "bo"): (1, 1.0),
    }
