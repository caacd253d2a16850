"""What an executed notebook depends on, as one digest. Unchanged → not executed again."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from agentops_ref.apps.book.layout import Layout, files_below, read_notebook, source_of, tags_of

# Folders whose files reach a notebook's results. The builder itself is left out but for the
# part that runs notebooks: mending a generated page must not cost an execution.
INPUTS = ("agentops_ref", "config", "corpus", "recordings")
BUILDER = Path("agentops_ref/apps/book")
SETTINGS = ("AGENTOPS__", "AGENTOPS_ENV", "AGENTOPS_CONFIG_DIR")
RUNS_NOTEBOOKS = ("execute.py", "runner.py", "keys.py")


def shared_key(layout: Layout, environ: Mapping[str, str] | None = None) -> str:
    """Digest what all notebooks depend on: code, configuration, corpus, recordings, versions."""
    environ = os.environ if environ is None else environ
    digest = hashlib.sha256()
    for name in INPUTS:
        if (layout.root / name).is_dir():
            _add_files(digest, layout.root, files_below(layout.root / name))
    pins = layout.root / "constraints.txt"
    _add_files(digest, layout.root, [pins] if pins.is_file() else [])
    settings = sorted(item for item in environ.items() if item[0].startswith(SETTINGS))
    digest.update(repr((sys.version_info[:3], settings)).encode())
    return digest.hexdigest()


def notebook_key(shared: str, notebook: Path) -> str:
    """Digest one notebook with what all depend on; its outputs and metadata do not count."""
    cells = [
        (cell.get("cell_type"), source_of(cell), tags_of(cell))
        for cell in read_notebook(notebook)["cells"]
    ]
    return hashlib.sha256(repr((shared, cells)).encode()).hexdigest()


def _add_files(digest: hashlib._Hash, root: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        name = path.relative_to(root)
        if name.is_relative_to(BUILDER) and name.name not in RUNS_NOTEBOOKS:
            continue
        digest.update(f"{name.as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
