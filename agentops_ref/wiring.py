"""The composition root: the only place where names in YAML become objects.

Everything below this module receives what it needs as arguments; nothing below reads the
configuration file. A name is one of the short list in `PARTS`, or an import path
``package.module:factory``, so that a project plugs in its own part with one YAML line.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import logging
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.config import Config
from agentops_ref.errors import ConfigError, OperatorError, SyncRefused, nearest
from agentops_ref.records import Answer, Case, Hit, QualityReport, SyncReport
from agentops_ref.tracing import MlflowTracer, SpanLine, trace_lines

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent
    from agentops_ref.etl import AuditReport, Plan
    from agentops_ref.etl.extract import Extracted, Extractor, ExtractReport
    from agentops_ref.etl.quality import Check
    from agentops_ref.etl.summary import Summaries
    from agentops_ref.etl.tables import TablesReport
    from agentops_ref.evals import EvalResult, Scorer
    from agentops_ref.settings import VisionConfig

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""

TOOL_STEP = "tool_step.md"

PARTS: dict[str, dict[str, str]] = {
    "source": {
        "folder": "agentops_ref.etl.sources:FolderSource",
        "files": "agentops_ref.etl.sources:FilesSource",
        "http": "agentops_ref.etl.sources:HttpSource",
        "sql": "agentops_ref.etl.sources:SqlSource",
    },
    "sink": {
        "databricks": "agentops_ref.etl.sinks.databricks:DatabricksSink",
        "lancedb": "agentops_ref.etl.sinks.lance:LanceSink",
        "memory": "agentops_ref.etl.sinks.memory:MemorySink",
        "postgres": "agentops_ref.etl.sinks.postgres:PostgresSink",
    },
    "engine": {
        "daft": "agentops_ref.etl.engines:DaftEngine",
        "local": "agentops_ref.etl.engines:LocalEngine",
    },
    "completeness": {"extract": "agentops_ref.etl.extract:expected_fields"},
    "agent": {
        "chain": "agentops_ref.wiring:_chain",
        "tools": "agentops_ref.wiring:_tool_loop",
        "prompt": "agentops_ref.wiring:_direct",
        "llm": "agentops_ref.wiring:_direct",
    },
}
"""kind of part → name in YAML → import path; our own back ends come in through it as well.

A source is called with (root, include, exclude, max_bytes=..., **options), a sink with (uri,
**options), an engine other than `local` with (parts, **the rest of its section), an agent with the
`App` and gives something that is called with a question.
"""


def load(kind: str, name: str) -> Any:
    """Return the object behind ``name``: one of `PARTS` or an import path ``module:attribute``."""
    known = PARTS.get(kind, {})
    target = known.get(name, name)
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ConfigError(f"unknown {kind} '{name}'{nearest(name, tuple(known))}")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{kind} '{name}': cannot import {target}: {error}") from error


class App:
    """The wired objects, each made when it is first touched.

    ``app.sync()``, ``app.search("...")``, ``app.agent("...")`` and ``app.evaluate()`` are what
    most users need; the parts behind them (``source``, ``sink``, ``chat``, ...) are public.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    # --- models ---------------------------------------------------------------------------

    @cached_property
    def chat(self) -> Any:
        """The chat model: a LangChain `BaseChatModel`."""
        from agentops_ref.models.factory import chat_model

        paths = self.config.paths
        return chat_model(
            self.config.models,
            recordings=self.config.path(paths.recordings),
            weights=self.config.weights,
            prompts=self.config.prompts(TOOL_STEP),
        )

    @cached_property
    def embeddings(self) -> Any:
        """The embedding model: a LangChain `Embeddings` with a ``recipe``."""
        from agentops_ref.models.factory import embedding_model

        return embedding_model(
            self.config.models,
            recordings=self.config.path(self.config.paths.recordings),
            weights=self.config.weights,
        )

    @cached_property
    def ocr(self) -> Any:
        """The OCR engine: ``read(image) -> lines``, with a ``recipe``."""
        from agentops_ref.models.factory import ocr_model

        recordings = self.config.path(self.config.paths.recordings)
        return ocr_model(self.config.models, recordings=recordings)

    # --- documents ------------------------------------------------------------------------

    @cached_property
    def source(self) -> Any:
        """What is synced; see `agentops_ref.etl.sources`."""
        source = self.config.etl.source
        make = load("source", source.kind)
        root = source.root if "://" in str(source.root) else self.config.path(source.root)
        more = {"max_bytes": source.max_bytes, **source.options}
        try:
            inspect.signature(make).bind(root, source.include, source.exclude, **more)
        except TypeError as error:
            raise ConfigError(f"etl.source.options, kind {source.kind}: {error}") from None
        return make(root, source.include, source.exclude, **more)

    @cached_property
    def sink(self) -> Any:
        """The index; see `agentops_ref.etl.sinks`."""
        sink = self.config.etl.sink
        make = load("sink", sink.kind)
        if sink.kind == "memory":
            return make(**sink.options)
        uri = sink.uri if "://" in sink.uri else self.config.path(sink.uri)
        return make(uri, **sink.options)

    @cached_property
    def index(self) -> Any:
        """What is searched: the sink's newest version at each moment, or the pinned one.

        Raises
        ------
        OperatorError
            The pinned version is not kept.
        """
        pin = self.config.etl.sink.pin
        return self.sink if pin is None else self.sink.at(pin)

    @cached_property
    def stages(self) -> Any:
        """Parse → chunk → embed, with the cache of their results."""
        from agentops_ref.etl.stages import default_stages

        return default_stages(
            ocr=self.ocr,
            ocr_recipe=self.ocr.recipe,
            embeddings=self.embeddings,
            embedding_recipe=self.embeddings.recipe,
            chunk=self.config.etl.chunk,
            cache=self.config.path(self.config.paths.cache),
            retry=self.config.etl.retry,
            figures=self.config.etl.parse.figures,
            describe=self.describe,
        )

    @cached_property
    def describe(self) -> Any:
        """The vision model that describes figures; None unless `etl.parse.figures` wants one."""
        if self.config.etl.parse.figures != "describe":
            return None
        vision = self.config.models.vision
        if vision is None:
            raise ConfigError(
                "etl.parse.figures: describe needs a model: set models.vision, or choose ocr"
            )
        return _Describer(self, vision)

    @cached_property
    def vision(self) -> Any:
        """The chat model that takes images, recorded like the other one."""
        from agentops_ref.models.factory import chat_model

        models, paths = self.config.models, self.config.paths
        return chat_model(
            models.model_copy(update={"chat": models.vision}),
            recordings=self.config.path(paths.recordings),
            weights=self.config.weights,
            prompts=self.config.prompts(TOOL_STEP),
        )

    def summarise(self, name: str, data: bytes, *, progress: Progress | None = None) -> Summaries:
        """Summarise a document and its sections; asked once for each content and recipe.

        Raises
        ------
        DocumentError
            It cannot be parsed.
        """
        from agentops_ref.etl import summary
        from agentops_ref.etl.cache import StageCache
        from agentops_ref.etl.recipe import Recipe, content_hash
        from agentops_ref.etl.stages import address

        settings = self.config.etl.summaries
        ask = _Summariser(self, settings.prompt)
        made_by = {"ask": ask.recipe, "parse": self.stages.recipes.parse.hash}
        limits = settings.model_dump(mode="json", exclude={"prompt"})
        recipe = Recipe("summarise", summary.SUMMARY_VERSION, {**made_by, **limits})
        cache = StageCache(self.config.path(self.config.paths.cache))
        key = address(content_hash(data), name)
        stored = cache.get("summarise", recipe.hash, key)
        if isinstance(stored, dict):
            with suppress(KeyError, TypeError):  # damaged: made again
                return dataclasses.replace(summary.of_json(stored), document=name)
        elements = self.stages.parse(name, data)
        found = summary.summarise(
            elements, document=name, ask=ask, settings=settings, progress=progress
        )
        cache.put("summarise", recipe.hash, key, summary.as_json(found))
        return found

    @cached_property
    def engine(self) -> Any:
        """Where documents are read, parsed and chunked; see `agentops_ref.etl.engines`."""
        given = self.config.etl.engine.model_dump(exclude={"kind"})
        kind = self.config.etl.engine.kind
        make = load("engine", kind)
        return make() if kind == "local" else make(partial(_parts, self.config), **given)

    def plan(self) -> Plan:
        """Return what a sync would do now; reads a listing and the ledger, changes nothing."""
        from agentops_ref.etl.plan import diff

        ledger = self.sink.snapshot().ledger()
        return diff(self.source.list(), ledger, self.stages.recipe, self.config.etl.deletion)

    def audit(
        self, *, repair: bool = False, wait: float = 0, progress: Progress | None = None
    ) -> AuditReport:
        """Compare source, ledger, chunks and vectors; see `agentops_ref.etl.audit`."""
        from agentops_ref.etl.audit import audit

        return audit(
            self.source, self.sink, self.stages, repair=repair, wait=wait, progress=progress
        )

    def sync(
        self,
        *,
        progress: Progress | None = None,
        allow_mass_deletion: bool = False,
        accept_quality: bool = False,
        wait: float = 0,
    ) -> SyncReport:
        """Bring the index in step with the source, in one atomic commit.

        With ``accept_quality`` failed expectations are reported and stop nothing.

        Raises
        ------
        OperatorError
            The source cannot be listed at all.
        TransientError
            Another sync holds the index for longer than ``wait`` seconds.
        """
        from agentops_ref.etl.sync import sync

        report = sync(
            self.source,
            self.sink,
            self.stages,
            self.config.etl.deletion,
            progress=progress,
            allow_mass_deletion=allow_mass_deletion,
            wait=wait,
            engine=self.engine,
            quality=self.quality_check(accept=accept_quality),
        )
        if report.quality is not None:
            self._keep_quality(report.quality)
        return report

    # --- quality --------------------------------------------------------------------------

    def quality_check(self, *, accept: bool = False) -> Check:
        """Return the expectations of ``etl.quality``, as a sync is given them.

        Raises
        ------
        ConfigError
            An expectation that makes no sense, or a ``completeness`` that cannot be imported.
        """
        from agentops_ref.etl.quality import Check, expectations

        settings = self.config.etl.quality
        completeness = settings.completeness and load("completeness", settings.completeness)
        if settings.completeness == "extract":
            completeness = completeness(lambda: self.extractor.schema)
        return Check(
            expectations(settings.expectations),
            level=settings.level,
            fewest=settings.fewest,
            completeness=completeness or None,
            accept=accept,
        )

    def quality(self, *, progress: Progress | None = None) -> QualityReport:
        """Judge the index as it stands; see `agentops_ref.etl.quality.whole`."""
        from agentops_ref.etl.quality import whole_index

        held = self.index if self.config.etl.sink.pin is not None else self.sink.snapshot()
        check = self.quality_check()
        report = whole_index(self.source, held, self.stages, check, progress=progress)
        self._keep_quality(report, track=False)
        return report

    def quality_reports(self, scope: str = "sync") -> list[QualityReport]:
        """Return the kept reports of the source, oldest first."""
        from agentops_ref.etl.quality import recent

        return recent(self.source.name, self._quality_folder, scope=scope)

    def track_quality(self, report: QualityReport) -> str:
        """Log a report as an MLflow run: numbers, the report, the plot. Return the run's id."""
        from dataclasses import asdict

        from agentops_ref.etl.quality import describe
        from agentops_ref.etl.quality.plot import plot_quality

        mlflow = self.tracer.connect()
        tags = {
            "kind": f"quality of {report.scope}",
            "index_version": str(report.index_version),
            "source": report.source,
            "refused": str(bool(report.refused)).lower(),
        }
        with mlflow.start_run(run_name=f"quality-{report.scope}", tags=tags) as run:
            counts = dict.fromkeys(("pass", "fail", "not enough"), 0)
            for verdict in report.verdicts:
                counts[verdict.state] += 1
            states = {f"expectations.{s.replace(' ', '_')}": n for s, n in counts.items()}
            mlflow.log_metrics({**report.metrics, **states, "documents": report.documents})
            mlflow.log_dict(asdict(report), "quality.json")
            mlflow.log_text(describe(report), "quality.txt")
            earlier = self.quality_reports(report.scope)
            mlflow.log_figure(plot_quality(report, earlier), "quality.png")
            return str(run.info.run_id)

    @property
    def _quality_folder(self) -> Path:
        return self.config.path(self.config.paths.state) / "quality"

    def _keep_quality(self, report: QualityReport, *, track: bool = True) -> None:
        """Keep a report on disk and, if asked for, in MLflow; a failure fails no sync."""
        from agentops_ref.etl.quality import keep

        settings = self.config.etl.quality
        try:
            keep(report, self._quality_folder, last=settings.keep)
            if track and settings.mlflow:
                self.track_quality(report)
        except Exception as error:  # whatever a store raises, the sync was done
            log.warning("cannot keep the quality report: %s: %s", type(error).__name__, error)

    def ensure_index(self, *, progress: Progress | None = None) -> None:
        """Sync if the index is empty, so that a first question needs no preparation."""
        if self.sink.ledger():
            return
        source = self.config.etl.source
        root = self.config.path(source.root)
        if source.kind == "folder" and not root.is_dir():
            raise OperatorError(
                f"nothing to search: no index yet, and {root} does not exist: check the path; for "
                "the sample corpus run `agentops corpus build`"
            )
        if (report := self.sync(progress=progress)).refused:
            raise SyncRefused(report.refused)
        self.sync_tables()

    @cached_property
    def search(self) -> Any:
        """``search(query, k=None, mode=None, filters=None) -> list[Hit]``."""
        from agentops_ref.etl.search import Searcher

        return Searcher(self.index, self.embeddings, self.config.retrieval)

    def langchain_retriever(
        self, *, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the index as a LangChain `BaseRetriever`."""
        from agentops_ref.etl.adapters.langchain import IndexRetriever

        return IndexRetriever(search=self.search, k=k, filters=filters)

    def llama_index_retriever(
        self, *, k: int | None = None, filters: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the index as a LlamaIndex `BaseRetriever`."""
        from agentops_ref.etl.adapters.llama_index import IndexRetriever

        return IndexRetriever(self.search, k=k, filters=filters)

    # --- tables ---------------------------------------------------------------------------

    @cached_property
    def tables(self) -> Any:
        """The Delta tables; ``tables.query(sql, parameters)`` reads them through DuckDB."""
        from agentops_ref.etl.tables import DeltaTables
        from agentops_ref.etl.tabular.declared import limits, policy

        tables = self.config.etl.tables
        return DeltaTables(
            self.config.path(tables.uri),
            max_share=tables.max_share,
            wait=tables.wait_seconds,
            policy=policy(tables),
            limits=limits(tables),
            views=lambda: self.extractor.schema.views,
        )

    def merge_tables(self, *, allow_mass_deletion: bool = False) -> TablesReport:
        """Merge all sources of tables; what failed stands in the report, and the others landed."""
        from agentops_ref.etl.tabular.declared import declared

        found = declared(self.config.etl.tables, self.config.path)
        report: TablesReport = self.tables.sync_sources(
            found, allow_mass_deletion=allow_mass_deletion
        )
        return report

    def sync_tables(self, *, allow_mass_deletion: bool = False) -> Mapping[str, Mapping[str, int]]:
        """Merge all sources of tables; counts per table, none for one that did not change.

        Raises
        ------
        AgentOpsError
            One failed; the others have landed.
        """
        return self.merge_tables(allow_mass_deletion=allow_mass_deletion).require().counts

    # --- records --------------------------------------------------------------------------

    @cached_property
    def extractor(self) -> Extractor:
        """The extraction of typed records from documents; see `agentops_ref.etl.extract`."""
        from agentops_ref.etl.extract import Extractor, ResultStore, load_schema

        wanted, cache = self.config.etl.extract, self.config.paths.cache
        return Extractor(
            load_schema(self.config.shipped(wanted.schema_file)),
            parse=self.stages.recipes.parse.hash,
            ask=_Asking(self) if wanted.model else None,
            store=ResultStore(self.config.path(cache)),
        )

    def extract(self, *, progress: Progress | None = None) -> ExtractReport:
        """Make the tables of records say what the index's documents say."""
        from agentops_ref.etl.extract import follow

        return follow(
            self.sink.snapshot().ledger(),
            self.source,
            self.stages,
            self.extractor,
            self.tables,
            progress=progress,
        )

    def extract_file(self, name: str, data: bytes) -> Extracted:
        """Return the records of one file that need not be in the index; lands nothing.

        Raises
        ------
        DocumentError
            The file cannot be parsed.
        """
        from agentops_ref.etl.extract import Source
        from agentops_ref.etl.recipe import content_hash

        content = content_hash(data)
        elements = tuple(self.stages.parse(name, data))
        return self.extractor.extract(Source(name, content[:12], elements), content)

    # --- the agent ------------------------------------------------------------------------

    @cached_property
    def tracer(self) -> MlflowTracer:
        """Where traces and evaluation runs go."""
        uri, prefix = self.config.tracking.uri, "sqlite:///"
        if uri.startswith(prefix):
            uri = f"{prefix}{self.config.path(uri.removeprefix(prefix))}"
        return MlflowTracer(uri, self.config.tracking.experiment)

    def trace(self, trace_id: str) -> list[SpanLine]:
        """Return a trace's tree, one line a span, with time, tokens and cost."""
        return trace_lines(self.tracer.connect().get_trace(trace_id))

    @cached_property
    def agent(self) -> Agent:
        """The configured agent: a question in, an `Answer` out."""
        return self.agent_of(self.config.agent.kind)

    def agent_of(self, kind: str) -> Agent:
        """Return an agent of another kind over the same parts, for comparisons."""
        make = load("agent", kind)
        if make is _direct:
            make = partial(_direct, kind=kind)
        return _Versioned(make(self), self, kind)

    def prompt_of(self, kind: str) -> Any:
        """Return the prompt of a kind of agent."""
        from agentops_ref.agents.prompts import load_prompt

        prompts = self.config.agent.prompts
        if kind not in prompts:
            known = nearest(kind, tuple(prompts))
            raise ConfigError(f"agent.prompts: no prompt for '{kind}'{known}")
        return load_prompt(self.config.prompts(prompts[kind]), prompts[kind])

    def usage_of(self, message: Any) -> Any:
        """Return tokens and cost of one model call, at the configured prices."""
        from agentops_ref.models.factory import usage_of

        return usage_of(message, self.config.models.chat)

    # --- evaluation -----------------------------------------------------------------------

    def cases(self, *, slices: Sequence[str] = (), corpus_version: int | None = None) -> list[Case]:
        """Return the evaluation cases, all or some."""
        from agentops_ref.evals import load_cases, select

        cases = load_cases(self.config.path(self.config.evals.cases))
        return select(cases, slices=slices or None, corpus_version=corpus_version)

    def scorers(self) -> list[Scorer]:
        """Return the configured scorers."""
        from agentops_ref.evals import load_scorers

        return load_scorers(self.config.evals.scorers)

    def evaluate(
        self,
        cases: Sequence[Case] | None = None,
        *,
        agent: Agent | None = None,
        run_name: str = "evaluation",
        progress: Progress | None = None,
    ) -> EvalResult:
        """Run the agent on the cases and score its answers, as one MLflow run.

        ``agent`` takes the place of the configured one: one of `agent_of`, or the caller's own.
        """
        from agentops_ref.evals import evaluate

        answer = agent or self.agent
        return evaluate(
            self.cases(corpus_version=1) if cases is None else cases,
            lambda case: answer(case.question),
            self.scorers(),
            tracer=self.tracer,
            run_name=run_name,
            params={
                "agent": _kind_of(answer),
                "model": self.config.models.chat.name,
                "mode": self.config.models.mode,
                "index_version": self.index.version,
                "retrieval": self.config.retrieval.model_dump_json(),
            },
            progress=progress and (lambda done, total, _: progress("evaluate", done, total)),
        )

    def verify_recordings(self, *, sample: int, seed: int, progress: Progress | None = None) -> Any:
        """Ask the live models a random sample of what is recorded; see `models.verify`.

        Compares up to ``sample`` each of chats, of the index's texts and of the source's scans.
        """
        import random
        from itertools import islice

        from agentops_ref.etl.scans import scans
        from agentops_ref.etl.sinks.base import searchable
        from agentops_ref.models.verify import verify

        self.ensure_index(progress=progress)
        rng = random.Random(seed)
        index = self.sink.snapshot()
        chunks = [chunk for name in sorted(index.ledger()) for chunk in index.chunks_of(name)]
        documents = sorted(item.document for item in self.source.list().items)
        rng.shuffle(documents)
        return verify(
            self.config.path(self.config.paths.recordings),
            self.config.models,
            weights=self.config.weights,
            prompts=self.config.prompts(TOOL_STEP),
            sample=sample,
            rng=rng,
            texts=map(searchable, rng.sample(chunks, min(sample, len(chunks)))),
            images=islice(scans(self.source, documents), sample),
            progress=progress,
        )


class _Asking:
    """Asks the chat model to fill a form, with a prompt of the configuration."""

    def __init__(self, app: App) -> None:
        self._app = app

    def _prompt(self, name: str) -> Any:
        from agentops_ref.agents.prompts import load_prompt

        return load_prompt(self._app.config.prompts(name), name)

    def recipe(self, prompt: str) -> str:
        chat = self._app.config.models.chat
        decides = (chat.name, chat.digest, chat.temperature, chat.seed, chat.max_output_tokens)
        return f"{'/'.join(map(str, decides))}/{self._prompt(prompt).digest}"

    def __call__(self, prompt: str, schema: Mapping[str, Any], document: str) -> Any:
        form = self._app.chat.with_structured_output(dict(schema))
        return form.invoke(self._prompt(prompt).messages(document=document))


class _Versioned:
    """Adds to each answer the index version that it was read from."""

    def __init__(self, agent: Agent, app: App, kind: str) -> None:
        self._agent, self._app, self.kind = agent, app, kind

    def __call__(self, question: str, *, filters: Mapping[str, Any] | None = None) -> Answer:
        version = self._app.index.version
        return dataclasses.replace(self._agent(question, filters=filters), index_version=version)


class _Summariser:
    """The chat model behind the summaries' prompt."""

    def __init__(self, app: App, prompt: str) -> None:
        from agentops_ref.agents.prompts import load_prompt

        self._app, self._prompt = app, load_prompt(app.config.prompts(prompt), prompt)

    @property
    def recipe(self) -> str:
        return _recipe_of(self._app.config.models.chat, self._prompt.digest)

    def __call__(self, document: str, text: str) -> str:
        filled = self._prompt.messages(document=document, text=text)
        return str(self._app.chat.invoke(filled).text)


class _Describer:
    """The vision model behind its prompt."""

    def __init__(self, app: App, vision: VisionConfig) -> None:
        from agentops_ref.agents.prompts import load_prompt

        self._app, self._vision = app, vision
        self._prompt = load_prompt(app.config.prompts(self._vision.prompt), self._vision.prompt)
        self.name: str = self._vision.name

    @property
    def recipe(self) -> str:
        return _recipe_of(self._vision, self._prompt.digest)

    def __call__(self, image_png: bytes) -> str:
        *before, last = self._prompt.messages()
        url = f"data:image/png;base64,{b64encode(image_png).decode()}"
        picture = {"type": "image_url", "image_url": {"url": url}}
        asked = last.model_copy(update={"content": [{"type": "text", "text": last.text}, picture]})
        return str(self._app.vision.invoke([*before, asked]).text)


def _recipe_of(chat: Any, prompt: str) -> str:
    """Name a chat model and a prompt by all that decides what is answered."""
    from agentops_ref.etl.recipe import text_hash

    named = chat.model_dump(mode="json", exclude={"threads", "price_input", "price_output"})
    return f"{prompt}/{text_hash(json.dumps(named, sort_keys=True))[:12]}"


def _kind_of(agent: Agent) -> str:
    """Return what a run's log calls an agent: its kind, or the name that its author gave it."""
    if isinstance(agent, _Versioned):
        return agent.kind
    return str(getattr(agent, "__name__", type(agent).__name__))


def _parts(config: Config) -> tuple[Any, Any]:
    """Return the source and stages of a configuration; called in each worker of an engine."""
    app = App(config)
    return app.source, app.stages


def _chain(app: App) -> Agent:
    from agentops_ref.agents.chain import Chain

    agent = app.config.agent
    return Chain(
        search=app.search,
        model=app.chat,
        prompt=app.prompt_of("chain"),
        usage_of=app.usage_of,
        context_chars=agent.context_chars,
        min_support=agent.min_support,
        tracer=app.tracer,
    )


def _tool_loop(app: App) -> Agent:
    from agentops_ref.agents.loop import ToolLoop
    from agentops_ref.agents.tools import records_tool

    agent = app.config.agent
    return ToolLoop(
        search=app.search,
        tools=lambda: [records_tool(app.tables.query)],
        model=app.chat,
        prompt=app.prompt_of("tools"),
        usage_of=app.usage_of,
        context_chars=agent.context_chars,
        min_support=agent.min_support,
        max_steps=agent.max_steps,
        tracer=app.tracer,
    )


def _direct(app: App, kind: str = "llm") -> Agent:
    from agentops_ref.agents.chain import Direct

    return Direct(
        model=app.chat, prompt=app.prompt_of(kind), usage_of=app.usage_of, tracer=app.tracer
    )


def build(config: Config) -> App:
    """Wire the package as the configuration says. Cheap: parts are made when they are touched."""
    return App(config)


__all__ = ["PARTS", "App", "Hit", "build", "load"]
