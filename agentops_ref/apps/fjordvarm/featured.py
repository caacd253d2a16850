"""Installations that have papers: their certificates, rating plates and table rows agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from agentops_ref.apps.fjordvarm.catalogue import Catalogue, Product
from agentops_ref.apps.fjordvarm.markup import split_unit
from agentops_ref.apps.fjordvarm.model import Draft, Mark, Paragraph, Table, row_text
from agentops_ref.apps.fjordvarm.texts import read_yaml


@dataclass(frozen=True)
class Installation:
    """One installed heat pump, as written in ``corpus/installations.yaml``."""

    serial: str
    product: Product
    tenant: str
    company: str
    customer: str
    address: str
    commissioned: date
    pipe_m: int  # one way; 0 for sealed units
    plate: bool
    certificate: Mapping[str, str] | None


def load_featured(texts: Path, catalogue: Catalogue) -> tuple[Installation, ...]:
    """All installations that are written by hand."""
    raw = read_yaml(texts / "installations.yaml")
    return tuple(
        Installation(
            serial=serial,
            product=catalogue.product(item["model"]),
            tenant=item["tenant"],
            company=raw["tenants"][item["tenant"]],
            customer=item["customer"],
            address=item["address"],
            commissioned=date.fromisoformat(item["commissioned"]),
            pipe_m=int(item.get("pipe", "0")),
            plate=item.get("plate") == "yes",
            certificate=item.get("certificate"),
        )
        for serial, item in raw["installations"].items()
    )


def _rows(subject: str, pairs: list[tuple[str, str, str]]) -> Table:
    """Rows of (field, label, printed value)."""
    marks = []
    for field, label, printed in pairs:
        value, unit = split_unit(printed)
        marks.append(Mark(subject, field, value, unit, row_text((label, printed))))
    rows = tuple((label, printed) for _, label, printed in pairs)
    return Table("", ("", ""), rows, tuple(marks))


def certificate(item: Installation) -> Draft:
    """The certificate of a leak and safety inspection."""
    paper = item.certificate
    assert paper is not None
    pairs = [
        ("certificate_number", "Certificate number", paper["number"]),
        ("model", "Model", item.product.model),
        ("serial_number", "Serial number", item.serial),
        ("customer", "Customer", item.customer),
        ("address", "Address", item.address),
        ("inspection_date", "Date of inspection", paper["date"]),
        ("inspector", "Inspector", paper["inspector"]),
        ("refrigerant", "Refrigerant", item.product.values["refrigerant"]),
        ("charge_weighed", "Charge weighed", paper["charge"]),
        ("leak_test_pressure", "Leak test pressure", paper["pressure"]),
        ("insulation_resistance", "Insulation resistance", paper["insulation"]),
        ("result", "Result", paper["result"]),
        ("next_inspection", "Next inspection due", paper["next"]),
    ]
    return Draft(
        path=f"docs/tenants/{item.tenant}/certificates/certificate-{item.serial.lower()}.pdf",
        kind="certificate",
        title="Certificate of inspection",
        published=date.fromisoformat(paper["date"]),
        blocks=(
            _rows(item.serial, pairs),
            Paragraph(f"Remarks: {paper['remarks']}"),
        ),
        models=(item.product.model,),
        line=item.product.line,
        tenant=item.tenant,
        meta=(("issuer", item.company),),
    )


def plate(item: Installation) -> Draft:
    """The photo of a rating plate; its values are those of the day the unit was made."""
    values = item.product.values
    year = 2000 + int(item.serial.split("-")[1][:2])
    pairs = [
        ("model", "Model", item.product.model),
        ("serial_number", "Serial No.", item.serial),
        ("refrigerant", "Refrigerant", values["refrigerant"]),
        ("factory_charge", "Factory charge", f"{values['charge']} kg"),
        ("supply", "Supply", values["supply"]),
        ("max_current", "Max. current", f"{values['max_current']} A"),
        ("max_pressure_high", "PS high side", f"{_plate_pressure(values['hp_switch'])} bar"),
        ("heat_output", "Heat output", f"{values['heat']} kW"),
        ("mass", "Mass", f"{values['mass']} kg"),
        ("ip_class", "Protection", values["ip"]),
        ("year", "Year", str(year)),
    ]
    return Draft(
        path=f"docs/tenants/{item.tenant}/plates/plate-{item.serial.lower()}.png",
        kind="plate",
        title=f"Rating plate {item.serial}",
        published=item.commissioned,
        blocks=(_rows(item.serial, pairs),),
        models=(item.product.model,),
        line=item.product.line,
        tenant=item.tenant,
        meta=(("made", f"{item.product.line} line"),),
    )


def _plate_pressure(switch: str) -> str:
    return f"{Decimal(switch) + 2:.1f}"
