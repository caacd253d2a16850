"""Weighted reciprocal rank fusion of several rankings. Taught in chapter 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def fuse(
    rankings: Mapping[str, Sequence[str]], weights: Mapping[str, float], *, constant: int = 60
) -> list[tuple[str, float]]:
    """Fuse rankings into one.

    Parameters
    ----------
    rankings
        Name of a ranking → ids, best first, each id at most once.
    weights
        Name of a ranking → weight, 0 and more; a ranking without a weight counts 1.
    constant
        Greater than 0: how little the first ranks stand out; 60 in the paper.

    Returns
    -------
    list of (id, score), best first. The score is the sum over the rankings of
    ``weight / (constant + rank)`` with 1-based ranks. Equal scores are ordered by their best rank,
    then by id, so the result does not depend on the order of the rankings. Empty for no rankings;
    a ranking of weight 0 adds nothing, not even its ids.

    References
    ----------
    Cormack, Clarke, Büttcher: "Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods", SIGIR 2009.
    """
    scores: dict[str, float] = {}
    ranks: dict[str, int] = {}
    for name in sorted(rankings):
        weight = weights.get(name, 1.0)
        if weight <= 0:
            continue
        for rank, found in enumerate(rankings[name], start=1):
            scores[found] = scores.get(found, 0.0) + weight / (constant + rank)
            ranks[found] = min(rank, ranks.get(found, rank))
    return sorted(scores.items(), key=lambda item: (-item[1], ranks[item[0]], item[0]))
