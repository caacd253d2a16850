"""What a tool is: its specification, who calls it, what comes back.

Taught in chapter 6. A source of tools (Python functions, an MCP server, an OpenAPI document, Unity
Catalog) makes objects of the `Tool` protocol; the `Registry` is the only one that calls them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol
from uuid import uuid4

from agentops_ref.agents.identity import Identity
from agentops_ref.errors import DeveloperError, ModelError, encodable

Effect = Literal["read", "write"]
Repeat = Literal["free", "once", "never"]
Status = Literal[
    "begun", "ok", "invalid", "denied", "limited", "waiting", "timeout", "failed", "unknown"
]
"""What became of a call. ``begun`` is only an audit's: a write that is about to be made.
``waiting``: nothing was done, and a person decides whether it will be."""

EVERYBODY = "*"
MAX_CHARS = 2000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
RESERVED = "none"
"""What a model without tool calls of its own says for the step without a tool."""


class WrongArguments(ModelError):
    """A tool cannot use these arguments. Names the argument and what was expected."""


class Rate(NamedTuple):
    """At most ``calls`` in any ``seconds``, for each tenant."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What is known of a tool before it is called; a model sees the first three fields.

    Raises
    ------
    DeveloperError
        A name that a model cannot be offered, or a limit that admits nothing.
    """

    name: str
    description: str
    """One short sentence: every tool's stands in every prompt."""
    parameters: Mapping[str, Any]
    """JSON schema of the arguments, an object's."""
    version: str = "1"
    effect: Effect = "read"
    timeout: float = 10.0
    """Seconds."""
    rate: Rate | None = None
    agents: tuple[str, ...] = (EVERYBODY,)
    """Names of the agents that may call it."""
    roles: tuple[str, ...] = (EVERYBODY,)
    """Roles of those on whose behalf it may be called; see `agentops_ref.agents.auth`."""
    repeat: Repeat | None = None
    """Whether one request may call it again with the same arguments: freely; `once`, and again is
    given the first result; never, and again is refused. By default a read is free, a write once."""
    max_chars: int = MAX_CHARS
    """A model is told so many characters of a result, and that it was cut."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == RESERVED:
            raise DeveloperError(
                f"tool name {self.name!r}: expected a letter, then letters, digits, '_' or '-', "
                f"at most 64, and not '{RESERVED}'"
            )
        if self.timeout <= 0 or self.max_chars <= 0:
            raise DeveloperError(f"tool {self.name}: timeout and max_chars must be above 0")
        if self.rate is not None and (self.rate.calls < 1 or self.rate.seconds <= 0):
            raise DeveloperError(f"tool {self.name}: rate must admit a call in some time")
        if self.repeat is None:
            object.__setattr__(self, "repeat", "free" if self.effect == "read" else "once")

    def admits(self, agent: str) -> bool:
        """Whether an agent of this name may call the tool."""
        return EVERYBODY in self.agents or agent in self.agents

    def serves(self, identity: Identity | None) -> bool:
        """Whether it may be called on behalf of whoever asks; nobody has no role."""
        roles = () if identity is None else identity.roles
        return EVERYBODY in self.roles or not set(self.roles).isdisjoint(roles)

    def as_function(self) -> dict[str, Any]:
        """Return the form in which chat models are offered tools (OpenAI's, as LangChain's)."""
        shown = {"name": self.name, "description": self.description}
        return {"type": "function", "function": {**shown, "parameters": dict(self.parameters)}}


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a tool is called. It comes from the code around an agent, never a model."""

    agent: str
    tenant: str = ""
    """Whose rows and documents may be read; without one, nothing private is."""
    desk: bool = False
    """Whether it is the maker's own support desk, which reads the documents of all tenants."""
    user: str = ""
    request: str = field(default_factory=lambda: uuid4().hex)
    """One question and all that is done for it; repeated calls are judged within it."""
    thread: str = ""
    filters: Mapping[str, Any] | None = None
    """What every search is restricted to."""
    said: str = ""
    """What the user said, word for word; a policy compares an action with it."""
    approval: str = ""
    """The record that allows this call; see `agentops_ref.agents.approvals`."""
    rehearsal: bool = False
    """The tool is to say what it would do, and to do nothing."""
    identity: Identity | None = field(default=None, repr=False)
    """Who asked, where somebody has logged in; `ToolSpec.serves` looks at their roles."""


class Stopped(NamedTuple):
    """Why a call is not made."""

    status: Status
    text: str
    """What the model is told."""
    value: Any = None


class Tool(Protocol):
    """Something that the registry can call.

    It raises `WrongArguments` for arguments that its schema admits and it cannot use, and whatever
    it likes for everything else that goes wrong. One that writes may also have a method
    ``rehearse`` with the same parameters, which says what would be done and does nothing.
    """

    @property
    def spec(self) -> ToolSpec: ...

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any: ...


class ToolSource(Protocol):
    """Where tools come from: a server, a document, a catalogue."""

    @property
    def name(self) -> str: ...

    def tools(self) -> Sequence[Tool]:
        """Return its tools; raises when it cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class SourceOf:
    """A source that is a function."""

    name: str
    tools: Callable[[], Sequence[Tool]]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What one call gave."""

    tool: str
    status: Status
    text: str
    """What the model is told; never empty."""
    value: Any = None
    """What the tool returned, whole, if the status is ``ok``; of a call that is waiting, the id of
    its approval; else None."""
    seconds: float = 0.0
    """From the call to its result, waiting included."""
    repeated: bool = False
    """The call was made before in this request; the tool was not called again."""

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def told(value: Any) -> str:
    """Return a result as a model is told it: text as it is, rows a line each, else JSON.

    >>> print(told([{"part": "FV-1", "quantity": 3}, {"part": "FV-2", "quantity": 0}]))
    part: FV-1; quantity: 3
    part: FV-2; quantity: 0
    >>> told([])
    'nothing found'
    """
    if isinstance(value, str):
        return value or "nothing found"
    if value is None:
        return "done"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(one)}" for key, one in value.items()) or "nothing found"
    if isinstance(value, list | tuple):
        return "\n".join(told(one) for one in value) or "nothing found"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple | bool) or value is None:
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def cut(text: str, most: int) -> str:
    """Return at most ``most`` characters of a text, and after them that it was cut."""
    if len(text) <= most:
        return str(encodable(text))
    return f"{encodable(text[:most])}\n[cut: {most} of {len(text)} characters are shown]"
