"""What the documents say, as data: the evaluation's source of truth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from agentops_ref.apps.fjordvarm.catalogue import Catalogue
from agentops_ref.apps.fjordvarm.model import Draft, Fact, Rendered

# Papers of one installation and letters state what was, not what holds.
_NO_AUTHORITY = frozenset({"certificate", "plate", "email"})


def facts_of(draft: Draft, rendered: Rendered) -> list[Fact]:
    """The facts of one document, with ids that stay the same over versions."""
    facts: list[Fact] = []
    used: dict[str, int] = {}
    stem = draft.path.removeprefix("docs/").rsplit(".", 1)[0]
    for mark, page in zip(draft.marks, rendered.pages, strict=True):
        name = f"{stem}#{mark.subject}.{mark.field}"
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            name = f"{name}~{used[name]}"
        facts.append(
            Fact(name, draft.path, page, mark.subject, mark.field, mark.value, mark.unit, mark.text)
        )
    return facts


def _number(draft: Draft) -> str:
    return draft.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _same(value: str) -> str:
    return re.sub(r"\W+", " ", value).strip().lower()


def _prevailing(
    drafts: Sequence[Draft], facts: Sequence[Fact], lines: Mapping[str, str]
) -> list[Fact]:
    """Point each outdated fact at the newest fact with the same field.

    Same subject, or for a model its line: a bulletin may speak for a whole line. ``lines`` maps
    a model to its line.
    """
    by_path = {draft.path: draft for draft in drafts}
    newest: dict[tuple[str, str], Fact] = {}
    rank = {"bulletin": 2, "policy": 1, "manual": 1, "price-list": 1}

    def order(fact: Fact) -> tuple[str, int]:
        draft = by_path[fact.document]
        return draft.published.isoformat(), rank.get(draft.kind, 0)

    for fact in facts:
        if by_path[fact.document].kind in _NO_AUTHORITY or fact.field == "supersedes":
            continue
        key = (fact.subject, fact.field)
        if rank.get(by_path[fact.document].kind) and (
            key not in newest or order(fact) > order(newest[key])
        ):
            newest[key] = fact
    out = []
    for fact in facts:
        subjects = (fact.subject, lines.get(fact.subject, fact.subject))
        known = [
            newest[subject, fact.field] for subject in subjects if (subject, fact.field) in newest
        ]
        best = max(known, key=order, default=None)
        outdated = (
            best is not None
            and by_path[fact.document].kind not in _NO_AUTHORITY
            and _same(best.value) != _same(fact.value)
        )
        out.append(replace(fact, replaced_by=best.id) if best and outdated else fact)
    return out


def truth(
    catalogue: Catalogue,
    rendered: Mapping[str, tuple[Draft, Rendered]],
    earlier: Mapping[str, tuple[Draft, Rendered]],
) -> dict[str, Any]:
    """The truth of one version.

    ``earlier`` holds documents of former versions; those missing now are listed as withdrawn,
    with their facts, because answering with them is the failure to test for.
    """
    drafts = [draft for draft, _ in rendered.values()]
    facts = [fact for draft, result in rendered.values() for fact in facts_of(draft, result)]
    lines = {product.model: product.line for product in catalogue.products}
    superseded = {number for draft in drafts for number in draft.supersedes}
    documents = [
        {
            "path": draft.path,
            "kind": draft.kind,
            "title": draft.title,
            "date": draft.published.isoformat(),
            "models": list(draft.models),
            "line": draft.line,
            "tenant": draft.tenant,
            "supersedes": list(draft.supersedes),
            "status": "superseded" if _number(draft) in superseded else "current",
        }
        for draft in drafts
    ]
    withdrawn = [
        {
            "path": path,
            "kind": draft.kind,
            "title": draft.title,
            "models": list(draft.models),
            "facts": [asdict(fact) for fact in facts_of(draft, result)],
        }
        for path, (draft, result) in sorted(earlier.items())
        if path not in rendered
    ]
    changes = [
        {"op": change.op, "path": change.path, "why": change.why}
        for change in catalogue.changes
        if change.version == catalogue.version
    ]
    return {
        "version": catalogue.version,
        "released": catalogue.released.isoformat(),
        "documents": documents,
        "facts": [asdict(fact) for fact in _prevailing(drafts, facts, lines)],
        "withdrawn": withdrawn,
        "changes": changes,
    }
