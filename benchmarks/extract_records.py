"""Records extracted from the running case's documents: precision and recall of each field.

The truth is what the generator was given to print (`agentops_ref.apps.extraction`). The rules of
`config/extract.yaml` were written with these documents at hand, and the model's prompt with three
of its bulletins, so the figures say that the machinery loses nothing, not how well the rules or the
model do on documents that nobody has seen. The model's answers are replayed by default. Nothing is
timed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentops_ref import load_config
from agentops_ref.apps.extraction import VERSIONS, Measured, Quality, lines, measure
from agentops_ref.apps.fjordvarm import build_corpus
from agentops_ref.wiring import build


def share(right: int, of: int, interval: tuple[float, float]) -> dict[str, Any]:
    if not of:
        return {"share": None, "count": right, "of": of}
    low, high = (round(end, 5) for end in interval)
    return {"share": round(right / of, 5), "count": right, "of": of, "low": low, "high": high}


def field(one: Quality) -> dict[str, Any]:
    return {
        "type": one.type,
        "field": one.field,
        "way": one.way,
        "medium": one.medium,
        "precision": share(one.right, one.found, one.precision_interval()),
        "recall": share(one.right, one.wanted, one.recall_interval()),
    }


def figures(found: Measured) -> dict[str, Any]:
    return {
        "documents": found.documents,
        "fields": [field(one) for one in found.qualities],
        "rejected_invented": dict(found.invented),
        "rejected_unfit": dict(found.unfit),
        "accepted_not_printed": len(found.unprinted),
        "incomplete": len(found.incomplete),
        "failed": len(found.failed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="extract_records")
    parser.add_argument("--out", type=Path, default=Path("_build/bench"))
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as place:
        corpus, cache = Path(place) / "corpus", Path(place) / "cache"
        build_corpus(corpus)
        own = {"paths.corpus": str(corpus), "paths.cache": str(cache)}
        app = build(load_config(overrides=own))
        whole = measure(app)
        again = measure(app)
        by_version = {version: measure(app, versions=(version,)) for version in VERSIONS}
    chat = app.config.models.chat
    report = {
        "name": "extract_records",
        "what": "records of three corpus versions, each distinct content once",
        "model": chat.name,
        "mode": app.config.models.mode,
        "recipe": app.extractor.recipe,
        **figures(whole),
        "work": dict(whole.work),
        "work_again": dict(again.work),
        "versions": {str(version): figures(one) for version, one in by_version.items()},
        "measured": datetime.now(UTC).date().isoformat(),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "extract_records.json").write_text(f"{json.dumps(report, indent=1)}\n", encoding="utf-8")
    print("\n".join(lines(whole)))
    print(f"work: {dict(whole.work)}; the same documents again: {dict(again.work) or 'none'}")


if __name__ == "__main__":
    main()
