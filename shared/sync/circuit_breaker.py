"""When to stop a run in which nearly everything fails: a permission is missing, a service is down.

One poisoned user harms only himself; a failing service would harm everybody, slowly, with requests
nobody wants. So the last results of each kind of work are remembered, and when nearly all of them
are the service's failures, the run stops and names the cause.
"""

import threading
from collections import deque

from shared.errors import (
    AccessDenied,
    MalformedResponse,
    NotFound,
    PermissionMissing,
    RequestRejected,
    RunStopped,
    ServiceError,
    Unavailable,
)

WINDOW = 20
"""Results that are remembered."""

TOLERATED = 2
"""Successes among them that do not save the run."""

REFUSALS = 3
"""Refusals without a single success that are enough: a missing permission does not pass."""

_SERVICE_FAILURES = (Unavailable, MalformedResponse, AccessDenied, RequestRejected, NotFound)


class CircuitBreaker:
    """Judges one kind of work in one run; thread-safe.

    Args:
        work: for the message, for example "writing to SharePoint".
        role: app role that the work needs, for the message.
        resource: "Microsoft Graph" or "SharePoint".
        probing: the last run was stopped: one failure is enough, until something succeeds.
    """

    def __init__(self, work: str, *, resource: str, role: str, probing: bool = False) -> None:
        self._work = work
        self._resource = resource
        self._role = role
        self._probing = probing
        self._results: deque[bool] = deque(maxlen=WINDOW)
        self._refused = 0
        self._succeeded = False
        self._lock = threading.Lock()
        self.cause: RunStopped | PermissionMissing | None = None
        """Why the run has to stop; None while it may go on."""

    @property
    def probing(self) -> bool:
        """Whether the next work should be a single user's."""
        return self._probing

    def beside(self) -> "CircuitBreaker":
        """A second judge of this service, for work that can fail while the first's succeeds."""
        return CircuitBreaker(
            self._work, resource=self._resource, role=self._role, probing=self._probing
        )

    def succeeded(self) -> None:
        """The service did its part for a user."""
        self.answered()
        self._probing = False

    def answered(self) -> None:
        """The service told what was asked, but nothing was tried yet that failed last time."""
        with self._lock:
            self._results.append(True)
            self._succeeded = True

    def failed(self, error: Exception | None) -> bool:
        """A user failed; only the service's failures count against it.

        Returns:
            Whether this user was the probe, whose failure alone stops the run.
        """
        if not isinstance(error, _SERVICE_FAILURES):
            return False
        with self._lock:
            self._results.append(False)
            self._refused += isinstance(error, AccessDenied)
            if self.cause is not None or not self._is_enough():
                return False
            self.cause = self._name(error)
            return self._probing

    def _is_enough(self) -> bool:
        failures = self._results.count(False)
        nearly_all = len(self._results) == WINDOW and failures >= WINDOW - TOLERATED
        refused = self._refused >= REFUSALS and not self._succeeded
        return self._probing or refused or nearly_all

    def _name(self, error: ServiceError) -> RunStopped | PermissionMissing:
        if isinstance(error, AccessDenied):
            return PermissionMissing(self._resource, self._role, error.evidence)
        return RunStopped(
            f"stopped because {self._work} fails for nearly everybody, last with: {error}. "
            "Nothing is lost: the next firing tries one user and goes on when that succeeds. If "
            "it lasts, see the service health of Microsoft 365 and docs/operate.md"
        )


def reading_breaker(*, probing: bool = False) -> CircuitBreaker:
    """Judges Microsoft Graph."""
    return CircuitBreaker(
        "reading from Microsoft Graph",
        resource="Microsoft Graph",
        role="User.Read.All",
        probing=probing,
    )


def writing_breaker(*, probing: bool = False) -> CircuitBreaker:
    """Judges SharePoint."""
    return CircuitBreaker(
        "working with SharePoint",
        resource="SharePoint",
        role="User.ReadWrite.All and Sites.FullControl.All",
        probing=probing,
    )
