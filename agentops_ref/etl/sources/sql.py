"""The rows of a table or query as documents."""

from __future__ import annotations

import hashlib
import os
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from agentops_ref.errors import ConfigError, OperatorError, nearest
from agentops_ref.etl.sources.base import (
    EXCLUDE,
    INCLUDE,
    MAX_BYTES,
    ReadFailed,
    too_large,
    wanted,
)
from agentops_ref.records import Listing, SourceItem

if TYPE_CHECKING:
    from sqlalchemy import Connection, FromClause

_UNSAFE = re.compile(r"[%/\\\x00-\x1f\x7f]|^\.")
OWN = ("table", "query", "key", "text", "template", "version", "ending", "password_env")
"""Parameters of the URL that are for this source and not for the database."""


class SqlSource:
    """Each row of a table, view or query is a document.

    ``sqlite:///shop.db?table=articles&key=id&text=title,body&version=updated_at`` is a SQLAlchemy
    URL with this source's parameters behind it; any of them may stand in ``etl.source.options``
    instead. The document of the row 42 is called ``articles/42.txt``. Identifiers are looked up in
    the database and quoted, values are always bound; the only SQL that is taken as it is written is
    ``query``, which comes from the configuration.

    With ``version`` a listing reads keys and versions only. Without it, and for a row whose version
    is NULL, it reads the texts and hashes them. The listing is one statement, so it is one moment
    of the database.

    Parameters
    ----------
    table, query
        One of them: a table or view (``schema.table``), or a SELECT without parameters.
    key
        Columns that name a row, separated by commas; by default a table's primary key.
    text
        Columns that are the text, each a paragraph. A single binary column is the document's bytes.
    template
        How columns become a text instead: ``"# {title}\\n\\n{body}"``.
    version
        Column that moves with every change of the row: a counter, or a time finer than two changes
        can follow each other.
    ending
        Decides which parser reads the document.
    password_env
        Environment variable that holds the database's password.
    """

    LISTED = ("_keys",)

    def __init__(
        self,
        root: Path | str,
        include: Sequence[str] = INCLUDE,
        exclude: Sequence[str] = EXCLUDE,
        *,
        max_bytes: int = MAX_BYTES,
        **options: Any,
    ) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        from sqlalchemy.pool import NullPool

        self.include, self.exclude = tuple(include), tuple(exclude)
        self.max_bytes = max_bytes
        try:
            url = make_url(str(root).removeprefix("sql+"))
        except ArgumentError as error:
            raise _no_url() from error
        given = {**{name: url.query[name] for name in OWN if name in url.query}, **options}
        for name in given:
            if name not in OWN:
                raise ConfigError(f"etl.source.options: unknown '{name}'{nearest(name, OWN)}")
        url = url.difference_update_query(OWN)
        if variable := given.get("password_env"):
            if variable not in os.environ:
                raise ConfigError(f"etl.source: no environment variable {variable} (password_env)")
            url = url.set(password=os.environ[variable])
        self._table, self._query = given.get("table"), given.get("query")
        if bool(self._table) == bool(self._query):
            raise ConfigError("etl.source: a SQL source needs either `table` or `query`")
        self._key, self._text = _columns(given.get("key")), _columns(given.get("text"))
        self._template, self._version = given.get("template"), given.get("version")
        if self._template:
            fields = [name for _, name, _, _ in Formatter().parse(self._template) if name]
            self._text = tuple(dict.fromkeys(fields))
        if not self._text or (self._query and not self._key):
            raise ConfigError(
                "etl.source: a SQL source needs `text` or `template`, and a query also needs `key`"
            )
        self._ending = given.get("ending", ".txt")
        # What the documents are made of is part of their fingerprints.
        made_of = repr((self._text, self._template)).encode()
        self._shape = hashlib.sha256(made_of).hexdigest()[:8]
        self._url = url
        try:
            # A file is opened anew each time, so that nothing keeps it open.
            pool = {"poolclass": NullPool} if url.get_backend_name() == "sqlite" else {}
            self._engine = create_engine(url, **pool)
            weakref.finalize(self, self._engine.dispose)  # or the server keeps connections open
        except (ImportError, NoSuchModuleError) as error:
            raise OperatorError(f"cannot read {self.name}: {error}") from error
        except ArgumentError as error:
            raise _no_url() from error
        self._keys: dict[str, tuple[Any, ...]] | None = None
        self._rows: FromClause | None = None

    @property
    def name(self) -> str:
        shown = self._url.render_as_string(hide_password=True)
        return f"{shown}#{self._table or 'query'}"

    def list(self) -> Listing:
        from sqlalchemy.exc import SQLAlchemyError

        self._check_file()
        found: dict[str, tuple[SourceItem, tuple[Any, ...]]] = {}
        problems: list[str] = []
        try:
            with self._engine.connect() as connection:
                for name, key, item in self._listed(connection):
                    if not name or name in found:
                        problems.append(f"more than one row has the key {key}, or it is empty")
                    elif wanted(name, self.include, self.exclude):
                        found[name] = item, key
        except SQLAlchemyError as error:
            problems.append(f"cannot list {self.name}: {_reason(error)}")
        self._keys = {name: key for name, (_, key) in found.items()}
        items = tuple(found[name][0] for name in sorted(found))
        return Listing(self.name, items, not problems, "; ".join(problems[:3]))

    def read(self, document: str) -> bytes:
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        if self._keys is None:
            listing = self.list()
            if not listing.complete:
                raise ReadFailed(f"{document}: {self.name} was not listed ({listing.problem})")
        key = (self._keys or {}).get(document)
        if key is None:
            raise FileNotFoundError(f"{document}: no such row in {self.name}")
        try:
            with self._engine.connect() as connection:
                rows = self._selectable(connection)
                wanted_row = [rows.c[c] == v for c, v in zip(self._key, key, strict=True)]
                chosen = select(*(rows.c[name] for name in self._text)).where(*wanted_row)
                row = connection.execute(chosen).first()
        except SQLAlchemyError as error:
            # Most that can go wrong between a listing and a read is the connection.
            raise ReadFailed(f"{document}: {_reason(error)}") from error
        if row is None:
            raise FileNotFoundError(f"{document}: the row is gone from {self.name}")
        data = self._bytes(row._mapping)
        if len(data) > self.max_bytes:
            raise too_large(document, len(data), self.max_bytes)
        return data

    def _listed(self, connection: Connection) -> Iterator[tuple[str, tuple[Any, ...], SourceItem]]:
        from sqlalchemy import case, select

        rows = self._selectable(connection)
        keys = [rows.c[name].label(f"key_{n}") for n, name in enumerate(self._key)]
        columns: list[Any] = [rows.c[name] for name in self._text]
        if self._version:
            moved = rows.c[self._version]
            columns = [
                moved.label("version"),
                *(case((moved.is_(None), c)).label(c.name) for c in columns),
            ]
        query = select(*keys, *columns).execution_options(yield_per=1000)
        for row in connection.execute(query):
            key = tuple(row[: len(keys)])
            values = row._mapping
            if self._version and values["version"] is not None:
                mark, size = f"version {values['version']}", 0
            else:
                data = self._bytes(values)
                mark, size = f"sha256 {hashlib.sha256(data).hexdigest()}", len(data)
            name = self._document(key)
            yield name, key, SourceItem(name, f"{mark} {self._shape}", size)

    def _selectable(self, connection: Connection) -> FromClause:
        """Return the table or query, with its columns as the database names them."""
        if self._rows is not None:
            return self._rows
        from sqlalchemy import MetaData, Table, column, text
        from sqlalchemy.exc import NoSuchTableError

        rows: FromClause
        if self._table:
            schema, _, name = self._table.rpartition(".")
            try:
                rows = Table(
                    name,
                    MetaData(),
                    schema=schema or None,
                    autoload_with=connection,
                    resolve_fks=False,
                )
            except NoSuchTableError:
                raise OperatorError(f"no table or view {self._table} in {self.name}") from None
            self._key = self._key or tuple(c.name for c in rows.primary_key)
        else:
            statement = text(str(self._query).strip().rstrip(";"))
            with connection.execution_options(stream_results=True).execute(statement) as result:
                names = tuple(result.keys())
            rows = statement.columns(*map(column, names)).subquery("documents")
        if not self._key:
            raise ConfigError(f"etl.source: {self._table} has no primary key: name the `key`")
        known = tuple(rows.c.keys())
        for name in (*self._key, *self._text, *filter(None, [self._version])):
            if name not in known:
                raise ConfigError(f"etl.source: no column '{name}'{nearest(name, known)}")
        self._rows = rows
        return rows

    def _document(self, key: tuple[Any, ...]) -> str:
        parts = ["" if part is None else _UNSAFE.sub(_escaped, str(part)) for part in key]
        if not all(parts):
            return ""
        folder = f"{self._table}/" if self._table else ""
        return f"{folder}{'/'.join(parts)}{self._ending}"

    def _bytes(self, row: Mapping[Any, Any]) -> bytes:
        values = {name: row[name] for name in self._text}
        if not self._template and len(values) == 1:
            (only,) = values.values()
            if isinstance(only, bytes | bytearray | memoryview):
                return bytes(only)
        texts = {name: "" if value is None else str(value) for name, value in values.items()}
        made = self._template.format_map(texts) if self._template else "\n\n".join(texts.values())
        return made.encode("utf-8", "replace")

    def _check_file(self) -> None:
        """SQLite makes a database of a wrong path; nobody wants an empty one listed."""
        path = self._url.database
        if self._url.get_backend_name() != "sqlite" or not path or path.startswith("file:"):
            return
        if path != ":memory:" and not Path(path).is_file():
            raise OperatorError(f"no database file {path} to read rows from")


def _no_url() -> ConfigError:
    return ConfigError(
        "etl.source.root: not a database URL; expected "
        "sqlite:///FILE?table=NAME&text=COLUMN or the like"
    )


def _columns(names: Any) -> tuple[str, ...]:
    parts = names.split(",") if isinstance(names, str) else names or ()
    return tuple(str(part).strip() for part in parts)


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found.group()):02X}"


def _reason(error: Exception) -> str:
    """One line, without the statement and its parameters."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]
