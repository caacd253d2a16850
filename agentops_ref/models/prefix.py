"""The instructions of a prompt are read by a local model once, and not again for each question.

Taught in chapter 1. What two prompts share at their start has the same state in the model. A server
that reuses whatever the last prompt left makes an answer depend on what was asked before: other
batches round otherwise, and at temperature 0 one rounding can change an answer. So the state of a
system message is computed by itself, kept, and put back before each question: the same question
gets the same answer, whatever came before it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
MOST = 16
"""States that are kept, some 28 kB a token with a model of 1.5 billion parameters."""


class Prefixes:
    """The states of the system messages that were used last, in files of this process.

    Parameters
    ----------
    ask
        Sends one request in the OpenAI chat format to the server, which has one slot.
    act
        Sends ("save" or "restore", file name) of that slot; raises OSError if it was not done.
    """

    def __init__(
        self, ask: Callable[[dict[str, Any]], Any], act: Callable[[str, str], None], folder: Path
    ) -> None:
        self._ask, self._act, self._folder = ask, act, folder
        self._kept: OrderedDict[str, None] = OrderedDict()

    def put_back(self, system: str) -> bool:
        """Have the server hold exactly this system message; False if it cannot."""
        name = f"{hashlib.sha256(system.encode()).hexdigest()[:24]}.state"
        try:
            if name not in self._kept:
                self._compute(system, name)
            self._kept.move_to_end(name)
            self._act("restore", name)
        except OSError as error:
            log.warning("the system message is read again for each question: %s", error)
            self._kept.pop(name, None)
            return False
        return True

    def _compute(self, system: str, name: str) -> None:
        told = [{"role": "system", "content": system}, {"role": "user", "content": ""}]
        # One token is the least that is generated; it is dropped with the empty question.
        self._ask({"messages": told, "temperature": 0, "max_tokens": 1, "cache_prompt": False})
        self._act("save", name)
        self._kept[name] = None
        while len(self._kept) > MOST:
            oldest, _ = self._kept.popitem(last=False)
            (self._folder / oldest).unlink(missing_ok=True)
