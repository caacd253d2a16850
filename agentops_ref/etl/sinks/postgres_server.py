"""How the Postgres sink reaches its server: address, password, connections, errors.

A few connections are kept for the next question, one per thread that asks at the same time. The
pool of psycopg would tell only that it waited; whoever runs this needs the server's own reason.
"""

from __future__ import annotations

import importlib
import os
import re
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agentops_ref.errors import (
    AgentOpsError,
    ConfigError,
    MissingExtra,
    OperatorError,
    TransientError,
)

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    # A sync may parse for an hour between two statements; routers forget a silent connection.
    "keepalives_idle": 30,
    "application_name": "agentops",
}
_KEPT_OPEN = 4
_FRESH = 1
"""Seconds for which an idle connection is trusted to be alive."""
_CAN_PASS = ("08", "40", "55", "57", "53300")
"""Beginnings of SQLSTATEs: connection, rollback, not available, intervention, too many clients."""


class Server:
    """A database on a server.

    Parameters
    ----------
    uri
        ``postgresql://user@host:5432/database?sslmode=require``, or libpq's ``key=value`` form.
    password_env
        Environment variable that holds the password.
    password_from
        A function without parameters that returns the password, or its import path
        ``package.module:function``; called for each new connection, for tokens that expire.
    """

    def __init__(
        self, uri: str, password_env: str = "", password_from: str | Callable[[], str] = ""
    ) -> None:
        try:
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres") from error
        try:
            self._given = conninfo_to_dict(uri)
        except ProgrammingError:
            self._given = {"port": "none"}
        # A password that is not encoded ends up in the other parts, and those are shown; the
        # message of psycopg would repeat the address.
        parts = "".join(str(self._given.get(part) or "") for part in ("host", "dbname", "user"))
        port = str(self._given.get("port") or "0")
        if "@" in parts or not re.fullmatch(r"[\d,]+", port):
            raise ConfigError(
                "etl.sink.uri: not a Postgres address; expected "
                "postgresql://user@host:5432/database (in a password, percent-encode :/?#[]@%)"
            )
        self._password_env, self._password_from = password_env, password_from
        self._secrets = {str(self._given["password"])} if self._given.get("password") else set()
        self._idle: list[tuple[Connection, float]] = []
        weakref.finalize(self, _close, self._idle)

    @property
    def name(self) -> str:
        """Host and database, for messages."""
        host = self._given.get("host") or self._given.get("hostaddr") or "the local socket"
        port = f":{self._given['port']}" if "port" in self._given else ""
        return f"{host}{port}/{self._given.get('dbname') or self._given.get('user') or ''}"

    def __repr__(self) -> str:
        return f"Server({self.name})"

    def masked(self, text: object) -> str:
        """Return a message on one line, without the passwords that were used."""
        shown = " ".join(str(text).split())
        for secret in self._secrets:
            for form in (secret, quote(secret, safe=""), quote(secret)):
                shown = shown.replace(form, "***")
        return shown

    def open(self) -> Connection:
        """Open a connection; the caller closes it."""
        import psycopg

        parameters = {**_DEFAULTS, **self._given}
        if password := self._password():
            parameters["password"] = password
            self._secrets.add(password)
        try:
            # Prepared statements would be planned once for all snapshots, and a pooler between us
            # and the server may not keep them.
            return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise OperatorError(
                f"cannot connect to Postgres at {self.name}: {self.masked(error)}; check that the "
                "server runs, and etl.sink.uri, user and password"
            ) from None

    def _password(self) -> str:
        if self._password_env:
            if self._password_env not in os.environ:
                raise ConfigError(
                    f"etl.sink.options.password_env: no environment variable {self._password_env}"
                )
            return os.environ[self._password_env]
        source = self._password_from
        if isinstance(source, str) and source:
            module, _, name = source.partition(":")
            try:
                source = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise ConfigError(
                    f"etl.sink.options.password_from: cannot import '{source}', expected "
                    f"package.module:function: {error}"
                ) from error
        return source() if callable(source) else ""

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection; errors of the server become ours."""
        with self.translated():
            connection = self._take()
            try:
                yield connection
            finally:
                idle = not connection.closed and connection.info.transaction_status.name == "IDLE"
                if idle and len(self._idle) < _KEPT_OPEN:
                    self._idle.append((connection, time.monotonic()))
                else:
                    connection.close()

    def _take(self) -> Connection:
        import psycopg

        with suppress(IndexError):
            while True:
                connection, since = self._idle.pop()
                if time.monotonic() - since < _FRESH and not connection.closed:
                    return connection
                try:
                    connection.execute("SELECT 1")
                    return connection
                except psycopg.Error:
                    connection.close()
        return self.open()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn psycopg's errors into ours: what can pass by itself, and what somebody must mend."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            state = error.sqlstate or ""
            lost = not state and isinstance(error, psycopg.OperationalError)
            kind: type[AgentOpsError] = OperatorError
            if lost or state.startswith(_CAN_PASS):
                kind = TransientError
            raise kind(f"Postgres at {self.name}: {self.masked(error)}") from error


def _close(idle: list[tuple[Connection, float]]) -> None:
    while idle:
        idle.pop()[0].close()
