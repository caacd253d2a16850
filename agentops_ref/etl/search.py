"""Hybrid search: BM25 and vectors, fused by rank. Taught in chapter 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agentops_ref.errors import DeveloperError, nearest
from agentops_ref.etl.fuse import fuse
from agentops_ref.etl.identifiers import own, prefer
from agentops_ref.etl.sinks.base import Filters, Sink, Snapshot
from agentops_ref.records import Chunk, Hit
from agentops_ref.settings import RetrievalConfig

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

Mode = Literal["hybrid", "vector", "text"]
MODES = ("hybrid", "vector", "text")


class Searcher:
    """Finds chunks for a query; each call reads one version of the index throughout."""

    def __init__(
        self, sink: Sink | Snapshot, embeddings: Embeddings, settings: RetrievalConfig
    ) -> None:
        self.sink, self.embeddings, self.settings = sink, embeddings, settings

    def __call__(
        self,
        query: str,
        *,
        k: int | None = None,
        mode: Mode | None = None,
        filters: Filters | None = None,
    ) -> list[Hit]:
        """Return the ``k`` best hits; arguments that are None come from the configuration."""
        settings = self.settings
        mode = mode or settings.mode
        if mode not in MODES:
            raise DeveloperError(f"unknown search mode '{mode}'{nearest(mode, MODES)}")
        k = settings.k if k is None else k
        if k < 1 or not query.strip():
            return []
        snapshot = held_still(self.sink)
        n = max(k, settings.candidates)
        chunks: dict[str, Chunk] = {}
        rankings: dict[str, list[str]] = {}
        if mode != "text" and (mode == "vector" or settings.vector_weight > 0):
            vector = self.embeddings.embed_query(query)
            found = snapshot.search_vector(vector, n, filters)
            rankings["vector"] = [f.chunk.id for f in found]
            chunks |= {f.chunk.id: f.chunk for f in found}
        if mode != "vector" and (mode == "text" or settings.text_weight > 0):
            found = snapshot.search_text(query, n, filters)
            rankings["text"] = [f.chunk.id for f in found]
            chunks |= {f.chunk.id: f.chunk for f in found}
        weights = {"vector": settings.vector_weight, "text": settings.text_weight}
        if mode != "hybrid":
            weights = {mode: 1.0}
        rank = {
            name: {found_id: i for i, found_id in enumerate(ids, start=1)}
            for name, ids in rankings.items()
        }
        scores = dict(fuse(rankings, weights, constant=settings.rrf_constant))
        ranked = list(scores)
        if settings.identifiers:
            ranked = prefer(query, ranked, chunks, settings.identifiers)
        if settings.models:
            ranked = own(query, ranked, chunks, settings.models)
        return [
            Hit(
                chunks[found_id],
                scores[found_id],
                vector_rank=rank.get("vector", {}).get(found_id),
                text_rank=rank.get("text", {}).get(found_id),
            )
            for found_id in ranked[:k]
        ]


def held_still(source: Sink | Snapshot) -> Snapshot:
    """Return a sink's newest snapshot; a snapshot is one already."""
    take = getattr(source, "snapshot", None)
    return source if take is None else take()
