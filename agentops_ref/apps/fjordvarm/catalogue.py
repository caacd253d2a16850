"""The product catalogue: every decisive value, read from ``corpus/catalogue.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from agentops_ref.apps.fjordvarm.markup import fill
from agentops_ref.apps.fjordvarm.texts import read_yaml

Op = Literal["add", "amend", "remove", "restore"]


@dataclass(frozen=True)
class Fault:
    """One fault code of one line."""

    code: str
    meaning: str
    remedy: str


@dataclass(frozen=True)
class Product:
    """A model, with all values that its documents print, as text and in the printed unit."""

    model: str
    slug: str
    line: str
    family: str  # which manual template: nordlys, brise, dybde, tank, controller
    values: Mapping[str, str]
    faults: tuple[Fault, ...]
    parameters: tuple[tuple[str, str, str, str], ...]  # number, name, factory setting, range

    def charge_at(self, metres: int) -> tuple[str, str]:
        """Additional charge in g and total charge in kg at a one-way pipe length."""
        extra = max(0, metres - int(self.values["precharge_m"])) * int(self.values["charge_per_m"])
        total = Decimal(self.values["charge"]) + Decimal(extra) / 1000
        return str(extra), f"{total:.3f}"


@dataclass(frozen=True)
class Change:
    """One line of the change list: what happens to one document from one version on."""

    version: int
    op: Op
    path: str
    why: str
    model: str | None
    set: Mapping[str, str]


@dataclass(frozen=True)
class Catalogue:
    """Products and changes as of one version."""

    version: int
    released: date
    products: tuple[Product, ...]
    changes: tuple[Change, ...]  # of all versions

    def product(self, model: str) -> Product:
        """A product by its model name."""
        return next(product for product in self.products if product.model == model)

    def present(self, path: str) -> bool:
        """Whether the change list lets a document stand in this version."""
        ops = [change for change in self.changes if change.path == path and change.op != "amend"]
        past = [change.op for change in ops if change.version <= self.version]
        if past:
            return past[-1] != "remove"
        return not any(change.op == "add" for change in ops)


def _change(raw: Mapping[str, Any], version: int) -> Change:
    return Change(version, raw["op"], raw["path"], raw["why"], raw.get("model"), raw.get("set", {}))


def _faults(rows: list[Mapping[str, str]], values: Mapping[str, str]) -> tuple[Fault, ...]:
    return tuple(
        Fault(row["code"], fill(row["meaning"], values), fill(row["remedy"], values))
        for row in rows
    )


def load_catalogue(folder: Path, version: int) -> Catalogue:
    """Read the catalogue and apply the value changes up to ``version``."""
    raw = read_yaml(folder / "catalogue.yaml")
    listed = read_yaml(folder / "changes.yaml")
    changes = tuple(
        _change(item, int(number))
        for number, entry in sorted(listed["versions"].items())
        for item in entry.get("changes", ())
    )
    products = []
    for model, own in raw["models"].items():
        line = raw["lines"][own["line"]]
        values = {**line["values"], **own["values"]}
        for change in changes:
            if change.model == model and change.version <= version:
                values |= change.set
        values |= {"model": model, "line": own["line"]}
        codes = {row["code"]: row for row in line.get("faults", [])}
        codes |= {row["code"]: row for row in own.get("faults", [])}
        products.append(
            Product(
                model=model,
                slug=model.lower().replace(" ", "-"),
                line=own["line"],
                family=line["family"],
                values=values,
                faults=_faults([codes[code] for code in sorted(codes)], values),
                parameters=tuple(
                    (row[0], row[1], fill(row[2], values), row[3])
                    for row in line.get("parameters", [])
                ),
            )
        )
    released = date.fromisoformat(listed["versions"][str(version)]["released"])
    return Catalogue(version, released, tuple(products), changes)
