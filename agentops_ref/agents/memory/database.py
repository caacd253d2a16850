"""Where memory is kept: one URL, a SQLite file or a Postgres database. Taught in chapter 6.

Conversations and facts share the database, so that forgetting looks in one place.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from agentops_ref.errors import (
    AgentOpsError,
    ConfigError,
    MissingExtra,
    OperatorError,
    TransientError,
)

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

EXPECTED = "expected sqlite:///FILE or postgresql://user@host:5432/database"
_WAIT = 10.0
"""Seconds that one statement waits for another process's, or for a connection."""
_POLL = 0.05
_CAN_PASS = ("08", "40", "55", "57", "53300")
"""Beginnings of SQLSTATEs: connection, rollback, not available, intervention, too many clients."""
_CHECKPOINTS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


class Database(Protocol):
    """What threads and facts need of the place where they are kept."""

    @property
    def name(self) -> str:
        """File or host and database, without a password; for messages."""
        ...

    def saver(self) -> BaseCheckpointSaver[Any]:
        """Return a LangGraph checkpointer with its tables made; its errors are ours."""
        ...

    def connection(self) -> Any:
        """Return a context manager with a connection in autocommit mode; its errors are ours."""
        ...

    def one_at_a_time(self, key: str, *, wait: float) -> Any:
        """Return a context manager that one holder of the key is in, in any process.

        It is released when its process dies.

        Raises
        ------
        TransientError
            Another holder was in it for longer than ``wait`` seconds.
        """
        ...

    def scrub(self) -> None:
        """Leave no byte of what was deleted in the files that hold the data.

        Raises
        ------
        TransientError
            Somebody reads; what was deleted is gone for readers, but not yet from the files.
        """
        ...

    def close(self) -> None: ...


def open_database(
    uri: str, *, password_env: str | None = None, password_from: Callable[[], str] | None = None
) -> SqliteFile | PostgresDatabase:
    """Return the database of a URL; nothing is opened before it is used.

    Raises
    ------
    ConfigError
        The URL is of another kind.
    """
    if uri.startswith("sqlite:///") and len(uri) > len("sqlite:///"):
        if password_env is not None or password_from is not None:
            raise ConfigError("memory.password_env: a SQLite file has no password")
        return SqliteFile(Path(uri.removeprefix("sqlite:///")))
    if uri.startswith(("postgresql://", "postgres://")):
        return PostgresDatabase(uri, password_env=password_env, password_from=password_from)
    raise ConfigError(f"memory.uri: {EXPECTED}, got '{uri.partition('@')[0][:40]}'")


class SqliteFile:
    """A SQLite file on a local disk, for the processes of one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._savers: list[Any] = []

    @property
    def name(self) -> str:
        return str(self.path)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Give a connection in autocommit mode for a few statements; errors become ours."""
        with self.translated(), closing(self._open(isolation_level=None)) as connection:
            yield connection

    def _open(self, *, isolation_level: Any) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=_WAIT, isolation_level=isolation_level, check_same_thread=False
        )
        try:
            # What is deleted or replaced is overwritten with zeros, not only given free.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            busy = "locked" in str(error) or "busy" in str(error)
            kind: type[AgentOpsError] = TransientError if busy else OperatorError
            raise kind(f"memory at {self.path}: {error}") from error

    def saver(self) -> BaseCheckpointSaver[Any]:
        """Return a checkpointer over a connection of its own."""
        from langgraph.checkpoint.sqlite import SqliteSaver

        place = self
        opened: list[int] = []

        class Saver(SqliteSaver):
            @contextmanager
            def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
                place._still(opened)
                with place.translated(), super().cursor(transaction) as cursor:
                    yield cursor

        with self.translated():
            # Not in autocommit mode: several rows of one call are one transaction.
            connection = self._open(isolation_level="")
            made = Saver(connection)
            self._savers.append(made)
            made.setup()
            opened.append(self.path.stat().st_ino)
        return made

    def _still(self, inodes: list[int]) -> None:
        """Raise where another file, or none, is at the path: what is written would be gone."""
        try:
            there = self.path.stat().st_ino
        except OSError as error:
            raise OperatorError(f"memory at {self.path} is gone: {error.strerror}") from error
        if inodes and there not in inodes:
            raise OperatorError(f"memory at {self.path} is another file than was opened: restart")

    @contextmanager
    def one_at_a_time(self, key: str, *, wait: float) -> Iterator[None]:
        """Hold a file lock named by the key's digest, beside the database."""
        from filelock import FileLock, Timeout

        folder = self.path.with_name(f"{self.path.name}.locks")
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / hashlib.sha256(key.encode()).hexdigest()[:32], timeout=wait)
        try:
            lock.acquire()
        except Timeout:
            raise _taken(key, wait) from None
        try:
            yield
        finally:
            lock.release()

    def scrub(self) -> None:
        """Write the file anew without its free pages, and empty the write-ahead log."""
        with self.connection() as connection:
            connection.execute("VACUUM")
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise TransientError(
                f"memory at {self.path}: deleted, but a reader holds the write-ahead log, where "
                "bytes of it may stand: run the same again"
            )

    def close(self) -> None:
        while self._savers:
            saver = self._savers.pop()
            # A turn that was given up may still be waiting in it: SQLite would crash the process.
            if saver.lock.acquire(timeout=2 * _WAIT):
                try:
                    saver.conn.close()
                finally:
                    saver.lock.release()


class PostgresDatabase:
    """A Postgres database, for any number of processes; the tables are in its search path."""

    def __init__(
        self,
        uri: str,
        *,
        password_env: str | None = None,
        password_from: Callable[[], str] | None = None,
    ) -> None:
        try:
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres") from error
        try:
            self._given: dict[str, Any] = conninfo_to_dict(uri)
        except ProgrammingError:  # its message would repeat the address, password and all
            self._given = {"host": "@"}
        if "@" in f"{self._given.get('host')}{self._given.get('dbname')}":
            raise ConfigError(
                "memory.uri: not a Postgres address; expected postgresql://user@host:5432/database "
                "(in a password, percent-encode :/?#[]@%)"
            )
        self._password_env, self._password_from = password_env, password_from
        self._opening = threading.Lock()
        self._pool: Any = None

    @property
    def name(self) -> str:
        port = f":{self._given['port']}" if "port" in self._given else ""
        return f"{self._given.get('host', 'the local socket')}{port}/{self._given.get('dbname')}"

    def _parameters(self) -> dict[str, Any]:
        given = {"connect_timeout": int(_WAIT), "application_name": "agentops", **self._given}
        if self._password_env is not None:
            if self._password_env not in os.environ:
                raise ConfigError(
                    f"memory.password_env: no environment variable {self._password_env}"
                )
            given["password"] = os.environ[self._password_env]
        elif self._password_from is not None:
            given["password"] = self._password_from()
        # Not prepared: a pooler between us and the server may not keep prepared statements.
        return given | {"autocommit": True, "prepare_threshold": None}

    def _open(self) -> Any:
        import psycopg

        return psycopg.connect(**self._parameters())

    @property
    def pool(self) -> Any:
        """A few connections, each tried before it is lent, so that a restarted server is no error.

        One is opened by hand first: a pool would tell only that it waited, not the server's reason.
        """
        with self._opening:
            if self._pool is None:
                from psycopg_pool import ConnectionPool

                with self.translated():
                    self._open().close()
                pool = ConnectionPool(
                    kwargs=self._parameters,  # for each connection: a password may have ended
                    min_size=1,
                    max_size=8,
                    timeout=_WAIT,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
                self._pool = pool
                weakref.finalize(self, pool.close)
            return self._pool

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Lend a connection in autocommit mode; errors become ours."""
        pool = self.pool
        with self.translated(), pool.connection() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the server's errors into ours, without the password."""
        import psycopg
        from psycopg_pool import PoolTimeout

        try:
            yield
        except PoolTimeout as error:
            raise TransientError(f"memory at {self.name}: {error}") from error
        except psycopg.Error as error:
            state = error.sqlstate or ""
            lost = not state and isinstance(error, psycopg.OperationalError)
            kind: type[AgentOpsError] = OperatorError
            if lost or state.startswith(_CAN_PASS):
                kind = TransientError
            raise kind(f"memory at {self.name}: {self._masked(error)}") from error

    def _masked(self, text: object) -> str:
        shown = " ".join(str(text).split())
        if secret := str(self._parameters().get("password") or ""):
            for form in (secret, quote(secret, safe=""), quote(secret)):
                shown = shown.replace(form, "***")
        return shown

    def saver(self) -> BaseCheckpointSaver[Any]:
        """Return a checkpointer over the pool."""
        try:
            from langgraph.checkpoint.postgres import PostgresSaver
        except ImportError as error:
            raise MissingExtra("langgraph-checkpoint-postgres", "postgres") from error

        place = self

        class Saver(PostgresSaver):
            @contextmanager
            def _cursor(self, *, pipeline: bool = False) -> Iterator[Any]:
                with place.translated(), super()._cursor(pipeline=pipeline) as cursor:
                    yield cursor

        made = Saver(self.pool)
        # Two replicas that start at once would make the same tables.
        with self.one_at_a_time("tables of checkpoints", wait=_WAIT):
            made.setup()
        return made

    @contextmanager
    def one_at_a_time(self, key: str, *, wait: float) -> Iterator[None]:
        """Hold an advisory lock in a session of its own."""
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)
        with self.translated():
            session = self._open()
        try:
            deadline = time.monotonic() + wait
            while True:
                with self.translated():
                    # Not the blocking function: a session that waits in it has a snapshot, and
                    # the saver's CREATE INDEX CONCURRENTLY would wait for that for ever.
                    asked = session.execute("SELECT pg_try_advisory_lock(%s)", [number])
                    if asked.fetchone()[0]:
                        break
                if time.monotonic() >= deadline:
                    raise _taken(key, wait)
                time.sleep(_POLL)
            yield
        finally:
            session.close()

    def scrub(self) -> None:
        """Write the table of facts anew, and give free what was deleted of conversations.

        The tables of conversations are not written anew, which would stop all of them meanwhile.
        The server's write-ahead log and its backups keep what they keep: for as long as whoever
        runs it has configured.
        """
        with self.connection() as connection:
            # To write a table anew, nobody may be reading it.
            connection.execute(f"SET lock_timeout = {int(_WAIT * 1000)}")
            try:
                for table in ("facts", *_CHECKPOINTS):
                    (there,) = connection.execute("SELECT to_regclass(%s)", [table]).fetchone()
                    if there is not None:
                        full = "(FULL)" if table == "facts" else ""
                        connection.execute(f"VACUUM {full} {table}")
            finally:
                connection.execute("RESET lock_timeout")

    def close(self) -> None:
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None


def _taken(key: str, wait: float) -> TransientError:
    return TransientError(
        f"{key}: somebody else is at it for longer than {wait:g} seconds: try again"
    )
