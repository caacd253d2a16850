"""One SELECT with parameters over the tables, in a DuckDB that sees nothing else; with limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentops_ref.errors import DeveloperError
from agentops_ref.etl.tabular.statement import tables_of

Parameters = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may cost."""

    rows: int = 10_000
    """Of the result; what is past them is left out, and the result says so."""
    seconds: float = 10
    memory_mb: int = 512


class Rows(list[dict[str, Any]]):
    """Rows of a result, each column → value."""

    truncated: str = ""
    """Says so when there were more rows than may be returned; else empty."""


def select(
    sql: str,
    parameters: Parameters,
    *,
    known: Sequence[str],
    open_table: Callable[[str], Any],
    limits: Limits,
    views: Callable[[], Mapping[str, str]] = dict,
) -> Rows:
    """Run one SELECT; values go into ``parameters`` (``?`` or ``$name``).

    Parameters
    ----------
    known
        Names of the tables that may be read.
    open_table
        Table's name → Arrow data set; called for those that the statement reads.
    views
        Gives name → SELECT over the tables and other views; called when a name is no table's.

    Raises
    ------
    DeveloperError
        Not one SELECT over these tables, an unknown column, a wrong parameter, more time or memory
        than the limits allow.
    """
    import duckdb

    with duckdb.connect(":memory:", config=_settings(limits)) as connection:
        try:
            _open(connection, sql, known, open_table, views, set())
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET lock_configuration = true")
            return _fetched(connection, sql, parameters, limits)
        except duckdb.InterruptException as error:
            raise DeveloperError(
                f"SQL: stopped after {limits.seconds:g} s (etl.tables.query.seconds); join on a "
                f"key, or ask for less: {sql[:80]}"
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise DeveloperError(
                f"SQL: more than {limits.memory_mb} MB (etl.tables.query.memory_mb); select fewer "
                f"columns or rows: {sql[:80]}"
            ) from error
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise DeveloperError(f"SQL: {reason} ({sql[:80]})") from error


def _open(
    connection: Any,
    sql: str,
    known: Sequence[str],
    open_table: Callable[[str], Any],
    views: Callable[[], Mapping[str, str]],
    made: set[str],
) -> None:
    """Make the tables and views that a statement reads, and first those that its views read."""
    for name in tables_of(connection, sql, known, views):
        if name in made:
            continue
        made.add(name)
        if name in known:
            connection.register(name, open_table(name))
        else:
            text = views()[name]
            try:
                _open(connection, text, known, open_table, views, made)
            except DeveloperError as error:
                raise DeveloperError(
                    f"the view {name} cannot be read yet ({error}); the tables of records are made "
                    "by `agentops ingest extract`"
                ) from error
            connection.execute(f'CREATE VIEW "{name}" AS {text}')


def _fetched(connection: Any, sql: str, parameters: Parameters, limits: Limits) -> Rows:
    watch = threading.Timer(limits.seconds, connection.interrupt)
    watch.daemon = True
    watch.start()
    try:
        result = connection.sql(sql, params=parameters or None)
        columns = result.columns
        if len(set(columns)) != len(columns):
            raise DeveloperError(
                f"SQL: columns of the result have one name ({', '.join(columns)[:80]}); name them "
                "by AS"
            )
        first = result.limit(limits.rows + 1)
        if any("TIME ZONE" in str(kind) for kind in result.types):
            # DuckDB itself would want pytz for them.
            found = [tuple(row.values()) for row in first.to_arrow_table().to_pylist()]
        else:
            found = first.fetchall()
    finally:
        watch.cancel()
    rows = Rows(dict(zip(columns, row, strict=True)) for row in found[: limits.rows])
    if len(found) > limits.rows:
        rows.truncated = (
            f"only the first {limits.rows:,} rows (etl.tables.query.max_rows); narrow the "
            "question, or let it count"
        )
    return rows


def _settings(limits: Limits) -> dict[str, Any]:
    return {
        "enable_external_access": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "memory_limit": f"{limits.memory_mb}MB",
        # Else what does not fit is written to a folder beside the working directory.
        "temp_directory": "",
    }
