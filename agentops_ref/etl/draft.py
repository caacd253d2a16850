"""One document on its way into the index: read → parse → chunk, or why not. Taught in chapter 3.

`draft` looks at nothing but its arguments, so that it can run in this process or in any other;
which one is for an engine to say (`agentops_ref.etl.engines`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agentops_ref.errors import AgentOpsError, DocumentError
from agentops_ref.etl.quality.profile import DocumentProfile
from agentops_ref.etl.recipe import changed_stages, content_hash
from agentops_ref.etl.sources import Source
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Chunk, LedgerEntry


@dataclass(frozen=True, slots=True)
class Task:
    """A document to look at."""

    document: str
    fingerprint: str
    """As the listing has it."""
    old: LedgerEntry | None = None
    """What the index knows of it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What became of a `Task`."""

    document: str
    entry: LedgerEntry | None
    """Its ledger entry; None when it went away after the listing: the next one will tell."""
    chunks: tuple[Chunk, ...] | None = None
    """Its new chunks; None where those in the index stand."""
    profile: DocumentProfile | None = None
    """What quality is judged by; there whenever there are new chunks."""
    quarantined: bool = False
    """Whether it could not be used; the entry says why."""
    work: Mapping[str, int] = field(default_factory=dict)
    """Calls per stage that ran for it in another process; empty where `Stages.work` has them."""


def draft(source: Source, stages: Stages, task: Task) -> Draft:
    """Read, parse and chunk a document, as far as that is not known yet.

    Raises
    ------
    AgentOpsError, ImportError, MemoryError
        What is not the document's fault: a missing model, a wrong call.
    """
    name, fingerprint, old = task.document, task.fingerprint, task.old
    data: bytes | None = None
    content = old.content_hash if old else ""
    # A fingerprint that is not recorded marks an error that can pass: such a document is retried.
    settled = old is not None and bool(old.fingerprint or not old.error)
    failed = old is not None and bool(old.error) and old.fingerprint == fingerprint
    if old and failed and changed_stages(old.recipe, stages.recipe) == ("embed",):
        # It would fail again.
        return Draft(name, replace(old, recipe=stages.recipe, missing=0), quarantined=True)
    try:
        same_recipe = old is not None and old.recipe == stages.recipe
        if old is None or old.fingerprint != fingerprint or same_recipe or not content:
            data = stages.read(source, name)
            content = content_hash(data)
        if old and settled and same_recipe and content == old.content_hash:
            return Draft(name, replace(old, fingerprint=fingerprint, missing=0))
        made = stages.prepare(source, name, data=data, known_hash=content)
    except FileNotFoundError as error:
        if old is None:
            return Draft(name, None)
        return _failed(task, "", old.content_hash, stages.recipe, str(error))
    except DocumentError as error:
        return _failed(task, fingerprint, content, stages.recipe, str(error))
    except (AgentOpsError, ImportError, MemoryError):
        raise  # not the document's fault: a missing model, a wrong call
    except Exception as error:
        # Unreadable just now, or a parser's bug: the others go on, this one is retried each time.
        return _failed(task, "", content, stages.recipe, f"{type(error).__name__}: {error}")
    entry = LedgerEntry(name, fingerprint, made.content_hash, stages.recipe, len(made.chunks))
    return Draft(name, entry, made.chunks, made.profile)


def drafted_elsewhere(source: Source, stages: Stages, task: Task) -> Draft:
    """Return `draft`'s result with the calls that it took, for a process that only reports."""
    before = Counter(stages.work)
    made = draft(source, stages, task)
    return replace(made, work=dict(stages.work - before))


def given_up(task: Task, recipe: str, reason: str) -> Draft:
    """Return the draft of a document that no process can work on; it is left alone as it is now."""
    return _failed(task, task.fingerprint, "", recipe, reason)


def _failed(task: Task, fingerprint: str, content: str, recipe: str, reason: str) -> Draft:
    # The old chunks stay: a file that cannot be read is far more often a broken upload than a
    # withdrawal, and nothing may leave the index but by a deliberate deletion. The error stands in
    # the ledger and in every report until the document is mended or deleted.
    chunks = task.old.chunks if task.old else 0
    entry = LedgerEntry(task.document, fingerprint, content, recipe, chunks, error=reason)
    return Draft(task.document, entry, quarantined=True)
