"""1,000 rows against bare ``mlflow.genai.evaluate``: what an evaluation itself costs.

The system under test answers at once, and the scorers are code: the package's own, and the same
functions behind MLflow's ``@scorer``. Both write to a SQLite store of their own: a trace a row with
feedback from each scorer, means as metrics. MLflow's limit of ten rows a second is switched off,
and its check that asks the first row twice as well. After each pair the two stores are compared.
"""

from __future__ import annotations

import logging
import os
import tempfile
from typing import Any

from agentops_ref.evals import evaluate
from agentops_ref.evals.scorers import abstention_right, correct, facts_present
from agentops_ref.records import Answer, Case
from agentops_ref.tracing import MlflowTracer
from benchmarks._report import seconds, write

ROWS, REPEATS = 1_000, 3
SCORERS = [correct, facts_present, abstention_right]
UNLIMITED = {
    "MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION": "true",
    "MLFLOW_GENAI_EVAL_PREDICT_RATE_LIMIT": "0",
    "MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT": "0",
}


def cases(rows: int) -> list[Case]:
    """Return questions of which every third is answered wrongly."""
    return [
        Case(f"c{n}", f"Torque {n}?", (f"{n % 90 + 10} Nm",), (), ("m.pdf",), slice=f"s{n % 5}")
        for n in range(rows)
    ]


def predict(case: Case) -> Answer:
    """Answer at once."""
    n = int(case.id[1:])
    return Answer(f"Tighten to {n % 90 + 10 + (n % 3 == 0)} Nm.", abstained=False)


def bare(tracer: MlflowTracer, asked: list[Case]) -> str:
    """Run the same with MLflow alone; return its run."""
    mlflow = tracer.connect()
    from mlflow.genai.scorers import scorer as as_scorer

    known = {case.id: case for case in asked}

    @mlflow.trace  # the check that is switched off would have added it
    def predict_fn(case: str, question: str) -> dict[str, Any]:
        answer = predict(known[case])
        return {"answer": answer.text, "abstained": answer.abstained}

    def adapted(score: Any) -> Any:
        def run(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
            answer = Answer(outputs["answer"], abstained=outputs["abstained"])
            return score(known[inputs["case"]], answer).value

        return as_scorer(run, name=score.__name__)

    data = [
        {
            "inputs": {"case": case.id, "question": case.question},
            "expectations": {"expected": {"facts": list(case.facts), "slice": case.slice}},
        }
        for case in asked
    ]
    scorers = [adapted(score) for score in SCORERS]
    found = mlflow.genai.evaluate(data=data, predict_fn=predict_fn, scorers=scorers)
    return str(found.run_id)


def kept(tracer: MlflowTracer, run_id: str) -> dict[str, dict[str, float]]:
    """Case → scorer → value, as the store has them."""
    mlflow = tracer.connect()
    found = {}
    for trace in mlflow.search_traces(run_id=run_id, return_type="list", max_results=10_000):
        asked = trace.data.spans[0].inputs["case"]
        values = [a for a in trace.info.assessments if a.feedback is not None]
        found[asked] = {a.name: a.feedback.value for a in values}
    return found


def main() -> None:
    os.environ.update(UNLIMITED)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    asked = cases(ROWS)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as place:
        warm = MlflowTracer(f"sqlite:///{place}/warm.db", "warm")
        evaluate(cases(20), predict, SCORERS, tracer=warm)
        bare(warm, cases(20))
        for n in range(REPEATS):
            mine = MlflowTracer(f"sqlite:///{place}/{n}/ours.db", "evaluation")
            other = MlflowTracer(f"sqlite:///{place}/{n}/theirs.db", "evaluation")
            mine.connect()
            runs: list[str] = []
            ours.append(
                seconds(
                    lambda m=mine, r=runs: r.append(
                        evaluate(asked, predict, SCORERS, tracer=m).run_id
                    )
                )
            )
            other.connect()
            theirs.append(seconds(lambda o=other, r=runs: r.append(bare(o, asked))))
            assert kept(mine, runs[0]) == kept(other, runs[1]), "the stores differ"
            rates = (f"{ROWS / took[-1]:.0f}" for took in (ours, theirs))
            print(f"{' against '.join(rates)} rows a second", flush=True)
    write(
        "eval_harness",
        "bare mlflow.genai.evaluate",
        ours,
        theirs,
        what=f"{ROWS:,} rows that are answered at once, {len(SCORERS)} scorers in code",
        target=1,
        load_average=round(os.getloadavg()[0], 1),
    )


if __name__ == "__main__":
    main()
