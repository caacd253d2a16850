"""Expectations against numbers worked by hand, and the statistics of vectors."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentops_ref.errors import ConfigError
from agentops_ref.etl.quality import Expectation, expectations, judge
from agentops_ref.etl.quality.check import refusal
from agentops_ref.etl.quality.vectors import Estimate, Sums, cohesion, drift, spread, sums
from agentops_ref.intervals import median_interval, proportion_interval
from agentops_ref.records import QualityVerdict
from agentops_ref.settings import ExpectationConfig


def expect(metric: str = "letters", **more: Any) -> Expectation:
    fields = {"scope": "run", "on_fail": "refuse", "share": 0.8, "at_least": 0.5} | more
    fields = {name: value for name, value in fields.items() if value is not None}
    return expectations([ExpectationConfig(metric=metric, **fields)])[0]  # type: ignore[arg-type]


def verdict(good: int, bad: int, *, fewest: int = 1, **more: Any) -> QualityVerdict:
    values = {f"{n:03}.txt": {"letters": 0.9 if n < good else 0.1} for n in range(good + bad)}
    return judge(expect(**more), values, {}, level=0.95, fewest=fewest)


def test_a_run_fails_only_when_its_whole_interval_is_beyond_the_limit() -> None:
    assert verdict(80, 20).state == "pass"
    assert verdict(79, 21).state == "not enough", "0.79 could well be 0.8"
    assert verdict(60, 40).state == "fail"
    assert verdict(0, 5, fewest=6).state == "not enough"
    assert verdict(5, 0, fewest=6).state == "pass"
    assert verdict(0, 0).state == "not enough"
    low, high = proportion_interval(60, 100)
    found = verdict(60, 40)
    assert (found.measured, found.low, found.high, found.n) == (0.6, low, high, 100)
    assert found.worst[0] == ("060.txt", "0.1")
    assert len(found.worst) == 10


@given(st.integers(0, 60), st.integers(0, 60))
def test_one_more_good_document_never_makes_it_worse(good: int, bad: int) -> None:
    order = ["fail", "not enough", "pass"]
    if good + bad:
        one, two = verdict(good, bad), verdict(good + 1, bad)
        assert order.index(two.state) >= order.index(one.state)


def test_the_median_has_an_interval_from_its_ranks() -> None:
    # Table of the sign test: n = 6 gives the extremes, n = 20 the 6th and the 15th.
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    assert median_interval(list(range(1, 21))) == (6, 15)
    assert median_interval([1, 2, 3, 4, 5]) == (-inf, inf)
    exact, approximate = median_interval(list(range(1000))), median_interval(list(range(1001)))
    assert abs(exact.low - approximate.low) <= 2
    how = {"share": None, "statistic": "median"}
    assert verdict(0, 5, **how).state == "not enough"
    assert verdict(0, 6, **how).state == "fail"
    assert verdict(6, 5, **how).state == "pass"


def test_where_and_kinds_of_limits() -> None:
    pdf = expect(where={"documents": "**/*.pdf", "kind": "manuals"})
    assert pdf.about("manuals/nl8/a.pdf", {})
    assert pdf.about("tenants/nord/manuals/a.pdf", {})
    assert not pdf.about("manuals/a.txt", {})
    assert not pdf.about("notes/a.pdf", {})
    scans = expect(where={"ocr": True})
    assert scans.about("a.png", {"ocr_confidence": 0.9})
    assert not scans.about("a.png", {"letters": 0.9})
    spoken = expect("language", one_of=["en", "de"], at_least=None)
    assert spoken.met("de")
    assert not spoken.met("no")
    own = expect(scope="document", on_fail="quarantine", share=None, reason="unreadable")
    assert own.complaint("a", {"letters": 0.25}) == (
        "letters is 0.25, expected >= 0.5 (unreadable)"
    )
    assert own.complaint("a", {"letters": 0.5}) == own.complaint("a", {}) == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "leters"}, "unknown metric 'leters'; did you mean 'letters'?"),
        ({"metric": "kept_text", "scope": "document", "on_fail": "warn", "share": None}, "run"),
        ({"share": None}, "'letters' needs one of `share` and `statistic`"),
        ({"metric": "vector_spread"}, "'vector_spread' takes neither"),
        ({"metric": "language"}, "`one_of` goes with"),
        (
            {"metric": "vector_spread", "share": None, "where": {"kind": "manuals"}},
            "takes no `where`",
        ),
    ],
)
def test_an_expectation_that_makes_no_sense_is_refused(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=r"etl\.quality\.expectations\.0") as raised:
        expect(**fields)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"at_most": 1.0},
        {"scope": "document", "share": None},
        {"on_fail": "quarantine"},
        {"statistic": "median"},
    ],
)
def test_the_schema_refuses_what_contradicts_itself(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        expect(**fields)


def test_a_refusal_says_what_was_measured_and_what_to_do() -> None:
    said = refusal([verdict(60, 40, reason="no text"), verdict(100, 0)])
    for part in ("letters >= 0.5 for 80%: 0.6 (0.502 to", "of 100 documents", "limit 0.8",
                 "060.txt 0.1", "[no text]", "--accept-quality"):  # fmt: skip
        assert part in said
    assert refusal([verdict(60, 40, on_fail="warn")]) == ""


# --- vectors ----------------------------------------------------------------------------------


def documents(rng: np.random.Generator, n: int, *, topics: float = 1.0) -> dict[str, Sums]:
    """Documents of four chunks, each around a direction of its own."""
    found = {}
    for i in range(n):
        centre = rng.normal(size=16) * topics
        vectors = (centre + rng.normal(size=(4, 16)) * 0.5).astype(np.float32)
        found[f"{i}.txt"] = sums(vectors)
    return {name: one for name, one in found.items() if one is not None}


def test_statistics_of_two_documents_by_hand() -> None:
    a, b = sums(np.array([[2, 0], [0, 3]], np.float32)), sums(np.array([[0, 1]], np.float32))
    assert a is not None
    assert b is not None
    # Its two chunks are at right angles; to the other document one is, the other is equal.
    assert cohesion({"a": a, "b": b}) == {"a": pytest.approx(0 - 0.5)}
    assert cohesion({"a": a}) == {}
    assert sums(np.zeros((0, 4), np.float32)) is None
    assert spread({"a": a, "b": b}) is drift({"a": a}, {"b": b}) is None


def test_spread_is_one_minus_the_mean_cosine_between_documents() -> None:
    rng = np.random.default_rng(1)
    vectors = {f"{i}": rng.normal(size=(i % 3 + 1, 5)) for i in range(12)}
    unit = {n: v / np.linalg.norm(v, axis=1, keepdims=True) for n, v in vectors.items()}
    pairs = [float(x @ y) for n in unit for m in unit if n != m for x in unit[n] for y in unit[m]]
    found = spread({n: s for n, v in vectors.items() if (s := sums(v.astype(np.float32)))})
    assert found is not None
    assert found.value == pytest.approx(1 - np.mean(pairs), abs=1e-6)
    assert found.low < found.value < found.high
    same = spread({f"{i}": Sums(np.array([3.0, 0]), 3) for i in range(10)})
    assert same == Estimate(pytest.approx(0), pytest.approx(0), pytest.approx(0), 10)  # type: ignore[arg-type]


def test_drift_without_any_is_around_zero_and_its_interval_covers() -> None:
    rng = np.random.default_rng(2)
    values, covered = [], 0
    for _ in range(200):
        found = drift(documents(rng, 12), documents(rng, 60))
        assert found is not None
        values.append(found.value)
        covered += found.low <= 0 <= found.high
    assert abs(float(np.mean(values))) < 3 * float(np.std(values)) / np.sqrt(200), "no bias"
    assert covered / 200 >= 0.9


def test_drift_left_out_one_by_one_equals_the_slow_way() -> None:
    rng = np.random.default_rng(3)
    x, y = documents(rng, 11), documents(rng, 12)
    found = drift(x, y)
    assert found is not None
    unit = {s: [d.total / np.linalg.norm(d.total) for d in side.values()]
            for s, side in (("x", x), ("y", y))}  # fmt: skip

    def slow(a: list[Any], b: list[Any]) -> float:
        def among(rows: list[Any]) -> float:
            return float(np.mean([p @ q for i, p in enumerate(rows) for j, q in enumerate(rows)
                                  if i != j]))  # fmt: skip

        return among(a) + among(b) - 2 * float(np.mean([p @ q for p in a for q in b]))

    assert found.value == pytest.approx(slow(unit["x"], unit["y"]))
    without = [slow(unit["x"][:i] + unit["x"][i + 1 :], unit["y"]) for i in range(11)]
    other = [slow(unit["x"], unit["y"][:i] + unit["y"][i + 1 :]) for i in range(12)]
    variance = sum((len(s) - 1) / len(s) * float(((np.array(s) - np.mean(s)) ** 2).sum())
                   for s in (without, other))  # fmt: skip
    assert found.high - found.value == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


def test_vectors_at_the_wrong_texts_have_no_cohesion() -> None:
    rng = np.random.default_rng(4)
    rows = [(np.tile(rng.normal(size=16), (4, 1)) + rng.normal(size=(4, 16)) * 0.5)
            for _ in range(40)]  # fmt: skip
    mixed = rng.permutation(np.concatenate(rows)).reshape(40, 4, 16)

    def share(groups: Any) -> float:
        made = {f"{i}": s for i, g in enumerate(groups) if (s := sums(g.astype(np.float32)))}
        return float(np.mean([value > 0 for value in cohesion(made).values()]))

    assert share(rows) == 1
    assert share(mixed) < 0.7
