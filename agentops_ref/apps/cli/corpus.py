"""``agentops corpus build``: generate the running case's documents and tables."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)


@click.group()
def corpus() -> None:
    """The sample company's documents and tables."""


@corpus.command()
@json_option
@command
def build(session: Session, as_json: bool) -> None:
    """Generate all versions of the corpus; the same bytes each time."""
    from agentops_ref.apps.fjordvarm import build_corpus

    configured = session.config()
    out = configured.path(configured.paths.corpus)
    with progress_bar(quiet=as_json) as update:
        summary = build_corpus(
            out, progress=lambda done, total, what: update("corpus", done, total)
        )
    if as_json:
        print_json(summary)
    else:
        counts = ", ".join(f"v{v}: {n}" for v, n in summary.documents.items())
        done = f"built in {summary.seconds:.0f} s" if summary.built else "is up to date"
        console().print(f"corpus in {out} {done}; documents {counts}", soft_wrap=True)
