"""The structured side: eight tables for each version, drawn from a seed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from agentops_ref.apps.fjordvarm.catalogue import Catalogue, Product, load_catalogue
from agentops_ref.apps.fjordvarm.featured import load_featured
from agentops_ref.apps.fjordvarm.texts import read_yaml

Row = tuple[str, ...]


@dataclass(frozen=True)
class DataTable:
    """A table whose first column is its primary key; every cell is text, empty means null."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def csv(self) -> bytes:
        """RFC 4180 with plain line feeds."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return buffer.getvalue().encode()


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "customers": (
        "customer_id",
        "tenant",
        "name",
        "email",
        "phone",
        "address",
        "town",
        "since",
    ),
    "technicians": (
        "technician_id",
        "tenant",
        "name",
        "certificate",
        "region",
        "active",
    ),
    "installations": (
        "serial_number",
        "tenant",
        "customer_id",
        "model",
        "commissioned",
        "pipe_length_m",
        "firmware",
        "status",
    ),
    "warranties": (
        "warranty_id",
        "tenant",
        "serial_number",
        "kind",
        "starts",
        "ends",
        "status",
    ),
    "work_orders": (
        "work_order_id",
        "tenant",
        "serial_number",
        "technician_id",
        "opened",
        "closed",
        "status",
        "fault_code",
        "description",
    ),
    "parts_stock": (
        "part_number",
        "description",
        "fits_line",
        "warehouse",
        "quantity",
        "reorder_level",
        "unit_price_eur",
    ),
    "invoices": (
        "invoice_id",
        "tenant",
        "customer_id",
        "work_order_id",
        "issued",
        "due",
        "amount_eur",
        "status",
    ),
    "sensor_readings": (
        "reading_id",
        "tenant",
        "serial_number",
        "measured_at",
        "outdoor_c",
        "flow_c",
        "return_c",
        "power_w",
        "compressor_hz",
    ),
}
_WARRANTY_YEARS = {"standard": 2, "extended": 5}


class _World:
    """All rows of version 1, drawn in a fixed order, and what happens to them later."""

    def __init__(self, texts: Path, seed: int) -> None:
        self.random = Random(seed)
        self.catalogue = load_catalogue(texts, 1)
        self.raw = read_yaml(texts / "people.yaml")
        self.featured = load_featured(texts, self.catalogue)
        self.tenants: tuple[str, ...] = tuple(self.raw["technicians"])
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in COLUMNS}
        self.given = dict.fromkeys(COLUMNS, 0)  # numbers given out; never used twice
        self._customers_and_installations()
        self._technicians()
        self._warranties(list(self.rows["installations"].values()))
        self._parts()
        for _ in range(150):
            self._work_order(date(2023, 9, 1), 480)
        self._invoices()
        self._readings(date(2025, 1, 6))

    def next_number(self, table: str) -> int:
        self.given[table] += 1
        return self.given[table]

    def put(self, table: str, *cells: object) -> Row:
        row = tuple(str(cell) for cell in cells)
        self.rows[table][row[0]] = row
        return row

    def set(self, table: str, key: str, **cells: object) -> None:
        """Update cells of one row."""
        columns = COLUMNS[table]
        row = list(self.rows[table][key])
        for column, value in cells.items():
            row[columns.index(column)] = str(value)
        self.rows[table][key] = tuple(row)

    def _customer(self, tenant: str, name: str, address: str, since: date) -> str:
        count = self.next_number("customers")
        number = f"C{1000 + count}"
        street, _, town = address.partition(", ")
        mail = name.lower().replace(" ", ".") + "@example.com"
        phone = f"+00 555 0{100 + count}"
        self.put("customers", number, tenant, name, mail, phone, street, town, since)
        return number

    def _customers_and_installations(self) -> None:
        for item in self.featured:
            customer = self._customer(
                item.tenant, item.customer, item.address, item.commissioned - timedelta(days=40)
            )
            self.put(
                "installations",
                item.serial,
                item.tenant,
                customer,
                item.product.model,
                item.commissioned,
                item.pipe_m,
                item.product.values["firmware"],
                "active",
            )
        pumps = [p for p in self.catalogue.products if p.family in {"nordlys", "brise", "dybde"}]
        for index in range(84):
            self._installation(index, pumps, date(2022, 1, 10), 1000)

    def _installation(self, index: int, pumps: list[Product], first: date, span: int) -> None:
        draw, raw = self.random, self.raw
        tenant = self.tenants[index % len(self.tenants)]
        given = raw["given_names"][(index * 7 + 3) % len(raw["given_names"])]
        family = raw["family_names"][(index * 5 + index // 9) % len(raw["family_names"])]
        street = f"{draw.randrange(1, 90)} {raw['streets'][index % len(raw['streets'])]}"
        address = f"{street}, {raw['towns'][index % len(raw['towns'])]}"
        product = pumps[draw.randrange(len(pumps))]
        day = first + timedelta(days=draw.randrange(span))
        earliest = date.fromisoformat(product.values["date"])
        day = max(day, earliest + timedelta(days=20 + index % 60))
        customer = self._customer(tenant, f"{given} {family}", address, day - timedelta(days=30))
        prefix = product.model.replace("-", "").replace(" ", "")
        serial = f"{prefix}-{day.year % 100:02d}{2000 + index:04d}"
        pipe = draw.randrange(3, 16) if "max_pipe" in product.values else 0
        self.put(
            "installations",
            serial,
            tenant,
            customer,
            product.model,
            day,
            pipe,
            product.values["firmware"],
            "active",
        )

    def _technicians(self) -> None:
        number = 0
        for tenant, people in self.raw["technicians"].items():
            for name, region in people.items():
                number += 1
                self.put(
                    "technicians",
                    f"T{number:02d}",
                    tenant,
                    name,
                    f"F-GAS-{4100 + number * 7}",
                    region,
                    "true",
                )

    def _warranties(self, installations: list[Row]) -> None:
        for row in installations:
            serial, tenant, started = row[0], row[1], date.fromisoformat(row[4])
            kind = "extended" if self.random.randrange(3) == 0 else "standard"
            ends = started.replace(
                year=started.year + _WARRANTY_YEARS[kind], day=min(started.day, 28)
            )
            status = "active" if ends > date(2025, 1, 15) else "expired"
            self.put(
                "warranties",
                f"W{5000 + self.next_number('warranties')}",
                tenant,
                serial,
                kind,
                started,
                ends,
                status,
            )

    def _parts(self) -> None:
        for number, part in self.raw["parts"].items():
            for warehouse, share in (("Nordhavn", 3), ("Sundby", 1)):
                quantity = self.random.randrange(0, 12) * share
                self.put(
                    "parts_stock",
                    f"{number}-{warehouse[0]}",
                    part["description"],
                    part["line"],
                    warehouse,
                    quantity,
                    4 * share,
                    part["price"],
                )

    def _work_order(self, first: date, span: int, *, closed: bool = True) -> None:
        draw = self.random
        installations = list(self.rows["installations"].values())
        unit = installations[draw.randrange(len(installations))]
        crew = [row for row in self.rows["technicians"].values() if row[1] == unit[1]]
        technician = crew[draw.randrange(len(crew))][0]
        faults = self.catalogue.product(unit[3]).faults
        fault = faults[draw.randrange(len(faults))]
        opened = first + timedelta(days=draw.randrange(span))
        opened = max(opened, date.fromisoformat(unit[4]) + timedelta(days=10))
        closed = closed and opened < date(2025, 1, 3) and draw.randrange(12) > 0
        end = opened + timedelta(days=draw.randrange(1, 10)) if closed else ""
        if draw.randrange(4):
            code, text = fault.code, f"{fault.code}: {fault.meaning}"
        else:
            code, text = "", "Yearly inspection"
        number = f"WO{24000 + self.next_number('work_orders')}"
        status = "closed" if closed else "open"
        self.put(
            "work_orders", number, unit[1], unit[0], technician, opened, end, status, code, text
        )

    def _invoice(self, order: Row) -> None:
        draw = self.random
        customer = self.rows["installations"][order[2]][2]
        issued = date.fromisoformat(order[5]) + timedelta(days=3)
        due = issued + timedelta(days=30)
        amount = f"{draw.randrange(9000, 98000) / 100:.2f}"
        status = "paid" if due < date(2025, 1, 10) and draw.randrange(9) else "open"
        number = f"I{8000 + self.next_number('invoices')}"
        self.put("invoices", number, order[1], customer, order[0], issued, due, amount, status)

    def _invoices(self) -> None:
        for order in list(self.rows["work_orders"].values()):
            if order[6] == "closed":
                self._invoice(order)

    def _readings(self, first: date) -> None:
        """One week of hourly values for four installations; the fourth loses refrigerant."""
        for place, item in enumerate(self.featured[:4]):
            for hour in range(7 * 24):
                moment = datetime(first.year, first.month, first.day) + timedelta(hours=hour)
                outdoor = -30 + 4 * abs(12 - hour % 24) * -1 + self.random.randrange(-15, 16)
                flow = 380 - outdoor // 3 - (hour // 4 if place == 3 else 0)
                spread = 55 if place != 3 else max(15, 55 - hour // 5)
                hertz = 45 + (-outdoor) // 8 + self.random.randrange(-3, 4)
                key = f"R-{item.serial}-{moment:%Y%m%d%H}"
                tenths = [f"{value / 10:.1f}" for value in (outdoor, flow, flow - spread)]
                self.put(
                    "sensor_readings",
                    key,
                    item.tenant,
                    item.serial,
                    moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    *tenths,
                    hertz * 31,
                    hertz,
                )

    def to_version_2(self) -> None:
        """Spring: open work is closed, units are added, one customer asks to be forgotten."""
        pumps = [p for p in self.catalogue.products if p.line == "Nordlys G2"]
        before = set(self.rows["installations"])
        for index in range(84, 90):
            self._installation(index, pumps, date(2025, 2, 1), 90)
        new = [row for serial, row in self.rows["installations"].items() if serial not in before]
        self._warranties(new)
        for order in list(self.rows["work_orders"].values()):
            if order[6] == "open":
                closed = max(date(2025, 2, 14), date.fromisoformat(order[4]) + timedelta(days=4))
                self.set("work_orders", order[0], status="closed", closed=closed)
                self._invoice(self.rows["work_orders"][order[0]])
        for row in list(self.rows["invoices"].values()):
            if row[5] < "2025-04-01" and row[7] == "open":
                self.set("invoices", row[0], status="paid")
        for row in list(self.rows["warranties"].values()):
            if row[5] < "2025-06-02" and row[6] == "active":
                self.set("warranties", row[0], status="expired")
        for _ in range(14):
            self._work_order(date(2025, 4, 1), 55, closed=False)
        for key in list(self.rows["parts_stock"])[::5]:
            self.set("parts_stock", key, quantity=self.random.randrange(0, 30))
        self.set("technicians", "T04", active="false")
        self._forget(list(self.rows["customers"])[-10])
        self._readings(date(2025, 5, 19))
        for key in [key for key in self.rows["sensor_readings"] if "-20250106" in key]:
            del self.rows["sensor_readings"][key]

    def to_version_3(self) -> None:
        """Autumn: fewer changes; a part is dropped, a unit is scrapped, a technician returns."""
        for row in list(self.rows["work_orders"].values())[-14:-4]:
            self.set("work_orders", row[0], status="closed", closed=date(2025, 7, 1))
            self._invoice(self.rows["work_orders"][row[0]])
        for _ in range(6):
            self._work_order(date(2025, 9, 1), 40, closed=False)
        self.set("technicians", "T04", active="true")
        last = list(self.rows["parts_stock"])[-1]
        del self.rows["parts_stock"][last]
        self.set("installations", self.featured[5].serial, status="scrapped")
        for row in list(self.rows["installations"].values())[::9]:
            if row[3].endswith("G2"):
                self.set("installations", row[0], firmware="4.3.0")

    def _forget(self, customer: str) -> None:
        """Delete a customer and everything that points there."""
        serials = {r[0] for r in self.rows["installations"].values() if r[2] == customer}
        orders = {r[0] for r in self.rows["work_orders"].values() if r[2] in serials}
        gone: dict[str, Callable[[Row], bool]] = {
            "customers": lambda row: row[0] == customer,
            "installations": lambda row: row[0] in serials,
            "warranties": lambda row: row[2] in serials,
            "work_orders": lambda row: row[0] in orders,
            "invoices": lambda row: row[3] in orders,
            "sensor_readings": lambda row: row[2] in serials,
        }
        for table, matches in gone.items():
            for row in [row for row in self.rows[table].values() if matches(row)]:
                del self.rows[table][row[0]]


def tables(texts: Path, catalogue: Catalogue, seed: int) -> dict[str, DataTable]:
    """All tables of the catalogue's version."""
    world = _World(texts, seed)
    if catalogue.version >= 2:
        world.to_version_2()
    if catalogue.version >= 3:
        world.to_version_3()
    return {
        name: DataTable(columns, tuple(world.rows[name].values()))
        for name, columns in COLUMNS.items()
    }
