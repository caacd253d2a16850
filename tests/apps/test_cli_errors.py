"""`agentops errors`: from conversations to a regression case, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.evals import load_cases
from tests.apps.conftest import Agentops

ROWS: list[dict[str, Any]] = [
    {"id": f"c{at}", "slice": "visits" if at % 2 else "parts", "system": "desk",
     "question": f"Question {at}? [bold]", "answer": "No.",
     "states": ["plan", "search", "search", "say"]}
    for at in range(6)
]  # fmt: skip


@pytest.fixture
def agentops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Agentops) -> Agentops:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
        "evals: {errors: {orders: 100}}\n"
    )
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return called


@pytest.fixture
def coded(agentops: Agentops) -> Agentops:
    """Six traces, four of which failed, three of these in one category."""
    done(agentops, "import", "in.jsonl")
    for id_, last, first in (
        ("c0", "plan", "search"), ("c1", "plan", "search"), ("c2", "plan", "search"),
        ("c3", "start", "plan"),
    ):  # fmt: skip
        where = ("--first-failure", first, "--last-success", last)
        done(agentops, "codes", "add", id_, *where, "--note", f"note {id_}", "--coder", "anna")
    done(agentops, "codes", "add", "c4", "--right", "--coder", "anna")
    done(agentops, "taxonomy", "add", "wrong-search", "--definition", "It searched elsewhere.")
    for id_ in ("c0", "c1", "c2"):
        done(agentops, "taxonomy", "assign", id_, "wrong-search", "--coder", "anna")
    return agentops


def done(agentops: Agentops, *arguments: str) -> str:
    code, out, err = agentops("errors", *arguments)
    assert (code, err) == (0, "")
    return out


def told(agentops: Agentops, *arguments: str) -> Any:
    return json.loads(done(agentops, *arguments, "--json"))


def test_an_import_twice_adds_nothing(agentops: Agentops, tmp_path: Path) -> None:
    first = told(agentops, "import", "in.jsonl")
    assert (first["traces"], first["readings"], first["unchanged"]) == (6, 0, 0)
    assert Path(first["file"]) == tmp_path / "state" / "errors" / "readings.jsonl"
    assert told(agentops, "import", "in.jsonl")["unchanged"] == 6
    assert told(agentops, "import", "in.jsonl", "--file", "other.jsonl")["traces"] == 6


def test_a_wrong_line_is_named_and_nothing_is_taken(agentops: Agentops, tmp_path: Path) -> None:
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write('{"id": "x", "question": "q", "first_failure": "plan"}\n')
    code, _, err = agentops("errors", "import", "in.jsonl")
    assert code == 2
    assert "in.jsonl: line 7: 'x': 'last_success' is missing" in err
    assert told(agentops, "codes")["traces"] == 0
    for arguments in ((), ("in.jsonl", "--runs", "a/b")):
        code, _, err = agentops("errors", "import", *arguments)
        assert code == 2
        assert "give one of" in err
    (tmp_path / "in.jsonl").write_bytes(b"\xff\xfe")
    code, _, err = agentops("errors", "import", "in.jsonl")
    assert (code, "not UTF-8" in err) == (2, True)


def test_reading_one_after_the_other(agentops: Agentops) -> None:
    assert "there are no traces" in done(agentops, "codes", "next")
    done(agentops, "import", "in.jsonl")
    seen = []
    for _ in ROWS:
        shown = told(agentops, "codes", "next", "--coder", "anna")
        seen.append(shown["trace"]["id"])
        assert shown["states"] == ["plan", "search", "say"]
        done(agentops, "codes", "add", seen[-1], "--right", "--coder", "anna")
    assert sorted(seen) == [row["id"] for row in ROWS]
    assert "all 6 traces are read" in done(agentops, "codes", "next", "--coder", "anna")
    assert told(agentops, "codes", "next", "--coder", "bo")["trace"]["id"] == seen[0]


def test_a_trace_fits_the_terminal_and_is_shown_as_it_is(agentops: Agentops) -> None:
    done(agentops, "import", "in.jsonl")
    out = done(agentops, "codes", "show", "c0")
    assert "Question 0? [bold]" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_state_that_is_none_is_refused(agentops: Agentops) -> None:
    done(agentops, "import", "in.jsonl")
    code, _, err = agentops("errors", "codes", "add", "c0", "--first-failure", "serch")
    assert (code, "did you mean 'search'" in err) == (2, True)
    code, _, err = agentops("errors", "codes", "add", "c99", "--right")
    assert (code, "no trace 'c99'" in err) == (2, True)


def test_counts_by_slice(coded: Agentops) -> None:
    found = told(coded, "codes")
    rows = {(row["name"], row["slice"]): (row["count"], row["n"]) for row in found["failed"]}
    assert rows == {("failed", "all"): (4, 5), ("failed", "parts"): (2, 3),
                    ("failed", "visits"): (2, 2)}  # fmt: skip
    assert all(0 <= row["low"] <= row["share"] <= row["high"] <= 1 for row in found["failed"])
    assert [note["id"] for note in found["notes"]] == ["c0", "c1", "c2", "c3"]
    assert "note c3" in done(coded, "codes")
    assert len(told(coded, "codes", "--slice", "visits")["notes"]) == 2


def test_categories_and_agreement(coded: Agentops) -> None:
    done(coded, "codes", "add", "c0", "--right", "--coder", "bo")
    done(coded, "codes", "add", "c0", "--first-failure", "search", "--coder", "anna", "--note", "n")
    found = told(coded, "taxonomy")
    assert found["coverage"]["count"] == 3
    assert found["agreement"][0]["what"] == "outcome"
    assert "wrong-search" in done(coded, "taxonomy")
    code, _, err = coded("errors", "taxonomy", "assign", "c4", "wrong-search")
    assert (code, "not read as failed" in err) == (2, True)
    code, _, err = coded("errors", "taxonomy", "accept", "wrong-search")
    assert (code, "decided already" in err) == (2, True)


def test_a_proposal_of_the_model_waits_for_a_person(
    coded: Agentops, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentops_ref.wiring.errors import ErrorAnalysis

    reply = {"categories": [{"name": "no plan", "definition": "No plan.", "notes": [1]}]}
    monkeypatch.setattr(ErrorAnalysis, "_ask_for_groups", lambda *_: json.dumps(reply))
    (one,) = told(coded, "taxonomy", "propose")
    assert (one["name"], one["proposed"], one["members"]) == ("no-plan", True, {"model": ["c3"]})
    assert told(coded, "taxonomy")["coverage"]["count"] == 3
    done(coded, "taxonomy", "accept", "no-plan", "--coder", "anna")
    assert told(coded, "taxonomy")["coverage"]["count"] == 4


def test_saturation(coded: Agentops, tmp_path: Path) -> None:
    found = told(coded, "saturation", "--out", "curve.png")
    assert not found["stop"]
    assert found["without_category"] == 1
    assert found["curve"]["found"][-1] == 1
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "Go on" in done(coded, "saturation")
    assert told(coded, "saturation", "--file", "none.jsonl")["unseen"]["total"] is None
    code, _, err = coded("errors", "saturation", "--out", "curve.nonsense")
    assert (code, "cannot draw" in err) == (1, True)


def test_the_matrix(coded: Agentops, tmp_path: Path) -> None:
    found = told(coded, "matrix", "--out", "matrix.html")
    assert found["states"] == ["start", "plan", "search", "say"]
    assert found["counts"] == [[0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found["loops"][0]["states"] == ["search"]
    assert found["slices"]["visits"]["placed"] == 2
    page = (tmp_path / "matrix.html").read_text()
    assert "<script" not in page
    assert page.count('href="#t') == 8  # four failures, in the whole and in their slices
    done(coded, "matrix", "--out", "matrix.png")
    assert "plan" in done(coded, "matrix", "--slice", "parts")
    code, _, err = coded("errors", "matrix", "--slice", "part")
    assert (code, "did you mean 'parts'" in err) == (2, True)


def test_from_a_category_to_a_case_to_a_gates_rule(coded: Agentops, tmp_path: Path) -> None:
    draft = told(coded, "case", "wrong-search", "--out", "draft.yaml")
    assert (draft["finished"], len(draft["cases"])) == (False, 3)
    assert draft["gate"].startswith("{scorer: correct, slice: wrong-search, at_least: ")
    code, _, err = coded("errors", "case", "wrong-search", "--out", "draft.yaml")
    assert (code, "exists" in err) == (1, True)
    whole = ("--fact", "12 A", "--source", "manual.pdf", "--out", "case.yaml")
    assert told(coded, "case", "c0", *whole)["finished"]
    (case,) = load_cases(tmp_path / "case.yaml")
    assert (case.slice, case.origin, case.question) == (
        "wrong-search",
        "trace",
        ROWS[0]["question"],
    )
    out = done(coded, "case", "c3")
    assert "FILL IN" in out
    assert "agentops dataset add" in out
    code, _, err = coded("errors", "case", "c3", "--abstain", "--fact", "x")
    assert (code, "exclude each other" in err) == (2, True)
