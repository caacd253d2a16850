"""What `make bench` and `make faults` found when they were last run and published.

Both take minutes and a quiet machine, so a page does not run them: it shows the files below
``benchmarks/results``, which say what was measured, against whom, when and on what machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import OperatorError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from agentops_ref.evals.calibration import Coverage

RESULTS = Path("benchmarks/results")
FAULTS = "faults.json"
RECORDS = "extract_records.json"
CHUNKING = "chunking.json"
COVERAGE = "judge_coverage.json"
GATES = "gate_errors.json"
PARSERS = "parse_pdf_"
OURS = "this package"


@dataclass(frozen=True, slots=True)
class Ratio:
    """One measurement against one peer."""

    name: str
    what: str
    """What both did."""
    against: str
    ratio: float
    """Ours divided by theirs; for times, below 1 is better."""
    low: float
    high: float
    """Ends of the 95 % interval of the ratio."""
    n: int
    """Pairs of measurements."""
    target: float | None
    """The ratio that was aimed at, None for none."""
    machine: str
    measured: str
    """Day, ISO 8601."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Whatever else the benchmark noted."""

    @property
    def label(self) -> str:
        """What both did, and that it is memory where it is no time."""
        is_memory = "MiB_ours" in self.facts and "memory" not in self.what
        return f"{self.what}, memory" if is_memory else self.what

    @property
    def verdict(self) -> str:
        """``met`` or ``missed`` by the interval's upper end; "" without a target."""
        if self.target is None:
            return ""
        return "met" if self.high <= self.target else "missed"


def ratios(folder: Path | str, *prefixes: str) -> list[Ratio]:
    """Return the published measurements whose names begin with one of ``prefixes``; all for none.

    Raises
    ------
    OperatorError
        There are none.
    """
    own = set(Ratio.__dataclass_fields__) - {"facts"}
    found = []
    for path in sorted(Path(folder).glob("*.json")):
        if path.name == FAULTS or not path.name.startswith(prefixes or ("",)):
            continue
        noted = json.loads(path.read_text(encoding="utf-8"))
        if "ratio" not in noted:  # a count of what is right, against the truth and no peer
            continue
        facts = {key: value for key, value in noted.items() if key not in own}
        found.append(Ratio(**{key: noted[key] for key in own}, facts=facts))
    if not found:
        wanted = f" for {', '.join(prefixes)}" if prefixes else ""
        raise OperatorError(f"no measurement in {folder}{wanted}: make bench PUBLISH=1")
    return found


def faults(folder: Path | str) -> list[dict[str, Any]]:
    """Return the rows of the crash matrix: sink, killed at, sync, reader saw, holds."""
    path = Path(folder) / FAULTS
    if not path.is_file():
        raise OperatorError(f"no crash matrix in {folder}: make faults PUBLISH=1")
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def records(folder: Path | str) -> dict[str, Any]:
    """Return how well records were extracted: ``fields`` has precision and recall of each."""
    return _noted(folder, RECORDS, "records")


def chunking(folder: Path | str) -> dict[str, Any]:
    """Return what a search finds in the chunks of each way: ``ways`` by name, the first one ours.

    Each has ``slices``, ``all`` among them, and ``mrr_difference`` from the first one.
    """
    return _noted(folder, CHUNKING, "chunking")


def judge_coverage(folder: Path | str, *, balanced: bool = False) -> list[Coverage]:
    """Return how often each method's intervals held the true rate, a row a point and method.

    ``balanced`` is for labels that are half good and half bad by choice.
    """
    from agentops_ref.evals.calibration import Coverage, Setting

    found = []
    for row in _noted(folder, COVERAGE, "coverage")["elsewhere" if balanced else "rows"]:
        names = [name for name in Setting.__dataclass_fields__ if name in row]
        setting = Setting(**{name: row.pop(name) for name in names} | {"balanced": balanced})
        found.append(Coverage(setting=setting, **row))
    return found


def gate_errors(folder: Path | str) -> dict[str, Any]:
    """Return how often gates decide wrongly: ``cells``, a row a gate and kind of release.

    ``allowed`` is how often a gate may pass a release that is at its limit.
    """
    return _noted(folder, GATES, "gates")


def gate_table(noted: Mapping[str, Any]) -> DataFrame:
    """Return the errors of gates: a row for each number of cases, a pair of columns for each gate.

    *Passed* is of releases at the limit, *failed* of those that are as good.
    """
    import pandas as pd

    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for cell in noted["cells"]:
        differ = "" if cell["discordance"] is None else f"{cell['discordance']:.0%}"
        row = rows.setdefault((cell["rule"], f"{cell['n']}", differ), {})
        which = "passed" if cell["truth"] == "at the limit" else "failed"
        row[f"{which}, {cell['gate']}"] = f"{cell[which]:.1%}"
    columns = [
        f"{which}, {gate}"
        for which in ("passed", "failed")
        for gate in ("intervals", "means", "bootstrap")
    ]
    frame = pd.DataFrame(list(rows.values()), columns=columns).fillna("")
    for at, name in enumerate(("rule", "cases", "differ")):
        frame.insert(at, name, [key[at] for key in rows])
    return frame


def parsers(folder: Path | str) -> dict[str, dict[str, Any]]:
    """Return how each parser read the same PDFs, by name and version, ours first.

    Each has ``born_digital`` and ``scanned``, whose figures are a share and a count of what there
    was, and ``seconds_a_page``.
    """
    files = sorted(Path(folder).glob(f"{PARSERS}*.json"))
    if not files:
        raise OperatorError(f"no measurement of parsers in {folder}: make bench PUBLISH=1")
    found: dict[str, dict[str, Any]] = {}
    for path in files:
        noted = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(OURS, noted["figures_ours"])
        found[noted["against"]] = noted["figures_theirs"]
    return found


def _noted(folder: Path | str, file: str, what: str) -> dict[str, Any]:
    path = Path(folder) / file
    if not path.is_file():
        raise OperatorError(f"no measurement of {what} in {folder}: make bench PUBLISH=1")
    noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return noted


def table(found: Sequence[Ratio]) -> DataFrame:
    """Return measurements as a table, a line each."""
    import pandas as pd

    lines = [
        {
            "done": one.label,
            "against": one.against,
            "ours / theirs": f"{number(one.ratio)} ({number(one.low)} to {number(one.high)})",
            "aimed at": "" if one.target is None else f"{number(one.target)} or less",
            "": one.verdict,
        }
        for one in found
    ]
    return pd.DataFrame(lines)


def number(value: float) -> str:
    """Return a ratio with two digits that count."""
    return f"{value:.2g}" if value < 9.95 else f"{value:.0f}"


def forest(found: Sequence[Ratio]) -> Figure:
    """Draw each ratio with its interval on a logarithmic axis; left of 1, ours takes less."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.36 * len(found)))
    for place, one in enumerate(reversed(found)):
        good = one.high <= (one.target or 1)
        colour = "#0072B2" if good else "#D55E00"
        axes.plot([one.low, one.high], [place, place], color=colour, lw=2)
        axes.plot([one.ratio], [place], "o" if good else "s", color=colour)
    axes.set_yticks(range(len(found)), [f"{o.label}\n{o.against}" for o in reversed(found)])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    ends = [end for one in found for end in (one.low, one.high)]
    # Within one decade there may be one major tick only; across several, the others crowd.
    axes.xaxis.set_minor_formatter("{x:g}" if max(ends) < 10 * min(ends) else NullFormatter())
    axes.axvline(1, lw=1, ls=":", color="#767676")
    axes.set_xlabel("ours divided by theirs (95 % interval)")
    return figure
