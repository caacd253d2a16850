"""The corpus as a working folder that moves from version to version. Used from chapter 3 on.

The generator writes each version into a folder of its own; a real source is one folder in which a
few files change. Files that stay as they are are not touched, so that a sync sees what it would
see there.
"""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from agentops_ref.errors import OperatorError


def bring_to(corpus: Path | str, version: int, folder: Path | str) -> tuple[str, ...]:
    """Make ``folder`` hold the documents of a corpus version.

    Returns the paths that were written or removed, sorted, relative to ``folder``.
    """
    wanted, held = Path(corpus) / f"v{version}" / "docs", Path(folder)
    if not wanted.is_dir():
        raise OperatorError(f"no documents in {wanted}; run: agentops corpus build")
    new, old = _files(wanted), _files(held)
    written = {
        name
        for name in new
        if name not in old or not filecmp.cmp(wanted / name, held / name, shallow=False)
    }
    for name in written:
        (held / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(wanted / name, held / name)
    for name in old - new:
        (held / name).unlink()
    return tuple(sorted(written | (old - new)))


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
