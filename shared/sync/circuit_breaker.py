"""When to stop a run because a service answers nobody: a permission is missing, a service is down.

One user's trouble is theirs alone, and so is that of forty among two hundred. So a service is
suspected only when distinct users fail in a row and nobody succeeds in between, and before it is
judged, it is asked about somebody with whom all was well: the canary. On a quiet night, when only
the users in trouble need requests at all, that is what tells their trouble from the service's.
"""

import threading
from collections.abc import Callable, Collection

from shared.errors import (
    AccessDenied,
    HostUnavailable,
    MalformedResponse,
    PatienceExceeded,
    PermissionMissing,
    PhotoSyncError,
    RunStopped,
    Throttled,
    Unavailable,
)

SUSPICIOUS_REQUESTS = 20
SUSPICIOUS_USERS = 10
"""So many failed requests about so many users, without a success in between, are suspicious."""

SUSPICIOUS_REFUSALS = 3
"""Users who are refused without a success in between: a missing permission does not pass."""

_SERVICE_FAILURES = (
    AccessDenied,
    HostUnavailable,
    MalformedResponse,
    PatienceExceeded,
    Throttled,
    Unavailable,
)
"""A 404, a 423 or another 4xx is about the user, never about the service."""

type Canary = Callable[[PhotoSyncError, Collection[str]], bool | None]
"""Does for a healthy user what failed for others, given the error and all users who met one in
this firing, who are asked about last: whether that works; None when there is no healthy user."""


class CircuitBreaker:
    """Judges one kind of work with one service (and host) in one firing; thread-safe.

    Args:
        work: completes "stopped because … fails for everybody".
        resource: "Microsoft Graph" or "SharePoint".
        role: app role that the work needs.
        canary: see `Canary`.
        probing: the last firing was stopped: one failure is suspicious until something succeeds.
    """

    def __init__(
        self, work: str, *, resource: str, role: str, canary: Canary, probing: bool = False
    ) -> None:
        self._work = work
        self._resource = resource
        self._role = role
        self._canary = canary
        self._probing = probing
        self._patience = 1
        self._proven = False
        self._requests = 0
        self._failed: set[str] = set()
        self._refused: set[str] = set()
        self._suspects: set[str] = set()
        self._last: PhotoSyncError | None = None
        self._asking = False
        self._lock = threading.Lock()
        self._cause: RunStopped | PermissionMissing | None = None

    @property
    def cause(self) -> RunStopped | PermissionMissing | None:
        """Why this work must not go on; None while it may."""
        return self._cause

    @property
    def probing(self) -> bool:
        """Whether one user should be tried alone first."""
        return self._probing

    @property
    def proven(self) -> bool:
        """Whether anything succeeded in this firing."""
        return self._proven

    def succeeded(self) -> None:
        """The service did its part for somebody."""
        with self._lock:
            self._proven = True
            self._probing = False
            self._forget()

    def failed(self, error: Exception | None, user_ids: Collection[str]) -> bool:
        """A request failed; only what the service may be to blame for counts.

        Args:
            error: of the request.
            user_ids: whom it was about.

        Returns:
            Whether these users were the probe, whose failure alone stops the run.
        """
        if not isinstance(error, _SERVICE_FAILURES) or (
            # A pause of the whole service is kept, and no failure of anybody.
            isinstance(error, Throttled) and not error.own
        ):
            return False
        with self._lock:
            self._last = error
            self._requests += 1
            self._failed.update(user_ids)
            self._suspects.update(user_ids)
            if isinstance(error, AccessDenied):
                self._refused.update(user_ids)
            if self._cause or self._asking or not self._is_suspicious():
                return False
            self._asking = True
        return self._judge(error)

    def conclude(self) -> None:
        """Judge at the end of a pass: a service that answered nobody at all is to blame."""
        with self._lock:
            error, enough = self._last, len(self._failed) >= SUSPICIOUS_REFUSALS
            if error is None or self._cause or self._asking or self._proven or not enough:
                return
            self._asking = True
        self._judge(error, final=True)

    def _judge(self, error: PhotoSyncError, *, final: bool = False) -> bool:
        with self._lock:
            suspects = frozenset(self._suspects)
        healthy = self._canary(error, suspects)
        with self._lock:
            self._asking = False
            if healthy is None:
                # Nobody to ask about: then a success of anybody in this firing is a proof that
                # the permission is there, but not that the service still works.
                healthy = self._proven and isinstance(error, AccessDenied)
                if not (healthy or final or self._probing or self._enough()):
                    # Perhaps the first few are in trouble: the next failure decides again.
                    return False
            if healthy:
                self._proven = True
                self._probing = False
                self._patience *= 2
                self._forget()
                return False
            self._cause = self._named(error)
            return self._probing

    def _is_suspicious(self) -> bool:
        if self._probing or len(self._refused) >= SUSPICIOUS_REFUSALS * self._patience:
            return True
        return (
            self._requests >= SUSPICIOUS_REQUESTS * self._patience
            and len(self._failed) >= SUSPICIOUS_USERS * self._patience
        )

    def _enough(self) -> bool:
        """Whether so many users failed that it cannot be theirs, also without a healthy user."""
        return len(self._failed) >= SUSPICIOUS_USERS * self._patience

    def _forget(self) -> None:
        self._requests = 0
        self._failed.clear()
        self._refused.clear()

    def _named(self, error: PhotoSyncError) -> RunStopped | PermissionMissing:
        if isinstance(error, AccessDenied):
            return PermissionMissing(self._resource, self._role, error.evidence)
        return RunStopped(
            f"stopped because {self._work} fails for everybody, last with: {error}. Nothing is "
            "lost: the next firing tries again and goes on when that succeeds. If it lasts, see "
            "the service health of Microsoft 365 and docs/operate.md"
        )
