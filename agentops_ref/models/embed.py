"""Embeddings on ONNX Runtime: all-MiniLM-L6-v2, mean pooling, unit length. No torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from agentops_ref.errors import OperatorError
from agentops_ref.models.weights import is_intact

MAX_TOKENS = 256
"""What the model was trained on; longer texts are cut."""


class MiniLmEmbeddings(Embeddings):
    """Vectors of 384 numbers and length 1. Loaded on the first call."""

    def __init__(self, folder: Path, *, threads: int, digest: str | None = None) -> None:
        self.folder, self.threads, self.digest = folder, threads, digest
        self._session: Any = None
        self._tokenizer: Any = None
        self._loading = threading.Lock()

    def _load(self) -> None:
        model, tokenizer = self.folder / "model.onnx", self.folder / "tokenizer.json"
        for file in (model, tokenizer):
            if not file.is_file():
                raise OperatorError(f"model weights not found: {file}; run: agentops models pull")
        if self.digest and not is_intact(model, self.digest):
            raise OperatorError(
                f"{model} is not the model that models.embedding.digest names "
                f"({self.digest[:12]}…); run: agentops models pull"
            )
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # texts share the cores, see `embed_documents`
        options.log_severity_level = 3
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed texts; the order of the results is that of the texts.

        Each text is run alone: int8 activations are scaled over a whole batch, so that a text's
        vector would otherwise depend on its neighbours, and no cache or recording would hold. So
        ``threads`` texts run at once, on a thread each. Several threads on one text of 110 tokens
        were a sixth slower on two idle cores, and twice as slow when others used the cores: ONNX
        Runtime's threads wait for one another at every step.
        """
        with self._loading:
            if self._session is None:
                self._load()
        if len(texts) < 2 or self.threads < 2:
            return [self._one(text) for text in texts]
        with ThreadPoolExecutor(self.threads, "embed") as pool:
            return list(pool.map(self._one, texts))

    def embed_query(self, text: str) -> list[float]:
        """Embed one text."""
        return self.embed_documents([text])[0]

    def _one(self, text: str) -> list[float]:
        encoded = self._tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        mask = np.array([encoded.attention_mask], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {node.name for node in self._session.get_inputs()}
        (tokens, *_) = self._session.run(None, {k: v for k, v in feeds.items() if k in wanted})
        pooled = (tokens[0] * mask[0][:, None]).sum(axis=0) / max(int(mask.sum()), 1)
        length = float(np.linalg.norm(pooled))
        vector: list[float] = (pooled / length if length else pooled).tolist()
        return vector
