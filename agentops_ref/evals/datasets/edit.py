"""Adding and retiring cases in a file of YAML without touching what else stands in it.

Taught in chapter 8. A dumper would lose the comments, which say why an expectation is what it is.
So text is added, and the result is parsed again: it must hold what was there and what was meant,
or nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, OperatorError, TransientError, nearest
from agentops_ref.evals.cases import parse_cases
from agentops_ref.files import write_whole
from agentops_ref.records import Case

_ITEM = re.compile(r"^( *)- +\S", re.MULTILINE)
# In the order in which a person reads a case.
_ORDER = ("id", "slice", "corpus_version", "split", "origin", "origin_note", "retired", "question")
_DEFAULTS = Case("", "")


def add_cases(text: str, cases: Iterable[Case], *, path: str) -> tuple[str, tuple[Case, ...]]:
    """Return the file's text with the cases appended, and those that are new.

    A case that stands there already, equal in every field, is left out; if none is new the text
    is what it was.

    Raises
    ------
    ConfigError
        A case that is not valid; an id that stands there for another case, or is used twice in
        what is added; a file whose list of cases cannot be appended to. Names the case.
    """
    there = {case.id: case for case in parse_cases(text, path)}
    new: list[Case] = []
    for case in cases:
        known = there.get(case.id)
        if known is None:
            new.append(case)
            there[case.id] = case
        elif known != case:
            raise ConfigError(
                f"{path}: the id '{case.id}' is used for another case: {known.question!r}; "
                "choose another id, or edit that case in the file"
            )
    if not new:
        return text, ()
    parse_cases("cases:\n" + "\n".join(_block(case, "  ") for case in new), "what is added")
    # The list of cases is the last thing in the file, or the check below finds out.
    indents = [found[1] for found in _ITEM.finditer(text)]
    indent = min(indents, key=len) if indents else "  "
    added = "\n".join(_block(case, indent) for case in new)
    edited = f"{text.rstrip()}\n{added}\n"
    _check(edited, list(there.values()), path, "append the cases by hand, in block style")
    return edited, tuple(new)


def retire_case(text: str, case_id: str, *, why: str, on: str, path: str) -> str:
    """Return the file's text with one case marked as retired, below its id.

    Raises
    ------
    ConfigError
        No reason, no such case, one that is retired already, or one that is not written as lines
        of its own. Names the case and the file.
    """
    cases = parse_cases(text, path)
    known = {case.id: case for case in cases}
    if case_id not in known:
        raise ConfigError(f"{path}: no case '{case_id}'{nearest(case_id, list(known))}")
    if known[case_id].retired:
        raise ConfigError(f"{path}: '{case_id}' is retired already: {known[case_id].retired}")
    if not why.strip():
        raise ConfigError(f"why is '{case_id}' retired? Give the reason with --why")
    reason = f"{on}: {' '.join(why.split())}"
    wanted = [replace(one, retired=reason) if one.id == case_id else one for one in cases]
    line = re.compile(
        rf"^(?P<lead> *(?:- +)?)id: *(['\"]?){re.escape(case_id)}\2 *(?:#.*)?$", re.MULTILINE
    )
    # Another file of cases may stand in a comment or a text; the parsed result decides.
    for found in line.finditer(text):
        indent = " " * len(found["lead"])
        edited = f"{text[: found.end()]}\n{indent}retired: {_flow(reason)}{text[found.end() :]}"
        try:
            _check(edited, wanted, path, "")
        except ConfigError:
            continue
        return edited
    raise ConfigError(
        f"{path}: '{case_id}' is not written as a list item with a line 'id: {case_id}'; add "
        f"'retired: {_flow(reason)}' to it by hand"
    )


def write_cases(path: Path, before: str, after: str) -> bool:
    """Put the new text in the file's place, whole or not at all; say whether there was a change.

    Raises
    ------
    TransientError
        The file no longer holds ``before``: somebody else has edited it meanwhile.
    OperatorError
        It cannot be written.
    """
    if before == after:
        return False
    try:
        if path.read_text(encoding="utf-8") != before:
            raise TransientError(f"{path} was edited meanwhile, nothing was written: try again")
        write_whole(path, after)
    except OSError as error:
        raise OperatorError(f"cannot write {path}: {error.strerror}") from None
    return True


def _check(edited: str, wanted: Sequence[Case], path: str, remedy: str) -> None:
    try:
        held = parse_cases(edited, path)
    except ConfigError as error:
        raise ConfigError(
            f"{path}: the edited file would not be valid ({error}); {remedy}"
        ) from None
    if {case.id: case for case in held} != {case.id: case for case in wanted}:
        raise ConfigError(f"{path}: its list of cases does not stand last; {remedy}")


def _block(case: Case, indent: str) -> str:
    keys = [*_ORDER, *(f.name for f in fields(Case) if f.name not in _ORDER)]
    held = {
        key: value
        for key in keys
        if (value := getattr(case, key)) != getattr(_DEFAULTS, key) or key == "id"
    }
    lines = [f"{key}: {_flow(value)}" for key, value in held.items()]
    return "\n".join(f"{indent}{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines))


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    import yaml

    plain = _plain(value)
    dumped = yaml.safe_dump(
        plain, default_flow_style=True, allow_unicode=True, width=2**31, sort_keys=False
    )
    return str(dumped).removesuffix("\n").removesuffix("\n...").strip(" \n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
