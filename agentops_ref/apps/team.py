"""The specialists as endpoints of this machine, with the configuration of whoever starts them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from agentops_ref.config import PREFIX, Config
from agentops_ref.ops import endpoints
from agentops_ref.ops.endpoints import Endpoint
from agentops_ref.wiring import App, Progress
from agentops_ref.wiring.teams import endpoint_folder


def start(
    app: App, *, options: Sequence[str] = (), progress: Progress | None = None
) -> list[Endpoint]:
    """Start every specialist that has no ``url``, and wait until all answer.

    What was set with ``--set`` or in code is handed on; ``options`` are further ones of
    `agentops agents serve`, such as the configuration's folder.

    Raises
    ------
    OperatorError
        One of them cannot be started, or does not answer in time.
    """
    settings = app.config.agent.endpoints
    app.ensure_index(progress=progress)  # once, before each of them would
    app.sync_tables()
    app.tracer.connect()
    wanted = app.config.agent.specialists
    return endpoints.up(
        endpoint_folder(app),
        {
            name: partial(_command, name, settings.host, options)
            for name, one in wanted.items()
            if one.url is None
        },
        environ=_set_in_code(app.config),
        host=settings.host,
        port=settings.port,
        seconds=settings.start_seconds,
        progress=progress,
    )


@contextmanager
def running(app: App) -> Iterator[list[Endpoint]]:
    """Have the specialists as endpoints for a while."""
    found = start(app)
    try:
        yield found
    finally:
        endpoints.down(endpoint_folder(app), [one.name for one in found])


def _set_in_code(config: Config) -> dict[str, str]:
    """Return what was set with ``--set`` or in code, as environment variables.

    Not as options: an address may hold a password, and anybody on the machine can read those.
    """
    tree: Any = config.settings.model_dump(mode="json", by_alias=True)
    found = {}
    for key, origin in config.origins.items():
        if not origin.startswith("--set"):
            continue
        value = tree
        for part in key.split("."):
            value = value[part]
        found[PREFIX + key.replace(".", "__").upper()] = json.dumps(value)
    return found


def _command(name: str, host: str, options: Sequence[str], port: int) -> Sequence[str]:
    program = [sys.executable, "-m", "agentops_ref.apps.cli", "agents", "serve", name]
    return [*program, "--host", host, "--port", str(port), *options]
