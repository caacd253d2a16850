"""What the book's HTML needs from Sphinx beyond stock extensions: no script from a network.

Mathematics becomes MathML when the page is built: browsers render it themselves, readers of
screens read it, and no MathJax has to be fetched. Interactive figures share one local plotly.js.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PLOTLY_MARK = "agentops-plotly"
"""Class of the element that `figures` puts where an interactive figure goes."""


def to_mathml(tex: str, *, display: bool) -> str:
    """Return MathML for LaTeX mathematics; raises `ValueError` where it is not understood."""
    from docutils.utils.math import MathError, latex2mathml

    try:
        return str(latex2mathml.tex2mathml(tex, as_block=display))
    except (MathError, SyntaxError) as error:
        raise ValueError(f"mathematics not understood: {tex!r}: {error}") from error


def _convert(writer: Any, node: Any, *, display: bool) -> str:
    from sphinx.util import logging

    try:
        return to_mathml(node.astext(), display=display)
    except ValueError as error:
        logging.getLogger(__name__).warning(str(error), location=node)
        return f"<code>{writer.encode(node.astext())}</code>"


def _inline(writer: Any, node: Any) -> None:
    from docutils import nodes

    writer.body.append(f'<span class="math">{_convert(writer, node, display=False)}</span>')
    raise nodes.SkipNode


def _block(writer: Any, node: Any) -> None:
    from docutils import nodes
    from sphinx.util.math import get_node_equation_number

    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    if node.get("number"):
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(_convert(writer, node, display=True) + "</div>\n")
    raise nodes.SkipNode


def _add_plotly(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    if PLOTLY_MARK in str(context.get("body", "")):
        app.add_js_file("vendor/plotly.min.js", priority=400)
        app.add_js_file("figures.js", priority=500)


def _copy_plotly(app: Any, error: Exception | None) -> None:
    """Put the installed plotly.js beside the pages, once, if a page wants it."""
    if error or app.builder.format != "html":
        return
    import plotly

    target = Path(app.outdir) / "_static" / "vendor" / "plotly.min.js"
    wanted = any(
        PLOTLY_MARK in page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html")
    )
    if wanted and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        bundled = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        target.write_bytes(bundled.read_bytes())


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("html-page-context", _add_plotly)
    app.connect("build-finished", _copy_plotly)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
