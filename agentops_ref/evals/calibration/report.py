"""A judge's calibration, put together and shown within 80 columns. Taught in chapter 8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agentops_ref.evals.calibration.agreement import Agreement, Drift
from agentops_ref.evals.calibration.counts import Calibration, Estimate
from agentops_ref.evals.calibration.methods import METHODS
from agentops_ref.evals.calibration.uses import Use

if TYPE_CHECKING:
    from rich.table import Table

UNFIT = 0.01
"""A p-value of `labels_fit` below which the screen says that the labels are of elsewhere."""


@dataclass(frozen=True, slots=True)
class Split:
    """What was counted on one split, and what it says."""

    counts: Calibration
    agreement: Agreement
    unjudged: int
    """Rows without a verdict, which are not counted."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The true rate of what was judged, by all methods."""

    n: int
    positive: int
    labelled: int
    """Items left out because they are among the labelled ones."""
    headline: str
    """The method that is fit for these labels."""
    fit: float
    """p-value of `labels_fit`."""
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """All that is known of a judge."""

    judge: str
    level: float
    dev: Split | None
    test: Split
    use: Use
    """When the test rows were used."""
    remembered: bool
    """The figures are those of an earlier run."""
    corrected: Corrected | None = None
    drift: Drift | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, in full precision."""
        return {key: plain(value) for key, value in asdict(self).items()}


def plain(value: Any) -> Any:
    """Return records of all kinds as mappings, at any depth; what else there is as it is."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def agreement_table(found: Calibrated) -> Table:
    """One line a split: labels, TPR, TNR, kappa with their intervals."""
    table = _table("split", "labels", "good/bad", "TPR", "TNR", "kappa", left=1)
    for name, split in (("dev", found.dev), ("test", found.test)):
        if split is not None:
            c, a = split.counts, split.agreement
            cells = (_with_interval(one) for one in (a.tpr, a.tnr))
            sizes = (str(c.n), f"{c.positives}/{c.negatives}")
            table.add_row(name, *sizes, *cells, _with_interval(a.kappa, percent=False))
    return table


def estimates_table(found: Corrected) -> Table:
    """One line a method, the one that is fit for the labels marked."""
    table = _table("", "method", "rate", "interval", "what it is", left=2)
    for one in found.estimates:
        mark = "→" if one.method == found.headline else ""
        rate = "-" if one.rate is None else f"{one.rate:.1%}"
        interval = "-" if one.rate is None else f"{100 * one.low:.1f}–{one.high:.1%}"
        what = METHODS[one.method].what if one.rate is not None else one.reason
        style = "bold" if mark else None
        table.add_row(mark, one.method, rate, interval, what, style=style)
    return table


def describe_estimates(estimates: Iterable[Estimate], *, level: float = 0.95) -> str:
    """The methods' figure in words, one line a method: its text equivalent."""
    lines = []
    for one in estimates:
        said = f"no rate, {one.reason}"
        if one.rate is not None:
            said = f"{one.rate:.1%} ({level:.0%} interval {one.low:.1%} to {one.high:.1%})"
        lines.append(f"{one.method}: {said}")
    return "\n".join(lines)


def notes(found: Calibrated) -> Iterator[str]:
    """What a reader of the tables must know besides."""
    if found.remembered:
        yield f"The test rows were used on {found.use.when[:10]}; these are the figures of then."
    if found.use.others:
        yield (
            f"{found.use.others} other judge(s) had been tried on these test rows (--again): the "
            "test figures may be too good."
        )
    for name, split in (("dev", found.dev), ("test", found.test)):
        if split is not None and split.unjudged:
            yield f"{split.unjudged} {name} row(s) without a verdict are not counted."
    if found.corrected is not None:
        yield from _about(found.corrected)
    if found.drift is not None:
        d = found.drift
        yield (
            f"Since the frozen verdicts: {d.flipped.rate:.1%} of {d.n} flipped (interval "
            f"{d.flipped.low:.1%} to {d.flipped.high:.1%}), {d.gained} to good and {d.lost} to "
            f"bad, exact McNemar p = {d.p:.3f}."
        )


def _about(found: Corrected) -> Iterator[str]:
    yield f"{found.positive} of {found.n} judged items got a good verdict."
    if found.labelled:
        yield f"{found.labelled} judged item(s) are labelled as well and were left out."
    if found.fit < UNFIT:
        yield (
            f"The judge calls another share of the labelled items good (p = {found.fit:.2g}): the "
            "labels are no random sample of what was judged, and only TPR and TNR carry over."
        )


def _with_interval(one: Estimate, *, percent: bool = True) -> str:
    if one.rate is None:
        return "-"
    if percent:
        return f"{one.rate:.0%} ({100 * one.low:.0f}–{one.high:.0%})"
    return f"{one.rate:.2f} ({one.low:.2f} to {one.high:.2f})"


def _table(*headings: str, left: int) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for index, heading in enumerate(headings):
        is_text = index < left or heading == "what it is"
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=not is_text)
    return table
