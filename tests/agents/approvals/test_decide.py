"""An action is done once, as it was approved, by who may, in time; or it is not done at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentops_ref.agents.approvals import Approvals, Decider, NotDecided
from agentops_ref.agents.memory import Database, open_database
from agentops_ref.agents.tools import Caller, Registry
from agentops_ref.agents.tools.functions import FunctionTool
from agentops_ref.errors import TransientError
from tests.agents.approvals.parts import ASKER, BIG, CHIEF, LASTS, POLICY, TREASURER, Desk


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def waiting(desk: Desk, caller: Caller = ASKER, **arguments: Any) -> str:
    """Ask for an action that waits; return its id."""
    result = desk.ask(caller, **arguments)
    assert result.status == "waiting"
    return str(result.value)


def test_a_small_action_is_done_at_once(desk: Desk) -> None:
    assert desk.ask(euros=50, caller=replace(ASKER, said="50")).ok
    assert desk.paid == [(50, "Ada")]
    assert desk.approvals.store.list(every=True) == []


def test_what_waits_is_not_done_and_says_so_in_the_same_words(desk: Desk) -> None:
    first, second = desk.ask(), desk.ask(replace(ASKER, request="r2"))
    assert desk.paid == []
    assert first.text == second.text
    assert first.text == "not done yet: it waits for approval by the treasurer (above 100 EUR)"
    # Asked for again in the same conversation, it is the same action.
    assert first.value == second.value
    (held,) = desk.approvals.store.list()
    assert (held.arguments, held.effect) == (BIG, "paid 500 EUR to Ada")
    assert (held.requested_by, held.role, held.state) == ("bo", "treasurer", "pending")


def test_approved_it_is_done_as_it_was_asked_for(desk: Desk) -> None:
    done = desk.decide(waiting(desk))
    assert desk.paid == [(500, "Ada")]
    assert (done.state, done.result, done.decided_by) == ("done", "paid 500 EUR to Ada", "ida")
    told = desk.approvals.outcome(done.id)
    assert told == "pay was approved by the treasurer (ida) and done: paid 500 EUR to Ada."


def test_rejected_it_is_not_done(desk: Desk) -> None:
    id_ = waiting(desk)
    desk.decide(id_, approve=False)
    with pytest.raises(NotDecided, match="decided before: rejected, by ida"):
        desk.decide(id_)
    assert desk.paid == []
    assert "did not approve" in str(desk.approvals.outcome(id_))


@pytest.mark.parametrize("approve", [True, False])
def test_decided_twice_the_second_does_nothing(desk: Desk, approve: bool) -> None:
    id_ = waiting(desk)
    desk.decide(id_)
    with pytest.raises(NotDecided, match="decided before: done, by ida"):
        desk.decide(id_, approve=approve)
    assert desk.paid == [(500, "Ada")]


def test_decided_late_it_does_nothing(desk: Desk) -> None:
    id_ = waiting(desk)
    desk.clock.pass_(hours=72)
    with pytest.raises(NotDecided, match="could be decided until 2026-03-05T09:00 UTC"):
        desk.decide(id_)
    assert desk.paid == []
    assert "nobody decided until" in str(desk.approvals.outcome(id_))
    # It can be asked for again, as another action.
    assert waiting(desk) != id_


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (Decider("eva", ("chief",), "torvik"), "decided by the treasurer; eva has chief"),
        (Decider("eva", (), "torvik"), "eva has no role"),
        (Decider("ida", ("treasurer",), "granmo"), "no action"),
        (Decider("ida", ("treasurer",)), "no action"),
        (Decider("", ("treasurer",), "torvik"), "nobody is named"),
        (Decider("bo", ("treasurer",), "torvik"), "asked for by bo"),
    ],
)
@pytest.mark.parametrize("approve", [True, False])
def test_the_wrong_person_does_nothing(desk: Desk, by: Decider, why: str, approve: bool) -> None:
    id_ = waiting(desk)
    with pytest.raises(NotDecided, match=why):
        desk.decide(id_, by=by, approve=approve)
    assert desk.paid == []
    assert desk.decide(id_).state == "done"  # the right one still can


def test_nothing_is_told_of_what_others_have_waiting(desk: Desk) -> None:
    stranger = Decider("ida", ("treasurer",), "granmo")
    with pytest.raises(NotDecided) as there:
        desk.decide(id_ := waiting(desk), by=stranger)
    with pytest.raises(NotDecided) as not_there:
        desk.decide("0" * 12, by=stranger)
    assert str(there.value).replace(id_, "0" * 12) == str(not_there.value)


def test_of_two_who_decide_at_once_one_does(database: Database) -> None:
    desk = Desk(database)
    id_, at_once = waiting(desk), threading.Barrier(4)

    def decide(number: int) -> str:
        at_once.wait()
        try:
            return str(desk.decide(id_, approve=number % 2 == 0).state)
        except NotDecided:
            return "nothing"

    with ThreadPoolExecutor(4) as pool:
        states = sorted(pool.map(decide, range(4)))
    assert states.count("nothing") == 3
    assert desk.paid == ([(500, "Ada")] if "done" in states else [])


@pytest.mark.parametrize(
    "changed",
    [
        {"euros": 5000},
        {"to": "Eve"},
        {"extra": 1},
    ],
)
def test_an_approval_opens_for_no_other_arguments(desk: Desk, changed: dict[str, Any]) -> None:
    id_ = waiting(desk)
    assert desk.approvals.store.decide(id_, "approved", by="ida", note="", now=desk.clock())
    result = desk.ask(replace(ASKER, approval=id_), **changed)
    assert result.status in ("denied", "invalid")
    assert desk.paid == []


@pytest.mark.parametrize("caller", [replace(ASKER, tenant="granmo"), replace(ASKER, tenant="")])
def test_an_approval_opens_for_no_other_tenant(desk: Desk, caller: Caller) -> None:
    id_ = waiting(desk)
    desk.approvals.store.decide(id_, "approved", by="ida", note="", now=desk.clock())
    assert desk.ask(replace(caller, approval=id_)).status == "denied"
    assert desk.paid == []


def test_an_approval_that_is_not_given_opens_nothing(desk: Desk) -> None:
    id_ = waiting(desk)
    for approval in (id_, "unknown", "' OR 1=1 --"):
        assert desk.ask(replace(ASKER, request=approval, approval=approval)).status == "denied"
    assert desk.paid == []


def test_an_approval_opens_once(desk: Desk) -> None:
    id_ = waiting(desk)
    desk.decide(id_)
    assert desk.ask(replace(ASKER, request="r9", approval=id_)).status == "denied"
    assert desk.paid == [(500, "Ada")]


def test_the_same_request_is_told_what_was_done_and_does_it_no_more(desk: Desk) -> None:
    desk.decide(waiting(desk))
    again = desk.ask()
    assert (again.status, again.repeated, again.text) == ("ok", True, "paid 500 EUR to Ada")
    assert desk.paid == [(500, "Ada")]
    # In a later request it is a new action, which waits.
    assert waiting(desk, replace(ASKER, request="r2"))


def test_another_version_of_the_tool_is_not_what_was_approved(database: Database) -> None:
    id_ = waiting(Desk(database))
    later = Desk(database, version="2")
    assert later.decide(id_).state == "failed"
    assert later.paid == []


def test_what_cannot_be_done_is_put_before_nobody(desk: Desk) -> None:
    result = desk.ask(to="nobody")
    assert result.status == "failed"
    assert "there is nobody of that name" in result.text
    assert desk.approvals.store.list(every=True) == []


def test_an_action_that_fails_after_all_says_so(database: Database) -> None:
    def breaks() -> None:
        raise ValueError("the bank is shut")

    done = (desk := Desk(database, during=breaks)).decide(waiting(desk))
    assert done.state == "failed"
    assert "the bank is shut" in done.result


class Killed(BaseException):
    """What a process sees of its own end: nothing after it runs."""


@pytest.mark.parametrize("point", ["after the decision", "in the tool", "after the tool"])
def test_cut_off_anywhere_it_is_done_at_most_once(database: Database, point: str) -> None:
    desk = Desk(database)
    id_ = waiting(desk)

    def cut(name: str, arguments: Any, caller: Caller) -> Any:
        if point == "in the tool":
            desk.approvals.gate(desk.registry.specs()[0], arguments, caller)
        if point == "after the tool":
            desk.registry.call(name, arguments, caller)
        raise Killed

    with pytest.raises(Killed):
        desk.approvals.decide(id_, approve=True, by=TREASURER, call=cut)
    done = len(desk.paid)
    assert done == (point == "after the tool")
    # Another process finds it in the list, and nobody can let it be done a second time.
    (held,) = desk.approvals.store.list()
    assert held.state in ("approved", "running")
    with pytest.raises(NotDecided, match="decided before"):
        desk.decide(id_)
    assert desk.approvals.outcome(id_) is None
    assert len(desk.paid) == done


def cut_off(desk: Desk) -> str:
    """Approve an action whose process dies before it begins; return its id."""

    def cut(*_: Any) -> Any:
        raise Killed

    id_ = waiting(desk)
    with pytest.raises(Killed):
        desk.approvals.decide(id_, approve=True, by=TREASURER, call=cut)
    return id_


@pytest.mark.parametrize(("done", "state"), [(True, "done"), (False, "failed")])
def test_what_was_cut_off_is_closed_by_whoever_looked(desk: Desk, done: bool, state: str) -> None:
    id_ = cut_off(desk)
    with pytest.raises(NotDecided, match="may still be running"):
        desk.approvals.close(id_, done=done, by=TREASURER, note="")
    desk.clock.pass_(hours=1)
    with pytest.raises(NotDecided, match="decided by the treasurer; eva has chief"):
        desk.approvals.close(id_, done=done, by=CHIEF, note="")
    closed = desk.approvals.close(id_, done=done, by=TREASURER, note="the bank says so")
    assert (closed.state, closed.result) == (state, "ida looked: the bank says so")
    assert "the bank says so" in str(desk.approvals.outcome(id_))
    assert desk.paid == []
    assert desk.approvals.store.list() == []
    with pytest.raises(NotDecided, match="was not cut off"):
        desk.approvals.close(id_, done=done, by=TREASURER, note="")


def test_what_waits_is_not_closed(desk: Desk) -> None:
    id_ = waiting(desk)
    with pytest.raises(NotDecided, match="was not cut off: pending"):
        desk.approvals.close(id_, done=True, by=TREASURER, note="")
    assert desk.decide(id_).state == "done"


def test_forgotten_with_its_conversation_only_the_decision_stays(desk: Desk) -> None:
    first = waiting(desk, replace(ASKER, thread="a"))
    desk.decide(first)
    second = waiting(desk, replace(ASKER, thread="a"), euros=700)
    other = waiting(desk, replace(ASKER, request="r2", thread="b"))
    assert desk.approvals.store.forget([]) == 0
    assert desk.approvals.store.forget(["a"]) == 2
    held = {one.id: one for one in desk.approvals.store.list(every=True)}
    assert [held[one].state for one in (first, second, other)] == ["done", "rejected", "pending"]
    for one in (first, second):
        assert (held[one].arguments, held[one].effect, held[one].result) == ({}, "", "")
    assert held[first].decided_by == "ida"
    assert held[other].arguments == BIG
    with pytest.raises(NotDecided):
        desk.decide(second)
    assert desk.paid == [(500, "Ada")]


def test_where_no_record_can_be_kept_nothing_is_done(tmp_path: Any) -> None:
    class Gone:
        def one_at_a_time(self, key: str, *, wait: float) -> Any:
            raise TransientError("the database is locked")

    desk = Desk(Gone())  # type: ignore[arg-type]
    result = desk.ask()
    assert result.status == "failed"
    assert "nothing was done" in result.text
    assert "locked" in result.text
    assert desk.paid == []


def test_a_gate_that_hangs_is_left_behind(database: Database) -> None:
    release = threading.Event()
    made: list[str] = []

    def act(caller: Caller) -> str:
        """Act."""
        made.append("done")
        return "done"

    def gate(*_: Any) -> None:
        release.wait()

    tool = FunctionTool(act, effect="write", timeout=0.2)
    result = Registry([tool], gate=gate).call("act", {}, ASKER)
    release.set()
    assert result.status == "timeout"
    assert made == []


class Histories(RuleBasedStateMachine):
    """Whatever happens in whatever order: done is what was approved, in time, once."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.database = open_database(f"sqlite:///{self.folder.name}/a.db")
        self.desk = Desk(self.database)
        self.asked: dict[str, Any] = {}
        self.allowed: list[tuple[float, str]] = []
        self.done: set[tuple[str, tuple[float, str]]] = set()

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(
        euros=st.sampled_from([200, 300]),
        to=st.sampled_from(["Ada", "Eve"]),
        request=st.sampled_from(["r1", "r2"]),
    )
    def ask(self, euros: int, to: str, request: str) -> None:
        result = self.desk.ask(replace(ASKER, request=request), euros=euros, to=to)
        if (request, (euros, to)) in self.done:
            assert (result.status, result.repeated) == ("ok", True)
            return
        assert result.status == "waiting"
        known = self.asked.get(result.value)
        first = [self.desk.clock() + LASTS, (euros, to), True, request]
        self.asked[result.value] = known or first

    @precondition(lambda self: self.asked)
    @rule(
        data=st.data(),
        approve=st.booleans(),
        by=st.sampled_from([TREASURER, CHIEF, Decider("bo", ("treasurer",), "torvik")]),
    )
    def decide(self, data: Any, approve: bool, by: Decider) -> None:
        # By number: ids are new in each run.
        id_ = list(self.asked)[data.draw(st.integers(0, len(self.asked) - 1))]
        until, action, still, request = self.asked[id_]
        may = still and self.desk.clock() < until and by is TREASURER
        try:
            self.desk.decide(id_, approve=approve, by=by)
        except NotDecided:
            assert not may
        else:
            assert may
            self.asked[id_][2] = False
            if approve:
                self.allowed.append(action)
                self.done.add((request, action))

    @rule(hours=st.sampled_from([1, 71, 72]))
    def wait(self, hours: int) -> None:
        self.desk.clock.pass_(hours=hours)

    @rule(minutes=st.just(0))
    def restart(self, minutes: int) -> None:
        before = self.desk
        self.desk = Desk(self.database)
        self.desk.clock.now, self.desk.paid = before.clock.now, before.paid
        self.done.clear()  # what a request has called is remembered by its process

    @invariant()
    def done_is_what_was_allowed(self) -> None:
        assert self.desk.paid == self.allowed


Histories.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestHistories = Histories.TestCase


def test_the_default_policy_is_shared_by_nobody(database: Database) -> None:
    approvals = Approvals(lambda: database, POLICY, lasts=timedelta(seconds=1))
    assert approvals.clock().tzinfo is not None
