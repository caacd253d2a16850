"""A test split is used once, and the file beside the labels remembers it. Taught in chapter 8.

Trying judge after judge on the same test rows and keeping the best makes them a second dev split:
the figures of the one that is kept were chosen by these rows, and promise too much.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agentops_ref.errors import ConfigError, DeveloperError, OperatorError
from agentops_ref.evals.calibration.counts import Calibration


@dataclass(frozen=True, slots=True)
class Use:
    """One judge, tried on test rows."""

    judge: str
    """Digest of the judge."""
    rows: tuple[str, ...]
    """Digests of the test rows."""
    when: str
    """ISO 8601, UTC."""
    result: Calibration
    unjudged: int = 0
    """Test rows on which the judge gave no verdict; they are not in ``result``."""
    others: int = 0
    """Judges that had been tried on some of these rows before; above 0 only where somebody asked
    for it with ``--again``."""


def uses_file(labels: Path) -> Path:
    """Return where the uses of a labels file are kept."""
    return labels.with_name(f"{labels.name}.uses.jsonl")


def load_uses(path: Path) -> list[Use]:
    """Read the uses, oldest first; none where there is no file.

    Raises
    ------
    ConfigError
        A line that cannot be read. It is not skipped: a use that is not seen is a use too many.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = json.loads(line)
            values["rows"] = tuple(values["rows"])
            found.append(Use(**{**values, "result": Calibration(**values["result"])}))
        except (ValueError, TypeError, KeyError, DeveloperError) as error:
            raise ConfigError(
                f"{path}, line {number}: cannot be read ({error}); restore it, since it says which "
                "judges have seen the test rows"
            ) from None
    return found


def keep_use(path: Path, use: Use) -> None:
    """Append a use; it is on the disk when this returns."""
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(use)) + "\n")
        out.flush()
        os.fsync(out.fileno())


def remembered(uses: Sequence[Use], judge: str, rows: Sequence[str]) -> Use | None:
    """Return the use of the same judge on the same rows, None if there was none."""
    return next((u for u in uses if u.judge == judge and set(u.rows) == set(rows)), None)


def allow(uses: Sequence[Use], judge: str, rows: Sequence[str], *, again: bool) -> int:
    """Return how many other judges have been tried on any of these rows.

    Raises
    ------
    OperatorError
        There are some, and nobody said ``again``.
    """
    seen = [use for use in uses if use.judge != judge and set(use.rows) & set(rows)]
    others = len({use.judge for use in seen})
    if others and not again:
        last = seen[-1]
        shared = len(set(last.rows) & set(rows))
        raise OperatorError(
            f"{shared} of the {len(rows)} test rows were used on {last.when[:10]} for another "
            f"judge ({last.judge}): the figures of a judge that is chosen by its test rows are too "
            "good. Choose by the dev rows, or label new test rows; --again does it nevertheless, "
            "and marks the result"
        )
    return others
