"""The ways without a model: rows of tables, matches of expressions. Pure. Taught in chapter 3."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from agentops_ref.etl.extract.records import Candidate
from agentops_ref.etl.extract.schema import PatternWay, RecordType, TableWay
from agentops_ref.records import Element

_BRACKETED = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")
"""A header's unit: "Total charge (kg)"."""

_WITH_UNIT = re.compile(r"([-+\u2212]?\d[\d.,']*) ?([^\d\s.,].*)")
"""A cell that holds a number and its unit: "15 m"."""


def concerns(documents: Sequence[str], document: str) -> bool:
    """Whether one of these globs fits the end of a document's path."""
    path = PurePosixPath(document)
    return any(path.match(pattern) for pattern in documents)


def by_rule(
    type_: RecordType, way: TableWay | PatternWay, elements: Sequence[Element]
) -> Iterator[Candidate]:
    """Yield what a way without a model finds."""
    if isinstance(way, TableWay):
        return from_tables(type_, way, elements)
    return from_patterns(type_, way, elements)


def from_tables(
    type_: RecordType, way: TableWay, elements: Sequence[Element]
) -> Iterator[Candidate]:
    """Yield a candidate for each row of each table that has the way's columns."""
    for index, element in enumerate(elements):
        if element.kind != "table":
            continue
        header, *rows = element.text.split("\n")
        names = _cells(header)
        for columns, given in _readings_of(way, names):
            for row in rows:
                cells = _cells(row)
                if len(cells) != len(names):
                    continue  # a row that the parser could not part; it is no record
                printed = {field: cells[at] for field, at in columns.items() if cells[at]}
                units = {}
                for field in printed:
                    if type_.fields[field].type == "number":
                        unit = _unit(way, field, names, cells, columns[field])
                        number = _WITH_UNIT.fullmatch(printed[field])
                        if number and not unit:
                            printed[field], unit = number[1], number[2]
                        if unit:
                            units[field] = unit
                if printed:
                    yield Candidate(
                        type_.name,
                        "table",
                        {**given, **printed, **way.set},
                        units,
                        index,
                        f"{header}\n{row}",
                        row,
                    )


def _readings_of(
    way: TableWay, names: Sequence[str]
) -> Iterator[tuple[dict[str, int], dict[str, str]]]:
    """Yield (field → column, field → value that a header gives), once for each set of columns."""
    wanted = list(way.columns.items())

    def place(
        number: int, columns: dict[str, int], given: dict[str, str]
    ) -> Iterator[tuple[dict[str, int], dict[str, str]]]:
        if number == len(wanted):
            yield columns, given
            return
        field, pattern = wanted[number]
        for at, name in enumerate(names):
            found = pattern.fullmatch(name)
            if found and at not in columns.values():
                more = {group: text for group, text in found.groupdict().items() if text}
                yield from place(number + 1, {**columns, field: at}, {**given, **more})

    yield from place(0, {}, {})


def _unit(
    way: TableWay, field: str, names: Sequence[str], cells: Sequence[str], at: int
) -> str | None:
    """Return a number's unit: from its column of units, else from its header's brackets."""
    if field in way.units:
        column = next((i for i, n in enumerate(names) if way.units[field].fullmatch(n)), None)
        if column is not None:
            return cells[column]
    found = _BRACKETED.search(names[at])
    return found[1].strip() if found else None


def from_patterns(
    type_: RecordType, way: PatternWay, elements: Sequence[Element]
) -> Iterator[Candidate]:
    """Yield a candidate for each match in each element of the way's kinds."""
    for index, element in enumerate(elements):
        if element.kind not in way.kinds:
            continue
        for found in way.each.finditer(element.text):
            groups = {name: text.strip() for name, text in found.groupdict().items() if text}
            for more in way.also:
                again = more.search(element.text)
                extra = {} if again is None else again.groupdict()
                groups |= {n: t.strip() for n, t in extra.items() if t and n not in groups}
            printed = {name: text for name, text in groups.items() if name in type_.fields}
            units = {name: groups[f"{name}_unit"] for name in printed if f"{name}_unit" in groups}
            quote = found[0] if not way.also else ""
            yield Candidate(
                type_.name, "pattern", {**printed, **way.set}, units, index, "", quote.strip()
            )


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")]
