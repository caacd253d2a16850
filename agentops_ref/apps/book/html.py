"""Runs Sphinx with Jupyter Book's configuration, in a process of its own.

``python -m agentops_ref.apps.book.html SOURCE HTML DOCTREES``: what
``jupyter-book build`` does, without the extensions that load scripts from a network.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Thebe and comments live on remote scripts; the others look for pages of other projects.
UNUSED = {"sphinx_thebe", "sphinx_comments", "sphinx.ext.intersphinx"}


def make_html(source: Path, html: Path, doctrees: Path) -> int:
    """Build the pages; a warning counts as an error. Returns the exit status."""
    from jupyter_book.config import get_final_config
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    config, _ = get_final_config(
        user_yaml=source / "_config.yml",
        sourcedir=source,
        cli_config={"latex_individualpages": False},
    )
    config["extensions"] = [name for name in config["extensions"] if name not in UNUSED]
    for name in ("comments_config", "thebe_config"):
        config.pop(name, None)
    try:
        with patch_docutils(None), docutils_namespace():
            app = Sphinx(
                srcdir=source,
                confdir=None,
                outdir=html,
                doctreedir=doctrees,
                buildername="html",
                confoverrides=config,
                status=None,
                freshenv=True,
                warningiserror=True,
                keep_going=True,
            )
            app.build(force_all=True)
            return int(app.statuscode)
    except SphinxError as error:
        print(f"{error.category}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    folders = [Path(argument).resolve() for argument in sys.argv[1:4]]
    sys.exit(make_html(*folders))
