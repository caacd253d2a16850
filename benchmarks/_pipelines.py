"""Four ways to keep a folder of texts in an index, each with the same chunks, vectors and store.

A chunk is a paragraph, a vector costs nothing (`HashEmbeddings`), the store is LanceDB in a folder,
and each run starts from what the one before left on disk, as a scheduled one does. Each reads the
folder with its own reader. What is left is each library's own work. Ours builds a full-text index
besides; the others are not asked to.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agentops_ref.testing import HashEmbeddings

DIMENSIONS = 64
Held = Counter[tuple[str, str]]
"""(document, text) → how often the index holds it."""


class Pipeline(Protocol):
    """One way to do it. ``run`` brings the index in step with the folder."""

    name: str

    def run(self) -> None: ...

    def held(self) -> Held: ...

    def close(self) -> None: ...


def paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n\n+", text.strip()) if part]


def text_of(path: Path) -> str:
    """Return a file's paragraphs. All four use this parser for what is not plain text."""
    from agentops_ref.etl.parse import parse

    if path.suffix == ".txt":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(e.text for e in parse(path.name, path.read_bytes(), ocr=None))


def expected(folder: Path) -> Held:
    """Return what an index that was built from scratch would hold."""
    return Counter(
        (path.relative_to(folder).as_posix(), part)
        for path in folder.rglob("*.*")
        for part in paragraphs(text_of(path))
    )


def held_in(uri: Path, table: str, document: str, text: str) -> Held:
    """Read the store itself, past the library that wrote it."""
    import lancedb

    rows = lancedb.connect(str(uri)).open_table(table).to_arrow()
    found = zip(rows[document].to_pylist(), rows[text].to_pylist(), strict=True)
    return Counter((str(name), str(part)) for name, part in found)


class Ours:
    """`agentops_ref.etl.sync` with the LanceDB sink."""

    name = "agentops_ref"

    def __init__(self, folder: Path, state: Path) -> None:
        from agentops_ref.etl import FolderSource, LanceSink, Recipe, Recipes, StageCache, Stages
        from agentops_ref.etl.parse import parse
        from agentops_ref.records import Chunk
        from agentops_ref.settings import DeletionConfig

        def each(elements: Any, document: str, version: str) -> list[Chunk]:
            return [
                Chunk(f"{document}#{version}#{n}", document, version, n, element.text, "")
                for n, element in enumerate(elements)
            ]

        self.source, self.sink = FolderSource(folder), LanceSink(state / "index")
        self.stages = Stages(
            lambda name, data: parse(name, data, ocr=None),
            each,
            HashEmbeddings(DIMENSIONS),
            Recipes(Recipe("parse", "1"), Recipe("chunk", "1"), Recipe("embed", "1")),
            cache=StageCache(state / "cache"),
            profiles=False,  # nobody's work here is judged
        )
        self.deletion = DeletionConfig(listings=1, max_share=0.3)

    def run(self) -> None:
        from agentops_ref.etl import sync

        report = sync(self.source, self.sink, self.stages, self.deletion)
        assert not report.refused

    def held(self) -> Held:
        return Counter((owner, chunk.text) for owner, chunk, _ in self.sink.stored())

    def close(self) -> None:
        pass


class LangChain:
    """`langchain.indexes.index` with ``cleanup="full"`` and its record manager on SQLite."""

    name = "LangChain index(cleanup='full')"

    def __init__(self, folder: Path, state: Path) -> None:
        from langchain_classic.indexes import SQLRecordManager
        from langchain_community.vectorstores import LanceDB

        class Mended(LanceDB):
            """As it is, it asks for one row whose id is all ids joined, and deletes nothing."""

            def delete(self, ids: Any = None, **more: Any) -> None:
                self.get_table().delete(f"id IN ({', '.join(map(repr, ids))})")

        state.mkdir(parents=True)
        self.folder, self.uri = folder, state / "index"
        self.records = SQLRecordManager("docs", db_url=f"sqlite:///{state / 'records.sqlite'}")
        self.records.create_schema()
        self.store = Mended(
            uri=str(self.uri), embedding=HashEmbeddings(DIMENSIONS), table_name="t", mode="append"
        )

    def run(self) -> None:
        from langchain_community.document_loaders import DirectoryLoader, TextLoader
        from langchain_core.document_loaders import BaseLoader
        from langchain_core.documents import Document
        from langchain_core.indexing import index

        class Parsed(BaseLoader):
            def __init__(self, path: str) -> None:
                self.path = path

            def lazy_load(self) -> Iterator[Document]:
                yield Document(text_of(Path(self.path)), metadata={"source": self.path})

        kinds = (("**/*.txt", TextLoader), ("**/*.html", Parsed))
        documents = (
            Document(part, metadata=document.metadata)
            for glob, loader in kinds
            for document in DirectoryLoader(
                str(self.folder), glob=glob, loader_cls=loader
            ).lazy_load()
            for part in paragraphs(document.page_content)
        )
        index(
            documents,
            self.records,
            self.store,
            cleanup="full",
            source_id_key="source",
            key_encoder="sha256",
            batch_size=500,
        )

    def held(self) -> Held:
        import lancedb

        rows = lancedb.connect(str(self.uri)).open_table("t").to_arrow()
        found = zip(rows["metadata"].to_pylist(), rows["text"].to_pylist(), strict=True)
        return Counter((_relative(facts["source"], self.folder), part) for facts, part in found)

    def close(self) -> None:
        self.records.engine.dispose()


class LlamaIndex:
    """`IngestionPipeline` with ``DocstoreStrategy.UPSERTS_AND_DELETE``, docstore on disk."""

    name = "LlamaIndex UPSERTS_AND_DELETE"

    def __init__(self, folder: Path, state: Path) -> None:
        from llama_index.core.node_parser import TextSplitter
        from llama_index.core.schema import TransformComponent
        from llama_index.core.storage.docstore import SimpleDocumentStore
        from llama_index.vector_stores.lancedb import LanceDBVectorStore

        model = HashEmbeddings(DIMENSIONS)

        class Split(TextSplitter):
            def split_text(self, text: str) -> list[str]:
                return paragraphs(text)

        class Mended(LanceDBVectorStore):
            """As it is, it quotes the id as a column's name, and LanceDB refuses that."""

            def delete(self, ref_doc_id: str, **more: Any) -> None:
                self.table.delete(f"doc_id = {ref_doc_id!r}")

        class Embed(TransformComponent):
            def __call__(self, nodes: Any, **_: Any) -> Any:
                vectors = model.embed_documents([node.text for node in nodes])
                for node, vector in zip(nodes, vectors, strict=True):
                    node.embedding = vector
                return nodes

        state.mkdir(parents=True)
        self.folder, self.uri, self.docstore = folder, state / "index", state / "docstore.json"
        self.steps = [Split(), Embed()]
        self.store = Mended(uri=str(self.uri), table_name="t", mode="create")
        SimpleDocumentStore().persist(str(self.docstore))

    def run(self) -> None:
        from llama_index.core import Document, SimpleDirectoryReader
        from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
        from llama_index.core.readers.base import BaseReader
        from llama_index.core.storage.docstore import SimpleDocumentStore

        class Parsed(BaseReader):
            def load_data(self, file: Path, extra_info: Any = None) -> list[Document]:
                return [Document(text=text_of(Path(file)), metadata=extra_info or {})]

        documents = SimpleDirectoryReader(
            str(self.folder),
            recursive=True,
            filename_as_id=True,
            file_extractor={".html": Parsed()},
        ).load_data()
        known = SimpleDocumentStore.from_persist_path(str(self.docstore))
        IngestionPipeline(
            transformations=self.steps,
            vector_store=self.store,
            docstore=known,
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
            disable_cache=True,
        ).run(documents=documents)
        known.persist(str(self.docstore))

    def held(self) -> Held:
        found = held_in(self.uri, "t", "doc_id", "text")
        # The reader puts "_part_0" behind a name, as a file may give several documents.
        return Counter(
            {
                (_relative(name.removesuffix("_part_0"), self.folder), part): count
                for (name, part), count in found.items()
            }
        )

    def close(self) -> None:
        pass


class CocoIndex:
    """A CocoIndex app from a folder to a LanceDB table, as in its documentation's example."""

    name = "CocoIndex"

    def __init__(self, folder: Path, state: Path) -> None:
        from dataclasses import make_dataclass
        from typing import Annotated

        os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"  # nothing leaves the machine
        import cocoindex as coco
        import lancedb as store
        from cocoindex.connectors import lancedb, localfs
        from cocoindex.ops.text import SeparatorSplitter
        from cocoindex.resources.schema import VectorSchema
        from numpy.typing import NDArray

        state.mkdir(parents=True)
        self.uri = state / "index"
        model, splitter = HashEmbeddings(DIMENSIONS), SeparatorSplitter([r"\n\n+"])
        database: Any = coco.ContextKey("database")
        vector = Annotated[NDArray[np.float32], VectorSchema(np.dtype(np.float32), DIMENSIONS)]
        row = make_dataclass(
            "Row", [("id", str), ("document", str), ("text", str), ("vector", vector)]
        )

        @coco.lifespan
        async def connected(builder: Any) -> Any:
            builder.settings.db_path = state / "state.db"
            builder.provide(database, await store.connect_async(str(self.uri)))
            yield

        @coco.fn(memo=True)
        async def one(file: Any, table: Any) -> None:
            name = file.file_path.path.relative_to(folder).as_posix()
            if name.endswith(".txt"):
                text = await file.read_text()
            else:
                text = text_of(folder / name)
            found = [part.text for part in splitter.split(text)]
            for n, (part, made) in enumerate(zip(found, model.embed_documents(found), strict=True)):
                vector = np.asarray(made, np.float32)
                table.declare_row(
                    row=row(id=f"{name}#{n}", document=name, text=part, vector=vector)
                )

        @coco.fn
        async def whole(where: Path) -> None:
            schema = await lancedb.TableSchema.from_class(row, primary_key=["id"])
            table = await lancedb.mount_table_target(database, table_name="t", table_schema=schema)
            files = localfs.walk_dir(where, recursive=True)
            await coco.mount_each(one, files.items(), table)

        self.app = coco.App(coco.AppConfig(name="benchmark"), whole, folder)

    def run(self) -> None:
        self.app.update_blocking()

    def held(self) -> Held:
        return held_in(self.uri, "t", "document", "text")

    def close(self) -> None:
        import cocoindex as coco

        coco.stop_blocking()


def _relative(name: str, folder: Path) -> str:
    return Path(name).relative_to(folder).as_posix()


PEERS = (LlamaIndex, LangChain, CocoIndex)
