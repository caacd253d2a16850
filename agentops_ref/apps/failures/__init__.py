"""Failures put into each architecture on purpose: what the caller gets, when, and what is told.

Taught in chapter 5. `FAILURES` says what can be injected into which part, `matrix` injects it into
every architecture that has the part:

    Bench (healthy parts) ◄── Failure.inject
      └─► agent of an architecture ─► Answer, seconds, failed spans ─► Outcome
"""

from agentops_ref.apps.failures.bench import ARCHITECTURES, PARTS, Bench
from agentops_ref.apps.failures.injected import FAILURES, Failure
from agentops_ref.apps.failures.matrix import Outcome, applies, inject, matrix, overview
from agentops_ref.apps.failures.processes import Processes

__all__ = [
    "ARCHITECTURES",
    "FAILURES",
    "PARTS",
    "Bench",
    "Failure",
    "Outcome",
    "Processes",
    "applies",
    "inject",
    "matrix",
    "overview",
]
