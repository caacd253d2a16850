"""Which cases may no longer be true, because their documents are no longer what they were.

Taught in chapter 8. Nothing here decides that a case is wrong: it names those that a person has
to look at again. What the documents were and are comes in as digests, from an index's ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from agentops_ref.records import Case

Why = Literal["changed", "deleted", "superseded"]


class Stale(NamedTuple):
    """One reason to look at a case again."""

    case: str
    why: Why
    document: str
    """The source of the case."""
    by: str = ""
    """The document that takes the source's place; "" unless superseded."""


def stale_cases(
    cases: Iterable[Case],
    before: Mapping[str, str],
    after: Mapping[str, str],
    superseding: Mapping[str, str] | None = None,
) -> list[Stale]:
    """Return why each case is out of date, in the order of the cases and of their sources.

    Parameters
    ----------
    cases
        Retired ones are passed over. A case that abstains names no sources, so that nothing can
        be said of it: a new document may answer it.
    before, after
        Document → digest of its content, when the cases were last known to be true and now. A
        source that was not in ``before`` (a table, a document of another version) is passed over.
    superseding
        Document → the newer one that says it takes its place; see `superseded`.
    """
    found = []
    for case in cases:
        if case.retired:
            continue
        for source in case.sources:
            if source in before:
                if source not in after:
                    found.append(Stale(case.id, "deleted", source))
                elif before[source] != after[source]:
                    found.append(Stale(case.id, "changed", source))
                elif superseding and source in superseding:
                    found.append(Stale(case.id, "superseded", source, superseding[source]))
    return found


def superseded(
    texts: Mapping[str, str], documents: Iterable[str], words: Sequence[str]
) -> dict[str, str]:
    """Return document → the text that takes its place, judged by the texts' own words.

    A text does so that has one of the words (beginnings of words, such as "supersed") and the
    document's name, without folder and ending, in one sentence.

    Parameters
    ----------
    texts
        Document → text, of those that are new or changed.
    documents
        Which may have been superseded. Names without a digit are not looked for: they are words.
    """
    said = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE) if words else None
    if said is None:
        return {}
    sentences = [
        (newer, sentence)
        for newer, text in texts.items()
        for sentence in re.split(r"(?<=[.!?])\s+|\n", text)
        if said.search(sentence)
    ]
    found: dict[str, str] = {}
    for document in documents:
        stem = PurePosixPath(document).stem
        if not re.search(r"\d", stem):
            continue
        name = re.compile(rf"(?<![\w-]){re.escape(stem)}(?![\w-])", re.IGNORECASE)
        for newer, sentence in sentences:
            if newer != document and name.search(sentence):
                found.setdefault(document, newer)
    return found
