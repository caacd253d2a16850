"""Where a table's rows come from: a file, a sheet of a workbook, a table or query of a database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agentops_ref.errors import AgentOpsError, DocumentError, OperatorError, nearest
from agentops_ref.etl.tabular.evolve import Policy
from agentops_ref.etl.tabular.incoming import Incoming

ENDINGS = (".csv", ".xlsx", ".parquet")
_NAME = re.compile(r"\w[\w -]*")


@dataclass(frozen=True, slots=True)
class TableSource:
    """One table and where its rows come from."""

    name: str
    """Of the Delta table."""
    source: str
    """Path of a CSV, XLSX or Parquet file, or a SQLAlchemy URL."""
    key: tuple[str, ...] = ()
    """Columns that name a row; by default the first, or the primary key of a database's table."""
    columns: tuple[str, ...] = ()
    """Columns to take; by default all."""
    texts: tuple[str, ...] = ()
    """Columns that are text, whatever their cells look like."""
    sheet: str | None = None
    """Of a workbook; by default its only visible one."""
    header: int = 1
    """Row of a sheet, counted from 1, that holds the columns' names; rows above it are left out."""
    table: str | None = None
    """Of a database: ``name`` or ``schema.name``."""
    query: str | None = None
    """Of a database instead: one SELECT, taken as it is written."""
    password_env: str | None = None
    """Environment variable with the database's password."""
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Found:
    """The tables below a folder."""

    sources: tuple[TableSource, ...]
    failed: Mapping[str, AgentOpsError]
    """File's name without its ending → why nothing could be listed in it."""


def read(source: TableSource) -> Incoming:
    """Read all rows of a source.

    Raises
    ------
    DocumentError
        The source holds no table with this key, or cells that make none; names the place.
    OperatorError
        There is no such file or database.
    """
    if not _NAME.fullmatch(source.name):
        raise DocumentError(
            f"{source.source}: '{source.name}' cannot name a table: letters, digits, _, - and "
            "blanks can; rename the file or sheet, or give the entry another `name`"
        )
    made = _read(source)
    if not source.columns:
        return made
    known = made.cells.column_names
    for name in source.columns:
        if name not in known:
            raise DocumentError(f"{made.where}: no column '{name}'{nearest(name, known)}")
    names = list(dict.fromkeys((*made.key, *source.columns)))
    return Incoming(made.where, made.key, made.cells.select(names), made.forms, made.numbers)


def _read(source: TableSource) -> Incoming:
    if "://" in source.source:
        from agentops_ref.etl.tabular.database import read_database

        return read_database(source)
    path = Path(source.source)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise OperatorError(
            f"table {source.name}: {path} is no source of rows; expected a file that ends in "
            f"{', '.join(ENDINGS)}, or a database URL such as sqlite:///shop.db"
        )
    if not path.is_file():
        raise OperatorError(f"table {source.name}: no file {path}; the table stays as it is")
    try:
        if ending == ".csv":
            from agentops_ref.etl.csvtable import read_csv

            return read_csv(path, key=source.key, texts=source.texts)
        if ending == ".parquet":
            from agentops_ref.etl.tabular.parquet import read_parquet

            return read_parquet(path, source)
        from agentops_ref.etl.tabular.workbook import read_sheet

        return read_sheet(path, source)
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror or error})") from error


def folder(root: Path, policy: Policy) -> Found:
    """Return the tables below a folder: each CSV and Parquet file by its name, each visible sheet
    of each workbook by the sheet's. Two that would be one table are both refused."""
    sources: list[TableSource] = []
    failed: dict[str, AgentOpsError] = {}
    for path in sorted(root.iterdir()):
        if path.suffix.lower() not in ENDINGS or path.name.startswith((".", "~$")):
            continue
        if path.suffix.lower() != ".xlsx":
            sources.append(TableSource(path.stem, str(path), policy=policy))
            continue
        from agentops_ref.etl.tabular.workbook import sheets

        try:
            names = sheets(path)
        except AgentOpsError as error:
            failed[path.stem] = error
            continue
        sources += [TableSource(n, str(path), sheet=n, policy=policy) for n in names]
    return once(Found(tuple(sources), failed))


def once(found: Found) -> Found:
    """Take out the sources that claim the same table, and say so."""
    by_name: dict[str, list[TableSource]] = {}
    for source in found.sources:
        by_name.setdefault(source.name.lower(), []).append(source)
    failed = dict(found.failed)
    for same in by_name.values():
        if len(same) > 1:
            failed[same[0].name] = DocumentError(
                f"table {same[0].name}: more than one source claims it: "
                f"{', '.join(s.source + (f' ({s.sheet})' if s.sheet else '') for s in same)}; "
                "rename or remove all but one"
            )
    kept = tuple(s for s in found.sources if len(by_name[s.name.lower()]) == 1)
    return Found(kept, failed)
