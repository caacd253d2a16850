"""Answers and cases as plain data, for a trace or a line of JSON, and back.

One form for both: what an agent writes into its trace is what an evaluation writes into its file
of outputs, so that one scorer reads either. Taught in chapter 8.

A row is flat: the fields of `Case`, those of `Answer` with its text under ``answer``, and what was
made of them. What is empty or has its default is left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from math import isfinite
from typing import Any, TypeVar, cast

from agentops_ref.errors import DocumentError, nearest
from agentops_ref.records import Answer, Case, Chunk, Citation, Hit, Step, Usage

T = TypeVar("T")

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
}
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_HIT = ("score", "vector_rank", "text_rank")


def answer_data(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain data; `answer_of` makes the same answer of it."""
    data: dict[str, Any] = {"answer": answer.text, "abstained": answer.abstained}
    for name, items in (("citations", answer.citations), ("steps", answer.steps)):
        if items:
            data[name] = [_flat(item) for item in items]
    if answer.hits:
        data["hits"] = [
            {**_flat(hit.chunk), **{k: v for k, v in _flat(hit).items() if k != "chunk"}}
            for hit in answer.hits
        ]
    if usage := _flat(answer.usage):
        data["usage"] = usage
    if answer.waiting:
        data["waiting"] = list(answer.waiting)
    for name in ("seconds", "model", "index_version", "trace_id", "problem"):
        if value := getattr(answer, name):
            data[name] = value
    if answer.index_version == 0:
        data["index_version"] = 0
    return data


def answer_of(row: Mapping[str, Any]) -> Answer:
    """Return the answer of a row; keys that belong to others (`case_of`) are not looked at.

    Raises
    ------
    DocumentError
        No text under ``answer``, an unknown key inside a part, or a value of another type.
    """
    if not isinstance(row.get("answer"), str):
        raise DocumentError("'answer' is missing or is not a text")
    plain = {"text": row["answer"], "abstained": row.get("abstained", False)}
    plain |= {
        name: row[name]
        for name in ("seconds", "model", "index_version", "trace_id", "problem")
        if name in row
    }
    return _made(
        Answer,
        plain,
        "",
        citations=tuple(
            _made(Citation, one, "citations", **_LACKING) for one in _many(row, "citations")
        ),
        hits=tuple(_hit(one, at) for at, one in enumerate(_many(row, "hits"))),
        steps=tuple(_made(Step, one, "steps", agent="") for one in _many(row, "steps")),
        usage=_made(Usage, row.get("usage", {}), "usage"),
        waiting=tuple(map(str, _many(row, "waiting"))),
    )


def case_data(case: Case) -> dict[str, Any]:
    """Return a case as plain data; `case_of` makes the same case of it."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in _flat(case).items()}


def case_of(row: Mapping[str, Any]) -> Case:
    """Return the case of a row; keys that belong to others (`answer_of`) are not looked at.

    A row without facts, sources and the like is a question of which nothing is expected: what
    production asks.
    """
    given: dict[str, Any] = {}
    for name, kind in _kinds(Case).items():
        if name not in row:
            continue
        value = row[name]
        if kind.startswith("tuple"):
            listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
            if not listed:
                raise DocumentError(f"'{name}' must be a list of texts, got {value!r:.60}")
            value = tuple(value)
        if name == "arguments" and not isinstance(value, dict):
            raise DocumentError(f"'{name}' must hold tool → arguments, got {value!r:.60}")
        given[name] = value
    for name in ("id", "question"):
        if not isinstance(given.get(name), str) or not given[name].strip():
            raise DocumentError(f"'{name}' is missing or is not a text")
    return _made(Case, given, "")


_LACKING = {"version": "", "page": None}
"""What a citation may lack that others than this package recorded."""


def _hit(data: Any, at: int) -> Hit:
    if not isinstance(data, Mapping):
        raise DocumentError(f"'hits' must be a list of mappings, got {data!r:.60}")
    found = {key: data[key] for key in _HIT if key in data}
    chunk = {key: value for key, value in data.items() if key not in _HIT}
    bare = {"id": f"{at}", "version": "", "ordinal": 0, "context": ""}
    return _made(Hit, found, "hits", chunk=_made(Chunk, chunk, "hits", **bare), score=0.0)


def _many(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row.get(name, [])
    if not isinstance(value, list):
        raise DocumentError(f"'{name}' must be a list, got {value!r:.60}")
    return value


def _made(kind: type[T], data: Any, where: str, /, **defaults: Any) -> T:
    """Make a record of a mapping whose keys are its fields, with values of their types."""
    if not isinstance(data, Mapping):
        raise DocumentError(f"'{where}' must hold mappings, got {data!r:.60}")
    at, types = f"{where}." if where else "", _kinds(cast(Hashable, kind))
    for name, value in data.items():
        if name not in types:
            raise DocumentError(f"unknown key '{at}{name}'{nearest(str(name), tuple(types))}")
        expected = _KINDS.get(types[name])
        if expected is None:
            continue
        wrong = not isinstance(value, expected) or (
            isinstance(value, bool) and bool not in expected
        )
        if wrong or (isinstance(value, float) and not isfinite(value)):
            word = _WORDS[types[name].split(" ")[0]]
            raise DocumentError(f"'{at}{name}' must be {word}, got {value!r:.60}")
    try:
        return kind(**{**defaults, **data})
    except TypeError as error:  # a field without a default that the mapping lacks
        raise DocumentError(f"'{where}': {str(error).split(') ')[-1]}") from None


def _flat(record: Any) -> dict[str, Any]:
    """Field → value, without what has its default."""
    return {
        name: value
        for name, default in _defaults(cast(Hashable, type(record)))
        if (value := getattr(record, name)) != default
    }


@cache
def _defaults(kind: Hashable) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (f.name, f.default_factory() if f.default_factory is not MISSING else f.default)
        for f in fields(cast(Any, kind))
    )


@cache
def _kinds(kind: Hashable) -> dict[str, str]:
    return {f.name: str(f.type) for f in fields(cast(Any, kind))}


ROW_KEYS = (
    *_kinds(Case),
    "answer",
    *(name for name in _kinds(Answer) if name != "text"),
)
"""Keys that a row of a case and its answer may have."""
