"""Router, supervisor and limits, with scripted models: who is asked, and how it always ends."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentops_ref.agents.bounded import Bounded
from agentops_ref.agents.limits import Allowance, LimitReached, Limits
from agentops_ref.agents.prompts import load_prompt
from agentops_ref.agents.request import Request
from agentops_ref.agents.specialists import Router, Specialist
from agentops_ref.agents.supervisor import Supervisor
from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import ConfigError, DeveloperError, ModelError, NotRecorded
from agentops_ref.records import Answer, Citation, Usage
from agentops_ref.testing import ScriptedChat

PROMPTS = shipped_config_dir() / "prompts"


def usage_of(message: Any) -> Usage:
    return Usage(10, 2, 0.001, 1)


class Worker:
    """A specialist that answers, abstains, raises or hangs, and counts how often it is asked."""

    def __init__(self, reply: Answer | Exception | float) -> None:
        self.reply, self.asked = reply, []  # type: ignore[var-annotated]

    def __call__(self, question: str, *, request: Request | None = None) -> Answer:
        self.asked.append(question)
        if isinstance(self.reply, Exception):
            raise self.reply
        if isinstance(self.reply, float):
            time.sleep(self.reply)
            return Answer("too late", abstained=False)
        return self.reply


def said(text: str, document: str = "a.pdf") -> Answer:
    quoted = Citation(document, "0" * 12, 1, text)
    return Answer(text, abstained=False, citations=(quoted,), usage=Usage(5, 1, 0.002, 1))


def plan(*tasks: tuple[str, str], more: bool = False) -> str:
    """Return a decision: (specialist, task), ..."""
    listed = [{"agent": agent, "task": task} for agent, task in tasks]
    return json.dumps({"tasks": listed, "more": more})


def team(**workers: Worker) -> list[Specialist]:
    return [Specialist(name, f"what {name} knows", worker) for name, worker in workers.items()]


def supervisor(
    model: Any, specialists: list[Specialist], *, max_tasks: int = 3, **more: Any
) -> Supervisor:
    return Supervisor(
        specialists,
        model=model,
        prompt=load_prompt(PROMPTS, "supervise.md"),
        usage_of=usage_of,
        max_tasks=max_tasks,
        **more,
    )


def router(model: Any, specialists: list[Specialist], **more: Any) -> Router:
    prompt = load_prompt(PROMPTS, "route.md")
    given: dict[str, Any] = {"fallback": specialists[0].name, **more}
    return Router(specialists, model=model, prompt=prompt, usage_of=usage_of, **given)


def test_a_router_asks_one_specialist_once() -> None:
    workers = {"records": Worker(said("until 2029")), "knowledge": Worker(said("18 Nm"))}
    model = ScriptedChat(replies=[json.dumps({"agent": "knowledge"})])
    answer = router(model, team(**workers))("How tight?")
    assert answer.text == "18 Nm"
    assert answer.citations
    assert [step.action for step in answer.steps] == ["knowledge"]
    assert not workers["records"].asked
    assert workers["knowledge"].asked == ["How tight?"]
    assert answer.usage == usage_of(None) + Usage(5, 1, 0.002, 1)


def offered(call: Any) -> list[str]:
    """Return the names that one decision could choose from."""
    schema = call["response_format"]["json_schema"]["schema"]
    task = schema["properties"]["tasks"]["items"]
    return list(task["properties"]["agent"]["enum"])


def test_who_found_nothing_is_not_asked_again() -> None:
    nothing = Answer("nothing in the records", abstained=True)
    model = ScriptedChat(replies=[plan(("records", "weight?")), plan(("knowledge", "weight?"))])
    workers = {"records": Worker(nothing), "knowledge": Worker(said("80 kg"))}
    answer = supervisor(model, team(**workers))("How heavy?")
    assert answer.text == "80 kg"
    assert [offered(given) for given in model.given] == [["records", "knowledge"], ["knowledge"]]


def test_what_depends_on_a_finding_is_decided_after_it() -> None:
    model = ScriptedChat(
        replies=[plan(("records", "order?"), more=True), plan(("knowledge", "What is F02?"))]
    )
    workers = {"records": Worker(said("It reports F02.")), "knowledge": Worker(said("a sensor"))}
    answer = supervisor(model, team(**workers))("What does the order say, and its code mean?")
    assert "- order? records: It reports F02." in str(model.asked[1][-1].content)
    assert answer.text == "It reports F02.\na sensor"


@pytest.mark.parametrize("garbage", ["", "knowledge", '{"agent": "nobody"}', "[1]"])
def test_a_router_that_gets_garbage_takes_the_fallback_and_says_so(garbage: str) -> None:
    workers = {"records": Worker(said("until 2029")), "knowledge": Worker(said("18 Nm"))}
    answer = router(ScriptedChat(replies=[garbage]), team(**workers), fallback="knowledge")("?")
    assert answer.text == "18 Nm"
    assert "no such specialist" in answer.steps[0].detail


def test_a_fallback_must_exist() -> None:
    with pytest.raises(ConfigError, match=r"agent.fallback.*did you mean 'records'"):
        router(ScriptedChat(), team(records=Worker(said("x"))), fallback="record")


def test_a_supervisor_hands_parts_over_and_tells_what_was_found() -> None:
    workers = {"records": Worker(said("until 2029", "r")), "knowledge": Worker(said("18 Nm"))}
    model = ScriptedChat(replies=[plan(("records", "warranty?"), ("knowledge", "torque?"))])
    answer = supervisor(model, team(**workers))("Both?")
    assert answer.text == "until 2029\n18 Nm"
    assert [citation.document for citation in answer.citations] == ["r", "a.pdf"]
    assert [(s.agent, s.action, s.input) for s in answer.steps] == [
        ("supervisor", "records", "warranty?"),
        ("supervisor", "knowledge", "torque?"),
    ]
    assert not answer.problem
    assert answer.usage.calls == 3


def test_a_task_that_was_done_is_not_done_again() -> None:
    worker = Worker(said("18 Nm"))
    replies = [plan(("knowledge", "Torque?"), more=True), plan(("knowledge", "torque?"))]
    answer = supervisor(ScriptedChat(replies=replies), team(knowledge=worker))("How tight?")
    assert worker.asked == ["Torque?"]
    assert answer.text == "18 Nm"
    assert not answer.problem


def test_tasks_past_the_most_are_not_handed_out() -> None:
    worker = Worker(said("18 Nm"))
    model = ScriptedChat(replies=[plan(*[("knowledge", f"{n}?") for n in range(9)], more=True)])
    supervisor(model, team(knowledge=worker), max_tasks=2)("?")
    assert worker.asked == ["0?", "1?"]


@pytest.mark.parametrize(
    "garbage",
    ["", "knowledge", "[1]", "{}", '{"tasks": 3}', plan(), plan(("nobody", "?")), '{"tasks": [7]}'],
)
def test_a_supervisor_that_gets_garbage_says_so(garbage: str) -> None:
    worker = Worker(said("18 Nm"))
    answer = supervisor(ScriptedChat(replies=[garbage]), team(knowledge=worker))("?")
    assert answer.abstained
    assert "no decision" in answer.problem
    assert not worker.asked


def test_who_failed_is_not_offered_again_and_the_others_answer() -> None:
    workers = {
        "records": Worker(RuntimeError("port 5432 refused")),
        "knowledge": Worker(said("18")),
    }
    model = ScriptedChat(replies=[plan(("records", "a"), ("knowledge", "b")), plan()])
    answer = supervisor(model, team(**workers))("Both?")
    assert answer.text == "18"
    assert not answer.abstained
    assert "records failed: port 5432 refused" in answer.problem
    assert "- records:" not in str(model.asked[1][0].content)
    assert [step.status for step in answer.steps] == ["failed", "ok"]


def test_nobody_left_is_stated() -> None:
    model = ScriptedChat(replies=[plan(("records", "a"))])
    answer = supervisor(model, team(records=Worker(RuntimeError("gone"))))("?")
    assert answer.abstained
    assert "gone" in answer.problem
    assert answer.text


def test_a_slow_specialist_costs_its_own_time_and_no_more() -> None:
    slow = Specialist("records", "slow", Worker(5.0), timeout=0.2)
    model = ScriptedChat(replies=[plan(("records", "a"), ("knowledge", "b")), plan()])
    team_ = [slow, *team(knowledge=Worker(said("18 Nm")))]
    started = time.perf_counter()
    answer = supervisor(model, team_)("Both?")
    assert time.perf_counter() - started < 4
    assert answer.text == "18 Nm"
    assert "records timeout" in answer.problem


def test_the_deadline_ends_in_what_was_found() -> None:
    workers = {"knowledge": Worker(said("18 Nm")), "records": Worker(30.0)}
    model = ScriptedChat(replies=[plan(("knowledge", "a"), ("records", "b"))])
    bounded = Bounded(supervisor(model, team(**workers)), Allowance(seconds=1.0), reply="Sorry.")
    started = time.perf_counter()
    answer = bounded("Both?")
    assert time.perf_counter() - started < 3
    assert answer.text == "18 Nm"
    assert "1 seconds" not in answer.text
    assert "limit:" in answer.problem


@pytest.mark.parametrize(
    ("allowance", "limit"),
    [
        (Allowance(steps=1), "steps"),
        (Allowance(tokens=12), "tokens"),
        (Allowance(cost=0.001), "cost"),
    ],
)
def test_each_limit_ends_the_work(allowance: Allowance, limit: str) -> None:
    worker = Worker(said("18 Nm"))
    model = ScriptedChat(replies=[plan(("knowledge", "a"))])
    answer = Bounded(supervisor(model, team(knowledge=worker)), allowance, reply="Sorry.")("?")
    assert len(model.asked) == 1
    assert limit in answer.problem
    assert not worker.asked  # its work would begin past the limit


@pytest.mark.parametrize("kind", [RuntimeError, ModelError, TimeoutError, OSError])
def test_whatever_an_agent_raises_is_stated(kind: type[Exception]) -> None:
    answer = Bounded(Worker(kind("it broke")), Allowance(), reply="Sorry.")("?")
    assert (answer.text, answer.abstained) == ("Sorry.", True)
    assert "it broke" in answer.problem


@pytest.mark.parametrize("kind", [ConfigError, DeveloperError, NotRecorded])
def test_a_mistake_in_the_set_up_is_raised(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Bounded(Worker(kind("mend this")), Allowance(seconds=5), reply="Sorry.")("?")


TASK = st.tuples(st.sampled_from(["a", "b", "c", "nobody"]), st.text(max_size=3))
CHOICES = st.one_of(
    st.builds(lambda tasks, more: plan(*tasks, more=more), st.lists(TASK), st.booleans()),
    st.sampled_from(["", "{}", "null", '{"tasks": 3}', '{"tasks": [{}, 1], "more": 2}']),
)
REPLIES = st.sampled_from([said("x"), said("y"), RuntimeError("down"), Answer("no", True)])


@settings(deadline=None, max_examples=60)
@given(st.lists(CHOICES, max_size=12), st.tuples(REPLIES, REPLIES, REPLIES), st.integers(1, 5))
def test_it_ends_whatever_the_model_says(
    choices: list[str], replies: tuple[Any, ...], max_tasks: int
) -> None:
    """Rounds are bounded, no task is done twice, nobody who failed is asked again."""
    workers = {name: Worker(reply) for name, reply in zip("abc", replies, strict=True)}
    model = ScriptedChat(replies=[*choices, *[plan()] * 3])
    answer = supervisor(model, team(**workers), max_tasks=max_tasks)("?")
    assert sum(len(worker.asked) for worker in workers.values()) <= max_tasks
    for worker in workers.values():
        if isinstance(worker.reply, Exception):
            assert len(worker.asked) <= 1
        assert len({task.lower() for task in worker.asked}) == len(worker.asked)
    useful = [w for w in workers.values() if w.asked and w.reply in (said("x"), said("y"))]
    assert answer.abstained == (not useful)
    assert answer.text


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_limits_count_and_say_which() -> None:
    clock = Clock()
    limits = Limits(Allowance(seconds=10, steps=2), clock=clock)
    limits.check()
    clock.now = 4.0
    assert limits.left() == 6.0
    limits.spend(Usage(calls=2))
    with pytest.raises(LimitReached, match="steps are used up: 2 of 2") as caught:
        limits.check()
    assert caught.value.limit == "steps"
    clock.now = 11.0
    with pytest.raises(LimitReached, match="10 seconds are over"):
        limits.check()


def test_a_step_runs_in_its_callers_context() -> None:
    from contextvars import ContextVar

    held: ContextVar[str] = ContextVar("held", default="none")
    held.set("the caller's")
    assert Limits(Allowance(seconds=5)).run("a step", held.get) == "the caller's"


def test_usage_is_added_up_across_threads() -> None:
    limits = Limits()

    def spend() -> None:
        for _ in range(200):
            limits.spend(Usage(1, 0, 0, 1))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limits.usage.calls == 800
