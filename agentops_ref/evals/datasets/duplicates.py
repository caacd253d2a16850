"""Which questions are nearly the same, and which of them stand on both sides of the split.

Taught in chapter 8. A question that was tuned on and comes back in other words is no test: what
the system learnt from the one carries over to the other, and the score promises too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal, NamedTuple

from agentops_ref.errors import DeveloperError
from agentops_ref.records import Case

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], "np.ndarray"]
"""Texts → vectors of shape ``(len(texts), dimensions)``."""
_SHINGLE = 4
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


class Duplicate(NamedTuple):
    """Two cases whose questions are nearly the same."""

    first: str
    second: str
    similarity: float
    """0..1."""
    measure: Literal["words", "characters", "cosine"]
    """What found them most alike."""
    across: bool
    """Whether the one is in ``dev`` and the other in ``test``."""


def near_duplicates(
    cases: Iterable[Case],
    threshold: float,
    *,
    embed: Embed | None = None,
    cosine: float | None = None,
) -> list[Duplicate]:
    """Return the pairs of cases whose questions are at least this alike, most alike first.

    The similarity is the larger one of two Jaccard indexes [1]_, |A ∩ B| / |A ∪ B|: that of the
    sets of words, which does not mind their order, and that of the sets of four characters in a
    row, which does not mind a typing error. Letter case, punctuation and repeated blanks do not
    count. Numbers do, so that "E41 on NL-8" and "E41 on NL-8 G2" are near duplicates but not one
    question; they ask the same way, so they belong on the same side.

    Parameters
    ----------
    cases
        Retired ones count too, since they have been looked at. Pairs are compared one by one:
        n (n - 1) / 2 comparisons, a second for some 1,000 cases.
    threshold
        In (0, 1].
    embed, cosine
        Makes the vectors, and the cosine of their angle from which on a pair counts as well, for
        what is asked in other words. Both or neither.

    Returns
    -------
    list of Duplicate
        Empty for fewer than two cases. Each pair once, with the measure that is furthest above
        its threshold.

    Raises
    ------
    DeveloperError
        A threshold outside (0, 1], or one of ``embed`` and ``cosine`` without the other.

    References
    ----------
    .. [1] A. Z. Broder, "On the resemblance and containment of documents", 1997,
       doi:10.1109/SEQUEN.1997.666900.
    """
    for limit in (threshold, 1.0 if cosine is None else cosine):
        if not 0 < limit <= 1:
            raise DeveloperError(f"a threshold of similarity must be in (0, 1]: {limit}")
    if (embed is None) != (cosine is None):
        raise DeveloperError("near_duplicates needs both embed and cosine, or neither")
    listed = list(cases)
    words = [_words(case.question) for case in listed]
    shingles = [_shingles(case.question) for case in listed]
    cosines = _cosines([case.question for case in listed], embed) if embed and listed else None
    found = []
    for i, j in combinations(range(len(listed)), 2):
        measured: list[tuple[float, float, Literal["words", "characters", "cosine"]]] = [
            (jaccard(words[i], words[j]), threshold, "words"),
            (jaccard(shingles[i], shingles[j]), threshold, "characters"),
        ]
        if cosines is not None and cosine is not None:
            measured.append((float(cosines[i, j]), cosine, "cosine"))
        similarity, limit, measure = max(measured, key=lambda one: one[0] / one[1])
        if similarity >= limit:
            a, b = listed[i], listed[j]
            found.append(Duplicate(a.id, b.id, similarity, measure, a.split != b.split))
    return sorted(found, key=lambda one: (-one.similarity, one.first, one.second))


def across_splits(found: Iterable[Duplicate]) -> list[Duplicate]:
    """Return the pairs that leak: the same question, nearly, in ``dev`` and in ``test``."""
    return [one for one in found if one.across]


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|A ∩ B| / |A ∪ B| in 0..1; two empty sets are 0, since nothing says that they are alike."""
    return len(a & b) / len(a | b) if a or b else 0.0


def _words(question: str) -> frozenset[str]:
    return frozenset(_WORD.findall(question.lower()))


def _shingles(question: str) -> frozenset[str]:
    words = _WORD.findall(question.lower())
    if not words:
        return frozenset()
    text = f" {' '.join(words)} "
    return frozenset(text[at : at + _SHINGLE] for at in range(max(1, len(text) - _SHINGLE + 1)))


def _cosines(texts: Sequence[str], embed: Embed) -> np.ndarray:
    import numpy as np

    vectors = np.asarray(embed(texts), dtype=float)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise DeveloperError(f"embed gave shape {vectors.shape} for {len(texts)} texts")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths == 0, 1, lengths)
    return np.clip(unit @ unit.T, 0, 1)
