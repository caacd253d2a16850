"""Whether a value stands in a text: the rule that nothing is invented. Pure. Taught in chapter 3.

Formats are made equal first: "1,75 kg" and "1.75 kg" say the same, a narrow space is a space, a
line break too. What is left must be there: a text as whole words, a number with its unit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime

from agentops_ref.etl.extract.schema import FieldType

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"))
_NUMBER = re.compile(r"(?<![\w.,])(?<!\w-)[-+]?\d+(?:[.,']\d+)*(?![\w.,]*\d)")
_SPACED = re.compile(r"(?<![\w.,])(?<!\w-)[-+]?\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?![\w.,]*\d)")


def folded(text: str) -> str:
    """Return a text with one kind of space, dash and letter case."""
    normal = unicodedata.normalize("NFKC", text).translate(_DASHES)
    return " ".join(normal.casefold().split())


def stands(value: str, text: str) -> bool:
    """Whether a value stands in a text as whole words; an empty one stands nowhere."""
    wanted = folded(value)
    if not wanted:
        return False
    left = r"(?<!\w)" if wanted[0].isalnum() else ""
    right = r"(?!\w)" if wanted[-1].isalnum() else ""
    return re.search(f"{left}{re.escape(wanted)}{right}", folded(text)) is not None


def readings(printed: str) -> frozenset[float]:
    """Return what a printed number can mean; empty if it is none.

    "1,750" is 1750 to some and 1.75 to others, so it has both readings; "1.234,5" has one.
    """
    text = folded(printed).replace("'", "")
    if _SPACED.fullmatch(text):
        text = text.replace(" ", "")
    if not re.fullmatch(r"[-+]?\d+(?:[.,]\d+)*", text):
        return frozenset()
    marks = [character for character in text if character in ".,"]
    found: set[str] = set()
    if not marks:
        found.add(text)
    elif len(set(marks)) == 2:  # the last one is the decimal mark, the others part thousands
        whole, decimal = text[: text.rindex(marks[-1])], text[text.rindex(marks[-1]) + 1 :]
        if marks.count(marks[-1]) == 1 and _grouped(whole, marks[0]):
            found.add(f"{whole.replace(marks[0], '')}.{decimal}")
    else:
        if len(marks) == 1:
            found.add(text.replace(marks[0], "."))
        if _grouped(text, marks[0]):
            found.add(text.replace(marks[0], ""))
    return frozenset(float(one) for one in found)


def _grouped(text: str, mark: str) -> bool:
    first, *others = text.lstrip("+-").split(mark)
    return 1 <= len(first) <= 3 and first[0] != "0" and all(len(one) == 3 for one in others)


def quantities(text: str) -> Iterator[tuple[frozenset[float], str]]:
    """Yield each number of a text with what it can mean, and what follows it.

    "12 500" is read as one number and as two, since it may be either.
    """
    line = folded(text)
    for pattern in (_NUMBER, _SPACED):
        for found in pattern.finditer(line):
            yield readings(found[0]), line[found.end() :]


def number_stands(value: str, unit: str | None, text: str, *, cells: bool = False) -> bool:
    """Whether a number stands in a text, followed by its unit if it has one.

    ``cells``: the text is a table's header and row, where the unit has a place of its own.
    """
    wanted = readings(value)
    if not wanted:
        return False
    after = None if unit is None else re.compile(rf"[ ]?{re.escape(folded(unit))}(?!\w)")
    for meanings, rest in quantities(text):
        if not wanted & meanings:
            continue
        if after is None or after.match(rest):
            return True
        if cells and unit is not None and stands(unit, text):
            return True
    return False


def has_quantity(text: str, units: tuple[str, ...]) -> bool:
    """Whether any number of a text has one of these units, beside it or elsewhere in a table."""
    line = folded(text)
    if not _NUMBER.search(line):
        return False
    return any(stands(unit, line) or _glued(unit, line) for unit in units)


def _glued(unit: str, line: str) -> bool:
    return re.search(rf"\d{re.escape(folded(unit))}(?!\w)", line) is not None


def date_of(printed: str, formats: tuple[str, ...]) -> date | None:
    """Return a printed date, read by the first format that fits; None if none does."""
    for one in formats:
        try:
            return datetime.strptime(" ".join(printed.split()), one).date()
        except ValueError:
            continue
    return None


def matches(field: FieldType, text: str) -> list[str]:
    """Return what a field's ``match`` finds in a text, in order, each as it is printed."""
    assert field.match is not None
    return [" ".join(found[0].split()) for found in field.match.finditer(text)]


def grounded(
    field: FieldType, printed: str, unit: str | None, text: str, *, cells: bool = False
) -> bool:
    """Whether one printed value of a field stands in a text.

    A choice stands where its wording does. With ``match``, a value must be a whole match: "NL-6"
    does not stand in "NL-6 G2" if the expression takes in the "G2".
    """
    if field.type == "number":
        return number_stands(printed, unit, text, cells=cells)
    if field.type == "choice":
        one = field.choices.get(printed)
        return one is not None and one.wording.search(" ".join(text.split())) is not None
    if field.match is not None:
        return folded(printed) in {folded(one) for one in matches(field, text)}
    return stands(printed, text)
