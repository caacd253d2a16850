"""A judge as an instrument: what its errors are, and what is true of what it judged.

::

    labels ── Calibration ──┬─ agreement (TPR, TNR, kappa)
                            ├─ corrected_rates ── Estimate (one a method)
    verdicts ── Judged ─────┘        │
                                 measure ── Coverage (does the interval hold, by simulation)
"""

from agentops_ref.evals.calibration.agreement import (
    Agreement,
    Drift,
    agreement,
    cohen_kappa,
    drift,
)
from agentops_ref.evals.calibration.counts import Calibration, Counts, Estimate, Judged
from agentops_ref.evals.calibration.coverage import GRID, Coverage, Setting, measure, simulate
from agentops_ref.evals.calibration.methods import (
    METHODS,
    Method,
    corrected_rate,
    corrected_rates,
    labels_fit,
)

__all__ = [
    "GRID",
    "METHODS",
    "Agreement",
    "Calibration",
    "Counts",
    "Coverage",
    "Drift",
    "Estimate",
    "Judged",
    "Method",
    "Setting",
    "agreement",
    "cohen_kappa",
    "corrected_rate",
    "corrected_rates",
    "drift",
    "labels_fit",
    "measure",
    "simulate",
]
