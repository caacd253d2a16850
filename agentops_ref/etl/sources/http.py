"""The pages and files of a web site: a list of URLs, a sitemap, or the links of an index page."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from agentops_ref.errors import AgentOpsError, ConfigError, DocumentError
from agentops_ref.etl.parse import PARSERS
from agentops_ref.etl.sources.base import (
    EXCLUDE,
    INCLUDE,
    MAX_BYTES,
    ReadFailed,
    matches,
    too_large,
    wanted,
    without_password,
)
from agentops_ref.records import Listing, SourceItem

if TYPE_CHECKING:
    import httpx

GONE = (404, 410)
PASSING = (408, 425, 429)
"""Statuses below 500 that say: try again."""
WEB_PAGE = ("text/html", "application/xhtml+xml", "text/plain", "")
MAX_REDIRECTS = 5
MAX_SITEMAPS = 1000
YOUNG = 2.0
"""Seconds within which a page may change twice and keep its Last-Modified."""


class HttpSource:
    """The documents of one web site below the folder of ``root``.

    ``root`` is a sitemap, a sitemap index, or a page whose links are the documents; with ``urls``
    it is only the folder that they stand in. Links to elsewhere are not followed, and a redirect to
    another host quarantines its document.

    A listing asks for each document's headers (HEAD, or a GET that is broken off where a server
    has no HEAD), some at a time; a failed one is asked once more at the end. The fingerprint is the
    ETag, which is as good as the server's word, else Last-Modified with the length. A document that
    has neither, or was modified less than two seconds ago, is read for its hash. 404 and 410 mean
    that the document is gone; a time-out, 429 or a 5xx makes the listing incomplete.

    A document is named by its path below the folder: ``guide/`` is ``guide/index.html``, and what
    has no ending that a parser knows gets ``.html``, or what ``endings`` says.

    Parameters
    ----------
    urls
        The documents, absolute or relative to ``root``.
    endings
        Pattern of paths → ending, for files whose address does not tell their type:
        ``{"download/*": ".pdf"}``.
    headers_env
        Header → environment variable that holds its value: ``{"Authorization": "DOCS_TOKEN"}``.
    timeout
        Seconds to wait for a connection or for the next bytes.
    connections
        How many headers are asked for at a time.
    """

    LISTED = ("_known",)

    def __init__(
        self,
        root: Path | str,
        include: Sequence[str] = INCLUDE,
        exclude: Sequence[str] = EXCLUDE,
        *,
        max_bytes: int = MAX_BYTES,
        urls: Sequence[str] | None = None,
        endings: Mapping[str, str] | None = None,
        headers_env: Mapping[str, str] | None = None,
        timeout: float = 20.0,
        connections: int = 8,
    ) -> None:
        import httpx

        self.root = str(root)
        parts = urlsplit(self.root)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"etl.source.root: {self.name} is not a web address; expected https://HOST/..."
            )
        self.include, self.exclude = tuple(include), tuple(exclude)
        self.max_bytes, self.connections = max_bytes, connections
        self._base = parts.path.rpartition("/")[0] + "/"
        self._endings = dict(endings or {})
        self._urls = None if urls is None else tuple(urljoin(self.root, url) for url in urls)
        for url in self._urls or ():
            if self._document(url) is None:
                raise ConfigError(
                    f"etl.source.options.urls: {without_password(url)} is not below {self.name}"
                )
        headers = {"Accept-Encoding": "identity", "User-Agent": "agentops-ref"}
        for header, variable in (headers_env or {}).items():
            if variable not in os.environ:
                raise ConfigError(
                    f"etl.source.options.headers_env: no environment variable {variable}, which is "
                    f"to hold the header {header}"
                )
            headers[header] = os.environ[variable]
        self._client = httpx.Client(
            headers=headers,
            timeout=timeout,
            auth=(unquote(parts.username), unquote(parts.password or ""))
            if parts.username
            else None,
        )
        weakref.finalize(self, self._client.close)
        self._known: dict[str, str] | None = None

    @property
    def name(self) -> str:
        return without_password(self.root)

    def list(self) -> Listing:
        problems: MutableSequence[str] = []
        self._known = self._addresses(problems)
        names = sorted(self._known)
        found: list[SourceItem] = []
        with ThreadPoolExecutor(self.connections) as pool:
            for last in (False, True):
                failed: list[str] = []
                for name, item in zip(names, pool.map(self._examine, names), strict=True):
                    if isinstance(item, SourceItem):
                        found.append(item)
                    elif item is not None:
                        failed.append(name)
                        if last:
                            problems.append(str(item))
                names = failed
        found.sort(key=lambda item: item.document)
        return Listing(self.name, tuple(found), not problems, _few(problems))

    def read(self, document: str) -> bytes:
        if self._known is None:
            listing = self.list()
            if not listing.complete:
                raise ReadFailed(f"{document}: {self.name} was not listed ({listing.problem})")
        url = (self._known or {}).get(document)
        if url is None:
            raise FileNotFoundError(f"{document}: not a document of {self.name}")
        data, kind = self._get(document, url)
        if self._is_guess(url) and kind not in WEB_PAGE:
            raise DocumentError(
                f"{document}: served as {kind}, not as a web page: name its ending in "
                "etl.source.options.endings, or exclude it"
            )
        return data

    # --- which documents there are --------------------------------------------------------

    def _addresses(self, problems: MutableSequence[str]) -> dict[str, str]:
        """Return document → URL."""
        found: dict[str, str] = {}
        if self._urls is not None:
            urls: Iterator[str] = iter(self._urls)
        else:
            urls = self._named_by(self.root, problems, set())
        for url in urls:
            url = urlsplit(url)._replace(fragment="").geturl()
            document = self._document(url)
            if document is None or not wanted(document, self.include, self.exclude):
                continue
            # "guide/" and "guide/index.html" are one page; the one that is written out counts.
            if document not in found or urlsplit(found[document]).path.endswith("/"):
                found[document] = url
        return found

    def _named_by(self, url: str, problems: MutableSequence[str], seen: set[str]) -> Iterator[str]:
        """Yield the addresses that a sitemap, an index of sitemaps or a page names."""
        from lxml import etree, html  # type: ignore[import-untyped]

        if url in seen or len(seen) >= MAX_SITEMAPS:
            return
        seen.add(url)
        shown = without_password(url)
        try:
            data, kind = self._get(shown, url)
            if "html" in kind or not (kind.endswith("xml") or urlsplit(url).path.endswith(".xml")):
                page = html.document_fromstring(data)
                base = urljoin(url, (page.xpath("//base/@href") or [""])[0])
                for link in page.xpath("//a/@href"):
                    target = _joined(base, link)
                    if target and urlsplit(target).path != urlsplit(url).path:
                        yield target
                return
            # What the site sends is data: no entities, no files, no further addresses.
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            root = etree.fromstring(data, parser)
            space, kind = etree.QName(root).namespace, etree.QName(root).localname
            if kind not in ("urlset", "sitemapindex"):
                raise DocumentError(f"<{kind}> is not a sitemap")
            tag = f"{{{space}}}loc" if space else "loc"
            for entry in root:
                target = _joined(url, entry.findtext(tag) or "")
                if not target:
                    continue
                if kind == "urlset":
                    yield target
                elif self._same_site(target):
                    yield from self._named_by(target, problems, seen)
        except (OSError, AgentOpsError, etree.LxmlError, ValueError) as error:
            reason = " ".join(str(error).split()).removeprefix(f"{shown}: ")
            problems.append(f"cannot read {shown}: {reason}")

    def _document(self, url: str) -> str | None:
        """Return the name of what stands at a URL, or None if that is not below the folder."""
        parts = urlsplit(url)
        path = unquote(parts.path)
        base = unquote(self._base)
        if not self._same_site(url) or not path.startswith(base):
            return None
        if ".." in path.split("/") or "\\" in path or "\0" in path:
            return None
        name = path.removeprefix(base)
        if not name or name.endswith("/"):
            name += "index.html"
        suffix = PurePosixPath(name).suffix
        if parts.query:
            name = f"{name.removesuffix(suffix)}?{unquote(parts.query).replace('/', '|')}{suffix}"
        for pattern, ending in self._endings.items():
            if matches(name, (pattern,)):
                return name + ending
        return name if suffix.lower() in PARSERS else f"{name}.html"

    def _is_guess(self, url: str) -> bool:
        """Whether the document's ending says nothing about its type."""
        path = unquote(urlsplit(url).path)
        name = path.removeprefix(unquote(self._base))
        return PurePosixPath(name).suffix.lower() not in PARSERS and not any(
            matches(name, (pattern,)) for pattern in self._endings
        )

    def _same_site(self, url: str) -> bool:
        ours, theirs = urlsplit(self.root), urlsplit(url)
        return (theirs.scheme, theirs.hostname, theirs.port) == (
            ours.scheme,
            ours.hostname,
            ours.port,
        )

    # --- one document ---------------------------------------------------------------------

    def _examine(self, document: str) -> SourceItem | ReadFailed | None:
        """Return a line of the listing, None for what is gone, or why it is not known."""
        url = (self._known or {})[document]
        try:
            with self._open("HEAD", url) as head:
                supported = head.status_code not in (405, 501)
                if supported:
                    _check(head, document)
                    mark, size = _validators(head), _length(head)
            if not supported:
                with self._open("GET", url) as begun:  # broken off after the headers
                    _check(begun, document)
                    mark, size = _validators(begun), _length(begun)
            if not mark:
                data, _ = self._get(document, url)
                mark, size = f"sha256 {hashlib.sha256(data).hexdigest()}", len(data)
            return SourceItem(document, mark, size)
        except FileNotFoundError:
            return None
        except ReadFailed as error:
            return error
        except (OSError, DocumentError) as error:
            # It is there and cannot be had. Listed, it is neither deleted nor forgotten, and the
            # reason is found again when it is read.
            mark = hashlib.sha256(str(error).encode()).hexdigest()[:16]
            return SourceItem(document, f"refused {mark}", 0)

    def _get(self, document: str, url: str) -> tuple[bytes, str]:
        """Return a body within the limit, and its media type in lower case."""
        with self._open("GET", url) as response:
            _check(response, document)
            length = _length(response)
            if length > self.max_bytes:
                raise too_large(document, length, self.max_bytes)
            data = bytearray()
            for part in response.iter_bytes():
                data += part
                if len(data) > self.max_bytes:
                    raise too_large(document, None, self.max_bytes)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return bytes(data), kind

    @contextmanager
    def _open(self, method: str, url: str) -> Iterator[httpx.Response]:
        """Send a request and follow its redirects as long as they stay on the site."""
        import httpx

        try:
            for _ in range(MAX_REDIRECTS + 1):
                request = self._client.build_request(method, url)
                response = self._client.send(request, stream=True)
                if response.next_request is None:
                    break
                response.close()
                target = str(response.next_request.url)
                if not self._same_site(target):
                    raise DocumentError(
                        f"{without_password(url)} leads to another site, "
                        f"{without_password(target)}: name that one as a source, or exclude this"
                    )
                url = target
            else:
                raise DocumentError(f"{without_password(url)}: more than {MAX_REDIRECTS} redirects")
            try:
                yield response
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ReadFailed(f"{without_password(url)}: {reason}") from error


def _check(response: httpx.Response, document: str) -> None:
    """Raise what a status means."""
    status = response.status_code
    reason = f"{document}: HTTP {status} {response.reason_phrase}".rstrip()
    if status in GONE:
        raise FileNotFoundError(reason)
    if status in PASSING or status >= 500:
        raise ReadFailed(reason, retry_after=_retry_after(response))
    if status in (401, 403):
        raise PermissionError(f"{reason}: give access with etl.source.options.headers_env")
    if status >= 300:
        raise OSError(reason)


def _validators(response: httpx.Response) -> str:
    """Return what the headers say of the content's version; empty when that is not enough."""
    etag, modified = (response.headers.get(name, "") for name in ("etag", "last-modified"))
    length = response.headers.get("content-length", "")
    if etag:
        return f"{etag} {length}"
    moment = _date(modified)
    if moment is None:
        return ""
    now = _date(response.headers.get("date", "")) or datetime.now(UTC)
    return f"{modified} {length}" if (now - moment).total_seconds() >= YOUNG else ""


def _length(response: httpx.Response) -> int:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from ``Retry-After`` (RFC 9110, 10.2.3): a number or a date."""
    told = response.headers.get("retry-after", "")
    if told.isdecimal():
        return float(told)
    moment = _date(told)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _joined(base: str, link: str) -> str:
    try:
        target = urljoin(base, link.strip())
        return target if urlsplit(target).hostname and urlsplit(target).port != 0 else ""
    except ValueError:  # not an address
        return ""


def _few(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more
