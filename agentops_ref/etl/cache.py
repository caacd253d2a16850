"""Results of stages, addressed by what they were made from. Taught in chapter 3.

The cache may be deleted at any time; it only saves work. It is never consulted for what the index
holds: that stands in the index's own ledger. So a cache that cannot be written or read (a full
disk, a folder of somebody else's) costs time and a warning, and no document.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentops_ref.records import Element

log = logging.getLogger(__name__)
Vectors = NDArray[np.float32]
_LOOKUP = 500
"""Keys per SELECT, below SQLite's limit on parameters."""


class StageCache:
    """Elements and profiles as JSON files, vectors in one SQLite file, all below ``folder``."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._warned = False

    # --- elements, and what other stages keep as JSON -------------------------------------

    def get_elements(self, recipe: str, content: str) -> tuple[Element, ...] | None:
        """Return the elements stored under the content's key; a damaged entry counts as absent."""
        try:
            return tuple(_element(fields) for fields in self.get("parse", recipe, content))
        except (ValueError, TypeError, LookupError, AttributeError):
            return None

    def put_elements(self, recipe: str, content: str, elements: Iterable[Element]) -> None:
        self.put("parse", recipe, content, [asdict(element) for element in elements])

    def get(self, stage: str, recipe: str, content: str) -> Any:
        """Return the JSON value stored under the content's key; None where there is none."""
        try:
            return json.loads(self._file(stage, recipe, content).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, stage: str, recipe: str, content: str, value: Any) -> None:
        """Store a JSON value under the content's key."""
        path = self._file(stage, recipe, content)
        with self._optional():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written aside and renamed, so that a killed process leaves no half an entry.
            file = NamedTemporaryFile(  # noqa: SIM115 (renamed once it is closed)
                "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
            )
            try:
                with file:
                    json.dump(value, file, ensure_ascii=False)
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _file(self, stage: str, recipe: str, content: str) -> Path:
        return self.folder / stage / recipe / content[:2] / f"{content}.json"

    # --- profiles -------------------------------------------------------------------------

    def get_profile(self, recipe: str, content: str) -> Any:
        """Return the JSON that was stored of a document's profile; None where there is none."""
        return self.get("profile", recipe, content)

    def put_profile(self, recipe: str, content: str, profile: Mapping[str, Any]) -> None:
        self.put("profile", recipe, content, profile)

    # --- vectors --------------------------------------------------------------------------

    def get_vectors(self, recipe: str, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the stored vectors of the given text hashes."""
        wanted = list(texts)
        found: dict[str, Vectors] = {}
        with self._optional(), self._vectors() as database:
            for start in range(0, len(wanted), _LOOKUP):
                part = wanted[start : start + _LOOKUP]
                marks = ",".join("?" * len(part))
                rows = database.execute(
                    f"SELECT text, vector FROM vectors WHERE recipe = ? AND text IN ({marks})",
                    (recipe, *part),
                )
                for text, blob in rows:
                    found[text] = np.frombuffer(blob, dtype="<f2").astype(np.float32)
        return found

    def put_vectors(self, recipe: str, vectors: Mapping[str, Vectors]) -> None:
        with self._optional(), self._vectors() as database, database:
            database.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                [(recipe, text, v.astype("<f2").tobytes()) for text, v in vectors.items()],
            )

    @contextmanager
    def _optional(self) -> Iterator[None]:
        """Go on without the cache where the disk says no, and say so once."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if not self._warned:
                why = getattr(error, "strerror", None) or error
                log.warning(
                    "the cache in %s cannot be used (%s): the work goes on without; set "
                    "paths.cache to a folder that can be written",
                    self.folder,
                    why,
                )
            self._warned = True

    @contextmanager
    def _vectors(self) -> Iterator[sqlite3.Connection]:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "vectors.sqlite"
        try:
            database = _open(path)
        except sqlite3.OperationalError:
            raise  # busy, or the disk is full; not the file's fault
        except sqlite3.DatabaseError:
            for ending in ("", "-wal", "-shm"):  # damaged; everything in it can be made again
                path.with_name(path.name + ending).unlink(missing_ok=True)
            database = _open(path)
        with closing(database):
            yield database


def _element(fields: dict[str, Any]) -> Element:
    """JSON knows no tuples: a box comes back as a list."""
    box = fields.pop("box")
    if box is not None:
        left, top, right, bottom = map(float, box)
        box = (left, top, right, bottom)
    return Element(**fields, box=box)


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30)
    try:
        # A kill loses nothing this way; a power cut may, and then the file is made again.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors "
            "(recipe TEXT, text TEXT, vector BLOB, PRIMARY KEY (recipe, text)) WITHOUT ROWID"
        )
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
