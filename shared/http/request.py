"""What is sent and what it may cost: requests, the budget of an invocation, patience."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from shared.clock import Clock
from shared.http.response import Response

RESPONSE_LIMIT_BYTES = 4 * 1024 * 1024
"""Longest body, unpacked. A page of 999 users has 0.3 MB, a batch of 20 profiles up to 1 MB."""

ATTEMPTS = 4
"""How often a request is sent that fails for the service's reasons."""


@dataclass(frozen=True)
class Request:
    """One request, complete but for the token.

    Attributes:
        method: HTTP method.
        url: absolute, completely encoded.
        headers: beside User-Agent and Authorization.
        body: sent as it is.
        write: it changes something: the guard is asked before every attempt.
        accept: statuses beside 2xx that are returned instead of raised.
        want_json: a 2xx whose body is no JSON counts as a failed attempt.
        limit: most bytes read of the unpacked body; more gives an `oversize` response.
        subject: object id of the one user whom the request is about; "" for many or nobody.
        parts: how many requests the service counts it as: the items of a batch.
        attempts: how often it is sent when it fails for the service's reasons; None as usual. With
            1 it is sent once also when it is throttled.
        final: recognizes a response that asking again cannot change although its status suggests
            so; it is returned, whatever its status.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    write: bool = False
    accept: Collection[int] = ()
    want_json: bool = True
    limit: int = RESPONSE_LIMIT_BYTES
    subject: str = ""
    parts: int = 1
    attempts: int | None = None
    final: Callable[[Response], bool] | None = None


@dataclass
class Meter:
    """What was sent and received, for the report; thread-safe.

    Attributes:
        requests: by name of the service.
        throttled: responses and batch items that said so.
        received: bytes of bodies, unpacked.
        sent: bytes of bodies.
    """

    requests: dict[str, int] = field(default_factory=lambda: {"graph": 0, "sharepoint": 0})
    throttled: int = 0
    received: int = 0
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def snapshot(self) -> "Meter":
        """The counts of this moment, which count no further."""
        with self._lock:
            return Meter(dict(self.requests), self.throttled, self.received, self.sent)

    def add(
        self,
        service: str,
        *,
        requests: int = 0,
        throttled: int = 0,
        received: int = 0,
        sent: int = 0,
    ) -> None:
        """Count."""
        with self._lock:
            self.requests[service] = self.requests.get(service, 0) + requests
            self.throttled += throttled
            self.received += received
            self.sent += sent


class Patience:
    """How long the requests about one user may take together; thread-safe.

    Attempts and the pauses between them count. Waiting for a free slot does not, nor does a pause
    of the whole service: neither is the user's doing.

    Args:
        seconds: for all requests that are given this object.
        clock: where time comes from.
        subject: object id of the user; "" when it is not known.
    """

    def __init__(self, seconds: float, clock: Clock = time, subject: str = "") -> None:
        self.subject = subject
        self._left = seconds
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds that are left; 0 when it is spent."""
        with self._lock:
            return max(0.0, self._left)

    def spend(self, seconds: float) -> None:
        """Count time that has passed, or that is about to be waited."""
        with self._lock:
            self._left -= max(0.0, seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time that passes inside the `with`."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self.spend(self._clock.monotonic() - began)


def _always() -> None:
    """Allow every write."""


@dataclass(frozen=True)
class Budget:
    """What one invocation may spend.

    Attributes:
        deadline: monotonic seconds after which nothing is sent any more.
        guard: called before every write; raises when it must not happen (lease lost).
        meter: where requests are counted.
        patience: for the one user whom the requests are about; None for other requests.
    """

    deadline: float
    guard: Callable[[], None] = _always
    meter: Meter = field(default_factory=Meter)
    patience: Patience | None = None

    def with_patience(self, patience: Patience | None) -> "Budget":
        """The same budget, with patience for one user."""
        return replace(self, patience=patience)

    def subject_of(self, request: Request) -> str:
        """Object id of the one user whom a request is about; "" for many or nobody."""
        return request.subject or (self.patience.subject if self.patience else "")
