"""Fusion by rank, and the hybrid search over it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import DeveloperError
from agentops_ref.etl import Commit, MemorySink, Searcher, fuse
from agentops_ref.etl.sinks.bm25 import Bm25, words
from agentops_ref.settings import RetrievalConfig
from tests.etl.fakes import FakeEmbeddings
from tests.etl.test_sinks import rows

SETTINGS = RetrievalConfig(
    mode="hybrid",
    k=2,
    candidates=10,
    vector_weight=1.0,
    text_weight=1.0,
    rrf_constant=60,
    models=None,
    identifiers=None,
)


@pytest.fixture
def sink() -> MemorySink:
    sink = MemorySink()
    sink.commit(
        Commit(
            (
                rows("manuals/a.txt", "fault E41 pressure low", "torque of the flare nut"),
                rows("manuals/b.txt", "fault E42 pressure high"),
                rows("notes/c.txt", "pressure pressure pressure", tenant="nord"),
            )
        )
    )
    return sink


def test_fuse_worked_by_hand() -> None:
    """Constant 1, weights 1 and 2, worked on paper::

    a: 1/(1+1)           = 1/2
    b: 1/(1+2) + 2/(1+1) = 4/3
    c: 1/(1+3) + 2/(1+3) = 3/4
    d:           2/(1+2) = 2/3
    """
    fused = fuse({"v": ["a", "b", "c"], "t": ["b", "d", "c"]}, {"v": 1.0, "t": 2.0}, constant=1)
    assert [name for name, _ in fused] == ["b", "c", "d", "a"]
    assert [score for _, score in fused] == pytest.approx([4 / 3, 3 / 4, 2 / 3, 1 / 2])


def test_fuse_breaks_ties_by_best_rank_then_by_id() -> None:
    assert [n for n, _ in fuse({"v": ["b", "x"], "t": ["a", "y"]}, {})] == ["a", "b", "x", "y"]


def test_fuse_without_rankings_or_weights() -> None:
    assert fuse({}, {}) == []
    assert fuse({"v": []}, {}) == []
    assert [n for n, _ in fuse({"v": ["a"], "t": ["b"]}, {"t": 0.0})] == ["a"]


RANKING = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(RANKING, RANKING, st.floats(0, 5), st.floats(0, 5))
def test_fuse_does_not_depend_on_the_order_of_the_rankings(
    one: list[str], two: list[str], v: float, t: float
) -> None:
    weights = {"v": v, "t": t}
    fused = fuse({"v": one, "t": two}, weights)
    assert fused == fuse({"t": two, "v": one}, weights)
    assert {name for name, _ in fused} == ({*one} if v > 0 else set()) | (
        {*two} if t > 0 else set()
    )
    assert [s for _, s in fused] == sorted((s for _, s in fused), reverse=True)


def test_bm25_worked_by_hand() -> None:
    """Two texts of length 2, so the norm is 1; "b" is in one of two.

    idf = ln(1 + (2 - 1 + 0.5) / (1 + 0.5)) = ln 2; gain = idf * 1 * 2.2 / (1 + 1.2) = ln 2.
    """
    assert Bm25(["a b", "a c"]).scores("B?") == pytest.approx({0: 0.6931471805599453})
    assert Bm25([]).scores("b") == {}
    assert words("NL-8, E41: smørring_2") == ["nl", "8", "e41", "smørring", "2"]


def test_hybrid_search_names_both_ranks(sink: MemorySink) -> None:
    hits = Searcher(sink, FakeEmbeddings(), SETTINGS)("E41 pressure low")
    assert [hit.chunk.document for hit in hits][:1] == ["manuals/a.txt"]
    assert hits[0].text_rank == 1
    assert hits[0].vector_rank == 2, "the fake model's buckets prefer another one"
    assert hits[0].score == pytest.approx(1 / 61 + 1 / 62)
    assert len(hits) == 2


def test_one_sided_modes(sink: MemorySink) -> None:
    search = Searcher(sink, FakeEmbeddings(), SETTINGS)
    text = search("E41", k=9, mode="text")
    assert [(h.chunk.ordinal, h.text_rank, h.vector_rank) for h in text] == [(0, 1, None)]
    vector = search("E41", k=9, mode="vector")
    assert [h.vector_rank for h in vector] == [1, 2, 3, 4]
    silent = SETTINGS.model_copy(update={"text_weight": 0.0})
    assert all(h.text_rank is None for h in Searcher(sink, FakeEmbeddings(), silent)("E41"))
    assert Searcher(sink, FakeEmbeddings(), silent)("E41", mode="text"), "a mode asked for counts"


def test_text_search_does_not_embed(sink: MemorySink) -> None:
    class Unused(FakeEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            raise AssertionError

    assert Searcher(sink, Unused(), SETTINGS)("E42", mode="text")


def test_filters_reach_both_sides(sink: MemorySink) -> None:
    search = Searcher(sink, FakeEmbeddings(), SETTINGS)
    for mode in ("hybrid", "vector", "text"):
        hits = search("pressure", k=9, mode=mode, filters={"tenant": ["nord"]})  # type: ignore[arg-type]
        assert {hit.chunk.document for hit in hits} == {"notes/c.txt"}


def test_what_finds_nothing(sink: MemorySink) -> None:
    search = Searcher(sink, FakeEmbeddings(), SETTINGS)
    assert search("") == search(" \n") == search("E41", k=0) == []
    assert Searcher(MemorySink(), FakeEmbeddings(), SETTINGS)("E41") == []
    with pytest.raises(DeveloperError, match="hybrid"):
        search("E41", mode="hybryd")  # type: ignore[arg-type]


def test_a_snapshot_can_be_searched(sink: MemorySink) -> None:
    search = Searcher(sink.at(1), FakeEmbeddings(), SETTINGS)
    sink.commit(Commit(delete=("manuals/a.txt",)))
    assert search("E41")[0].chunk.document == "manuals/a.txt"
    assert Searcher(sink, FakeEmbeddings(), SETTINGS)("E41", mode="text") == []
