"""1 % of a folder changes: adds, edits and deletes reach four indexes, and are they right?

5,000 documents of three paragraphs, once as plain text, for which parsing costs nothing, and once
as HTML, for which it costs some ten milliseconds, with the same parser for all. Each round edits
0.5 %, deletes 0.25 % and adds 0.25 %. All four read the same folder in the same round, in a turning
order, and afterwards each index is compared with what a rebuild from scratch would hold. See
`_pipelines` for what is the same for all.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._pipelines import PEERS, Ours, Pipeline, expected
from benchmarks._report import seconds, write

DOCUMENTS = 5_000
ROUNDS = {"txt": (9, 7), "html": (3, 0)}
"""Ending → (rounds with changes, rounds without): two of the peers parse everything each time."""
NEEDS = {"CocoIndex": "cocoindex", "LlamaIndex": "llama_index.vector_stores.lancedb"}


def write_text(file: Path, rng: random.Random) -> None:
    """Write three paragraphs, in the format that the name's ending says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f"Note {file.stem}.{n}: tighten nut {rng.randrange(10**6)} to {rng.randrange(10, 90)} Nm, "
        "then check the flare for oil and write the value into the service log."
        for n in range(3)
    ]
    body = "\n\n".join(parts)
    if file.suffix == ".html":
        inner = "".join(f"<p>{part}</p>\n" for part in parts)
        body = f"<html><head><title>{file.stem}</title></head><body>\n{inner}</body></html>\n"
    file.write_text(body, encoding="utf-8")


def churn(docs: Path, rng: random.Random, number: int) -> None:
    """Edit, delete and add."""
    files = sorted(docs.rglob("*.*"))
    ending = files[0].suffix
    chosen = rng.sample(files, DOCUMENTS * 3 // 400)
    for file in chosen[: DOCUMENTS // 200]:
        write_text(file, rng)
    for file in chosen[DOCUMENTS // 200 :]:
        file.unlink()
    for n in range(DOCUMENTS // 400):
        write_text(docs / f"{n:02d}" / f"new-{number}-{n}{ending}", rng)
    time.sleep(0.05)  # past the file system's clock tick, for which a sync would wait


def available() -> list[type[Any]]:
    """Return the peers that are installed; say which are not."""
    kinds = []
    for kind in PEERS:
        module = NEEDS.get(kind.__name__, "")
        try:
            there = not module or importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            there = False
        if there:
            kinds.append(kind)
        else:
            print(f"{kind.__name__} is left out: pip install -c constraints.txt -e '.[bench]'")
    return kinds


def compare(ending: str, kinds: list[type[Any]]) -> None:
    """Let all of them follow one folder through the same changes; write a file for each peer."""
    rng = random.Random(11)
    rounds, still = ROUNDS[ending]
    with tempfile.TemporaryDirectory() as place:
        docs = Path(place) / "docs"
        for n in range(DOCUMENTS):
            write_text(docs / f"{n % 100:02d}" / f"{n}.{ending}", rng)
        time.sleep(0.05)
        made: list[Pipeline] = [kind(docs, Path(place) / kind.__name__) for kind in kinds]
        first = {one.name: seconds(one.run) for one in made}
        took: dict[str, list[float]] = {one.name: [] for one in made}
        quiet: dict[str, list[float]] = {one.name: [] for one in made}
        for number in range(rounds + still):
            if number < rounds:
                churn(docs, rng, number)
            turn = number % len(made)
            for one in made[turn:] + made[:turn]:
                (took if number < rounds else quiet)[one.name].append(seconds(one.run))
        wanted = expected(docs)
        held = {one.name: one.held() for one in made}
        for one in made:
            one.close()
    ours = made[0].name
    assert held[ours] == wanted, "our own index is not what a rebuild would give"
    for kind, one in zip(kinds[1:], made[1:], strict=True):
        extra, lost = held[one.name] - wanted, wanted - held[one.name]
        write(
            f"sync_churn_{ending}_{kind.__name__.lower()}",
            one.name,
            took[ours],
            took[one.name],
            what=f"1 % of {DOCUMENTS:,} {ending} files added, edited or deleted",
            target=None if kind.__name__ == "CocoIndex" else 0.1,
            equal_to_rebuild=not extra and not lost,
            ours_equal_to_rebuild=held[ours] == wanted,
            chunks_that_should_be_gone=extra.total(),
            chunks_that_are_missing=lost.total(),
            seconds_first_run_ours=round(first[ours], 3),
            seconds_first_run_theirs=round(first[one.name], 3),
        )
        if not still:
            continue
        write(
            f"sync_unchanged_{ending}_{kind.__name__.lower()}",
            one.name,
            quiet[ours],
            quiet[one.name],
            what=f"nothing changed in {DOCUMENTS:,} {ending} files",
        )


def main() -> None:
    kinds = [Ours, *available()]
    for ending in ("txt", "html"):
        # A process each: a CocoIndex app cannot be made twice in one.
        child = multiprocessing.get_context("fork").Process(target=compare, args=(ending, kinds))
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(child.exitcode)


if __name__ == "__main__":
    main()
