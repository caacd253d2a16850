"""Blocks -> HTML, Markdown, plain text and e-mail."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from agentops_ref.apps.fjordvarm.model import (
    Block,
    Bullets,
    Draft,
    Figure,
    Heading,
    Paragraph,
    Rendered,
    Table,
)


def _html_block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"
        case Table(caption, header, rows):
            head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
            body = "\n".join(
                "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
                for row in rows
            )
            return (
                f"<table>\n<caption>{escape(caption)}</caption>\n"
                f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
            )
        case Figure(_, caption):
            return f"<p>{escape(caption)}</p>"


def _unpaged(text: str, draft: Draft) -> Rendered:
    return Rendered(text.encode(), (None,) * len(draft.marks))


def render_html(draft: Draft) -> Rendered:
    """A page with the navigation and footer that a real site would have around the text."""
    body = "\n".join(_html_block(block) for block in draft.blocks)
    title = escape(draft.title)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} | Fjordvarm</title>
<meta name="date" content="{draft.published.isoformat()}">
</head>
<body>
<nav><a href="index.html">Home</a> <a href="products.html">Products</a> <a href="terms.html">Terms</a></nav>
<main>
<h1>{title}</h1>
<p>Valid from {draft.published.isoformat()}.</p>
{body}
</main>
<footer>Fjordvarm is a fictional company. Nothing on this page is an offer.</footer>
</body>
</html>
"""  # noqa: E501
    return _unpaged(page, draft)


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return "#" * (level + 1) + " " + text
        case Paragraph(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Table(caption, header, rows):
            lines = [header, ("---",) * len(header), *rows]
            grid = "\n".join("| " + " | ".join(line) + " |" for line in lines)
            return f"{caption}\n\n{grid}" if caption else grid
        case Figure(_, caption):
            return caption


def render_markdown(draft: Draft) -> Rendered:
    """A note as the service desk keeps it."""
    parts = [f"# {draft.title}", *map(_markdown_block, draft.blocks)]
    return _unpaged("\n\n".join(parts) + "\n", draft)


def _text_block(block: Block) -> str:
    match block:
        case Heading(_, text):
            return f"{text}\n{'-' * len(text)}"
        case Table(caption, header, rows):
            lines = ["; ".join(row) for row in (header, *rows)]
            return "\n".join([caption, *lines] if caption else lines)
        case _:
            return _markdown_block(block)


def render_text(draft: Draft) -> Rendered:
    """Plain text, as firmware release notes are shipped."""
    head = f"{draft.title.upper()}\nIssued {draft.published.isoformat()}"
    return _unpaged("\n\n".join([head, *map(_text_block, draft.blocks)]) + "\n", draft)


def render_email(draft: Draft) -> Rendered:
    """A message with fixed date, id and boundaries; quoted-printable, with its attachments."""
    from agentops_ref.apps.fjordvarm.pdf import render_pdf

    meta = dict(draft.meta)
    name = draft.path.rsplit("/", 1)[-1].removesuffix(".eml")
    message = EmailMessage(policy=SMTP)
    message["From"] = meta["from"]
    message["To"] = meta["to"]
    message["Subject"] = draft.title
    day = draft.published
    message["Date"] = format_datetime(datetime(day.year, day.month, day.day, 9, 30, tzinfo=UTC))
    message["Message-ID"] = f"<{name}@example.com>"
    body = "\n\n".join(map(_text_block, draft.blocks)) + "\n"
    message.set_content(body, charset="utf-8", cte="quoted-printable")
    for attachment in draft.attachments:
        if attachment.name.endswith(".pdf"):
            inner = Draft(
                attachment.name, "text", attachment.name, day, (Paragraph(attachment.text),)
            )
            content = render_pdf(inner).content
            message.add_attachment(
                content, maintype="application", subtype="pdf", filename=attachment.name
            )
        else:
            message.add_attachment(
                attachment.text + "\n", filename=attachment.name, cte="quoted-printable"
            )
    if message.is_multipart():
        message.set_boundary(f"=_{name}_=")
    return Rendered(message.as_bytes(), (None,) * len(draft.marks))
