"""Configuration: YAML base, environment overlay, environment variables, ``--set``; in that order.

Taught in chapter 10. Everything is validated once, here; past this module only typed objects
travel. Every value remembers where it came from (`Config.origins`).

Layers, the later ones win:

1. ``base.yaml`` that ships with the package (the repository's ``config/base.yaml``);
2. ``base.yaml`` of the project's own configuration folder, if that is another one;
3. the overlay named by ``AGENTOPS_ENV`` or ``env=``, e.g. ``prod.yaml``;
4. environment variables: ``AGENTOPS__MODELS__MODE=live`` sets ``models.mode``;
5. overrides from the command line: ``--set models.mode=live``.

``${section.key}`` in a text stands for another value. ``${env:VARIABLE}`` stands for a secret: it
is looked up where it is used (`agentops_ref.secret`) and is nowhere in the configuration itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from agentops_ref import secret
from agentops_ref.errors import ConfigError, nearest
from agentops_ref.settings import (
    AgentConfig,
    ApprovalsConfig,
    EtlConfig,
    MemoryConfig,
    PathsConfig,
    RetrievalConfig,
    Settings,
    ToolsConfig,
    TrackingConfig,
)
from agentops_ref.settings_auth import AuthConfig
from agentops_ref.settings_evals import EvalsConfig
from agentops_ref.settings_guards import GuardsConfig
from agentops_ref.settings_models import ModelsConfig

PREFIX = "AGENTOPS__"
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
# Up to the last @: a password that was not encoded may hold one, and a / as well.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)\S+@")


@dataclass(frozen=True)
class Config:
    """Settings, where each came from, and the folder that relative paths start from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted key → the place that set it: a file, an environment variable or ``--set``."""
    root: Path
    env: str

    @property
    def paths(self) -> PathsConfig:
        return self.settings.paths

    @property
    def models(self) -> ModelsConfig:
        return self.settings.models

    @property
    def etl(self) -> EtlConfig:
        return self.settings.etl

    @property
    def retrieval(self) -> RetrievalConfig:
        return self.settings.retrieval

    @property
    def agent(self) -> AgentConfig:
        return self.settings.agent

    @property
    def tools(self) -> ToolsConfig:
        return self.settings.tools

    @property
    def memory(self) -> MemoryConfig:
        return self.settings.memory

    @property
    def approvals(self) -> ApprovalsConfig:
        return self.settings.approvals

    @property
    def auth(self) -> AuthConfig:
        return self.settings.auth

    @property
    def guards(self) -> GuardsConfig:
        return self.settings.guards

    @property
    def tracking(self) -> TrackingConfig:
        return self.settings.tracking

    @property
    def evals(self) -> EvalsConfig:
        return self.settings.evals

    @property
    def weights(self) -> Path:
        """Folder of downloaded weights: ``paths.weights``, else the user's cache folder."""
        if self.paths.weights is not None:
            return self.path(self.paths.weights)
        import platformdirs

        return Path(platformdirs.user_cache_dir("agentops-ref")) / "weights"

    def prompts(self, name: str) -> Path:
        """Folder that holds the prompt ``name``: the project's own, else the shipped one.

        So a project states only the prompts that it changes.
        """
        own = self.path(self.paths.prompts)
        shipped = shipped_config_dir() / "prompts"
        return shipped if (shipped / name).is_file() and not (own / name).is_file() else own

    def shipped(self, value: Path) -> Path:
        """Resolve a file of the configuration: the project's own, else the package's of the name.

        So a project need not copy what it does not change.
        """
        own, given = self.path(value), shipped_config_dir() / value.name
        return given if given.is_file() and not own.is_file() else own

    def path(self, value: Path | str) -> Path:
        """Resolve ``value`` against the project's root folder; ``~`` is the home folder."""
        path = Path(value).expanduser()
        return path if path.is_absolute() else self.root / path

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Yield (dotted key, value, place) for every leaf, in the order of ``base.yaml``.

        For people to read: secrets, and a password within an address, are left out.
        """
        for key, value in _leaves(self.settings.model_dump(mode="json", by_alias=True)):
            yield key, _shown(key, value), self.origins.get(key, "default")


def load_config(
    config_dir: Path | str | None = None,
    *,
    env: str | None = None,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read and validate the configuration.

    Parameters
    ----------
    config_dir
        Folder with ``base.yaml`` and overlays. Default: ``AGENTOPS_CONFIG_DIR``, else the nearest
        ``config/base.yaml`` above the working directory, else the one shipped with the package.
    env
        Overlay name; default ``AGENTOPS_ENV``, else ``dev`` where that file exists.
    overrides
        ``["models.mode=live"]`` (values are read as YAML) or ``{"models.mode": "live"}``.
    environ
        Stands in for ``os.environ`` in tests.

    Raises
    ------
    ConfigError
        Missing or malformed file, unknown key, wrong type; one line with file, key, nearest name.

    From the first call on, what a configuration names as a secret is kept out of the logs and the
    traces of this process; see `agentops_ref.secret`.
    """
    environ = os.environ if environ is None else environ
    folder = _find(config_dir, environ)
    shipped = shipped_config_dir()
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}

    layers = [shipped / "base.yaml"]
    if folder.resolve() != shipped.resolve() and (folder / "base.yaml").exists():
        layers.append(folder / "base.yaml")
    name = env or environ.get("AGENTOPS_ENV") or ""
    overlay = _overlay(folder, name or "dev", required=bool(name))
    if overlay is not None:
        layers.append(overlay)
    for file in layers:
        _merge(tree, _read(file), origins, place=_display(file))
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            dotted = variable[len(PREFIX) :].lower().replace("__", ".")
            value = _yaml_value(environ[variable], f"environment variable {variable}")
            _set(tree, dotted, value, origins, f"environment variable {variable}")
    pairs = overrides.items() if isinstance(overrides, Mapping) else map(_split, overrides)
    for dotted, value in pairs:
        _set(tree, dotted, value, origins, f"--set {dotted}")
    _interpolate(tree, tree, origins)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, origins)) from None
    secret.learn(tree)
    secret.guard_logs()
    root = folder.resolve().parent if folder.resolve() != _packaged() else Path.cwd()
    return Config(settings, origins, root, name or ("dev" if overlay else "base"))


def shipped_config_dir() -> Path:
    """Return the folder of the package's own defaults: in the wheel, or the repository's."""
    packaged = _packaged()
    return packaged if packaged.exists() else Path(__file__).resolve().parents[1] / "config"


def _packaged() -> Path:
    return Path(__file__).resolve().parent / "_defaults"


def _find(config_dir: Path | str | None, environ: Mapping[str, str]) -> Path:
    given = config_dir or environ.get("AGENTOPS_CONFIG_DIR")
    if given:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"configuration folder not found: {folder}")
        return folder
    here = Path.cwd()
    for parent in (here, *here.parents):
        if (parent / "config" / "base.yaml").is_file():
            return parent / "config"
    return shipped_config_dir()


def _overlay(folder: Path, name: str, *, required: bool) -> Path | None:
    file = folder / f"{name}.yaml"
    if file.is_file():
        return file
    if not required:
        return None
    known = [p.stem for p in folder.glob("*.yaml") if p.stem != "base"]
    raise ConfigError(f"no overlay '{name}' in {_display(folder)}{nearest(name, known)}")


def _read(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"configuration file not found: {_display(file)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable as UTF-8 text"
        raise ConfigError(f"{_display(file)}{line}: not valid YAML: {problem}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{_display(file)}: expected keys and values, got {_kind(loaded)}")
    return loaded


def _merge(
    tree: dict[str, Any],
    layer: Mapping[Any, Any],
    origins: dict[str, str],
    *,
    place: str,
    at: str = "",
) -> None:
    for raw, value in layer.items():
        key = str(raw)
        dotted = f"{at}.{key}" if at else key
        mine = tree.get(key)
        if isinstance(value, dict) and isinstance(mine, dict) and not dotted.endswith(".options"):
            _merge(mine, value, origins, place=place, at=dotted)
        elif isinstance(value, dict) and not dotted.endswith(".options"):
            tree[key] = {}
            _merge(tree[key], value, origins, place=place, at=dotted)
            origins.setdefault(dotted, place)
        else:
            tree[key] = value
            origins[dotted] = place


def _interpolate(
    node: dict[str, Any], tree: dict[str, Any], origins: Mapping[str, str], at: str = ""
) -> None:
    """Replace ``${section.key}`` in texts by that key's value; no nesting, so no cycles."""
    for key, value in node.items():
        dotted = f"{at}.{key}" if at else key
        if isinstance(value, dict):
            _interpolate(value, tree, origins, dotted)
        elif isinstance(value, str):
            where = f"{_place(dotted, origins)}: {dotted}"
            for reference in _REFERENCE.findall(value):
                value = value.replace(f"${{{reference}}}", _lookup(reference, tree, where))
            node[key] = value


def _lookup(reference: str, tree: Mapping[str, Any], where: str) -> str:
    node: Any = tree
    for part in reference.split("."):
        if not isinstance(node, dict) or part not in node:
            known = list(node) if isinstance(node, dict) else []
            raise ConfigError(
                f"{where}: unknown reference '${{{reference}}}'{nearest(part, known)}"
            )
        node = node[part]
    if isinstance(node, dict | list):
        raise ConfigError(f"{where}: '${{{reference}}}' is {_kind(node)}, expected one value")
    return str(node)


def _set(
    tree: dict[str, Any], dotted: str, value: Any, origins: dict[str, str], place: str
) -> None:
    nested: Any = value
    for part in reversed(dotted.split(".")):
        nested = {part: nested}
    _merge(tree, nested, origins, place=place)


def _split(assignment: str) -> tuple[str, Any]:
    key, sign, text = assignment.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {assignment}: expected key=value, e.g. models.mode=live")
    return key.strip(), _yaml_value(text, f"--set {key.strip()}")


def _yaml_value(text: str, place: str) -> Any:
    try:
        return yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        raise ConfigError(f"{place}: value is not valid YAML: {text!r}") from None


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors():
        parts = [str(part) for part in problem["loc"]]
        dotted = ".".join(parts)
        place = _place(dotted, origins)
        if problem["type"] == "extra_forbidden":
            lines.append(f"{place}: unknown key '{dotted}'{nearest(parts[-1], _known(parts[:-1]))}")
        elif problem["type"] == "missing":
            lines.append(f"{place}: key '{dotted}' is missing")
        else:
            given = problem.get("input")
            wanted = problem["msg"][0].lower() + problem["msg"][1:]
            lines.append(f"{place}: {dotted}: {wanted}, got {given!r} ({_kind(given)})")
    return "\n".join(lines)


def _place(dotted: str, origins: Mapping[str, str]) -> str:
    while dotted:
        if dotted in origins:
            return origins[dotted]
        below = [place for key, place in origins.items() if key.startswith(dotted + ".")]
        if below:
            return below[-1]
        dotted = dotted.rpartition(".")[0]
    return "configuration"


def _known(parts: list[str]) -> list[str]:
    model: Any = Settings
    for part in parts:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def _leaves(tree: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        dotted = f"{at}.{key}" if at else key
        if isinstance(value, dict) and not dotted.endswith(".options"):
            yield from _leaves(value, dotted)
        else:
            yield dotted, value


def _shown(key: str, value: Any) -> Any:
    """Return a value for people to read; the name of a variable is no secret, its value is."""
    if isinstance(value, dict):
        return {one: _shown(one, inner) for one, inner in value.items()}
    if isinstance(value, list):
        return [_shown(key, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if secret.is_secret_key(key) and "${env:" not in value:
        return secret.HIDDEN
    return secret.scrub(_PASSWORD.sub(r"\1***@", value))


def _display(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)
