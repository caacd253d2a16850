"""Where recordings are kept: one JSON file a chat or scan, one array file an embedding model.

Nothing here is written by hand. Files are written atomically, so that several notebooks can
record at once, and every use is logged where ``AGENTOPS_RECORDING_LOG`` says, so that what nobody
asks for any more can be dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref.errors import OperatorError

LOG = "AGENTOPS_RECORDING_LOG"


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def log_use(keys: Iterable[str]) -> None:
    """Append keys to the log of uses, if one is wanted; one write, so that lines never mix."""
    file = os.environ.get(LOG)
    lines = "".join(f"{key}\n" for key in keys)
    if file and lines:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, lines.encode())
        finally:
            os.close(handle)


def write_atomically(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.partial")
    partial.write_bytes(data)
    os.replace(partial, file)


class JsonStore:
    """Key → JSON document, one readable file each, below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the recording, or None.

        Raises
        ------
        OperatorError
            The file is there but is not valid JSON; names it.
        """
        file = self.file(key)
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise OperatorError(
                f"recording {file} is damaged ({error}); restore it or run: make record"
            ) from error
        log_use([key])
        return found

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1)
        write_atomically(self.file(key), f"{text}\n".encode())
        log_use([key])


class VectorStore:
    """Key → float16 vector, all of a model in one array file, sorted by key.

    2,000 vectors of 384 numbers are 1.6 MB and load in milliseconds.
    """

    def __init__(self, file: Path, dimensions: int) -> None:
        self.file, self.dimensions = file, dimensions
        self._known: dict[str, np.ndarray[Any, Any]] | None = None

    def _load(self) -> dict[str, np.ndarray[Any, Any]]:
        if not self.file.exists():
            return {}
        try:
            table = np.load(self.file, allow_pickle=False)
        except (ValueError, OSError) as error:
            raise OperatorError(
                f"recording {self.file} is damaged ({error}); restore it or run: make record"
            ) from error
        return {bytes(row["key"]).hex(): row["vector"] for row in table}

    def get(self, keys: Sequence[str]) -> dict[str, list[float]]:
        """Return the vectors that are known; keys that are not are absent."""
        if self._known is None:
            self._known = self._load()
        found = {key: self._known[key].astype(float).tolist() for key in keys if key in self._known}
        log_use(found)
        return found

    def put(self, vectors: Mapping[str, Sequence[float]]) -> None:
        """Add vectors, merging with what another process may have added meanwhile."""
        from filelock import FileLock

        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.file}.lock"):
            known = self._load()
            known |= {key: np.asarray(v, dtype=np.float16) for key, v in vectors.items()}
            self._write(known)
            self._known = known
        log_use(vectors)

    def keep(self, keys: Collection[str]) -> int:
        """Drop every vector whose key is not among ``keys``; return how many were dropped."""
        known = self._load()
        kept = {key: vector for key, vector in known.items() if key in keys}
        if len(kept) < len(known):
            self._write(kept)
            self._known = kept
        return len(known) - len(kept)

    def _write(self, known: Mapping[str, np.ndarray[Any, Any]]) -> None:
        import io

        row = np.dtype([("key", "V32"), ("vector", np.float16, (self.dimensions,))])
        table = np.zeros(len(known), dtype=row)
        for index, key in enumerate(sorted(known)):
            table[index] = (bytes.fromhex(key), known[key])
        buffer = io.BytesIO()
        np.save(buffer, table, allow_pickle=False)
        write_atomically(self.file, buffer.getvalue())
