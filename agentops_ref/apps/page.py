"""What a chapter's cells put on its page: a value for the prose, a figure with its words.

Used by the notebooks in `notebooks/`; needs the ``book`` extra.
"""

from __future__ import annotations

import html
import io
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

INK = "#767676"
"""Grey with a contrast of at least 4:1 on a white and on a near-black page."""


COLUMNS = 74
"""Characters of a line of a terminal that a page shows without scrolling."""


def say(name: str, value: Any) -> None:
    """Let the prose of the same notebook print ``value`` as ``{glue:text}`name` ``."""
    from myst_nb import glue

    glue(name, value.item() if hasattr(value, "item") else value, display=False)


def texts(frame: DataFrame) -> Styler:
    """Show a table of texts: aligned to the left, wrapped."""
    look = "text-align: left; white-space: normal; vertical-align: top"
    return frame.style.set_table_styles([{"selector": "th, td", "props": look}])


def listing(text: str, language: str) -> None:
    """Show a text as the page shows code of that language."""
    from IPython import display as shown

    shown.display(shown.Markdown(f"```{language}\n{text.strip()}\n```"))  # type: ignore[no-untyped-call]


def source(*things: Any) -> None:
    """Show the Python source of classes and functions."""
    import inspect

    listing("\n\n\n".join(inspect.getsource(thing).strip() for thing in things), "python")


def terminal(line: str, settings: Mapping[str, Any], *, most: int | None = None) -> int:
    """Run a command line of ``agentops``, show it with all that it prints, return its exit code.

    It runs in this process: another one would take seconds to import what is imported here.

    Parameters
    ----------
    settings
        Dotted key → value, as `load_config` takes overrides; given by the environment.
    most
        Lines that are shown; those that are left out are counted.
    """
    import json
    import os
    import shlex
    import sys
    from contextlib import redirect_stderr, redirect_stdout
    from unittest.mock import patch

    from agentops_ref.apps.cli import cli
    from agentops_ref.apps.cli.common import run
    from agentops_ref.config import PREFIX

    given = {
        PREFIX + key.replace(".", "__").upper(): json.dumps(value)
        for key, value in settings.items()
    }
    given |= {"FORCE_COLOR": "", "COLUMNS": str(COLUMNS)}  # a kernel asks for colours
    said, code = io.StringIO(), 0
    with (
        patch.dict(os.environ, given),
        patch.object(sys, "argv", shlex.split(line)),
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        try:
            run(cli)
        except SystemExit as ended:
            code = int(ended.code or 0)
    rows = [row.rstrip() for row in said.getvalue().rstrip().splitlines()]
    left = len(rows[most:]) if most is not None else 0
    for row in (f"$ {line}", *rows[:most]):
        print("\n    ".join(_folded(row)))
    if left:
        print(f"({left} more lines)")
    if code:
        print(f"exit code {code}")
    return code


def _folded(row: str) -> list[str]:
    if len(row) <= COLUMNS:
        return [row]
    return textwrap.wrap(
        row, COLUMNS - 4, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def figure_style() -> None:
    """Draw what pyplot draws in grey on nothing, so that it suits a light and a dark page."""
    import matplotlib.pyplot as plt

    plt.rc("text", color=INK)
    plt.rc("axes", labelcolor=INK, edgecolor=INK)
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("xtick", color=INK)
    plt.rc("ytick", color=INK)
    plt.rc("svg", fonttype="none", hashsalt="page")
    plt.rc("font", size=10)


def picture(figure: Figure, alt: str) -> None:
    """Show a figure as SVG with its text equivalent, folded, below it."""
    import matplotlib.pyplot as plt

    svg = io.StringIO()
    figure.savefig(svg, format="svg", bbox_inches="tight", transparent=True)
    plt.close(figure)  # else the notebook shows it a second time
    drawing = svg.getvalue()[svg.getvalue().index("<svg") :]
    label = html.escape(alt, quote=True)
    own = f'<svg role="img" aria-label="{label}" style="max-width:100%;height:auto"'
    _publish(drawing.replace("<svg", own, 1), alt)


def photo(image: bytes, alt: str, *, width: int = 900, rows: tuple[float, float] = (0, 1)) -> None:
    """Show a picture in any format that Pillow reads, with its text equivalent, folded, below it.

    Parameters
    ----------
    width
        Pixels that it is made to have at most.
    rows
        The band to show, from the top, as shares 0..1 of the picture's height.
    """
    from base64 import b64encode

    from PIL import Image

    small = io.BytesIO()
    with Image.open(io.BytesIO(image)) as whole:
        top, bottom = (round(share * whole.height) for share in rows)
        band = whole.convert("RGB").crop((0, top, whole.width, bottom))
    band.thumbnail((width, band.height))
    band.save(small, "JPEG", quality=80)
    data, label = b64encode(small.getvalue()).decode(), html.escape(alt, quote=True)
    _publish(f'<img alt="{label}" src="data:image/jpeg;base64,{data}">', alt)


def _publish(drawing: str, alt: str) -> None:
    from IPython import display as shown

    words = f"<summary>The figure in words</summary><pre>{html.escape(alt)}</pre>"
    page = f'<div class="own-colours">{drawing}<details>{words}</details></div>'
    publish: Any = shown.publish_display_data
    publish({"text/html": page, "text/plain": alt})
