"""Versions are named by their content, read from files and git, and compared case by case."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops_ref.errors import ConfigError, OperatorError
from agentops_ref.evals.datasets import Version, dataset_digest, diff, diff_lines, read_version
from agentops_ref.records import Case

ROW = "  - {id: %s, slice: value, question: How tight is %s, facts: [42 Nm], sources: [m.pdf]}\n"


def version(*cases: Case) -> Version:
    return Version("somewhere", cases)


def case(name: str, **more: object) -> Case:
    return Case(name, f"How tight is {name}?", ("42 Nm",), (), ("m.pdf",), slice="value", **more)  # type: ignore[arg-type]


def test_digest_names_everything_that_is_written() -> None:
    a, b = case("a"), case("b")
    digest = dataset_digest([a, b])
    assert digest == dataset_digest([b, a])
    for other in (
        replace(a, split="test"),
        replace(a, retired="2026-01-08: asked twice"),
        replace(a, origin="incident", origin_note="INC-7"),
        replace(a, facts=("43 Nm",)),
    ):
        assert dataset_digest([other, b]) != digest


def test_counts_are_of_live_cases() -> None:
    made = version(case("a"), case("b", split="test"), case("c", retired="gone"))
    assert [one.id for one in made.live] == ["a", "b"]
    assert made.counts("split") == {"dev": 1, "test": 1}


def test_each_difference_is_in_one_group() -> None:
    before = version(case("stays"), case("goes"), case("retires"), case("back", retired="x"),
                     case("moves"))  # fmt: skip
    after = version(
        case("stays"), case("comes"), case("retires", retired="2026-01-08: asked twice"),
        case("back"), replace(case("moves"), split="test", facts=("43 Nm",)),
    )  # fmt: skip
    found = diff(before, after)
    assert [c.id for c in found.added] == ["comes"]
    assert [c.id for c in found.removed] == ["goes"]
    assert [c.id for c in found.retired] == ["retires"]
    assert [c.id for c in found.restored] == ["back"]
    assert [(c.case, c.field) for c in found.changes] == [("moves", "facts"), ("moves", "split")]
    assert found.to_dict()["changes"][0]["before"] == ("42 Nm",)
    lines = diff_lines(found)
    assert ("changed", "moves", "facts: [42 Nm] -> [43 Nm]") in lines
    assert ("retired", "retires", "2026-01-08: asked twice") in lines


some_cases = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        lambda fact, split, retired: {"facts": (fact,), "split": split, "retired": retired},
        st.sampled_from(["1 Nm", "2 Nm"]),
        st.sampled_from(["dev", "test"]),
        st.sampled_from(["", "gone"]),
    ),
)


@given(some_cases, some_cases)
def test_a_difference_tells_how_to_come_from_one_to_the_other(
    old: dict[str, dict[str, object]], new: dict[str, dict[str, object]]
) -> None:
    before = version(*(replace(case(name), **more) for name, more in old.items()))  # type: ignore[arg-type]
    after = version(*(replace(case(name), **more) for name, more in new.items()))  # type: ignore[arg-type]
    found = diff(before, after)
    assert bool(found) == (before.digest != after.digest)
    made = {c.id: c for c in before.cases}
    for gone in found.removed:
        del made[gone.id]
    for whole in (*found.added, *found.retired, *found.restored):
        made[whole.id] = whole
    for change in found.changes:
        assert getattr(made[change.case], change.field) == change.before
        made[change.case] = replace(made[change.case], **{change.field: change.after})
    assert made == {c.id: c for c in after.cases}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "corpus").mkdir(parents=True)
    file = folder / "corpus" / "cases.yaml"

    def git(*arguments: str) -> None:
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    for names in ("a", "ab"):
        file.write_text("cases:\n" + "".join(ROW % (n, n) for n in names))
        git("add", "-A")
        git("commit", "-qm", names)
    return folder


def test_versions_of_git_and_of_files(repository: Path) -> None:
    older = read_version("HEAD~1:corpus/cases.yaml", root=repository)
    newer = read_version("corpus/cases.yaml", root=repository)
    assert [c.id for c in diff(older, newer).added] == ["b"]
    assert older.name == "HEAD~1:corpus/cases.yaml"
    # The path counts from the project's root, also where that is not the repository's.
    assert read_version("HEAD:cases.yaml", root=repository / "corpus").digest == newer.digest


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("nothing.yaml", ConfigError, "no version 'nothing.yaml': expected a file, REV:PATH"),
        (":corpus/cases.yaml", ConfigError, "no version"),
        ("--output=x:corpus/cases.yaml", ConfigError, "no version"),
        ("HEAD~9:corpus/cases.yaml", OperatorError, "cannot read 'HEAD~9:corpus/cases.yaml'"),
        ("HEAD:corpus/other.yaml", OperatorError, "from git: .*other.yaml"),
    ],
)
def test_what_is_no_version_is_named(
    repository: Path, reference: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_version(reference, root=repository)


def test_a_machine_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(OperatorError, match="git cannot be run"):
        read_version("HEAD:corpus/cases.yaml", root=repository)
