"""The file of the taxonomy: YAML, for people to read, to edit and to review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.evals.errors.taxonomy import Category, Taxonomy, checked
from agentops_ref.files import write_whole

HEAD = (
    "# Categories of what goes wrong, of `agentops errors taxonomy`. Written anew by each of its\n"
    "# commands, so put words into `definition`: a comment would be lost.\n"
)
_KEYS = ("name", "definition", "proposed", "examples", "members")


def load_taxonomy(path: Path) -> Taxonomy:
    """Read a YAML file with a list ``categories``; one that does not exist yet holds none.

    Raises
    ------
    ConfigError
        Not YAML, an unknown key, a name twice, a trace that one person put into two categories.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return Taxonomy()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    rows = loaded.get("categories") if isinstance(loaded, dict) else None
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: expected a list under the key 'categories'")
    found: list[Category] = []
    for number, row in enumerate(rows, start=1):
        try:
            one = _category(row)
        except ConfigError as error:
            raise ConfigError(f"{path}: category {number}: {error}") from None
        if one.name in (other.name for other in found):
            raise ConfigError(f"{path}: category '{one.name}' stands there twice")
        found.append(one)
    taxonomy = Taxonomy(tuple(found))
    for coder in taxonomy.coders:
        placed: dict[str, str] = {}
        for one in taxonomy.decided:
            for id_ in one.members.get(coder, ()):
                if id_ in placed:
                    raise ConfigError(
                        f"{path}: {coder} put '{id_}' into '{placed[id_]}' and into '{one.name}'; "
                        "the first failure of a trace has one category"
                    )
                placed[id_] = one.name
    return taxonomy


def save_taxonomy(path: Path, taxonomy: Taxonomy) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, taxonomy_text(taxonomy))


def taxonomy_text(taxonomy: Taxonomy) -> str:
    """Return the file's text."""
    import yaml

    rows: list[dict[str, Any]] = []
    for one in taxonomy.categories:
        row: dict[str, Any] = {"name": one.name, "definition": one.definition}
        if one.proposed:
            row["proposed"] = True
        if one.examples:
            row["examples"] = list(one.examples)
        row["members"] = {coder: list(ids) for coder, ids in one.members.items() if ids}
        rows.append(row)
    return HEAD + yaml.safe_dump(
        {"categories": rows}, sort_keys=False, allow_unicode=True, width=96
    )


def _category(row: Any) -> Category:
    if not isinstance(row, dict):
        raise ConfigError(f"expected keys and values, got {row!r}")
    for key in row:
        if key not in _KEYS:
            raise ConfigError(f"unknown key '{key}'{nearest(str(key), _KEYS)}")
    members = row.get("members") or {}
    if not isinstance(members, dict) or not all(isinstance(c, str) for c in members):
        raise ConfigError("'members' must map a coder's name to ids of traces")
    if type(row.get("proposed", False)) is not bool:
        raise ConfigError("'proposed' must be true or false")
    for key in ("name", "definition"):
        if not isinstance(row.get(key, ""), str):
            raise ConfigError(f"'{key}' must be a text")
    return checked(
        Category(
            row.get("name", ""),
            row.get("definition", ""),
            {coder: _ids(ids, f"members of {coder}") for coder, ids in members.items()},
            _ids(row.get("examples") or [], "examples"),
            row.get("proposed", False),
        )
    )


def _ids(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"'{what}' must be a list of ids (quote numbers)")
    return tuple(dict.fromkeys(value))
