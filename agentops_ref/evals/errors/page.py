"""The matrix as one page for a browser: each cell leads to its traces.

Self-contained: no script, nothing from elsewhere, and the page forbids itself both. Links and
folded parts are the browser's own, so that a keyboard reaches all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from agentops_ref.evals.errors.matrix import Matrix, describe_matrix
from agentops_ref.evals.errors.paths import Trajectories, describe_trajectories
from agentops_ref.evals.errors.records import Reading, Readings, Trace

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --mark: 213 94 0; --dim: #595959 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eee; --paper: #16181c; --mark: 255 140 60; --dim: #b4b4b4 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 0 auto; padding: 1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse }
th { font-weight: 600; text-align: left; padding: .2rem .5rem; white-space: nowrap }
thead th { vertical-align: bottom }
td { border: 1px solid rgb(128 128 128 / .35); text-align: center; min-width: 2.5rem; padding: 0 }
td a { display: block; padding: .45rem; color: inherit; font-weight: 600 }
a:focus-visible, summary:focus-visible { outline: 3px solid currentColor; outline-offset: 2px }
:target { outline: 2px solid rgb(var(--mark)); outline-offset: 4px }
dt { color: var(--dim); margin-top: .4rem } dd { margin: 0; overflow-wrap: anywhere }
dd, pre { white-space: pre-wrap }
"""


def matrix_page(
    readings: Readings,
    matrices: Mapping[str, Matrix],
    found: Trajectories,
    *,
    title: str = "Where the work goes wrong",
) -> str:
    """Return an HTML page.

    Parameters
    ----------
    matrices
        Group → its matrix: the whole, and slices. Each gets a table.
    """
    decided = {one.trace: one for one in readings.decided}
    shown = dict.fromkeys(
        id_ for matrix in matrices.values() for cell in matrix.cells for id_ in cell.traces
    )
    number = {id_: at for at, id_ in enumerate(shown, start=1)}
    links = " · ".join(
        f'<a href="#m{at}">{escape(name)}</a>' for at, name in enumerate(matrices, start=1)
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        "<p>Rows: the last state that succeeded. Columns: the first that failed. "
        "A number leads to its traces.</p>",
        f'<nav aria-label="Groups">{links} · <a href="#paths">paths</a></nav><main>',
    ]
    for at, (name, matrix) in enumerate(matrices.items(), start=1):
        parts.append(_table(f"m{at}", name, matrix))
        parts += [_cell_list(f"m{at}", matrix, index, number) for index in range(len(matrix.cells))]
    parts.append(
        f'<section id="paths"><h2>Paths</h2><pre>{escape(describe_trajectories(found))}</pre>'
        "</section><section><h2>Traces</h2>"
    )
    parts += [_trace(number[id_], readings.traces[id_], decided[id_]) for id_ in shown]
    return "\n".join([*parts, "</section></main></body></html>", ""])


def _table(anchor: str, name: str, matrix: Matrix) -> str:
    rows, columns = matrix.used
    at = {(c.last_success, c.first_failure): index for index, c in enumerate(matrix.cells)}
    most = max((cell.count for cell in matrix.cells), default=1)
    head = "".join(f'<th scope="col">{escape(matrix.states[j])}</th>' for j in columns)
    lines = []
    for i in rows:
        cells = []
        for j in columns:
            count = matrix.counts[i][j]
            if not count:
                cells.append("<td></td>")
                continue
            row, column = matrix.states[i], matrix.states[j]
            label = f"{count} right until {row}, wrong in {column}"
            cells.append(
                f'<td style="background:rgb(var(--mark) / {0.12 + 0.38 * count / most:.2f})">'
                f'<a href="#{anchor}c{at[row, column]}" aria-label="{escape(label, quote=True)}">'
                f"{count}</a></td>"
            )
        lines.append(f'<tr><th scope="row">{escape(matrix.states[i])}</th>{"".join(cells)}</tr>')
    return (
        f'<section id="{anchor}"><h2>{escape(name)}</h2><div class="wide" tabindex="0" '
        f'role="region" aria-label="{escape(name, quote=True)}"><table><thead><tr>'
        f"<td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        f"<details><summary>In words</summary><pre>{escape(describe_matrix(matrix))}</pre>"
        "</details></section>"
    )


def _cell_list(anchor: str, matrix: Matrix, index: int, number: Mapping[str, int]) -> str:
    cell = matrix.cells[index]
    items = "".join(f'<li><a href="#t{number[id_]}">{escape(id_)}</a></li>' for id_ in cell.traces)
    return (
        f'<div id="{anchor}c{index}"><h3>{escape(cell.last_success)} &gt; '
        f"{escape(cell.first_failure)}: {cell.count}</h3><ul>{items}</ul>"
        f'<p><a href="#{anchor}">back to the table</a></p></div>'
    )


def _trace(number: int, trace: Trace, reading: Reading) -> str:
    path = " > ".join(
        visit.state if visit.status == "ok" else f"{visit.state} ({visit.status})"
        for visit in trace.visits
    )
    rows = [(one.role, one.content) for one in trace.messages]
    rows += [
        ("states", path),
        ("expected", trace.expected),
        ("read", f"right until {reading.last_success}, wrong in {reading.first_failure}"),
        (f"notes of {reading.coder}", "; ".join(reading.notes)),
    ]
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    return f'<article id="t{number}"><h3>{escape(trace.id)}</h3><dl>{told}</dl></article>'
