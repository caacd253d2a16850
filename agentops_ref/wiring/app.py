"""All parts together."""

from __future__ import annotations

from agentops_ref.config import Config
from agentops_ref.wiring.datasets import Datasets
from agentops_ref.wiring.errors import ErrorAnalysis
from agentops_ref.wiring.extraction import Extraction
from agentops_ref.wiring.judges import Judges
from agentops_ref.wiring.optimising import Optimising


class App(Datasets, ErrorAnalysis, Judges, Optimising, Extraction):
    """The wired objects, each made when it is first touched.

    ``app.sync()``, ``app.search("...")``, ``app.agent("...")`` and ``app.evaluate()`` are what
    most users need; the parts behind them (``source``, ``sink``, ``chat``, ...) are public.
    """


def build(config: Config) -> App:
    """Wire the package as the configuration says. Cheap: parts are made when they are touched."""
    return App(config)
