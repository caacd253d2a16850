"""A file that is written whole, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Put new content in a file's place, so that nobody ever reads half of it.

    What is there stays until the new content is on the disk, and so do its permissions; a folder
    that lacks is made.

    Parameters
    ----------
    content
        Bytes, or text, which is written as UTF-8 with the line ends that it has.

    Raises
    ------
    OSError
        It cannot be written; then nothing was changed and nothing is left behind.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            partial.chmod(path.stat().st_mode & 0o777)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # a full disk or Ctrl-C leaves nothing behind
