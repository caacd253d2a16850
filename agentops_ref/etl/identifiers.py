"""Codes and part numbers in a question must stand in what is found. Taught in chapter 3.

Embeddings hold "NL-6" and "DY-6" for nearly the same thing, and BM25 cuts them at the hyphen; for
a technician they are different machines. What counts as an identifier is a pattern in YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from agentops_ref.records import Chunk

_JOINT = re.compile(r"[-\s]")


def identifiers(text: str, pattern: str) -> frozenset[str]:
    """Return the identifiers in a text, upper case, without hyphens and spaces."""
    return frozenset(
        _JOINT.sub("", found.group()).upper() for found in re.finditer(pattern, text, re.IGNORECASE)
    )


def prefer(
    query: str, ranked: Sequence[str], chunks: Mapping[str, Chunk], pattern: str
) -> list[str]:
    """Put the chunks that hold most of the query's identifiers first; otherwise keep the order.

    An identifier that no chunk holds means that nothing was found: returns an empty list, so that
    an agent abstains instead of answering for another machine.
    """
    wanted = identifiers(query, pattern)
    if not wanted:
        return list(ranked)
    held = {one: wanted & _held(chunks[one], pattern) for one in ranked}
    if wanted - _union(held.values()):
        return []
    return sorted(ranked, key=lambda one: -len(held[one]))


def own(query: str, ranked: Sequence[str], chunks: Mapping[str, Chunk], pattern: str) -> list[str]:
    """Leave out the chunks whose heading names models, and none that the query names.

    A table of the sibling model looks right to whoever reads it, and its place is free for what
    comes next. A heading without a model (a bulletin, a policy) stays, and so does everything when
    the query names no model.
    """
    wanted = identifiers(query, pattern)
    if not wanted:
        return list(ranked)
    headed = {one: identifiers(chunks[one].context, pattern) for one in ranked}
    return [one for one in ranked if not headed[one] or headed[one] & wanted]


def _held(chunk: Chunk, pattern: str) -> frozenset[str]:
    return identifiers(f"{chunk.document} {chunk.context} {chunk.text}", pattern)


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
