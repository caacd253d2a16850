"""A thread is read at rest, by its owner, in the version of the graph that reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt

from agentops_ref.agents.memory import Database, Migration, Thread, Threads, VersionRefused
from agentops_ref.agents.memory.threads import Durability
from agentops_ref.errors import ConfigError, DeveloperError, OperatorError, TransientError


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    summary: str
    city: str


Node = Callable[[Any], Any]


def say(state: Any) -> Any:
    return {"messages": [AIMessage(f"answer to {state['messages'][-1].text}")]}


def graph_of(threads: Threads, *nodes: Node, schema: Any = State) -> Any:
    graph = StateGraph(schema)
    last = START
    for number, node in enumerate(nodes or (say,)):
        graph.add_node(f"n{number}", node)
        graph.add_edge(last, f"n{number}")
        last = f"n{number}"
    graph.add_edge(last, END)
    return graph.compile(checkpointer=threads.saver)


def asks(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [HumanMessage(text, id=text)], **more}


def texts(thread: Thread) -> list[str]:
    return [message.text for message in thread.messages]


@pytest.fixture(params=["exit", "sync"])
def durability(request: pytest.FixtureRequest) -> Durability:
    given: Durability = request.param
    return given


@pytest.fixture
def threads(database: Database, durability: Durability) -> Threads:
    return Threads(database, version="1", durability=durability, wait=5)


def test_a_thread_holds_its_turns_and_no_other_ones(threads: Threads) -> None:
    assert threads.read("a") == Thread("a")
    graph = graph_of(threads)
    threads.turn(graph, "a", asks("one", city="Bergen"))
    threads.turn(graph, "b", asks("other"))
    ran = threads.turn(graph, "a", asks("two"))
    read = threads.read("a")
    assert texts(read) == ["one", "answer to one", "two", "answer to two"]
    assert [m.text for m in ran["messages"]] == texts(read)
    assert (read.version, read.migrated, read.waiting) == ("1", False, False)
    assert read.values["city"] == "Bergen"
    assert texts(threads.read("b")) == ["other", "answer to other"]


def test_another_process_reads_the_same(threads: Threads, uri: str) -> None:
    from agentops_ref.agents.memory import open_database

    threads.turn(graph_of(threads), "a", asks("one"))
    other = open_database(uri)
    assert texts(Threads(other, version="1").read("a")) == ["one", "answer to one"]
    other.close()


def test_a_turn_that_fails_leaves_the_thread_as_it_was(threads: Threads) -> None:
    def calls(state: Any) -> Any:
        return {"messages": [AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])]}

    def results(state: Any) -> Any:
        return {"messages": [ToolMessage("found", tool_call_id="1")]}

    def fails(state: Any) -> Any:
        if broken:
            raise RuntimeError("no connection")
        return say(state)

    broken = False
    graph = graph_of(threads, calls, results, fails)
    threads.turn(graph, "a", asks("one"))
    before = threads.read("a")
    assert len(before.messages) == 4
    broken = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no connection"):
            threads.turn(graph, "a", asks("two"))
        assert texts(threads.read("a")) == texts(before)
    broken = False
    threads.turn(graph, "a", asks("two"))
    after = texts(threads.read("a"))
    assert after[:4] == texts(before)
    assert after[4:] == ["two", "", "found", "answer to found"]
    assert [m.type for m in threads.read("a").messages].count("human") == 2


def test_a_first_turn_that_fails_leaves_no_thread(threads: Threads) -> None:
    def fails(state: Any) -> Any:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        threads.turn(graph_of(threads, fails), "a", asks("one"))
    assert threads.read("a").messages == ()
    threads.turn(graph_of(threads), "a", asks("one"))
    assert texts(threads.read("a")) == ["one", "answer to one"]


def test_what_waits_for_a_human_survives_and_is_answered(threads: Threads) -> None:
    def approve(state: Any) -> Any:
        said = interrupt("book a technician?")
        return {"messages": [AIMessage(f"booked: {said}")]}

    graph = graph_of(threads, approve)
    ran = threads.turn(graph, "a", asks("please book"))
    assert ran["__interrupt__"][0].value == "book a technician?"
    held = threads.read("a")
    assert held.waiting
    assert texts(held) == ["please book"]
    threads.turn(graph, "a", Command(resume="yes"))
    assert texts(threads.read("a")) == ["please book", "booked: yes"]
    assert not threads.read("a").waiting
    with pytest.raises(OperatorError, match="waits for no answer"):
        threads.turn(graph, "a", Command(resume="yes"))


def test_an_answer_is_found_by_the_id_of_its_question(threads: Threads) -> None:
    graph = graph_of(threads)
    for text in ("one", "two"):
        threads.turn(graph, "a", asks(text))
    held = threads.read("a")
    assert held.answer_to("one").text == "answer to one"  # type: ignore[union-attr]
    assert held.answer_to("two").text == "answer to two"  # type: ignore[union-attr]
    assert held.answer_to("three") is None


def test_nobody_reads_or_writes_the_thread_of_another(threads: Threads) -> None:
    graph = graph_of(threads)
    threads.turn(graph, "a", asks("one"), owner="torvik/ann")
    assert texts(threads.read("a", owner="torvik/ann")) == ["one", "answer to one"]
    for owner in ("elvedal/ann", ""):
        with pytest.raises(OperatorError, match="there is no thread a of"):
            threads.read("a", owner=owner)
        with pytest.raises(OperatorError, match="there is no thread a of"):
            threads.turn(graph, "a", asks("two"), owner=owner)
    assert texts(threads.read("a", owner="torvik/ann")) == ["one", "answer to one"]


def test_two_turns_at_once_follow_one_another(threads: Threads) -> None:
    inside = threading.Barrier(2, timeout=0.3)
    met: list[bool] = []

    def slow(state: Any) -> Any:
        try:
            inside.wait()
            met.append(True)
        except threading.BrokenBarrierError:
            inside.reset()
        return say(state)

    graph = graph_of(threads, slow)
    failed: list[BaseException] = []

    def ask(text: str) -> None:
        try:
            threads.turn(graph, "a", asks(text))
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=ask, args=(text,)) for text in ("one", "two")]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert failed == []
    assert met == []  # they never were in the graph together
    said = texts(threads.read("a"))
    pairs = [["one", "answer to one"], ["two", "answer to two"]]
    assert [said[:2], said[2:]] in (pairs, pairs[::-1])


def test_a_turn_waits_no_longer_than_it_is_told(database: Database) -> None:
    threads = Threads(database, version="1", wait=0.1)
    graph = graph_of(threads)
    with (
        database.one_at_a_time("thread a", wait=0),
        pytest.raises(TransientError, match="thread a: somebody else is at it"),
    ):
        threads.turn(graph, "a", asks("one"))
    threads.turn(graph, "a", asks("one"))
    assert len(threads.read("a").messages) == 2


class Planted:
    """What somebody who can write to the database would like to have made."""

    made = 0

    def __init__(self, **values: Any) -> None:
        type(self).made += 1

    def model_dump(self) -> dict[str, str]:
        return {"a": "b"}


def test_a_checkpoint_makes_no_objects_of_unknown_classes(threads: Threads) -> None:
    graph = graph_of(threads)
    threads.turn(graph, "a", asks("one", city=Planted()))
    Planted.made = 0
    assert not isinstance(threads.read("a").values["city"], Planted)
    threads.turn(graph, "a", asks("two"))
    assert Planted.made == 0
    assert len(threads.read("a").messages) == 4


# --- versions ---------------------------------------------------------------------------------


class Renamed(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    summary: str
    town: str


def towns(state: Any) -> Any:
    return {"messages": [AIMessage(f"in {state.get('town', 'no town')}")]}


def to_town(old: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "town": old["city"],
        "messages": [m for m in old["messages"] if m.text != "drop me"],
    }


@pytest.fixture
def old(database: Database, durability: Durability) -> Threads:
    """Threads in which version 1 has written thread a."""
    threads = Threads(database, version="1", durability=durability)
    graph = graph_of(threads)
    threads.turn(graph, "a", asks("drop me", city="Bergen"))
    threads.turn(graph, "a", asks("one"))
    return threads


def test_a_thread_of_another_version_is_refused_with_what_to_do(
    database: Database, old: Threads
) -> None:
    new = Threads(database, version="2")
    message = (
        r"thread a was written by version '1' of the graph, this is '2', and no migration leads "
        r"from '1': start a new thread, .* release of version '1', .*memory\.threads\.migrations"
    )
    with pytest.raises(VersionRefused, match=message):
        new.read("a")
    with pytest.raises(VersionRefused, match=message):
        new.turn(graph_of(new, towns, schema=Renamed), "a", asks("two"))
    assert len(old.read("a").messages) == 4  # the old release can still go on


def test_a_thread_of_another_version_is_migrated_by_the_next_turn(
    database: Database, old: Threads, durability: Durability
) -> None:
    new = Threads(
        database, version="2", migrations=[Migration("1", "2", to_town)], durability=durability
    )
    read = new.read("a")
    kept = ["answer to drop me", "one", "answer to one"]
    assert (read.version, read.migrated, read.values["town"]) == ("1", True, "Bergen")
    assert texts(read) == kept
    assert len(old.read("a").messages) == 4  # reading changes nothing
    new.turn(graph_of(new, towns, schema=Renamed), "a", asks("where?"))
    after = new.read("a")
    assert (after.version, after.migrated, after.values["town"]) == ("2", False, "Bergen")
    assert texts(after) == [*kept, "where?", "in Bergen"]
    with pytest.raises(VersionRefused, match="written by version '2'"):
        old.read("a")
    new.turn(graph_of(new, towns, schema=Renamed), "a", asks("again?"))
    assert len(new.read("a").messages) == 7


def test_a_migrated_turn_that_fails_leaves_the_old_thread(
    database: Database, old: Threads, durability: Durability
) -> None:
    def fails(state: Any) -> Any:
        raise RuntimeError("broken")

    new = Threads(
        database, version="2", migrations=[Migration("1", "2", to_town)], durability=durability
    )
    with pytest.raises(RuntimeError):
        new.turn(graph_of(new, fails, schema=Renamed), "a", asks("where?"))
    assert texts(new.read("a")) == ["answer to drop me", "one", "answer to one"]
    assert len(old.read("a").messages) == 4


def test_migrations_are_chained(database: Database, old: Threads) -> None:
    def to_place(old: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"place": old["town"].upper()}

    chain = [Migration("2", "3", to_place), Migration("1", "2", to_town)]
    assert Threads(database, version="3", migrations=chain).read("a").values["place"] == "BERGEN"
    with pytest.raises(VersionRefused, match="this is '4', and no migration leads from '3'"):
        Threads(database, version="4", migrations=chain).read("a")


@pytest.mark.parametrize(
    "migrations",
    [
        [Migration("1", "2", to_town), Migration("1", "3", to_town)],
        [Migration("3", "1", to_town)],
    ],
)
def test_migrations_that_lead_two_ways_are_refused(
    database: Database, migrations: list[Migration]
) -> None:
    with pytest.raises(ConfigError, match="at most one from each version"):
        Threads(database, version="3", migrations=migrations)


def test_a_circle_of_migrations_ends(database: Database, old: Threads) -> None:
    circle = [Migration("1", "2", to_town), Migration("2", "1", to_town)]
    with pytest.raises(VersionRefused):
        Threads(database, version="3", migrations=circle).read("a")


def test_a_migration_that_gives_no_state_is_named(database: Database, old: Threads) -> None:
    broken = Migration("1", "2", lambda old: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(DeveloperError, match="from '1' to '2' gave NoneType"):
        Threads(database, version="2", migrations=[broken]).read("a")


def test_what_another_version_waits_for_is_refused(threads: Threads, database: Database) -> None:
    def approve(state: Any) -> Any:
        return {"messages": [AIMessage(interrupt("sure?"))]}

    threads.turn(graph_of(threads, approve), "a", asks("one", city="Bergen"))
    new = Threads(database, version="2", migrations=[Migration("1", "2", to_town)])
    with pytest.raises(VersionRefused, match="waits for an answer that version '1'"):
        new.read("a")


# --- deleting ---------------------------------------------------------------------------------


def test_a_deleted_thread_is_gone_and_others_stay(threads: Threads) -> None:
    graph = graph_of(threads)
    for name in ("a", "b"):
        threads.turn(graph, name, asks("one"))
    assert threads.delete("a", "never") == 1
    assert threads.read("a") == Thread("a")
    assert len(threads.read("b").messages) == 2
    threads.turn(graph, "a", asks("anew"))
    assert texts(threads.read("a")) == ["anew", "answer to anew"]
