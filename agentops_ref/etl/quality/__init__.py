"""Is what a sync brings as good as what the index holds? Taught in chapter 4.

    elements, chunks ──profile──► DocumentProfile ──measure──► values by document ──judge──► Verdict
    vectors of old and new ──────────────────────────────────►                         │
                                                        Check: quarantine, refuse or warn

Expectations are data (``etl.quality.expectations``); nothing here knows the corpus, a model or how
a report is shown. `Check` is what a sync is given.
"""

from agentops_ref.etl.quality.check import Candidate, Check, Rejected
from agentops_ref.etl.quality.expectations import Expectation, expectations, judge
from agentops_ref.etl.quality.metrics import METRICS, Fields
from agentops_ref.etl.quality.profile import DocumentProfile, profile
from agentops_ref.etl.quality.report import describe, keep, recent
from agentops_ref.etl.quality.whole import whole_index

__all__ = [
    "METRICS",
    "Candidate",
    "Check",
    "DocumentProfile",
    "Expectation",
    "Fields",
    "Rejected",
    "describe",
    "expectations",
    "judge",
    "keep",
    "profile",
    "recent",
    "whole_index",
]
