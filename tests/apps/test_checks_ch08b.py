"""Chapter 8b's checks accept what is right and name what is not."""

from __future__ import annotations

import pytest

from agentops_ref.apps.checks.ch08b import correction, fewest_labels, labels, mean_width

ASKED = {"width": 0.1, "judged": 1000, "tpr": 0.9, "tnr": 0.9, "rate": 0.8}


def right(tpr: float, tnr: float, share: float) -> float | None:
    skill = tpr + tnr - 1
    return min(max((share - (1 - tnr)) / skill, 0), 1) if skill > 1e-9 else None


def test_the_formula_passes_and_what_forgets_a_part_is_told_where() -> None:
    assert correction(right).right
    assert "never wrong" in correction(lambda tpr, tnr, share: 0.5).why
    assert "0.75 - 0.1" in correction(lambda tpr, tnr, share: share).why
    unbounded = correction(lambda tpr, tnr, share: (share - 1 + tnr) / (tpr + tnr - 1))
    assert "ends at 1" in unbounded.why
    clipped = correction(lambda tpr, tnr, share: right(tpr, tnr, share) or 0.0)
    assert "there is no rate" in clipped.why
    assert "ZeroDivisionError" in correction(lambda *given: 1 / 0).why


def test_the_fewest_labels_are_found_and_their_neighbours_refused() -> None:
    wanted = fewest_labels(**ASKED)
    assert (
        mean_width(wanted, 1000, 0.9, 0.9, 0.8)
        <= 0.1
        < mean_width(wanted - 10, 1000, 0.9, 0.9, 0.8)
    )
    assert labels(wanted, **ASKED).right
    assert "more" in labels(wanted - 10, **ASKED).why
    assert "fewer" in labels(wanted + 50, **ASKED).why
    with pytest.raises(ValueError, match="do not make it"):
        fewest_labels(**{**ASKED, "width": 0.001})


@pytest.mark.parametrize("wrong", [0, 15, True, 12.5, "many", None])
def test_what_is_no_number_of_labels_is_named(wrong: object) -> None:
    checked = labels(wrong, **ASKED)  # type: ignore[arg-type]
    assert not checked.right
    assert repr(wrong) in checked.why
