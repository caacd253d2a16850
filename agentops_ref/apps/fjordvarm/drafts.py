"""Every document of one version, complete but not rendered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agentops_ref.apps.fjordvarm.catalogue import Catalogue, Product, load_catalogue
from agentops_ref.apps.fjordvarm.featured import certificate, load_featured, plate
from agentops_ref.apps.fjordvarm.markup import blocks_of, fill
from agentops_ref.apps.fjordvarm.model import (
    Attachment,
    Block,
    Draft,
    Kind,
    Mark,
    Paragraph,
    Table,
    row_text,
)
from agentops_ref.apps.fjordvarm.sections import generated
from agentops_ref.apps.fjordvarm.texts import Source, read_source, sources


class Shelf(NamedTuple):
    """A folder of hand-written documents and what it becomes."""

    folder: str
    path: str
    kind: Kind


TEMPLATES = (
    Shelf("manuals", "docs/manuals/{slug}-installation-manual.pdf", "manual"),
    Shelf("guides", "docs/guides/{slug}-user-guide.pdf", "user-guide"),
    Shelf("checklists", "docs/checklists/{slug}-commissioning-checklist.docx", "checklist"),
)
SHELVES = (
    Shelf("bulletins", "docs/bulletins/{name}.docx", "bulletin"),
    Shelf("policies", "docs/policies/{name}.html", "policy"),
    Shelf("slides", "docs/training/{name}.pptx", "slides"),
    Shelf("prices", "docs/prices/{name}.xlsx", "price-list"),
    Shelf("notes", "docs/notes/{name}.md", "note"),
    Shelf("texts", "docs/releases/{name}.txt", "text"),
)


def _from_template(shelf: Shelf, product: Product, texts: Path) -> Iterator[Draft]:
    template = texts / shelf.folder / f"{product.family}.md"
    if not template.is_file():
        return
    source = read_source(template)
    title = fill(source.text("title"), product.values)
    yield Draft(
        path=shelf.path.format(slug=product.slug),
        kind=shelf.kind,
        title=title,
        published=date.fromisoformat(product.values["date"]),
        blocks=blocks_of(
            source.body,
            subject=product.model,
            values=product.values,
            generated=partial(generated, product),
            shared=texts / "shared",
        ),
        models=(product.model,),
        line=product.line,
        meta=(
            ("header", f"Fjordvarm {product.line} - {title}"),
            ("revision", f"Revision {product.values['revision']}"),
        ),
    )


def _prices(catalogue: Catalogue, name: str, line: str) -> list[Block]:
    assert name == "prices"
    rows, marks = [], []
    for product in catalogue.products:
        if product.line == line and "price" in product.values:
            price = product.values["price"]
            row = (f"FV-{product.slug.upper()}", product.model, price)
            rows.append(row)
            marks.append(Mark(product.model, "list_price", price, "EUR", row_text(row)))
    header = ("Article", "Model", "List price, EUR, without tax")
    return [Table(f"{line} units", header, tuple(rows), tuple(marks))]


def _bulletin_head(source: Source) -> list[Block]:
    older = source.names("supersedes")
    models = ", ".join(source.names("models"))
    head: list[Block] = [
        Table(
            "Bulletin data",
            ("Number", "Date", "Affected models", "Supersedes"),
            ((source.name, source.text("date"), models, ", ".join(older) or "none"),),
        )
    ]
    if older:
        text = f"Bulletin {source.name} supersedes {' and '.join(older)} from the date above."
        marks = tuple(Mark(source.name, "supersedes", number, None, text) for number in older)
        head.append(Paragraph(text, marks))
    return head


def _by_hand(shelf: Shelf, source: Source, catalogue: Catalogue) -> Draft:
    models = source.names("models")
    subject = source.text("subject") or (models[0] if models else source.name)
    body = blocks_of(source.body, subject=subject, generated=partial(_prices, catalogue))
    bulletin = shelf.kind == "bulletin"
    title = source.text("title")
    return Draft(
        path=shelf.path.format(name=source.name),
        kind=shelf.kind,
        title=f"Service bulletin {source.name}: {title}" if bulletin else title,
        published=source.day(),
        blocks=(*_bulletin_head(source), *body) if bulletin else body,
        models=models,
        line=source.text("line") or None,
        supersedes=source.names("supersedes"),
    )


def _emails(texts: Path, version: int) -> Iterator[Draft]:
    for folder in sorted((texts / "mails").glob("*")):
        for source in sources(folder, version):
            yield Draft(
                path=f"docs/tenants/{folder.name}/mails/{source.name}.eml",
                kind="email",
                title=source.text("subject"),
                published=source.day(),
                blocks=blocks_of(source.body, subject=source.text("about", source.name)),
                models=source.names("models"),
                tenant=folder.name,
                meta=(("from", source.text("from")), ("to", source.text("to"))),
                attachments=tuple(
                    Attachment(item["name"], item["text"])
                    for item in source.front.get("attachments", ())
                ),
            )


def drafts(catalogue: Catalogue, texts: Path) -> tuple[Draft, ...]:
    """All documents that stand in the catalogue's version, sorted by path."""
    found: list[Draft] = []
    for shelf in TEMPLATES:
        for product in catalogue.products:
            found += _from_template(shelf, product, texts)
    for shelf in SHELVES:
        for source in sources(texts / shelf.folder, catalogue.version):
            found.append(_by_hand(shelf, source, catalogue))
    found += _emails(texts, catalogue.version)
    # A plate and a certificate keep the values of their day, whatever the catalogue says later.
    for item in load_featured(texts, load_catalogue(texts, 1)):
        found += [certificate(item)] if item.certificate else []
        found += [plate(item)] if item.plate else []
    kept = (draft for draft in found if catalogue.present(draft.path))
    return tuple(sorted(kept, key=lambda draft: draft.path))
