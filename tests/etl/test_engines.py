"""An engine changes where documents are parsed, and nothing of what comes out of it."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentops_ref import build, load_config
from agentops_ref.errors import ConfigError, MissingExtra, OperatorError
from agentops_ref.etl import MemorySink, sync
from agentops_ref.etl.draft import Draft, Task
from agentops_ref.etl.engines import DaftEngine, LocalEngine, wire
from agentops_ref.etl.engines import daft as engine_module
from agentops_ref.records import Chunk, LedgerEntry, SyncReport
from agentops_ref.settings import DeletionConfig
from tests.etl import engine_parts, fakes

KEEP = DeletionConfig(listings=2, max_share=1.0)
ENDINGS = (".txt", ".md")


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """A Ray cluster of this machine only, with a token of its own, as a real one has."""
    token = secrets.token_hex(32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", token)
        yield from _ray()


def _ray() -> Iterator[str]:
    program = (
        "import ray, sys\n"
        "from agentops_ref import offline\n"
        "made = ray.init(include_dashboard=False, num_cpus=2,\n"
        "                object_store_memory=100_000_000, log_to_driver=False)\n"
        "print('at', made.address_info['gcs_address'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    lines = (line for line in server.stdout if line.startswith("at "))
    yield next(lines).split()[1]
    server.stdin.close()
    server.wait(30)
    server.stdout.close()


@pytest.fixture(params=["native", pytest.param("ray", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "native":
        return {"runner": "native"}
    return {"runner": "ray", "address": request.getfixturevalue("ray_address")}


def everything(sink: Any) -> Any:
    """All that an index holds, in its order, vectors as bytes."""
    rows = [(owner, chunk, vector.tobytes()) for owner, chunk, vector in sink.stored()]
    return rows, sorted(sink.ledger().items())


def facts(report: SyncReport) -> Any:
    found = {n: getattr(report, n) for n in report.__slots__ if n != "seconds"}
    if report.quality is not None:
        found["quality"] = replace(report.quality, source="", made_at="")
    return found


def change(docs: Path, rng: random.Random, step: int) -> None:
    """Add, edit, break, rename and remove documents."""
    for n in range(12):
        kind = rng.choice(("broken", "bug", "", f"E41 {n}\n18 Nm", f"{step} flare nut\n\nünïcode"))
        name = f"{rng.choice(('m', 'nord'))}/{rng.randrange(20)}{rng.choice(ENDINGS)}"
        fakes.write(docs, {name: kind})
    fakes.write(docs, {f"keep/{step}.txt": f"kept text {step}"})
    if step:
        (docs / f"keep/{step - 1}.txt").rename(docs / f"keep/was-{step - 1}.txt")
    present = sorted(path for path in docs.rglob("*.*") if path.is_file())
    for path in rng.sample([path for path in present if path.parent.name != "keep"], 2):
        path.unlink()


@pytest.mark.parametrize("seed", [1, 2])
def test_any_history_gives_the_same_index(tmp_path: Path, where: dict[str, Any], seed: int) -> None:
    docs, rng = tmp_path / "docs", random.Random(seed)
    sinks = [MemorySink(), MemorySink()]
    made = [partial(engine_parts.parts, str(docs), str(tmp_path / f"c{n}")) for n in range(2)]
    for step in range(3):
        change(docs, rng, step)
        reports = []
        for sink, part, engine in zip(
            sinks,
            made,
            (LocalEngine(), DaftEngine(made[1], batch=4, workers=2, **where)),
            strict=True,
        ):
            source, stages = part()
            reports.append(sync(source, sink, stages, KEEP, engine=engine))
        plain, spread = map(facts, reports)
        # Workers may have equal contents at the same time, when neither has been cached.
        assert spread["work"].pop("parse") >= plain["work"].pop("parse")
        assert plain == spread
        assert everything(sinks[0]) == everything(sinks[1])
        assert reports[0].quarantined, "a poison document fails alone"
    assert reports[0].renamed
    assert reports[0].tombstoned or reports[0].deleted


@pytest.mark.slow
def test_the_running_case_is_the_same(
    corpus: Path, tmp_path: Path, where: dict[str, Any], repo_root: Path
) -> None:
    """Replayed OCR in the workers included; the second sync goes to the corpus's next version."""
    indexes, work = [], []
    for engine in ({"kind": "local"}, {"kind": "daft", "min_documents": 0, **where}):
        place = tmp_path / str(engine["kind"])
        given = {f"etl.engine.{key}": value for key, value in engine.items()} | {
            "paths.corpus": str(corpus),
            "paths.state": str(place / "state"),
            "paths.cache": str(place / "cache"),
            "etl.source.exclude": ["*.pdf", "**/*.pdf"],  # some of the others need OCR too
        }
        for version in ("v1", "v2"):
            given["etl.source.root"] = str(corpus / version / "docs")
            app = build(load_config(repo_root / "config", overrides=given))
            report = app.sync()
            work.append((version, facts(report) | {"source": ""}))
        indexes.append(everything(app.sink))
    assert work[:2] == work[2:]
    assert work[0][1]["work"]["parse"] > 50
    # A copy of the corpus has one set of fingerprints, so that even these are equal.
    assert indexes[0] == indexes[1]


def test_work_is_done_in_other_processes(tmp_path: Path) -> None:
    docs = fakes.write(tmp_path, {f"{n}.txt": f"pid {n}" for n in range(8)})
    made = partial(engine_parts.parts, str(docs), None)
    source, stages = made()
    tasks = [Task(item.document, item.fingerprint) for item in source.list().items]
    drafts = list(DaftEngine(made, workers=2, batch=2).draft(source, stages, tasks))
    pids = {chunk.text for draft in drafts for chunk in draft.chunks or ()}
    assert pids
    assert str(os.getpid()) not in pids
    assert [draft.document for draft in drafts] == [task.document for task in tasks]
    assert stages.work == {"read": 8, "parse": 8, "chunk": 8, "profile": 8}


def test_few_documents_do_not_pay(tmp_path: Path) -> None:
    """Nothing is started or imported below `min_documents`, and nothing without an engine."""
    program = (
        "import sys\nfrom functools import partial\n"
        "import agentops_ref, agentops_ref.wiring\n"
        "from agentops_ref.etl import MemorySink, sync\n"
        "from agentops_ref.etl.engines import DaftEngine\n"
        "from tests.etl import engine_parts, fakes\n"
        f"made = partial(engine_parts.parts, {str(tmp_path)!r}, None)\n"
        "engine = DaftEngine(made, runner='ray', address='nowhere:1', min_documents=3)\n"
        "report = sync(*made()[:1], MemorySink(), made()[1], fakes.AT_ONCE, engine=engine)\n"
        "assert len(report.created) == 2, report\n"
        "assert not {'daft', 'ray'} & set(sys.modules)\n"
    )
    fakes.write(tmp_path, {"a.txt": "one", "b.txt": "two"})
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


def failing(
    tmp_path: Path, texts: dict[str, str], where: dict[str, Any]
) -> tuple[MemorySink, partial[Any], DaftEngine]:
    docs = fakes.write(tmp_path / "docs", texts)
    made = partial(engine_parts.parts, str(docs), str(tmp_path / "cache"))
    return MemorySink(), made, DaftEngine(made, batch=2, workers=2, **where)


def test_what_is_no_document_s_fault_stops_the_run(tmp_path: Path, where: dict[str, Any]) -> None:
    texts = {f"{n}.txt": f"text {n}" for n in range(6)} | {"3.txt": "missing model"}
    sink, made, engine = failing(tmp_path, texts, where)
    source, stages = made()
    with pytest.raises(MissingExtra, match="a-model is not installed"):
        sync(source, sink, stages, KEEP, engine=engine)
    assert not sink.ledger()


def test_a_document_that_ends_its_worker_is_quarantined(
    tmp_path: Path, where: dict[str, Any]
) -> None:
    texts = {f"{n:02d}.txt": f"text {n}" for n in range(20)}
    ends = {"04.txt": "segfault", "13.txt": "exit"}
    marks = {name: tmp_path / f"ended-{name}" for name in ends}
    texts |= {name: f"{how} {marks[name]} {os.getpid()}" for name, how in ends.items()}
    texts["06.txt"] = f"kill once {tmp_path / 'killed'}"
    sink, made, engine = failing(tmp_path, texts, {**where, "deaths": 2})
    source, stages = made()

    report = sync(source, sink, stages, KEEP, engine=engine)

    assert report.created == tuple(sorted(texts.keys() - ends.keys()))
    assert (tmp_path / "killed").exists(), "a worker was killed, and another did that document"
    reasons = dict(report.quarantined)
    for name, how in ("04.txt", "killed by SIGSEGV"), ("13.txt", "exit code 7"):
        said = f"{name}: it ended the process that worked on it, 2 times ({how}: parsing {name})"
        assert reasons.pop(name).startswith(said)
        assert marks[name].read_text().splitlines() == [ends[name]] * 2
    assert not reasons
    if "address" in where:
        return
    assert not sync(source, sink, stages, KEEP, engine=engine).work["read"], "it is left alone"

    # Changed, it is tried again, and never in the syncing process, however few documents there are.
    fakes.write(tmp_path / "docs", {"13.txt": f"{texts['13.txt']} again", "04.txt": "mended"})
    engine = DaftEngine(made, min_documents=100, deaths=1)
    report = sync(source, sink, stages, KEEP, engine=engine)
    assert report.updated == ("04.txt",)
    assert [name for name, _ in report.quarantined] == ["13.txt"]
    assert len(marks["13.txt"].read_text().splitlines()) == 3


@pytest.mark.slow
def test_ray_is_not_let_to_try_for_ever(tmp_path: Path, ray_address: str) -> None:
    """Where an actor itself is ended, as Ray does when memory runs short."""
    texts = {f"{n:02d}.txt": f"text {n}" for n in range(8)}
    texts["05.txt"] = f"parent {tmp_path / 'ended'} {os.getpid()}"
    where = {"runner": "ray", "address": ray_address, "deaths": 1}
    sink, made, engine = failing(tmp_path, texts, where)
    source, stages = made()
    with pytest.raises(
        engine_module.EngineFailed, match=r"1 of Ray's workers .*: 04.txt, 05.txt\."
    ):
        sync(source, sink, stages, KEEP, engine=engine)
    assert (tmp_path / "ended").read_text().split() == ["parent"]
    assert not sink.ledger()


def test_a_worker_that_ends_before_it_begins_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, made, _ = failing(tmp_path, {"a.txt": "one", "b.txt": "two"}, {})
    source, stages = made()
    with pytest.raises(OperatorError, match=r"ended before it could begin \(exit code 9\)"):
        sync(source, sink, stages, KEEP, engine=DaftEngine(engine_parts.ended))
    # It ends before it has said anything at all: every worker's interpreter, no other's.
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(
        "import sys\n"
        "if any('engines.process' in a or 'udf_worker' in a for a in sys.orig_argv):\n"
        "    sys.exit('no such library')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(OperatorError, match=r"could begin .*exit code 1: .*no such library"):
        sync(source, sink, stages, KEEP, engine=DaftEngine(made))
    assert not sink.ledger()


def test_a_cluster_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    sink, made, _ = failing(tmp_path, {"a.txt": "one"}, {})
    source, stages = made()
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it lets anybody in and never answers
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        engine = DaftEngine(made, runner="ray", address=address, start_seconds=2)
        with pytest.raises(engine_module.EngineFailed, match="no answer in 2 s") as deaf_one:
            sync(source, sink, stages, KEEP, engine=engine)
    engine = DaftEngine(made, runner="ray", address=address)
    with pytest.raises(engine_module.EngineFailed, match="Connection refused") as refused:
        sync(source, sink, stages, KEEP, engine=engine)
    for error in (deaf_one, refused):
        assert f"cluster at {address} (etl.engine.address) cannot be used" in str(error.value)
        assert "a.txt" not in str(error.value)
    assert not sink.ledger()


def test_a_killed_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, made, engine = failing(tmp_path, {"a.txt": "one"}, {})
    monkeypatch.setattr(engine_module, "DRIVER", "import os; os.kill(os.getpid(), 9)")
    source, stages = made()
    with pytest.raises(engine_module.EngineFailed, match="killed by SIGKILL"):
        sync(source, sink, stages, KEEP, engine=engine)
    assert not sink.ledger()


def test_an_interrupted_sync_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARTED_BY", str(tmp_path))
    texts = {f"{n:03d}.txt": f"text {n}" for n in range(60)}
    sink, made, engine = failing(tmp_path, texts, {})
    source, stages = made()

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "parse" and done == 10:
            assert any("engines.process" in command for command in started(tmp_path))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(source, sink, stages, KEEP, engine=engine, progress=interrupt)
    assert not sink.ledger()
    deadline = time.monotonic() + 20
    while (left := started(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def started(by: Path) -> list[str]:
    """Command lines of the processes that have the mark of a test in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"STARTED_BY={by}\0".encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it is gone
    return found


def test_other_versions_on_a_worker_are_refused(tmp_path: Path) -> None:
    sink, made, _ = failing(tmp_path, {"a.txt": "one"}, {})
    source, stages = made()
    skewed = DaftEngine(partial(engine_parts.skewed, str(tmp_path / "docs"), None))
    with pytest.raises(OperatorError, match="install the same versions on every machine"):
        sync(source, sink, stages, KEEP, engine=skewed)
    with pytest.raises(OperatorError, match="could not be set up: TypeError: no such option"):
        sync(source, sink, stages, KEEP, engine=DaftEngine(engine_parts.unusable))
    assert not sink.ledger()


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, made, engine = failing(tmp_path, {"a.txt": "one"}, {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    source, stages = made()
    with pytest.raises(MissingExtra, match=r"daft is not installed.*\[engine\]"):
        sync(source, sink, stages, KEEP, engine=engine)


def test_the_wiring_knows_its_engines(repo_root: Path) -> None:
    def engine(**given: Any) -> Any:
        named = {f"etl.engine.{key}": value for key, value in given.items()}
        return build(load_config(repo_root / "config", overrides=named)).engine

    assert isinstance(engine(), LocalEngine)
    far = engine(kind="daft", runner="ray", address="head:6379", workers=9, deaths=2)
    assert (far.runner, far.address, far.workers, far.deaths) == ("ray", "head:6379", 9, 2)
    with pytest.raises(ConfigError, match=r"etl.engine.address: ray://.*give .* HOST:6379"):
        engine(kind="daft", runner="ray", address="ray://head:10001")
    with pytest.raises(ConfigError, match="did you mean 'daft'"):
        engine(kind="dafft")


def test_lines_keep_everything() -> None:
    entry = LedgerEntry("ü/\udc80.txt", "1-2", "ab", "p.c.e", 1, missing=2, error="x\ny")
    chunk = Chunk("i", "d", "v", 0, "18 Nm\u2028\ud800", "", 3, {"kind": "m"})
    task = Task("ü/\udc80.txt", "1-2", entry)
    assert wire.read_task(wire.task_line(7, task)) == (7, task)
    for draft in (
        Draft("d", entry, (chunk,), work={"read": 1}),
        Draft("d", None),
        Draft("d", entry, (), quarantined=True),
    ):
        line = wire.draft_line(7, draft)
        assert line.isascii()
        assert "\n" not in line
        assert wire.read_draft(json.loads(line)["draft"]) == draft
    for error in (MissingExtra("x", "y"), MemoryError("m"), ModuleNotFoundError("no x")):
        back = wire.read_error(json.loads(wire.error_line(1, error))["error"])
        assert isinstance(back, type(error)) or isinstance(error, type(back))
        assert str(back) == str(error)
