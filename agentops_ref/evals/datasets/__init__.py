"""Evaluation datasets that live: read, compared, added to, retired, found to be out of date.

::

    corpus/cases.yaml ── read_version ── Version ── diff ──────────── what changed, case by case
      ▲        ▲                            ├────── near_duplicates ─ what leaks across the splits
      │        └ add_cases, retire_case     ├────── stale_cases ───── whose documents changed
      └ a person, draft_of(trace)           └────── publish ───────── MLflow evaluation dataset

The YAML file is the dataset: it is reviewed, and its history is git's. MLflow holds copies of
versions, each under a name that its content decides. Taught in chapter 8.
"""

from agentops_ref.evals.datasets.diff import CaseChange, DatasetDiff, diff, diff_lines
from agentops_ref.evals.datasets.draft import Asked, draft_of
from agentops_ref.evals.datasets.duplicates import Duplicate, across_splits, near_duplicates
from agentops_ref.evals.datasets.edit import add_cases, retire_case, write_cases
from agentops_ref.evals.datasets.stale import Stale, stale_cases, superseded
from agentops_ref.evals.datasets.store import fetch, publish, published
from agentops_ref.evals.datasets.versions import Version, dataset_digest, read_version

__all__ = [
    "Asked",
    "CaseChange",
    "DatasetDiff",
    "Duplicate",
    "Stale",
    "Version",
    "across_splits",
    "add_cases",
    "dataset_digest",
    "diff",
    "diff_lines",
    "draft_of",
    "fetch",
    "near_duplicates",
    "publish",
    "published",
    "read_version",
    "retire_case",
    "stale_cases",
    "superseded",
    "write_cases",
]
