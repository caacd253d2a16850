"""A LangChain `BaseRetriever` over a search of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from agentops_ref.records import Hit


class IndexRetriever(BaseRetriever):
    """Finds chunks with the configured search, vectors and words together.

    A document's text is the chunk as printed; its metadata name the document, its version, the
    page, the chunk's id and context, and the fused score.
    """

    search: Callable[..., Sequence[Hit]]
    """`agentops_ref.etl.Searcher`, or anything that is called like one."""
    k: int | None = None
    """Number of chunks; the configured one by default."""
    filters: Mapping[str, Any] | None = None
    """Column → value or values, as for the search."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        hits = self.search(query, k=self.k, filters=self.filters)
        return [
            Document(page_content=hit.chunk.text, id=hit.chunk.id, metadata=metadata_of(hit))
            for hit in hits
        ]


def metadata_of(hit: Hit) -> dict[str, Any]:
    """Return what a framework shall know of a hit besides its text."""
    chunk = hit.chunk
    return {
        **chunk.metadata,
        "source": chunk.document,
        "version": chunk.version,
        "page": chunk.page,
        "context": chunk.context,
        "score": hit.score,
    }
