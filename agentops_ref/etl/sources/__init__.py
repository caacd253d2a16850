"""Where documents come from. Taught in chapter 3.

A source lists what it holds without reading any content; the listing is all that a sync of an
unchanged corpus costs. Each source is called with ``(root, include, exclude, max_bytes=...,
**options)`` by `agentops_ref.wiring`; the libraries behind one are imported when it is made.
"""

from agentops_ref.etl.sources.base import ReadFailed, Source
from agentops_ref.etl.sources.files import FilesSource
from agentops_ref.etl.sources.folder import FolderSource
from agentops_ref.etl.sources.http import HttpSource
from agentops_ref.etl.sources.sql import SqlSource

__all__ = ["FilesSource", "FolderSource", "HttpSource", "ReadFailed", "Source", "SqlSource"]
