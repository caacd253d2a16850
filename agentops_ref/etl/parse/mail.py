"""E-mail: headers, body and attachments, each attachment parsed by its own type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from mimetypes import guess_extension
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agentops_ref.errors import DocumentError
from agentops_ref.etl.parse.common import clean, decode, element
from agentops_ref.etl.parse.text import elements_of_text
from agentops_ref.records import Element

if TYPE_CHECKING:
    from agentops_ref.etl.parse import Ocr

MAX_DEPTH = 4
"""Mails within mails."""
MAX_ATTACHMENTS = 100
"""Of one message; each can be as costly to read as a document of its own."""


def parse_mail(name: str, data: bytes, ocr: Ocr) -> list[Element]:
    """The subject as title, the headers as one text, the body, then each attachment."""
    return list(_message(name, _opened(name, data), ocr, 0))


def _opened(name: str, data: bytes) -> EmailMessage:
    if b"\x00" in data[:1024]:
        raise DocumentError(f"{name}: binary content where a message was expected")
    message = message_from_bytes(data, policy=default)
    if not any(_header(message, key) for key in ("From", "To", "Subject", "Date")):
        raise DocumentError(f"{name}: not a message: none of From, To, Date, Subject")
    return message


def _message(name: str, message: EmailMessage, ocr: Ocr, depth: int) -> Iterator[Element]:
    if depth == 0:
        yield from element("title", _header(message, "Subject"))
    headers = [(key, _header(message, key)) for key in ("From", "To", "Date", "Subject")]
    yield from element("text", "\n".join(f"{key}: {value}" for key, value in headers if value))
    bodies, attachments = _parts(message)
    for part in bodies:
        content = _decoded(name, part)
        if part.get_content_type() == "text/html":
            from agentops_ref.etl.parse.web import elements_of_html

            yield from elements_of_html(content)
        else:
            yield from elements_of_text(content, headings=False)
    for part in attachments[:MAX_ATTACHMENTS]:
        yield from _attachment(name, part, ocr, depth)
    more = len(attachments) - MAX_ATTACHMENTS
    if more > 0:
        yield Element("text", f"{more} further attachments were not read.")


def _header(message: Message, key: str) -> str:
    try:
        return clean(str(message[key] or ""))
    except Exception:  # the standard library's header parser has its own surprises
        return ""


def _parts(message: Message) -> tuple[list[Message], list[Message]]:
    """Texts of the body, and what is attached; inline pictures without a name are decoration."""
    bodies: list[Message] = []
    attachments: list[Message] = []
    queue: list[Message] = [message]
    while queue:
        part = queue.pop(0)
        attached = bool(part.get_filename()) or part.get_content_disposition() == "attachment"
        if part.get_content_type() == "message/rfc822" and part is not message:
            attachments.append(part)
        elif part.get_content_type() == "multipart/alternative":
            queue[:0] = _plainest(part)
        elif part.is_multipart():
            queue[:0] = [sub for sub in part.get_payload() if isinstance(sub, Message)]
        elif attached and part is not message:
            attachments.append(part)
        elif part.get_content_maintype() == "text":
            bodies.append(part)
    return bodies, attachments


def _plainest(part: Message) -> list[Message]:
    """Of several forms of one text, the plain one where there is one; else all of them."""
    forms = [sub for sub in part.get_payload() if isinstance(sub, Message)]
    plain = [sub for sub in forms if sub.get_content_type() == "text/plain"]
    if any(_decoded("", sub).strip() for sub in plain):
        return [
            *plain,
            *(s for s in forms if s.get_content_maintype() not in ("text", "multipart")),
        ]
    return [sub for sub in forms if sub not in plain]


def _decoded(name: str, part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return decode(name, data, charset=part.get_content_charset())


def _ending(part: Message, title: str) -> str:
    """What the declared type adds to a name without an ending, or with one of some other text."""
    if part.get_content_maintype() == "text":
        return {"text/html": ".html", "text/csv": ".csv"}.get(part.get_content_type(), ".txt")
    has_one = bool(re.search(r"\.\w{1,5}$", title))
    return "" if has_one else guess_extension(part.get_content_type()) or ""


def _attachment(name: str, part: Message, ocr: Ocr, depth: int) -> Iterator[Element]:
    from agentops_ref.etl.parse import PARSERS, parse

    title = clean(part.get_filename() or "") or f"unnamed {part.get_content_type()}"
    yield Element("title", f"Attachment {title}")
    known = PurePosixPath(title).suffix.lower() in PARSERS
    name = title if known else f"{title}{_ending(part, title)}"
    is_message = part.get_content_type() == "message/rfc822"
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        if is_message or title.lower().endswith(".eml"):
            # Not through `parse`, where the depth would begin anew with each of them.
            if depth >= MAX_DEPTH:
                raise DocumentError(f"{title}: too many messages within messages")
            inner = part.get_payload() if is_message else [_opened(title, data)]
            if isinstance(inner, list) and inner and isinstance(inner[0], EmailMessage):
                yield from _message(name, inner[0], ocr, depth + 1)
            return
        elements = parse(name, data, ocr=ocr)
    except DocumentError as error:
        yield Element("text", f"This attachment could not be read: {error}")
        return
    # Pages of an attachment are not pages of the message; its file name is already its title.
    for item in elements:
        if item.text != title:
            yield replace(item, page=None, box=None)
