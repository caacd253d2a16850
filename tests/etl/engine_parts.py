"""What a worker of the engines' tests works with; a module, as workers find it by its name."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from agentops_ref.errors import MissingExtra
from agentops_ref.etl import FolderSource, Stages
from agentops_ref.etl.cache import StageCache
from agentops_ref.etl.sources import Source
from agentops_ref.records import Element
from tests.etl import fakes


def parse(name: str, data: bytes) -> tuple[Element, ...]:
    """Parse as the fake does, noisily, and fail in further ways that a text can ask for."""
    print("a library that prints", flush=True)
    print("parsing", name, file=sys.stderr)
    if data.startswith(b"missing model"):
        raise MissingExtra("a-model", "ocr")
    if data.startswith(b"kill once "):
        mark = Path(data.decode().removeprefix("kill once ").strip())
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if data.startswith((b"exit ", b"segfault ", b"parent ")):
        _end_this_process(*data.decode().split()[:3])
    if data.startswith(b"pid"):
        return (Element("text", str(os.getpid())),)
    return fakes.parse(name, data)


def _end_this_process(how: str, mark: str, but: str) -> None:
    """Note it in a file, and end, unless this is the process of the test itself."""
    assert os.getpid() != int(but), "a document that ends processes came to the syncing one"
    with Path(mark).open("a") as file:
        file.write(f"{how}\n")
    if how == "exit":
        os._exit(7)
    if how == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    ctypes.string_at(0)


def parts(docs: str, cache: str | None, parser: str = "1") -> tuple[Source, Stages]:
    made = fakes.make_stages(parser=parser)
    stages = Stages(
        parse,
        fakes.chunk,
        fakes.FakeEmbeddings(),  # type: ignore[arg-type]
        made.recipes,
        cache=StageCache(cache) if cache else None,
        batch=8,
    )
    return FolderSource(docs), stages


def skewed(docs: str, cache: str | None) -> tuple[Source, Stages]:
    """Parts of a machine with another version of the parser."""
    return parts(docs, cache, parser="2")


def ended() -> tuple[Source, Stages]:
    """Parts whose making ends the process, as a library that does not fit the machine may."""
    os._exit(9)


def unusable() -> tuple[Source, Stages]:
    raise TypeError("no such option")
