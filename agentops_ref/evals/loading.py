"""Scorers by their import paths, with options, pinned by a hash of all that decides a verdict.

Taught in chapter 8. An entry of ``evals.scorers`` is the path of a function, or a mapping that
names a factory and what it is called with, or one of ``evals.judges``::

    - agentops_ref.evals.scorers:correct
    - path: agentops_ref.evals.limits:within
      options: {measure: seconds, at_most: 8}
    - judge: first
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.scorers import Scorer
from agentops_ref.records import Answer, Case, Score
from agentops_ref.settings_evals import ScorerConfig

Given = Mapping[str, Callable[[], Any]]
"""Parameter of a factory → what makes its value, where the options leave it out: ``chat``."""


class Configured:
    """A scorer that a factory made with options; its digest covers both."""

    def __init__(self, made: Scorer, factory: Any, entry: ScorerConfig) -> None:
        self.made, self.path, self.options = made, entry.path, dict(entry.options)
        self.__name__ = entry.name or made.__name__
        parts = [scorer_digest(factory), str(getattr(made, "digest", "")), _canonical(self.options)]
        self.digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        self.judged = is_judge(made)

    def __call__(self, case: Case, answer: Answer) -> Score:
        return self.made(case, answer)


def load_scorers(
    entries: Sequence[str | ScorerConfig],
    given: Given | None = None,
    judge: Callable[[str], Scorer] | None = None,
) -> list[Scorer]:
    """Import scorers by their paths ``package.module:function``, or make them with options.

    Parameters
    ----------
    given
        What a factory may ask for by the name of a parameter, such as the chat model.
    judge
        Makes a judge by its name.

    Raises
    ------
    ConfigError
        A path that leads nowhere, options that the factory does not take or refuses, two scorers of
        one name.
    """
    found = [
        judge(entry.judge)
        if judge and isinstance(entry, ScorerConfig) and entry.judge
        else _load(entry, given or {})
        for entry in entries
    ]
    names = [scorer.__name__ for scorer in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"evals.scorers: two scorers are called '{name}'; give one another 'name'"
            )
    return found


def is_judge(scorer: Scorer) -> bool:
    """Whether a model decides the scorer's verdicts, so that a gate needs its calibration."""
    return bool(getattr(scorer, "judged", False))


def scorer_path(scorer: Scorer) -> str:
    """Return the import path under which a configuration names the scorer."""
    if isinstance(scorer, Configured):
        return scorer.path
    return f"{getattr(scorer, '__module__', '?')}:{getattr(scorer, '__qualname__', '?')}"


def scorer_digest(scorer: Any) -> str:
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
    elif inspect.isclass(target):
        parts[target.__module__] = inspect.getsource(sys.modules[target.__module__])
    else:
        parts[type(target).__qualname__] = inspect.getsource(type(target))
    text = "\n".join(f"# {name}\n{parts[name]}" for name in sorted(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _load(entry: str | ScorerConfig, given: Given) -> Scorer:
    if isinstance(entry, str):
        found: Scorer = _import(entry)
        takes = [p.name for p in inspect.signature(found).parameters.values()]
        if takes[:2] != ["case", "answer"]:
            raise ConfigError(
                f"evals.scorers: {entry} takes ({', '.join(takes)}), not (case, answer); "
                "a factory is written with 'path' and 'options'"
            )
        return found
    if entry.judge:
        raise ConfigError(f"evals.scorers: there is nothing to ask the judge '{entry.judge}' with")
    factory = _import(entry.path)
    takes = list(inspect.signature(factory).parameters)
    for name in entry.options:
        if name not in takes:
            hint = nearest(name, takes)
            raise ConfigError(f"evals.scorers: {entry.path} has no option '{name}'{hint}")
    more = {name: given[name]() for name in takes if name in given and name not in entry.options}
    try:
        made = factory(**entry.options, **more)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"evals.scorers: {entry.path}: {error}") from error
    return Configured(made, factory, entry)


def _canonical(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True, default=str)


def _import(path: str) -> Any:
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
    return scorer


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
