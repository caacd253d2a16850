"""What is extracted, as YAML says it: record types, their fields, and the ways to find them.

Taught in chapter 3; ``config/extract.yaml`` is the running case's file and explains each key.
Everything is validated here, once. Past this module only these frozen objects travel.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from agentops_ref.errors import ConfigError, nearest
from agentops_ref.records import ElementKind

Place = Literal["caption", "section", "title"]
"""Where a value may stand besides its own element: see `agentops_ref.etl.extract.context`."""
RESERVED = (
    "id",
    "document",
    "version",
    "element",
    "page",
    "box",
    "quote",
    "method",
    "confidence",
)
"""Columns that every table of records has."""
STATE = "extractions"
"""The table that says what was extracted from which content; no record type may be called so."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _compiled(value: Any) -> Any:
    if not isinstance(value, str):
        return value  # pydantic says what it should have been
    try:
        return re.compile(value, re.IGNORECASE | re.MULTILINE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


Regex = Annotated[re.Pattern[str], BeforeValidator(_compiled)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Choice(_Part):
    """One of the values of a choice: how documents word it, and the unit that goes with it."""

    wording: Regex
    unit: str | None = None


class FieldType(_Part):
    """One field of a record."""

    type: Literal["string", "number", "date", "list", "choice"]
    required: bool = False
    unit: tuple[str, ...] = ()
    """Of a number: the units that it may have; the record's table gets a column for it."""
    match: Regex | None = None
    """Of a string, or of each item of a list: what counts as one value."""
    formats: tuple[str, ...] = ("%Y-%m-%d",)
    """Of a date: how it may be printed, as in `datetime.strptime`."""
    choices: dict[str, Choice] = Field(default_factory=dict)
    context: tuple[Place, ...] = ()
    """Where to look for the value when the way does not give it, nearest first."""

    @model_validator(mode="before")
    @classmethod
    def _short_choices(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("choices"), dict):
            long = {
                name: {"wording": one} if isinstance(one, str) else one
                for name, one in given["choices"].items()
            }
            return {**given, "choices": long}
        return given

    @model_validator(mode="after")
    def _fits_its_type(self) -> FieldType:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("`choices` belong to type choice, and only to it")
        if self.unit and self.type != "number":
            raise ValueError(f"`unit` belongs to a number, not to a {self.type}")
        if self.context and self.match is None:
            raise ValueError("a field with `context` needs `match` to find its value there")
        return self


class _Way(_Part):
    documents: tuple[str, ...] = ("*",)
    """Globs on the end of a document's path: ``bulletins/*.docx``."""
    set: dict[str, str] = Field(default_factory=dict)
    """Fields with a fixed value: a choice, whose wording must still stand in the element."""


class TableWay(_Way):
    """Each row of a table whose header has these columns is a record."""

    way: Literal["table"]
    columns: dict[str, Regex]
    """Field → what its header cell looks like, whole; a named group gives another field's value.

    When several columns match, each makes records of its own.
    """
    units: dict[str, Regex] = Field(default_factory=dict)
    """Number field → header of the column that holds its unit."""


class PatternWay(_Way):
    """Each match of an expression within an element is a record."""

    way: Literal["pattern"]
    kinds: tuple[ElementKind, ...] = ("text", "list")
    each: Regex
    """Named groups are fields; ``<field>_unit`` is a number's unit."""
    also: tuple[Regex, ...] = ()
    """Looked for in the same element, once: more fields of each of its records."""


class ModelWay(_Way):
    """A language model reads the document and fills a form of this record type."""

    way: Literal["model"]
    prompt: str
    """File below ``paths.prompts``; ``{document}`` stands for the text."""
    fields: dict[str, str | None]
    """Which fields the form has, each with what its text must look like, if that is known.

    An expression as in JSON schema, which constrains what the model can write: no look-around.
    """
    most: int = Field(default=8, gt=0)
    """Records that one document may give."""


Way = Annotated[TableWay | PatternWay | ModelWay, Field(discriminator="way")]


class RecordType(_Part):
    """One kind of record, and so one table."""

    name: str = ""
    about: str
    key: tuple[str, ...] = Field(min_length=1)
    """Fields that tell a document's records apart."""
    fields: dict[str, FieldType]
    ways: tuple[Way, ...]
    expected: tuple[str, ...] = ()
    """Globs, as those of a way: documents that should give at least one such record."""

    @model_validator(mode="after")
    def _names_are_known(self) -> RecordType:
        known = tuple(self.fields)
        units = {f"{name}_unit" for name, one in self.fields.items() if one.unit}
        for name in known:
            if name in RESERVED or name in units or not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' cannot be a field's name")
        for name in self.key:
            self._known(name, known, "key")
        if self.expected and all(isinstance(way, ModelWay) for way in self.ways):
            raise ValueError("`expected` is judged without a model: it needs a table or a pattern")
        for number, way in enumerate(self.ways):
            at = f"ways.{number}"
            for name in _mentioned(way):
                if name not in units:
                    self._known(name, known, at)
            for name, value in way.set.items():
                choices = self.fields[name].choices
                if value not in choices:
                    raise ValueError(f"{at}.set: {name} '{value}'{nearest(value, tuple(choices))}")
        return self

    @staticmethod
    def _known(name: str, known: tuple[str, ...], at: str) -> None:
        if name not in known:
            raise ValueError(f"{at}: unknown field '{name}'{nearest(name, known)}")


def _mentioned(way: Way) -> set[str]:
    """Return the fields that a way speaks of."""
    if isinstance(way, TableWay):
        groups = {name for one in way.columns.values() for name in one.groupindex}
        return {*way.columns, *way.units, *way.set, *groups}
    if isinstance(way, PatternWay):
        return {*way.set, *(name for one in (way.each, *way.also) for name in one.groupindex)}
    return {*way.fields, *way.set}


class Schema(_Part):
    """Everything that is extracted."""

    pieces: dict[str, str] = Field(default_factory=dict)
    """Parts of expressions by name; ``{{name}}`` in an expression stands for them."""
    types: dict[str, RecordType]
    views: dict[str, str] = Field(default_factory=dict)
    """Name → one SELECT over the tables: what people ask of them again and again."""

    @model_validator(mode="after")
    def _tables_have_names(self) -> Schema:
        for name in (*self.types, *self.views):
            if name == STATE or not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' cannot be a table's name")
        if twice := sorted(self.types.keys() & self.views.keys()):
            raise ValueError(f"'{twice[0]}' is both a record type and a view")
        return self


def load_schema(file: Path) -> Schema:
    """Read and validate a file of record types.

    Raises
    ------
    ConfigError
        Missing or malformed file, unknown key, wrong expression; names the file, the key and the
        nearest known one.
    """
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{file}: not found; etl.extract.schema names the file that says what is extracted"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
    return read_schema(tree, str(file))


def read_schema(tree: Any, place: str) -> Schema:
    """Validate what a file of record types holds; ``place`` is what errors name it by."""
    if isinstance(tree, dict):
        tree = _spelled_out(tree, tree.get("pieces") or {}, place)
        if isinstance(tree.get("types"), dict):
            types = tree["types"].items()
            named = {n: {**one, "name": n} if isinstance(one, dict) else one for n, one in types}
            tree = {**tree, "types": named}
    try:
        return Schema.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_told(one, place) for one in error.errors())) from None


def _spelled_out(node: Any, pieces: dict[str, str], place: str) -> Any:
    """Put the named pieces into every text below."""
    if isinstance(node, dict):
        return {key: _spelled_out(one, pieces, place) for key, one in node.items()}
    if isinstance(node, list):
        return [_spelled_out(one, pieces, place) for one in node]
    if not isinstance(node, str):
        return node

    def put(found: re.Match[str]) -> str:
        if found[1] not in pieces:
            raise ConfigError(
                f"{place}: unknown piece '{{{{{found[1]}}}}}'{nearest(found[1], tuple(pieces))}"
            )
        return f"(?:{pieces[found[1]]})"

    return re.sub(r"\{\{(\w+)\}\}", put, node)


_PARTS = (Schema, RecordType, FieldType, Choice, TableWay, PatternWay, ModelWay)
_BELOW: dict[str, type[_Part]] = {
    "types": RecordType,
    "fields": FieldType,
    "choices": Choice,
    "table": TableWay,
    "pattern": PatternWay,
    "model": ModelWay,
}


def _told(problem: Any, place: str) -> str:
    parts = [str(part) for part in problem["loc"]]
    dotted = ".".join(parts)
    if problem["type"] == "extra_forbidden":
        part: type[_Part] = Schema
        for name in parts[:-1]:
            part = _BELOW.get(name, part)
        known = tuple(name for name in part.model_fields if (part, name) != (RecordType, "name"))
        return f"{place}: unknown key '{dotted}'{nearest(parts[-1], known)}"
    if problem["type"] == "missing":
        return f"{place}: key '{dotted}' is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {dotted or 'file'}: {message[0].lower()}{message[1:]}"
