"""Short-term memory: what was said in a conversation, over LangGraph's checkpoints.

Taught in chapter 6. A thread is one conversation. LangGraph writes a checkpoint when a turn ends,
or after each step; a process can die between any two writes. So a thread is read at its newest
checkpoint *at rest*: the one before a turn or after it, never one in the middle of it. The rule
looks at the messages alone, not at the graph, so it also holds for what another graph wrote.

What a graph's state must keep to: ``messages`` (reducer `add_messages`, the only one) ends with the
answer when a turn is over, and with anything else (the question, a tool call, its result) while it
is not. Other values are text, numbers, lists and dictionaries: a checkpoint that names a class is
not made into an object of it, since whoever can write to the database could run code that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from agentops_ref.agents.memory.database import Database
from agentops_ref.errors import ConfigError, DeveloperError, OperatorError

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

Durability = Literal["exit", "sync"]
_VERSION, _OWNER = "graph_version", "owner"
"""Keys of a checkpoint's metadata."""
_INTERRUPT = "__interrupt__"


@dataclass(frozen=True, slots=True)
class Migration:
    """Makes the state that one version of a graph wrote into that of another."""

    of: str
    to: str
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """All values of the old state → all of the new one. What it leaves out keeps its old value."""


class VersionRefused(OperatorError):
    """A thread was written by another version of the graph, and nothing says how to go on."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation at rest. A new one has no messages and no checkpoint."""

    id: str
    messages: tuple[BaseMessage, ...] = ()
    summary: str = ""
    """Of older messages, which are no longer among ``messages``."""
    waiting: bool = False
    """Whether the graph has stopped for a human's answer (`langgraph.types.interrupt`)."""
    version: str = ""
    """Of the graph that wrote it."""
    checkpoint: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The whole state, after migration."""
    migrated: bool = False

    def answer_to(self, message_id: str) -> AIMessage | None:
        """Return the answer to a user's message; None if it has none, or the thread lacks it."""
        return answer_to(self.messages, message_id)


class Threads:
    """Reads threads, runs turns in them, deletes them.

    Parameters
    ----------
    version
        Of the graph's state; stands in every checkpoint. Change it when another release cannot go
        on with the state that this one writes.
    migrations
        From older versions, at most one from each; they are chained.
    durability
        ``exit`` writes a turn at its end, ``sync`` each of its steps too.
    wait
        Seconds that a turn waits for another turn of the same thread.
    """

    def __init__(
        self,
        database: Database,
        *,
        version: str,
        migrations: Sequence[Migration] = (),
        durability: Durability = "exit",
        wait: float = 30,
    ) -> None:
        self._database, self.version = database, version
        self._migrations = {one.of: one for one in migrations}
        if len(self._migrations) < len(migrations) or version in self._migrations:
            raise ConfigError(
                f"memory.threads.migrations: expected at most one from each version and none from "
                f"'{version}', the present one; got from {', '.join(m.of for m in migrations)}"
            )
        self._durability: Durability = durability
        self._wait = wait

    @cached_property
    def saver(self) -> BaseCheckpointSaver[Any]:
        """The checkpointer that a graph is compiled with."""
        return self._database.saver()

    def read(self, thread: str, *, owner: str = "") -> Thread:
        """Return a thread as the last finished turn left it.

        Raises
        ------
        OperatorError
            The thread belongs to somebody else.
        VersionRefused
            Another version of the graph wrote it, from which no migration leads here.
        """
        held = self._at_rest(thread, owner)
        if held is None:
            return Thread(thread)
        values = dict(held.checkpoint["channel_values"])
        version = str(held.metadata.get(_VERSION, ""))
        waiting = _waits(held)
        now = self._migrate(thread, version, values, waiting=waiting)
        return Thread(
            thread,
            messages=tuple(now.get("messages") or ()),
            summary=str(now.get("summary") or ""),
            waiting=waiting,
            version=version,
            checkpoint=held.config["configurable"]["checkpoint_id"],
            values=now,
            migrated=version != self.version,
        )

    def turn(
        self,
        graph: Any,
        thread: str,
        given: Any,
        *,
        message: str | None = None,
        owner: str = "",
        context: Any = None,
        config: Any = None,
    ) -> dict[str, Any]:
        """Run a graph on a thread, one turn at a time, and return its state.

        A turn that fails or whose process dies leaves the thread as it was before, to whoever
        reads it; it can be asked again.

        Parameters
        ----------
        graph
            Compiled with ``saver``.
        given
            What the graph is given: ``{"messages": [HumanMessage(...)], ...}``, or a LangGraph
            `Command` that answers what it waits for.
        message
            Id of the user's message in it. If the thread has its answer already, because whoever
            asks heard nothing of it and asks again, nothing runs and the state is returned.
        owner
            Whose thread it is, for example "tenant/user"; nobody else's turn may touch it.
        context
            LangGraph's run-time context: what nodes need and no checkpoint should hold. (What a
            graph is given is written down with ``sync``, in channels that are not tracked too.)
        config
            More of LangGraph's run configuration.

        Raises
        ------
        TransientError
            Another turn of the thread did not end in time.
        OperatorError
            The thread belongs to somebody else, or a `Command` answers what was not asked.
        VersionRefused
            As for `read`.
        """
        with self._database.one_at_a_time(f"thread {thread}", wait=self._wait):
            held = self.read(thread, owner=owner)
            if message is not None and held.answer_to(message):
                return dict(held.values)
            resumes = not isinstance(given, Mapping)
            if resumes and not held.waiting:
                raise OperatorError(
                    f"thread {thread} waits for no answer: it was given already, or the turn that "
                    "asked did not finish; ask the question again"
                )
            if not resumes and held.migrated:
                given = _with_state(given, held)
            place = {"thread_id": thread, "checkpoint_ns": ""}
            newest = self.saver.get_tuple({"configurable": dict(place)})
            if newest is not None and not held.checkpoint:
                self.saver.delete_thread(thread)  # of a first turn that did not finish
            elif newest is not None and _id(newest) != held.checkpoint:
                place["checkpoint_id"] = held.checkpoint
            ran: dict[str, Any] = graph.invoke(
                given,
                {
                    **(config or {}),
                    "configurable": {**(config or {}).get("configurable", {}), **place},
                    "metadata": {
                        **(config or {}).get("metadata", {}),
                        _VERSION: self.version,
                        _OWNER: owner,
                    },
                },
                context=context,
                durability=self._durability,
            )
            return ran

    def delete(self, *threads: str) -> int:
        """Delete threads with all their checkpoints, scrub the files, return how many there were.

        Raises
        ------
        TransientError
            A turn is running, or somebody reads the files; the same call can be made again.
        """
        found = 0
        for thread in threads:
            with self._database.one_at_a_time(f"thread {thread}", wait=self._wait):
                place: Any = {"configurable": {"thread_id": thread}}
                with closing(self.saver.list(place, limit=1)) as listed:  # type: ignore[type-var]
                    found += sum(1 for _ in listed)
                self.saver.delete_thread(thread)
        self._database.scrub()
        return found

    def owner(self, thread: str) -> str:
        """Return whose thread it is, for those who work on it for everybody."""
        held = self.saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": ""}})
        return str(held.metadata.get(_OWNER, "")) if held else ""

    def _at_rest(self, thread: str, owner: str) -> CheckpointTuple | None:
        place: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        newest = self.saver.get_tuple(place)
        if newest is None:
            return None
        if str(newest.metadata.get(_OWNER, "")) != owner:
            raise OperatorError(f"there is no thread {thread} of {owner or 'nobody in particular'}")
        if _rests(newest):
            return newest
        with closing(self.saver.list(place)) as older:  # type: ignore[type-var]
            return next((one for one in older if _rests(one)), None)

    def _migrate(
        self, thread: str, version: str, values: Mapping[str, Any], *, waiting: bool
    ) -> Mapping[str, Any]:
        at = version
        chain: list[Migration] = []
        while at != self.version:
            if at not in self._migrations or len(chain) > len(self._migrations):
                raise VersionRefused(
                    f"thread {thread} was written by version '{version}' of the graph, this is "
                    f"'{self.version}', and no migration leads from '{at}': start a new thread, "
                    f"answer it with a release of version '{version}', or name a migration under "
                    "memory.threads.migrations"
                )
            chain.append(self._migrations[at])
            at = chain[-1].to
        if chain and waiting:
            raise VersionRefused(
                f"thread {thread} waits for an answer that version '{version}' of the graph asked "
                f"for, this is '{self.version}': answer it with a release of version '{version}', "
                "or start a new thread"
            )
        for one in chain:
            changed = one.change(values)
            if not isinstance(changed, Mapping):
                raise DeveloperError(
                    f"the migration from '{one.of}' to '{one.to}' gave "
                    f"{type(changed).__name__}, expected a mapping of the whole state"
                )
            values = {**values, **changed}
        return values


def answer_to(messages: Sequence[BaseMessage], message_id: str) -> AIMessage | None:
    """Return the answer to the user's message of an id; None if there is none."""
    from langchain_core.messages import AIMessage

    ids = [message.id for message in messages]
    if message_id not in ids:
        return None
    found = None
    for message in messages[ids.index(message_id) + 1 :]:
        if message.type == "human":
            break
        if isinstance(message, AIMessage) and not message.tool_calls:
            found = message
    return found


def _with_state(given: Mapping[str, Any], held: Thread) -> dict[str, Any]:
    """Put a migrated state before what a turn is given, so that both land in one write."""
    from langchain_core.messages import RemoveMessage
    from langgraph.graph.message import REMOVE_ALL_MESSAGES

    new = given.get("messages") or []
    new = new if isinstance(new, list) else [new]
    everything = [RemoveMessage(id=REMOVE_ALL_MESSAGES), *held.messages, *new]
    ours = {k: v for k, v in held.values.items() if not k.startswith(("__", "branch:", "join:"))}
    return {**ours, **given, "messages": everything}


def _id(held: CheckpointTuple) -> str:
    return str(held.config["configurable"]["checkpoint_id"])


def _waits(held: CheckpointTuple) -> bool:
    return any(channel == _INTERRUPT for _, channel, _ in held.pending_writes or ())


def _rests(held: CheckpointTuple) -> bool:
    """Whether a checkpoint is one before a turn, after it, or where it waits for a human."""
    if held.metadata.get("source") == "input":
        # What was asked is not among the messages yet, which may also be those of an older version.
        return False
    messages = held.checkpoint["channel_values"].get("messages") or []
    if not messages or _waits(held):
        return True
    last = messages[-1]
    return bool(last.type == "ai" and not getattr(last, "tool_calls", ()))
