"""The index as a retriever of LangChain and of LlamaIndex gives what the search gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentops_ref import build, load_config
from agentops_ref.wiring import App


@pytest.fixture
def app(tmp_path: Path) -> App:
    docs = tmp_path / "docs" / "notes"
    docs.mkdir(parents=True)
    (docs / "torque.md").write_text("# Torque\n\nThe flare nut is tightened to 18 Nm.\n")
    (docs / "filter.md").write_text("# Filter\n\nThe filter is cleaned every 3 months.\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\n"
        "paths: {state: state, cache: cache}\n"
        "etl:\n  source: {root: docs}\n  sink: {kind: memory}\n"
    )
    made = build(load_config(tmp_path / "config", environ={}))
    made.sync()
    return made


def expected(app: App, query: str, **more: Any) -> list[tuple[str, str, str, float]]:
    return [
        (hit.chunk.id, hit.chunk.text, hit.chunk.document, hit.score)
        for hit in app.search(query, **more)
    ]


def test_langchain(app: App) -> None:
    retriever = app.langchain_retriever(k=1)
    found = retriever.invoke("flare nut torque")
    given = [(d.id, d.page_content, d.metadata["source"], d.metadata["score"]) for d in found]
    assert given == expected(app, "flare nut torque", k=1)
    assert found[0].metadata["kind"] == "notes"
    assert len(found[0].metadata["version"]) == 12


def test_llama_index(app: App) -> None:
    retriever = app.llama_index_retriever(filters={"document": "notes/filter.md"})
    found = retriever.retrieve("how often is the filter cleaned")
    given = [(n.node.node_id, n.text, n.metadata["source"], n.score) for n in found]
    filters = {"document": "notes/filter.md"}
    assert given == expected(app, "how often is the filter cleaned", filters=filters)
    assert {n.metadata["source"] for n in found} == {"notes/filter.md"}
