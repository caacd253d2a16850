"""The rows of a database's table or query, read in batches through SQLAlchemy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import ConfigError, DocumentError, OperatorError, TransientError
from agentops_ref.etl.tabular.incoming import Incoming, checked
from agentops_ref.etl.tabular.kinds import column_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from agentops_ref.etl.tabular.sources import TableSource

BATCH = 10_000
"""Rows that are fetched at a time."""


def read_database(source: TableSource) -> Incoming:
    """Read a table, view or query: one statement, so one moment of the database.

    Identifiers are looked up in the database and quoted. The only SQL that is taken as it is
    written is ``query``, which comes from the configuration.

    Raises
    ------
    ConfigError
        Not a URL, neither a table nor a query, no key.
    OperatorError
        No such file, table or driver.
    TransientError
        The database refused, or the connection was lost.
    DocumentError
        Columns of mixed types, or a wrong key.
    """
    from sqlalchemy.exc import SQLAlchemyError

    engine = _engine(source)
    shown = engine.url.render_as_string(hide_password=True)
    where = f"{shown}#{source.table or 'query'}"
    try:
        with engine.connect() as connection:
            statement, key = _statement(connection, source, where)
            options = connection.execution_options(stream_results=True, yield_per=BATCH)
            with options.execute(statement) as result:
                names = tuple(result.keys())
                columns: list[list[Any]] = [[] for _ in names]
                for rows in result.partitions():
                    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
                        column.extend(values)
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        raise TransientError(f"table {source.name}: cannot read {where}: {reason}") from error
    finally:
        engine.dispose()
    if len(set(names)) != len(names):
        raise DocumentError(
            f"{where}: the columns have repeated names: {', '.join(names)}; name them by AS"
        )
    import pyarrow as pa

    wanted = set(source.columns) and {*source.columns, *key}
    table = pa.table(
        {
            name: column_of(column, where=f"{where}, column '{name}'", text=name in source.texts)
            for name, column in zip(names, columns, strict=True)
            if not wanted or name in wanted
        }
    )
    return checked(Incoming(where, key, table))


def _statement(
    connection: Connection, source: TableSource, where: str
) -> tuple[Any, tuple[str, ...]]:
    from sqlalchemy import MetaData, Table, select, text
    from sqlalchemy.exc import NoSuchTableError

    if source.query:
        if not source.key:
            raise ConfigError(f"etl.tables.sources: {source.name}: a query needs its `key`")
        return text(source.query.strip().rstrip(";")), source.key
    schema, _, name = str(source.table).rpartition(".")
    try:
        table = Table(
            name, MetaData(), schema=schema or None, autoload_with=connection, resolve_fks=False
        )
    except NoSuchTableError:
        raise OperatorError(f"no table or view {source.table} in {where}") from None
    key = source.key or tuple(column.name for column in table.primary_key)
    if not key:
        raise ConfigError(
            f"etl.tables.sources: {source.name}: {source.table} has no primary key: name the `key`"
        )
    return select(table), key


def _engine(source: TableSource) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    if bool(source.table) == bool(source.query):
        raise ConfigError(
            f"etl.tables.sources: {source.name}: a database needs either `table` or `query`"
        )
    try:
        url = make_url(source.source)
        if variable := source.password_env:
            if variable not in os.environ:
                raise ConfigError(
                    f"etl.tables.sources: {source.name}: no environment variable {variable} "
                    "(password_env)"
                )
            url = url.set(password=os.environ[variable])
        path = url.database
        local = url.get_backend_name() == "sqlite" and path and not path.startswith("file:")
        # SQLite makes a database of a wrong path; nobody wants an empty one read.
        if local and path != ":memory:" and not Path(str(path)).is_file():
            raise OperatorError(f"table {source.name}: no database file {path}")
        return create_engine(url, poolclass=NullPool)
    except (ImportError, NoSuchModuleError) as error:
        raise OperatorError(f"table {source.name}: cannot connect: {error}") from error
    except ArgumentError as error:
        raise ConfigError(
            f"etl.tables.sources: {source.name}: not a database URL; expected e.g. "
            "sqlite:///shop.db or postgresql+psycopg://user@host/name"
        ) from error
