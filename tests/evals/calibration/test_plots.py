"""The figures hold what their words say."""

from __future__ import annotations

import numpy as np
import pytest

from agentops_ref.evals.calibration import Calibration, Judged, Setting, corrected_rates, measure
from agentops_ref.evals.calibration.plots import describe_coverage, plot_coverage, plot_estimates
from agentops_ref.evals.calibration.report import describe_estimates

pytest.importorskip("matplotlib")


def test_a_method_without_a_rate_has_a_line_of_words_and_no_dot() -> None:
    found = corrected_rates(Calibration(20, 18, 0, 0), Judged(50, 40), np.random.default_rng(0))
    axes = plot_estimates(found, true_rate=0.8).axes[0]
    given = [one for one in found if one.rate is not None]
    assert len(axes.lines) == 2 * len(given) + 1
    words = describe_estimates(found).splitlines()
    assert len(words) == len(found)
    assert sum("no rate" in line for line in words) == len(found) - len(given) == 3


def test_each_cell_of_the_heat_map_has_its_number() -> None:
    settings = [Setting(50, 100, 0.9, 0.9, rate) for rate in (0.5, 0.8)]
    rng, methods = np.random.default_rng(0), ["combined", "naive"]
    rows = [row for one in settings for row in measure(one, 50, rng, methods=methods)]
    figure = plot_coverage(rows, methods)
    shown = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert shown == [
        [f"{100 * row.coverage:.0f}" for row in rows if row.method == method] for method in methods
    ]
    assert describe_coverage(rows).count("of 2 points") == 2
