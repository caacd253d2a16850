"""One contract for every failure in every architecture: an answer in time that says what failed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from agentops_ref.apps.failures import (
    ARCHITECTURES,
    FAILURES,
    PARTS,
    Failure,
    Outcome,
    Processes,
    applies,
    inject,
    matrix,
    overview,
)
from agentops_ref.apps.failures.bench import BOOKED, CALLED, TIGHT, UNTIL

SECONDS = 8.0
MARGIN = 5.0
PAIRS = [(one, kind) for one in FAILURES for kind in ARCHITECTURES if applies(one, kind)]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with Processes() as running:
        yield running


def kept(failure: Failure, architecture: str) -> str:
    """Return what must be in the answer, since another part found it."""
    if failure.part == "write":
        return BOOKED
    if failure.part == "memory":
        return TIGHT
    if architecture not in ("supervisor", "endpoints") or failure.part == "decider":
        return ""
    return TIGHT if failure.part in CALLED else UNTIL


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow's own, where the store of traces is locked
@pytest.mark.parametrize(
    ("failure", "architecture"), PAIRS, ids=[f"{one.name}-{kind}" for one, kind in PAIRS]
)
def test_it_ends_in_an_answer(failure: Failure, architecture: str, processes: Processes) -> None:
    found = inject(failure, architecture, seconds=SECONDS, processes=processes)
    assert found.seconds < found.deadline + MARGIN
    if not failure.told:
        assert found.status == "unharmed"
        assert {TIGHT, UNTIL} & set(re.findall(r"18 Nm|2029", found.answer.text))
        return
    assert found.status in ("partial", "stated")
    assert re.search(failure.told, found.answer.problem), found.answer.problem
    wanted = kept(failure, architecture)
    assert wanted in found.answer.text
    assert (found.status == "partial") == bool(wanted)
    assert found.answer.text
    told(found, failure)
    found.answer.problem.encode()


def told(found: Outcome, failure: Failure) -> None:
    """The spans say it too: that of the part that failed, and the outermost with the problem."""
    outermost = "conversation" if found.architecture == "conversation" else "request"
    assert found.spans[outermost] == found.answer.problem
    if failure.span:
        assert found.spans[failure.span]


def test_every_part_has_a_failure() -> None:
    parts = frozenset().union(*PARTS.values())
    assert {one.part for one in FAILURES} == parts
    assert len({one.name for one in FAILURES}) == len(FAILURES)


@pytest.mark.slow
def test_the_table_has_a_row_for_each() -> None:
    chosen = [one for one in FAILURES if one.name in ("model down", "tool raises")]
    found = matrix(chosen, ["chain", "supervisor"], seconds=SECONDS)
    assert [(row.failure, row.architecture, row.answer) for row in found.itertuples()] == [
        ("model down", "chain", "stated"),
        ("model down", "supervisor", "partial"),
        ("tool raises", "supervisor", "partial"),
    ]
    assert found.share.max() < 1 + MARGIN / SECONDS
    table = overview(found)
    assert list(table.columns) == ["chain", "supervisor", "time"]
    assert table.loc["tool raises", "chain"] == ""
