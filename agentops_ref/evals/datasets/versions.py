"""A version of a dataset: its cases and the digest that names them.

Taught in chapter 8. A version is named by what it holds, not by a number, so that two people who
have the same cases have the same version.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals.cases import load_cases, parse_cases
from agentops_ref.records import Case


@dataclass(frozen=True, slots=True)
class Version:
    """The cases of a dataset at one moment."""

    name: str
    """Where they were read: a file, ``REV:PATH`` of git, or the id of an MLflow dataset."""
    cases: tuple[Case, ...]

    @property
    def digest(self) -> str:
        return dataset_digest(self.cases)

    @property
    def live(self) -> tuple[Case, ...]:
        """The cases that are not retired."""
        return tuple(case for case in self.cases if not case.retired)

    def counts(self, field: str) -> dict[str, int]:
        """Live cases per value of a field of `Case` (slice, split, origin), largest first."""
        return dict(Counter(str(getattr(case, field)) for case in self.live).most_common())


def dataset_digest(cases: Iterable[Case]) -> str:
    """Hash of everything that is written of the cases: 12 hex digits; their order does not matter.

    `cases_digest` names what a run was asked; this one also changes with a split, an origin or a
    retirement.
    """
    rows = sorted(json.dumps(asdict(case), sort_keys=True) for case in cases)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def read_version(reference: str, *, root: Path) -> Version:
    """Read a version from a file, or from git as ``REV:PATH``; paths count from ``root``.

    Raises
    ------
    ConfigError
        There is no such file and the reference is none of git's; or it holds no valid cases.
    OperatorError
        Git is not there, or it does not know the revision or the path.
    """
    file = root / reference
    if file.is_file():
        return Version(reference, tuple(load_cases(file)))
    revision, colon, path = reference.partition(":")
    if not (colon and revision and path) or revision.startswith("-"):
        raise ConfigError(
            f"no version '{reference}': expected a file, REV:PATH of git such as "
            "HEAD~1:corpus/cases.yaml, or the id of an MLflow dataset (d-...)"
        )
    return Version(reference, tuple(parse_cases(_git_show(revision, path, root), reference)))


def _git_show(revision: str, path: str, root: Path) -> str:
    try:
        shown = subprocess.run(
            # "./": the path counts from `root`, as the path of a file does.
            ["git", "show", f"{revision}:{path if path.startswith('/') else f'./{path}'}"],
            cwd=root,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise OperatorError(
            f"cannot read '{revision}:{path}': git cannot be run ({error.strerror})"
        ) from None
    if shown.returncode:
        said = shown.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise OperatorError(f"cannot read '{revision}:{path}' from git: {said[0]}")
    try:
        return shown.stdout.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{revision}:{path}: not UTF-8") from None
