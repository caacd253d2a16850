"""Switches that keep libraries from calling home. Set once, on import of the package.

Each can be overridden by setting the variable before Python starts. A test proves that a whole
run opens no connection but to loopback.
"""

from __future__ import annotations

import os

SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",  # unstructured, Daft and others
    "DAFT_ANALYTICS_ENABLED": "0",
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "RAY_USAGE_STATS_ENABLED": "0",
    "SCARF_NO_ANALYTICS": "true",
    "RAGAS_DO_NOT_TRACK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise ten seconds of retries at first use
    "MLFLOW_MODEL_CATALOG_URI": "",  # otherwise a price list is fetched
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "HF_HUB_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    # Traces are read back right after they were made; 30 ms each is a fair price for that.
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    # A checkpoint's bytes name classes; only those of messages and of a graph's state are made.
    "LANGGRAPH_STRICT_MSGPACK": "true",
    # A run's outputs lie beside the store; a bar for copying one file tells nobody anything.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # The evaluation harness draws its own progress bar; ours knows the cases.
    "MLFLOW_GENAI_EVAL_ENABLE_SCORER_TRACING": "false",
}


def apply() -> None:
    """Set every switch that the user has not set."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
