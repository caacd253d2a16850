"""Write all versions of the corpus, in one step or not at all."""

from __future__ import annotations

import calendar
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from agentops_ref.apps.fjordvarm.catalogue import Catalogue, load_catalogue
from agentops_ref.apps.fjordvarm.drafts import drafts
from agentops_ref.apps.fjordvarm.model import Draft, Rendered
from agentops_ref.apps.fjordvarm.tables import tables
from agentops_ref.apps.fjordvarm.texts import texts_dir
from agentops_ref.apps.fjordvarm.truth import truth

STAMP = "corpus.json"
DEFAULT_SEED = 20250115

Progress = Callable[[int, int, str], None]
Shelf = dict[str, tuple[Draft, Rendered]]


@dataclass(frozen=True)
class CorpusSummary:
    """What stands in the output folder."""

    out: Path
    digest: str  # of generator, hand-written texts and seed, hexadecimal
    versions: tuple[int, ...]
    documents: Mapping[int, int]  # by version
    kinds: Mapping[int, Mapping[str, int]]  # by version, then kind
    facts: Mapping[int, int]  # by version
    rows: Mapping[int, Mapping[str, int]]  # by version, then table
    built: bool  # False when the folder was up to date already
    seconds: float


def _source_files(texts: Path) -> Iterator[tuple[str, Path]]:
    package = Path(__file__).resolve().parent
    for root, suffixes in ((package, {".py"}), (texts, {".md", ".yaml"})):
        for path in sorted(root.rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield f"{root.name}/{path.relative_to(root).as_posix()}", path


def recipe_digest(texts: Path, seed: int) -> str:
    """Changes whenever a file or number that the corpus depends on does."""
    digest = hashlib.sha256(str(seed).encode())
    for name, path in _source_files(texts):
        digest.update(f"\0{name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _summary(out: Path, stamp: Mapping[str, Any], *, built: bool, seconds: float) -> CorpusSummary:
    def by_version(key: str) -> dict[int, Any]:
        return {int(version): value for version, value in stamp[key].items()}

    return CorpusSummary(
        out=out,
        digest=stamp["digest"],
        versions=tuple(stamp["versions"]),
        documents=by_version("documents"),
        kinds=by_version("kinds"),
        facts=by_version("facts"),
        rows=by_version("rows"),
        built=built,
        seconds=seconds,
    )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Let one process build at a time; the lock ends with its process, however that ends."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows: two builders at a time are not expected there
        yield
        return
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, content: bytes, day: date) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    noon = calendar.timegm((day.year, day.month, day.day, 12, 0, 0))
    os.utime(path, (noon, noon))


def _dump(data: object) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _rendered(
    catalogue: Catalogue,
    texts: Path,
    cache: dict[Draft, Rendered],
    tick: Callable[[str], None],
) -> Shelf:
    from agentops_ref.apps.fjordvarm.render import render

    shelf: Shelf = {}
    for draft in drafts(catalogue, texts):
        tick(f"v{catalogue.version} {draft.path}")
        if draft not in cache:
            cache[draft] = render(draft)
        shelf[draft.path] = (draft, cache[draft])
    return shelf


def _build_into(
    folder: Path, texts: Path, versions: Sequence[int], seed: int, progress: Progress | None
) -> dict[str, Any]:
    catalogues = [load_catalogue(texts, version) for version in range(1, max(versions) + 1)]
    total = sum(len(drafts(catalogue, texts)) for catalogue in catalogues)
    done = 0

    def tick(what: str) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total, what)

    cache: dict[Draft, Rendered] = {}
    earlier: Shelf = {}
    stamp: dict[str, Any] = {"documents": {}, "kinds": {}, "facts": {}, "rows": {}}
    for catalogue in catalogues:
        number = str(catalogue.version)
        shelf = _rendered(catalogue, texts, cache, tick)
        told = truth(catalogue, shelf, earlier)
        earlier |= shelf
        if catalogue.version not in versions:
            continue
        root = folder / f"v{number}"
        for path, (draft, result) in shelf.items():
            _write(root / path, result.content, draft.published)
        rows = {}
        for name, table in tables(texts, catalogue, seed).items():
            _write(root / "tables" / f"{name}.csv", table.csv(), catalogue.released)
            rows[name] = len(table.rows)
        _write(folder / "truth" / f"v{number}.json", _dump(told), catalogue.released)
        stamp["documents"][number] = len(shelf)
        stamp["kinds"][number] = dict(
            sorted(Counter(draft.kind for draft, _ in shelf.values()).items())
        )
        stamp["facts"][number] = len(told["facts"])
        stamp["rows"][number] = rows
    return stamp


def build_corpus(
    out: Path,
    *,
    versions: Sequence[int] = (1, 2, 3),
    seed: int = DEFAULT_SEED,
    texts: Path | None = None,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Write ``out/v1`` .. ``out/v3`` and ``out/truth``; do nothing when they are up to date.

    ``progress`` is called with documents done, documents in all, and the one at hand. The stamp
    ``out/corpus.json`` is removed before the first change and written after the last, so a
    folder with a stamp is always complete.
    """
    began = time.monotonic()
    folder = texts_dir(texts)
    digest = recipe_digest(folder, seed)
    with _alone(out):
        stamp_path = out / STAMP
        wanted = set(versions)
        if stamp_path.is_file():
            stamp = json.loads(stamp_path.read_text(encoding="utf-8"))
            if stamp["digest"] == digest:
                if wanted <= set(stamp["versions"]):
                    spent = time.monotonic() - began
                    return _summary(out, stamp, built=False, seconds=spent)
                wanted |= set(stamp["versions"])
        for left in out.glob(".partial-*"):  # of a build that was interrupted
            shutil.rmtree(left)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
        try:
            stamp = _build_into(partial, folder, sorted(wanted), seed, progress)
            stamp |= {"digest": digest, "seed": seed, "versions": sorted(wanted)}
            stamp_path.unlink(missing_ok=True)
            for name in ("v1", "v2", "v3", "truth"):
                shutil.rmtree(out / name, ignore_errors=True)
                if (partial / name).is_dir():
                    (partial / name).rename(out / name)
            (partial / STAMP).write_bytes(_dump(stamp))
            (partial / STAMP).replace(stamp_path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return _summary(out, stamp, built=True, seconds=time.monotonic() - began)
