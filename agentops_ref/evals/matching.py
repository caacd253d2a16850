"""Does a text state a fact? Numbers are compared as numbers, with their units; words as words.

Taught in chapter 8. Deterministic on purpose: a wrong torque is found here in microseconds, with
a reason that can be read, and a judge is kept for what cannot be decided so.

- "2.4 kg", "2,4kg" and "2400 g" are one quantity; 18 is not in 8, nor 8 in NL-8 or 18.
- A number without a unit stands for the wanted quantity only where the text names no unit at all
  ("42" as the whole answer, a cell of a table).
- A number that the text rejects ("not 22 Nm but 18 Nm", "18 Nm instead of 22 Nm") is not stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isclose
from typing import Literal

Bare = Literal["alone", "always"]
"""Where a number without a unit matches one with: in a text without units, or everywhere."""

# Spelling → (base unit, factor). Units that can be converted into each other share a base.
_UNITS: dict[str, tuple[str, float]] = {
    spelling: (base, factor)
    for base, factor, spellings in (
        ("g", 1000.0, "kg|kgs|kilo|kilos|kilogram|kilograms"),
        ("g", 1.0, "g|gram|grams|grammes"),
        ("mm", 1000.0, "m|metre|metres|meter|meters"),
        ("mm", 10.0, "cm|centimetres|centimeters"),
        ("mm", 1.0, "mm|millimetre|millimetres|millimeter|millimeters"),
        ("mm", 25.4, "inch|inches"),
        ("mm2", 1.0, "mm2|mm²|sq mm|square millimetres|square millimeters"),
        ("micron", 1.0, "micron|microns"),
        ("nm", 1.0, "nm|n·m|n m|newton metre|newton metres|newton-metres|newton meters"),
        ("bar", 1.0, "bar|bars"),
        ("bar", 10.0, "mpa"),
        ("v", 1.0, "v|vac|vdc|volt|volts"),
        ("a", 1.0, "A|amp|amps|ampere|amperes"),
        ("a", 0.001, "mA"),
        ("ohm", 1000.0, "kohm|kohms|kω|kiloohm|kiloohms"),
        ("ohm", 1e6, "mohm|megaohm|megaohms"),
        ("ohm", 1.0, "ohm|ohms|ω"),
        ("w", 1000.0, "kw|kilowatt|kilowatts"),
        ("w", 1.0, "w|watt|watts"),
        ("hz", 1.0, "hz"),
        ("°c", 1.0, "°c|° c|degc|deg c|degrees celsius|degrees c|celsius|degrees|°|C"),
        ("k", 1.0, "K|kelvin"),
        ("l", 1.0, "l|litre|litres|liter|liters"),
        ("l/min", 1.0, "l/min|lpm|litres per minute|liters per minute|litres a minute"),
        ("%", 1.0, "%|percent|per cent"),
        ("db", 1.0, "db(a)|dba|db a|db|decibel|decibels"),
        ("eur", 1.0, "eur|euro|euros|€"),
        ("month", 1.0, "month|months"),
        ("month", 12.0, "year|years|yr|yrs"),
        ("day", 1.0, "day|days"),
        ("day", 7.0, "week|weeks"),
        ("second", 1.0, "second|seconds|sec|s"),
        ("second", 60.0, "minute|minutes|min|mins"),
        ("second", 3600.0, "hour|hours|h|hr|hrs"),
    )
    for spelling in spellings.split("|")
}
# "16 A" is a current and "16 a day" is not: spellings with a capital are compared with it.
_SPELLINGS = "|".join(
    re.escape(s) if any(c.isupper() for c in s) else f"(?i:{re.escape(s)})"
    for s in sorted(_UNITS, key=len, reverse=True)
)
_COUNT_WORDS = {
    "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0,
    "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "fourteen": 14.0,
    "fifteen": 15.0, "twenty": 20.0, "twenty-four": 24.0, "thirty": 30.0, "thirty-six": 36.0,
    "forty": 40.0, "forty-five": 45.0, "fifty": 50.0, "sixty": 60.0, "ninety": 90.0,
}  # fmt: skip
_NUMBER_WORD = "|".join(sorted(_COUNT_WORDS, key=len, reverse=True))
_UNIT = rf"(?:{_SPELLINGS})(?![A-Za-z0-9])"
_TOKEN = re.compile(
    rf"""
    (?P<marker>\[\d{{1,2}}\]|^[ \t]*\d{{1,2}}[.)](?=\s))        # "[1]", or "1. " of a list
  | (?P<whole>\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}:\d\d\b|\b\d+/\d+\b|\bv?\d+(?:\.\d+){{2,}}\b)
  | (?:(?P<currency>(?i:EUR)|€)\s?)?                             # a number, not within NL-8 or 1.85
    (?P<digits>(?<![\w.,])(?<![A-Za-z][-−–])[-−–]?\d+(?:[.,]\d+)*)(?:[\s-]?(?P<unit>{_UNIT}))?
    (?![A-Za-z])
  | \b(?P<counted>(?i:{_NUMBER_WORD}))[\s-](?P<counted_unit>{_UNIT})
  | (?P<code>\b[A-Za-z]+-?\d[A-Za-z0-9]*(?:-[A-Za-z0-9]*\d[A-Za-z0-9]*)*\b)   # NL-8, SB-2025-03
  | (?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?|\d+[A-Za-z]\w*)
  | (?P<end>[.;:,!?()\n])
    """,
    re.VERBOSE | re.MULTILINE,
)

_REJECTING = {
    "not", "never", "instead of", "rather than", "no longer", "old", "former", "formerly",
    "previous", "previously", "earlier", "originally", "withdrawn", "superseded", "replace",
    "replacing", "supersede", "superseding", "outdated", "obsolete", "raised from", "lowered from",
    "changed from", "reduced from", "increased from", "corrected from", "revised from",
    "extended from", "shortened from", "updated from", "cut from",
}  # fmt: skip
_REJECTED_AFTER = {
    "withdrawn", "superseded", "replaced", "obsolete", "outdated", "wrong", "incorrect", "invalid",
    "no longer",
}  # fmt: skip
_FILLERS = {
    "be", "is", "wa", "at", "to", "use", "with", "of", "value", "torque", "tighten", "limit",
    "figure", "charge", "set", "exactly", "stated", "manual",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or a number with its unit, of a text."""

    clause: int
    """0-based; a clause ends at punctuation, a line's end, "but" and "however"."""
    word: str = ""
    """Lower case, plural s removed; "" for a number."""
    values: tuple[float, ...] = ()
    """Possible readings as written: "2,400" is 2400 or 2.4. Empty for a word."""
    unit: str = ""
    """Base unit; "" for a number without one."""
    factor: float = 1.0
    """What a value is multiplied with to be in the base unit."""


def states(text: str, fact: str, *, bare: Bare = "alone") -> bool:
    """Whether the text states one of the fact's alternatives, which "|" separates."""
    found = tokens(text)
    units = bare == "alone" and any(token.unit for token in found)
    return any(_occurs(found, tokens(one), strict=units) for one in fact.split("|"))


def unsupported(text: str, evidence: str) -> list[str]:
    """Return the quantities (numbers with a unit) of the text that the evidence does not hold."""
    held = tokens(evidence)
    missing = [
        token
        for token in tokens(text)
        if token.unit and not any(_same(other, token, strict=False) for other in held)
    ]
    return [f"{token.values[0] * token.factor:g} {token.unit}" for token in missing]


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[Token, ...]:
    """Split a text; articles are left out."""
    return tuple(_tokens(text.replace("\u00a0", " ").replace("\u202f", " ")))


def _tokens(text: str) -> Iterator[Token]:
    clause = 0
    for match in _TOKEN.finditer(text):
        if match["end"] or match["marker"]:
            clause += 1
        elif match["digits"]:
            spelling = match["unit"] or match["currency"] or ""
            yield _quantity(clause, _readings(match["digits"]), spelling)
        elif match["counted"]:
            value = _COUNT_WORDS[match["counted"].lower()]
            yield _quantity(clause, (value,), match["counted_unit"])
        elif match["whole"]:
            yield Token(clause, match["whole"].lstrip("v"))
        elif match["code"]:
            yield Token(clause, match["code"].lower().replace("-", ""))
        else:
            word = match["word"].lower().replace("’", "'")
            if word in ("but", "however"):
                clause += 1
            elif word not in ("a", "an", "the"):
                yield Token(clause, _singular(word))


def _quantity(clause: int, values: tuple[float, ...], spelling: str) -> Token:
    base, factor = _UNITS.get(spelling) or _UNITS.get(spelling.lower()) or ("", 1.0)
    return Token(clause, "", values, base, factor)


def _readings(digits: str) -> tuple[float, ...]:
    digits = digits.replace("−", "-").replace("–", "-")
    if "," in digits and "." in digits:  # the last one is the decimal sign
        thousands = "," if digits.rindex(".") > digits.rindex(",") else "."
        return (float(digits.replace(thousands, "").replace(",", ".")),)
    head, comma, tail = digits.partition(",")
    if "," in tail:
        return (float(digits.replace(",", "")),)
    if comma and len(tail) == 3 and not head.lstrip("-").startswith("0"):
        return (float(head + tail), float(f"{head}.{tail}"))
    return (float(digits.replace(",", ".")),)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 2 else word


def _same(got: Token, wanted: Token, *, strict: bool) -> bool:
    if wanted.word or got.word:
        return wanted.word == got.word
    if wanted.unit and got.unit:
        if wanted.unit != got.unit:
            return False
        pairs = [(a * got.factor, b * wanted.factor) for a in got.values for b in wanted.values]
    elif wanted.unit and strict:
        return False
    else:
        pairs = [(a, b) for a in got.values for b in wanted.values]
    return any(isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in pairs)


def _occurs(text: tuple[Token, ...], fact: tuple[Token, ...], *, strict: bool) -> bool:
    if not fact:
        return False
    numeric = any(token.values for token in fact)
    for start in range(len(text) - len(fact) + 1):
        end = start + len(fact)
        window = text[start:end]
        if all(
            _same(got, want, strict=strict) for got, want in zip(window, fact, strict=True)
        ) and not (numeric and (_rejected_before(text, start) or _rejected_after(text, end))):
            return True
    return False


def _rejected_before(text: tuple[Token, ...], start: int) -> bool:
    """Whether a rejecting word stands before ``start``, with only fillers between."""
    for index in range(start - 1, max(-1, start - 6), -1):
        token = text[index]
        if token.clause != text[start].clause or token.values:
            return False
        before = text[index - 1].word if index else ""
        if token.word in _REJECTING or f"{before} {token.word}" in _REJECTING:
            return True
        if token.word.endswith("n't"):
            return True
        if token.word not in _FILLERS:
            return False
    return False


def _rejected_after(text: tuple[Token, ...], end: int) -> bool:
    """Whether a rejecting word stands among the three words after the match."""
    clause = text[end - 1].clause
    after = []
    for token in text[end : end + 3]:
        if token.clause != clause or token.values:
            break
        after.append(token.word)
    said = " ".join(after)
    return any(re.search(rf"\b{words}\b", said) for words in _REJECTED_AFTER)
