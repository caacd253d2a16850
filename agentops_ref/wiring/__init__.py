"""The composition root: the only place where names in YAML become objects.

Each module holds one subject, as a class that inherits what it builds upon; `App` is all of them::

    base → models → index → quality
    base → tables
    quality, tables → syncing
    index, tables → agents, extraction
    agents, syncing → evaluation
    evaluation → judges
    judges, extraction → app

Everything below this package receives what it needs as arguments; nothing below reads the
configuration file. A name is one of the short list in `PARTS`, or an import path
``package.module:factory``, so that a project plugs in its own part with one YAML line.
"""

from agentops_ref.records import Hit
from agentops_ref.wiring.app import App, build
from agentops_ref.wiring.base import Progress
from agentops_ref.wiring.parts import PARTS, load

__all__ = ["PARTS", "App", "Hit", "Progress", "build", "load"]
