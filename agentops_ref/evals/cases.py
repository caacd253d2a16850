"""Evaluation cases: read from YAML, validated, selected, and checked against the documents.

Taught in chapter 8. A case says what a right answer must hold, not how it is worded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.matching import states
from agentops_ref.records import Case, CaseOrigin, CaseSplit

_KEYS = {field.name: field.type for field in fields(Case)}
_LISTS = ("facts", "forbidden", "sources", "tools")
_TEXTS = ("origin_note", "retired")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "origin": get_args(CaseOrigin),
    "split": get_args(CaseSplit),
}
_NOT_ASKED = ("origin", "origin_note", "split", "retired")
"""Bookkeeping: a run of the same questions and expectations is the same run."""
_LATER = ("tools", "arguments")
"""Came after runs were kept; where a case has none, its digest is what it was."""


def load_cases(path: Path) -> list[Case]:
    """Read a YAML file with a list ``cases``.

    Raises
    ------
    ConfigError
        Missing or malformed file, unknown key, duplicate id, wrong type, a case that can be
        answered but has no facts or no sources (nor tools), one that nobody wrote and whose
        origin is not noted; names the file, the case and the nearest key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"evaluation cases not found: {path}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    return parse_cases(text, str(path))


def parse_cases(text: str, path: str) -> list[Case]:
    """Read cases from YAML text as `load_cases` does; ``path`` names it in the errors."""
    import yaml

    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error}") from None
    rows = loaded.get("cases") if isinstance(loaded, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{path}: expected a list under the key 'cases'")
    cases = [read_case(row, f"{path}: case {index}") for index, row in enumerate(rows, start=1)]
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
    split: CaseSplit | None = None,
    retired: bool = False,
) -> list[Case]:
    """Return the cases of these slices, this corpus version, these ids and this split.

    None means all; retired cases are left out unless they are asked for.
    """
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
        and (split is None or case.split == split)
        and (retired or not case.retired)
    ]


def cases_digest(cases: Iterable[Case]) -> str:
    """Hash of the questions and their expectations: 12 hex digits; their order does not matter.

    Two runs with one digest were asked the same and judged by the same. Where a case comes from
    and which split it is in do not count.
    """
    rows = sorted(json.dumps(_asked(case), sort_keys=True) for case in cases)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def _asked(case: Case) -> dict[str, Any]:
    return {
        key: value
        for key, value in asdict(case).items()
        if key not in _NOT_ASKED and (value or key not in _LATER)
    }


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


def read_case(row: Any, where: str) -> Case:
    """Read one case from its keys and values; ``where`` names it in the errors."""
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
    for key in _TEXTS:
        if not isinstance(row.get(key, ""), str):
            raise ConfigError(f"{where}: '{key}' must be a text (quote dates and numbers)")
    for key, known in _CHOICES.items():
        if key in row and row[key] not in known:
            raise ConfigError(f"{where}: '{key}' must be one of {', '.join(known)}: {row[key]!r}")
    _check_arguments(row.get("arguments", {}), row.get("tools", []), where)
    values: dict[str, Any] = {k: tuple(v) if k in _LISTS else v for k, v in row.items()}
    case = Case(**values)
    if case.abstain and case.facts:
        raise ConfigError(f"{where}: 'abstain' and 'facts' exclude each other")
    told = (case.facts and case.sources) or (case.tools and not case.facts)
    if not case.abstain and not told:
        lacking = "facts" if not case.facts else "sources"
        raise ConfigError(f"{where}: can be answered, so it needs '{lacking}' (or abstain: true)")
    if case.origin != "written" and not case.origin_note.strip():
        needed = {
            "synthetic": "who validated it against which document; nobody else's word will do",
            "trace": "the trace's id",
            "incident": "which incident",
        }[case.origin]
        raise ConfigError(f"{where}: origin '{case.origin}' needs an 'origin_note': {needed}")
    return case


def _check_arguments(arguments: Any, tools: Sequence[str], where: str) -> None:
    if not isinstance(arguments, dict) or not all(
        isinstance(tool, str) and isinstance(held, dict) and all(isinstance(k, str) for k in held)
        for tool, held in arguments.items()
    ):
        raise ConfigError(f"{where}: 'arguments' must map a tool's name to its arguments")
    for tool, held in arguments.items():
        if tool not in tools:
            raise ConfigError(f"{where}: 'arguments' of '{tool}', which is not among its 'tools'")
        try:
            json.dumps(held, allow_nan=False)
        except (TypeError, ValueError):
            raise ConfigError(
                f"{where}: 'arguments' of '{tool}' must be what JSON holds (quote dates)"
            ) from None


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
