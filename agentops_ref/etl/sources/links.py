"""Links below a folder: which are files of it, and what to say of the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Refused(NamedTuple):
    """A link that is not followed."""

    mark: str
    """Fingerprint: moves when the link does, or when what is wrong with it does."""
    reason: str
    """What it is and what to do."""


def refused(link: Path, root: Path) -> Refused | None:
    """Return why a link is not followed; None for one to a file or folder below ``root``.

    Nothing of what it leads to is read. A folder below the root is listed where it stands.

    Raises
    ------
    OSError
        It cannot be examined; `FileNotFoundError` when the link itself is gone.
    """
    born, to = link.lstat().st_ctime_ns, os.fsencode(link.readlink()).decode("utf-8", "replace")

    def because(mark: str, reason: str) -> Refused:
        return Refused(f"link-{mark}-{born}", reason)

    try:
        target = link.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return because("dangling", f"a link to {to}, which does not exist: mend or remove it")
    except PermissionError:
        return because("closed", f"a link to {to}, which may not be read: grant that or remove it")
    except (OSError, RuntimeError):  # Python before 3.13 tells a loop by RuntimeError
        return because("loop", "a link that leads back to itself: mend or remove it")
    kind = "folder" if target.is_dir() else "file"
    if not target.is_relative_to(root.resolve()):
        return because(
            "outside",
            f"a link to {to}, out of the source: copy the {kind} here, or sync its folder as a "
            "source of its own",
        )
    if kind == "folder" and link.parent.resolve().is_relative_to(target):
        return because("circle", f"a link to a folder above it, {to}: remove or exclude it")
    return None


def may_hold(folder: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path below ``folder`` can match one of the glob patterns.

    >>> may_hold("a/b", ("a/**",)), may_hold("a", ("*.md",)), may_hold("a", ("b/*", "**/*.md"))
    (True, False, True)
    """
    from agentops_ref.etl.sources.base import matches

    parts = folder.split("/")
    for pattern in patterns:
        steps = pattern.split("/")
        for at, part in enumerate(parts):
            if at < len(steps) and "**" in steps[at]:
                return True
            if at >= len(steps) or not matches(part, (steps[at],)):
                break
        else:
            if len(steps) > len(parts):
                return True
    return False
