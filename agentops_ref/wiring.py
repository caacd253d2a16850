"""The composition root: the only place where names in YAML become objects.

Everything below this module receives what it needs as arguments; nothing below reads the
configuration file. A name is one of the short list in `PARTS`, or an import path
``package.module:factory``, so that a project plugs in its own part with one YAML line.
"""

from __future__ import annotations

import importlib
from typing import Any

from agentops_ref.errors import ConfigError, nearest

PARTS: dict[str, dict[str, str]] = {}
"""kind of part → name in YAML → import path; our own back ends come in through it as well."""


def load(kind: str, name: str) -> Any:
    """Return the object behind ``name``: one of `PARTS` or an import path ``module:attribute``."""
    known = PARTS.get(kind, {})
    target = known.get(name, name)
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ConfigError(f"unknown {kind} '{name}'{nearest(name, tuple(known))}")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{kind} '{name}': cannot import {target}: {error}") from error
