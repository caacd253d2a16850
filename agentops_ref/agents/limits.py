"""One request's limits, shared by all that works on it: a deadline, steps, tokens, money.

Taught in chapter 5. A step is run through `Limits.run`, which waits for it no longer than the
request has left, so that a model or a tool that hangs ends in a stated answer and not in silence.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from agentops_ref.errors import AgentOpsError, reason
from agentops_ref.records import Usage

T = TypeVar("T")


class LimitReached(AgentOpsError):
    """A request has used up what it was given; ``limit`` is seconds, steps, tokens or cost."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class StepEnded(AgentOpsError):
    """A step tried to end its thread or its process in place of giving a result."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one request may use; None is no limit."""

    seconds: float | None = None
    """Wall time from the request's arrival to its answer."""
    steps: int | None = None
    """Model calls, those of sub-agents included."""
    tokens: int | None = None
    """Of prompts and answers together."""
    cost: float | None = None
    """US dollars."""


class Limits:
    """What is left of an allowance. Safe to share between threads.

    Parameters
    ----------
    whole
        Limits that these are a part of: what is spent here is spent there, and may be no more.
    """

    def __init__(
        self,
        allowance: Allowance | None = None,
        *,
        whole: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.allowance, self._whole = allowance or Allowance(), whole
        self._clock, self._started = clock, clock()
        self._guard = threading.Lock()
        self._doing: list[str] = []
        self.late = ""
        """The last step that did not answer."""
        self.usage = Usage()

    def left(self) -> float | None:
        """Return the seconds until the deadline, at least 0; None for no deadline."""
        theirs = self._whole.left() if self._whole else None
        if self.allowance.seconds is None:
            return theirs
        ours = max(0.0, self.allowance.seconds - (self._clock() - self._started))
        return ours if theirs is None else min(ours, theirs)

    def spend(self, usage: Usage) -> None:
        """Take note of what a step cost; a step that was done is never undone."""
        with self._guard:
            self.usage = self.usage + usage
        if self._whole:
            self._whole.spend(usage)

    def rest(self) -> Allowance:
        """Return what is left, as the allowance of a part that is done elsewhere."""
        given, used = self.allowance, self.usage
        theirs = self._whole.rest() if self._whole else Allowance()
        return Allowance(
            seconds=self.left(),
            steps=_least(given.steps, used.calls, theirs.steps),
            tokens=_least(given.tokens, used.tokens, theirs.tokens),
            cost=_least(given.cost, used.cost, theirs.cost),
        )

    @property
    def doing(self) -> str:
        """The innermost step that is waited for; empty where there is none."""
        with self._guard:
            return self._doing[-1] if self._doing else ""

    @contextmanager
    def _does(self, what: str) -> Iterator[None]:
        every, whole = [self], self._whole
        while whole is not None:
            every.append(whole)
            whole = whole._whole
        for one in every:
            with one._guard:
                one._doing.append(what)
        try:
            yield
        except FutureTimeout:
            for one in every:
                one.late = what
            raise
        finally:
            for one in every:
                with one._guard:
                    one._doing.remove(what)

    def check(self) -> None:
        """Say whether another step may begin.

        Raises
        ------
        LimitReached
            One limit is used up; names it, and how much it was.
        """
        if self._whole:
            self._whole.check()
        given, used = self.allowance, self.usage
        if self.left() == 0:
            raise LimitReached("seconds", f"the request's {given.seconds:.3g} seconds are over")
        for limit, most, spent in (
            ("steps", given.steps, used.calls),
            ("tokens", given.tokens, used.tokens),
            ("cost", given.cost, used.cost),
        ):
            if most is not None and spent >= most:
                raise LimitReached(
                    limit, f"the request's {limit} are used up: {spent:g} of {most:g}"
                )

    def run(self, what: str, step: Callable[[], T], *, at_most: float | None = None) -> T:
        """Run a step and wait for it as long as the request has left, or ``at_most`` seconds.

        A step that takes longer goes on in its thread, which cannot be ended from outside, and what
        it returns is dropped. One that wants to end the process (`SystemExit`) has failed.

        Raises
        ------
        LimitReached
            The deadline came first.
        TimeoutError
            ``at_most`` came first; the request goes on.
        """
        self.check()
        left = self.left()
        wait = min((s for s in (left, at_most) if s is not None), default=None)
        if wait is None:
            return _tamed(what, step, KeyboardInterrupt)
        context = contextvars.copy_context()  # spans belong below the one that is open here
        done: Future[T] = Future()

        def work() -> None:
            try:
                done.set_result(context.run(_tamed, what, step))
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=work, name=f"agentops {what}", daemon=True).start()
        try:
            with self._does(what):
                return done.result(wait)
        except FutureTimeout as error:
            if done.done():  # the step's own time-out
                raise
            if left is not None and (at_most is None or left <= at_most):
                message = f"{what}: no answer within the request's {self._most():.3g} seconds"
                raise LimitReached("seconds", message) from error
            raise TimeoutError(f"{what}: no answer within {wait:.3g} seconds") from error

    def _most(self) -> float:
        """Return the seconds of whichever deadline comes first."""
        ours, theirs = self.allowance.seconds, self._whole
        if theirs is None or theirs.left() is None or (ours is not None and ours <= theirs._most()):
            assert ours is not None  # or nobody would have waited
            return ours
        return theirs._most()


def _tamed(what: str, step: Callable[[], T], *through: type[BaseException]) -> T:
    """Run a step; what would end a thread or a process without being an error becomes one."""
    try:
        return step()
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, through):
            raise
        raise StepEnded(f"{what} ended with {reason(error)}") from error


def _least(given: float | None, used: float, theirs: Any) -> Any:
    """Return what is left of an own and of the whole's limit, whichever is less."""
    left = [one for one in (None if given is None else given - used, theirs) if one is not None]
    return min(left, default=None)
