"""Ways of chunking compared by what a search finds (`agentops_ref.apps.chunking`).

Each way indexes the running case's first version once and is asked all cases of that version that
have sources. Nothing is timed. Chunks of another way were never recorded, so the embedding model's
weights must be here (`agentops models pull`); it is left out where they are not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from agentops_ref import load_config
from agentops_ref.apps.chunking import DEEP, STRUCTURE, Compared, compare
from agentops_ref.apps.fjordvarm import build_corpus
from agentops_ref.errors import OperatorError

SEED = 0


def figures(way: Compared, k: int) -> dict[str, Any]:
    rows = {
        row.slice: {
            "cases": row.n,
            "passage_hit": round(row.passage_hit, 5),
            "document_hit": round(row.document_hit, 5),
            "mrr": round(row.mrr, 5),
        }
        for row in way.result.rows(k)
    }
    low, high = way.result.row(k).interval
    difference = way.difference and {n: round(v, 5) for n, v in way.difference._asdict().items()}
    return {
        "chunks": way.chunks,
        "passage_hit_low": round(low, 5),
        "passage_hit_high": round(high, 5),
        "mrr_difference": difference,
        "slices": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="chunking")
    parser.add_argument("--out", type=Path, default=Path("_build/bench"))
    out = parser.parse_args().out
    config = load_config()
    with tempfile.TemporaryDirectory() as place:
        build_corpus(Path(place), versions=(1,))
        given = {"paths.corpus": place, "paths.cache": f"{place}/cache"}
        try:
            found = compare(rng=np.random.default_rng(SEED), overrides=given)
        except OperatorError as missing:
            print(f"chunking: left out, {missing}")
            return
    k = config.retrieval.k
    report = {
        "name": "chunking",
        "what": "ways of chunking, by the rank of the passage that states the fact asked for",
        "first": STRUCTURE,
        "k": k,
        "deep": DEEP,
        "level": 0.95,
        "embedding": config.models.embedding.name,
        "ways": {name: figures(way, k) for name, way in found.items()},
        "measured": datetime.now(UTC).date().isoformat(),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "chunking.json").write_text(f"{json.dumps(report, indent=1)}\n", encoding="utf-8")
    for name, way in found.items():
        row = way.result.row(k)
        line = f"{name:32}{way.chunks:6} chunks  hit@{k} {row.passage_hit:.3f}  MRR {row.mrr:.3f}"
        if way.difference is not None:
            line += "  difference {:+.3f} ({:+.3f} to {:+.3f})".format(*way.difference)
        print(line)


if __name__ == "__main__":
    main()
