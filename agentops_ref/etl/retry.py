"""Read again what could not be read for a reason that passes by itself. Taught in chapter 3."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from agentops_ref.errors import AgentOpsError
from agentops_ref.etl.sources.base import ReadFailed
from agentops_ref.settings import RetryConfig

T = TypeVar("T")

PASSING = frozenset({
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE,
    errno.ENOLCK, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
})  # fmt: skip
"""Busy or out of reach. EIO and ESTALE are what network file systems say of a short outage."""
DOWN = 3
"""Documents in a row that no attempt could read, after which each gets one attempt only."""


def can_pass(error: BaseException) -> bool:
    """Whether the same read may succeed in a moment, without anybody changing anything."""
    if isinstance(error, AgentOpsError):
        return error.retryable
    if isinstance(error, ReadFailed | TimeoutError | ConnectionError):
        return True
    return isinstance(error, OSError) and error.errno in PASSING


class Retry:
    """Calls again with exponential backoff and full jitter [1]_, or as long as a server asks.

    When the source as a whole is down, ten thousand documents must not wait one by one: once
    `DOWN` documents in a row could not be read, each gets one attempt, until one succeeds.

    .. [1] M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, config: RetryConfig) -> None:
        self.config = config
        self._failed = 0

    def __call__(self, function: Callable[[], T], again: Callable[[], None]) -> T:
        """Return what ``function`` returns; ``again`` is told before each further attempt.

        Raises
        ------
        Exception
            What the last attempt raised, and at once what trying again cannot help.
        """
        import tenacity

        config = self.config
        backoff = tenacity.wait_random_exponential(
            multiplier=config.first_seconds, max=config.max_seconds
        )

        def wait(state: tenacity.RetryCallState) -> float:
            asked = _asked(state.outcome.exception()) if state.outcome else None
            return backoff(state) if asked is None else asked

        def worth_it(error: BaseException) -> bool:
            return can_pass(error) and (_asked(error) or 0.0) <= config.max_seconds

        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(config.attempts if self._failed < DOWN else 1),
            wait=wait,
            retry=tenacity.retry_if_exception(worth_it),
            before_sleep=lambda _: again(),
            reraise=True,
        )
        try:
            result = attempts(function)
        except Exception as error:
            self._failed = self._failed + 1 if can_pass(error) else 0
            raise
        self._failed = 0
        return result


def _asked(error: BaseException | None) -> float | None:
    return error.retry_after if isinstance(error, ReadFailed) else None
