"""What is read next, and what is refused when it is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError
from agentops_ref.evals.errors import (
    failure_counts,
    new_reading,
    next_unread,
    reading_order,
    state_counts,
)
from tests.evals.errors.build import failed, readings, right, trace

SIZES = st.dictionaries(st.sampled_from("uvwxyz"), st.integers(1, 12), min_size=1)


@given(SIZES, st.integers(0, 1000), st.data())
def test_every_beginning_is_close_to_the_whole(
    sizes: dict[str, int], seed: int, data: st.DataObject
) -> None:
    traces = [trace(f"{name}{at}", slice=name) for name, n in sizes.items() for at in range(n)]
    order = reading_order(traces, seed)
    assert sorted(order) == sorted(one.id for one in traces)
    assert reading_order(reversed(traces), seed) == order
    cut = data.draw(st.integers(0, len(order)))
    for name, size in sizes.items():
        got = sum(id_.startswith(name) for id_ in order[:cut])
        # A stratum of n items has one place in each n-th of 0..1, so a beginning that ends at
        # place p has between pn - 1 and pn + 1 of it; p differs from its share by less than
        # the same over all strata.
        assert abs(got - size * cut / len(order)) <= 1 + size * len(sizes) / len(order)


def test_another_seed_is_another_order() -> None:
    traces = [trace(str(at)) for at in range(20)]
    assert reading_order(traces, 1) != reading_order(traces, 2)


def test_each_person_has_all_of_them_to_read() -> None:
    traces = [trace(str(at)) for at in range(4)]
    seen: list[str] = []
    said = [right("0", "bo")]
    while (one := next_unread(readings(traces, said), "anna", 7)) is not None:
        seen.append(one.id)
        said.append(right(one.id))
    assert seen == reading_order(traces, 7)


def test_a_reading_is_checked_against_the_states() -> None:
    held = readings([trace("a", ["plan", "search", "say"])])
    made = new_reading(held, "a", coder="anna", when="now", first_failure="say")
    assert (made.last_success, made.first_failure) == ("search", "say")
    first = new_reading(held, "a", coder="anna", when="now", first_failure="plan")
    assert first.last_success == "start"
    for wrong, told in (
        ({"first_failure": "serch"}, "did you mean 'search'"),
        ({"first_failure": "say", "last_success": "pla"}, "did you mean 'plan'"),
        ({"first_failure": "start"}, "no state"),
        ({}, "say where"),
        ({"right": True, "first_failure": "say"}, "one of both"),
        ({"notes": ["  "]}, "say where"),
    ):
        with pytest.raises(ConfigError, match=told):
            new_reading(held, "a", coder="anna", when="now", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no trace 'b'"):
        new_reading(held, "b", coder="anna", when="now", right=True)


def test_where_no_states_are_known_any_may_be_named() -> None:
    held = readings([trace("a")])
    with pytest.raises(ConfigError, match="'last_success' is missing"):
        new_reading(held, "a", coder="anna", when="", first_failure="sql")
    made = new_reading(held, "a", coder="b", when="", first_failure="sql", last_success="plan")
    assert made.placed


def test_counts_by_slice() -> None:
    held = readings(
        [trace("a", slice="x"), trace("b", slice="x"), trace("c", slice="y"), trace("d")],
        [failed("a", "start", "sql"), failed("b"), right("c")],
    )
    rows = {(one.name, one.slice): (one.count, one.n) for one in failure_counts(held)}
    assert rows == {("failed", "all"): (2, 3), ("failed", "x"): (2, 2), ("failed", "y"): (0, 1)}
    rows = {(one.name, one.slice): (one.count, one.n) for one in state_counts(held)}
    assert rows == {
        ("sql", "all"): (1, 3), ("sql", "x"): (1, 2),
        ("(not placed)", "all"): (1, 3), ("(not placed)", "x"): (1, 2),
    }  # fmt: skip
