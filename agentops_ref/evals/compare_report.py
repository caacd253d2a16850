"""A comparison for people: a table for the terminal, Markdown, a figure, one page of HTML.

Taught in chapter 8. The page needs nothing beside it: the figure is inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import ConfigError
from agentops_ref.evals.comparing import POWER, ComparisonReport, SliceComparison
from agentops_ref.evals.table import ALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

HEADINGS = ("slice", "n", "before", "after", "difference", "interval", "+", "-", "p", "Holm")


def comparison_tables(report: ComparisonReport) -> Iterator[Table]:
    """Yield one table a scorer, 80 columns wide at most."""
    from rich.markup import escape as plain
    from rich.table import Table

    for scorer, rows in _by_scorer(report):
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
        table.title = f"[bold]{plain(scorer)}[/]"
        for heading in HEADINGS:
            left = heading == "slice"
            table.add_column(heading, justify="left" if left else "right", no_wrap=not left)
        for row in rows:
            style = "bold" if row.slice == ALL else None
            table.add_row(*map(plain, _cells(row)), style=style)
        yield table


def sentences(report: ComparisonReport) -> list[str]:
    """Return what the numbers say, one sentence each."""
    level = f"{report.level:.0%}"
    said = []
    for scorer, rows in _by_scorer(report):
        row = rows[0]
        d = row.difference
        found = "a difference" if d.low > 0 or d.high < 0 else "no difference that is certain"
        said.append(
            f"{scorer}: {d.mean:+.1%} ({level} interval {d.low:+.1%} to {d.high:+.1%}) on {row.n} "
            f"cases: {found}. {_power(row)}"
        )
    for one in report.stability:
        p = one.pass_hat
        said.append(
            f"{one.name}: of {one.asked} cases that were asked again, {one.differs} were answered "
            f"in other words and {one.flips} passed once and failed another time; all "
            f"{one.tries} tries pass with a chance of {p.mean:.0%} ({p.low:.0%} to {p.high:.0%})."
        )
    for count, name, other in (
        (report.only_before, report.before, report.after),
        (report.only_after, report.after, report.before),
    ):
        if count:
            said.append(f"{count} cases of {name} are not in {other} and are left out.")
    said.append(
        "Intervals: Tango's score interval for paired differences. p: exact McNemar test; Holm: "
        "corrected for the number of slices."
    )
    return said


def to_markdown(report: ComparisonReport) -> str:
    """Return the report as Markdown."""
    out = StringIO()
    out.write(f"# {report.after} against {report.before}\n")
    for scorer, rows in _by_scorer(report):
        out.write(f"\n## {scorer}\n\n| {' | '.join(HEADINGS)} |\n")
        out.write("|---" + "|---:" * (len(HEADINGS) - 1) + "|\n")
        for row in rows:
            out.write(
                f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(row))} |\n"
            )
    out.write("\n" + "\n".join(f"- {sentence}" for sentence in sentences(report)) + "\n")
    return out.getvalue()


def to_html(report: ComparisonReport) -> str:
    """Return the report as one page that needs no other file."""
    title = escape(f"{report.after} against {report.before}")
    parts = [f"<h1>{title}</h1>"]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences(report)]
    for scorer, rows in _by_scorer(report):
        head = "".join(f"<th scope=col>{escape(name)}</th>" for name in HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row)) + "</tr>"
            for row in rows
        )
        words = "; ".join(
            f"{row.slice} {row.difference.mean:+.0%} ({row.difference.low:+.0%} to "
            f"{row.difference.high:+.0%})"
            for row in rows
        )
        figure = _svg(plot_report(report, scorer))
        parts += [
            f"<h2>{escape(scorer)}</h2>",
            f'<figure role="img" aria-label="{escape(words)}">{figure}</figure>',
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        ]
        for what, ids in (("Gained", rows[0].gained), ("Lost", rows[0].lost)):
            if ids:
                parts.append(f"<p>{what}: {escape(', '.join(ids))}</p>")
    return _PAGE.format(title=title, body="\n".join(parts))


def plot_report(report: ComparisonReport, scorer: str) -> Figure:
    """Draw the difference on each slice with its interval."""
    from agentops_ref.evals.plots import COLOURS, INK, _blank

    rows = [row for row in report.rows if row.scorer == scorer]
    figure, axes = _blank()
    figure.set_size_inches(6.4, 0.9 + 0.28 * len(rows))
    for at, row in enumerate(rows):
        axes.plot(
            [row.difference.low, row.difference.high], [at, at], color=COLOURS[0], linewidth=2
        )
        axes.plot(row.difference.mean, at, "o", color=COLOURS[0], markersize=6)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{row.slice} ({row.n})" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:+.0%}" if round(share, 3) else "0%")
    axes.set_xlabel(
        f"{scorer.replace('_', ' ')}, {report.after} minus {report.before}, "
        f"{report.level:.0%} interval"
    )
    return figure


def save(report: ComparisonReport, path: Path) -> None:
    """Write the report in the form that the file's ending names.

    Raises
    ------
    ConfigError
        Another ending than png, html or md.
    """
    kind = path.suffix.lower()
    if kind not in (".png", ".html", ".md"):
        raise ConfigError(f"--out {path}: the ending must be .png, .html or .md")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".png":
        figure = plot_report(report, report.rows[0].scorer)
        figure.savefig(path, dpi=150, facecolor="white")
        return
    text = to_html(report) if kind == ".html" else to_markdown(report)
    path.write_text(text, encoding="utf-8")


def _by_scorer(report: ComparisonReport) -> Iterator[tuple[str, list[SliceComparison]]]:
    for scorer in dict.fromkeys(row.scorer for row in report.rows):
        yield scorer, [row for row in report.rows if row.scorer == scorer]


def _cells(row: SliceComparison) -> Sequence[str]:
    d = row.difference
    adjusted = "" if row.slice == ALL else f"{row.adjusted:.3f}"
    counts = (str(len(row.gained)), str(len(row.lost)))
    ends = f"{100 * d.low:+.0f} to {d.high:+.0%}"
    shares = (f"{row.before:.0%}", f"{row.after:.0%}", f"{d.mean:+.1%}")
    return (row.slice, str(row.n), *shares, ends, *counts, f"{row.p:.3f}", adjusted)


def _power(row: SliceComparison) -> str:
    if row.needed is None and row.bootstrap.low == row.bootstrap.high:
        return "They never differ."
    seen = (
        f"So many cases show a difference of {row.detectable:.1%} {POWER:.0%} of the time"
        if row.detectable is not None
        else f"So many cases show no difference {POWER:.0%} of the time"
    )
    return f"{seen}." if row.needed is None else f"{seen}; one like this takes {row.needed:,}."


def _svg(figure: Any) -> str:
    file = BytesIO()
    # Text stays text, which a reader can select and a screen reader can read.
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "agentops"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue().decode()
    return text[text.index("<svg") :]


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }}
body {{ padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid #8886; }}
th:first-child, td:first-child {{ text-align: left; }}
figure {{ margin: 0; }} svg {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
