"""Which language is a text in? By langdetect, with the same answer every time."""

from __future__ import annotations

import threading

FEWEST_LETTERS = 60
"""Below it a guess is noise: a table of part numbers, a rating plate."""
READ_CHARS = 2000
"""What is looked at, from the beginning; more changes no guess and takes longer."""
_GUARD = threading.Lock()


def guess(text: str) -> str:
    """Return the language as an ISO 639-1 code, "" where there are too few letters to tell.

    langdetect draws n-grams at random and is seeded for one process at most; here each text gets a
    generator of its own, so that a guess does not depend on what was asked before.
    """
    read = text[:READ_CHARS]
    if sum(map(str.isalpha, read)) < FEWEST_LETTERS:
        return ""
    from langdetect import detector_factory
    from langdetect.lang_detect_exception import LangDetectException

    with _GUARD:
        detector_factory.init_factory()  # loads 55 small tables, once a process
    detector = detector_factory._factory.create()
    detector.seed = 0
    try:
        detector.append(read)
        found = str(detector.detect())
    except LangDetectException:  # no letter that any of its languages has
        return ""
    return "" if found == "unknown" else found
