"""Facts in SQLite and in Postgres with pgvector: the same statements, two ways to search.

A search looks at one tenant's facts about the subjects asked for and ranks only those, exactly:
they are some dozens, so neither back end needs an index over vectors, and nobody else's fact can
push one out of the results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from agentops_ref.agents.memory.database import Database, PostgresDatabase, SqliteFile
from agentops_ref.agents.memory.facts import Fact, FactSource, Forgotten, Found, successors
from agentops_ref.errors import OperatorError

Clock = Callable[[], datetime]

_COLUMNS = (
    "id, tenant, subject, attribute, text, certainty, thread, message, said_by, learned_at, "
    "valid_until, superseded_by"
)
_TABLE = """
CREATE TABLE IF NOT EXISTS facts (
    number {number},
    id text NOT NULL UNIQUE,
    tenant text NOT NULL,
    subject text NOT NULL,
    attribute text NOT NULL,
    text text NOT NULL,
    certainty text NOT NULL,
    thread text NOT NULL,
    message text NOT NULL,
    said_by text NOT NULL,
    learned_at {time} NOT NULL,
    valid_until {time},
    superseded_by text,
    recipe text NOT NULL,
    vector {vector} NOT NULL
)
"""
_THREADS = """
CREATE TABLE IF NOT EXISTS fact_threads (
    fact text NOT NULL,
    thread text NOT NULL,
    PRIMARY KEY (fact, thread)
)
"""
"""In which conversations a fact was shown."""
_INDEX = "CREATE INDEX IF NOT EXISTS facts_subject ON facts (tenant, subject, attribute)"
_ONE = "tenant = ? AND subject = ? AND attribute = ?"


class Embeddings(Protocol):
    """Texts to vectors of one length; a LangChain `Embeddings` is one."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]: ...

    def embed_query(self, text: str) -> list[float]: ...


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def fact_store(
    database: Database, embeddings: Callable[[], Embeddings], *, clock: Clock = utc_now
) -> SqliteFacts | PostgresFacts:
    """Return the store of facts that fits a database.

    Parameters
    ----------
    embeddings
        Gives the model; called when a fact is first told or searched for. What its ``recipe``
        attribute says names it: facts that another one embedded are embedded anew when they are
        next searched.
    """
    if isinstance(database, PostgresDatabase):
        return PostgresFacts(database, embeddings, clock)
    assert isinstance(database, SqliteFile)
    return SqliteFacts(database, embeddings, clock)


class _Facts(ABC):
    """What both stores do in the same way. Statements are written with ``?``."""

    def __init__(self, database: Any, embeddings: Callable[[], Embeddings], clock: Clock) -> None:
        self._database, self._make, self._clock = database, embeddings, clock
        self._model: Embeddings | None = None
        self._ready = False

    # --- what differs ---------------------------------------------------------------------

    @abstractmethod
    def _run(self, connection: Any, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one statement and return its rows."""

    @abstractmethod
    def _make_table(self, connection: Any) -> None: ...

    @abstractmethod
    def _transaction(self, connection: Any) -> AbstractContextManager[None]:
        """Begin a transaction that no other writer of facts is in."""

    @abstractmethod
    def _written(self, vector: Sequence[float]) -> Any:
        """Return a vector as the column takes it."""

    @abstractmethod
    def _time(self, moment: datetime | None) -> Any: ...

    @abstractmethod
    def _nearest(
        self, connection: Any, vector: Sequence[float], where: str, values: Sequence[Any], k: int
    ) -> list[Found]: ...

    # --- what is the same -----------------------------------------------------------------

    @property
    def embeddings(self) -> Embeddings:
        """The model."""
        if self._model is None:
            self._model = self._make()
        return self._model

    @property
    def _recipe(self) -> str:
        return str(getattr(self.embeddings, "recipe", type(self.embeddings).__name__))

    def _connection(self) -> Any:
        if not self._ready:
            with self._database.connection() as connection:
                self._make_table(connection)
            self._ready = True
        return self._database.connection()

    def tell(self, facts: Iterable[Fact]) -> int:
        told = list({fact.id: fact for fact in facts}.values())
        if not told:
            return 0
        vectors = self.embeddings.embed_documents([_embedded(fact) for fact in told])
        new = 0
        with self._connection() as connection, self._transaction(connection):
            for fact, vector in zip(told, vectors, strict=True):
                new += len(
                    self._run(
                        connection,
                        f"INSERT INTO facts ({_COLUMNS}, recipe, vector) "
                        f"VALUES ({', '.join('?' * 14)}) ON CONFLICT (id) DO NOTHING RETURNING id",
                        [*self._row(fact), self._recipe, self._written(vector)],
                    )
                )
            self._link(connection, {(f.tenant, f.subject, f.attribute) for f in told})
        return new

    def search(
        self, query: str, *, tenant: str, subjects: Sequence[str], k: int = 5
    ) -> list[Found]:
        if not subjects or k < 1:
            return []
        marks = ", ".join("?" * len(subjects))
        where = (
            f"tenant = ? AND subject IN ({marks}) AND superseded_by IS NULL "
            "AND (valid_until IS NULL OR valid_until > ?)"
        )
        values = [tenant, *subjects, self._time(self._clock())]
        with self._connection() as connection:
            self._embed_anew(connection, where, values)
            vector = self.embeddings.embed_query(query)
            # Another process may tell with another model in this very moment.
            return self._nearest(
                connection, vector, f"{where} AND recipe = ?", [*values, self._recipe], k
            )

    def show(self, *, tenant: str | None = None, subject: str | None = None) -> list[Fact]:
        asked = {"tenant": tenant, "subject": subject}
        given = {name: value for name, value in asked.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given) or "true"
        with self._connection() as connection:
            return self._facts(connection, where, list(given.values()))

    def shown(self, facts: Iterable[Fact], *, thread: str) -> list[str]:
        told = list(facts)
        if not told:
            return []
        with self._connection() as connection, self._transaction(connection):
            there = [
                fact.id
                for fact in told
                if self._run(connection, "SELECT id FROM facts WHERE id = ?", [fact.id])
            ]
            for id_ in there if thread else ():
                self._run(
                    connection,
                    "INSERT INTO fact_threads (fact, thread) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    [id_, thread],
                )
        return there

    def forget(self, *, tenant: str, subject: str, fact: str | None = None) -> Forgotten:
        where, values = "tenant = ? AND subject = ?", [tenant, subject]
        if fact is not None:
            where, values = f"{where} AND id = ?", [*values, fact]
        with self._connection() as connection, self._transaction(connection):
            gone = self._facts(connection, where, values)
            self._run(connection, f"DELETE FROM facts WHERE {where}", values)
            threads = {one.source.thread for one in gone}
            for one in gone:
                deleted = "DELETE FROM fact_threads WHERE fact = ? RETURNING thread"
                threads |= {thread for (thread,) in self._run(connection, deleted, [one.id])}
            self._link(connection, {(f.tenant, f.subject, f.attribute) for f in gone})
        # Always, since an earlier call may have been cut short between the two.
        self._database.scrub()
        return Forgotten(len(gone), tuple(sorted(threads - {""})))

    def _link(self, connection: Any, groups: Iterable[tuple[str, str, str]]) -> None:
        """Write who has taken whose place, where that has changed."""
        for group in groups:
            held = self._facts(connection, _ONE, group)
            now = successors(held)
            for one in held:
                if one.superseded_by != now[one.id]:
                    self._run(
                        connection,
                        "UPDATE facts SET superseded_by = ? WHERE id = ?",
                        [now[one.id], one.id],
                    )

    def _embed_anew(self, connection: Any, where: str, values: Sequence[Any]) -> None:
        stale = self._facts(connection, f"{where} AND recipe <> ?", [*values, self._recipe])
        if not stale:
            return
        vectors = self.embeddings.embed_documents([_embedded(fact) for fact in stale])
        with self._transaction(connection):
            for fact, vector in zip(stale, vectors, strict=True):
                self._run(
                    connection,
                    "UPDATE facts SET recipe = ?, vector = ? WHERE id = ?",
                    [self._recipe, self._written(vector), fact.id],
                )

    def _facts(self, connection: Any, where: str, values: Sequence[Any]) -> list[Fact]:
        statement = (
            f"SELECT {_COLUMNS} FROM facts WHERE {where} "
            "ORDER BY tenant, subject, attribute, learned_at, number"
        )
        return [_fact(row) for row in self._run(connection, statement, values)]

    def _row(self, fact: Fact) -> list[Any]:
        return [
            fact.id,
            fact.tenant,
            fact.subject,
            fact.attribute,
            fact.text,
            fact.certainty,
            fact.source.thread,
            fact.source.message,
            fact.source.said_by,
            self._time(fact.learned_at),
            self._time(fact.valid_until),
            fact.superseded_by,
        ]


class SqliteFacts(_Facts):
    """Facts in a SQLite file; vectors are 4-byte floats, ranked by numpy."""

    def _run(self, connection: Any, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        rows: list[Any] = connection.execute(statement, tuple(values)).fetchall()
        return rows

    def _make_table(self, connection: Any) -> None:
        table = _TABLE.format(number="INTEGER PRIMARY KEY", time="text", vector="blob")
        connection.execute(table)
        connection.execute(_INDEX)
        connection.execute(_THREADS)

    @contextmanager
    def _transaction(self, connection: Any) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _written(self, vector: Sequence[float]) -> bytes:
        import numpy as np

        return np.asarray(vector, dtype="<f4").tobytes()

    def _time(self, moment: datetime | None) -> str | None:
        # Of one length, so that texts are ordered as the moments are.
        if moment is None:
            return None
        return moment.astimezone(UTC).isoformat(timespec="microseconds")

    def _nearest(
        self, connection: Any, vector: Sequence[float], where: str, values: Sequence[Any], k: int
    ) -> list[Found]:
        import numpy as np

        statement = f"SELECT {_COLUMNS}, vector FROM facts WHERE {where}"
        rows = self._run(connection, statement, values)
        if not rows:
            return []
        held = np.stack([np.frombuffer(row[-1], dtype="<f4") for row in rows])
        asked = np.asarray(vector, dtype="<f4")
        length = np.linalg.norm(held, axis=1) * np.linalg.norm(asked)
        scores = np.divide(held @ asked, length, out=np.zeros(len(rows)), where=length > 0)
        found = [Found(_fact(row[:-1]), float(s)) for row, s in zip(rows, scores, strict=True)]
        return sorted(found, key=lambda one: (-one.score, one.fact.id))[:k]


class PostgresFacts(_Facts):
    """Facts in Postgres; vectors are pgvector's."""

    def _run(self, connection: Any, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        ran = connection.execute(statement.replace("?", "%s"), tuple(values))
        rows: list[Any] = ran.fetchall() if ran.description else []
        return rows

    def _make_table(self, connection: Any) -> None:
        from psycopg import errors

        try:
            with connection.transaction():
                self._alone(connection)  # IF NOT EXISTS does not help two that are at it at once
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                number = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
                table = _TABLE.format(number=number, time="timestamptz", vector="vector")
                connection.execute(table)
                connection.execute(_INDEX)
                connection.execute(_THREADS)
        except (
            errors.FeatureNotSupported,
            errors.InsufficientPrivilege,
            errors.UndefinedFile,
        ) as error:
            raise OperatorError(
                f"memory at {self._database.name}: no table of facts can be made "
                f"({error.diag.message_primary}): the database needs pgvector (an administrator "
                "runs CREATE EXTENSION vector), its user CREATE on the schema"
            ) from error

    @contextmanager
    def _transaction(self, connection: Any) -> Iterator[None]:
        with connection.transaction():
            self._alone(connection)
            yield

    def _alone(self, connection: Any) -> None:
        # "facts" in ASCII. Writers are few and short; readers do not wait.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [0x6661637473])

    def _written(self, vector: Sequence[float]) -> str:
        return f"[{','.join(map(repr, map(float, vector)))}]"

    def _time(self, moment: datetime | None) -> datetime | None:
        return moment

    def _nearest(
        self, connection: Any, vector: Sequence[float], where: str, values: Sequence[Any], k: int
    ) -> list[Found]:
        # The distance to a vector without length is no number; it is as far as unrelated ones.
        near = "coalesce(nullif(vector <=> ?::vector, 'NaN'), 1)"
        statement = (
            f"SELECT {_COLUMNS}, 1 - {near} AS score FROM facts WHERE {where} "
            "ORDER BY score DESC, id LIMIT ?"
        )
        rows = self._run(connection, statement, [self._written(vector), *values, k])
        return [Found(_fact(row[:-1]), float(row[-1])) for row in rows]


def _embedded(fact: Fact) -> str:
    """Return what is embedded: "Tuesdays" alone is near to nothing that one would ask."""
    return f"{fact.attribute}: {fact.text}"


def _fact(row: Sequence[Any]) -> Fact:
    id_, tenant, subject, attribute, text, certainty, thread, message, who, *times, by = row
    learned_at, valid_until = (
        datetime.fromisoformat(at) if isinstance(at, str) else at and at.astimezone(UTC)
        for at in times
    )
    source = FactSource(thread, message, who)
    made = Fact(id_, tenant, subject, attribute, text, certainty, source, learned_at, valid_until)
    return replace(made, superseded_by=by)
