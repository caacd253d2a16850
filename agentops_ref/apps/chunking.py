"""Ways of chunking compared by what a search finds: the same documents and cases, other chunks.

Used in chapter 3. No chat model is asked: a way costs its embeddings once and a search per case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops_ref.config import load_config

if TYPE_CHECKING:
    import numpy as np

    from agentops_ref.evals.retrieval import RetrievalResult
    from agentops_ref.evals.statistics import Difference
    from agentops_ref.records import Case

DEEP = 20
"""Results of a search that count for the mean reciprocal rank."""
LLAMA = "llama_index.core.node_parser"
STRUCTURE = "structure"
WAYS: Mapping[str, Mapping[str, Any]] = {
    STRUCTURE: {},
    "structure, product and version": {
        "context": {
            "product": r"\b(?:NL|BR|DY)-\d+(?: G2)?\b",
            "version": r"\brevision [A-Z]\b|\b20\d\d-\d\d-\d\d\b",
        }
    },
    "SentenceSplitter": {
        "splitter": f"{LLAMA}:SentenceSplitter",
        "options": {"chunk_size": 160, "chunk_overlap": 0},
    },
    "TokenTextSplitter": {
        "splitter": f"{LLAMA}:TokenTextSplitter",
        "options": {"chunk_size": 160, "chunk_overlap": 20},
    },
}
"""Name → keys of ``etl.chunk`` that differ. 160 tokens are about as long as ours of 600 letters."""


class Compared(NamedTuple):
    """One way of chunking."""

    result: RetrievalResult
    chunks: int
    difference: Difference | None
    """Of the mean reciprocal rank, this way minus the first one; None for the first."""


def compare(
    ways: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    rng: np.random.Generator,
    cases: Sequence[Case] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Compared]:
    """Index the configured source once for each way, aside, and search for every case.

    Parameters
    ----------
    ways
        Default: `WAYS`.
    rng
        Draws the interval of each difference.
    cases
        Default: the configured ones of the corpus' first version.
    overrides
        Of the configuration, for all ways. ``models.mode`` is live unless stated here: chunks of
        another way were never recorded.
    """
    from agentops_ref.evals.retrieval import measure_retrieval, retrieval_difference
    from agentops_ref.wiring import build

    found: dict[str, Compared] = {}
    first: RetrievalResult | None = None
    for name, chunk in (WAYS if ways is None else ways).items():
        given = {f"etl.chunk.{key}": value for key, value in chunk.items()}
        with TemporaryDirectory() as folder:
            place = {"models.mode": "live", "etl.sink.uri": f"{folder}/index"}
            app = build(load_config(overrides={**place, **(overrides or {}), **given}))
            app.sync()
            asked = app.cases(corpus_version=1) if cases is None else cases
            result = measure_retrieval(partial(app.search, k=DEEP), asked, name=name)
            difference = None if first is None else retrieval_difference(first, result, rng)
            first = first or result
            found[name] = Compared(result, app.sink.count(), difference)
    return found
