"""From the section ``guards:`` to guards; a name is one of `GUARDS`, or an import path.

Taught in chapter 7.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.agents.guards.checks import Check, Guards
from agentops_ref.agents.guards.decision import Channel, Guard
from agentops_ref.errors import ConfigError, nearest
from agentops_ref.settings_guards import CheckConfig, GuardsConfig
from agentops_ref.tracing import Tracer

if TYPE_CHECKING:
    from agentops_ref.agents.guards.tenancy import Owners


@dataclass(frozen=True, slots=True)
class Parts:
    """What guards are made of beside their options."""

    file: Callable[[Path], Path]
    """Resolves a file of the configuration."""
    owners: Callable[[], Owners]
    names: Callable[[], Iterable[str]] = tuple
    """Returns the names of known people."""
    embeddings: Callable[[], Any] | None = None


def injection(parts: Parts, *, rules: str, **more: Any) -> Guard:
    from agentops_ref.agents.guards.injection import Injection

    return Injection(rules=parts.file(Path(rules)), **more)


def links(parts: Parts, **more: Any) -> Guard:
    from agentops_ref.agents.guards.links import Links

    return Links(**more)


def grounded(parts: Parts, **more: Any) -> Guard:
    from agentops_ref.agents.guards.grounded import Grounded

    return Grounded(**more)


def tenancy(parts: Parts, **more: Any) -> Guard:
    from agentops_ref.agents.guards.tenancy import Tenancy

    return Tenancy(owners=parts.owners, **more)


def scope(parts: Parts, *, examples: str, **more: Any) -> Guard:
    from agentops_ref.agents.guards.scope import Scope

    return Scope(examples=parts.file(Path(examples)), embeddings=parts.embeddings, **more)


def pii(parts: Parts, *, find: str, score: float = 0.5, keep: str = r"(?!)", **more: Any) -> Guard:
    from agentops_ref.agents.guards.personal import Finder, Masker, Patterns, Presidio
    from agentops_ref.agents.guards.pii import Pii

    if find not in ("patterns", "presidio"):
        raise ConfigError(f"options.find: expected patterns or presidio, got '{find}'")
    finder: Finder = Patterns(parts.names)
    if find == "presidio":
        finder = Presidio(parts.names, score=score, keep=keep)
    return Pii(masker=Masker(finder), **more)


GUARDS: Mapping[str, Callable[..., Guard]] = {
    one.__name__: one for one in (injection, links, grounded, tenancy, scope, pii)
}
"""Name in YAML → factory: called with the `Parts`, ``on_hit`` and the options."""
MADE_FOR: Mapping[str, tuple[Channel, ...]] = {
    "injection": ("user", "document", "tool"),
    "tenancy": ("tool", "answer"),
    "scope": ("user",),
}
"""Channels that a guard is measured on where the configuration has it off; others: the answer."""


def build_guards(
    settings: GuardsConfig, parts: Parts, *, tracer: Tracer | None = None, every: bool = False
) -> Guards:
    """Return the configured guards; one without channels is left out.

    With ``every`` it is not, and looks at those that it is made for.

    Raises
    ------
    ConfigError
        A guard that is not known, or options that it does not take.
    """
    checks = {
        name: Check(
            _made(name, one, parts), tuple(one.channels) or MADE_FOR.get(one.guard, ("answer",))
        )
        for name, one in settings.checks.items()
        if one.channels or every
    }
    return Guards(checks, withheld=settings.refusals.withheld, tracer=tracer)


def _made(name: str, one: CheckConfig, parts: Parts) -> Guard:
    make = GUARDS.get(one.guard)
    if make is None:
        module, colon, attribute = one.guard.partition(":")
        if not colon:
            known = nearest(one.guard, tuple(GUARDS))
            raise ConfigError(f"guards.checks.{name}.guard: no guard '{one.guard}'{known}")
        try:
            make = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"guards.checks.{name}.guard: cannot import '{one.guard}' (expected "
                f"module:attribute): {error}"
            ) from error
    try:
        made: Guard = make(parts, on_hit=one.on_hit, **one.options)
    except TypeError as error:
        raise ConfigError(f"guards.checks.{name}.options: {error}") from error
    return made
