"""Scorers: one case and one answer in, one score with its reason out.

Taught in chapter 8. A scorer is a plain function, named in YAML by its import path and pinned by
the hash of its source (`scorer_digest`). The same function gates a release and scores sampled
production traffic; a check that a case does not ask for is not applicable (``value`` None).
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import Any, Protocol

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.matching import states, unsupported
from agentops_ref.records import Answer, Case, Score


class Scorer(Protocol):
    """Scores one answer. Raising is allowed: `apply` turns it into a score with an error."""

    __name__: str

    def __call__(self, case: Case, answer: Answer) -> Score: ...


def correct(case: Case, answer: Answer) -> Score:
    """Abstains when it must; otherwise states every fact and nothing forbidden. 0 or 1."""
    name = "correct"
    if case.abstain or answer.abstained:
        right = case.abstain == answer.abstained
        return Score(name, float(right), abstention_right(case, answer).rationale)
    missing, wrong = _missing(case, answer.text), _stated(case.forbidden, answer.text)
    reasons = [f"missing: {fact}" for fact in missing] + [f"forbidden: {text}" for text in wrong]
    return Score(name, float(not reasons), "; ".join(reasons) or "all facts, nothing forbidden")


def facts_present(case: Case, answer: Answer) -> Score:
    """Share of the expected facts that the answer states."""
    name = "facts_present"
    if case.abstain or not case.facts:
        return Score(name, None, "no facts expected")
    if answer.abstained:
        return Score(name, 0.0, "abstained")
    missing = _missing(case, answer.text)
    reason = f"missing: {'; '.join(missing)}" if missing else "all facts stated"
    return Score(name, 1 - len(missing) / len(case.facts), reason)


def nothing_forbidden(case: Case, answer: Answer) -> Score:
    """1 unless the answer states a value that would do harm: withdrawn, or another model's."""
    name = "nothing_forbidden"
    if not case.forbidden:
        return Score(name, None, "nothing is forbidden")
    wrong = [] if answer.abstained else _stated(case.forbidden, answer.text)
    return Score(name, float(not wrong), f"states {'; '.join(wrong)}" if wrong else "none stated")


def abstention_right(case: Case, answer: Answer) -> Score:
    """1 when the agent abstained exactly where the documents hold no answer."""
    did = "abstained" if answer.abstained else "answered"
    must = "the documents hold no answer" if case.abstain else "the documents hold the answer"
    return Score("abstention_right", float(case.abstain == answer.abstained), f"{did}; {must}")


def citation_right(case: Case, answer: Answer) -> Score:
    """1 when a quote from a right document holds a fact, ½ when only the document is right."""
    name = "citation_right"
    if case.abstain or not case.sources:
        return Score(name, None, "no source expected")
    if not answer.citations:
        return Score(name, 0.0, "abstained" if answer.abstained else "nothing cited")
    cited = [citation for citation in answer.citations if citation.document in case.sources]
    if not cited:
        documents = ", ".join(dict.fromkeys(c.document for c in answer.citations))
        return Score(name, 0.0, f"cites {documents}; expected {' or '.join(case.sources)}")
    for citation in cited:
        for fact in case.facts:
            # A table row has its unit in the header, which the quoted line lacks.
            if states(citation.quote, fact, bare="always"):
                return Score(name, 1.0, f"{citation.document} holds: {fact}")
    return Score(name, 0.5, f"{cited[0].document} is right, the quote holds no fact")


def numbers_grounded(case: Case, answer: Answer) -> Score:
    """1 when every quantity of the answer stands in an excerpt that the model was shown.

    Needs no expectation, so it also scores production traffic; an invented value is found, a real
    value of the wrong model is not.
    """
    name = "numbers_grounded"
    if answer.abstained:
        return Score(name, None, "abstained")
    evidence = "\n".join([case.question, *(hit.chunk.text for hit in answer.hits)])
    invented = unsupported(answer.text, evidence)
    reason = f"not in the excerpts: {', '.join(invented)}" if invented else "all in the excerpts"
    return Score(name, float(not invented), reason)


def apply(scorer: Scorer, case: Case, answer: Answer) -> Score:
    """Score; a scorer that raises gives a score with its error."""
    try:
        return scorer(case, answer)
    except Exception as error:
        return Score(scorer.__name__, None, error=f"{type(error).__name__}: {error}")


def load_scorers(paths: Sequence[str]) -> list[Scorer]:
    """Import scorers by their paths ``package.module:function``."""
    found = [_import(path) for path in paths]
    names = [scorer.__name__ for scorer in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"evals.scorers: two scorers are called '{name}'")
    return found


def scorer_path(scorer: Scorer) -> str:
    """Return the import path under which a configuration names the scorer."""
    return f"{getattr(scorer, '__module__', '?')}:{getattr(scorer, '__qualname__', '?')}"


def scorer_digest(scorer: Scorer) -> str:
    """Hash what decides the scorer's verdict: 12 hex digits of SHA-256.

    Covers its own source, the functions of its module that it reaches, and the source of every
    other module of its package that these use; not the records, and not third parties. A scorer
    that is more than code (a judge with a prompt and a model) says so in an attribute ``digest``.
    """
    own = getattr(scorer, "digest", None)
    if isinstance(own, str):
        return own
    parts: dict[str, str] = {}
    target: Any = inspect.unwrap(scorer)
    if isinstance(target, FunctionType):
        _collect(target, parts)
    else:
        parts[type(target).__qualname__] = inspect.getsource(type(target))
    text = "\n".join(f"# {name}\n{parts[name]}" for name in sorted(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _missing(case: Case, text: str) -> list[str]:
    return [fact for fact in case.facts if not states(text, fact)]


def _stated(facts: Sequence[str], text: str) -> list[str]:
    return [fact for fact in facts if states(text, fact)]


def _import(path: str) -> Scorer:
    module, _, attribute = path.partition(":")
    try:
        scorer: Any = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise ConfigError(f"evals.scorers: cannot import {path}: {error}") from error
    except AttributeError:
        known = [name for name in vars(sys.modules[module]) if not name.startswith("_")]
        hint = nearest(attribute, known)
        raise ConfigError(f"evals.scorers: no '{attribute}' in {module}{hint}") from None
    if not callable(scorer) or not hasattr(scorer, "__name__"):
        raise ConfigError(f"evals.scorers: {path} is not a function")
    found: Scorer = scorer
    return found


def _collect(function: FunctionType, parts: dict[str, str]) -> None:
    package = function.__module__.rpartition(".")[0]
    name = f"{function.__module__}.{function.__qualname__}"
    if name in parts:
        return
    parts[name] = inspect.getsource(function)
    for used in _names(function.__code__):
        target = function.__globals__.get(used)
        module = getattr(target, "__module__", None)
        if isinstance(target, FunctionType) and module == function.__module__:
            _collect(target, parts)
        elif module and package and module.startswith(f"{package}."):
            parts[module] = inspect.getsource(sys.modules[module])


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
