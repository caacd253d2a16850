"""Embeddings and OCR: what needs no weights, and PP-OCR, whose models come in its wheel."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentops_ref.errors import DocumentError, OperatorError
from agentops_ref.models import MiniLmEmbeddings, RapidOcr


def test_missing_weights_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="agentops models pull"):
        MiniLmEmbeddings(tmp_path, threads=1).embed_query("a")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(OperatorError, match="is not the model"):
        MiniLmEmbeddings(tmp_path, threads=1, digest="0" * 64).embed_query("a")


def test_a_vector_is_the_mean_of_its_tokens_at_length_one(tmp_path: Path) -> None:
    class Session:
        def get_inputs(self) -> list[Any]:
            return [type("Node", (), {"name": "input_ids"})]

        def run(self, _: None, feeds: dict[str, Any]) -> list[Any]:
            assert set(feeds) == {"input_ids"}, "only what the model takes"
            return [np.array([[[2.0, 0.0], [4.0, 8.0], [9.0, 9.0]]])]

    class Tokenizer:
        def encode(self, text: str) -> Any:
            return type("Encoded", (), {"ids": [1, 2, 0], "attention_mask": [1, 1, 0]})

    model = MiniLmEmbeddings(tmp_path, threads=1)
    model._session, model._tokenizer = Session(), Tokenizer()
    # mean of (2, 0) and (4, 8), the third token is padding: (3, 4), length 5
    assert model.embed_query("a") == pytest.approx([0.6, 0.8])
    assert model.embed_documents([]) == []


def test_texts_share_the_cores_and_vectors_keep_the_order_of_the_texts(tmp_path: Path) -> None:
    meet = threading.Barrier(2, timeout=10)

    class Session:
        def get_inputs(self) -> list[Any]:
            return [type("Node", (), {"name": "input_ids"})]

        def run(self, _: None, feeds: dict[str, Any]) -> list[Any]:
            meet.wait()  # breaks, and so fails the test, if one text waits for the other
            return [np.array([[[float(feeds["input_ids"][0, 0]), 1.0]]])]

    class Tokenizer:
        def encode(self, text: str) -> Any:
            return type("Encoded", (), {"ids": [len(text)], "attention_mask": [1]})

    model = MiniLmEmbeddings(tmp_path, threads=2)
    model._session, model._tokenizer = Session(), Tokenizer()
    texts = ["a" * n for n in (4, 1, 3, 2)]
    slopes = [first / second for first, second in model.embed_documents(texts)]
    assert slopes == pytest.approx([4, 1, 3, 2])


@pytest.mark.slow
def test_pp_ocr_reads_a_plate_without_network() -> None:
    import cv2

    plate = np.full((120, 620, 3), 255, dtype=np.uint8)
    cv2.putText(plate, "SERIAL 84213", (20, 75), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 4)
    engine = RapidOcr("pp-ocr")
    lines = engine.read(cv2.imencode(".png", plate)[1].tobytes())
    assert "84213" in " ".join(line.text for line in lines)
    (first, *_) = lines
    assert 0.5 < first.confidence <= 1
    assert first.confidence == round(first.confidence, 4)
    assert len(first.box) == 4
    blank = np.full((60, 60, 3), 255, dtype=np.uint8)
    assert engine.read(cv2.imencode(".png", blank)[1].tobytes()) == ()
    with pytest.raises(DocumentError, match="not a readable image"):
        engine.read(b"not an image")
