"""The files of any file system that fsspec speaks: S3, GCS, Azure, SFTP, HDFS, memory, ..."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from agentops_ref.errors import AgentOpsError, ConfigError, DocumentError, OperatorError
from agentops_ref.etl.sources.base import (
    EXCLUDE,
    INCLUDE,
    MAX_BYTES,
    changed,
    matches,
    too_large,
    wanted,
    without_password,
)
from agentops_ref.etl.sources.folder import misnamed, utf8
from agentops_ref.records import Listing, SourceItem

IDENTITY = frozenset({
    "etag", "versionid", "generation", "md5hash", "md5", "crc32c", "crc", "sha", "sha256",
    "content_md5", "checksum",
})  # fmt: skip
"""Keys of a file's details, in lower case, that name its content."""
TIME = frozenset({
    "mtime", "lastmodified", "last_modified", "updated", "modified", "modify", "date_time",
})  # fmt: skip
"""Keys that move with its content."""
BORN = frozenset({"created", "ino"})
"""Keys that move when another file takes its place. Alone they do not tell an edit."""


class FilesSource:
    """The files below a URL such as ``s3://bucket/manuals`` or ``file:///srv/docs``.

    A fingerprint is made of what the file system's listing tells: size, etag or checksum, times. A
    file system that lists neither is asked for each file's time, and one that knows no time has its
    files read for their hash. Links, and keys with ``..`` in them, are listed, so that the report
    names them, and not followed. An object store cannot tell an empty folder from one that is not
    there, so nothing at all below ``root`` is an error.

    Parameters
    ----------
    root
        URL. Its driver must be installed: ``s3fs`` for s3://, ``gcsfs`` for gs://, ...
    options
        Passed to the file system. Keys and tokens are better left where its library looks for
        them: the environment, a profile.
    """

    LISTED = ("_misnamed",)

    def __init__(
        self,
        root: Path | str,
        include: Sequence[str] = INCLUDE,
        exclude: Sequence[str] = EXCLUDE,
        *,
        max_bytes: int = MAX_BYTES,
        **options: Any,
    ) -> None:
        import fsspec

        self.root = str(root)
        self.include, self.exclude = tuple(include), tuple(exclude)
        self.max_bytes = max_bytes
        try:
            self._files, where = fsspec.core.url_to_fs(self.root, **options)
        except ImportError as error:
            raise OperatorError(f"cannot read {self.name}: {error}") from error
        except ValueError as error:
            raise ConfigError(f"etl.source.root: cannot read {self.name}: {error}") from error
        self._base = str(where).rstrip("/")
        self._misnamed: dict[str, str] = {}

    @property
    def name(self) -> str:
        return without_password(self.root)

    def list(self) -> Listing:
        self._files.invalidate_cache()
        problems: MutableSequence[str] = []
        found, self._misnamed = [], {}
        for item in self._walk(problems):
            readable = utf8(item.document)
            if readable != item.document:
                self._misnamed[readable] = item.document
                item = SourceItem(readable, item.fingerprint, item.size)
            found.append(item)
        found.sort(key=lambda item: item.document)
        return Listing(self.name, tuple(found), not problems, "; ".join(problems))

    def read(self, document: str) -> bytes:
        if document in self._misnamed:
            raise misnamed(document)
        path = self._path(document)
        try:
            before = self._details(path)
            if _is_link(before):
                raise _linked(document)
            if before.get("type") != "file":
                raise FileNotFoundError(f"{document}: not a file of {self.name}")
            size = before.get("size")
            if size is not None and size > self.max_bytes:
                raise too_large(document, size, self.max_bytes)
            with self._files.open(path, "rb") as file:
                data: bytes = file.read(self.max_bytes + 1)
            if len(data) > self.max_bytes:
                raise too_large(document, None, self.max_bytes)
            # Reading an object gives one version of it; a file may be written meanwhile.
            after = self._details(path)
            if self._fingerprint(path, after, data) != self._fingerprint(path, before, data):
                raise changed(document)
        except (OSError, AgentOpsError):
            raise
        except Exception as error:  # a driver's own; sources promise an OSError
            raise OSError(f"{document}: {type(error).__name__}: {error}") from error
        return data

    def _walk(self, problems: MutableSequence[str]) -> Iterator[SourceItem]:
        def note(error: OSError) -> None:
            problems.append(f"cannot list {self.name}: {error}")

        try:
            if not self._files.exists(self._base):
                raise OperatorError(f"nothing at {self.name} to read documents from")
            for folder, folders, files in self._files.walk(self._base, detail=True, on_error=note):
                for name in [n for n in folders if self._pruned(f"{folder}/{n}")]:
                    del folders[name]
                for details in files.values():
                    path = str(details["name"])
                    document = self._document(path)
                    if not (_leads_up(document) or wanted(document, self.include, self.exclude)):
                        continue
                    if _is_link(details):
                        to = details.get("destination")
                        yield SourceItem(document, f"link-{details.get('mtime')}-{to!r}", 0)
                        continue
                    if details["type"] != "file":
                        continue
                    try:
                        mark = self._fingerprint(path, details)
                    except FileNotFoundError:
                        continue  # it went away while the folder was listed
                    yield SourceItem(document, mark, int(details.get("size") or 0))
        except AgentOpsError:
            raise
        except Exception as error:  # no access, no connection, a driver's own error
            problems.append(f"cannot list {self.name}: {type(error).__name__}: {error}")

    def _pruned(self, folder: str) -> bool:
        document = self._document(folder)
        return matches(document, self.exclude) and not _leads_up(document)

    def _document(self, path: str) -> str:
        return path.removeprefix(self._base).removeprefix("/")

    def _path(self, document: str) -> str:
        """Return where a document is; refuse a name that leads out of the root."""
        if PurePosixPath(document).is_absolute() or _leads_up(document):
            raise DocumentError(f"{document}: its name leads out of {self.name}: rename it")
        path = f"{self._base}/{document}"
        if "file" in _protocols(self._files):
            if Path(path).is_symlink():
                raise _linked(document)
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._base)):
                raise PermissionError(f"{document} leads out of {self.name}")
        return path

    def _details(self, path: str) -> Mapping[str, Any]:
        self._files.invalidate_cache(path)
        details: Mapping[str, Any] = self._files.info(path)
        return details

    def _fingerprint(self, path: str, details: Mapping[str, Any], data: bytes | None = None) -> str:
        told = {
            key.lower(): str(value)
            for key, value in details.items()
            if value is not None and key.lower() in IDENTITY | TIME | BORN
        }
        if not told.keys() & (IDENTITY | TIME):
            try:
                told["modified"] = str(self._files.modified(path))
            except NotImplementedError:
                content = self._files.cat_file(path) if data is None else data
                told["sha256"] = hashlib.sha256(content).hexdigest()
        told["size"] = str(details.get("size"))
        return "-".join(f"{key}={told[key]}" for key in sorted(told))


def _leads_up(document: str) -> bool:
    return ".." in document.split("/")


def _is_link(details: Mapping[str, Any]) -> bool:
    return bool(details.get("islink")) or details.get("type") == "link"


def _linked(document: str) -> DocumentError:
    return DocumentError(
        f"{document}: a link, which is not followed from a URL: copy the file here, remove the "
        "link, or name the folder by its path"
    )


def _protocols(files: Any) -> tuple[str, ...]:
    found = files.protocol
    return (found,) if isinstance(found, str) else tuple(found)
