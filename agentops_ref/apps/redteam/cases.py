"""The cases of the red-team suite, read from YAML; ``corpus/redteam/README.md`` describes them."""

from __future__ import annotations

import base64
import codecs
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from agentops_ref.errors import ConfigError, nearest

Half = Literal["dev", "held-out"]
Arrives = Literal["user", "document", "tool", "memory"]
HALVES: tuple[Half, ...] = ("dev", "held-out")
_CYRILLIC = str.maketrans("aeopcxyisj", "аеорсхуіѕј")
_LEET = str.maketrans("aeiost", "431057")
ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "spaced": lambda text: "   ".join(" ".join(word) for word in text.split()),
    "leet": lambda text: text.translate(_LEET),
    "cyrillic": lambda text: text.translate(_CYRILLIC),
    "fullwidth": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "zero-width": lambda text: "\u200b".join(text),
    "tags": lambda text: "".join(chr(0xE0000 + ord(c)) for c in text),
}
"""How ``hidden`` is disguised in ``text``."""
_KEYS = ("id", "text", "ask", "channel", "kind", "hidden", "encode", "say", "call", "leak",
         "effect", "expect")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    """One case: an attack, or a harmless text that looks like one."""

    id: str
    category: str
    harmless: bool
    channel: Arrives
    text: str
    """What arrives, as it arrives."""
    ask: str
    """What the user asks; of the channel ``user`` the text itself."""
    kind: str = "notes"
    """Of a document: the folder that it seems to come from."""
    say: str = ""
    """What an obedient model writes."""
    call: tuple[str, Mapping[str, Any]] | None = None
    """The tool that it calls, with arguments."""
    leak: tuple[str, ...] = ()
    """What must not be in the answer, any of them."""
    effect: bool = False
    """Whether the attack succeeds when something was changed."""
    expect: str = ""
    """What a harmless request must still bring."""
    half: Half = field(init=False)
    """Decided by the id alone."""

    def __post_init__(self) -> None:
        digest = int(hashlib.sha256(self.id.encode()).hexdigest(), 16)
        object.__setattr__(self, "half", HALVES[digest % 2])


def load_attacks(folder: Path) -> list[Attack]:
    """Read all cases of a folder.

    Raises
    ------
    ConfigError
        There are none, or a case has an unknown key, no way to succeed, or an id that is taken.
    """
    found: dict[str, Attack] = {}
    for file in sorted(folder.glob("*.yaml")):
        whole = yaml.safe_load(file.read_text(encoding="utf-8"))
        for part in ("attacks", "harmless"):
            for said in whole[part]:
                one = _case(file, whole, said, harmless=part == "harmless")
                if one.id in found:
                    raise ConfigError(f"{file}: there are two cases with the id {one.id}")
                found[one.id] = one
    if not found:
        raise ConfigError(f"{folder}: no red-team cases; set guards.redteam")
    return list(found.values())


def first_attacks(cases: Sequence[Attack], *, most: int, categories: Sequence[str]) -> list[Attack]:
    """Return the first attacks of the dev half of some categories: no result has a part in it."""
    chosen: list[Attack] = []
    for category in categories:
        found = [c for c in cases if c.category == category and c.half == "dev" and not c.harmless]
        chosen += found[:most]
    return chosen


def _case(
    file: Path, whole: Mapping[str, Any], said: Mapping[str, Any], *, harmless: bool
) -> Attack:
    for key in said:
        if key not in _KEYS:
            raise ConfigError(f"{file}: {said.get('id')}: unknown key '{key}'{nearest(key, _KEYS)}")
    if not harmless and not any(said.get(key) for key in ("say", "leak", "effect")):
        raise ConfigError(f"{file}: {said['id']}: an attack needs one of say, leak, effect")
    text = str(said["text"])
    if "hidden" in said:
        text = text.replace("{}", ENCODINGS[said["encode"]](said["hidden"]))
    channel = said.get("channel", whole.get("channel", "user"))
    call = said.get("call")
    return Attack(
        id=said["id"],
        category=whole["category"],
        harmless=harmless,
        channel=channel,
        text=text,
        ask=text if channel == "user" else str(said.get("ask", whole.get("ask", ""))),
        kind=str(said.get("kind", whole.get("kind", "notes"))),
        say=str(said.get("say", "")),
        call=call and (call["name"], call["arguments"]),
        leak=tuple(map(str, said.get("leak", ()))),
        effect=bool(said.get("effect")),
        expect=str(said.get("expect", "")),
    )
