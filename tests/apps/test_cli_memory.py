"""``agentops memory``: what it shows, what it asks, what is left."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentops_ref.agents.memory import FactSource, fact_store, new_fact, open_database
from agentops_ref.testing import HashEmbeddings
from tests.apps.conftest import Agentops

WHO = "customer C1001"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "models: {mode: scripted}\npaths: {state: state, cache: cache}\n"
    )
    database = open_database(f"sqlite:///{tmp_path}/state/memory.db")
    store = fact_store(database, lambda: HashEmbeddings())
    store.tell(
        new_fact(
            tenant=tenant,
            subject=subject,
            attribute="access",
            text=text,
            source=FactSource(thread, text, "customer"),
            learned_at=datetime(2026, 3, day, tzinfo=UTC),
        )
        for tenant, subject, text, thread, day in [
            ("torvik", WHO, "key under the mat", "t1", 1),
            ("torvik", WHO, "key with the neighbour", "t2", 2),
            ("torvik", "customer C2", "ring twice", "t3", 2),
            ("elvedal", "customer C2", "side door", "t4", 2),
        ]
    )
    return tmp_path


@pytest.fixture
def agentops(project: Path, monkeypatch: pytest.MonkeyPatch, called: Agentops) -> Agentops:
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "200")

    return called


def facts(agentops: Agentops, *more: str) -> list[dict[str, str]]:
    code, out, err = agentops("memory", "show", "--json", *more)
    assert (code, err) == (0, "")
    found: list[dict[str, str]] = json.loads(out)["facts"]
    return found


def test_show_lists_facts_with_their_history(agentops: Agentops) -> None:
    code, out, _ = agentops("memory", "show", "--subject", WHO)
    assert code == 0
    assert "key under the mat" in out
    old, new = facts(agentops, "--subject", WHO)
    assert old["superseded_by"] == new["id"]
    assert f"superseded by {new['id']}" in out
    assert "customer, 2026-03-01 00:00; conversation t1" in out
    assert new["learned_at"] == "2026-03-02T00:00:00+00:00"
    assert len(facts(agentops)) == 4
    assert len(facts(agentops, "--tenant", "elvedal")) == 1
    assert agentops("memory", "show", "--subject", "nobody")[1].strip() == "nothing is remembered"


def test_forget_all_of_a_subject_says_where_it_was_said(agentops: Agentops) -> None:
    code, out, _ = agentops("memory", "forget", "--subject", WHO, "--yes")
    assert code == 0
    assert f"forgot 2 facts of '{WHO}'" in out
    assert "said or shown in conversations that are kept: t1, t2" in out
    assert facts(agentops, "--subject", WHO) == []
    assert len(facts(agentops)) == 2


def test_forget_one_fact_and_a_conversation_as_json(agentops: Agentops) -> None:
    old, new = facts(agentops, "--subject", WHO)
    arguments = ("--subject", WHO, "--fact", new["id"], "--thread", "t2", "--yes", "--json")
    code, out, _ = agentops("memory", "forget", *arguments)
    assert code == 0
    assert json.loads(out) == {"facts": 1, "threads": ["t2"], "threads_left": []}
    (left,) = facts(agentops, "--subject", WHO)
    assert (left["id"], left["superseded_by"]) == (old["id"], "forgotten")
    code, _, err = agentops("memory", "forget", *arguments)
    assert code == 1
    assert f"no fact {new['id']} of '{WHO}'" in err


def test_forget_asks_first(agentops: Agentops, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, _, err = agentops("memory", "forget", "--subject", WHO)
    assert code == 130
    assert "access: key under the mat" in err
    assert f"Forget 2 facts of '{WHO}'?" in err
    assert len(facts(agentops, "--subject", WHO)) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert agentops("memory", "forget", "--subject", WHO)[0] == 0
    assert facts(agentops, "--subject", WHO) == []
    code, _, err = agentops("memory", "forget", "--subject", WHO, "--json")
    assert code == 2
    assert "add --yes" in err


def test_a_subject_of_two_tenants_needs_a_choice(agentops: Agentops) -> None:
    code, _, err = agentops("memory", "forget", "--subject", "customer C2", "--yes")
    assert code == 2
    assert "elvedal, torvik: choose one with --tenant" in err
    arguments = ("--subject", "customer C2", "--tenant", "elvedal", "--yes")
    assert agentops("memory", "forget", *arguments)[0] == 0
    assert [one["tenant"] for one in facts(agentops, "--subject", "customer C2")] == ["torvik"]


def test_a_wrong_address_is_one_line(agentops: Agentops) -> None:
    code, out, err = agentops("memory", "show", "--set", "memory.uri=mysql://x")
    assert (code, out) == (2, "")
    assert err.startswith("error: memory.uri: expected sqlite:///FILE")
    assert len(err.splitlines()) == 1
