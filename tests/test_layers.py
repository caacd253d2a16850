"""The order of the layers holds, and no import goes in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "agentops_ref"

ORDER = [
    {"records", "errors", "offline", "files"},
    {"settings_auth", "secret", "lakebase"},
    {"settings_guards", "settings_models", "plain"},
    {"settings_evals"},
    {"settings", "intervals"},
    {"config", "tracing"},
    {"models"},
    {"etl", "agents", "evals"},
    {"wiring"},
    {"testing"},
    {"ops"},
    {"apps"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
APART = {"etl", "agents", "evals"}
"""These meet only in records and in the wiring; they do not know which models there are either."""


def modules() -> dict[str, Path]:
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = list(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path, known: set[str], *, deferred: bool) -> Iterator[str]:
    """Yield the project's modules that ``file`` imports; ``deferred`` adds those in functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if deferred else _at_import_time(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; name the module in full"
            base = node.module or ""
            for alias in node.names:
                if f"{base}.{alias.name}" in known:
                    yield f"{base}.{alias.name}"
                elif base in known:
                    yield base


def _at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _at_import_time(child)


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def violations(edges: dict[str, set[str]]) -> list[str]:
    """Name each import that goes up, or sideways between the parts that are kept apart."""
    wrong = []
    for module, targets in edges.items():
        mine = layer(module)
        for target in targets:
            theirs = layer(target)
            if not mine or not theirs or mine == theirs:
                continue
            sideways = mine in APART and theirs in APART | {"models"}
            if RANK[theirs] > RANK[mine] or sideways:
                wrong.append(f"{module} imports {target}")
    return wrong


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Return one circle of imports, empty when there is none."""
    state: dict[str, int] = {}
    path: list[str] = []

    def visit(module: str) -> list[str]:
        state[module] = 1
        path.append(module)
        for target in sorted(edges.get(module, ())):
            if state.get(target) == 1:
                return [*path[path.index(target) :], target]
            if target not in state and (found := visit(target)):
                return found
        path.pop()
        state[module] = 2
        return []

    for module in sorted(edges):
        if module not in state and (found := visit(module)):
            return found
    return []


@pytest.fixture(scope="module")
def every() -> dict[str, Path]:
    return modules()


def test_every_top_level_name_has_a_layer(every: dict[str, Path]) -> None:
    unknown = {layer(module) for module in every} - set(RANK) - {""}
    assert not unknown, f"declare a layer for: {unknown}"


def test_imports_go_downwards_only(every: dict[str, Path]) -> None:
    known = set(every)
    edges = {m: set(imports(m, f, known, deferred=True)) for m, f in every.items()}
    assert violations(edges) == []


def test_no_import_circle(every: dict[str, Path]) -> None:
    known = set(every)
    edges = {m: set(imports(m, f, known, deferred=False)) - {m} for m, f in every.items()}
    assert circle(edges) == []


def test_the_checks_can_fail() -> None:
    assert violations({"agentops_ref.etl.x": {"agentops_ref.wiring"}})
    assert violations({"agentops_ref.etl.x": {"agentops_ref.agents.y"}})
    assert violations({"agentops_ref.agents.x": {"agentops_ref.models.y"}})
    assert not violations({"agentops_ref.apps.x": {"agentops_ref.etl.y"}})
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
