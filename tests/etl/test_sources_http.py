"""What is particular to documents of a web site."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from agentops_ref.errors import ConfigError, DocumentError
from agentops_ref.etl import MemorySink, sync
from agentops_ref.etl.retry import Retry
from agentops_ref.etl.sources import HttpSource, ReadFailed
from agentops_ref.settings import RetryConfig
from tests.etl.fakes import AT_ONCE, contents, make_stages
from tests.etl.places import Site


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def put(site: Site, *paths: str, text: str = "text") -> None:
    for path in paths:
        site.pages[path] = f"{text} of {path}".encode(), time.time() - 1000


def names(source: HttpSource) -> list[str]:
    listing = source.list()
    assert listing.complete, listing.problem
    return [item.document for item in listing.items]


def test_documents_are_named_by_their_path(site: Site) -> None:
    put(site, "/docs/a.pdf", "/docs/guide/", "/docs/guide/install", "/docs/x.php", "/docs/q?id=3")
    put(site, "/docs/v.pdf?v=2", "/docs/sub/index.html", "/docs/sub/", "/elsewhere/b.txt")
    source = HttpSource(f"{site.root}/docs/")
    assert names(source) == [
        "a.pdf",
        "guide/index.html",
        "guide/install.html",
        "q?id=3.html",
        "sub/index.html",
        "v?v=2.pdf",
        "x.php.html",
    ]
    assert source.read("guide/index.html") == b"text of /docs/guide/"
    assert source.read("sub/index.html") == b"text of /docs/sub/index.html", "as it is written out"
    assert source.read("q?id=3.html") == b"text of /docs/q?id=3"
    assert source.read("v?v=2.pdf") == b"text of /docs/v.pdf?v=2"


def test_a_list_of_addresses(site: Site) -> None:
    put(site, "/docs/a.txt", "/docs/b.txt", "/docs/c.txt")
    source = HttpSource(f"{site.root}/docs/", urls=["a.txt", f"{site.root}/docs/c.txt#part"])
    assert names(source) == ["a.txt", "c.txt"]
    with pytest.raises(ConfigError, match=r"urls: http://other/x is not below"):
        HttpSource(f"{site.root}/docs/", urls=["http://other/x"])


def test_patterns_choose(site: Site) -> None:
    put(site, "/docs/a.txt", "/docs/old/b.txt", "/docs/c.pdf")
    assert names(HttpSource(f"{site.root}/docs/", ["**/*.txt"], ["old"])) == ["a.txt"]


def test_an_index_of_sitemaps_is_followed_once_and_on_the_site_only(site: Site) -> None:
    put(site, "/docs/a.txt")
    site.index = "sitemap"
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    maps = (f"{site.root}/docs/sitemap.xml", f"{site.root}/docs/all.xml", "http://other/s.xml")
    rows = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in maps)
    whole = f'<sitemapindex xmlns="{space}">{rows}</sitemapindex>'.encode()
    site.pages["/docs/all.xml"] = whole, 0.0
    site.types["/docs/all.xml"] = "text/xml"
    source = HttpSource(f"{site.root}/docs/all.xml", exclude=["**/*.xml*"])
    assert names(source) == ["a.txt"]


@pytest.mark.parametrize(
    "page",
    [
        b"<?xml version='1.0'?><urlset><url><loc>",
        b"<?xml version='1.0'?><rss/>",
        b"<!DOCTYPE u [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><urlset><url><loc>",
    ],
)
def test_a_broken_sitemap_is_an_incomplete_listing(site: Site, page: bytes) -> None:
    site.pages["/docs/s.xml"] = page, 0.0
    listing = HttpSource(f"{site.root}/docs/s.xml").list()
    assert not listing.complete
    assert "cannot read" in listing.problem


def test_an_entity_in_a_sitemap_reads_no_file(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret.txt")
    site.pages["/docs/s.xml"] = (
        f"<!DOCTYPE u [<!ENTITY x SYSTEM '{secret.as_uri()}'>]><urlset><url>"
        f"<loc>{site.root}/docs/&x;</loc></url></urlset>".encode(),
        0.0,
    )
    HttpSource(f"{site.root}/docs/s.xml").list()
    assert not any("secret" in path for _, path in site.asked)


@pytest.mark.parametrize("status", [404, 410])
def test_gone_is_gone(site: Site, status: int) -> None:
    put(site, "/docs/a.txt", "/docs/b.txt")
    site.answers["/docs/b.txt"] = [(status, {})] * 2
    assert names(HttpSource(f"{site.root}/docs/")) == ["a.txt"]


def test_a_page_that_fails_once_is_asked_again_and_one_that_stays_down_is_an_outage(
    site: Site,
) -> None:
    put(site, "/docs/a.txt", "/docs/b.txt")
    source = HttpSource(f"{site.root}/docs/")
    site.answers["/docs/b.txt"] = [(502, {})]
    assert names(source) == ["a.txt", "b.txt"]
    site.answers["/docs/b.txt"] = [(503, {}), (503, {})]
    listing = source.list()
    assert not listing.complete
    assert listing.problem == "b.txt: HTTP 503 Service Unavailable"


def test_a_server_that_is_not_there_or_too_slow_is_an_outage(site: Site) -> None:
    put(site, "/docs/a.txt")
    assert "refused" in HttpSource("http://127.0.0.1:9/").list().problem
    inner = site.index_page

    def slow() -> bytes:
        time.sleep(0.5)
        return inner()

    site.index_page = slow  # type: ignore[method-assign]
    listing = HttpSource(f"{site.root}/docs/", timeout=0.1).list()
    assert not listing.complete
    assert "timed out" in listing.problem


def test_a_redirect_within_the_site_is_followed_and_one_to_elsewhere_is_quarantined(
    site: Site,
) -> None:
    put(site, "/docs/a.txt", "/docs/moved.txt", "/docs/login.txt", "/docs/circle.txt")
    sink, stages, source = MemorySink(), make_stages(), HttpSource(f"{site.root}/docs/")
    sync(source, sink, stages, AT_ONCE)
    before = contents(sink)
    site.answers = {
        "/docs/moved.txt": [(301, {"Location": "/docs/a.txt"})] * 9,
        "/docs/login.txt": [(302, {"Location": "http://login.example/?from=here"})] * 9,
        "/docs/circle.txt": [(302, {"Location": "/docs/circle.txt"})] * 99,
    }
    report = sync(source, sink, stages, AT_ONCE)
    assert report.updated == ("moved.txt",)
    assert [chunk.text for chunk in sink.chunks_of("moved.txt")] == ["text of /docs/a.txt"]
    reasons = dict(report.quarantined)
    assert "leads to another site, http://login.example" in reasons["login.txt"]
    assert "more than 5 redirects" in reasons["circle.txt"]
    assert sink.chunks_of("login.txt") == before["login.txt"][-1], "its last version is served"
    again = sync(source, sink, stages, AT_ONCE)
    assert again.work["read"] == 0, "looked at again when something changes"


def test_no_access_is_quarantined_and_tried_each_time(site: Site) -> None:
    put(site, "/docs/a.txt", "/docs/b.txt")
    site.answers["/docs/b.txt"] = [(403, {})] * 4
    sink, stages, source = MemorySink(), make_stages(), HttpSource(f"{site.root}/docs/")
    report = sync(source, sink, stages, AT_ONCE)
    assert report.created == ("a.txt",)
    assert "give access with etl.source.options.headers_env" in report.quarantined[0][1]
    assert sync(source, sink, stages, AT_ONCE).work["read"] == 1
    assert sync(source, sink, stages, AT_ONCE).quarantined == ()


def test_a_server_that_is_busy_is_read_again_when_it_says(site: Site) -> None:
    put(site, "/docs/a.txt")
    source, stages = HttpSource(f"{site.root}/docs/"), make_stages()
    stages._retry = Retry(RetryConfig(attempts=3, first_seconds=60, max_seconds=60))
    listing = source.list()
    site.answers["/docs/a.txt"] = [(429, {"Retry-After": "0"}), (503, {"Retry-After": "0"})]
    assert stages.read(source, listing.items[0].document) == b"text of /docs/a.txt"
    assert stages.work == {"read": 1, "retry": 2}


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [("7", 7, 7), (None, None, None), ("soon", None, None), ("date", 20, 31), ("-3", None, None)],
)
def test_retry_after(site: Site, told: str | None, least: float | None, most: float | None) -> None:
    put(site, "/docs/a.txt")
    source = HttpSource(f"{site.root}/docs/")
    source.list()
    if told == "date":
        told = formatdate(time.time() + 30, usegmt=True)
    site.answers["/docs/a.txt"] = [(503, {"Retry-After": told} if told else {})]
    with pytest.raises(ReadFailed) as raised:
        source.read("a.txt")
    asked = raised.value.retry_after
    if least is None or most is None:
        assert asked is None
    else:
        assert asked is not None
        assert least <= asked <= most


def test_a_page_that_was_modified_just_now_is_read_for_its_hash(site: Site) -> None:
    """Last-Modified counts seconds: a second edit within one keeps it."""
    site.validators = "modified"
    source = HttpSource(f"{site.root}/docs/")
    now = time.time()
    site.pages["/docs/a.txt"] = b"torque 18 Nm", now
    (before,) = source.list().items
    site.pages["/docs/a.txt"] = b"torque 20 Nm", now
    (after,) = source.list().items
    assert after.fingerprint != before.fingerprint


def test_a_body_is_cut_off_at_the_limit_however_it_is_sent(site: Site) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    site.pages["/docs/a.txt"] = bomb, 0.0
    source = HttpSource(f"{site.root}/docs/", max_bytes=1_000_000)
    source.list()
    assert {h["accept-encoding"] for h in site.headers} == {"identity"}
    site.answers["/docs/a.txt"] = [(200, {"Content-Length": "5000000000"})]
    with pytest.raises(DocumentError, match="5,000,000,000 bytes, past the limit of 1,000,000"):
        source.read("a.txt")


def test_what_is_no_page_needs_its_ending_named(site: Site) -> None:
    put(site, "/docs/download/7", text="%PDF")
    site.types["/docs/download/7"] = "application/pdf"
    source = HttpSource(f"{site.root}/docs/")
    assert names(source) == ["download/7.html"]
    with pytest.raises(DocumentError, match=r"served as application/pdf.*options\.endings"):
        source.read("download/7.html")
    source = HttpSource(f"{site.root}/docs/", endings={"download/*": ".pdf"})
    assert names(source) == ["download/7.pdf"]
    assert source.read("download/7.pdf").startswith(b"%PDF")


def test_secrets_come_from_the_environment_and_stay_out_of_reports(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site, "/docs/a.txt")
    with pytest.raises(ConfigError, match="no environment variable DOCS_TOKEN"):
        HttpSource(f"{site.root}/docs/", headers_env={"Authorization": "DOCS_TOKEN"})
    monkeypatch.setenv("DOCS_TOKEN", "Bearer t0ken")
    source = HttpSource(f"{site.root}/docs/", headers_env={"Authorization": "DOCS_TOKEN"})
    assert names(source) == ["a.txt"]
    assert site.headers[-1]["authorization"] == "Bearer t0ken"
    host = site.root.removeprefix("http://")
    source = HttpSource(f"http://me:pa55@{host}/docs/")
    site.down = True
    listing = source.list()
    assert site.headers[-1]["authorization"].startswith("Basic ")
    assert "pa55" not in f"{listing.source} {listing.problem} {source.name}"


def test_an_address_that_is_none_is_refused() -> None:
    for root in ("ftp://host/docs/", "https:///docs", "docs"):
        with pytest.raises(ConfigError, match="is not a web address"):
            HttpSource(root)
