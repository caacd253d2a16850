"""BM25 in plain Python, for the in-memory sink and for chapter 6's worked example.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, eq. 3.15,
with the idf that Lucene uses, which is never negative.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

K1, B = 1.2, 0.75
"""The usual constants; the sinks' scores use them."""
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Split into lower-case words at everything that is neither a letter nor a digit."""
    return _WORD.findall(text.lower())


class Bm25:
    """Word statistics of a collection of texts.

    Parameters
    ----------
    texts
        The collection; results name its positions (0-based).
    k1, b
        Saturation of repeated words (0 and more); how far long texts are discounted (0..1).
    """

    def __init__(self, texts: Sequence[str], *, k1: float = K1, b: float = B) -> None:
        self.k1, self.b = k1, b
        self._counts = [Counter(words(text)) for text in texts]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean = sum(self._lengths) / len(texts) if texts else 0.0
        self._holding = Counter(word for counts in self._counts for word in counts)

    def scores(self, query: str) -> dict[int, float]:
        """Return position → score for the texts that hold a word of the query; {} if none does."""
        total = len(self._counts)
        result: dict[int, float] = {}
        for word in sorted(set(words(query))):
            n = self._holding[word]
            if not n:
                continue
            idf = math.log(1 + (total - n + 0.5) / (n + 0.5))
            for position, counts in enumerate(self._counts):
                f = counts[word]
                if f:
                    norm = 1 - self.b + self.b * self._lengths[position] / self._mean
                    gain = idf * f * (self.k1 + 1) / (f + self.k1 * norm)
                    result[position] = result.get(position, 0.0) + gain
        return result
