"""Ten known defects: how many of them the matrix and the categories make visible, counted.

A defect is visible in the matrix when a cell holds its failures and no other defect's, and in the
categories when one category does. Two defects in one cell cannot be told apart by the matrix alone:
that is what the notes are for.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from agentops_ref.evals.errors import (
    Machine,
    Readings,
    Taxonomy,
    add_category,
    add_records,
    assess_saturation,
    assign,
    failure_matrix,
    load_readings,
    new_reading,
    reading_order,
    trajectories,
)
from tests.evals.errors.planted import DEFECTS, STATES, UNITS, desk, read


def history(path: Path, seed: int, *, defects: tuple[str, ...] = DEFECTS) -> Readings:
    """Run the desk with each defect and without any, read all of it, return what was read."""
    rng = random.Random(seed)
    traces = [desk(unit, defect, rng) for defect in (*defects, "") for unit in UNITS]
    add_records(path, [Machine("desk", STATES), *traces])
    held = load_readings(path)
    readings = []
    for id_ in reading_order(traces, seed):
        found = read(held.traces[id_])
        said = (
            {"right": True}
            if found is None
            else {"first_failure": found.first_failure, "last_success": found.last_success,
                  "notes": [found.note]}
        )  # fmt: skip
        readings.append(new_reading(held, id_, coder="reader", when="", **said))  # type: ignore[arg-type]
    add_records(path, readings)
    return load_readings(path)


def grouped(held: Readings) -> Taxonomy:
    """Put equal notes into one category, as a person does with a pile of cards."""
    groups, names = Taxonomy(), {}
    for one in held.failed:
        (note,) = one.notes
        if note not in names:
            names[note] = f"kind-{len(names)}"
            groups = add_category(groups, names[note], note)
        groups = assign(groups, held, one.trace, names[note], coder="reader")
    return groups


def seen(piles: list[set[str]]) -> set[str]:
    """Return the defects that have a pile for themselves, with all of their failures in it."""
    found = set()
    for pile in piles:
        defects = {id_.split("/")[0] for id_ in pile}
        if len(defects) == 1:
            (defect,) = defects
            if len(pile) == len(UNITS):
                found.add(defect)
    return found


def in_matrix(held: Readings) -> set[str]:
    return seen([set(cell.traces) for cell in failure_matrix(held).cells])


def in_categories(held: Readings) -> set[str]:
    groups = grouped(held)
    return seen([set(one.members["reader"]) for one in groups.decided])


@pytest.mark.parametrize("seed", range(3))
def test_how_many_of_ten_defects_show(tmp_path: Path, seed: int) -> None:
    held = history(tmp_path / "readings.jsonl", seed)
    assert len(held.failed) == len(DEFECTS) * len(UNITS)
    assert all(one.trace.startswith("none/") for one in held.decided if not one.failed)
    matrix, categories = in_matrix(held), in_categories(held)
    # By the states alone: the other seven share a cell with another defect.
    assert matrix == {"wrong-intent", "lost-model", "wrong-column"}
    assert categories == set(DEFECTS)
    (loop,) = trajectories(held).loops[:1]
    assert loop.states in (("search",), ("look up",))


def test_what_is_not_there_does_not_show(tmp_path: Path) -> None:
    some = ("wrong-unit", "search-loop")
    held = history(tmp_path / "readings.jsonl", 1, defects=some)
    assert in_categories(held) == set(some)
    assert in_matrix(held) == set(some)
    nothing = history(tmp_path / "none.jsonl", 1, defects=())
    assert in_categories(nothing) == in_matrix(nothing) == set()
    assert not nothing.failed


def test_a_careless_reader_hides_defects(tmp_path: Path) -> None:
    """The count can fail: who blames the last state, not the first, sees less."""
    held = history(tmp_path / "readings.jsonl", 1)
    blamed = [
        new_reading(
            held, one.trace, coder="reader", when="", first_failure="answer",
            last_success="query", notes=["the answer is wrong"],
        )
        for one in held.failed
    ]  # fmt: skip
    add_records(tmp_path / "readings.jsonl", blamed)
    careless = load_readings(tmp_path / "readings.jsonl")
    assert in_matrix(careless) == in_categories(careless) == set()


def test_the_loop_is_found_where_the_search_goes_round(tmp_path: Path) -> None:
    held = history(tmp_path / "readings.jsonl", 1, defects=("search-loop",))
    (loop,) = trajectories(held).loops
    assert (loop.states, len(loop.runs), loop.most) == (("search",), len(UNITS), 4)


def test_with_few_readings_of_each_it_is_too_early_to_stop(tmp_path: Path) -> None:
    held = history(tmp_path / "readings.jsonl", 1)
    found = assess_saturation(held, grouped(held), np.random.default_rng(1), limit=0.05, orders=100)
    assert found.unseen.categories == len(DEFECTS)
    assert found.curve.found[-1] == len(DEFECTS)
    assert not found.stop  # 40 failures: at most 9% of what comes next is new, and not yet 5%
    assert found.unseen.upper < 0.1
