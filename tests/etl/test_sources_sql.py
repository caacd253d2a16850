"""What is particular to rows as documents, and to file systems by URL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.errors import ConfigError, DocumentError, OperatorError
from agentops_ref.etl.sources import FilesSource, SqlSource


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "db.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            """
            CREATE TABLE articles (
                shop TEXT, id INTEGER, title TEXT, body TEXT, "order" TEXT, file BLOB, moved TEXT,
                PRIMARY KEY (shop, id));
            INSERT INTO articles VALUES
                ('nord', 1, 'Torque {body}', '18 Nm', 'o1', x'255044', '2026-01-01'),
                ('nord', 2, 'Charge', NULL, 'o2', x'00', '2026-01-02'),
                ('a/b', 3, '; DROP TABLE articles', 'x', 'o3', NULL, NULL);
            CREATE VIEW shown AS SELECT id, body FROM articles WHERE shop = 'nord';
            CREATE TABLE loose (id TEXT, body TEXT);
            INSERT INTO loose VALUES ('1', 'one'), ('1', 'two'), (NULL, 'three');
            """
        )
    return f"sqlite:///{path}"


def documents(source: SqlSource) -> dict[str, bytes]:
    listing = source.list()
    assert listing.complete, listing.problem
    return {item.document: source.read(item.document) for item in listing.items}


def test_parameters_may_stand_in_the_url_or_in_the_options(url: str) -> None:
    expected = {
        "articles/a%2Fb/3.txt": b"; DROP TABLE articles\n\nx",
        "articles/nord/1.txt": b"Torque {body}\n\n18 Nm",
        "articles/nord/2.txt": b"Charge\n\n",
    }
    assert documents(SqlSource(f"{url}?table=articles&text=title,body")) == expected
    assert documents(SqlSource(f"sql+{url}", table="articles", text=["title", "body"])) == expected
    assert documents(SqlSource(url, table="articles", text="title,body")) == expected, "still there"


def test_a_template_takes_values_as_they_are(url: str) -> None:
    source = SqlSource(url, table="articles", template="# {title}\n\n{order}", ending=".md")
    assert documents(source)["articles/nord/1.md"] == b"# Torque {body}\n\no1"


def test_a_binary_column_is_a_file(url: str) -> None:
    source = SqlSource(url, table="articles", key="id", text="file", ending=".pdf")
    assert documents(source)["articles/1.pdf"] == b"%PD"


def test_a_query_and_a_view_are_tables_too(url: str) -> None:
    source = SqlSource(url, query="SELECT id AS n, body FROM articles;", key="n", text="body")
    assert documents(source) == {"1.txt": b"18 Nm", "2.txt": b"", "3.txt": b"x"}
    view = SqlSource(url, table="shown", key="id", text="body")
    assert list(documents(view)) == ["shown/1.txt", "shown/2.txt"]


def test_a_row_without_a_version_is_hashed_and_the_others_are_not_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SqlSource(url, table="articles", text="title", version="moved")
    read: list[Any] = []
    inner = source._bytes
    monkeypatch.setattr(source, "_bytes", lambda row: read.append(dict(row)) or inner(row))
    marks = [item.fingerprint.split()[:2] for item in source.list().items]
    assert [mark[0] for mark in marks] == ["sha256", "version", "version"]
    assert [row["title"] for row in read] == ["; DROP TABLE articles"]


def test_another_template_is_another_fingerprint(url: str) -> None:
    one = SqlSource(url, table="articles", template="{title}", version="moved").list()
    other = SqlSource(url, table="articles", template="{title}!", version="moved").list()
    assert not {i.fingerprint for i in one.items} & {i.fingerprint for i in other.items}


def test_a_key_that_names_no_single_row_is_an_incomplete_listing(url: str) -> None:
    listing = SqlSource(url, table="loose", key="id", text="body").list()
    assert not listing.complete
    assert "more than one row has the key" in listing.problem


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text": "body"}, "either `table` or `query`"),
        ({"table": "articles", "query": "SELECT 1", "text": "body"}, "either `table` or `query`"),
        ({"table": "articles"}, "needs `text` or `template`"),
        ({"query": "SELECT 1 AS a", "text": "a"}, "a query also needs `key`"),
        ({"table": "articles", "text": "titel"}, "no column 'titel'; did you mean 'title'"),
        ({"table": "loose", "text": "body"}, "no primary key"),
        ({"table": "articles", "txt": "body"}, "unknown 'txt'; did you mean 'text'"),
        ({"table": "articles", "text": "body", "password_env": "NO_SUCH"}, "NO_SUCH"),
    ],
)
def test_a_wrong_setting_is_named(url: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SqlSource(url, **options).list()


def test_what_is_not_there_is_the_operators_to_mend(url: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no table or view gone"):
        SqlSource(url, table="gone", text="body").list()
    missing = tmp_path / "missing.sqlite"
    with pytest.raises(OperatorError, match="no database file"):
        SqlSource(f"sqlite:///{missing}", table="a", text="b").list()
    assert not missing.exists(), "looking made no database"
    for wrong in ("nonsense", "sqlite://host/db.sqlite"):
        with pytest.raises(ConfigError, match="not a database URL"):
            SqlSource(wrong, table="a", text="b")
    with pytest.raises(OperatorError, match="cannot read nosuchbase"):
        SqlSource("nosuchbase://host/db", table="a", text="b")


def test_a_password_comes_from_the_environment_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "pa55")
    url = "nosuchbase://me@host/db?password_env=DB_PASSWORD"
    with pytest.raises(OperatorError) as raised:
        SqlSource(url, table="articles", text="body")
    assert "nosuchbase://me:***@host/db#articles" in str(raised.value), "it was put in, and hidden"


# --- file systems by URL ----------------------------------------------------------------------


def test_a_file_system_that_nobody_knows_or_that_is_not_installed() -> None:
    with pytest.raises(ConfigError, match=r"cannot read nosuch://place"):
        FilesSource("nosuch://place/docs")
    with pytest.raises(OperatorError, match=r"cannot read gs://bucket.*gcsfs"):
        FilesSource("gs://bucket/docs")


def test_nothing_at_the_root_is_an_error_and_no_empty_listing(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nothing at file://"):
        FilesSource((tmp_path / "gone").as_uri()).list()


def test_links_of_a_file_url_are_not_followed(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("alpha")
    (tmp_path / "secret.txt").write_text("secret")
    (docs / "out.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "circle").symlink_to(docs)
    (docs / "above").symlink_to(tmp_path)
    (docs / "self").symlink_to(docs / "self")
    source = FilesSource(docs.as_uri())
    listing = source.list()
    links = ["above", "circle", "out.txt", "self"]
    assert (listing.complete, [i.document for i in listing.items]) == (
        True,
        sorted(["a.txt", *links]),
    )
    for name in links:
        with pytest.raises(DocumentError, match="a link, which is not followed"):
            source.read(name)
    for name in ("above/secret.txt", "../secret.txt"):
        with pytest.raises((PermissionError, DocumentError), match="leads out of"):
            source.read(name)


def test_patterns_of_a_file_url(tmp_path: Path) -> None:
    for name in ("a.txt", ".git/b.txt", "old/c.txt", "new/d.txt", "e.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    source = FilesSource(tmp_path.as_uri(), ["**/*.txt"], ["**/.*", "old"])
    assert [item.document for item in source.list().items] == ["a.txt", "new/d.txt"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_rows_of_a_postgres_database_are_documents(database: str, scheme: str) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            "CREATE TABLE shop.notes (id bigserial PRIMARY KEY, title text, body text,"
            " moved timestamptz, size numeric(8, 2))"
        )
        connection.execute(
            "INSERT INTO shop.notes (title, body, moved, size) VALUES"
            " ('Torque', '18 Nm', '2026-01-01', 1.50), ('Charge', NULL, '2026-01-02', 2)"
        )
        url = database.replace("postgresql", scheme, 1)
        more: dict[str, Any] = {"table": "shop.notes", "text": "title,body", "version": "moved"}
        source = SqlSource(url, **more)
        first = source.list()
        assert documents(source) == {
            "shop.notes/1.txt": b"Torque\n\n18 Nm",
            "shop.notes/2.txt": b"Charge\n\n",
        }
        connection.execute(
            "UPDATE shop.notes SET body = '20 Nm', moved = '2026-02-01' WHERE id = 1"
        )
        second = SqlSource(url, **more).list()
    moved = {a.document for a, b in zip(first.items, second.items, strict=True) if a != b}
    assert moved == {"shop.notes/1.txt"}
