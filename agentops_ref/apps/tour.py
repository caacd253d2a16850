"""The whole loop in a minute or two: sync, ask, trace, change, sync, ask again, evaluate.

It works on a copy of the corpus and an index of its own, so that a user's index stays as it is.
The change and the withdrawal are those of the corpus's second version.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from agentops_ref.config import Config, load_config
from agentops_ref.errors import OperatorError
from agentops_ref.records import Answer, SyncReport
from agentops_ref.wiring import App, Progress, build

if TYPE_CHECKING:
    from agentops_ref.evals import EvalResult, Verdict
    from agentops_ref.tracing import SpanLine

Bar = Callable[[], AbstractContextManager[Progress]]
"""Opens a progress bar and gives its callback."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the tour did, in words, with what came out of it."""

    title: str
    sync: SyncReport | None = None
    question: str = ""
    answer: Answer | None = None
    trace: tuple[SpanLine, ...] = ()
    finding: str = ""
    result: EvalResult | None = None
    verdict: Verdict | None = None


def walk(config: Config, options: Mapping[str, Any], bar: Bar) -> Iterator[Step]:
    """Do the steps one by one; each is yielded as soon as it is done.

    ``options`` are the overrides that the user gave (``load_config``'s arguments).

    Raises
    ------
    OperatorError
        The corpus was not built, or the withdrawn value is still served (which must not happen).
    """
    app = _app(config, options)
    script = yaml.safe_load(config.path("corpus/tour.yaml").read_text(encoding="utf-8"))
    docs = config.path(app.config.etl.source.root)
    later = config.path(config.paths.corpus) / "v2" / "docs"

    with bar() as progress:
        report = app.sync(progress=progress)
        app.sync_tables()
    yield Step("Sync the documents into an empty index", sync=report)

    for question in script["questions"]:
        answer = app.agent(question)
        yield Step("Ask", question=question, answer=answer)
    yield Step("Look at the last answer's trace", trace=tuple(app.trace(answer.trace_id)))

    changed, withdrawn = script["change"], script["withdraw"]
    shutil.copy2(later / changed["document"], docs / changed["document"])
    (docs / withdrawn["document"]).unlink()
    with bar() as progress:
        report = app.sync(progress=progress)
    yield Step("Change one bulletin, delete another, sync again", sync=report)
    yield Step(
        "Ask about what changed",
        question=changed["question"],
        answer=app.agent(changed["question"]),
    )
    answer = app.agent(withdrawn["question"])
    yield Step("Ask about what was withdrawn", question=withdrawn["question"], answer=answer)
    yield Step("Look for the withdrawn value", finding=_gone(app, withdrawn, answer))

    untouched = {changed["document"], withdrawn["document"]}
    cases = [c for c in app.cases(corpus_version=1) if not untouched & set(c.sources)]
    with bar() as progress:
        result = app.evaluate(cases, run_name="tour", progress=progress)
    from agentops_ref.evals import decide

    decision = decide(config.evals.gate, result.table, level=config.evals.level)
    yield Step("Evaluate", result=result, verdict=decision)


def _app(config: Config, options: Mapping[str, Any]) -> App:
    """Copy the corpus and wire an app over the copy."""
    corpus, place = config.path(config.paths.corpus), config.path("_build/tour")
    first = corpus / "v1" / "docs"
    if not first.is_dir():
        raise OperatorError(f"no documents in {first}; run: agentops corpus build")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(first, place / "docs")
    own = {"etl.source.root": str(place / "docs"), "paths.state": str(place / "state")}
    overrides = [*options.get("overrides", ()), *(f"{key}={value}" for key, value in own.items())]
    return build(load_config(**{**options, "overrides": overrides}))


def _gone(app: App, withdrawn: Mapping[str, str], answer: Answer) -> str:
    document, value = withdrawn["document"], withdrawn["value"]
    left = app.sink.chunks_of(document)
    if left or value in answer.text or any(c.document == document for c in answer.citations):
        raise OperatorError(f"{value} from {document} is still served: {len(left)} chunks")
    shown = sum(value in hit.chunk.text for hit in answer.hits)
    return (
        f"{document} has no chunk in the index, and the answer does not say {value}"
        f" (excerpts shown to the model that hold it: {shown})"
    )
