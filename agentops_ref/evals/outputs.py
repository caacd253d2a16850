"""Recorded outputs: one line of JSON an answer, with its case and its scores.

Taught in chapter 8. Every run keeps such a file, and anybody's file of questions and answers is one
as well: ``{"id": ..., "question": ..., "answer": ...}`` is enough for what expects nothing else.
Rows are read and written one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from agentops_ref.errors import ConfigError, DocumentError, encodable, nearest
from agentops_ref.evals.jsonl import parse_object
from agentops_ref.evals.result import CaseResult
from agentops_ref.plain import ROW_KEYS, answer_data, answer_of, case_data, case_of
from agentops_ref.records import Case, Score

FILE = "outputs.jsonl"
"""Name of the file among a run's artifacts."""
_OURS = ("scores", "error", "attempt", "metadata")


def row_of(result: CaseResult) -> dict[str, Any]:
    """Return a result as the row of a file."""
    row = {**case_data(result.case), **answer_data(result.answer)}
    if result.trace_id:
        row["trace_id"] = result.trace_id
    if result.attempt > 1:
        row["attempt"] = result.attempt
    if result.error:
        row["error"] = result.error
    if result.scores:
        row["scores"] = {
            score.scorer: {
                "value": score.value,
                **({"rationale": score.rationale} if score.rationale else {}),
                **({"error": score.error} if score.error else {}),
            }
            for score in result.scores
        }
    return row


def write_row(file: IO[str], row: Mapping[str, Any]) -> None:
    """Write one row as a line."""
    file.write(json.dumps(encodable(row), ensure_ascii=False) + "\n")


def read_rows(path: Path, cases: Mapping[str, Case] | None = None) -> Iterator[CaseResult]:
    """Read recorded outputs, one at a time.

    Parameters
    ----------
    cases
        Id → case as it is expected today. It takes the place of what a row says of its case where
        id and question are the same, so that a mended expectation counts; others keep their own.

    Raises
    ------
    ConfigError
        No such file, or no row in it.
    DocumentError
        A line that is not such a row: names file, line, key, and a key that may be meant.
    """
    number, known = 0, cases or {}
    try:
        with path.open("rb") as file:  # a line that is not UTF-8 is found as that line
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _result(line, known)
                elif number == 1:
                    raise DocumentError("an empty line")
    except FileNotFoundError:
        raise ConfigError(f"no recorded outputs: {path} does not exist") from None
    except DocumentError as error:
        raise DocumentError(f"{path}, line {number}: {error}") from None
    if not number:
        raise ConfigError(f"{path}: no recorded outputs in it")


def scorers_of(path: Path) -> list[str]:
    """Return the scorers of which a file holds scores, by its first row."""
    for result in read_rows(path):
        return [score.scorer for score in result.scores]
    return []


def _result(line: bytes, cases: Mapping[str, Case]) -> CaseResult:
    try:
        row = parse_object(line.decode())
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8: {error.reason}") from None
    except ValueError as error:
        raise DocumentError(str(error)) from None
    for key in row:
        if key not in ROW_KEYS and key not in _OURS:
            hint = nearest(key, [*ROW_KEYS, *_OURS])
            raise DocumentError(f"unknown key '{key}'{hint}; what is yours goes under 'metadata'")
    case, answer = case_of(row), answer_of(row)
    today = cases.get(case.id)
    if today is not None and today.question == case.question:
        case = today
    attempt, failure = row.get("attempt", 1), row.get("error", "")
    if type(attempt) is not int or attempt < 1 or not isinstance(failure, str):
        raise DocumentError("'attempt' must be a whole number from 1, 'error' a text")
    return CaseResult(
        case, answer, _scores(row.get("scores", {})), answer.trace_id, failure, attempt
    )


def _scores(given: Any) -> tuple[Score, ...]:
    if not isinstance(given, dict):
        raise DocumentError(f"'scores' must hold scorer → verdict, got {given!r:.60}")
    scores: list[Score] = []
    for name, said in given.items():
        value = said.get("value") if isinstance(said, dict) else said
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and 0 <= value <= 1):
            raise DocumentError(f"'scores.{name}' must be a number within 0..1, got {said!r:.60}")
        more: Sequence[str] = (
            [str(said.get(key, "")) for key in ("rationale", "error")]
            if isinstance(said, dict)
            else ("", "")
        )
        scores.append(Score(name, None if value is None else float(value), *more))
    return tuple(scores)
