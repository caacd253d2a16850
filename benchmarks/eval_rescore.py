"""Scoring recorded outputs again: against running the agent, and its memory as the file grows.

The run asks the chain over a scripted model that answers at once, so a real model is only slower:
what is compared is the least that re-scoring saves. Both keep a run in MLflow with all outputs.
Memory is the process's largest resident set, each size in a process of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._report import seconds, write

ROWS, SIZES, REPEATS = 500, (5_000, 50_000), 3


def peak(rows: int, answer: Any) -> None:
    """Put the peak resident set in MiB, before and after one file of so many rows is scored."""
    from agentops_ref.evals import rescore
    from agentops_ref.evals.outputs import read_rows
    from agentops_ref.evals.scorers import abstention_right, correct, numbers_grounded

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "rows.jsonl"
        excerpt = "The flare nut of the gas line is tightened to 42 Nm. " * 8
        with path.open("w") as file:
            for n in range(rows):
                hits = [{"document": f"m{k}.pdf", "text": f"{excerpt}{n}"} for k in range(4)]
                row = {"id": f"c{n}", "question": f"Torque {n}?", "answer": f"{n % 90} Nm"}
                file.write(json.dumps({**row, "facts": ["42 Nm"], "hits": hits}) + "\n")
        scorers = [correct, abstention_right, numbers_grounded]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = rescore(read_rows(path), scorers, out=Path(place) / "scored.jsonl")
        assert len(found.table) == rows
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer.put((before, after, found.seconds))


def memory() -> None:
    """Measure both sizes."""
    context = multiprocessing.get_context("spawn")
    found: dict[int, list[float]] = {size: [] for size in SIZES}
    took = 0.0
    for _ in range(REPEATS):
        for size in SIZES:
            answer = context.SimpleQueue()
            child = context.Process(target=peak, args=(size, answer))
            child.start()
            child.join()
            if child.exitcode:
                raise SystemExit(child.exitcode)
            before, after, took = answer.get()
            found[size].append(after)
            print(f"{size:,} rows: {before:.0f} → {after:.0f} MiB in {took:.1f} s", flush=True)
    small, large = SIZES
    write(
        f"eval_rescore_memory_{large}",
        f"{small:,} rows",
        found[large],
        found[small],
        what=f"peak memory of scoring {large:,} recorded outputs",
        target=1.25,
        unit="MiB",
        rows_per_second=round(large / took),
        load_average=round(os.getloadavg()[0], 1),
    )


def speed() -> None:
    """Measure a run against scoring its outputs."""
    from agentops_ref.agents.chain import Chain
    from agentops_ref.agents.prompts import load_prompt
    from agentops_ref.config import load_config
    from agentops_ref.evals import evaluate, rescore
    from agentops_ref.evals.outputs import read_rows
    from agentops_ref.evals.scorers import abstention_right, correct, numbers_grounded
    from agentops_ref.evals.tracking import find_run, outputs_of
    from agentops_ref.records import Case, Chunk, Hit, Usage
    from agentops_ref.testing import ScriptedChat
    from agentops_ref.tracing import MlflowTracer

    scorers = [correct, abstention_right, numbers_grounded]
    text = "The flare nut of the gas line is tightened to 42 Nm. " * 8
    hits = [Hit(Chunk(f"{n}", f"m{n}.pdf", "v", 0, text, "Torques"), 1.0) for n in range(4)]
    cases = [Case(f"c{n}", f"Torque {n}?", ("42 Nm",), (), ("m0.pdf",)) for n in range(ROWS)]
    with tempfile.TemporaryDirectory() as place:
        tracer = MlflowTracer(f"sqlite:///{place}/mlflow.db", "evaluation")
        tracer.connect()
        chain = Chain(
            search=lambda query, **_: hits,
            model=ScriptedChat(replies=["42 Nm [1]"] * (ROWS * (REPEATS + 1))),
            prompt=load_prompt(load_config(environ={}).prompts("answer.md"), "answer.md"),
            usage_of=lambda _: Usage(400, 8, 0.0, 1),
            context_chars=4000,
            min_support=0.5,
            tracer=tracer,
        )
        ours, theirs = [], []
        for n in range(REPEATS):
            name = f"run {n}"
            theirs.append(
                seconds(
                    lambda name=name: evaluate(
                        cases, lambda c: chain(c.question), scorers, tracer=tracer, run_name=name
                    )
                )
            )
            file = outputs_of(tracer, find_run(tracer, name))
            ours.append(seconds(lambda file=file: rescore(read_rows(file), scorers, tracer=tracer)))
            print(f"{ROWS} rows: {ours[-1]:.2f} s against {theirs[-1]:.2f} s", flush=True)
    write(
        "eval_rescore",
        "asking a model that answers at once",
        ours,
        theirs,
        what=f"{ROWS:,} recorded outputs scored again, with a run in MLflow",
        target=0.1,
        load_average=round(os.getloadavg()[0], 1),
    )


def main() -> None:
    memory()
    speed()


if __name__ == "__main__":
    main()
