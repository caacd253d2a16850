"""Instructions where there should be none: in a user's question, a document, a tool's result.

Taught in chapter 7. Rules are regular expressions of a file, tried on every reading of the text
(`normalise.views`). They find what is worded as an order to the assistant; what a heat pump is
told in the same words, they must leave alone. No list of words finds every attack: what an
instruction can do when it gets through is the business of tenancy and approvals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from agentops_ref.agents.guards.decision import Channel, Context, Decision, OnHit, hit, passed
from agentops_ref.agents.guards.normalise import tag_characters, views
from agentops_ref.errors import ConfigError

_WORD = re.compile(r"\{(\w+)\}")
HIDDEN = 4
"""Invisible tag characters from which a text is hiding something; a flag of a region has fewer."""


class Rule(NamedTuple):
    """One wording."""

    name: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None
    """What the text from the match on must not begin with."""


class Injection:
    """Finds instructions by their wording.

    Parameters
    ----------
    rules
        YAML file with ``words`` (names of alternatives), ``everywhere`` and ``content``: rules for
        all channels, and for documents and tools alone; and ``stems``, two of which a reading other
        than the plain one must hold to be looked at, since most are gibberish.

    Raises
    ------
    ConfigError
        The file cannot be read as rules.
    """

    def __init__(self, *, on_hit: OnHit, rules: Path) -> None:
        self._on_hit = on_hit
        everywhere, content, self._stems = load_rules(rules)
        self._rules: Mapping[Channel, tuple[Rule, ...]] = {
            "user": everywhere,
            "answer": everywhere,
            "document": everywhere + content,
            "tool": everywhere + content,
        }
        self._found = lru_cache(4096)(self._search)  # the same chunks are retrieved again and again

    def check(self, text: str, channel: Channel, context: Context) -> Decision:
        """Judge a text by its wording alone."""
        found = self._found(text, channel)
        return hit(self._on_hit, found) if found else passed(text)

    def _search(self, text: str, channel: Channel) -> tuple[str, ...]:
        found = []
        if len(tag_characters(text)) >= HIDDEN:
            found.append("injection: invisible characters")
        for how, read in views(text):
            if how != "plain" and sum(stem in read for stem in self._stems) < 2:
                continue
            for rule in self._rules[channel]:
                if any(
                    rule.unless is None or not rule.unless.match(read, match.end())
                    for match in rule.pattern.finditer(read)
                ):
                    found.append(f"injection: {rule.name}{'' if how == 'plain' else f' ({how})'}")
            if found:
                break  # one reading is enough
        return tuple(dict.fromkeys(found))


@lru_cache(8)
def load_rules(file: Path) -> tuple[tuple[Rule, ...], tuple[Rule, ...], tuple[str, ...]]:
    """Read a file of rules: those for all channels, those for documents and tools, the stems.

    Raises
    ------
    ConfigError
        It is not there, or holds something else.
    """
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        words = {name: f"(?:{said.replace(' |', '|')})" for name, said in read["words"].items()}

        def rule(one: Mapping[str, Any]) -> Rule:
            unless = one.get("unless")
            return Rule(
                one["name"],
                re.compile(_filled(one["pattern"], words)),
                None if unless is None else re.compile(_filled(unless, words)),
            )

        return (
            tuple(map(rule, read["everywhere"])),
            tuple(map(rule, read["content"])),
            tuple(read["stems"]),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, re.error) as error:
        raise ConfigError(
            f"{file}: expected rules of the injection guard (words, stems, everywhere, content): "
            f"{type(error).__name__}: {error}"
        ) from error


def _filled(pattern: str, words: Mapping[str, str]) -> str:
    """Put the alternatives in place of ``{name}``; a count such as ``{2}`` stays."""
    return _WORD.sub(lambda m: m[0] if m[1].isdigit() else words[m[1]], pattern)
