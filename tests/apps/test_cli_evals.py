"""``agentops eval``: runs, comparisons and gates, with a scripted model and recorded outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agentops_ref import build, load_config

Agentops = Callable[..., tuple[int, str, str]]
CASES = """cases:
- {id: torque, question: "What torque for the flare nut?", facts: [18 Nm], sources: [torque.md], slice: value}
- {id: filter, question: "How often is the filter cleaned?", facts: [3 months], sources: [f.md], slice: care}
"""  # noqa: E501
BASE = """models: {mode: scripted}
paths: {state: state, cache: cache}
etl: {source: {root: docs}}
evals:
  cases: cases.yaml
  scorers:
    - agentops_ref.evals.scorers:correct
    - {path: "agentops_ref.evals.limits:form", options: {max_words: 50}}
  gate:
    - {scorer: correct, at_least: 0.6}
    - {scorer: correct, no_worse_than: 0.05}
"""


@pytest.fixture
def agentops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Agentops) -> Agentops:
    """Calls `agentops eval` in a project of one document and two cases."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/torque.md").write_text("# Torque\n\nThe flare nut takes 18 Nm.\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/base.yaml").write_text(BASE)
    (tmp_path / "cases.yaml").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return partial(called, "eval")


def outputs(path: Path, passed: int, of: int) -> str:
    """Write recorded outputs of which so many state the fact, none of them scored."""
    rows = [
        {
            "id": f"c{at}",
            "question": "q",
            "facts": ["18 Nm"],
            "slice": "even" if at % 2 == 0 else "odd",
            "answer": "18 Nm" if at < passed else "75 Nm",
        }
        for at in range(of)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


ONLY_SHARE = ("--set", "evals.gate=[{scorer: correct, at_least: 0.6}]")


@pytest.mark.parametrize(
    ("passed", "code", "outcome"), [(90, 0, "pass"), (20, 1, "fail"), (62, 3, "undecided")]
)
def test_gate_exit_codes(
    agentops: Agentops, tmp_path: Path, passed: int, code: int, outcome: str
) -> None:
    file = outputs(tmp_path / "new.jsonl", passed, 100)
    found, out, err = agentops("gate", file, "--json", *ONLY_SHARE)
    assert out, err
    assert (found, json.loads(out)["outcome"]) == (code, outcome)


def test_gate_with_a_baseline(agentops: Agentops, tmp_path: Path) -> None:
    old = outputs(tmp_path / "old.jsonl", 90, 100)
    new = outputs(tmp_path / "new.jsonl", 65, 100)
    code, _, err = agentops("gate", new)
    assert code == 2
    assert "needs a baseline: give --baseline" in err
    code, out, _ = agentops("gate", old, "--baseline", old)
    assert code == 0
    assert "correct vs. baseline" in out
    assert max(map(len, out.splitlines())) <= 80
    code, _, _ = agentops(
        "gate", new, "--baseline", old, "--junit", "r/j.xml", "--markdown", "r/g.md"
    )
    assert code == 1
    suite = ElementTree.parse(tmp_path / "r/j.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.attrib["failures"] == "2", "one is undecided, one fails"
    assert "Gate: fail (new)" in (tmp_path / "r/g.md").read_text()


def test_a_rule_may_let_pass_what_is_undecided(agentops: Agentops, tmp_path: Path) -> None:
    file = outputs(tmp_path / "new.jsonl", 62, 100)
    rule = "evals.gate=[{scorer: correct, at_least: 0.6, undecided: warn}]"
    code, _, err = agentops("gate", file, "--set", rule)
    assert code == 0
    assert "warning: correct is undecided" in err


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{scorer: corect, at_least: 0.6}", "did you mean 'correct'"),
        ("{scorer: correct, at_least: 60}", "less than or equal to 1"),
        ("{scorer: correct}", "either 'at_least' or 'no_worse_than'"),
        ("{scorer: correct, atleast: 0.6}", "atleast"),
        ("{measure: euro, at_most: 1}", "'seconds', 'tokens' or 'cost'"),
    ],
)
def test_rules_that_are_wrong(agentops: Agentops, tmp_path: Path, rule: str, said: str) -> None:
    file = outputs(tmp_path / "new.jsonl", 9, 10)
    code, _, err = agentops("gate", file, "--set", f"evals.gate=[{rule}]")
    assert code == 2
    assert said in err


def test_compare(agentops: Agentops, tmp_path: Path) -> None:
    old = outputs(tmp_path / "old.jsonl", 50, 100)
    new = outputs(tmp_path / "new.jsonl", 70, 100)
    code, out, _ = agentops("compare", old, new, "--scorer", "correct", "--out", "r.html")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "+20.0%" in out
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    report = json.loads(agentops("compare", old, new, "--json")[1])
    assert [row["slice"] for row in report["rows"] if row["scorer"] == "correct"] == [
        "all", "even", "odd",
    ]  # fmt: skip
    row = report["rows"][0]
    assert (len(row["gained"]), len(row["lost"]), row["n"]) == (20, 0, 100)
    assert row["difference"]["low"] > 0
    assert agentops("compare", old, new, "--out", "r.pdf")[0] == 2
    assert "does not exist" in agentops("compare", old, "gone.jsonl")[2]
    (tmp_path / "bad.jsonl").write_text('{"id": "a"}\n')
    code, _, err = agentops("compare", old, "bad.jsonl")
    assert code == 1
    assert "bad.jsonl, line 1: 'question' is missing" in err


def test_from_takes_no_cases(agentops: Agentops) -> None:
    code, _, err = agentops("run", "--from", "x.jsonl", "--limit", "3")
    assert code == 2
    assert "--from scores what is recorded" in err
    assert agentops("run", "--from", "x.jsonl", "--split", "test")[0] == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")
def test_runs_are_kept_scored_again_and_compared(agentops: Agentops, tmp_path: Path) -> None:
    code, out, err = agentops(
        "run", "--name", "first", "--repeat", "2", "--json", "--out", "o.jsonl"
    )
    assert code in (0, 1, 3), err
    first = json.loads(out)
    assert len(first["cases"]) == 4
    assert {row["n"] for row in first["aggregates"] if row["scorer"] == "correct"} == {1, 2}
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 4

    code, out, err = agentops("run", "--from", "first", "--name", "again", "--json")
    assert code in (0, 1, 3), err
    again = json.loads(out)
    assert again["from"] == first["run_id"]
    assert again["aggregates"] == first["aggregates"]
    assert again["verdict"] == first["verdict"]

    dev = json.loads(agentops("run", "--name", "dev", "--split", "dev", "--json")[1])
    assert {case["id"] for case in dev["cases"]} == {case["id"] for case in first["cases"]}
    code, _, err = agentops("run", "--split", "test")
    assert code != 0, "no case is in it"
    assert "case" in err

    report = json.loads(agentops("compare", "first", "again", "--json")[1])
    assert {row["difference"]["mean"] for row in report["rows"]} == {0}
    assert report["stability"][0]["tries"] == 2
    kept = build(load_config()).tracer.connect().get_run(report["run_id"])
    assert kept.data.metrics["correct/difference"] == 0
    assert kept.data.tags["agentops.compares"] == f"{first['run_id']} {again['run_id']}"
    code, out, err = agentops("gate", "again", "--baseline", "first", "--json")
    assert code in (1, 3), "two cases prove nothing"
    assert json.loads(out)["run"] == "again"
    code, _, err = agentops("gate", "gone", "--baseline", "first")
    assert code == 2
    assert "no file and no finished run 'gone'" in err
    assert "runs: dev, again, first" in err
    assert not (tmp_path / "mlruns").exists(), "artifacts are beside the store"


def test_talk_holds_conversations_that_can_be_compared(agentops: Agentops, tmp_path: Path) -> None:
    turns = [
        {"say": "What torque for the flare nut?", "facts": ["18 Nm"], "sources": ["torque.md"]},
        {"say": "Are you sure?", "facts": ["18 Nm"], "sources": ["torque.md"]},
    ]
    told = [{"id": "torque", "slice": "s", "goal": "the torque", "turns": turns}]
    (tmp_path / "talks.yaml").write_text(json.dumps({"dialogues": told}))
    base = tmp_path / "config/base.yaml"
    base.write_text(f"{base.read_text()}  dialogues: {{file: talks.yaml}}\n")
    for name in ("first", "second"):
        code, out, err = agentops("talk", "--name", name, "--json")
        assert code == 0, err
        found = json.loads(out)
        assert [row["id"] for row in found["cases"]] == ["torque"]
        assert {row["scorer"] for row in found["aggregates"]} >= {"goal_reached", "turns_right"}
    code, out, err = agentops("compare", "first", "second", "--json")
    assert code == 0, err
    assert agentops("talk", "--user", "simulated")[0] == 0


def test_an_optimiser_writes_a_prompt_that_an_agent_can_use(
    agentops: Agentops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentops_ref.agents.prompts import load_prompt
    from agentops_ref.evals.optimising import Candidate, Example
    from agentops_ref.records import Answer, Case
    from agentops_ref.wiring.optimising import Optimising

    def attempt(candidate: Candidate, case: Case) -> tuple[Answer, Example]:
        right = case.id == "torque" or bool(candidate.examples)
        text = case.facts[0] if right else "no"
        return Answer(text, abstained=False), Example(case.question, "a table", "a row", text)

    nothing = ("optimise", "examples", "--out", "none.md")
    code, out, err = agentops(*nothing, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["prompt"] is None
    assert "nothing is written" in " ".join(agentops(*nothing)[1].split())
    assert not (tmp_path / "none.md").exists()

    monkeypatch.setattr(Optimising, "_attempt", lambda *_: attempt)
    rows = "".join(
        CASES.splitlines(keepends=True)[1].replace("torque,", f"t{n},") for n in range(2)
    )
    (tmp_path / "cases.yaml").write_text(CASES + rows)
    code, out, err = agentops("optimise", "examples", "--out", "new.md", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["cases"], told["prompt"]) == (2, "new.md")  # the half that it is chosen by
    assert told["before"] < told["after"] == 1
    made = load_prompt(tmp_path, "new.md")
    assert made.structured
    assert "[1] a table" in made.sections[0][1]
    code, _, err = agentops("optimise", "examples", "--out", "new.md")
    assert code == 2
    assert "new.md exists" in err
    code, out, _ = agentops("optimise", "examples", "--out", "other.md")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "compare both on cases that it never saw" in " ".join(out.split())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("how", ["gepa", "metaprompt"])
def test_an_optimiser_of_instructions_asks_the_configured_model(
    agentops: Agentops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    from agentops_ref.wiring.optimising import Optimising

    asked: list[str] = []
    say = Optimising._say

    def heard(app: Optimising, messages: list[dict[str, str]], most: int) -> str:
        asked.append(messages[-1]["content"])
        return say(app, messages, most)

    monkeypatch.setattr(Optimising, "_say", heard)
    fewer = ("--set", "evals.optimise.answers=10")
    code, out, err = agentops("optimise", how, "--out", "new.md", "--json", *fewer)
    assert code == 0, err
    told = json.loads(out)
    assert told["cases"] == 2
    # The scripted model answers with the first excerpt whatever its instructions: none is better.
    assert (told["prompt"], told["before"]) == (None, told["after"])
    assert asked
    assert "flare nut" in asked[0] or "filter" in asked[0]
    assert agentops("optimise", how, "--out", "nowhere/new.md")[0] == 2
