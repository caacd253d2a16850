"""How often the intervals of a rate seen through a judge hold the true rate, by simulation.

Nothing is timed. Each method of `agentops_ref.evals.calibration` meets the same draws at every
point of a grid of label counts, judged counts, judges and rates. ``rows`` has the labels as a
random sample of what is judged; ``elsewhere`` has half of them good and half bad by choice, which
only the methods that carry over nothing but TPR and TNR can bear.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref.evals.calibration import GRID, METHODS, Coverage, Setting, measure

SEED = 8
LEVEL = 0.95
AT_LEAST = 0.94
"""What a method's coverage is held against: 95 % less what discrete counts may cost."""
HEADLINE, PEER = "combined", "bootstrap-both"
FULL = {"closed": 40_000, "iterated": 6_000, "resampled": 6_000}
QUICK = {"closed": 10_000, "iterated": 400, "resampled": 100}
"""Repetitions at a point, by how a method finds its interval. Of a coverage of 95 %, 6,000 show
less than 94 % once in 5,000 points, 400 do so at every fifth."""


def sweep(settings: Sequence[Setting], repetitions: dict[str, int]) -> Iterator[Coverage]:
    """Measure each point with a generator of its own, so that none depends on the others."""
    for index, setting in enumerate(settings):
        for order, (effort, n) in enumerate(repetitions.items()):
            names = [m.name for m in METHODS.values() if m.effort == effort]
            rng = np.random.default_rng([SEED, index, order, setting.balanced])
            yield from measure(setting, n, rng, methods=names, level=LEVEL)
        if sys.stderr.isatty() or (index + 1) % 12 == 0:
            end = "\r" if sys.stderr.isatty() else "\n"
            kind = "elsewhere" if setting.balanced else "same population"
            print(f"{kind}: {index + 1} of {len(settings)} points", end=end, file=sys.stderr)


def fields(row: Coverage) -> dict[str, Any]:
    values = asdict(row)
    values.update(values.pop("setting"))
    del values["balanced"]
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}


def summary(rows: Sequence[Coverage]) -> list[dict[str, Any]]:
    """Say of each method where it covers worst, and how wide it is where its peer covers too."""
    peer = {row.setting: row for row in rows if row.method == PEER}
    found = []
    for name in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == name]
        worst = min(mine, key=lambda row: row.coverage)
        fair = [r for r in mine if r.setting in peer and peer[r.setting].coverage >= AT_LEAST]
        found.append(
            {
                "method": name,
                "points": len(mine),
                "below": sum(row.coverage < AT_LEAST for row in mine),
                "surely_below": sum(row.high < AT_LEAST for row in mine),
                "lowest": fields(worst),
                "width": round(float(np.mean([row.width for row in mine])), 5),
                "compared": len(fair),
                "wider_than_bootstrap": sum(r.width > peer[r.setting].width for r in fair),
            }
        )
    return found


def table(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"{'method':17}{'lowest':>8}{'< 94 %':>8}{'surely':>8}{'width':>8}   lowest at"
    for one in found:
        at = "labels {n_labels}, judged {n_judged}, tpr {tpr:g}, rate {rate:g}"
        yield (
            f"{one['method']:17}{one['lowest']['coverage']:8.1%}{one['below']:8}"
            f"{one['surely_below']:8}{one['width']:8.3f}   {at.format(**one['lowest'])}"
        )


def document(report: dict[str, Any], tables: dict[str, Sequence[Coverage]]) -> str:
    """Return JSON with one row a line: a file of thousands of lines is read by nobody."""
    head = json.dumps(report, indent=1).removesuffix("\n}")
    for name, rows in tables.items():
        lines = ",\n  ".join(json.dumps(fields(row)) for row in rows)
        head += f',\n "{name}": [\n  {lines}\n ]'
    return head + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="judge_coverage")
    parser.add_argument("--out", type=Path, default=Path("_build/bench"))
    parser.add_argument("--json", action="store_true", help="print the whole report")
    parser.add_argument("--quick", action="store_true", help="few repetitions, within a minute")
    options = parser.parse_args()
    repetitions = QUICK if options.quick else FULL
    rows = list(sweep(GRID, repetitions))
    fewer = {effort: min(n, 2_000) for effort, n in repetitions.items() if effort != "resampled"}
    elsewhere = list(sweep([replace(point, balanced=True) for point in GRID], fewer))
    report = {
        "name": "judge_coverage",
        "what": "share of the intervals of a rate, seen through a judge, that hold the true rate",
        "level": LEVEL,
        "at_least": AT_LEAST,
        "headline": HEADLINE,
        "peer": PEER,
        "quick": options.quick,
        "repetitions": repetitions,
        "seed": SEED,
        "summary": summary(rows),
        "summary_elsewhere": summary(elsewhere),
        "measured": datetime.now(UTC).date().isoformat(),
    }
    text = document(report, {"rows": rows, "elsewhere": elsewhere})
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "judge_coverage.json").write_text(text, encoding="utf-8")
    if options.json:
        print(text, end="")
        return
    print("labels are a random sample of what is judged")
    print(*table(summary(rows)), sep="\n")
    print("\nlabels are half good, half bad by choice")
    print(*table(summary(elsewhere)), sep="\n")


if __name__ == "__main__":
    main()
