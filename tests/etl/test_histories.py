"""Random histories against a pure model of what a sync promises, for each sink.

The model knows files, what was indexed of each, and the rules: no listing that failed changes
anything, an outage leaves the old index, a missing document waits, a renamed one does not, a broken
one keeps what was served, and all vectors are of one model. It shares no code with the sync.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentops_ref.etl import LanceSink, MemorySink, Sink, sync
from agentops_ref.etl.recipe import Recipe, Recipes
from agentops_ref.etl.sinks import DatabricksSink, PostgresSink
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Element, Listing, SourceItem
from agentops_ref.settings import DeletionConfig
from tests.etl import fakes
from tests.etl.databricks import VectorSearchServer

LISTINGS, SHARE = 3, 0.5
NAMES = ("a.txt", "b.txt", "c.txt", "m/d.txt", "m/e.txt", "m/nord's.txt")
LINES = ("one line", "two E41", "torque 18 Nm", "NL-8 charge 1.2 kg")
TEXTS = ("", "broken", *LINES, f"{LINES[0]}\n{LINES[1]}", f"{LINES[2]}\n\n{LINES[3]}\n{LINES[0]}")


class Outage(Exception):
    """What a store or a model raises when it is away."""


# --- the world: a source, a model and a store that can fail -----------------------------------


@dataclass(frozen=True)
class File:
    text: str
    stamp: int

    @property
    def digest(self) -> str:
        return sha256(self.text.encode()).hexdigest()


class Shelf:
    """A source in memory whose fingerprints say nothing of the content."""

    name = "shelf"

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.listing = "whole"
        self.unreadable = ""

    def list(self) -> Listing:
        if self.listing == "raises":
            raise Outage("no connection")
        items = [SourceItem(n, str(f.stamp), len(f.text)) for n, f in sorted(self.files.items())]
        if self.listing == "half":
            return Listing(self.name, tuple(items[::2]), complete=False, problem="no permission")
        return Listing(self.name, tuple(items))

    def read(self, document: str) -> bytes:
        if document == self.unreadable:
            raise PermissionError(13, "Permission denied")
        return self.files[document].text.encode()


class Model(fakes.FakeEmbeddings):
    """Vectors that depend on the model's number, in its length too; away on demand."""

    def __init__(self, number: int) -> None:
        super().__init__(12 + number)
        self.away = False

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.away:
            raise Outage("no model")
        return super().embed_documents(texts)


class Store:
    """Lets a commit fail before or after it landed; everything else is the sink's."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.fails = sink, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def commit(self, commit: Any) -> int:
        if self.fails == "before":
            raise Outage("no store")
        version = self._sink.commit(commit)
        if self.fails == "after":
            raise Outage("the answer was lost")
        return version


def parsed(text: str, parser: int) -> list[str]:
    lines = [line for line in text.splitlines() if line]
    return [line.upper() for line in lines] if parser == 2 else lines


# --- the model --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What the index has of one document."""

    stamp: int | None
    """None when it shall be looked at again whatever its stamp is."""
    digest: str
    parser: int
    rows: tuple[tuple[str, str], ...]
    """(digest of the content it came from, line)"""
    error: bool = False
    missing: int = 0


@dataclass
class Expected:
    """The index as it should be."""

    held: dict[str, Held]
    model: int = 1
    """The embedding model of all vectors."""

    def sync(self, shelf: Shelf, parser: int, model: int, fails: str, allow: bool) -> None:
        """Change to what a sync must leave; raise what it must raise."""
        if shelf.listing == "raises":
            raise Outage
        if shelf.listing == "half":
            return
        missing = sorted(self.held.keys() - shelf.files.keys())
        new = shelf.files.keys() - self.held.keys()
        at_stake = len(self._served() & set(missing))
        if not allow and self._too_many(at_stake - min(at_stake, len(new))):
            return
        state, embedded = dict(self.held), set[str]()
        for name, file in sorted(shelf.files.items()):
            old = self.held.get(name)
            same_recipe = old is not None and (old.parser, self.model) == (parser, model)
            if old and old.stamp == file.stamp and same_recipe:
                state[name] = replace(old, missing=0)
                continue
            kept = old.rows if old else ()
            if name == shelf.unreadable:
                digest = old.digest if old else ""
                state[name] = Held(None, digest, parser, kept, error=True)
            elif old and old.stamp is not None and same_recipe and old.digest == file.digest:
                state[name] = replace(old, stamp=file.stamp, missing=0)
            elif file.text.startswith("broken"):
                state[name] = Held(file.stamp, file.digest, parser, kept, error=True)
            else:
                rows = tuple((file.digest, line) for line in parsed(file.text, parser))
                state[name] = Held(file.stamp, file.digest, parser, rows)
                embedded.add(name)
        spare = Counter(state[name].digest for name in new if name in embedded)
        lost = []
        for name in missing:
            if spare[self.held[name].digest]:
                spare[self.held[name].digest] -= 1
                del state[name]
            else:
                lost.append(name)
        if not allow and self._too_many(len(self._served() & set(lost))):
            return
        for name in lost:
            if self.held[name].missing + 1 >= LISTINGS:
                del state[name]
            else:
                state[name] = replace(self.held[name], missing=self.held[name].missing + 1)
        if model != self.model:
            embedded |= state.keys()
        if fails == "model" and any(state[name].rows for name in embedded):
            raise Outage
        if fails == "before" and (state != self.held or (embedded and model != self.model)):
            raise Outage
        landed = state != self.held or (embedded and model != self.model)
        if state or self.held:
            self.held, self.model = state, model
        if fails == "after" and landed:
            raise Outage

    def _too_many(self, missing: int) -> bool:
        allowed, served = SHARE * len(self._served()), len(self._served())
        return missing > (max(allowed, 1) if served > 1 else allowed)

    def _served(self) -> set[str]:
        return {name for name, held in self.held.items() if held.rows or not held.error}

    def rows(self) -> Counter[tuple[str, str, str]]:
        return Counter(
            (name, digest[:12], line)
            for name, held in self.held.items()
            for digest, line in held.rows
        )


# --- the machine ------------------------------------------------------------------------------


class History(RuleBasedStateMachine):
    """Anything that can happen to a source and to a sync, in any order."""

    make: Any

    def __init__(self) -> None:
        super().__init__()
        self.ended = contextlib.ExitStack()
        self.sink = self.ended.enter_context(self.make())
        self.store, self.shelf = Store(self.sink), Shelf()
        self.hidden: dict[str, File] = {}
        self.expected = Expected({})
        self.parser, self.number, self.clock = 1, 1, 0

    def teardown(self) -> None:
        self.ended.close()

    def _put(self, name: str, text: str) -> None:
        self.clock += 1
        self.shelf.files[name] = File(text, self.clock)

    @rule(name=st.sampled_from(NAMES), text=st.sampled_from(TEXTS))
    def write(self, name: str, text: str) -> None:
        self._put(name, text)

    @initialize(texts=st.lists(st.sampled_from(LINES), max_size=len(NAMES)))
    def begin(self, texts: list[str]) -> None:
        for name, text in zip(NAMES, texts, strict=False):
            self._put(name, text)
        self._sync()

    @rule(texts=st.lists(st.sampled_from(TEXTS[1:]), min_size=len(NAMES), max_size=len(NAMES)))
    def write_all(self, texts: list[str]) -> None:
        for name, text in zip(NAMES, texts, strict=True):
            self._put(name, text)

    @precondition(lambda self: self.shelf.files)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.shelf.files)))
        self._put(name, self.shelf.files[name].text)

    @precondition(lambda self: self.shelf.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        del self.shelf.files[data.draw(st.sampled_from(sorted(self.shelf.files)))]

    @precondition(lambda self: self.shelf.files)
    @rule(data=st.data(), new=st.sampled_from((*NAMES, "renamed.txt")))
    def rename(self, data: st.DataObject, new: str) -> None:
        self._rename(data.draw(st.sampled_from(sorted(self.shelf.files))), new)

    @rule(old=st.sampled_from(("m/", "n/")))
    def rename_folder(self, old: str) -> None:
        new = "n/" if old == "m/" else "m/"
        for name in [name for name in self.shelf.files if name.startswith(old)]:
            self._rename(name, new + name.removeprefix(old))

    def _rename(self, old: str, new: str) -> None:
        self._put(new, self.shelf.files.pop(old).text)

    @precondition(lambda self: self.shelf.files)
    @rule(data=st.data())
    def hide(self, data: st.DataObject) -> None:
        """A folder that is not mounted: what comes back later is as it was."""
        name = data.draw(st.sampled_from(sorted(self.shelf.files)))
        self.hidden[name] = self.shelf.files.pop(name)

    @precondition(lambda self: self.hidden)
    @rule()
    def show(self) -> None:
        self.shelf.files = {**self.hidden, **self.shelf.files}
        self.hidden = {}

    @rule()
    def another_parser(self) -> None:
        self.parser = 3 - self.parser

    @rule()
    def another_model(self) -> None:
        self.number = 3 - self.number

    @rule()
    def sync(self) -> None:
        self._sync()

    @rule()
    def sync_again(self) -> None:
        """Drawn as often as anything else that can happen, so that states get indexed."""
        self._sync()

    @rule(
        listing=st.sampled_from(("whole", "whole", "half", "raises")),
        fails=st.sampled_from(("", "", "model", "before", "after")),
        unreadable=st.sampled_from(("", *NAMES)),
        allow=st.booleans(),
    )
    def bad_day(self, listing: str, fails: str, unreadable: str, allow: bool) -> None:
        self.shelf.listing, self.shelf.unreadable = listing, unreadable
        self._sync(fails, allow)
        self.shelf.listing, self.shelf.unreadable = "whole", ""

    def _sync(self, fails: str = "", allow: bool = False) -> None:
        before, old = self.sink.snapshot(), self.expected.rows()
        model = Model(self.number)
        model.away, self.store.fails = fails == "model", fails
        parser = self.parser
        stages = Stages(
            lambda name, data: [
                Element("text", line)
                for element in fakes.parse(name, data)
                for line in parsed(element.text, parser)
            ],
            fakes.chunk,
            model,  # type: ignore[arg-type]
            Recipes(
                Recipe("parse", str(parser)),
                Recipe("chunk", "1"),
                Recipe("embed", str(self.number)),
            ),
            batch=2,
        )
        raised = []
        for run in (
            lambda: self.expected.sync(self.shelf, parser, self.number, fails, allow),
            lambda: sync(
                self.shelf,
                self.store,  # type: ignore[arg-type]
                stages,
                DeletionConfig(listings=LISTINGS, max_share=SHARE),
                allow_mass_deletion=allow,
            ),
        ):
            try:
                run()
                raised.append(False)
            except Outage:
                raised.append(True)
        assert raised[0] == raised[1]
        assert Counter(_row(chunk) for _, chunk, _ in before.stored()) == old, "a reader's version"
        self._equals()

    def _equals(self) -> None:
        wanted, model = self.expected, Model(self.expected.model)
        stored = list(self.sink.stored())
        assert Counter(_row(chunk) for _, chunk, _ in stored) == wanted.rows()
        for owner, chunk, vector in stored:
            assert owner == chunk.document
            text = f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text
            assert np.allclose(vector, model.embed_query(text), atol=1e-3)
        ledger = self.sink.ledger()
        assert {n: (len(h.rows), h.error, h.missing) for n, h in wanted.held.items()} == {
            n: (e.chunks, bool(e.error), e.missing) for n, e in ledger.items()
        }
        for word in ("E41", "torque"):
            found = {found.chunk.document for found in self.sink.search_text(word, 99)}
            assert found == {n for n, _, line in wanted.rows() if word.lower() in line.lower()}


def _row(chunk: Any) -> tuple[str, str, str]:
    return chunk.document, chunk.version, chunk.text


@contextlib.contextmanager
def _memory() -> Iterator[Sink]:
    yield MemorySink()


@contextlib.contextmanager
def _lance() -> Iterator[Sink]:
    with tempfile.TemporaryDirectory() as folder:
        yield LanceSink(Path(folder) / "index")


def test_any_history_leaves_what_the_model_says() -> None:
    _run(_memory, max_examples=300, stateful_step_count=40)


def test_any_history_leaves_what_the_model_says_in_lancedb() -> None:
    _run(_lance, max_examples=6, stateful_step_count=20)


def test_any_history_leaves_what_the_model_says_in_postgres(postgres: str) -> None:
    @contextlib.contextmanager
    def make() -> Iterator[Sink]:
        yield PostgresSink(f"{postgres}/postgres?schema=history_{uuid.uuid4().hex[:12]}")

    _run(make, max_examples=6, stateful_step_count=20)


def test_any_history_leaves_what_the_model_says_in_databricks(
    vector_search: VectorSearchServer,
) -> None:
    @contextlib.contextmanager
    def make() -> Iterator[Sink]:
        address = vector_search.address(f"history_{uuid.uuid4().hex[:12]}")
        yield DatabricksSink(address, keep_versions=3, clean_rows=5)

    _run(make, max_examples=6, stateful_step_count=20)


def _run(make: Any, **more: Any) -> None:
    class Machine(History):
        pass

    Machine.make = staticmethod(make)
    run_state_machine_as_test(Machine, settings=settings(**more))


def test_the_model_refuses_what_it_should() -> None:
    """A model that agrees with anything would prove nothing."""
    shelf, expected = Shelf(), Expected({})
    for name in NAMES[:4]:
        shelf.files[name] = File(LINES[0], 1)
    expected.sync(shelf, 1, 1, "", False)
    assert len(expected.rows()) == 4
    shelf.files = {}
    expected.sync(shelf, 1, 1, "", False)
    assert len(expected.rows()) == 4
    for _ in range(LISTINGS):
        assert expected.held
        expected.sync(shelf, 1, 1, "", True)
    assert not expected.held
    shelf.listing = "raises"
    with pytest.raises(Outage):
        expected.sync(shelf, 1, 1, "", False)
