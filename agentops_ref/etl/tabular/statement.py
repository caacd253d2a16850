"""Which SQL may be run over the tables: one SELECT that reads them and nothing else.

DuckDB parses the statement; what is looked at is its tree, so that neither comments nor quotes nor
case can hide anything. What may be read is listed, and all else refused. That the connection
itself has no access to files is a second wall behind this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import DeveloperError, nearest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
"""Functions that may stand in FROM."""
REFUSED_FUNCTIONS = frozenset({
    "current_connection_id", "current_query", "current_query_id", "current_setting",
    "current_transaction_id", "currval", "error", "getenv", "getvariable", "in_search_path",
    "json_deserialize_sql", "json_serialize_plan", "json_serialize_sql", "nextval", "pg_sleep",
    "setseed", "setval", "sleep_ms", "stats", "txid_current", "vector_type", "which_secret",
    "write_log",
})  # fmt: skip
"""Scalar functions that tell about the server, change something, or wait."""
_REFUSED_BEGINNINGS = ("read_", "duckdb_", "pragma_", "pg_get_", "parquet_", "__internal")
_REFERENCES = frozenset({
    "BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EMPTY_FROM", "EXPRESSION_LIST",
    "PIVOT", "CTE",
})  # fmt: skip

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})


def tables_of(
    connection: DuckDBPyConnection,
    sql: str,
    known: Sequence[str],
    views: Callable[[], Mapping[str, str]] = dict,
) -> list[str]:
    """Return which of the known tables, and of the views, a statement reads.

    ``views`` gives name → text; it is called when a name is no table's.

    Raises
    ------
    DeveloperError
        Not one SELECT; or it reads something else than these tables.
    """
    import duckdb

    if "\0" in sql:
        raise DeveloperError("one SELECT is expected, not one with a NUL character in it")
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise DeveloperError(f"one SELECT is expected, not: {sql.strip()[:80] or 'nothing'}")
    ((told,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    tree = json.loads(told)
    if tree.get("error"):
        raise DeveloperError(
            f"one SELECT is expected, not: {sql.strip()[:80]} ({tree.get('error_message')})"
        )
    nodes = list(_nodes(tree["statements"]))
    own = {str(name).lower() for node in nodes for name in _names_of_ctes(node)}
    by_name = {name.lower(): name for name in known}
    found: dict[str, None] = {}
    for node in nodes:
        if node.get("class") == "FUNCTION" or (
            node.get("class") in {"WINDOW", "AGGREGATE"} and node.get("function_name")
        ):
            _check_function(str(node.get("function_name", "")))
        if "sample" not in node or "class" in node:
            continue
        kind = node.get("type")
        if kind in _QUERIES:
            continue
        if kind not in _REFERENCES:
            raise DeveloperError(
                f"SQL: only tables can be read, not {str(kind).lower()}: {sql[:80]}; "
                "`agentops tables list` names them"
            )
        if kind == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name", "")).lower()
            if name not in TABLE_FUNCTIONS:
                raise DeveloperError(
                    f"SQL: {name}() cannot stand in FROM; tables can, and "
                    f"{', '.join(sorted(TABLE_FUNCTIONS))}"
                )
        if kind == "BASE_TABLE":
            name = str(node.get("table_name"))
            schema = [str(node[k]) for k in ("catalog_name", "schema_name") if node.get(k)]
            if schema and schema != ["main"]:
                raise DeveloperError(
                    f"SQL: no tables in {'.'.join(schema)}; `agentops tables list` names what "
                    "can be read"
                )
            if node.get("at_clause"):
                raise DeveloperError(
                    "SQL: no AT in the statement; an older version is read by `--at VERSION`, "
                    "or by `query(..., at=VERSION)`"
                )
            if name.lower() in own and not schema:
                continue
            if name.lower() not in by_name:
                more = {view.lower(): view for view in views()}
                if name.lower() not in more:
                    raise DeveloperError(f"no table '{name}'{nearest(name, [*known, *more])}")
                by_name |= more
            found[by_name[name.lower()]] = None
    return list(found)


def _check_function(name: str) -> None:
    lowered = name.lower()
    if lowered in REFUSED_FUNCTIONS or lowered.startswith(_REFUSED_BEGINNINGS):
        raise DeveloperError(f"SQL: {name}() is not for questions to tables")


def _names_of_ctes(node: dict[str, Any]) -> Iterator[str]:
    """Yield the names that a WITH gives; only plain ones, since others may be those of files."""
    ctes = node.get("cte_map")
    for entry in (ctes or {}).get("map", []) if isinstance(ctes, dict) else []:
        if re.fullmatch(r"\w+", str(entry.get("key"))):
            yield entry["key"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    todo = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield one
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
