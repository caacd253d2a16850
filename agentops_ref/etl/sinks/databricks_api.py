"""The few requests of Databricks Vector Search that its sink makes, through the Databricks SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from agentops_ref.errors import MissingExtra, OperatorError, TransientError

UPSERT_ROWS, DELETE_ROWS, SCAN_ROWS = 200, 500, 500
_TRIES = 4
"""For rows of an upsert that the service reports as failed."""
_READY_SECONDS = 600

Row = dict[str, Any]
"""Column → value, as an index has it."""


class VectorSearch:
    """The few requests that the sink makes, with errors that say who must act."""

    def __init__(self, endpoint: str, host: str | None, profile: str | None) -> None:
        self.endpoint, self.host, self.profile = endpoint, host, profile
        self._api: Any = None

    def create(self, name: str, columns: Mapping[str, str], width: int) -> None:
        """Make an index unless it is there, and wait until it can be used."""
        from databricks.sdk.errors import ResourceAlreadyExists, ResourceConflict
        from databricks.sdk.service import vectorsearch as vs

        vector = vs.EmbeddingVectorColumn(name="vector", embedding_dimension=width)
        schema = {**columns, "vector": "array<float>"}
        spec = vs.DirectAccessVectorIndexSpec(
            embedding_vector_columns=[vector], schema_json=json.dumps(schema)
        )
        with _told():
            with suppress(ResourceAlreadyExists, ResourceConflict):
                self._indexes.create_index(
                    name=name,
                    endpoint_name=self.endpoint,
                    primary_key="key",
                    index_type=vs.VectorIndexType.DIRECT_ACCESS,
                    direct_access_index_spec=spec,
                )
            until = time.monotonic() + _READY_SECONDS
            while not (status := self._indexes.get_index(name).status) or not status.ready:
                if time.monotonic() > until:
                    raise TransientError(f"index {name} is not ready after {_READY_SECONDS} s")
                time.sleep(1)

    def upsert(self, name: str, rows: Iterable[Row]) -> None:
        for part in _parts(rows, UPSERT_ROWS):
            todo = {row["key"]: row for row in part}
            for wait in range(_TRIES):
                with _told():
                    told = self._indexes.upsert_data_vector_index(
                        name, json.dumps(list(todo.values()))
                    )
                if told.status is not None and told.status.value == "SUCCESS":
                    break
                failed = told.result.failed_primary_keys if told.result else None
                todo = {key: todo[key] for key in failed or todo}
                time.sleep(0.2 * 2**wait)
            else:
                raise TransientError(f"{name}: {len(todo)} rows were not taken, e.g. {min(todo)}")

    def delete(self, name: str, keys: Iterable[str]) -> None:
        for part in _parts(keys, DELETE_ROWS):
            with _told():
                self._indexes.delete_data_vector_index(name, part)

    def scan(self, name: str, prefix: str = "") -> Iterator[Row]:
        """Yield the rows whose keys begin with a prefix, in the order of keys."""
        last = prefix or None  # a key is longer than its prefix, so none is left out
        while True:
            with _told():
                found = self._indexes.scan_index(name, last_primary_key=last, num_results=SCAN_ROWS)
            rows = [_row_of(struct) for struct in found.data or ()]
            for row in rows:
                if not row["key"].startswith(prefix):
                    return
                yield row
            if len(rows) < SCAN_ROWS:
                return
            last = rows[-1]["key"]

    def query(self, name: str, filters: Mapping[str, Any], n: int, **how: Any) -> list[list[Any]]:
        """Return (payload, norm, score) rows, best first."""
        with _told():
            page = self._indexes.query_index(
                name,
                ["payload", "norm"],
                filters_json=json.dumps(filters),
                num_results=n,
                **how,
            )
            rows = list(page.result.data_array or ()) if page.result else []
            while page.next_page_token and len(rows) < n:
                page = self._indexes.query_next_page(
                    name, endpoint_name=self.endpoint, page_token=page.next_page_token
                )
                rows += list(page.result.data_array or ()) if page.result else []
        return rows[:n]

    @property
    def _indexes(self) -> Any:
        if self._api is None:
            try:
                from databricks.sdk import WorkspaceClient
            except ImportError:
                raise MissingExtra("databricks-sdk", "databricks") from None
            with _told():
                self._api = WorkspaceClient(host=self.host, profile=self.profile)
        return self._api.vector_search_indexes


@contextmanager
def _told() -> Iterator[None]:
    """Turn the SDK's errors into ours: who must act, and whether trying again can help."""
    from databricks.sdk import errors
    from databricks.sdk.errors.base import DatabricksError
    from requests.exceptions import RequestException

    passing = (
        errors.TooManyRequests,
        errors.TemporarilyUnavailable,
        errors.InternalError,
        errors.DeadlineExceeded,
        errors.Aborted,
        RequestException,
        TimeoutError,
    )
    try:
        yield
    except (errors.ResourceAlreadyExists, errors.ResourceConflict):
        raise
    except passing as error:
        raise TransientError(f"Databricks Vector Search: {error}") from error
    except (DatabricksError, ValueError) as error:
        raise OperatorError(f"Databricks Vector Search: {error}") from error


def _parts(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    part: list[Any] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _row_of(struct: Any) -> Row:
    """Return a row of a scan as name → value."""
    row: Row = {}
    for pair in struct.fields or ():
        value = pair.value
        if value is None:
            continue
        if value.list_value is not None:
            row[pair.key] = [one.number_value for one in value.list_value.values or ()]
        elif value.number_value is not None:
            row[pair.key] = value.number_value
        else:
            row[pair.key] = value.string_value or ""
    return row | {name: int(row[name]) for name in ("born", "died") if name in row}
