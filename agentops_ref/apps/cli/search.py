"""``agentops search``: what the index finds, without a model."""

from __future__ import annotations

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json
from agentops_ref.apps.cli.place import place_options


@click.command()
@click.argument("query")
@click.option("--k", type=click.IntRange(1), default=None, help="Results; retrieval.k by default.")
@click.option(
    "--mode", type=click.Choice(["hybrid", "vector", "text"]), help="Overrides retrieval.mode."
)
@click.option("--where", "filters", metavar="COLUMN=VALUE", multiple=True, help="Filter; repeat.")
@place_options
@json_option
@command
def search(
    session: Session,
    query: str,
    k: int | None,
    mode: str | None,
    filters: tuple[str, ...],
    as_json: bool,
) -> None:
    """Find passages for QUERY; no chat model is asked."""
    from agentops_ref.apps import screen

    app = session.app()
    app.ensure_index()
    wanted: dict[str, list[str]] = {}
    for one in filters:
        column, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"expected COLUMN=VALUE, got {one}", param_hint="--where")
        wanted.setdefault(column, []).append(value)
    found = app.search(query, k=k, mode=mode, filters=wanted or None)
    if as_json:
        print_json(
            {
                "query": query,
                "version": app.index.version,
                "results": [
                    {
                        "rank": rank,
                        "document": hit.chunk.document,
                        "page": hit.chunk.page,
                        "score": hit.score,
                        "vector_rank": hit.vector_rank,
                        "text_rank": hit.text_rank,
                        "text": hit.chunk.text,
                        "context": hit.chunk.context,
                        "chunk": hit.chunk.id,
                    }
                    for rank, hit in enumerate(found, start=1)
                ],
            }
        )
    else:
        screen.hits(console(), found)
