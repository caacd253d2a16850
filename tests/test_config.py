"""Layers, origins and errors of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agentops_ref import load_config
from agentops_ref.config import shipped_config_dir
from agentops_ref.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = tmp_path / "project" / "config"
    config.mkdir(parents=True)
    (config / "base.yaml").write_text("retrieval: {k: 7}\n")
    (config / "prod.yaml").write_text("retrieval: {k: 9}\nmodels: {mode: live}\n")
    return config


def test_later_layers_win_and_every_value_knows_its_origin(folder: Path) -> None:
    environ = {"AGENTOPS__RETRIEVAL__CANDIDATES": "11"}
    config = load_config(folder, env="prod", overrides=["agent.max_steps=2"], environ=environ)
    rows = {key: (value, place) for key, value, place in config.rows()}
    assert rows["retrieval.k"][0] == 9
    assert rows["retrieval.k"][1].endswith("prod.yaml")
    assert rows["retrieval.candidates"] == (
        11,
        "environment variable AGENTOPS__RETRIEVAL__CANDIDATES",
    )
    assert rows["agent.max_steps"] == (2, "--set agent.max_steps")
    assert rows["retrieval.mode"][1].endswith("config/base.yaml"), "from the shipped defaults"
    assert all(place != "default" for _, place in rows.values())


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:s3cret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:s3/c@ret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:s3cret@/db?host=/run", "postgresql://:***@/db?host=/run"),
        ("https://host:8080/a", "https://host:8080/a"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
    ],
)
def test_a_password_in_an_address_is_not_shown(folder: Path, uri: str, shown: str) -> None:
    config = load_config(folder, overrides=[f"etl.sink.uri={uri}"], environ={})
    assert config.settings.etl.sink.uri == uri
    assert {key: value for key, value, _ in config.rows()}["etl.sink.uri"] == shown


def test_without_overlay_the_project_base_is_used(folder: Path) -> None:
    assert load_config(folder, environ={}).retrieval.k == 7


def test_relative_paths_start_at_the_project_root(folder: Path) -> None:
    config = load_config(folder, environ={})
    assert config.path(config.paths.state) == folder.parent / "_build/state"
    assert config.path("/absolute") == Path("/absolute")


def test_references_follow_what_they_name(folder: Path) -> None:
    config = load_config(folder, environ={}, overrides={"paths.state": "elsewhere"})
    assert config.etl.sink.uri == "elsewhere/index"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("models.mod=live", ["--set models.mod", "unknown key 'models.mod'", "'mode'"]),
        ("models.mode=liv", ["models.mode", "'live'", "'liv'"]),
        ("retrieval.k=many", ["retrieval.k", "integer", "'many'"]),
        ("retrieval.k=0", ["retrieval.k", "greater than 0"]),
        ("modles.mode=live", ["unknown key 'modles'", "'models'"]),
        ("models=3", ["models", "got 3"]),
        ("models.mode", ["expected key=value"]),
        ("etl.sink.uri=${paths.stat}/x", ["etl.sink.uri", "'${paths.stat}'", "'state'"]),
        ("etl.sink.uri=${paths}/x", ["a mapping, expected one value"]),
        ("models.mode=[", ["not valid YAML"]),
    ],
)
def test_a_wrong_value_gives_one_clear_line(folder: Path, override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(folder, environ={}, overrides=[override])
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_wrong_files_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"configuration folder not found: .*nowhere"):
        load_config(tmp_path / "nowhere", environ={})
    with pytest.raises(ConfigError, match=r"no overlay 'prd' in .*did you mean 'prod'"):
        load_config(folder, env="prd", environ={})
    (folder / "base.yaml").write_text("retrieval:\n  k: [1\n")
    with pytest.raises(ConfigError, match=r"base.yaml, line \d+: not valid YAML"):
        load_config(folder, environ={})
    (folder / "base.yaml").write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="expected keys and values, got a list"):
        load_config(folder, environ={})
    (folder / "base.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(folder, environ={})
    (folder / "base.yaml").write_text("retrieval: {kk: 2}\n")
    with pytest.raises(
        ConfigError, match=r"base.yaml: unknown key 'retrieval.kk'; did you mean 'k'"
    ):
        load_config(folder, environ={})


def test_options_are_replaced_as_a_whole(folder: Path) -> None:
    (folder / "base.yaml").write_text("models: {chat: {options: {a: 1, b: 2}}}\n")
    (folder / "dev.yaml").write_text("models: {chat: {options: {c: 3}}}\n")
    assert load_config(folder, environ={}).models.chat.options == {"c": 3}


def test_every_shipped_overlay_is_valid_and_every_key_is_documented() -> None:
    folder = shipped_config_dir()
    for file in folder.glob("*.yaml"):
        if file.stem in {"dev", "staging", "prod"}:
            load_config(folder, env=file.stem, environ={})
    tree = yaml.safe_load((folder / "base.yaml").read_text())
    assert set(tree) == set(type(load_config(folder, environ={}).settings).model_fields)
