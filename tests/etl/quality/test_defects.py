"""The shipped expectations let the running case pass and catch each planted defect in it.

Its three versions are synced with the real parsers, the recorded OCR and the recorded embedding
model; each defect is what a broken part would give from then on.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentops_ref import load_config
from agentops_ref.etl import FolderSource, MemorySink, Recipe, StageCache, sync
from agentops_ref.etl.recipe import content_hash
from agentops_ref.etl.sinks.base import Sink
from agentops_ref.etl.stages import Stages
from agentops_ref.etl.stages import address as address_of
from agentops_ref.records import Element, SyncReport
from agentops_ref.settings import DeletionConfig
from agentops_ref.testing import HashEmbeddings
from agentops_ref.wiring import App, build

pytestmark = pytest.mark.slow

AT_ONCE = DeletionConfig(listings=1, max_share=1.0)
Elements = Sequence[Element]


@dataclass
class Case:
    """The third version in an index of cheap vectors, with the parsed elements at hand."""

    app: App
    docs: Path

    @property
    def sink(self) -> Sink:
        sink: Sink = self.app.sink
        return sink

    def stages(
        self,
        defect: Callable[[Elements], Elements] | None = None,
        embeddings: Any = None,
        **recipe: str,
    ) -> Stages:
        """The app's stages with one part that is broken; no cache hides it."""
        good = self.app.stages
        cache: StageCache = good.cache

        def parse(name: str, data: bytes) -> Elements:
            address = address_of(content_hash(data), name)
            found = cache.get_elements(good.recipes.parse.hash, address)
            elements: Elements = found if found is not None else good._parse(name, data)
            return defect(elements) if defect else elements

        changed = {stage: Recipe(stage, version) for stage, version in recipe.items()}
        recipes = replace(good.recipes, **changed)
        return Stages(parse, good._chunk, embeddings or HashEmbeddings(), recipes)

    def sync(self, stages: Stages, docs: Path | None = None, sink: Any = None) -> SyncReport:
        source = FolderSource(docs or self.docs)
        quality = self.app.quality_check()
        return sync(source, sink or self.sink, stages, AT_ONCE, quality=quality)

    def refused(self, stages: Stages, docs: Path | None = None) -> set[str]:
        """Sync, and return the metrics that refused it; readers see what they saw before."""
        version, chunks = self.sink.version, self.sink.count()
        report = self.sync(stages, docs)
        assert report.refused
        assert (report.index_version, self.sink.version, self.sink.count()) == (
            version,
            version,
            chunks,
        )
        assert report.quality is not None
        return {v.metric for v in report.quality.failed if v.on_fail == "refuse"}


def app_of(state: Path, docs: Path, sink: Any) -> App:
    paths = {"paths.state": str(state), "paths.cache": str(state.parent / "cache")}
    more = {"etl.source.root": str(docs), "etl.tables.root": None}
    made = build(load_config(overrides=paths | more))
    made.__dict__["sink"] = sink
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quality")


@pytest.fixture(scope="module")
def case(corpus: Path, place: Path) -> Case:
    sink = MemorySink()
    for version in ("v1", "v2", "v3"):
        app = app_of(place / "cheap", corpus / version / "docs", sink)
        app.__dict__["embeddings"] = HashEmbeddings()
        report = app.sync()
        assert report.quality is not None
        assert report.quality.failed == (), version
    return Case(app, corpus / "v3" / "docs")


def test_the_running_case_passes_with_the_real_model(case: Case, corpus: Path, place: Path) -> None:
    sink = MemorySink()
    for version in ("v1", "v2", "v3"):
        app = app_of(place / "real", corpus / version / "docs", sink)
        report = app.sync()
        assert (report.refused, report.quarantined) == ("", ())
        assert report.quality is not None
        assert report.quality.failed == (), version
    whole = app.quality()
    assert (whole.documents, whole.unknown, whole.failed) == (175, 0, ())
    states = {v.metric: v.state for v in whole.verdicts}
    assert states["cohesion"] == states["mojibake"] == states["vector_spread"] == "pass"
    assert states["kept_text"] == "not enough", "an index has nothing to be compared with"
    assert [r.index_version for r in app.quality_reports()] == [3], "kept by source"


def test_the_same_documents_parsed_anew_pass(case: Case) -> None:
    report = case.sync(case.stages(parse="same"), sink=_copy(case))
    assert report.refused == ""
    assert report.quality is not None
    states = {v.name: v.state for v in report.quality.verdicts}
    assert set(states.values()) == {"pass"}, states


def _copy(case: Case) -> MemorySink:
    """An index of its own with the same documents."""
    sink = MemorySink()
    case.sync(case.stages(), sink=sink)
    return sink


def garbled(element: Element, confidence: float, letters: str) -> Element:
    if element.confidence is None:
        return element
    rng = random.Random(len(element.text))
    text = "".join(c if c.isspace() else rng.choice(letters) for c in element.text)
    return replace(element, text=text, confidence=confidence)


def test_ocr_that_knows_it_reads_garbage_leaves_the_scans_as_they_were(case: Case) -> None:
    sink = _copy(case)
    scan = next(name for name in sink.ledger() if name.endswith(".png"))
    old = sink.chunks_of(scan)

    def noise(elements: Elements) -> Elements:
        return [garbled(e, 0.3, "#~|^") for e in elements]

    report = case.sync(case.stages(noise, parse="new"), sink=sink)
    assert report.refused == ""
    assert len(report.quarantined) == 25
    assert all("ocr_confidence is 0.3" in why for _, why in report.quarantined)
    assert sink.chunks_of(scan) == old


def test_ocr_that_is_sure_of_its_garbage(case: Case) -> None:
    def noise(elements: Elements) -> Elements:
        return [garbled(e, 0.99, "abcdefghijkl") for e in elements]

    assert case.refused(case.stages(noise, parse="new")) == {"kept_words"}


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_parser_that_finds_less_text_after_an_upgrade(case: Case, share: float) -> None:
    def emptied(elements: Elements) -> Elements:
        return [replace(e, text=e.text[: int(len(e.text) * share)]) for e in elements]

    metrics = case.refused(case.stages(emptied, parse="new"))
    assert "kept_text" in metrics
    assert ("characters" in metrics) == (share == 0)


def test_a_first_sync_without_any_text(case: Case) -> None:
    sink = MemorySink()
    report = case.sync(case.stages(lambda elements: []), sink=sink)
    assert "characters >= 1 for 50%: 0" in report.refused
    assert (sink.version, sink.count()) == (0, 0)


def test_tables_that_lost_their_columns(case: Case) -> None:
    def flat(elements: Elements) -> Elements:
        return [
            replace(e, text=e.text.replace(" | ", "\n")) if e.kind == "table" else e
            for e in elements
        ]

    assert {"narrow_tables", "kept_cells"} <= case.refused(case.stages(flat, parse="new"))


def test_files_that_are_suddenly_in_another_encoding(tmp_path: Path, case: Case) -> None:
    docs, sink = tmp_path / "docs", MemorySink()
    docs.mkdir()
    right = {f"{n}.md": f"# Kjøleanlegg {n}\n\nMål strømmen i målestasjon {n} på øverste dør ved "
             f"30 °C, og før den i skjemaet. Får du {n} bar, må ventilen åpnes på nytt før prøven."
             for n in range(20)}  # fmt: skip
    for name, text in right.items():
        (docs / name).write_text(text, encoding="utf-8")
    assert case.sync(case.stages(), docs, sink).refused == ""
    for name, text in right.items():
        (docs / name).write_text(text.encode().decode("cp1252"), encoding="utf-8")
    report = case.sync(case.stages(), docs, sink)
    assert "mojibake <= 0.2 for 80%: 0 (" in report.refused
    assert "Kjøleanlegg" in sink.chunks_of("3.md")[0].context


@pytest.mark.parametrize("first", [True, False])
def test_two_fifths_of_the_files_copied(case: Case, tmp_path: Path, first: bool) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(case.docs, docs)
    files = sorted(path for path in docs.rglob("*") if path.is_file())
    for path in random.Random(5).sample(files, int(0.4 * len(files))):
        target = docs / "copies" / path.relative_to(docs)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    if first:
        report = case.sync(case.stages(), docs, MemorySink())
        assert "twins <= 0 for 70%" in report.refused
    else:
        assert case.refused(case.stages(), docs) == {"twins"}


class Broken(HashEmbeddings):
    """An embedding model with a defect."""

    def __init__(self, defect: Callable[[Any], Any]) -> None:
        super().__init__()
        self.defect = defect

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        vectors = np.array(super().embed_documents(texts))
        made: list[list[float]] = self.defect(vectors).tolist()
        return made


def test_a_model_that_gives_every_text_the_same_vector(case: Case) -> None:
    model = Broken(lambda vectors: np.full_like(vectors, 0.05))
    assert "vector_spread" in case.refused(case.stages(embeddings=model, embed="new"))


def test_a_model_whose_vectors_stand_at_the_wrong_texts(case: Case) -> None:
    rng = np.random.default_rng(7)
    model = Broken(lambda vectors: rng.permutation(vectors))
    stages = case.stages(embeddings=model, embed="new")
    stages.batch = 10_000
    assert case.refused(stages) == {"cohesion"}


def test_a_model_of_the_same_name_with_other_vectors(case: Case) -> None:
    order = np.random.default_rng(8).permutation(384)
    model = Broken(lambda vectors: vectors[:, order])
    report = case.sync(case.stages(embeddings=model, parse="new"))
    assert "kept_meaning >= 0.5" in report.refused
    assert report.quality is not None
    warned = {v.metric for v in report.quality.failed if v.on_fail == "warn"}
    assert warned == {"centroid_drift"}


def test_another_model_is_not_compared_with_the_old_one(case: Case) -> None:
    model = HashEmbeddings(64)
    report = case.sync(case.stages(embeddings=model, embed="other"), sink=_copy(case))
    assert report.refused == ""
    assert report.quality is not None
    states = {v.metric: v.state for v in report.quality.verdicts}
    assert states["kept_meaning"] == states["centroid_drift"] == "not enough"
    assert states["cohesion"] == states["vector_spread"] == "pass"
