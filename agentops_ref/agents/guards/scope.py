"""Is a question this assistant's business? Taught in chapter 7.

Words of the trade and codes settle most questions without a model. What has none of them is
compared with examples of both sides; without an embedding model it is left to the documents, which
do not hold the answer. A question that could be answered must not be refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from agentops_ref.agents.guards.decision import Channel, Context, Decision, OnHit, hit, passed
from agentops_ref.agents.guards.normalise import plain
from agentops_ref.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class Scope:
    """Finds questions that are nearer to what others do than to what this assistant does.

    Parameters
    ----------
    examples
        YAML file with ``ours`` and ``others`` (examples of questions), ``words`` (beginnings of
        words) and ``codes`` (regular expressions), one of which makes a question ours.
    embeddings
        Gives the model, when it is first needed; None judges by words alone.
    margin
        Cosine by which the nearest foreign example must be nearer than the nearest of ours.
    """

    def __init__(
        self,
        *,
        on_hit: OnHit,
        examples: Path,
        embeddings: Callable[[], Embeddings] | None,
        margin: float,
    ) -> None:
        self._on_hit, self._embeddings, self._margin = on_hit, embeddings, margin
        read = _read(examples)
        self._ours, self._others = read["ours"], read["others"]
        self._trade = re.compile(rf"\b(?:{'|'.join(read['words'])})", re.IGNORECASE)
        self._codes = re.compile("|".join(read["codes"]))

    def check(self, text: str, channel: Channel, context: Context) -> Decision:
        """Judge a question."""
        if self._trade.search(plain(text)) or self._codes.search(text):
            return passed(text)
        if self._embeddings is None:
            return passed(text)
        import numpy as np

        asked = np.asarray(self._embeddings().embed_query(text))
        ours, others = (float(np.max(known @ asked)) for known in self._known)
        if others - ours <= self._margin:
            return passed(text)
        return hit(self._on_hit, (f"scope: {others:.2f} to others, {ours:.2f} to ours",))

    @cached_property
    def _known(self) -> tuple[Any, Any]:
        import numpy as np

        assert self._embeddings is not None
        embed: Any = self._embeddings().embed_documents
        return np.asarray(embed(self._ours)), np.asarray(embed(self._others))


def _read(file: Path) -> dict[str, Sequence[str]]:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        return {name: list(map(str, read[name])) for name in ("ours", "others", "words", "codes")}
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file}: expected lists named ours, others, words and codes: {error}"
        ) from error
