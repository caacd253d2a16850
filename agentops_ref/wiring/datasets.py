"""What keeps the evaluation datasets: their files, the index that dates them, traces, MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.errors import ConfigError, OperatorError, nearest
from agentops_ref.records import Case
from agentops_ref.wiring.evaluation import Evaluation

if TYPE_CHECKING:
    from agentops_ref.evals.datasets import Asked, Duplicate, Stale, Version
    from agentops_ref.evals.datasets.store import Published


class Datasets(Evaluation):
    """See `agentops_ref.evals.datasets`."""

    def dataset_file(self, name: str | None = None) -> tuple[str, Path]:
        """Return a dataset's name and file; None is the first one of the configuration."""
        files = self.dataset_files
        name = name or next(iter(files))
        if name not in files:
            raise ConfigError(f"no dataset '{name}'{nearest(name, list(files))}")
        return name, files[name]

    @property
    def dataset_files(self) -> dict[str, Path]:
        """Name → file of each configured dataset."""
        return {file.stem: self.config.path(file) for file in self.config.evals.datasets.files}

    def dataset(self, reference: str | None = None) -> Version:
        """Read a version: a dataset's name, a file, ``REV:PATH`` of git, or an MLflow id."""
        from agentops_ref.evals.cases import load_cases
        from agentops_ref.evals.datasets import Version, fetch, read_version

        if reference is None or reference in self.dataset_files:
            name, path = self.dataset_file(reference)
            return Version(name, tuple(load_cases(path)))
        if reference.startswith("d-") and not self.config.path(reference).is_file():
            return fetch(self.tracer, reference)
        return read_version(reference, root=self.config.root)

    def publish_dataset(self, name: str | None = None) -> Published:
        """Keep the dataset's present version in MLflow too; see `datasets.publish`."""
        from agentops_ref.evals.datasets import publish

        name, _ = self.dataset_file(name)
        return publish(self.tracer, name, self.dataset(name).cases)

    def published_datasets(self, name: str) -> list[Published]:
        """Return the dataset's versions in MLflow, newest first."""
        from agentops_ref.evals.datasets import published

        return published(self.tracer, name)

    def duplicates_with(self, cases: Sequence[Case]) -> list[Duplicate]:
        """Return near duplicates across the splits, of all datasets and these cases together.

        All together, since a question that is tuned on in one dataset is no test in another.
        """
        from agentops_ref.evals.datasets import across_splits, near_duplicates

        every = {case: None for name in self.dataset_files for case in self.dataset(name).cases}
        every.update(dict.fromkeys(cases))
        return across_splits(near_duplicates(every, self.config.evals.datasets.near_duplicate))

    def stale_cases(self, cases: Sequence[Case], *, against: int | None = None) -> list[Stale]:
        """Return which cases' documents changed since index version ``against``, and how.

        None is the version before the present one. A document that is new or changed since then
        and says that it takes another one's place makes the cases of that one stale as well.

        Raises
        ------
        OperatorError
            There is no such index version, or it is no longer kept.
        """
        from agentops_ref.evals.datasets import stale_cases, superseded

        now = self.sink.snapshot()
        if against is None:
            older = [one.number for one in self.sink.history() if one.number < now.version]
            if not older:
                raise OperatorError(
                    "nothing to compare the index with: it has no older version; sync newer "
                    "documents first (agentops ingest sync)"
                )
            against = older[0]
        before = {name: e.content_hash for name, e in self.sink.at(against).ledger().items()}
        after = {name: e.content_hash for name, e in now.ledger().items()}
        texts = {
            name: "\n".join(chunk.text for chunk in now.chunks_of(name))
            for name, digest in after.items()
            if before.get(name) != digest
        }
        words = self.config.evals.datasets.superseding
        return stale_cases(cases, before, after, superseded(texts, before, words))

    def asked_in(self, trace_id: str) -> Asked:
        """Return the question of a trace, with the answer and what it cited.

        Raises
        ------
        OperatorError
            There is no such trace, or no question in it.
        """
        from mlflow.exceptions import MlflowException

        from agentops_ref.evals.datasets import Asked

        client = self.tracer.connect().MlflowClient()
        try:
            spans = client.get_trace(trace_id, display=False).data.spans
        except MlflowException as error:
            raise OperatorError(
                f"no trace '{trace_id}' in {self.tracer.uri}: {error.message}"
            ) from None
        ordered = sorted(spans, key=lambda span: span.start_time_ns)
        asked = next(
            (s for s in ordered if isinstance(s.inputs, dict) and "question" in s.inputs), None
        )
        root = asked or (ordered[0] if ordered else None)
        outputs = dict(root.outputs) if root and isinstance(root.outputs, dict) else {}
        cites = next((s.outputs for s in ordered if s.name == "cite"), None)
        return Asked.of(trace_id, root and root.inputs, {"cited": cites or [], **outputs})
