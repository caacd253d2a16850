"""Evaluation cases: read from YAML, validated, selected, and checked against the documents.

Taught in chapter 8. A case says what a right answer must hold, not how it is worded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.matching import states
from agentops_ref.records import Case

_KEYS = {field.name: field.type for field in fields(Case)}
_LISTS = ("facts", "forbidden", "sources")


def load_cases(path: Path) -> list[Case]:
    """Read a YAML file with a list ``cases``.

    Raises
    ------
    ConfigError
        Missing or malformed file, unknown key, duplicate id, wrong type, a case that can be
        answered but has no facts or no sources; names the file, the case and the nearest key.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"evaluation cases not found: {path}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error}") from None
    rows = loaded.get("cases") if isinstance(loaded, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{path}: expected a list under the key 'cases'")
    cases = [_case(row, f"{path}: case {index}") for index, row in enumerate(rows, start=1)]
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise ConfigError(f"{path}: case '{case.id}': the id is used twice")
        seen.add(case.id)
    return cases


def select(
    cases: Iterable[Case],
    *,
    slices: Sequence[str] | None = None,
    corpus_version: int | None = None,
    ids: Sequence[str] | None = None,
) -> list[Case]:
    """Return the cases of these slices, this corpus version and these ids; None means all."""
    listed = list(cases)
    for name, wanted, known in (
        ("slice", slices, [case.slice for case in listed]),
        ("case", ids, [case.id for case in listed]),
    ):
        for one in wanted or ():
            if one not in known:
                raise ConfigError(f"unknown {name} '{one}'{nearest(one, sorted(set(known)))}")
    return [
        case
        for case in listed
        if (slices is None or case.slice in slices)
        and (corpus_version is None or case.corpus_version == corpus_version)
        and (ids is None or case.id in ids)
    ]


def cases_digest(cases: Iterable[Case]) -> str:
    """Hash of the cases and their expectations: 12 hex digits; their order does not matter."""
    rows = sorted(json.dumps(asdict(case), sort_keys=True) for case in cases)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def check_cases(cases: Iterable[Case], corpus_dir: Path) -> list[str]:
    """Compare cases with the generated corpus; return one line per problem, none if all holds.

    Every source is a document of the case's corpus version. Every fact is printed in one of the
    sources, where no newer document has replaced it (so says the corpus' truth), in a sentence or
    row that can be quoted without saying anything forbidden. Every forbidden value is printed
    somewhere, in this version or another.
    """
    truths = {
        int(file.stem[1:]): json.loads(file.read_text(encoding="utf-8"))
        for file in sorted((corpus_dir / "truth").glob("v*.json"))
    }
    if not truths:
        raise ConfigError(f"no corpus in {corpus_dir}: expected truth/v1.json beside v1/")
    valid = {version: _printed(truth["facts"]) for version, truth in truths.items()}
    ever = [_line(fact) for truth in truths.values() for fact in truth["facts"]]
    everywhere = "\n".join(dict.fromkeys(ever))
    return [line for case in cases for line in _problems(case, valid, everywhere, corpus_dir)]


def _case(row: Any, where: str) -> Case:
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: expected keys and values, got {row!r}")
    if isinstance(row.get("id"), str):
        where = f"{where.rpartition(': case ')[0]}: case '{row['id']}'"
    for key in row:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown key '{key}'{nearest(str(key), list(_KEYS))}")
    for key in ("id", "question", "slice"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise ConfigError(f"{where}: '{key}' is missing or is not a text")
    for key in _LISTS:
        if not isinstance(row.get(key, []), list) or not all(
            isinstance(item, str) and item.strip() for item in row.get(key, [])
        ):
            raise ConfigError(f"{where}: '{key}' must be a list of texts (quote numbers)")
    if type(row.get("abstain", False)) is not bool:
        raise ConfigError(f"{where}: 'abstain' must be true or false")
    if type(row.get("corpus_version", 1)) is not int:
        raise ConfigError(f"{where}: 'corpus_version' must be a whole number")
    values: dict[str, Any] = {k: tuple(v) if k in _LISTS else v for k, v in row.items()}
    case = Case(**values)
    if case.abstain and case.facts:
        raise ConfigError(f"{where}: 'abstain' and 'facts' exclude each other")
    if not case.abstain and not (case.facts and case.sources):
        lacking = "facts" if not case.facts else "sources"
        raise ConfigError(f"{where}: can be answered, so it needs '{lacking}' (or abstain: true)")
    return case


def _problems(
    case: Case, valid: Mapping[int, Mapping[str, list[str]]], everywhere: str, corpus_dir: Path
) -> Iterator[str]:
    printed = valid.get(case.corpus_version)
    if printed is None:
        yield f"{case.id}: there is no corpus version {case.corpus_version}"
        return
    for source in case.sources:
        if not (corpus_dir / f"v{case.corpus_version}" / "docs" / source).is_file():
            hint = nearest(source, tuple(printed))
            yield f"{case.id}: no document '{source}' in version {case.corpus_version}{hint}"
    lines = [line for source in case.sources for line in printed.get(source, ())]
    for fact in case.facts:
        stating = [line for line in lines if states(line, fact, bare="always")]
        if not stating:
            yield f"{case.id}: no source prints '{fact}', or a newer document replaces it"
        elif all(any(states(line, bad) for bad in case.forbidden) for line in stating):
            yield f"{case.id}: what the sources print for '{fact}' is itself forbidden"
    for value in case.forbidden:
        if not states(everywhere, value, bare="always"):
            yield f"{case.id}: forbidden '{value}' is printed nowhere"


def _printed(facts: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Document → the lines of its facts that no newer document has replaced."""
    printed: dict[str, list[str]] = {}
    for fact in facts:
        if not fact.get("replaced_by"):
            document = str(fact["document"]).removeprefix("docs/")
            printed.setdefault(document, []).append(_line(fact))
    return printed


def _line(fact: Mapping[str, Any]) -> str:
    """The sentence or row as printed, and the value with its unit, which a row may lack."""
    return f"{fact['text']} ({fact['value']} {fact['unit'] or ''})"
