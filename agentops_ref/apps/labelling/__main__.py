"""Make ``corpus/labels/items.jsonl`` again from the recordings and say how many there are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentops_ref.apps.antipatterns import desk
from agentops_ref.apps.labelling.items import (
    LABELS,
    Documents,
    make_items,
    recorded_systems,
    write_items,
)
from agentops_ref.config import load_config
from agentops_ref.tracing import NoTracer
from agentops_ref.wiring import App, build

STATE = "_build/labels"


def wired(documents: Documents, settings: Mapping[str, Any]) -> App:
    """Return an app over some documents, with an index of its own; keeps no traces."""
    config = load_config()
    corpus, state = config.settings.paths.corpus, Path(STATE)
    if documents == "both-worlds":
        # One index for each bot: the narrow one does not see the technical documents.
        name = "narrow" if "etl.source.include" in settings else "broad"
        root = desk.everything(corpus, "corpus/company", state / "both-worlds")
    else:
        name, root = documents, corpus / documents / "docs"
    own: dict[str, Any] = {"paths.state": str(state / name), "etl.source.root": str(root)}
    own["guards.checks.injection.channels"] = ["user", "tool"]  # documents: chapter 7
    app = build(load_config(overrides={**own, **settings}))
    app.__dict__["tracer"] = NoTracer()  # hundreds of answers that are recorded already
    return app


if __name__ == "__main__":
    app = wired("v1", {})
    items = make_items(recorded_systems(app), wired)
    file = app.config.path(LABELS) / "items.jsonl"
    file.parent.mkdir(exist_ok=True)
    write_items(items, file)
    print(f"{file}: {len(items)} items, {sum(i.split == 'dev' for i in items)} of them dev")
