"""How far a second reading of traces agrees with the first. For chapter 12.

``python -m agentops_ref.apps.second_pass`` says it of `corpus/errors`: a part of the traces, drawn
by a seed, was read again by a reader who had not seen the first readings. What differs is left as
both wrote it: settled afterwards, it would be no second reading any more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from agentops_ref.errors import ConfigError
from agentops_ref.evals.errors import Agreement, Reading, agreements, assign, load_taxonomy
from agentops_ref.evals.errors.lines import parse_lines
from agentops_ref.evals.errors.store import readings_of
from agentops_ref.evals.jsonl import read_objects

CODER = "second pass (language model)"
FILE = "second-pass.jsonl"
"""Readings as in `readings.jsonl`, each with its ``category``: a name, or null for none."""
SIZE, SEED = 45, 3
"""Of the draw."""


class Said(NamedTuple):
    """What one reader said of a trace."""

    reading: Reading
    category: str
    """Empty for none."""

    @property
    def answers(self) -> tuple[str, str, str]:
        """Outcome, first failure and category: what the readers are compared on."""
        return self.reading.outcome, self.reading.first_failure, self.category


class Difference(NamedTuple):
    """A trace on which the readers differ in one of their answers."""

    trace: str
    first: Said
    second: Said


class Comparison(NamedTuple):
    """Two readings of the same traces."""

    agreements: tuple[Agreement, ...]
    """On the outcome of all; on the first failure and the category where both named one, and so
    where both read a failure. A question on which they share no trace has no row."""
    differences: tuple[Difference, ...]
    """In the order of the second reading."""


def drawn(ids: Iterable[str], size: int = SIZE, seed: int = SEED) -> tuple[str, ...]:
    """Return the ids that were drawn to be read again, sorted, whatever the order of ``ids``."""
    return tuple(sorted(random.Random(seed).sample(sorted(set(ids)), size)))


def compare_readings(folder: Path, *, level: float = 0.95) -> Comparison:
    """Compare the second reading with the first.

    Parameters
    ----------
    folder
        Holds `readings.jsonl`, `taxonomy.yaml` and the second reading.
    level
        Level of kappa's intervals (`cohen_kappa`), within 0..1 exclusive.

    Raises
    ------
    ConfigError
        A line is wrong, or is a reading of a trace or a category that there is not; the first file
        has not one reader.
    """
    first, second = folder / "readings.jsonl", folder / FILE
    texts = {str(file): file.read_text(encoding="utf-8") for file in (first, second)}
    lines = [line for path, text in texts.items() for line in parse_lines(text, path=path)]
    held, taxonomy = readings_of(lines, path=str(second)), load_taxonomy(folder / "taxonomy.yaml")
    others = [coder for coder in held.coders if coder != CODER]
    if len(others) != 1:
        raise ConfigError(f"{first}: expected one reader, found {', '.join(others) or 'none'}")
    for _, row in read_objects(second):
        if row.get("category"):
            taxonomy = assign(taxonomy, held, row["id"], row["category"], coder=CODER)
    before, now = taxonomy.said_by(others[0]), taxonomy.said_by(CODER)
    differences = []
    for (id_, coder), reading in held.by_coder.items():
        if coder == CODER and (other := held.by_coder.get((id_, others[0]))):
            said = Said(other, before.get(id_, "")), Said(reading, now.get(id_, ""))
            if said[0].answers != said[1].answers:
                differences.append(Difference(id_, *said))
    return Comparison(tuple(agreements(held, taxonomy, level=level)), tuple(differences))


def describe(found: Comparison) -> str:
    """Return the comparison in words: a line a question, then three lines a difference."""
    lines = []
    for one in found.agreements:
        kappa = "-" if one.kappa is None else f"{one.kappa:.2f}"
        ends = f"{one.interval.low:.2f} to {one.interval.high:.2f}"
        same = round(one.share * one.n)
        lines.append(f"{one.what}: the same on {same} of {one.n}, kappa {kappa} ({ends})")
    for trace, *both in found.differences:
        lines += ["", trace]
        for said in both:
            told = ", ".join(filter(None, said.answers))
            lines.append(f"  {said.reading.coder}: {told}. {' '.join(said.reading.notes)}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    from agentops_ref.config import load_config

    print(describe(compare_readings(load_config().path("corpus/errors"))))
