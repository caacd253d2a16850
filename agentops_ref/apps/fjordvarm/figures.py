"""Vector drawings in manuals: the wiring diagram and the hydraulic scheme."""

from __future__ import annotations

from typing import Any

from agentops_ref.apps.fjordvarm.model import Figure


def _box(art: Any, x: float, y: float, width: float, height: float, label: str) -> None:
    from reportlab.graphics.shapes import Rect, String

    art.add(Rect(x, y, width, height, fillColor=None, strokeWidth=1))
    art.add(
        String(
            x + width / 2,
            y + height - 12,
            label,
            textAnchor="middle",
            fontSize=8,
            fontName="Helvetica-Bold",
        )
    )


def _label(art: Any, x: float, y: float, text: str) -> None:
    from reportlab.graphics.shapes import String

    art.add(String(x, y, text, textAnchor="middle", fontSize=7, fontName="Helvetica"))


def _line(art: Any, *points: float) -> None:
    from reportlab.graphics.shapes import PolyLine

    art.add(PolyLine(list(points), strokeWidth=0.9))


def _wiring(art: Any, labels: tuple[str, ...]) -> None:
    from reportlab.graphics.shapes import Circle

    split = labels.index("|")
    (model, fuse, *connectors), supply = labels[:split], labels[split + 1 :]
    _box(art, 10, 60, 110, 110, "Distribution board")
    _box(art, 190, 20, 270, 170, f"{model} terminal block and main board")
    for index, wire in enumerate(supply):
        y = 145 - 17 * index
        art.add(Circle(105, y, 2.5, fillColor=None))
        art.add(Circle(210, y, 2.5, fillColor=None))
        _line(art, 107, y, 207, y)
        _label(art, 155, y + 2, wire)
    _label(art, 60, 120, f"Fuse {fuse}")
    _label(art, 60, 106, "and RCD")
    loads = ("Fan or pump", "Sensor 1", "Sensor 2", "Sensor 3")
    for index, (connector, load) in enumerate(zip(connectors, loads, strict=False)):
        x = 250 + 52 * index
        _box(art, x, 110, 40, 30, connector)
        _line(art, x + 20, 110, x + 20, 62)
        art.add(Circle(x + 20, 52, 10, fillColor=None))
        _label(art, x + 20, 30, load)


def _hydraulic(art: Any, labels: tuple[str, ...]) -> None:
    from reportlab.graphics.shapes import Circle

    _box(art, 20, 50, 100, 110, labels[0])
    _box(art, 210, 50, 90, 110, "Buffer tank")
    _box(art, 370, 50, 90, 110, "Heating circuit")
    for left, right in ((120, 210), (300, 370)):
        _line(art, left, 135, right, 135)
        _line(art, left, 75, right, 75)
        _label(art, left + 15, 140, "flow")
        _label(art, left + 15, 80, "return")
    art.add(Circle(335, 135, 9, fillColor=None))
    _label(art, 335, 152, "pump")
    _box(art, 145, 45, 44, 22, "strainer")
    _line(art, 167, 67, 167, 75)


def drawing(figure: Figure, width: float) -> Any:
    """A reportlab drawing of a known figure."""
    from reportlab.graphics.shapes import Drawing

    art = Drawing(width, 192)
    {"wiring": _wiring, "hydraulics": _hydraulic}[figure.name](art, figure.labels)
    return art
