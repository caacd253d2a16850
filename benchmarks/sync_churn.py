"""1 % of a folder changes: adds, edits and deletes reach four indexes, and are they right?

5,000 texts of three paragraphs; each round edits 0.5 %, deletes 0.25 % and adds 0.25 %. All four
read the same folder in the same round, in a turning order, and afterwards each index is compared
with what a rebuild from scratch would hold. See `_pipelines` for what is the same for all.
"""

from __future__ import annotations

import importlib.util
import random
import tempfile
import time
from pathlib import Path

from benchmarks._pipelines import PEERS, Ours, Pipeline, expected
from benchmarks._report import seconds, write

DOCUMENTS, ROUNDS, QUIET = 5_000, 9, 7
NEEDS = {"CocoIndex": "cocoindex", "LlamaIndex": "llama_index.vector_stores.lancedb"}


def write_text(file: Path, rng: random.Random) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f"Note {file.stem}.{n}: tighten nut {rng.randrange(10**6)} to {rng.randrange(10, 90)} Nm, "
        "then check the flare for oil and write the value into the service log."
        for n in range(3)
    ]
    file.write_text("\n\n".join(parts), encoding="utf-8")


def churn(docs: Path, rng: random.Random, number: int) -> None:
    """Edit, delete and add."""
    files = sorted(docs.rglob("*.txt"))
    chosen = rng.sample(files, DOCUMENTS * 3 // 400)
    for file in chosen[: DOCUMENTS // 200]:
        write_text(file, rng)
    for file in chosen[DOCUMENTS // 200 :]:
        file.unlink()
    for n in range(DOCUMENTS // 400):
        write_text(docs / f"{n:02d}" / f"new-{number}-{n}.txt", rng)
    time.sleep(0.05)  # past the file system's clock tick, for which a sync would wait


def main() -> None:
    rng = random.Random(11)
    with tempfile.TemporaryDirectory() as place:
        docs = Path(place) / "docs"
        for n in range(DOCUMENTS):
            write_text(docs / f"{n % 100:02d}" / f"{n}.txt", rng)
        kinds = [Ours, *PEERS]
        for kind, module in NEEDS.items():
            try:
                there = importlib.util.find_spec(module) is not None
            except ModuleNotFoundError:
                there = False
            if not there:
                print(f"{kind} is left out: pip install -c constraints.txt -e '.[bench]'")
                kinds = [one for one in kinds if one.__name__ != kind]
        made: list[Pipeline] = [kind(docs, Path(place) / kind.__name__) for kind in kinds]
        first = {one.name: seconds(one.run) for one in made}
        took: dict[str, list[float]] = {one.name: [] for one in made}
        quiet: dict[str, list[float]] = {one.name: [] for one in made}
        for number in range(ROUNDS + QUIET):
            if number < ROUNDS:
                churn(docs, rng, number)
            turn = number % len(made)
            for one in made[turn:] + made[:turn]:
                (took if number < ROUNDS else quiet)[one.name].append(seconds(one.run))
        wanted = expected(docs)
        held = {one.name: one.held() for one in made}
        for one in made:
            one.close()
    ours = made[0].name
    assert held[ours] == wanted, "our own index is not what a rebuild would give"
    for kind, one in zip(kinds[1:], made[1:], strict=True):
        extra, lost = held[one.name] - wanted, wanted - held[one.name]
        facts = {
            "equal_to_rebuild": not extra and not lost,
            "ours_equal_to_rebuild": held[ours] == wanted,
            "chunks_that_should_be_gone": extra.total(),
            "chunks_that_are_missing": lost.total(),
            "seconds_first_run_ours": round(first[ours], 3),
            "seconds_first_run_theirs": round(first[one.name], 3),
        }
        aim = None if kind.__name__ == "CocoIndex" else 0.1
        write(
            f"sync_churn_{kind.__name__.lower()}",
            one.name,
            took[ours],
            took[one.name],
            what=f"1 % of {DOCUMENTS:,} documents added, edited or deleted",
            target=aim,
            **facts,
        )
        write(
            f"sync_unchanged_{kind.__name__.lower()}",
            one.name,
            quiet[ours],
            quiet[one.name],
            what=f"nothing changed in {DOCUMENTS:,} documents",
        )


if __name__ == "__main__":
    main()
