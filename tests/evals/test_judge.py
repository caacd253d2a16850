"""A judge with scripted models: what it says, what it costs to fail, what names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref import build, load_config
from agentops_ref.errors import ConfigError, ModelError, OperatorError, TransientError
from agentops_ref.evals import evaluate, scorer_digest
from agentops_ref.evals.judge import Judge, trim
from agentops_ref.records import Answer, Case, Chunk, Hit
from agentops_ref.testing import ScriptedChat

CASE = Case("c", "Torque of the flare nut of an NL-8?", facts=("18 Nm",), sources=("m.pdf",))


def hit(text: str, context: str = "NL-8 manual") -> Hit:
    return Hit(Chunk("1", "m.pdf", "v", 0, text, context), 1.0)


SAID = Answer("18 Nm", abstained=False, hits=(hit("Flare nut | 18 | Nm"),))


def judge(answer: Any, **more: Any) -> Judge:
    """A judge whose model writes this, or raises it."""

    def ask(values: Mapping[str, str], schema: Mapping[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    given = {"criterion": "Does it follow?", "recipe": "p/m", "reason": "none", "chars": 500}
    return Judge("follows", ask=ask, **{**given, **more})


@pytest.mark.parametrize(("verdict", "value"), [("yes", 1.0), ("no", 0.0)])
def test_a_verdict_is_a_score_with_its_reason(verdict: str, value: float) -> None:
    bare = judge({"verdict": verdict})(CASE, SAID)
    assert (bare.scorer, bare.value, bare.error) == ("follows", value, "")
    assert verdict in bare.rationale
    reasoned = judge({"reason": "It says 18.", "verdict": verdict}, reason="before")(CASE, SAID)
    assert (reasoned.value, reasoned.rationale) == (value, "It says 18.")


@pytest.mark.parametrize(
    "garbage", [{}, {"verdict": "maybe"}, {"verdict": True}, [], "yes", None, 1]
)
def test_garbage_is_a_recorded_failure(garbage: Any) -> None:
    score = judge(garbage)(CASE, SAID)
    assert score.value is None
    assert "expected a verdict" in score.error


@pytest.mark.parametrize("error", [ModelError("no JSON"), TransientError("is down")])
def test_a_model_that_fails_is_a_recorded_failure(error: Exception) -> None:
    score = judge(error)(CASE, SAID)
    assert score.value is None
    assert score.error == f"{type(error).__name__}: {error}"


def test_what_says_nothing_about_the_answer_is_raised() -> None:
    with pytest.raises(OperatorError):
        judge(OperatorError("no weights"))(CASE, SAID)


def test_an_evaluation_goes_on_after_a_failure() -> None:
    cases = [CASE, Case("d", "Q?", facts=("x",), sources=("m.pdf",))]
    replies = iter([OperatorError("lost"), {"verdict": "yes"}])

    def ask(values: Mapping[str, str], schema: Mapping[str, Any]) -> Any:
        reply = next(replies)
        if isinstance(reply, Exception):
            raise reply
        return reply

    one = Judge("follows", criterion="c", ask=ask, recipe="r", reason="none", chars=99)
    result = evaluate(cases, lambda case: SAID, [one])
    row = result.aggregate("follows")
    assert (row.n, row.errors, row.mean) == (2, 1, 1.0)
    assert result.scorers == {"follows": one.digest}


@pytest.mark.parametrize(
    "answer",
    [Answer("Not found.", abstained=True, hits=SAID.hits), Answer("18 Nm", abstained=False)],
)
def test_not_applicable_without_an_answer_or_excerpts(answer: Answer) -> None:
    score = judge(AssertionError("asked"))(CASE, answer)
    assert (score.value, score.error) == (None, "")


def test_the_expectations_are_not_shown() -> None:
    seen: dict[str, str] = {}

    def ask(values: Mapping[str, str], schema: Mapping[str, Any]) -> Any:
        seen.update(values)
        return {"verdict": "no"}

    secret = Case("c", "Torque?", facts=("SECRET 7",), forbidden=("HIDDEN 8",), sources=("s.pdf",))
    Judge("j", criterion="c", ask=ask, recipe="r", reason="none", chars=99)(secret, SAID)
    assert set(seen) == {"excerpts", "question", "answer"}
    assert not any(word in str(seen) for word in ("SECRET", "HIDDEN", "s.pdf"))


def test_the_reason_stands_before_the_verdict() -> None:
    assert list(judge(None, reason="before").schema["properties"]) == ["reason", "verdict"]
    assert list(judge(None).schema["properties"]) == ["verdict"]


@pytest.mark.parametrize(
    "change", [{"criterion": "Else?"}, {"recipe": "q/m"}, {"reason": "before"}, {"chars": 501}]
)
def test_the_digest_names_what_decides(change: dict[str, Any]) -> None:
    assert judge(None).digest == judge(1).digest == scorer_digest(judge(None))
    assert judge(None, **change).digest != judge(None).digest


# --- trimming ---------------------------------------------------------------------------------

TABLES = [
    "NL-8 manual: Connection | Value\nFlare nut | 18 | Nm\nFan nut | 9 | Nm",
    "NL-8 G2 manual: Connection | Value\nFlare nut | 16 | Nm\nFan nut | 11 | Nm",
]


def test_trimming_keeps_the_rows_in_question_and_says_of_what_they_are() -> None:
    kept = trim(TABLES, "Flare nut of an NL-8? 16 Nm", 115)
    assert kept.splitlines() == [
        "[1] NL-8 manual: Connection | Value",
        "Flare nut | 18 | Nm",
        "[2] NL-8 G2 manual: Connection | Value",
        "Flare nut | 16 | Nm",
    ]


def test_trimming_leaves_short_excerpts_whole() -> None:
    assert trim(TABLES, "?", 10_000) == f"[1] {TABLES[0]}\n[2] {TABLES[1]}"
    assert trim([], "?", 100) == ""


texts = st.lists(st.text("ab .\n|19", max_size=60), max_size=5)


@given(texts, st.text("ab 19", max_size=20), st.integers(1, 120))
def test_trimming_stays_within_its_limit_and_invents_nothing(
    excerpts: list[str], about: str, chars: int
) -> None:
    kept = trim(excerpts, about, chars)
    for line in kept.splitlines():
        piece = line.partition("] ")[2] if line.startswith("[") else line
        assert any(piece in excerpt for excerpt in excerpts)
    heads = len(excerpts) * len("[1] ")
    longest = max((len(excerpt) for excerpt in excerpts), default=0)
    assert len(kept) <= max(chars, 2 * longest + 2) + heads


# --- wired ------------------------------------------------------------------------------------


def test_a_configured_judge_asks_the_chat_model(monkeypatch: pytest.MonkeyPatch) -> None:
    app = build(load_config())
    chat = ScriptedChat(replies=['{"verdict": "no"}', "what?", '{"verdict": "yes"}'])
    monkeypatch.setitem(app.__dict__, "chat", chat)
    one = app.judge("first")
    assert [one(CASE, SAID).value for _ in range(3)] == [0.0, None, 1.0]
    system, asked = chat.asked[0]
    assert asked.text.endswith("Question: Torque of the flare nut of an NL-8?\nAnswer: 18 Nm")
    assert "NL-8 manual: Flare nut | 18 | Nm" in asked.text
    assert "NL-8" not in system.text  # what is the same for every item is read once
    assert chat.given[0]["response_format"]["json_schema"]["schema"] == one.schema


def test_an_unknown_judge_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'first'"):
        build(load_config()).judge("frist")


def test_prompt_and_model_are_in_the_digest(tmp_path: Path) -> None:
    def digest(**more: Any) -> str:
        return build(load_config(overrides=more)).judge("first").digest

    own = load_config()
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    text = own.prompts("judge_first.md").joinpath("judge_first.md").read_text(encoding="utf-8")
    (prompts / "judge_first.md").write_text(text, encoding="utf-8")
    moved = {"paths.prompts": str(prompts)}
    assert digest(**moved) == digest()
    (prompts / "judge_first.md").write_text(f"{text} ", encoding="utf-8")
    assert digest(**moved) != digest()
    assert digest(**{"models.chat.digest": "0" * 64}) != digest()
    assert digest(**{"models.chat.temperature": 0.5}) != digest()
    assert digest(**{"models.chat.threads": 1}) == digest()
    other = own.models.chat.model_dump(mode="json") | {"name": "larger"}
    model = {"evals.judges.first.model": json.loads(json.dumps(other))}
    assert digest(**model) != digest()


def test_a_judge_may_have_a_model_of_its_own() -> None:
    chat = load_config().models.chat.model_dump(mode="json") | {"name": "larger"}
    app = build(load_config(overrides={"evals.judges.first.model": chat}))
    asked = app.chat_of(app.config.evals.judges["first"].model)
    assert (asked.model_name, app.chat.model_name != "larger") == ("larger", True)
