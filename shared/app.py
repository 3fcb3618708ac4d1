"""The program, put together from its settings; one for each process.

Sessions, pools, tokens and rate limits are shared by all invocations of the process, so that
connections are reused and a throttled service is left alone by everybody. What belongs to one
invocation (its budget, its guard, its counts) is given to `graph` and `sharepoint`.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from azure.storage.blob import ContainerClient

from shared import __version__
from shared.checkpoint import Checkpoint, Storage, lease_seconds
from shared.clock import Clock
from shared.config import Settings, load
from shared.graph import Graph
from shared.http import Budget, ManagedIdentity, Service, Tokens
from shared.log import InvocationLog
from shared.sharepoint import FolderCache, Hosts, ReadOnlySharePoint, SharePoint

_log = logging.getLogger("photo_sync")

CLOCK: Clock = time
"""Where the program's time comes from; tests put their own here before the first call."""


class App:
    """Everything an invocation needs.

    Args:
        settings: checked.
        clock: where time comes from.
        lease_clock: seconds of a clock that goes on while the machine sleeps.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock = time,
        lease_clock: Callable[[], float] = lease_seconds,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.lease_clock = lease_clock
        self.identity = ManagedIdentity(settings, clock=clock)
        self._graph = self._service("graph", lambda origin: origin == settings.graph_url)
        self._sharepoint = self._service(
            "sharepoint",
            Hosts(settings.mysite_url, settings.admin_url, settings.sharepoint_satellites).owns,
        )
        self._folders = FolderCache(clock)
        self._storage = Storage(settings, self.identity, clock)

    def _service(
        self, name: str, origins: Callable[[str], bool], tokens: Tokens | None = None
    ) -> Service:
        return Service(
            name,
            origins=origins,
            tokens=tokens or self.identity,
            concurrency=self.settings.max_concurrency,
            user_agent=f"NONISV|{self.settings.company}|PhotoSync/{__version__}",
            clock=self.clock,
        )

    @property
    def graph_service(self) -> Service:
        """Microsoft Graph, for requests of other kinds than `Graph` makes."""
        return self._graph

    def sharepoint_service(self, hosts: Collection[str], tokens: Tokens | None = None) -> Service:
        """SharePoint, for requests of other kinds than `SharePoint` makes; at the common rate.

        Args:
            hosts: the only origins that get a token.
            tokens: other ones than the identity gives by itself.
        """
        service = self._service("sharepoint", lambda origin: origin in hosts, tokens)
        service.limiter = self._sharepoint.limiter
        return service

    def graph(self, budget: Budget) -> Graph:
        """Microsoft Graph for one invocation."""
        return Graph(self._graph, self.settings.graph_url, budget)

    def sharepoint(
        self, budget: Budget, *, log: InvocationLog | None = None, read_only: bool = False
    ) -> SharePoint:
        """SharePoint for one invocation; a dry run gets one that writes nothing."""
        kind = ReadOnlySharePoint if read_only else SharePoint
        return kind(
            self._sharepoint,
            mysite=self.settings.mysite_url,
            admin=self.settings.admin_url,
            satellites=self.settings.sharepoint_satellites,
            budget=budget,
            log=log or InvocationLog(),
            folders=self._folders,
        )

    def checkpoint(
        self,
        *,
        log: InvocationLog | None = None,
        read_only: bool = False,
        deadline: float = math.inf,
    ) -> Checkpoint:
        """The checkpoint for one invocation.

        Args:
            log: of the invocation; None to make one.
            read_only: a dry run: records cannot be changed.
            deadline: monotonic seconds after which storage is not waited for.
        """
        container = self._storage.container(deadline)
        return Checkpoint(
            container,
            clock=self.clock,
            log=log or InvocationLog(),
            read_only=read_only,
            lease_clock=self.lease_clock,
        )

    @property
    def container(self) -> ContainerClient:
        """The checkpoint's container, to look into."""
        return self._storage.container()

    def blobs(self, deadline: float) -> ContainerClient:
        """The checkpoint's container, for blobs of other kinds than the checkpoint's.

        Args:
            deadline: monotonic seconds after which storage is not waited for.
        """
        return self._storage.container(deadline)

    def pool(self) -> ThreadPoolExecutor:
        """Threads for one invocation; each has at most one request in flight."""
        return ThreadPoolExecutor(self.settings.max_concurrency, "photo-sync")


_lock = threading.Lock()
_open: App | None = None


def open_app(environ: Mapping[str, str] = os.environ) -> App:
    """The process's program; made anew only when its settings have changed.

    Raises:
        ConfigurationError: lists every problem of the settings.
    """
    global _open  # noqa: PLW0603 - one per process is the point
    settings = load(environ)
    with _lock:
        if _open is None or _open.settings != settings or _open.clock is not CLOCK:
            _open = App(settings, CLOCK)
            for warning in settings.warnings:
                _log.warning("%s", warning)
        return _open
