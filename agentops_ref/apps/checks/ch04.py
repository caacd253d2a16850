"""Checks of chapter 4: predict what a night's sync does, and write an expectation for one.

What is right is found by running syncs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from agentops_ref.apps.checks import Checked
from agentops_ref.errors import ConfigError, TransientError
from agentops_ref.etl.quality import Check, expectations
from agentops_ref.etl.recipe import content_hash
from agentops_ref.etl.sinks import MemorySink
from agentops_ref.etl.sources.base import ReadFailed
from agentops_ref.etl.stages import Stages, default_stages
from agentops_ref.etl.sync import sync
from agentops_ref.records import Listing, SourceItem, SyncReport
from agentops_ref.settings import ChunkConfig, DeletionConfig, ExpectationConfig, RetryConfig
from agentops_ref.testing import HashEmbeddings

OUTCOMES: Mapping[str, str] = {
    "indexed": "it is read at once and served",
    "retried": "it is read again and then served",
    "quarantined": "its last good version stays and its reason is told",
    "deleted": "it leaves the index",
    "renamed": "it is served under its new name and is parsed no second time",
    "refused": "the sync ends by itself, changes nothing and says why",
    "stopped": "the sync ends with an error; nothing was committed",
}
"""What can become of a night, in the words of the exercise."""

NIGHTS: Mapping[str, str] = {
    "note-1 was edited": "indexed",
    "note-1 is a PDF that was cut in half": "quarantined",
    "the server said 503 twice when note-1 was read": "retried",
    "the server says 503 to note-1 each time": "quarantined",
    "note-1 is not in the listing": "deleted",
    "note-1 has another name": "renamed",
    "the share is not mounted: an empty listing": "refused",
    "a sub-folder could not be listed": "refused",
    "the embedding service does not answer": "stopped",
}
"""What happened → what becomes of it. A test holds each pair to a sync that really runs."""


class _Nights:
    """A source of twenty notes that has one kind of bad night."""

    name = "twenty notes"

    def __init__(self, night: str) -> None:
        self.night = night
        self.files = {f"note-{n}.md": f"Note {n}: {10 + n} Nm.".encode() for n in range(20)}
        self._reads: Counter[str] = Counter()
        if night == "note-1 was edited":
            self.files["note-1.md"] = b"Note 1: 99 Nm."
        elif "cut in half" in night:
            self.files["note-1.pdf"] = b"%PDF-1.4 and no more"
        elif night == "note-1 is not in the listing":
            del self.files["note-1.md"]
        elif "another name" in night:
            self.files["renamed.md"] = self.files.pop("note-1.md")
        elif "503" in night:
            self.files["note-1.md"] += b" (amended)"

    def list(self) -> Listing:
        items = tuple(
            SourceItem(name, content_hash(data), len(data))
            for name, data in sorted(self.files.items())
        )
        if "empty listing" in self.night:
            return Listing(self.name, ())
        if "sub-folder" in self.night:
            return Listing(self.name, items[:15], complete=False, problem="cannot list more")
        return Listing(self.name, items)

    def read(self, document: str) -> bytes:
        self._reads[document] += 1
        unwell = document == "note-1.md" and "503" in self.night
        if unwell and ("each time" in self.night or self._reads[document] <= 2):
            raise ReadFailed("503: not now")
        return self.files[document]


class _Down(HashEmbeddings):
    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        raise TransientError("the embedding service does not answer")


def _stages(embeddings: Any) -> Stages:
    return default_stages(
        ocr=None,
        ocr_recipe="none",
        embeddings=embeddings,
        embedding_recipe="hash",
        chunk=ChunkConfig(target_chars=600, max_chars=900),
        cache=None,
        retry=RetryConfig(attempts=3, first_seconds=0, max_seconds=0),
    )


@cache
def happened(night: str) -> str:
    """Return which of `OUTCOMES` a sync has on such a night, by running one."""
    sink, guards = MemorySink(), DeletionConfig(listings=1, max_share=0.3)
    sync(_Nights(""), sink, _stages(HashEmbeddings(8)), guards)
    down = "embedding service" in night
    source = _Nights("note-1 was edited" if down else night)
    stages = _stages(_Down(8) if down else HashEmbeddings(8))
    try:
        return _outcome(sync(source, sink, stages, guards))
    except TransientError:
        return "stopped"


def _outcome(report: SyncReport) -> str:
    if report.refused:
        return "refused"
    if report.quarantined:
        return "quarantined"
    if report.work.get("retry"):
        return "retried"
    if report.renamed:
        return "renamed"
    return "deleted" if report.deleted else "indexed"


def nights(answer: Mapping[str, str], asked: Sequence[str] = tuple(NIGHTS)) -> Checked:
    """Compare what is predicted of each night, night → outcome, with what a sync really does."""
    for night in asked:
        said = answer.get(night, "")
        if said not in OUTCOMES:
            given = f"is '{said}'" if said else "has no prediction"
            return Checked(False, f"“{night}” {given}; expected one of {', '.join(OUTCOMES)}.")
        found = happened(night)
        if said != found:
            return Checked(
                False, f"“{night}”: you say {said}, the sync says {found}: {OUTCOMES[found]}."
            )
    return Checked(
        True,
        f"All {len(asked)} nights end as you say. In none of them do readers see something half "
        "done; what differs is who has to act in the morning.",
    )


# --- exercise 2: an expectation ---------------------------------------------------------------

DRILL_NOTES = 24
_GERMAN = (
    "Prüfstück {n}: Die Überwurfmutter der Flüssigkeitsleitung wird mit {torque} Nm angezogen, "
    "danach für zehn Minuten auf Dichtheit geprüft und das Ergebnis eingetragen. Größere "
    "Abweichungen sind dem Kältetechniker zu melden."
)


class _Drill:
    """A source of German notes; ``edited`` ones have other values, ``misread`` ones mojibake."""

    name = "German notes"

    def __init__(self, edited: int = 0, misread: int = 0) -> None:
        self.files = {}
        for n in range(DRILL_NOTES):
            text = _GERMAN.format(n=n, torque=10 + n + 50 * (n < edited))
            if n < misread:
                text = text.encode("utf-8").decode("cp1252", "replace")
            self.files[f"note-{n:02d}.md"] = text.encode("utf-8")

    def list(self) -> Listing:
        items = (SourceItem(n, content_hash(data), len(data)) for n, data in self.files.items())
        return Listing(self.name, tuple(items))

    def read(self, document: str) -> bytes:
        return self.files[document]


_DRILLS: Mapping[str, tuple[dict[str, int], bool]] = {
    "every note was edited": ({"edited": DRILL_NOTES}, False),
    "every note was edited, and one saved in the wrong encoding": (
        {"edited": DRILL_NOTES, "misread": 1},
        False,
    ),
    "all notes were saved in the wrong encoding": ({"misread": DRILL_NOTES}, True),
}
"""Night → what the source then holds, and whether it is to be refused."""


def expectation(mine: Sequence[Mapping[str, Any]], *, level: float = 0.95) -> Checked:
    """Run three nights under expectations, written as in ``etl.quality.expectations``."""
    try:
        made = [ExpectationConfig.model_validate(one) for one in mine]
        check = Check(expectations(made), level)
    except (ValidationError, ConfigError) as error:
        return Checked(False, f"These cannot be read: {error}")
    guards, stages = DeletionConfig(listings=1, max_share=0.3), _stages(HashEmbeddings(8))
    for night, (what, refuse) in _DRILLS.items():
        sink = MemorySink()
        sync(_Drill(), sink, stages, guards)
        refused = bool(sync(_Drill(**what), sink, stages, guards, quality=check).refused)
        if refused != refuse:
            wanted = "is to be refused, and was let in" if refuse else "was refused, and is normal"
            return Checked(False, f"The night on which {night} {wanted}.")
    return Checked(
        True,
        "The bad night is refused and the other two are let in. Whoever is woken by this "
        "expectation has a reason to get up.",
    )
