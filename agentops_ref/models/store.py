"""Where recordings are kept: one JSON file a chat or scan, one array file an embedding model.

Nothing here is written by hand. Files are written atomically, so that several notebooks can
record at once, and every use is logged where ``AGENTOPS_RECORDING_LOG`` says, so that what nobody
asks for any more can be dropped.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import BaseFileLock, FileLock

from agentops_ref.errors import DeveloperError, OperatorError
from agentops_ref.files import write_whole

LOG = "AGENTOPS_RECORDING_LOG"
ANSWER_LOG = "AGENTOPS_ANSWER_LOG"


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises
    ------
    DeveloperError
        The value holds an object that has no such text; its answer could not be found again.
    """
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_as_json
    )


def as_json(value: Any) -> Any:
    """Return the value as it will be read back from a JSON file, in its own order."""
    return json.loads(json.dumps(value, ensure_ascii=False, default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return value.model_json_schema()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | set | frozenset):
        return sorted(value, key=repr)
    raise DeveloperError(f"cannot record a request that holds a {type(value).__name__}")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def log_use(keys: Iterable[str]) -> None:
    """Append keys to the log of uses, if one is wanted; one write, so that lines never mix."""
    _append(os.environ.get(LOG), "".join(f"{key}\n" for key in keys))


def _append(file: str | None, lines: str) -> None:
    if file and lines:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, lines.encode())
        finally:
            os.close(handle)


def log_answer(how: str) -> None:
    """Append "replay" or "live" to the file that counts a notebook's answers, if one is wanted."""
    _append(os.environ.get(ANSWER_LOG), f"{how}\n")


def machine_lock(name: str) -> BaseFileLock:
    """Return a lock between this user's processes; the system frees it when its holder dies."""
    user = getattr(os, "getuid", int)()
    return FileLock(
        Path(tempfile.gettempdir()) / f"agentops-{user}-{name}.lock", poll_interval=0.02
    )


def damaged(file: Path, error: Exception) -> OperatorError:
    """Return the error that names a recording which cannot be read."""
    why = f"{type(error).__name__}: {error}"
    return OperatorError(f"recording {file} is damaged ({why}); restore it or run: make record")


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
            raise damaged(file, error) from error
        if not isinstance(found, dict):
            raise damaged(file, TypeError("not a JSON object"))
        log_use([key])
        return found

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Write a recording, in the order of its keys: in a schema that order has a meaning."""
        text = json.dumps(value, ensure_ascii=False, indent=1)
        write_whole(self.file(key), f"{text}\n".encode())
        log_use([key])


class VectorStore:
    """Key → float16 vector, all of a model in one array file, sorted by key.

    2,000 vectors of 384 numbers are 1.6 MB, load in 2 ms and are written in 5.
    """

    def __init__(self, file: Path, dimensions: int | None = None) -> None:
        self.file, self.dimensions = file, dimensions
        self._known: dict[str, np.ndarray[Any, Any]] | None = None

    def get(self, keys: Sequence[str]) -> dict[str, list[float]]:
        """Return the vectors that are known; keys that are not are absent."""
        if self._known is None:
            self._known = self._load()
        found = {key: self._known[key].astype(float).tolist() for key in keys if key in self._known}
        log_use(found)
        return found

    def put(self, vectors: Mapping[str, Sequence[float]]) -> None:
        """Add vectors, merging with what another process may have added meanwhile."""
        with self._lock():
            known = self._load()
            known |= {key: np.asarray(v, dtype=np.float16) for key, v in vectors.items()}
            self._write(known)
            self._known = known
        log_use(vectors)

    def keep(self, keys: Collection[str]) -> int:
        """Drop every vector whose key is not among ``keys``; return how many were dropped."""
        with self._lock():
            known = self._load()
            kept = {key: vector for key, vector in known.items() if key in keys}
            if not kept:
                self.file.unlink(missing_ok=True)
            elif len(kept) < len(known):
                self._write(kept)
            self._known = kept
        return len(known) - len(kept)

    def _lock(self) -> BaseFileLock:
        # Not beside the file: what lies in recordings/ is committed.
        name = hashlib.sha256(str(self.file.resolve()).encode()).hexdigest()[:16]
        return machine_lock(name)

    def _load(self) -> dict[str, np.ndarray[Any, Any]]:
        if not self.file.exists():
            return {}
        try:
            table = np.load(self.file, allow_pickle=False)
            keys, vectors = table["key"], table["vector"]
        except (ValueError, OSError, EOFError, IndexError) as error:
            raise damaged(self.file, error) from error
        if self.dimensions not in (None, vectors.shape[1]):
            raise OperatorError(
                f"{self.file} holds vectors of {vectors.shape[1]} numbers, "
                f"models.embedding.dimensions says {self.dimensions}; name the new model otherwise"
            )
        return {key.tobytes().hex(): vector for key, vector in zip(keys, vectors, strict=True)}

    def _write(self, known: Mapping[str, np.ndarray[Any, Any]]) -> None:
        keys = sorted(known)
        row = np.dtype([("key", "V32"), ("vector", np.float16, (len(known[keys[0]]),))])
        table = np.zeros(len(keys), dtype=row)
        table["key"] = np.frombuffer(bytes.fromhex("".join(keys)), dtype="V32")
        table["vector"] = [known[key] for key in keys]
        buffer = io.BytesIO()
        np.save(buffer, table, allow_pickle=False)
        write_whole(self.file, buffer.getvalue())
