"""One event loop in the background, for libraries that are asynchronous only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

GRACE = 2.0
"""Seconds that a coroutine which was cancelled has for putting things in order."""


def run(work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
    """Run a coroutine in the background loop and wait for it; by default as long as it takes.

    Raises
    ------
    TimeoutError
        It took longer than ``seconds`` and was cancelled.
    """
    waiting = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), _loop())
    try:
        return waiting.result(None if seconds is None else seconds + GRACE)
    except TimeoutError:
        if seconds is None:  # the work's own
            raise
        waiting.cancel()
        raise TimeoutError(f"no answer within {seconds:g} seconds") from None


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="agentops tools", daemon=True).start()
    return loop
