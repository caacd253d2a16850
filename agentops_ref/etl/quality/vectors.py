"""Statistics of vectors: do they spread, do they say which texts belong together, did they move?

Documents are the units, not chunks: the chunks of one document are no independent draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentops_ref.etl.cache import Vectors

FEWEST_DOCUMENTS = 10
"""On each side; below it the jackknife's error is itself an error."""


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float
    n: int
    """Documents that it comes from."""


class Sums(NamedTuple):
    """What the statistics need of a document's vectors, each scaled to length 1."""

    total: NDArray[np.float64]
    """Sum of the vectors, shape ``(dimensions,)``."""
    chunks: int


def sums(vectors: Vectors) -> Sums | None:
    """Add up a document's vectors; None where there are none. A vector of zeros stays zero."""
    if not len(vectors):
        return None
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return Sums((rows / np.where(lengths == 0, 1, lengths)).sum(axis=0), len(rows))


def cohesion(documents: Mapping[str, Sums]) -> dict[str, float]:
    """How much nearer a document's chunks are to each other than to the other documents' chunks.

    The silhouette's comparison [1]_ with cosines, and all other documents as one. With vectors that
    stand at the wrong texts it is around zero, below it for half of the documents; a right model
    gives nearly every document a value above. It needs no earlier version to compare with.

    Returns
    -------
    dict
        Document → mean cosine of two of its chunks minus mean cosine of one of its chunks and one
        of another document, -2..2. Documents of one chunk are left out, and a single document is.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
       cluster analysis", Journal of Computational and Applied Mathematics 20, 1987, pp. 53-65.
    """
    everything = sum((d.total for d in documents.values()), start=np.zeros(1))
    count = sum(d.chunks for d in documents.values())
    found = {}
    for name, (total, k) in documents.items():
        if k > 1 and count > k:
            own = (float(total @ total) - k) / (k * (k - 1))
            found[name] = own - float(total @ (everything - total)) / (k * (count - k))
    return found


def spread(documents: Mapping[str, Sums], level: float = 0.95) -> Estimate | None:
    """How far two chunks of different documents are apart: 1 - their mean cosine.

    The variance of directional statistics [1]_, without the chunks' pairs within a document; 0 when
    the model gives every text the same vector.

    Returns
    -------
    Estimate or None
        With a jackknife interval over documents. None below `FEWEST_DOCUMENTS`.

    References
    ----------
    .. [1] K. V. Mardia and P. E. Jupp, Directional Statistics, Wiley, 2000, section 9.2.
    """
    if len(documents) < FEWEST_DOCUMENTS:
        return None
    totals = np.stack([d.total for d in documents.values()])
    counts = np.array([d.chunks for d in documents.values()], float)
    squares = np.einsum("ij,ij->i", totals, totals)

    def value(total: NDArray[np.float64], n: float, square: float, pairs: float) -> float:
        return 1 - float((total @ total - square) / (n * n - pairs))

    whole, n, square = totals.sum(axis=0), float(counts.sum()), float(squares.sum())
    pairs = float((counts**2).sum())
    without = np.array(
        [
            value(whole - t, n - c, square - s, pairs - c * c)
            for t, c, s in zip(totals, counts, squares, strict=True)
        ]
    )
    return _jackknifed(value(whole, n, square, pairs), (without,), level)


def drift(
    new: Mapping[str, Sums], accepted: Mapping[str, Sums], level: float = 0.95
) -> Estimate | None:
    """How far the centre of the new documents lies from that of the accepted ones.

    The squared distance of the two means, estimated without bias: the maximum mean discrepancy with
    a linear kernel [1]_, which is around zero for two draws from the same documents, however few,
    where the plain distance of two centroids grows as there are fewer. Each document counts once,
    with the mean of its chunks' vectors scaled to length 1.

    Returns
    -------
    Estimate or None
        About -0.1..4. With a jackknife interval over the documents of both sides [2]_. None with
        fewer than `FEWEST_DOCUMENTS` on a side.

    References
    ----------
    .. [1] A. Gretton et al., "A kernel two-sample test", Journal of Machine Learning Research 13,
       2012, pp. 723-773, lemma 6.
    .. [2] B. Efron and C. Stein, "The jackknife estimate of variance", The Annals of Statistics 9,
       1981, pp. 586-596.
    """
    if min(len(new), len(accepted)) < FEWEST_DOCUMENTS:
        return None
    x, y = _directions(new), _directions(accepted)
    sx, sy = x.sum(axis=0), y.sum(axis=0)
    m, n = len(x), len(y)
    value = _among(x, sx) + _among(y, sy) - 2 * float(sx @ sy) / (m * n)
    # Each with one document left out, all at once.
    left_x = sx - x
    without_x = _among_without(x, left_x) + _among(y, sy) - 2 * (left_x @ sy) / ((m - 1) * n)
    left_y = sy - y
    without_y = _among(x, sx) + _among_without(y, left_y) - 2 * (left_y @ sx) / (m * (n - 1))
    return _jackknifed(value, (without_x, without_y), level)


def _directions(documents: Mapping[str, Sums]) -> NDArray[np.float64]:
    means = np.stack([d.total for d in documents.values()])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.where(lengths == 0, 1, lengths))


def _among(rows: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    """Mean product of two different rows."""
    n = len(rows)
    return (float(total @ total) - float((rows * rows).sum())) / (n * (n - 1))


def _among_without(rows: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
    n = len(rows) - 1
    squares = (rows * rows).sum(axis=1)
    return np.asarray(((left * left).sum(axis=1) - (squares.sum() - squares)) / (n * (n - 1)))


def _jackknifed(value: float, samples: tuple[NDArray[np.float64], ...], level: float) -> Estimate:
    variance = sum(float((len(s) - 1) / len(s) * ((s - s.mean()) ** 2).sum()) for s in samples)
    half = NormalDist().inv_cdf(0.5 + level / 2) * sqrt(variance)
    return Estimate(value, value - half, value + half, len(samples[0]))
