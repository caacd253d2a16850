"""A weather service on loopback, described by an OpenAPI document; somebody else's API.

Used by chapter 6 and by tests.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from agentops_ref.apps.loopback import Asked, JsonService

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Weather", "version": "2.0"},
    "paths": {
        "/stations/{station}/forecast": {
            "get": {
                "operationId": "forecast",
                "summary": "Forecast for a station.",
                "parameters": [
                    {
                        "name": "station",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string"},
                    },
                    {
                        "name": "days",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 7},
                    },
                ],
                # As documents often are, this one is wrong about the answer: low_c is a number.
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {"low_c": {"type": "string"}},
                                    },
                                }
                            }
                        },
                    }
                },
            }
        },
        "/alerts": {
            "post": {
                "operationId": "subscribe",
                "summary": "Subscribe to alerts.",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Alert"}}
                    },
                },
                "responses": {"201": {"description": "made"}},
            }
        },
    },
    "components": {
        "schemas": {
            "Alert": {
                "type": "object",
                "properties": {"station": {"type": "string"}, "below_c": {"type": "number"}},
                "required": ["station", "below_c"],
            }
        }
    },
}
"""Served at /openapi.json."""


class WeatherService(JsonService):
    """Forecasts for any station but those called "nowhere", and alerts that are only counted."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        super().__init__(self._told)

    def _told(self, asked: Asked) -> tuple[int, Any]:
        self.asked.append(asked)
        parts = urlsplit(asked.path)
        if parts.path == "/openapi.json":
            return 200, DOCUMENT
        if "nowhere" in parts.path:
            return 404, {"detail": "no such station"}
        if asked.method == "POST":
            return 201, {"alert": 7}
        days = int(parse_qs(parts.query).get("days", ["1"])[0])
        return 200, [{"day": day, "low_c": -day} for day in range(days)]
