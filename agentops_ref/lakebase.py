"""The password of a Lakebase database: an OAuth token of Databricks, renewed before it ends.

Taught in chapter 7. What MLflow's resources give a deployed agent is credentials for Databricks'
own APIs. Postgres speaks none of them: it wants a password with each connection, and a token is one
for an hour. So whoever opens a connection asks here, and gets one that still counts.

It was only ever run against a server on loopback that speaks the published API.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from agentops_ref.errors import MissingExtra, OperatorError, TransientError
from agentops_ref.secret import remember

EARLY = 300.0
"""Seconds before its end at which a token is replaced; a connection is authenticated once, at its
beginning, and then lives on."""


class LakebasePassword:
    """Returns the password of a database instance when it is called. Safe to share.

    Parameters
    ----------
    instance
        The instance's name.
    client
        Returns a ``databricks.sdk.WorkspaceClient``; by default one that finds its credentials as
        the SDK does, from the environment, a profile, or what the place of deployment gives.
    """

    def __init__(
        self,
        instance: str,
        *,
        client: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.instance, self._client, self._clock = instance, client or _workspace, clock
        self._guard = threading.Lock()
        self._token, self._until = "", 0.0
        self._made: Any = None

    def __repr__(self) -> str:
        return f"LakebasePassword({self.instance!r})"

    def __call__(self) -> str:
        """Return a token that counts for some minutes at least.

        Raises
        ------
        OperatorError
            The workspace does not give one.
        TransientError
            It does not answer.
        """
        with self._guard:
            if not self._token or self._clock() >= self._until - EARLY:
                self._token, self._until = self._fetched()
                remember(self._token)
            return self._token

    def _fetched(self) -> tuple[str, float]:
        if self._made is None:
            self._made = self._client()
        from databricks.sdk.errors.base import DatabricksError

        try:
            found = self._made.database.generate_database_credential(instance_names=[self.instance])
        except DatabricksError as error:
            raise OperatorError(f"Lakebase {self.instance}: no password: {error}") from error
        except (OSError, TimeoutError) as error:
            raise TransientError(f"Lakebase {self.instance}: no password: {error}") from error
        if not found.token:
            raise OperatorError(f"Lakebase {self.instance}: the workspace gave no token")
        return found.token, self._end(found.expiration_time)

    def _end(self, told: str | None) -> float:
        """Return when a token ends; one that does not say is asked for anew each time."""
        try:
            return datetime.fromisoformat((told or "").replace("Z", "+00:00")).timestamp()
        except ValueError:
            return self._clock()


def _workspace() -> Any:
    try:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config
    except ImportError:
        raise MissingExtra("databricks-sdk", "databricks") from None

    # One attempt: the SDK would try for five minutes, while somebody waits for a connection.
    return WorkspaceClient(config=Config(retry_timeout_seconds=1, http_timeout_seconds=10))
