"""Functions and HTTP connections of Databricks Unity Catalog as tools.

Taught in chapter 6. A function runs on a SQL warehouse through the statement execution API: named
arguments, values as typed parameters, never as text within the SQL. A connection holds a service's
address and credentials in the catalogue, so that an agent has neither. The tests run both against a
server on loopback that speaks the published REST API, never against an account.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any
from urllib.parse import quote

from agentops_ref.agents.tools.spec import Caller, SourceOf, ToolSpec, WrongArguments
from agentops_ref.errors import (
    ConfigError,
    MissingExtra,
    ModelError,
    OperatorError,
    TransientError,
)
from agentops_ref.settings import UnityCatalogConfig, UnityConnectionConfig, UnityFunctionConfig

ROWS = 100
"""Rows that a table function returns at most."""

_JSON = {
    "BOOLEAN": {"type": "boolean"},
    "BYTE": {"type": "integer"},
    "CHAR": {"type": "string"},
    "DATE": {"type": "string", "format": "date"},
    "DECIMAL": {"type": "number"},
    "DOUBLE": {"type": "number"},
    "FLOAT": {"type": "number"},
    "INT": {"type": "integer"},
    "LONG": {"type": "integer"},
    "SHORT": {"type": "integer"},
    "STRING": {"type": "string"},
    "TIMESTAMP": {"type": "string", "format": "date-time"},
    "TIMESTAMP_NTZ": {"type": "string", "format": "date-time"},
}
"""Type of a parameter → its schema. Parameters of statements cannot be arrays, maps or structs."""

_FIELD = re.compile(r"\{(\w+)\}")


def unity_sources(
    settings: UnityCatalogConfig, *, timeout: float = 10.0, **more: Any
) -> list[SourceOf]:
    """Return a source for each function and connection: one that is gone leaves the others.

    Its ``tools()`` raises
    ----------------------
    OperatorError
        A function is not there, or may not be read; there are no credentials.
    TransientError
        The workspace cannot be reached.
    ConfigError
        A function has a parameter that a statement cannot be given.
    """
    client = cache(partial(_client, settings, timeout))
    more["timeout"] = timeout

    def function(wanted: UnityFunctionConfig) -> list[UnityFunction]:
        with told(wanted.function):
            info = client().functions.get(wanted.function)
        return [UnityFunction(client(), str(settings.warehouse), wanted, info, **more)]

    def connection(wanted: UnityConnectionConfig) -> list[UnityConnection]:
        return [UnityConnection(client(), wanted, **more)]

    return [
        *(SourceOf(one.function, partial(function, one)) for one in settings.functions),
        *(SourceOf(one.connection, partial(connection, one)) for one in settings.connections),
    ]


def _client(settings: UnityCatalogConfig, timeout: float) -> Any:
    try:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config
    except ImportError:
        raise MissingExtra("databricks-sdk", "databricks") from None

    given: dict[str, Any] = {}
    if settings.host:
        given["host"] = settings.host
    if settings.token_env:
        given["token"] = os.environ.get(settings.token_env)
        if not given["token"]:
            raise OperatorError(
                f"unity_catalog: the variable {settings.token_env}, its token, is not set"
            )
    with told("the workspace"):
        # One attempt: the SDK would try for five minutes, and send a write again. A request may
        # wait for as long as the statement does.
        given |= {"retry_timeout_seconds": 1, "http_timeout_seconds": max(5.0, timeout) + 5}
        return WorkspaceClient(config=Config(**given))


class UnityFunction:
    """One function, run on a warehouse."""

    def __init__(
        self, client: Any, warehouse: str, wanted: UnityFunctionConfig, info: Any, **more: Any
    ) -> None:
        self._client, self._warehouse, self._tenant = client, warehouse, wanted.tenant
        self._table = info.data_type is not None and info.data_type.value == "TABLE_TYPE"
        found = info.input_params.parameters if info.input_params else None
        parameters = sorted(found or (), key=lambda one: one.position)
        self._types = {one.name: one.type_text for one in parameters}
        if wanted.tenant and wanted.tenant not in self._types:
            raise ConfigError(
                f"tools.unity_catalog: {wanted.function} has no parameter '{wanted.tenant}' for "
                f"the tenant; it has: {', '.join(self._types)}"
            )
        self._called = ".".join(
            f"`{part.replace('`', '``')}`" for part in info.full_name.split(".")
        )
        shown = [one for one in parameters if one.name != wanted.tenant]
        schema = {
            "type": "object",
            "properties": {one.name: _schema_of(one, wanted.function) for one in shown},
            "required": [one.name for one in shown if one.parameter_default is None],
            "additionalProperties": False,
        }
        whole = json.dumps([info.full_name, schema, info.comment, info.routine_definition])
        self.spec = ToolSpec(
            wanted.tool or info.name,
            " ".join((info.comment or f"Calls {info.name}.").split("\n\n")[0].split())[:300],
            schema,
            version=hashlib.sha256(whole.encode()).hexdigest()[:12],
            **more,
        )

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        """Return a scalar function's value, or a table function's rows.

        Raises
        ------
        ModelError
            The statement failed.
        TimeoutError
            The warehouse took too long; the statement was cancelled.
        TransientError
            The workspace cannot be reached.
        """
        from databricks.sdk.service.sql import (
            ExecuteStatementRequestOnWaitTimeout,
            StatementParameterListItem,
        )

        given = {**arguments, self._tenant: caller.tenant} if self._tenant else dict(arguments)
        # A marker's name is ours: a parameter's own may be any identifier.
        numbered = {f"p{number}": name for number, name in enumerate(given)}
        passed = ", ".join(f"`{name}` => :{marker}" for marker, name in numbered.items())
        call = f"{self._called}({passed})"
        sql = f"SELECT * FROM {call}" if self._table else f"SELECT {call} AS result"
        with told(self.spec.name):
            answer = self._client.statement_execution.execute_statement(
                sql,
                self._warehouse,
                parameters=[
                    StatementParameterListItem(marker, self._types[name], _text(given[name]))
                    for marker, name in numbered.items()
                ],
                row_limit=ROWS,
                # The service waits for 5 to 50 seconds.
                wait_timeout=f"{min(50, max(5, math.ceil(self.spec.timeout)))}s",
                on_wait_timeout=ExecuteStatementRequestOnWaitTimeout.CANCEL,
            )
        state = answer.status.state.value
        if state in ("CANCELED", "CLOSED"):
            raise TimeoutError(f"the warehouse took longer than {self.spec.timeout:g} seconds")
        if state != "SUCCEEDED":
            error = answer.status.error
            raise ModelError((error.message if error else "") or f"the statement is {state}")
        columns = answer.manifest.schema.columns
        rows = [
            {
                column.name: _value(cell, column.type_name)
                for column, cell in zip(columns, row, strict=True)
            }
            for row in (answer.result.data_array if answer.result else None) or []
        ]
        if not self._table:
            return rows[0]["result"] if rows else None
        if answer.manifest.truncated:
            rows.append({"more": f"only the first {ROWS} rows"})
        return rows


class UnityConnection:
    """One request through an HTTP connection; the path's fields and the rest are arguments."""

    def __init__(self, client: Any, settings: UnityConnectionConfig, **more: Any) -> None:
        self._client, self._settings = client, settings
        self._fields = _FIELD.findall(settings.path)
        schema = settings.parameters or {
            "type": "object",
            "properties": {field: {"type": "string"} for field in self._fields},
            "additionalProperties": False,
        }
        missing = [one for one in self._fields if one not in schema.get("properties", {})]
        if missing:
            raise ConfigError(
                f"tools.unity_catalog: {settings.tool}: the path needs '{missing[0]}', which its "
                "parameters lack"
            )
        required = list(dict.fromkeys([*schema.get("required", ()), *self._fields]))
        self.spec = ToolSpec(
            settings.tool,
            settings.description,
            {**schema, "required": required},
            effect="read" if settings.method == "GET" else "write",
            **more,
        )

    def __call__(self, arguments: Mapping[str, Any], caller: Caller) -> Any:
        """Return the service's JSON, or its text.

        Raises
        ------
        ModelError
            The service refuses the request.
        TransientError
            The workspace, or the service behind the connection, cannot be reached.
        """
        from databricks.sdk.service.serving import ExternalFunctionRequestHttpMethod

        path = _FIELD.sub(
            lambda field: quote(str(arguments[field.group(1)]), safe=""), self._settings.path
        )
        if any(part in (".", "..") for part in path.split("/")):
            raise WrongArguments(f"the path {path} leaves the service's")
        rest = {name: one for name, one in arguments.items() if name not in self._fields}
        as_query = self._settings.method in ("GET", "DELETE")
        with told(self.spec.name):
            response = self._client.serving_endpoints.http_request(
                self._settings.connection,
                ExternalFunctionRequestHttpMethod(self._settings.method),
                path,
                params={name: _text(one) for name, one in rest.items()} if as_query else None,
                json=None if as_query else rest,
            )
        text = str(response.content.decode("utf-8", "replace"))
        try:
            return json.loads(text)
        except ValueError:
            return text


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours, which say who must act."""
    from databricks.sdk import errors
    from databricks.sdk.errors.base import DatabricksError

    try:
        yield
    except (errors.NotFound, errors.PermissionDenied, errors.Unauthenticated) as error:
        raise OperatorError(f"{what}: {error}") from error
    except (errors.TooManyRequests, errors.InternalError, errors.TemporarilyUnavailable) as error:
        raise TransientError(f"{what}: {error}") from error
    except DatabricksError as error:
        raise ModelError(f"{what}: {error}") from error
    except TimeoutError as error:  # what the SDK makes of an error that may pass
        raise TransientError(f"{what}: {error.__cause__ or error}") from error
    except ValueError as error:  # no credentials
        raise OperatorError(f"{what}: {error}") from error
    except OSError as error:  # requests' errors are such
        raise TransientError(f"{what}: the workspace cannot be reached: {error}") from error


def _schema_of(parameter: Any, function: str) -> dict[str, Any]:
    kind = parameter.type_name.value
    if kind not in _JSON:
        raise ConfigError(
            f"tools.unity_catalog: {function}: parameter {parameter.name} is of type {kind}, which "
            "a statement's parameter cannot be"
        )
    return {**_JSON[kind], **({"description": parameter.comment} if parameter.comment else {})}


def _text(value: Any) -> str | None:
    """Return a value as statement parameters and queries want it; None is NULL."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _value(cell: Any, kind: Any) -> Any:
    """Return a cell of a result, which comes as text, as its column's type."""
    name = kind.value if kind is not None else "STRING"
    if cell is None:
        return None
    if name in ("BYTE", "SHORT", "INT", "LONG"):
        return int(cell)
    if name in ("FLOAT", "DOUBLE"):
        return float(cell)
    if name == "BOOLEAN":
        return str(cell).lower() == "true"
    return cell
