"""What is installed is pinned, in step everywhere, and complete."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def project(repo_root: Path) -> dict[str, Any]:
    return tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(repo_root: Path) -> dict[str, str]:
    lines = (repo_root / "constraints.txt").read_text().splitlines()
    exact = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in exact if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", line)] == []
    found = [line.split("==") for line in exact]
    names = [canonicalize_name(name) for name, _ in found]
    assert sorted(set(names)) == sorted(names), "a package is pinned twice"
    return {canonicalize_name(name): version for name, version in found}


def test_every_direct_dependency_is_pinned_within_its_bounds(
    project: dict[str, Any], pins: dict[str, str]
) -> None:
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = [Requirement(line) for group in groups for line in group]
    for need in wanted:
        name = canonicalize_name(need.name)
        if name == project["name"]:
            continue
        assert name in pins, f"{need.name} has no pin in constraints.txt"
        assert need.specifier.contains(pins[name], prereleases=True), f"{need} against its pin"


def test_all_holds_every_extra_but_the_compared(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    assert Requirement(extras["all"][0]).extras == set(extras) - {"all", "bench"}


def test_no_torch_and_no_gpu_libraries(pins: dict[str, str]) -> None:
    heavy = [n for n in pins if n.startswith(("torch", "nvidia", "triton", "sentence-transf"))]
    assert heavy == []


def test_what_is_installed_is_what_is_pinned(pins: dict[str, str]) -> None:
    from importlib.metadata import distributions

    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()}
    differing = {n: v for n, v in installed.items() if n in pins and v != pins[n]}
    assert differing == {}


def test_environment_installs_the_same(repo_root: Path, project: dict[str, Any]) -> None:
    entries = yaml.safe_load((repo_root / "environment.yml").read_text())["dependencies"]
    plain = [entry for entry in entries if isinstance(entry, str)]
    by_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    # All versions come from the one file, so they cannot differ.
    assert by_pip == ["--constraint constraints.txt", "--editable .[all]"]
    python = next(entry for entry in plain if entry.startswith("python="))
    version = python.split("=")[1]
    assert SpecifierSet(project["requires-python"]).contains(version)
    assert sorted(plain) == ["pip", python]
    tools = tomllib.loads((repo_root / "pyproject.toml").read_text())["tool"]
    assert tools["mypy"]["python_version"] == version
    assert tools["ruff"]["target-version"] == "py" + version.replace(".", "")
    workflow = yaml.safe_load((repo_root / ".github" / "workflows" / "ci.yml").read_text())
    setups = [
        step["with"]["python-version"]
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "setup-python" in step.get("uses", "")
    ]
    assert set(setups) == {version}


def test_the_version_is_the_package_s(project: dict[str, Any]) -> None:
    import agentops_ref

    assert project["version"] == agentops_ref.__version__


@pytest.mark.slow
def test_the_wheel_brings_its_default_configuration(
    repo_root: Path, tmp_path: Path, pins: dict[str, str]
) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=repo_root,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = [name for name in names if name.endswith("entry_points.txt")]
        assert "agentops = agentops_ref.apps.cli:main" in archive.read(metadata[0]).decode()
        archive.extractall(tmp_path / "site")
    config = {p.relative_to(repo_root / "config") for p in (repo_root / "config").rglob("*.*")}
    assert {f"agentops_ref/_defaults/{path.as_posix()}" for path in config} <= names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/", "_build/"))]
    # Installed, outside of any clone, it finds its own defaults.
    program = "from agentops_ref import load_config; print(load_config().models.mode)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == "replay"


def test_nothing_is_tied_to_an_index(repo_root: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"):
        text = (repo_root / name).read_text()
        assert not re.search(r"index-url|find-links|--index\b|extra-index", text), name
