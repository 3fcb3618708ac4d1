"""The circuit breakers of one firing: one for each kind of work, and for writing one a geo host."""

import threading
from collections.abc import Callable

from shared.errors import Evidence, HostUnavailable, PermissionMissing, RunStopped
from shared.sync.circuit_breaker import Canary, CircuitBreaker

VERSIONS = "reading photo versions from Microsoft Graph"
PHOTOS = "reading photos from Microsoft Graph"
PROFILES = "reading profiles from SharePoint"
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
        self._writing: dict[str, CircuitBreaker] = {}
        self.versions = self._breaker(VERSIONS, *_GRAPH)
        self.photos = self._breaker(PHOTOS, *_GRAPH)
        self.profiles = self._breaker(PROFILES, *_PROFILE_ROLE)

    def writing(self, host: str) -> CircuitBreaker:
        """The breaker for a My Site host; "" is the central geo's."""
        host = host or self._home
        with self._lock:
            if host not in self._writing:
                self._writing[host] = self._breaker(WRITING, *_WRITE_ROLES, host)
            return self._writing[host]

    def require(self, host: str) -> None:
        """Make sure that a geo's host is worth asking.

        Raises:
            HostUnavailable: its users fail, and nobody else.
        """
        cause = self.writing(host).cause
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
        with self._lock:
            if self._home not in self._writing:
                # On a quiet night the only users to write may be those of one satellite.
                return None
            causes = [breaker.cause for breaker in self._writing.values()]
        return causes[0] if all(causes) else None

    @property
    def probing(self) -> bool:
        """Whether one user should be tried alone first, because the last firing was stopped."""
        with self._lock:
            written = any(breaker.proven for breaker in self._writing.values())
        return self._probing and not written

    def conclude(self) -> None:
        """Judge the services that answered nobody at all, at the end of a pass."""
        with self._lock:
            writing = list(self._writing.values())
        for breaker in (self.versions, self.photos, self.profiles, *writing):
            breaker.conclude()

    def _breaker(self, work: str, resource: str, role: str, host: str = "") -> CircuitBreaker:
        return CircuitBreaker(
            work,
            resource=resource,
            role=role,
            canary=self._canary(work, host),
            probing=self._probing,
        )
