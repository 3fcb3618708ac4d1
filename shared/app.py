"""The program, put together from its settings; one for each process.

Sessions, pools, tokens and paces are shared by all invocations of the process, so that connections
are reused and a throttled service is left alone by everybody. What belongs to one invocation (its
budget, its guard, its counts) is given to `graph` and `sharepoint`.
"""

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient, ExponentialRetry

from shared import __version__
from shared.checkpoint import Checkpoint
from shared.clock import Clock
from shared.graph import Graph
from shared.identity import Identity
from shared.settings import SETTINGS, Settings, load
from shared.sharepoint import ReadOnlySharePoint, SharePoint, owns
from shared.transport import Budget, Service

CLOCK: Clock = time
"""Where the program's time comes from; tests put their own here before the first call."""


class App:
    """Everything an invocation needs.

    Args:
        settings: checked.
        clock: where time comes from.
    """

    def __init__(self, settings: Settings, clock: Clock = time) -> None:
        self.settings = settings
        self.clock = clock
        self.identity = Identity(settings, clock=clock)
        agent = f"NONISV|{settings.company}|PhotoSync/{__version__}"
        self._graph = Service(
            "graph",
            origins=lambda origin: origin == settings.graph_url,
            tokens=self.identity,
            concurrency=settings.max_concurrency,
            user_agent=agent,
            clock=clock,
        )
        self._sharepoint = Service(
            "sharepoint",
            origins=partial(owns, mysite=settings.mysite_url, admin=settings.admin_url),
            tokens=self.identity,
            concurrency=settings.max_concurrency,
            user_agent=agent,
            clock=clock,
        )
        self.container = _container(settings, self.identity)

    def graph(self, budget: Budget) -> Graph:
        """Microsoft Graph for one invocation."""
        return Graph(self._graph, self.settings.graph_url, budget)

    def sharepoint(self, budget: Budget, *, read_only: bool = False) -> SharePoint:
        """SharePoint for one invocation; a dry run gets one that writes nothing."""
        kind = ReadOnlySharePoint if read_only else SharePoint
        return kind(
            self._sharepoint,
            mysite=self.settings.mysite_url,
            admin=self.settings.admin_url,
            budget=budget,
        )

    def checkpoint(self, *, read_only: bool = False) -> Checkpoint:
        """The checkpoint; a dry run gets one whose records cannot be changed."""
        return Checkpoint(self.container, clock=self.clock, read_only=read_only)

    def pool(self) -> ThreadPoolExecutor:
        """Threads for one invocation; each has at most one request in flight."""
        return ThreadPoolExecutor(self.settings.max_concurrency, "photo-sync")


def _container(settings: Settings, identity: Identity) -> ContainerClient:
    connection = settings.checkpoint
    options: dict[str, Any] = {
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=4),
        "connection_timeout": 10,
        "read_timeout": 60,
    }
    if connection.connection_string:
        service = BlobServiceClient.from_connection_string(connection.connection_string, **options)
    else:
        service = BlobServiceClient(
            str(connection.account_url), credential=identity.storage_credential(), **options
        )
    return service.get_container_client(settings.checkpoint_container)


_lock = threading.Lock()
_open: tuple[Mapping[str, str], App] | None = None


def open_app(environ: Mapping[str, str] = os.environ) -> App:
    """The process's program; made anew only when its settings have changed.

    Raises:
        ConfigurationError: lists every problem of the settings.
    """
    global _open  # noqa: PLW0603 - one per process is the point
    relevant = {key: value for key, value in environ.items() if _is_relevant(key)}
    with _lock:
        if _open is None or _open[0] != relevant:
            _open = relevant, App(load(environ), CLOCK)
        return _open[1]


_NAMES = frozenset(setting.name for setting in SETTINGS)


def _is_relevant(key: str) -> bool:
    """Whether a change of this environment variable makes another program."""
    return key in _NAMES or "STORAGE" in key.upper() or "__" in key
