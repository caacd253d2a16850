"""A LlamaIndex `BaseRetriever` over a search of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from agentops_ref.etl.adapters.langchain import metadata_of
from agentops_ref.records import Hit


class IndexRetriever(BaseRetriever):
    """Finds chunks with the configured search, vectors and words together.

    Parameters
    ----------
    search
        `agentops_ref.etl.Searcher`, or anything that is called like one.
    k
        Number of chunks; the configured one by default.
    filters
        Column → value or values, as for the search.
    """

    def __init__(
        self,
        search: Callable[..., Sequence[Hit]],
        *,
        k: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.search, self.k, self.filters = search, k, filters

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self.search(query_bundle.query_str, k=self.k, filters=self.filters)
        return [
            NodeWithScore(
                node=TextNode(id_=hit.chunk.id, text=hit.chunk.text, metadata=metadata_of(hit)),
                score=hit.score,
            )
            for hit in hits
        ]
