"""The second reading in `corpus/errors`, and how it is compared with the first."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentops_ref.apps.second_pass import CODER, FILE, compare_readings, describe, drawn
from agentops_ref.config import load_config
from agentops_ref.errors import ConfigError
from agentops_ref.evals.errors import (
    START,
    Readings,
    add_records,
    cohen_kappa,
    load_readings,
    load_taxonomy,
    new_reading,
    parse_lines,
    records_of,
    to_line,
)
from tests.evals.errors.build import failed, right, trace

ERRORS = load_config().path("corpus/errors")
TEXT = (ERRORS / FILE).read_text(encoding="utf-8")
ROWS: list[dict[str, Any]] = [json.loads(line) for line in TEXT.split("\n") if line]


@pytest.fixture(scope="module")
def first() -> Readings:
    return load_readings(ERRORS / "readings.jsonl")


def test_what_was_read_again_is_the_seeded_draw(first: Readings) -> None:
    assert tuple(row["id"] for row in ROWS) == drawn(first.traces)


def test_the_draw_hangs_on_the_ids_and_the_seed_alone(first: Readings) -> None:
    ids = list(first.traces)
    random.Random(0).shuffle(ids)
    assert drawn(ids) == drawn(first.traces)
    assert drawn(ids, seed=4) != drawn(ids)


def test_each_line_is_a_reading_of_a_trace_with_states_that_it_visited(first: Readings) -> None:
    for row, line in zip(ROWS, parse_lines(TEXT, path=FILE), strict=True):
        one = line.reading
        assert line.trace is None
        assert one is not None
        assert one == new_reading(
            first,
            row["id"],
            coder=CODER,
            when=one.when,
            notes=one.notes,
            first_failure=one.first_failure,
            last_success=one.last_success,
            right=not one.failed,
        )
        path = first.traces[one.trace].path
        assert one.placed == one.failed
        if one.failed:
            assert one.notes
            assert one.first_failure in path
            before = path[: len(path) - path[::-1].index(one.first_failure)]
            assert one.last_success in (START, *before)


def test_a_category_is_one_of_the_taxonomy_and_of_a_failed_trace() -> None:
    names = {one.name for one in load_taxonomy(ERRORS / "taxonomy.yaml").decided}
    assert {row["category"] for row in ROWS} <= {*names, None}
    assert all(row["outcome"] == "failed" for row in ROWS if row["category"])


def test_the_lines_can_be_imported_beside_the_first_reading(
    first: Readings, tmp_path: Path
) -> None:
    copy = tmp_path / "readings.jsonl"
    shutil.copy(ERRORS / "readings.jsonl", copy)
    found = add_records(copy, records_of(parse_lines(TEXT, path=FILE)))
    assert (found.traces, found.readings) == (0, len(ROWS))
    assert set(load_readings(copy).coders) == {*first.coders, CODER}


def test_the_comparison_is_of_both_files(first: Readings) -> None:
    found = compare_readings(ERRORS)
    (reader,) = first.coders
    held = {id_: one for (id_, _), one in first.by_coder.items()}
    both = [row for row in ROWS if row["outcome"] == held[row["id"]].outcome == "failed"]
    outcome, failure, category = found.agreements
    assert [outcome.what, failure.what, category.what] == ["outcome", "first failure", "category"]
    assert {(one.first, one.second) for one in found.agreements} == {(reader, CODER)}
    assert outcome.n == len(ROWS)
    # All that both call failed were placed by both; some may have no category.
    assert category.n <= failure.n == len(both)
    same = {row["id"] for row in ROWS if row["outcome"] == held[row["id"]].outcome}
    assert outcome.share == len(same) / len(ROWS)
    assert {row["id"] for row in ROWS} - same <= {one.trace for one in found.differences}
    kappa, interval = cohen_kappa(
        {id_: one.first_failure for id_, one in held.items() if one.failed},
        {row["id"]: row["first_failure"] for row in both},
    )
    assert (failure.kappa, failure.interval) == (kappa, interval)


# --- on readings that are written here ------------------------------------------------------------


def folder(
    path: Path, *second: tuple[Any, str | None], readers: tuple[str, ...] = ("anna",)
) -> Path:
    """Write five traces: one right, and two in each of the categories a and b."""
    traces = [trace(id_, ("retrieve", "generate")) for id_ in "vwxyz"]
    said = [right("v"), *(failed(id_, "retrieve", "generate") for id_ in "wxyz")]
    said += [right("v", coder) for coder in readers[1:]]
    (path / "readings.jsonl").write_text("".join(to_line(one) + "\n" for one in (*traces, *said)))
    groups = [
        {"name": "a", "definition": "A.", "members": {"anna": ["w", "x"]}},
        {"name": "b", "definition": "B.", "members": {"anna": ["y", "z"]}},
    ]
    (path / "taxonomy.yaml").write_text(yaml.safe_dump({"categories": groups}))
    lines = [json.dumps({**json.loads(to_line(one)), "category": name}) for one, name in second]
    (path / FILE).write_text("".join(line + "\n" for line in lines))
    return path


def test_a_difference_in_any_answer_is_listed_and_no_other(tmp_path: Path) -> None:
    found = compare_readings(
        folder(
            tmp_path,
            (right("v", CODER), None),
            (failed("w", "retrieve", "generate", "another note", coder=CODER), "a"),
            (failed("x", "start", "retrieve", coder=CODER), "a"),
            (failed("y", "retrieve", "generate", coder=CODER), "a"),
            (right("z", CODER), None),
        )
    )
    assert [one.trace for one in found.differences] == ["x", "y", "z"]
    outcome = found.agreements[0]
    assert [(one.n, round(one.share * one.n)) for one in found.agreements] == [
        (5, 4),
        (3, 2),
        (3, 2),
    ]
    # Observed 4 of 5; by chance (1 * 2 + 4 * 3) of 25.
    assert outcome.kappa == pytest.approx((0.8 - 0.56) / (1 - 0.56))
    last = found.differences[-1]
    assert (last.first.answers, last.second.answers) == (
        ("failed", "generate", "b"),
        ("right", "", ""),
    )
    text = describe(found)
    assert "outcome: the same on 4 of 5, kappa 0.55" in text
    assert "another note" not in text


def test_a_failure_in_no_category_differs_from_one_in_a_category(tmp_path: Path) -> None:
    found = compare_readings(
        folder(tmp_path, (failed("w", "retrieve", "generate", coder=CODER), None))
    )
    assert [one.second.category for one in found.differences] == [""]
    assert "category" not in [one.what for one in found.agreements]
    assert "kappa -" in describe(found)


def test_a_category_that_there_is_not_is_an_error(tmp_path: Path) -> None:
    at = folder(tmp_path, (failed("w", "retrieve", "generate", coder=CODER), "c"))
    with pytest.raises(ConfigError, match="no category 'c'"):
        compare_readings(at)


def test_a_reading_of_no_trace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trace of that id"):
        compare_readings(folder(tmp_path, (right("elsewhere", CODER), None)))


def test_two_first_readers_are_an_error(tmp_path: Path) -> None:
    at = folder(tmp_path, (right("v", CODER), None), readers=("anna", "ben"))
    with pytest.raises(ConfigError, match="expected one reader, found anna, ben"):
        compare_readings(at)
