"""The reference package of the AgentOps book.

The journey of the data, which is also the order in which modules may import each other::

    records → models → etl · agents · evals → wiring → ops → apps

    >>> from agentops_ref import load_config, build
    >>> app = build(load_config())
    >>> app.sync()                            # documents → index, one atomic commit
    >>> app.search("fault code E41")          # list of Hit
    >>> app.agent("What does E41 mean?")      # Answer with citations

Importing the package is cheap: heavy libraries load where they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentops_ref import offline

if TYPE_CHECKING:
    from agentops_ref.config import Config, load_config
    from agentops_ref.errors import AgentOpsError, ConfigError, OperatorError
    from agentops_ref.records import (
        Answer,
        Case,
        Chunk,
        Citation,
        Element,
        Hit,
        Score,
        SyncReport,
        Usage,
    )
    from agentops_ref.wiring import App, build

__version__ = "0.1.0"

offline.apply()

_HOMES = {
    "config": ("Config", "load_config"),
    "errors": ("AgentOpsError", "ConfigError", "OperatorError"),
    "records": (
        "Answer",
        "Case",
        "Chunk",
        "Citation",
        "Element",
        "Hit",
        "Score",
        "SyncReport",
        "Usage",
    ),
    "wiring": ("App", "build"),
}

__all__ = [
    "AgentOpsError",
    "Answer",
    "App",
    "Case",
    "Chunk",
    "Citation",
    "Config",
    "ConfigError",
    "Element",
    "Hit",
    "OperatorError",
    "Score",
    "SyncReport",
    "Usage",
    "build",
    "load_config",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"agentops_ref.{module}"), name)
    raise AttributeError(f"module 'agentops_ref' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
