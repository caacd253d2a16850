"""A sync that brings something bad: readers stay on the old version, whatever the sink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentops_ref.etl import FolderSource, LanceSink, MemorySink, Sink, sync
from agentops_ref.etl.quality import Check, Fields, expectations, keep, recent, whole_index
from agentops_ref.etl.stages import Stages
from agentops_ref.records import Chunk, SyncReport
from agentops_ref.settings import ExpectationConfig
from tests.etl.fakes import AT_ONCE, contents, make_stages, write

GOOD = {
    f"{n}.txt": f"The pump number {n} stops.\nTorque {n} Nm and flow {n} l/min" for n in range(8)
}


def check(*lines: dict[str, Any], **more: Any) -> Check:
    return Check(expectations([ExpectationConfig(**line) for line in lines]), **more)


LETTERS = {"metric": "letters", "at_least": 0.5}
RUN = check({**LETTERS, "scope": "run", "share": 0.8, "on_fail": "refuse"})
EACH = check({**LETTERS, "scope": "document", "on_fail": "quarantine"})


@pytest.fixture(params=["memory", "lancedb"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    return MemorySink() if request.param == "memory" else LanceSink(tmp_path / "index")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", GOOD)


def run(docs: Path, sink: Sink, quality: Check, stages: Stages | None = None) -> SyncReport:
    return sync(FolderSource(docs), sink, stages or make_stages(), AT_ONCE, quality=quality)


def spoil(docs: Path, *names: str) -> None:
    write(docs, dict.fromkeys(names, "#%~ |^ ~~ ##\n%% ~~ ## ||"))


def test_a_refused_run_changes_nothing_and_is_tried_again(docs: Path, sink: Sink) -> None:
    assert run(docs, sink, RUN).quality is not None
    before, version, digest = contents(sink), sink.version, sink.snapshot().digest
    assert digest != ""
    spoil(docs, *GOOD)
    (docs / "0.txt").unlink()
    for _ in range(2):
        report = run(docs, sink, RUN)
        assert "letters >= 0.5 for 80%: 0 (0 to" in report.refused
        assert report.quality is not None
        assert report.quality.index_version == report.index_version == version
        assert not report.changed
        assert report.work["read"] == 7, "it is not taken for settled"
        assert contents(sink) == before, "not even the deletion is applied"
        assert sink.version == version
        assert sink.search_text("torque", 3)
    accepted = check(LETTERS | {"scope": "run", "share": 0.8, "on_fail": "refuse"}, accept=True)
    report = run(docs, sink, accepted)
    assert (report.refused, report.index_version) == ("", version + 1)
    assert report.quality is not None
    assert [v.state for v in report.quality.verdicts] == ["fail"], "it is still reported"
    assert sink.search_text("torque", 3) == []
    assert not any(run(docs, sink, RUN).work.values()), "what was accepted is settled"


def test_a_bad_document_keeps_its_old_version_and_the_others_go_on(docs: Path, sink: Sink) -> None:
    run(docs, sink, EACH)
    old = sink.chunks_of("3.txt")
    spoil(docs, "3.txt", "new.txt")
    write(docs, {"4.txt": "Torque changed to 99 Nm in the new edition"})
    for _ in range(2):
        report = run(docs, sink, EACH)
        assert dict(report.quarantined).keys() == {"3.txt", "new.txt"}
        assert "quality: letters is 0" in dict(report.quarantined)["3.txt"]
        assert report.quality is not None
        assert [name for name, _ in report.quality.rejected] == ["3.txt", "new.txt"]
        assert sink.chunks_of("3.txt") == old
        assert sink.chunks_of("new.txt") == []
    assert "99 Nm" in sink.chunks_of("4.txt")[0].text
    write(docs, {"3.txt": "Torque 3 Nm again"})
    assert dict(run(docs, sink, EACH).quarantined).keys() == {"new.txt"}
    looser = check({**LETTERS, "at_least": 0.0, "scope": "document", "on_fail": "quarantine"})
    assert run(docs, sink, looser).quarantined == (), "it is judged again"


def test_a_renamed_document_that_is_not_good_enough_is_not_lost(docs: Path, sink: Sink) -> None:
    spoil(docs, "0.txt")
    run(docs, sink, check())
    (docs / "0.txt").rename(docs / "other.txt")
    report = run(docs, sink, EACH)
    assert dict(report.quarantined).keys() == {"other.txt"}
    assert report.deleted == ("0.txt",), "a deletion follows etl.deletion, as for a broken file"


class Counted:
    """A sink that notes which documents' rows are asked for."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.asked = sink, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sink, name)

    def snapshot(self) -> Any:
        held, asked = self.sink.snapshot(), self.asked

        class Seen:
            def __getattr__(self, name: str) -> Any:
                return getattr(held, name)

            def stored(self, documents: Any = None) -> Iterator[Any]:
                asked.append(documents)
                return held.stored(documents)

        return Seen()


def test_one_document_costs_one_document(docs: Path, tmp_path: Path) -> None:
    write(docs, {f"more/{n}.txt": f"More about pump {n}, at length" for n in range(60)})
    stages = make_stages(tmp_path / "cache")
    sink: Any = Counted(MemorySink())
    full = check(
        {"metric": "kept_text", "at_least": 0.5, "share": 0.7, "scope": "run", "on_fail": "refuse"},
        {"metric": "centroid_drift", "at_most": 0.1, "scope": "run", "on_fail": "refuse"},
    )
    run(docs, sink, full, stages)
    sink.asked.clear()
    before = dict(stages.work)
    long = "The same pump as before, and it still stops when the flow is too low. " * 5
    write(docs, {"3.txt": long})
    report = run(docs, sink, full, stages)
    assert report.updated == ("3.txt",)
    assert sink.asked == [{"3.txt"}], "the rows of that document, and no others"
    assert stages.work["profile"] - before["profile"] == 1
    assert (report.work["parse"], report.work["embed"]) == (1, 1)
    sink.asked.clear()
    assert not any(run(docs, sink, full, stages).work.values())
    assert sink.asked == []
    again = whole_index(FolderSource(docs), sink.snapshot(), stages, full)
    assert (again.documents, again.unknown) == (68, 0)
    assert stages.work["profile"] - before["profile"] == 1, "profiles come from the cache"


def test_the_whole_index_without_a_cache_and_with_a_document_that_moved_on(docs: Path) -> None:
    sink, stages = MemorySink(), make_stages()
    run(docs, sink, EACH, stages)
    write(docs, {"0.txt": "another content"})
    report = whole_index(FolderSource(docs), sink.snapshot(), stages, RUN)
    assert (report.documents, report.unknown, report.index_version) == (7, 1, 1)
    assert report.metrics["letters"] == pytest.approx(0.97, abs=0.03)
    assert [v.state for v in report.verdicts] == ["pass"]


def test_completeness_plugs_in_by_a_callable(docs: Path, sink: Sink) -> None:
    def found(document: str, chunks: Sequence[Chunk]) -> Fields | None:
        if document == "0.txt":
            return None
        return Fields(sum("Torque" in chunk.text for chunk in chunks), 1)

    share = {"metric": "extracted_share", "at_least": 1.0, "scope": "run", "share": 0.9,
             "on_fail": "refuse"}  # fmt: skip
    strict = check(share, completeness=found)
    report = run(docs, sink, strict)
    assert report.quality is not None
    assert [(v.state, v.n) for v in report.quality.verdicts] == [("pass", 7)]
    write(docs, dict.fromkeys(GOOD, "Nothing about it in here."))
    refused = run(docs, sink, strict)
    assert "extracted_share >= 1 for 90%" in refused.refused
    assert sink.search_text("torque", 3)


def test_reports_are_kept_and_the_oldest_dropped(docs: Path, tmp_path: Path) -> None:
    folder, sink = tmp_path / "quality", MemorySink()
    spoil(docs, "0.txt")
    report = run(docs, sink, EACH).quality
    assert report is not None
    for _ in range(4):
        keep(report, folder, last=3)
    assert recent(report.source, folder) == [report] * 3
    assert recent(report.source, folder, scope="index") == recent("other", folder) == []
    newest = sorted(folder.rglob("*.json"))[-1]
    newest.write_text("{")
    assert len(recent(report.source, folder)) == 2
    assert keep(report, folder, last=0) is None
