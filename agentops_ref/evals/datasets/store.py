"""Versions of a dataset as MLflow evaluation datasets, one for each content.

Taught in chapter 8. MLflow's open store keeps one state of a dataset, which `merge_records` only
ever adds to: a case that was taken out stays, and what a record expected before is not kept. So a
version is a dataset of its own, named after its digest, written once and never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from agentops_ref.errors import OperatorError
from agentops_ref.evals.datasets.versions import Version, dataset_digest
from agentops_ref.records import Case
from agentops_ref.tracing import MlflowTracer

_EXPECTED = ("facts", "forbidden", "sources", "abstain", "tools", "arguments")
_ABOUT = ("slice", "split", "corpus_version", "origin", "origin_note", "retired")
# A file does not say whether its author is a person, so nothing is called "HUMAN".
_SOURCES = {"written": "UNSPECIFIED", "incident": "UNSPECIFIED", "trace": "TRACE",
            "synthetic": "CODE"}  # fmt: skip


class Published(NamedTuple):
    """One version that MLflow holds."""

    id: str
    """MLflow's id of the dataset, d-..."""
    digest: str
    cases: int


def publish(tracer: MlflowTracer, name: str, cases: Iterable[Case]) -> Published:
    """Keep the cases as an MLflow dataset ``name@digest``; if it is there already, change nothing.

    One that was left unfinished is finished.
    """
    from mlflow.genai.datasets import create_dataset

    listed = sorted(cases, key=lambda case: case.id)
    digest = dataset_digest(listed)
    mlflow = tracer.connect()
    for held in published(tracer, name):
        if held.digest == digest:
            found = mlflow.genai.datasets.get_dataset(dataset_id=held.id)
            break
    else:
        found = create_dataset(
            f"{name}@{digest}",
            tags={"agentops.dataset": name, "agentops.digest": digest},
        )
    have = {record["case"] for record in found.to_df()["inputs"]}
    if missing := [case for case in listed if case.id not in have]:
        found.merge_records([_record(case) for case in missing])
    return Published(found.dataset_id, digest, len(listed))


def published(tracer: MlflowTracer, name: str) -> list[Published]:
    """Return the versions of a dataset that MLflow holds, newest first."""
    import json

    mlflow = tracer.connect()
    found = mlflow.genai.datasets.search_datasets(
        filter_string=f"tags.agentops.dataset = '{name}'", order_by=["created_time DESC"]
    )
    return [
        Published(
            one.dataset_id,
            (one.tags or {}).get("agentops.digest", ""),
            int(json.loads(one.profile or "{}").get("num_records", 0)),
        )
        for one in found
    ]


def fetch(tracer: MlflowTracer, dataset_id: str) -> Version:
    """Read a version back from MLflow.

    Raises
    ------
    OperatorError
        No such dataset, or one that `publish` did not make.
    """
    from mlflow.exceptions import MlflowException

    mlflow = tracer.connect()
    try:
        found = mlflow.genai.datasets.get_dataset(dataset_id=dataset_id)
    except MlflowException as error:
        raise OperatorError(
            f"no MLflow dataset '{dataset_id}' in {tracer.uri}: {error.message}; "
            "agentops dataset list names those that were published"
        ) from None
    rows = found.to_df().to_dict("records")
    try:
        cases = tuple(_case(row["inputs"], row["expectations"], row["tags"] or {}) for row in rows)
    except (KeyError, TypeError):
        raise OperatorError(
            f"MLflow dataset '{dataset_id}' does not hold cases of this project"
        ) from None
    return Version(dataset_id, tuple(sorted(cases, key=lambda case: case.id)))


def _record(case: Case) -> dict[str, Any]:
    held = asdict(case)
    told = {"origin": case.origin, "note": case.origin_note}
    if case.origin == "trace":
        told["trace_id"] = case.origin_note
    return {
        "inputs": {"case": case.id, "question": case.question},
        # One expectation a case: in traces each one is a row of its own.
        "expectations": {"expected": {key: held[key] for key in _EXPECTED}},
        "tags": {key: str(held[key]) for key in _ABOUT},
        "source": {"source_type": _SOURCES[case.origin], "source_data": told},
    }


def _case(inputs: Mapping[str, Any], expected: Mapping[str, Any], tags: Mapping[str, Any]) -> Case:
    lists = {field.name for field in fields(Case) if str(field.type).startswith("tuple")}
    told = expected["expected"]
    values: dict[str, Any] = {
        key: tuple(told[key]) if key in lists else told[key] for key in _EXPECTED
    }
    about: dict[str, Any] = {key: tags[key] for key in _ABOUT}
    about["corpus_version"] = int(about["corpus_version"])
    return Case(inputs["case"], inputs["question"], **values, **about)
