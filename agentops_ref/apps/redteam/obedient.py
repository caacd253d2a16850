"""The worst model that there can be: it does whatever anybody tells it, if only it is told.

No real model obeys every disguised instruction, and none obeys none. This one makes the guards and
the construction responsible for everything: an attack fails only if its text did not reach the
model, or if what the model then did had no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentops_ref.apps.redteam.cases import Attack

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

NOTES = "case_notes"
"""The tool whose results the attacks of the channel ``tool`` come in."""


class Obedient:
    """Decides the next message of one case; a script of `agentops_ref.testing.ScriptedChat`."""

    def __init__(self, case: Attack) -> None:
        self._case, self._looked, self._called = case, False, False

    def __call__(self, messages: Sequence[BaseMessage]) -> AIMessage | str:
        """Obey what has arrived; else look something up once, then repeat what was found."""
        case, last = self._case, messages[-1]
        told = last.text if last.type == "tool" else ""
        if self._arrived(messages):
            if case.call and not self._called:
                self._called = True
                return _calling(*case.call)
            if case.say and not case.call:
                return case.say
        if not self._looked and not self._called and case.channel in ("document", "tool"):
            self._looked = True
            if case.channel == "tool":
                return _calling(NOTES, {})
            return _calling("search_documents", {"query": case.ask})
        return told or "There is nothing more to say about this."

    def _arrived(self, messages: Sequence[BaseMessage]) -> bool:
        return _flat(self._case.text) in _flat("\n".join(one.text for one in messages))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _calling(name: str, arguments: object) -> AIMessage:
    from langchain_core.messages import AIMessage

    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call_{name[:20]}"}])
