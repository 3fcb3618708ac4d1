"""The circuit breakers of one firing: one for each kind of work, for pictures also a geo host."""

import threading
from collections.abc import Callable

from shared.errors import Evidence, HostUnavailable, PermissionMissing, RunStopped
from shared.sync.circuit_breaker import Canary, CircuitBreaker

VERSIONS = "reading photo versions from Microsoft Graph"
PHOTOS = "reading photos from Microsoft Graph"
PROFILES = "reading profiles from SharePoint"
PICTURES = "reading pictures from SharePoint"
WRITING = "writing to SharePoint"

_GRAPH = ("Microsoft Graph", "ProfilePhoto.Read.All")
"""Whoever can list users but not read their photos lacks this role."""

_PROFILE_ROLE = ("SharePoint", "User.ReadWrite.All")
_WRITE_ROLES = ("SharePoint", "User.ReadWrite.All and Sites.FullControl.All")


class Health:
    """Judges what works in one firing; thread-safe.

    Args:
        canary: makes the canary of a kind of work (and a host, "" where there is none).
        home: My Site host of the central geo.
        probing: the last firing was stopped.
    """

    def __init__(self, canary: Callable[[str, str], Canary], *, home: str, probing: bool) -> None:
        self._canary = canary
        self._home = home
        self._probing = probing
        self._lock = threading.Lock()
        self._by_host: dict[tuple[str, str], CircuitBreaker] = {}
        self.versions = self._breaker(VERSIONS, *_GRAPH)
        self.photos = self._breaker(PHOTOS, *_GRAPH)
        self.profiles = self._breaker(PROFILES, *_PROFILE_ROLE)

    def pictures(self, host: str) -> CircuitBreaker:
        """The breaker for reading from a My Site host; "" is the central geo's."""
        return self._of_host(PICTURES, host)

    def writing(self, host: str) -> CircuitBreaker:
        """The breaker for writing to a My Site host; "" is the central geo's."""
        return self._of_host(WRITING, host)

    def require(self, host: str) -> None:
        """Make sure that a geo's host is worth asking.

        Raises:
            HostUnavailable: its users fail, and nobody else.
        """
        cause = self.writing(host).cause or self.pictures(host).cause
        if cause:
            raise HostUnavailable(
                Evidence("sharepoint", "POST", host), host, "works for nobody", str(cause)
            )

    @property
    def cause(self) -> RunStopped | PermissionMissing | None:
        """Why the run must stop: a service answers nobody, of whatever geo."""
        for breaker in (self.versions, self.photos, self.profiles):
            if breaker.cause:
                return breaker.cause
        causes: dict[str, RunStopped | PermissionMissing | None] = {}
        for (_, host), breaker in self._of_hosts().items():
            causes[host] = causes.get(host) or breaker.cause
        if self._home not in causes:
            # On a quiet night the only users to write may be those of one satellite.
            return None
        return causes[self._home] if all(causes.values()) else None

    @property
    def probing(self) -> bool:
        """Whether one user should be tried alone first, because the last firing was stopped."""
        written = any(
            breaker.proven for (work, _), breaker in self._of_hosts().items() if work == WRITING
        )
        return self._probing and not written

    def conclude(self) -> None:
        """Judge the services that answered nobody at all, at the end of a pass."""
        for breaker in (self.versions, self.photos, self.profiles, *self._of_hosts().values()):
            breaker.conclude()

    def _of_hosts(self) -> dict[tuple[str, str], CircuitBreaker]:
        with self._lock:
            return dict(self._by_host)

    def _of_host(self, work: str, host: str) -> CircuitBreaker:
        key = (work, host or self._home)
        with self._lock:
            if key not in self._by_host:
                self._by_host[key] = self._breaker(work, *_WRITE_ROLES, key[1])
            return self._by_host[key]

    def _breaker(self, work: str, resource: str, role: str, host: str = "") -> CircuitBreaker:
        return CircuitBreaker(
            work,
            resource=resource,
            role=role,
            canary=self._canary(work, host),
            probing=self._probing,
        )
