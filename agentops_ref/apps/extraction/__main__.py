"""Measure as configured and print it."""

from agentops_ref.apps.extraction.report import lines, measure
from agentops_ref.config import load_config
from agentops_ref.wiring import build

if __name__ == "__main__":
    print("\n".join(lines(measure(build(load_config())))))
