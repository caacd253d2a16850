"""How many lines somebody writes: those that hold code, or a setting."""

from __future__ import annotations

import ast
import io
import tokenize

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def python_lines(source: str) -> int:
    """Count the lines of Python code: without blank ones, comments and docstrings.

    >>> python_lines("# adds\\nx = (1 +\\n     2)\\n")
    2
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {
        line
        for token in tokens
        if token.type not in _LAYOUT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                assert first.end_lineno is not None
                lines -= set(range(first.lineno, first.end_lineno + 1))
    return len(lines)


def yaml_lines(source: str) -> int:
    """Count the lines of YAML that are not blank and not only a comment."""
    return sum(bool(line.partition("#")[0].strip()) for line in source.splitlines())
