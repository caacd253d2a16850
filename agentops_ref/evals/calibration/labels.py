"""Labelled items and verdicts, read from JSON lines. Taught in chapter 8."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from agentops_ref.errors import ConfigError
from agentops_ref.evals.calibration.counts import Calibration
from agentops_ref.evals.jsonl import read_objects
from agentops_ref.records import CaseSplit

SPLITS: tuple[CaseSplit, ...] = get_args(CaseSplit)


@dataclass(frozen=True, slots=True)
class Row:
    """One item that a person has labelled."""

    id: str
    label: int
    """1 is good, 0 is bad."""
    split: CaseSplit
    """``dev`` is looked at while the judge is made, ``test`` once, when it is done."""
    judge: int | None = None
    """The judge's verdict, if it was asked before."""
    reason: str = ""
    """Why the person said so."""
    labeller: str = ""
    """Who said so, or in which pass, where a file holds several."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the row holds, for a judge that is to be asked: question, answer, excerpts."""


VerdictOf = Callable[[Row], int | None]
"""Asks a judge; None where it failed to give a verdict."""


def read_labels(path: Path) -> list[Row]:
    """Read labels, one JSON object a line; an item may have several, each of another labeller.

    Raises
    ------
    ConfigError
        Missing file, a line that is no object or lacks what `Row` needs, no row; names file, line
        and key.
    """
    return [_row(values, where) for where, values in read_objects(path)]


def load_labels(path: Path) -> list[Row]:
    """Read labelled items, each with one label.

    Raises
    ------
    ConfigError
        As `read_labels`, and an id used twice.
    """
    return list(_unique(read_labels(path), path))


def load_verdicts(path: Path) -> dict[str, int]:
    """Read ``{"id": ..., "judge": 0 or 1}``, one a line: id → verdict.

    Raises
    ------
    ConfigError
        As `load_labels`.
    """
    found: dict[str, int] = {}
    for where, values in read_objects(path):
        name = _text(values, "id", where)
        if name in found:
            raise ConfigError(f"{where}: the id '{name}' is used twice")
        found[name] = _bit(values, "judge", where)
    return found


def count(rows: Iterable[Row], verdicts: Mapping[str, int]) -> Calibration | None:
    """Count labels against verdicts; rows without a verdict are left out, None if all are."""
    pairs = [(row.label, verdicts[row.id]) for row in rows if row.id in verdicts]
    if not pairs:
        return None
    positives = [verdict for label, verdict in pairs if label]
    negatives = [verdict for label, verdict in pairs if not label]
    return Calibration(
        len(positives), sum(positives), len(negatives), len(negatives) - sum(negatives)
    )


def verdicts_of(rows: Sequence[Row], ask: VerdictOf | None) -> dict[str, int]:
    """Return each row's verdict: the one that it brings, else the judge's.

    Raises
    ------
    ConfigError
        A row without a verdict, and no judge to ask.
    """
    lacking = [row.id for row in rows if row.judge is None]
    if lacking and ask is None:
        raise ConfigError(
            f"{len(lacking)} of {len(rows)} labelled rows have no verdict (the first is "
            f"'{lacking[0]}') and no judge was named to ask: give each row \"judge\": 0 or 1, or "
            "name one of evals.judges"
        )
    found = {
        row.id: row.judge if row.judge is not None or ask is None else ask(row) for row in rows
    }
    return {name: verdict for name, verdict in found.items() if verdict is not None}


def label_digests(rows: Iterable[Row]) -> tuple[str, ...]:
    """Hash each row's id and label, 12 hex digits: what a judge was tried on."""
    return tuple(sorted(_digest([row.id, row.label]) for row in rows))


def judge_digest(rows: Iterable[Row], asked: str = "") -> str:
    """Identify a judge: by the digest of the one that is asked, and by verdicts that were given.

    A judge that was asked elsewhere is known by nothing but what it said. Another run of it that
    says something else is another judge: choosing among runs is choosing, too. One that is named
    and has nothing left to be asked plays no part.
    """
    rows = list(rows)
    given = sorted([row.id, row.judge] for row in rows if row.judge is not None)
    return _digest([asked if len(given) < len(rows) else "", given])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def _row(values: Mapping[str, Any], where: str) -> Row:
    split = next((one for one in SPLITS if one == values.get("split")), None)
    if split is None:
        got = values.get("split")
        raise ConfigError(f'{where}: \'split\' must be "dev" or "test", got {got!r}')
    texts = {key: values.get(key) or "" for key in ("reason", "labeller")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise ConfigError(f"{where}: '{key}' must be a text, got {text!r}")
    known = ("id", "label", "split", "judge", *texts)
    return Row(
        _text(values, "id", where),
        _bit(values, "label", where),
        split,
        None if values.get("judge") is None else _bit(values, "judge", where),
        **texts,
        fields={key: value for key, value in values.items() if key not in known},
    )


def _unique(rows: Iterable[Row], path: Path) -> Iterator[Row]:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise ConfigError(f"{path}: the id '{row.id}' is used twice")
        seen.add(row.id)
        yield row


def _text(values: Mapping[str, Any], key: str, where: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: '{key}' is missing or is not a text")
    return value


def _bit(values: Mapping[str, Any], key: str, where: str) -> int:
    value = values.get(key)
    if type(value) is not int or value not in (0, 1):
        raise ConfigError(f"{where}: '{key}' must be 0 or 1, got {value!r}")
    return value
