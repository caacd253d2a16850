"""What the wiring hands to the parts, on a small project of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentops_ref import build, evals, load_config
from agentops_ref.errors import OperatorError
from agentops_ref.models import factory
from agentops_ref.records import Answer
from agentops_ref.testing import HashEmbeddings, ScriptedOcr
from agentops_ref.wiring import App
from tests.models.fakes import FakeServer, local_chat


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app in mode record whose live models are fakes; two notes and three plates."""
    import cv2

    monkeypatch.setattr(factory, "_local", lambda *_: local_chat(FakeServer()))
    monkeypatch.setattr(factory, "_embedding_maker", lambda *_: lambda: HashEmbeddings(384))
    monkeypatch.setattr(factory, "_ocr_maker", lambda *_: lambda: ScriptedOcr("SERIAL 18"))
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "torque.md").write_text("# Torque\n\nThe flare nut is tightened to 18 Nm.\n")
    (docs / "filter.md").write_text("# Filter\n\nThe filter is cleaned every 3 months.\n")
    for shade in range(3):
        plate = np.full((40, 80, 3), 80 * shade, dtype=np.uint8)
        (docs / f"plate-{shade}.png").write_bytes(cv2.imencode(".png", plate)[1].tobytes())
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: record}\n"
        "paths: {state: state, cache: cache, recordings: recordings}\n"
        "etl:\n  source: {root: docs}\n  sink: {kind: memory}\n"
    )
    return build(load_config(tmp_path / "config", environ={}))


def test_verification_compares_answers_vectors_and_scans(app: App) -> None:
    app.ensure_index()
    app.chat.batch(["say a", "say b", "say c"])
    report = app.verify_recordings(sample=99, seed=0)
    assert (report.compared, report.identical) == (3, 3)
    assert (report.vectors, report.vector_difference) == (5, 0.0), "texts as they were embedded"
    assert (report.images, report.images_differing) == (3, ()), "images as they were read"
    some = app.verify_recordings(sample=2, seed=0)
    assert (some.compared, some.vectors, some.images) == (2, 2, 2)


def test_verification_makes_the_index_that_it_needs(app: App) -> None:
    assert not app.sink.ledger()
    assert app.verify_recordings(sample=9, seed=0).vectors == 5


class Silent:
    """An agent of the caller's own."""

    def __call__(self, question: str, *, filters: Any = None) -> Answer:
        return Answer("I do not know.", abstained=True)


def silent(question: str, *, filters: Any = None) -> Answer:
    return Silent()(question)


def test_a_run_is_logged_with_the_agent_that_answered(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = []

    def evaluate(*_: Any, params: Mapping[str, Any], **__: Any) -> None:
        logged.append(params["agent"])

    monkeypatch.setattr(evals, "evaluate", evaluate)
    for agent in (None, app.agent, app.agent_of("tools"), app.agent_of("llm"), Silent(), silent):
        app.evaluate([], agent=agent)
    assert logged == ["chain", "chain", "tools", "llm", "Silent", "silent"]


def test_an_ocr_upgrade_does_documents_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.ensure_index()
    assert not app.sync().work["parse"]
    monkeypatch.setattr(factory, "_ocr_recipe", lambda _: "pp-ocr/newer")
    upgraded = build(app.config)
    upgraded.sink = app.sink
    report = upgraded.sync()
    assert (report.work["parse"], report.work["embed"]) == (5, 0)
    assert not upgraded.sync().work["parse"]


def test_readers_stay_on_a_pinned_version(app: App, tmp_path: Path) -> None:
    def on_disk(**more: Any) -> App:
        places = {"etl.sink.kind": "lancedb", "etl.sink.uri": str(tmp_path / "index")}
        return build(load_config(tmp_path / "config", overrides=places | more))

    newest = on_disk()
    newest.sync()
    (tmp_path / "docs" / "torque.md").write_text("# Torque\n\nThe nut is tightened to 20 Nm.\n")
    newest.sync()
    pinned = on_disk(**{"etl.sink.pin": 1})
    assert "20 Nm" in newest.search("torque")[0].chunk.text
    assert "18 Nm" in pinned.search("torque")[0].chunk.text
    assert (pinned.index.version, pinned.sink.version) == (1, 2)
    with pytest.raises(OperatorError, match="version 7"):
        _ = on_disk(**{"etl.sink.pin": 7}).index


def test_what_is_known_of_a_named_units_customer_is_recalled(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from agentops_ref.agents.memory import FactSource, new_fact
    from agentops_ref.agents.request import Request

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "torque.md").write_text("# Torque\n\nThe flare nut takes 18 Nm.\n")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "installations.csv").write_text(
        "serial_number,tenant,customer_id\nNL8-1,torvik,C1\nNL8-2,elvedal,C2\n"
    )
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
        "etl: {source: {root: docs}, tables: {root: tables}}\n"
    )
    app = build(load_config(tmp_path / "config", environ={}))
    source, said = FactSource("t", "m", "technician T1"), datetime(2026, 3, 2, tzinfo=UTC)
    app.memory.facts.tell(
        new_fact(
            tenant=tenant,
            subject=subject,
            attribute="animals",
            text=f"A dog at {subject}.",
            source=source,
            learned_at=said,
        )
        for tenant, subject in [("torvik", "customer C1"), ("elvedal", "customer C2")]
    )

    def found(question: str, tenant: str = "torvik") -> list[str]:
        return [h.chunk.text for h in app.memory.recall(question, Request(tenant=tenant))]

    assert found("Is there a dog at NL8-1?") == []  # no tables yet
    app.sync_tables()
    assert found("Is there a dog at NL8-1?") == ["A dog at customer C1."]
    assert found("Is there a dog at NL8-2?") == []
    assert found("Is there a dog at nl8-2?", "elvedal") == ["A dog at customer C2."]
    app.memory.close()
