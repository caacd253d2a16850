"""What may be called when: the rate of a tool, and what one request has called before.

Taught in chapter 6. Both are kept in memory and hold for this process; what must hold across
processes (a booking that is made once) is the business of the tool's own store.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any

from agentops_ref.agents.tools.spec import Rate


def wait_for(times: Sequence[float], rate: Rate, now: float) -> float:
    """Return the seconds until one more call keeps the rate; 0 when it may be made now.

    Parameters
    ----------
    times
        When the calls before were made, ascending.

    >>> wait_for([0.0, 8.0], Rate(2, 10), 9.0)
    1.0
    """
    if len(times) < rate.calls:
        return 0.0
    return max(0.0, times[-rate.calls] + rate.seconds - now)


class RateLimit:
    """Counts calls in sliding windows. Safe to share between threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._guard = clock, threading.Lock()
        self._made: dict[Hashable, deque[float]] = defaultdict(deque)

    def admit(self, key: Hashable, rate: Rate | None) -> float:
        """Count a call and return 0, or return the seconds to wait and count nothing."""
        if rate is None:
            return 0.0
        with self._guard:
            made, now = self._made[key], self._clock()
            if wait := wait_for(made, rate, now):
                return wait
            made.append(now)
            while len(made) > rate.calls:
                made.popleft()
            return 0.0


class Calls:
    """The calls of each request, so that the same one is not made twice.

    Only the newest ``requests`` are remembered, or a service would grow with each. Safe to share
    between threads.
    """

    def __init__(self, requests: int = 1000) -> None:
        self._most, self._guard = requests, threading.Lock()
        self._of: OrderedDict[Hashable, dict[Hashable, Future[Any]]] = OrderedDict()

    def claim(self, request: Hashable, call: Hashable) -> tuple[Future[Any], bool]:
        """Return the call's outcome, there or to come, and whether the caller is to make it.

        Of callers at the same moment one is told to make the call; the others wait for its outcome.
        """
        with self._guard:
            made = self._of.setdefault(request, {})
            self._of.move_to_end(request)
            while len(self._of) > self._most:
                self._of.popitem(last=False)
            if call in made:
                return made[call], False
            made[call] = Future()
            return made[call], True

    def forget(self, request: Hashable, call: Hashable, outcome: Future[Any]) -> None:
        """Let the call be made again: it was not, or it failed and changed nothing."""
        with self._guard:
            made = self._of.get(request, {})
            if made.get(call) is outcome:
                del made[call]


class Busy:
    """Counts the calls of a tool that are running, so that a hung one does not gather threads."""

    def __init__(self, most: int) -> None:
        self.most, self._guard = most, threading.Lock()
        self._running: dict[str, int] = defaultdict(int)

    def enter(self, tool: str) -> bool:
        """Count a call, unless as many as may be are running."""
        with self._guard:
            if self._running[tool] >= self.most:
                return False
            self._running[tool] += 1
            return True

    def leave(self, tool: str) -> None:
        with self._guard:
            self._running[tool] -= 1
