"""Three libraries interrupted in the middle of an update, and what readers are served after it.

Used in chapter 3. Each gets the same documents, the same embedding model and the same failure: the
model stops answering after some texts of the second run, as a killed process or an outage would.
The stores are the libraries' own in memory, so that what is seen is the order of their steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from langchain_core.embeddings import Embeddings

Served = Literal["kept", "old", "new", "both", "nothing"]
"""What a search can return of a document: its one version, or of an earlier and a later one."""
Documents = Mapping[str, str]
"""Name → text."""


class Outage(RuntimeError):
    """The embedding model does not answer any more."""


class Failing(Embeddings):
    """An embedding model that answers for so many texts only; None for all of them."""

    def __init__(self, inner: Embeddings, texts: int | None = None) -> None:
        self.inner, self.left = inner, texts

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        found = []
        for text in texts:
            if self.left is not None:
                if self.left < 1:
                    raise Outage("the embedding model does not answer")
                self.left -= 1
            found += self.inner.embed_documents([text])
        return found

    def embed_query(self, text: str) -> list[float]:
        return self.inner.embed_query(text)


def this_package(
    before: Documents, after: Documents, embed: Embeddings, texts: int, folder: Path
) -> dict[str, Served]:
    """Interrupt `agentops_ref.etl.sync` over a folder; return what each document is served as."""
    from agentops_ref.etl import FolderSource, MemorySink, Recipe, Recipes, Stages, sync
    from agentops_ref.etl.parse import parse
    from agentops_ref.records import Chunk
    from agentops_ref.settings import DeletionConfig
    from agentops_ref.testing import ScriptedOcr

    def whole(elements: Any, document: str, version: str) -> list[Chunk]:
        text = "\n".join(element.text for element in elements)
        return [Chunk(f"{document}#{version}", document, version, 0, text, "")]

    def run(model: Embeddings) -> None:
        recipes = Recipes(Recipe("parse", "1"), Recipe("chunk", "1"), Recipe("embed", "1"))
        ocr = ScriptedOcr()
        stages = Stages(lambda name, data: parse(name, data, ocr=ocr), whole, model, recipes)
        sync(FolderSource(folder), sink, stages, DeletionConfig(listings=1, max_share=1.0))

    sink = MemorySink()
    _write(folder, before)
    run(Failing(embed))
    _write(folder, after)
    _until_the_outage(lambda: run(Failing(embed, texts)))
    held = [(owner, chunk.text) for owner, chunk, _ in sink.stored()]
    return _served(before, after, held)


def llama_index(
    before: Documents, after: Documents, embed: Embeddings, texts: int
) -> dict[str, Served]:
    """Interrupt LlamaIndex's `IngestionPipeline` with the strategy UPSERTS_AND_DELETE."""
    from llama_index.core import Document
    from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import TransformComponent
    from llama_index.core.storage.docstore import SimpleDocumentStore
    from llama_index.core.vector_stores import SimpleVectorStore

    said: dict[str, str] = {}

    class Embed(TransformComponent):
        """The embedding step; keeps what text each node had, which the store does not."""

        limit: int | None = None

        def __call__(self, nodes: Any, **_: Any) -> Any:
            model = Failing(embed, self.limit)
            for node in nodes:
                node.embedding = model.embed_documents([node.text])[0]
                said[node.node_id] = node.text
            return nodes

    store, docstore = SimpleVectorStore(), SimpleDocumentStore()
    split = SentenceSplitter(chunk_size=512, chunk_overlap=0, tokenizer=str.split)

    def run(documents: Documents, limit: int | None) -> None:
        IngestionPipeline(
            transformations=[split, Embed(limit=limit)],
            vector_store=store,
            docstore=docstore,
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
            disable_cache=True,
        ).run(documents=[Document(id_=name, text=text) for name, text in documents.items()])

    run(before, None)
    _until_the_outage(lambda: run(after, texts))
    owners = store.data.text_id_to_ref_doc_id
    held = [(owners[node], said[node]) for node in store.data.embedding_dict]
    return _served(before, after, held)


def langchain(
    before: Documents, after: Documents, embed: Embeddings, texts: int
) -> dict[str, Served]:
    """Interrupt LangChain's `index` with ``cleanup="full"``, one document a batch."""
    run, store = _langchain(embed)
    run(before, None)
    _until_the_outage(lambda: run(after, texts))
    return _served(before, after, _held_by(store))


def langchain_after_a_loss(documents: Documents, embed: Embeddings, lost: str) -> dict[str, Served]:
    """Take a document out of LangChain's store behind its back, index again, and look."""
    run, store = _langchain(embed)
    run(documents, None)
    store.delete([key for key, row in store.store.items() if row["metadata"]["source"] == lost])
    run(documents, None)
    return _served(documents, documents, _held_by(store))


def _langchain(embed: Embeddings) -> tuple[Callable[[Documents, int | None], None], Any]:
    from langchain_core.documents import Document
    from langchain_core.indexing import InMemoryRecordManager, index
    from langchain_core.vectorstores import InMemoryVectorStore

    model = Failing(embed)
    store, records = InMemoryVectorStore(model), InMemoryRecordManager("demonstration")
    records.create_schema()

    def run(documents: Documents, limit: int | None) -> None:
        model.left = limit
        index(
            [Document(text, metadata={"source": name}) for name, text in documents.items()],
            records,
            store,
            batch_size=1,
            cleanup="full",
            source_id_key="source",
            key_encoder="sha256",
        )

    return run, store


def _held_by(store: Any) -> list[tuple[str, str]]:
    return [(row["metadata"]["source"], row["text"]) for row in store.store.values()]


def _until_the_outage(run: Callable[[], None]) -> None:
    try:
        run()
    except Outage:
        return
    raise AssertionError("the second run was to be interrupted, and was not")


def _served(
    before: Documents, after: Documents, held: Iterable[tuple[str, str]]
) -> dict[str, Served]:
    """Say for each document which of its versions a search could return."""
    texts: dict[str, set[str]] = {}
    for name, text in held:
        texts.setdefault(name, set()).add(text.strip())
    served: dict[str, Served] = {}
    for name in sorted({*before, *after}):
        there = texts.get(name, set())
        old, new = before.get(name, "").strip() in there, after.get(name, "").strip() in there
        if old and new:
            served[name] = "kept" if before[name] == after[name] else "both"
        elif new:
            served[name] = "new"
        else:
            served[name] = "old" if old else "nothing"
    return served


def _write(folder: Path, documents: Documents) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
