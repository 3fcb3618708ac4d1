"""Opens the checkpoint's container: which credential, how often and how long it is tried.

azure-storage-blob knows no limit of time over its retries and waits on the real clock. An HTTP
caller is promised an answer in time, so both are given to it here.
"""

import math
from dataclasses import dataclass
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient, ExponentialRetry
from requests.adapters import HTTPAdapter

from shared.clock import Clock
from shared.config import Settings
from shared.errors import DeadlineExceeded
from shared.http import ManagedIdentity, Session

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0


@dataclass(frozen=True)
class _Patience:
    """Until when storage is waited for.

    Attributes:
        clock: of the program.
        deadline: monotonic seconds.
    """

    clock: Clock
    deadline: float

    def left(self) -> float:
        """Seconds until the deadline.

        Raises:
            DeadlineExceeded: none.
        """
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded("no time is left for blob storage")
        return left


class _Transport(RequestsTransport):  # type: ignore[misc]  # exported without a type
    """Sends over the process's session, for as long as there is patience."""

    def __init__(self, session: requests.Session, patience: _Patience) -> None:
        super().__init__(session=session, session_owner=False)
        self._patience = patience

    def send(self, request: object, **options: Any) -> Any:
        """Send once, within what is left of the time."""
        left = self._patience.left()
        for name, most in (("connection_timeout", CONNECT_SECONDS), ("read_timeout", READ_SECONDS)):
            options[name] = min(options.get(name) or most, most, left)
        return super().send(request, **options)


class _Retry(ExponentialRetry):
    """About 2, 3 and 5 seconds between attempts, on the program's clock."""

    def __init__(self, patience: _Patience) -> None:
        super().__init__(initial_backoff=1, increment_base=2, random_jitter_range=1)
        self._patience = patience

    def sleep(self, settings: dict[str, Any], transport: object) -> None:
        """Wait before the next attempt."""
        del transport
        seconds = self.get_backoff_time(settings)
        if seconds >= self._patience.left():
            raise DeadlineExceeded("no time is left to try blob storage again")
        self._patience.clock.sleep(seconds)


class Storage:
    """The storage account of the checkpoint; one for the process.

    Args:
        settings: names account and container.
        identity: opens the account when the settings hold no connection string.
        clock: of the program.
    """

    def __init__(self, settings: Settings, identity: ManagedIdentity, clock: Clock) -> None:
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._session = Session()
        adapter = HTTPAdapter(pool_maxsize=settings.max_concurrency)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def container(self, deadline: float = math.inf) -> ContainerClient:
        """A client for one invocation.

        Args:
            deadline: monotonic seconds after which it raises DeadlineExceeded instead of trying.
        """
        patience = _Patience(self._clock, deadline)
        name, connection = self._settings.checkpoint_container, self._settings.checkpoint
        options: dict[str, Any] = {
            "transport": _Transport(self._session, patience),
            "retry_policy": _Retry(patience),
        }
        if connection.connection_string:
            return ContainerClient.from_connection_string(
                connection.connection_string, name, **options
            )
        return ContainerClient(
            str(connection.account_url),
            name,
            credential=self._identity.storage_credential(),
            **options,
        )
