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
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from agentops_ref.config import Config
from agentops_ref.errors import ConfigError, OperatorError, nearest
from agentops_ref.records import Answer, Case, Hit, SyncReport
from agentops_ref.tracing import MlflowTracer, SpanLine, trace_lines

if TYPE_CHECKING:
    from agentops_ref.agents.chain import Agent
    from agentops_ref.etl import AuditReport, Plan
    from agentops_ref.etl.summary import Summaries
    from agentops_ref.evals import EvalResult, Scorer
    from agentops_ref.settings import VisionConfig

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
    "agent": {
        "chain": "agentops_ref.wiring:_chain",
        "tools": "agentops_ref.wiring:_tool_loop",
        "prompt": "agentops_ref.wiring:_direct",
        "llm": "agentops_ref.wiring:_direct",
    },
}
"""kind of part → name in YAML → import path; our own back ends come in through it as well.

A source is called with (root, include, exclude, max_bytes=..., **options), a sink with (uri,
**options), an agent with the `App` and gives something that is called with a question.
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
        wait: float = 0,
    ) -> SyncReport:
        """Bring the index in step with the source, in one atomic commit.

        Raises
        ------
        OperatorError
            The source cannot be listed at all.
        TransientError
            Another sync holds the index for longer than ``wait`` seconds.
        """
        from agentops_ref.etl.sync import sync

        return sync(
            self.source,
            self.sink,
            self.stages,
            self.config.etl.deletion,
            progress=progress,
            allow_mass_deletion=allow_mass_deletion,
            wait=wait,
        )

    def ensure_index(self, *, progress: Progress | None = None) -> None:
        """Sync if the index is empty, so that a first question needs no preparation."""
        if self.sink.ledger():
            return
        source = self.config.etl.source
        root = self.config.path(source.root)
        if source.kind == "folder" and not root.is_dir():
            raise OperatorError(f"nothing to search: {root} does not exist; agentops corpus build")
        self.sync(progress=progress)
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

        return DeltaTables(self.config.path(self.config.etl.tables.uri))

    def sync_tables(self, *, allow_mass_deletion: bool = False) -> Mapping[str, Mapping[str, int]]:
        """Merge the CSV files into their Delta tables; counts per table that changed."""
        root = self.config.etl.tables.root
        if root is None or not self.config.path(root).is_dir():
            return {}
        changed: Mapping[str, Mapping[str, int]] = self.tables.sync(
            self.config.path(root), allow_mass_deletion=allow_mass_deletion
        )
        return changed

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
