"""The curve rises to the number of categories; the bound holds in simulated populations."""

from __future__ import annotations

from math import comb, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import DeveloperError
from agentops_ref.evals.errors import (
    Category,
    Readings,
    Taxonomy,
    accumulation,
    assess_saturation,
    describe_saturation,
    unseen,
)
from agentops_ref.evals.errors.plots import plot_saturation
from tests.evals.errors.build import failed, readings, right, trace

NAMES = st.lists(st.sampled_from([None, "a", "b", "c", "d"]), max_size=20)


@given(NAMES, st.integers(0, 2**32 - 1))
def test_every_line_rises_to_the_number_of_categories(names: list[str | None], seed: int) -> None:
    curve = accumulation(names, np.random.default_rng(seed), orders=20)
    distinct = len({name for name in names if name})
    for line in curve:
        assert len(line) == len(names)
        assert list(line) == sorted(line)
        assert not names or line[-1] == distinct
    assert all(low <= high for low, high in zip(curve.low, curve.high, strict=True))


def test_the_mean_is_that_of_all_orders() -> None:
    names = ["a"] * 5 + ["b"] * 3 + ["c"] + [None] * 3
    curve = accumulation(names, np.random.default_rng(5), orders=4000)
    n = len(names)
    exact = [
        sum(1 - comb(n - names.count(one), m) / comb(n, m) for one in "abc")
        for m in range(1, n + 1)
    ]
    assert np.allclose(curve.mean, exact, atol=0.05)


def test_a_curve_of_nothing_and_bad_arguments() -> None:
    rng = np.random.default_rng(1)
    assert accumulation([], rng, orders=5) == ((), (), (), ())
    with pytest.raises(DeveloperError):
        accumulation(["a"], rng, orders=0)
    with pytest.raises(DeveloperError):
        unseen([3, 0])
    with pytest.raises(DeveloperError):
        unseen([3], level=1.0)


def test_what_is_unseen_by_hand() -> None:
    found = unseen([10, 5, 2, 1, 1, 1])
    assert (found.n, found.categories, found.once, found.twice) == (20, 6, 3, 1)
    assert found.chance == pytest.approx(3 / 20)
    assert found.total == pytest.approx(6 + 19 / 20 * 3 * 2 / (2 * 2))
    assert found.chance < found.upper < 1
    assert unseen([]) == (0, 0, 0, 0, 1.0, 1.0, inf)
    assert unseen([50]).upper == pytest.approx(1.96**2 / (50 + 1.96**2), abs=1e-4)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_more_of_what_is_known_never_raises_the_bound(counts: list[int]) -> None:
    more = [count + 40 for count in counts]
    assert unseen(more).upper <= unseen(counts).upper + 1e-12
    assert unseen(counts).chance <= unseen(counts).upper
    assert unseen(counts).total >= len(counts)


@pytest.mark.parametrize("n", [30, 80, 150])
@pytest.mark.parametrize("kinds", [5, 15, 40])
@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_the_bound_holds(n: int, kinds: int, skew: float) -> None:
    rng = np.random.default_rng([n, kinds, int(skew)])
    weights = 1 / np.arange(1, kinds + 1) ** skew
    weights /= weights.sum()
    held, runs = 0, 300
    for counts in rng.multinomial(n, weights, size=runs):
        missed = weights[counts == 0].sum()
        held += missed <= unseen([int(c) for c in counts if c]).upper
    # 0.95 less three standard errors: looser than nominal (0.975 for one end), and no looser.
    assert held / runs > 0.91


def read(counts: dict[str, int], rights: int = 0, without: int = 0) -> tuple[Readings, Taxonomy]:
    ids = {name: [f"{name}{at}" for at in range(n)] for name, n in counts.items()}
    lost = [f"w{at}" for at in range(without)]
    fine = [f"r{at}" for at in range(rights)]
    failures = [id_ for one in ids.values() for id_ in one] + lost
    held = readings(
        [trace(id_) for id_ in (*failures, *fine)],
        [*(failed(id_) for id_ in failures), *map(right, fine)],
    )
    groups = tuple(Category(name, "d", {"anna": tuple(one)}) for name, one in ids.items())
    return held, Taxonomy(groups)


def judged(held: Readings, groups: Taxonomy, limit: float = 0.1):  # type: ignore[no-untyped-def]
    return assess_saturation(held, groups, np.random.default_rng(2), limit=limit, orders=100)


def test_when_to_stop() -> None:
    done = judged(*read({"a": 40, "b": 30, "c": 12}, rights=20))
    assert done.stop
    assert done.verdict.startswith("Stop")
    assert len(done.curve.found) == 102
    early = judged(*read({"a": 8, "b": 3, "c": 1}))
    assert not early.stop
    assert "more failed traces" in early.verdict
    lost = judged(*read({"a": 40, "b": 30, "c": 12}, without=2))
    assert not lost.stop
    assert "2 failed traces have no category" in lost.verdict
    nothing = judged(*read({}))
    assert not nothing.stop
    assert "no failed trace" in nothing.verdict


def test_as_many_more_as_it_says_are_enough() -> None:
    held, groups = read({"a": 8, "b": 6})
    told = judged(held, groups).verdict
    more = int(told.rpartition(" more failed traces")[0].rpartition(" ")[2])
    assert judged(*read({"a": 8 + more, "b": 6})).stop
    assert not judged(*read({"a": 8 + more // 2, "b": 6})).stop


def test_words_and_figure_say_the_same() -> None:
    found = judged(*read({"a": 3, "b": 1}, rights=2))
    told = describe_saturation(found)
    assert "after 6 traces: 2 categories" in told
    axes = plot_saturation(found).axes[0]
    assert axes.get_xlabel() == "traces read"
    assert list(axes.lines[-1].get_ydata()) == list(found.curve.found)
