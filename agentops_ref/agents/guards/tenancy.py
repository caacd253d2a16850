"""Does a text name a customer, a unit or an invoice of another tenant? Taught in chapter 7.

The query and the filter keep tenants apart (`agents.tenants`, `agents.tools.records`). This is the
second line, for what gets around them: a tool of somebody else's, a text that was pasted into the
wrong row. What the question itself names may be named again: "no unit NL16-231066" tells nothing.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Lock, Thread

from agentops_ref.agents.guards.decision import Channel, Context, Decision, OnHit, hit, passed

Owners = Mapping[str, frozenset[str]]
"""What names somebody or something, in lower case → the tenants to whom it belongs."""
FRESH, STALE = 60.0, 600.0
"""Seconds after which the owners are read anew beside the work, and after which it waits for it."""
log = logging.getLogger(__name__)
_TOKEN = re.compile(r"[\w@.+-]*\w", re.UNICODE)


def owners_of(rows: Iterable[tuple[str, str]]) -> Owners:
    """Return the owners of (name, tenant) pairs; a name of two tenants belongs to both."""
    found: dict[str, set[str]] = {}
    for name, tenant in rows:
        if key := " ".join(str(name).lower().split()):
            found.setdefault(key, set()).add(tenant)
    return {key: frozenset(tenants) for key, tenants in found.items()}


class Tenancy:
    """Finds names that belong to others than the request's tenant.

    Parameters
    ----------
    owners
        Returns whose every name is; asked again, in a thread, after a minute: a request does not
        wait for that unless what is known is ten minutes old.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        *,
        on_hit: OnHit,
        owners: Callable[[], Owners],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_hit, self._ask, self._clock = on_hit, owners, clock
        self._lock, self._read_at, self._reading = Lock(), 0.0, False
        self._known: tuple[Owners, int] | None = None

    def check(self, text: str, channel: Channel, context: Context) -> Decision:
        """Look up every name of a text. The support desk may name all."""
        if context.request.desk:
            return passed(text)
        tenant, asked = context.request.tenant, context.question.lower()
        found = [
            f"tenancy: {name} is not {tenant or 'nobody'}'s"
            for name, owners in self._named(text)
            if tenant not in owners and name not in asked
        ]
        return hit(self._on_hit, found) if found else passed(text)

    def _named(self, text: str) -> list[tuple[str, frozenset[str]]]:
        owners, most = self._owners()
        tokens = [found.lower() for found in _TOKEN.findall(text)]
        named = {}
        for size in range(1, most + 1):
            for start in range(len(tokens) - size + 1):
                name = " ".join(tokens[start : start + size])
                if name in owners:
                    named[name] = owners[name]
        return sorted(named.items())

    def _owners(self) -> tuple[Owners, int]:
        with self._lock:
            age = self._clock() - self._read_at
            if self._known is None or age > STALE:
                self._known, self._read_at = self._read(), self._clock()
            elif age > FRESH and not self._reading:
                self._reading = True
                Thread(target=self._renew, name="owners", daemon=True).start()
            return self._known

    def _read(self) -> tuple[Owners, int]:
        owners = self._ask()
        return owners, max((len(name.split()) for name in owners), default=0)

    def _renew(self) -> None:
        at = self._clock()
        try:
            known = self._read()
        except Exception:  # asked again with the next request, and waited for in the end
            log.exception("whose the names are was not read anew")
            known = None
        with self._lock:
            self._reading = False
            if known is not None and at >= self._read_at:
                self._known, self._read_at = known, at
