"""One contract over every store of facts, and random histories against a pure model."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agentops_ref.agents.memory import (
    FORGOTTEN,
    Database,
    Fact,
    FactSource,
    FactStore,
    fact_store,
    new_fact,
    open_database,
)
from agentops_ref.agents.memory.facts import successors
from agentops_ref.errors import DeveloperError, OperatorError
from agentops_ref.testing import HashEmbeddings
from tests.agents.memory.parts import START, TENANT, WHO, Clock, fact


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> FactStore:
    return fact_store(database, lambda: HashEmbeddings(64), clock=clock)


def texts(store: FactStore, query: str = "availability", **more: Any) -> list[str]:
    asked = {"tenant": TENANT, "subjects": [WHO], **more}
    return [found.fact.text for found in store.search(query, **asked)]


def by(store: FactStore) -> dict[str, str | None]:
    """Text → text of what has taken its place."""
    shown = {one.id: one for one in store.show()}
    return {
        one.text: shown[one.superseded_by].text if one.superseded_by in shown else one.superseded_by
        for one in shown.values()
    }


# --- the contract -----------------------------------------------------------------------------


def test_a_fact_comes_back_whole(store: FactStore) -> None:
    told = [
        fact("Tuesdays – after 4 pm", until=30),
        fact("Der Hund heißt Ærø 漢字 'x' ? %s", attribute="animals", certainty="vague"),
    ]
    assert store.show() == []
    assert store.tell(told) == 2
    assert sorted(store.show(), key=lambda one: one.attribute) == sorted(
        told, key=lambda one: one.attribute
    )
    found = store.search("Hund", tenant=TENANT, subjects=[WHO])
    assert found[0].fact == told[1]
    assert -1 <= found[0].score <= 1.000001


def test_the_nearest_comes_first_and_no_more_than_asked_for(store: FactStore) -> None:
    store.tell(
        [
            fact("the key hangs behind the shed", attribute="access"),
            fact("a loud rattle at night", attribute="symptom"),
            fact("wants a sauna", attribute="plans"),
        ]
    )
    assert texts(store, "where is the key of the shed")[0] == "the key hangs behind the shed"
    assert texts(store, "a rattle at night", k=1) == ["a loud rattle at night"]
    assert len(texts(store, "x", k=3)) == 3
    assert texts(store, "x", k=0) == texts(store, "x", subjects=[]) == []


def test_another_tenant_or_subject_is_never_ranked(store: FactStore) -> None:
    store.tell(
        [
            fact("the key is with me"),
            *(fact(f"key key {n}", subject="customer C2", attribute=f"a{n}") for n in range(8)),
            *(fact(f"key key {n}", tenant="elvedal", attribute=f"a{n}") for n in range(8)),
        ]
    )
    assert texts(store, "key key", k=3) == ["the key is with me"]
    assert len(texts(store, "key", subjects=[WHO, "customer C2"], k=99)) == 9
    assert texts(store, "key", tenant="") == []
    assert len(store.show(subject=WHO)) == 9
    assert len(store.show(tenant=TENANT, subject=WHO)) == 1
    assert len(store.show(tenant="elvedal")) == 8


def test_a_newer_fact_takes_the_place_of_the_older_one_which_stays_as_history(
    store: FactStore,
) -> None:
    store.tell([fact("Tuesdays")])
    store.tell([fact("Fridays", day=5), fact("a dog", attribute="animals", day=6)])
    assert sorted(texts(store)) == ["Fridays", "a dog"]
    assert by(store) == {"Tuesdays": "Fridays", "Fridays": None, "a dog": None}
    old = next(one for one in store.show() if one.text == "Tuesdays")
    assert old.learned_at == START


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_facts_that_arrive_late_are_history_at_once(
    store: FactStore, order: tuple[int, ...]
) -> None:
    said = [fact("first"), fact("second", day=1), fact("third", day=2)]
    for place in order:
        store.tell([said[place]])
    assert by(store) == {"first": "second", "second": "third", "third": None}
    assert texts(store) == ["third"]


def test_of_two_of_the_same_moment_the_later_arrival_counts(store: FactStore) -> None:
    store.tell([fact("mornings"), fact("no, evenings")])
    assert texts(store) == ["no, evenings"]


def test_a_vague_fact_does_not_take_the_place_of_a_stated_one(store: FactStore) -> None:
    store.tell([fact("12 March"), fact("maybe next spring", day=1, certainty="vague")])
    assert sorted(texts(store)) == ["12 March", "maybe next spring"]
    store.tell([fact("perhaps in May", day=2, certainty="vague")])
    assert sorted(texts(store)) == ["12 March", "perhaps in May"]
    store.tell([fact("2 May", day=3)])
    assert texts(store) == ["2 May"]
    assert by(store) == {
        "12 March": "2 May",
        "maybe next spring": "perhaps in May",
        "perhaps in May": "2 May",
        "2 May": None,
    }


def test_what_is_told_again_changes_nothing(store: FactStore) -> None:
    once = fact("Tuesdays", message="m")
    later = fact("Fridays", day=1, message="n")
    assert store.tell([once, once]) == 1
    assert store.tell([later, once]) == 1
    assert store.tell([fact("Tuesdays", day=9, message="m")]) == 0  # the same words of the message
    assert by(store) == {"Tuesdays": "Fridays", "Fridays": None}


def test_a_fact_ends_when_its_time_has_come(store: FactStore, clock: Clock) -> None:
    store.tell([fact("away", until=2)])
    clock.pass_(days=2, microseconds=-1)
    assert texts(store) == ["away"]
    clock.pass_(microseconds=1)
    assert texts(store) == []
    assert [one.current(clock.now) for one in store.show()] == [False]


def test_an_ended_fact_does_not_bring_back_an_older_one(store: FactStore, clock: Clock) -> None:
    store.tell([fact("Tuesdays"), fact("Fridays", day=1, until=2)])
    clock.pass_(days=3)
    assert texts(store) == []


def test_forgetting_one_or_all_of_a_subject(store: FactStore) -> None:
    kept = fact("others stay", subject="customer C2")
    told = [fact("Tuesdays"), fact("a dog", attribute="animals", thread="t2"), kept]
    store.tell(told)
    assert store.forget(tenant=TENANT, subject=WHO, fact=told[1].id) == (1, ("t2",))
    assert texts(store) == ["Tuesdays"]
    assert store.forget(tenant="elvedal", subject=WHO) == (0, ())
    assert store.forget(tenant=TENANT, subject=WHO, fact=kept.id) == (0, ())
    assert store.forget(tenant=TENANT, subject=WHO) == (1, ("t1",))
    assert store.forget(tenant=TENANT, subject=WHO) == (0, ())
    assert store.show() == [kept]


def test_forgetting_the_newer_fact_does_not_bring_back_the_older_one(store: FactStore) -> None:
    first, second, third = fact("Mondays"), fact("Tuesdays", day=1), fact("Fridays", day=2)
    store.tell([first, second, third])
    store.forget(tenant=TENANT, subject=WHO, fact=second.id)
    assert by(store) == {"Mondays": "Fridays", "Fridays": None}
    store.forget(tenant=TENANT, subject=WHO, fact=third.id)
    assert by(store) == {"Mondays": FORGOTTEN}
    assert texts(store) == []
    store.tell([fact("Sundays", day=1)])
    assert by(store) == {"Mondays": "Sundays", "Sundays": None}


def test_facts_of_another_embedding_model_are_embedded_anew(
    database: Database, store: FactStore, clock: Clock
) -> None:
    store.tell([fact("the key hangs behind the shed"), fact("other", subject="customer C2")])
    model = HashEmbeddings(16)
    other = fact_store(database, lambda: model, clock=clock)
    for _ in range(2):
        (found,) = other.search("key behind the shed", tenant=TENANT, subjects=[WHO])
        assert found.score > 0.3
        assert model.embedded == 1  # of this subject only, and once


def test_showing_and_forgetting_load_no_model(database: Database) -> None:
    def never() -> Any:
        raise AssertionError("the model is loaded")

    store = fact_store(database, never)
    assert store.show() == []
    assert store.tell([]) == 0
    assert store.forget(tenant=TENANT, subject=WHO).facts == 0


def test_a_vector_without_length_is_far_from_all(store: FactStore) -> None:
    store.tell([fact("Tuesdays")])
    (found,) = store.search("", tenant=TENANT, subjects=[WHO])
    assert found.score == 0


def test_many_processes_tell_at_once(uri: str) -> None:
    failed: list[BaseException] = []

    def tell(number: int) -> None:
        try:
            mine = open_database(uri)
            store = fact_store(mine, lambda: HashEmbeddings(16))
            for day in range(5):
                store.tell([fact(f"{number}.{day}", day=day * 10 + number)])
            mine.close()
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert failed == []
    database = open_database(uri)
    held = fact_store(database, lambda: HashEmbeddings(16)).show()
    database.close()
    assert len(held) == 20
    assert successors(held) == {one.id: one.superseded_by for one in held}
    assert [one.text for one in held if one.superseded_by is None] == ["3.4"]


def test_a_transaction_that_fails_keeps_nothing(store: FactStore) -> None:
    with pytest.raises((OperatorError, ValueError)):
        store.tell([fact("Tuesdays"), replace(fact("x", attribute="b"), subject=None)])  # type: ignore[arg-type]
    assert store.show() == []
    assert store.tell([fact("Tuesdays")]) == 1


# --- pure -------------------------------------------------------------------------------------


def test_a_fact_needs_a_time_zone_and_words() -> None:
    source = FactSource("t", "m", "customer")
    common: dict[str, Any] = {"tenant": "", "source": source, "learned_at": START}
    whole = {"subject": "s", "attribute": "a", "text": "t"}
    for name in whole:
        with pytest.raises(DeveloperError, match=f"{name}: expected a text"):
            new_fact(**common, **{**whole, name: " "})
    naive = datetime(2026, 1, 1)
    with pytest.raises(DeveloperError, match="learned_at: expected a time with its time zone"):
        new_fact(**{**common, "learned_at": naive}, **whole)
    with pytest.raises(DeveloperError, match="valid_until"):
        new_fact(**common, **whole, valid_until=naive)


# --- random histories -------------------------------------------------------------------------


@dataclass
class Model:
    """What a store of facts promises, without a store."""

    now: datetime = START
    held: list[Fact] = field(default_factory=list)
    """In order of arrival."""
    was_superseded: set[str] = field(default_factory=set)

    def group(self, one: Fact) -> list[Fact]:
        same = [
            f
            for f in self.held
            if (f.tenant, f.subject, f.attribute) == (one.tenant, one.subject, one.attribute)
        ]
        return sorted(same, key=lambda f: f.learned_at)  # stable: then by arrival

    def tell(self, one: Fact) -> None:
        if all(f.id != one.id for f in self.held):
            self.held.append(one)
        self.note()

    def forget(self, tenant: str, subject: str, id_: str | None) -> int:
        self.note()
        gone = [
            f
            for f in self.held
            if (f.tenant, f.subject) == (tenant, subject) and id_ in (None, f.id)
        ]
        self.held = [f for f in self.held if f not in gone]
        self.was_superseded -= {f.id for f in gone}
        return len(gone)

    def note(self) -> None:
        self.was_superseded |= {f.id for f in self.held if self.newer(f)}

    def newer(self, one: Fact) -> list[Fact]:
        group = self.group(one)
        after = group[[f.id for f in group].index(one.id) + 1 :]
        return [f for f in after if f.certainty == "stated" or one.certainty == "vague"]

    def successor(self, one: Fact) -> str | None:
        newer = self.newer(one)
        if newer:
            return newer[0].id
        return FORGOTTEN if one.id in self.was_superseded else None

    def current(self, tenant: str, subject: str) -> set[str]:
        return {
            f.id
            for f in self.held
            if (f.tenant, f.subject) == (tenant, subject)
            and self.successor(f) is None
            and (f.valid_until is None or self.now < f.valid_until)
        }


TENANTS, SUBJECTS, ATTRIBUTES = ("torvik", "elvedal"), ("c1", "c2"), ("x", "y")


def histories(make: Callable[[Callable[[], datetime]], FactStore]) -> type[RuleBasedStateMachine]:
    class Histories(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model()
            self.store = make(lambda: self.model.now)
            for tenant, subject in itertools.product(TENANTS, SUBJECTS):
                self.store.forget(tenant=tenant, subject=subject)

        @rule(
            tenant=st.sampled_from(TENANTS),
            subject=st.sampled_from(SUBJECTS),
            attribute=st.sampled_from(ATTRIBUTES),
            text=st.sampled_from(("Tuesdays", "a dog", "maybe")),
            day=st.integers(0, 6),
            vague=st.booleans(),
            lasts=st.none() | st.integers(1, 6),
            message=st.integers(0, 5),
        )
        def tell(
            self,
            tenant: str,
            subject: str,
            attribute: str,
            text: str,
            day: int,
            vague: bool,
            lasts: int | None,
            message: int,
        ) -> None:
            one = fact(
                text,
                day=day,
                attribute=attribute,
                subject=subject,
                tenant=tenant,
                certainty="vague" if vague else "stated",
                until=None if lasts is None else day + lasts,
                message=f"m{message}",
            )
            new = self.store.tell([one])
            assert new == (one.id not in {f.id for f in self.model.held})
            self.model.tell(one)

        @rule(days=st.integers(1, 3))
        def pass_time(self, days: int) -> None:
            self.model.now += timedelta(days=days)

        @rule(tenant=st.sampled_from(TENANTS), subject=st.sampled_from(SUBJECTS))
        def forget_all(self, tenant: str, subject: str) -> None:
            gone = self.store.forget(tenant=tenant, subject=subject)
            assert gone.facts == self.model.forget(tenant, subject, None)

        @rule(data=st.data())
        def forget_one(self, data: st.DataObject) -> None:
            if not self.model.held:
                return
            one = data.draw(st.sampled_from(self.model.held))
            self.store.forget(tenant=one.tenant, subject=one.subject, fact=one.id)
            assert self.model.forget(one.tenant, one.subject, one.id) == 1

        @invariant()
        def agrees(self) -> None:
            shown = {one.id: one for one in self.store.show()}
            wanted = {
                f.id: replace(f, superseded_by=self.model.successor(f)) for f in self.model.held
            }
            assert shown == wanted
            for tenant, subject in itertools.product(TENANTS, SUBJECTS):
                found = self.store.search("x", tenant=tenant, subjects=[subject], k=99)
                assert {one.fact.id for one in found} == self.model.current(tenant, subject)

    return Histories


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_random_histories_agree_with_the_model(kind: str, new_uri: Callable[[str], str]) -> None:
    database = open_database(new_uri(kind))

    def make(clock: Callable[[], datetime]) -> FactStore:
        return fact_store(database, lambda: HashEmbeddings(8), clock=clock)

    machine: Any = histories(make)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    database.close()


def test_the_model_can_disagree(database: Database) -> None:
    """A store that lets a vague fact replace a stated one is found out."""

    class Wrong:
        def __init__(self, store: FactStore) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def tell(self, facts: Any) -> int:
            return self._store.tell([replace(one, certainty="stated") for one in facts])

    def make(clock: Callable[[], datetime]) -> Any:
        return Wrong(fact_store(database, lambda: HashEmbeddings(8), clock=clock))

    machine: Any = histories(make)
    told = machine()
    try:
        told.tell("torvik", "c1", "x", "maybe", 0, True, None, 0)
        with pytest.raises(AssertionError):
            told.agrees()
    finally:
        told.teardown()
