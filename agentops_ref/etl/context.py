"""Which product and version a document is about, for the line that stands above each chunk.

A chunk of a manual says "1.70 kg" and not for which model. Title and section stand in its context
line anyway; the product and the version are looked for in the title, on the first page and, for the
product, in the column of a table that is headed like "Affected models". Taught in chapter 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agentops_ref.records import Element
from agentops_ref.settings import ContextConfig

FIRST_CHARS = 3000
"""As far as the first page is taken to go where a format has no pages."""
MAX_PRODUCTS = 4
"""A document about more of them is about none in particular."""
_MODELS = re.compile(r"\b(model|product|type|unit)s?\b", re.IGNORECASE)


def names_of(elements: Sequence[Element], settings: ContextConfig) -> tuple[str, ...]:
    """Products, then the version, as they are printed; empty where nothing is found or wanted."""
    title = next((item.text for item in elements if item.kind == "title"), "")
    first = _first_page(elements)
    products = _found(settings.product, [title]) or _found(
        settings.product, [first, *_columns(elements)]
    )
    versions = _found(settings.version, [title, first])
    return (*(products if len(products) <= MAX_PRODUCTS else ()), *versions[:1])


def with_names(context: str, names: Iterable[str]) -> str:
    """Add to a context line what it does not say yet: "title › section (NL-8, revision C)"."""
    missing = [name for name in names if name.casefold() not in context.casefold()]
    return f"{context} ({', '.join(missing)})" if missing else context


def _first_page(elements: Sequence[Element]) -> str:
    texts = [item.text for item in elements if item.page in (None, 1)]
    return "\n".join(texts)[:FIRST_CHARS]


def _columns(elements: Sequence[Element]) -> Iterable[str]:
    """The cells below a header that speaks of models."""
    for item in elements:
        if item.kind != "table":
            continue
        header, *rows = [row.split(" | ") for row in item.text.split("\n")]
        for at, name in enumerate(header):
            if _MODELS.search(name):
                yield "\n".join(row[at] for row in rows if at < len(row))


def _found(pattern: str | None, texts: Iterable[str]) -> list[str]:
    """What the pattern finds, each once; its first group, if it has one."""
    if pattern is None:
        return []
    found = [m[m.re.groups and 1] for text in texts for m in re.finditer(pattern, text)]
    return list(dict.fromkeys(" ".join(one.split()) for one in found if one))
