"""Blocks that manuals compute from the catalogue: tables of codes, charges, torques, ratings."""

from __future__ import annotations

from agentops_ref.apps.fjordvarm.catalogue import Product
from agentops_ref.apps.fjordvarm.markup import split_unit
from agentops_ref.apps.fjordvarm.model import Block, Figure, Mark, Table, row_text

# field in truth, row label, slot in the catalogue, unit
Rating = tuple[str, str, str, str]

TECHNICAL: tuple[Rating, ...] = (
    ("heat_output", "Nominal heat output", "heat", "kW"),
    ("refrigerant", "Refrigerant", "refrigerant", ""),
    ("refrigerant_charge_base", "Factory charge", "charge", "kg"),
    ("sound_power", "Sound power level", "sound", "dB(A)"),
    ("max_flow_temperature", "Highest flow temperature", "max_flow_temp", "°C"),
    ("min_water_flow", "Minimum heating water flow", "min_flow", "l/min"),
    ("min_brine_flow", "Minimum brine flow", "brine_flow", "l/min"),
    ("min_system_volume", "Minimum system volume", "min_volume", "l"),
    ("volume", "Volume", "volume", "l"),
    ("max_pressure", "Highest working pressure", "max_pressure", "bar"),
    ("max_temperature", "Highest storage temperature", "max_temp", "°C"),
    ("coil_area", "Coil surface in square metres", "coil", ""),
    ("zones", "Heating zones", "zones", ""),
    ("dimensions", "Outer dimensions, width x depth x height", "dimensions", "mm"),
    ("mass", "Mass", "mass", "kg"),
    ("ip_class", "Protection class", "ip", ""),
    ("firmware_shipped", "Firmware as shipped", "firmware", ""),
)
ELECTRICAL: tuple[Rating, ...] = (
    ("supply", "Supply", "supply", ""),
    ("max_current", "Highest current", "max_current", "A"),
    ("fuse", "Fuse, characteristic C", "fuse", "A"),
    ("cable_cross_section", "Supply cable, copper, each core", "cable", "mm2"),
    ("rcd", "Residual current device", "rcd", ""),
    ("bus_cable_cross_section", "Bus cable, shielded, each core", "comm", "mm2"),
    ("power", "Own power use", "power", ""),
    ("bus_length", "Longest bus cable", "bus", "m"),
)
TORQUES: tuple[Rating, ...] = (
    ("torque_flare_liquid", "Flare nut, liquid line", "torque_liquid", "Nm"),
    ("torque_flare_gas", "Flare nut, gas line", "torque_gas", "Nm"),
    ("torque_brine", "Brine connection", "torque_brine", "Nm"),
    ("torque_heating", "Heating connection", "torque_heating", "Nm"),
    ("torque_mains_terminals", "Mains terminals", "torque_mains", "Nm"),
    ("torque_earth_terminal", "Earth terminal", "torque_earth", "Nm"),
    ("torque_fan_nut", "Fan nut", "torque_fan", "Nm"),
    ("torque_anchor_bolts", "Anchor bolts", "torque_anchor", "Nm"),
    ("torque_service_cap", "Service valve cap", "torque_service_cap", "Nm"),
    ("torque_flange", "Inspection flange bolts", "torque_flange", "Nm"),
    ("torque_anode", "Sacrificial anode", "torque_anode", "Nm"),
    ("torque_terminal", "Bus terminals", "torque_terminal", "Nm"),
)
PIPE_LENGTHS_M = (5, 7, 10, 15, 20, 25, 30)


def _ratings(product: Product, caption: str, head: str, ratings: tuple[Rating, ...]) -> Table:
    rows, marks = [], []
    for field, label, slot, unit in ratings:
        if slot not in product.values:
            continue
        row = (label, product.values[slot], unit or "-")
        rows.append(row)
        marks.append(Mark(product.model, field, row[1], unit or None, row_text(row)))
    return Table(caption, (head, product.model, "Unit"), tuple(rows), tuple(marks))


def _charges(product: Product) -> Table:
    rows, marks = [], []
    longest = int(product.values["max_pipe"])
    for metres in (length for length in PIPE_LENGTHS_M if length <= longest):
        extra, total = product.charge_at(metres)
        row = (f"{metres} m", product.values["charge"], extra, total)
        rows.append(row)
        field = f"refrigerant_charge_total_{metres}m"
        marks.append(Mark(product.model, field, total, "kg", row_text(row)))
    header = ("Pipe length, one way", "Base charge (kg)", "Additional (g)", "Total charge (kg)")
    return Table(
        f"{product.model}: refrigerant charge by pipe length", header, tuple(rows), tuple(marks)
    )


def _faults(product: Product) -> list[Block]:
    size = 8
    blocks: list[Block] = []
    for start in range(0, len(product.faults), size):
        part = product.faults[start : start + size]
        rows, marks = [], []
        for fault in part:
            row = (fault.code, fault.meaning, fault.remedy)
            rows.append(row)
            text, code = row_text(row), fault.code.lower()
            marks.append(Mark(product.model, f"fault_{code}_meaning", fault.meaning, None, text))
            marks.append(Mark(product.model, f"fault_{code}_remedy", fault.remedy, None, text))
        caption = f"{product.model}: fault codes {part[0].code} to {part[-1].code}"
        blocks.append(Table(caption, ("Code", "Meaning", "Remedy"), tuple(rows), tuple(marks)))
    return blocks


def _parameters(product: Product) -> Table:
    marks = []
    for row in product.parameters:
        value, unit = split_unit(row[2])
        field = f"parameter_{row[0].lower()}_default"
        marks.append(Mark(product.model, field, value, unit, row_text(row)))
    header = ("No.", "Parameter", "Factory setting", "Range")
    return Table(f"{product.model}: installer parameters", header, product.parameters, tuple(marks))


def _wiring(product: Product) -> Figure:
    if product.line == "Dybde":
        names = ("K1", "K3", "K4", "K7")
    elif product.line == "Nordlys G2":
        names = ("CN4", "CN6", "CN7", "CN9")
    elif product.line == "Brise":
        names = ("J2", "J3", "J5", "J9")
    else:
        names = ("X4", "X6", "X7", "X9")
    supply = (
        ("L1", "L2", "L3", "N", "PE")
        if "3 phases" in product.values["supply"]
        else ("L", "N", "PE")
    )
    fuse = f"{product.values.get('fuse', '2')} A"
    return Figure(
        "wiring",
        f"Figure 2: {product.model} wiring diagram",
        (product.model, fuse, *names, "|", *supply),
    )


def generated(product: Product, name: str, argument: str) -> list[Block]:
    """The blocks behind ``@name`` in a manual template."""
    model = product.model
    match name:
        case "technical":
            return [_ratings(product, f"{model}: technical data", "Technical data", TECHNICAL)]
        case "electrical":
            return [_ratings(product, f"{model}: electrical data", "Electrical data", ELECTRICAL)]
        case "torques":
            return [_ratings(product, f"{model}: torque values", "Connection", TORQUES)]
        case "charges":
            return [_charges(product)]
        case "faults":
            return _faults(product)
        case "parameters":
            return [_parameters(product)]
        case "figure" if argument == "wiring":
            return [_wiring(product)]
        case "figure":
            return [Figure(argument, f"Figure 1: {model} {argument} (not to scale)", (model,))]
    raise KeyError(f"no generated block @{name} {argument}")
