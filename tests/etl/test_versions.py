"""No parser or chunker changes without its version; otherwise caches and indexes keep old results.

It has happened: certificates went on being cited under a file's name after the parser had learnt to
find their titles, because nothing told the sync that they had to be parsed again.
"""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from agentops_ref.etl import chunk, default_stages, parse
from agentops_ref.settings import ChunkConfig
from agentops_ref.testing import HashEmbeddings, ScriptedOcr

HELD = {
    "PARSER_VERSION": ("4", "13e97743b579"),
    "CHUNKER_VERSION": ("2", "05aef4509bb6"),
}
"""Name → version and digest of the code that it stands for."""


def sources(name: str) -> list[Path]:
    if name == "CHUNKER_VERSION":
        return [Path(chunk.__file__)]
    return sorted(Path(parse.__file__).parent.glob("*.py"))


def digest(files: list[Path]) -> str:
    """Digest of the code without comment lines, docstrings, layout and the versions themselves.

    Of the lines and not of the syntax tree, which each Python version writes in its own way.
    """
    parts = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        left = dict(enumerate(text.splitlines(), start=1))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.stmt) and (_is_text(node) or _is_version(node)):
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    left.pop(line)
        code = [line for line in left.values() if not line.lstrip().startswith("#")]
        parts.append("".join([file.name, *" ".join(code).split()]))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_version(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in HELD
    )


@pytest.mark.parametrize("name", HELD)
def test_code_changes_with_its_version(name: str) -> None:
    version = {**vars(parse), **vars(chunk)}[name]
    found = (version, digest(sources(name)))
    assert found == HELD[name], (
        f"the code behind {name} changed: raise it if results can differ (every document is then "
        f"done again at the next sync), and put {found} into HELD"
    )


def test_a_library_is_part_of_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def recipe() -> str:
        return default_stages(
            ocr=ScriptedOcr(),
            ocr_recipe="o",
            embeddings=HashEmbeddings(),
            embedding_recipe="e",
            chunk=ChunkConfig(target_chars=600, max_chars=900),
            cache=tmp_path,
        ).recipe

    before = recipe()
    assert before == recipe()
    assert all(parse.library_versions().values()), "a name in LIBRARIES is not a package's"
    newer = {**parse.library_versions(), "pdfplumber": "99"}
    monkeypatch.setattr(parse, "library_versions", lambda: newer)
    after = recipe()
    assert after.split(".")[0] != before.split(".")[0]
    assert after.split(".")[1:] == before.split(".")[1:]
