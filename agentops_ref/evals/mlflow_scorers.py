"""MLflow's built-in scorers that ask no model, as scorers of this package.

Taught in chapter 8. Named in YAML by their class, with its arguments::

    - path: agentops_ref.evals.mlflow_scorers:builtin
      options: {scorer: ResponseLength, arguments: {max_length: 80, unit: words}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentops_ref.errors import nearest
from agentops_ref.evals.scorers import Scorer
from agentops_ref.records import Answer, Case, Score

CODE_ONLY = ("RegexMatch", "PIIDetection", "ResponseLength")
"""Those of MLflow 3.17 that decide by code; the others are judges, which need a calibration."""


def builtin(scorer: str, arguments: Mapping[str, Any] | None = None) -> Scorer:
    """Make a scorer of one of `CODE_ONLY`: 1 where MLflow says yes, 0 where it says no.

    Raises
    ------
    ValueError
        Another scorer, or arguments that it refuses.
    """
    if scorer not in CODE_ONLY:
        raise ValueError(
            f"no scorer of MLflow without a model is '{scorer}'{nearest(scorer, CODE_ONLY)}"
        )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these classes are new
        from mlflow.genai.scorers import builtin_scorers

        made = getattr(builtin_scorers, scorer)(**(arguments or {}))

    def score(case: Case, answer: Answer) -> Score:
        if answer.abstained:
            return Score(score.__name__, None, "abstained")
        feedback = made(outputs=answer.text)
        if feedback.error is not None:
            return Score(score.__name__, None, error=str(feedback.error))
        said = str(getattr(feedback.value, "value", feedback.value))
        return Score(score.__name__, float(said == "yes"), feedback.rationale or "")

    score.__name__ = str(made.name)
    return score
