"""A service with SharePoint's quota and many workers before one limiter, in virtual time.

A discrete-event simulation: one thread, a queue of moments, a random generator with a seed. The
limiter and the quota are the real ones (`shared.http.rate_limit`,
`local.tenant.sharepoint.quota`); only the network and the workers are made up.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from local.support.clock import VirtualClock
from local.tenant.quirks import Quotas
from local.tenant.sharepoint.quota import SharePointQuota
from shared.http.quota import UNITS_PER_REQUEST
from shared.http.rate_limit import RateLimiter, Slot

_FOREVER = math.inf


@dataclass(frozen=True)
class Network:
    """How long a request takes.

    Attributes:
        seconds: of an ordinary request.
        slow_seconds: of a slow one.
        slow_share: how many are slow.
        charged_after: share of the time after which the service charges the request.
    """

    seconds: float = 0.3
    slow_seconds: float = 5.0
    slow_share: float = 0.005
    charged_after: float = 0.1


@dataclass
class Figures:
    """What came of it.

    Attributes:
        minutes: requests charged in each minute, throttled ones included.
        sent: requests.
        throttled: of them.
        busy_seconds: sum of all requests' times.
        waits: seconds that requests with a deadline waited for their slot.
    """

    minutes: dict[int, int] = field(default_factory=dict)
    sent: int = 0
    throttled: int = 0
    busy_seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def share_throttled(self) -> float:
        """Of all requests."""
        return self.throttled / self.sent

    def share_of_quota(self, units_per_minute: int, minutes: range) -> float:
        """How much of the quota of these minutes was used, throttled requests not counted."""
        used = sum(self.minutes.get(minute, 0) for minute in minutes) * UNITS_PER_REQUEST
        return used / (units_per_minute * len(minutes))


class Simulation:
    """Workers that always have a next request.

    Args:
        workers: how many.
        cap: of the limiter.
        units_per_minute: the application's quota; None for none.
        network: how long requests take.
        headers: whether the service announces its quota.
        seed: of the random generator.
    """

    def __init__(
        self,
        *,
        workers: int = 32,
        cap: int = 32,
        units_per_minute: int | None = None,
        network: Network | None = None,
        headers: bool = True,
        starts_at: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.clock = VirtualClock(0.0)
        self.clock.advance(starts_at)
        self.limiter = RateLimiter(cap, self.clock)
        self.figures = Figures()
        self._quota = SharePointQuota(
            clock=self.clock, quotas=Quotas(sharepoint_units_per_minute=units_per_minute)
        )
        self._network = network or Network()
        self._headers = headers
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._waiting: dict[Slot, Callable[[], None]] = {}
        for _ in range(workers):
            self._next(_FOREVER)

    def run(self, seconds: float) -> Figures:
        """Let so much time pass."""
        end = self.clock.monotonic() + seconds
        while True:
            look_at = self.limiter.grant_due()
            self._start_granted()
            moment = min(look_at, self._events[0][0] if self._events else _FOREVER)
            if moment >= end:
                self.clock.advance(max(0.0, end - self.clock.monotonic()))
                return self.figures
            self.clock.advance(max(0.0, moment - self.clock.monotonic()))
            while self._events and self._events[0][0] <= self.clock.monotonic():
                heapq.heappop(self._events)[2]()
                self._start_granted()

    def call(self, after: float, requests: int, patience: float) -> None:
        """A call for one user: so many requests one after the other, with a deadline."""

        def begin(left: int) -> None:
            if left:
                deadline = self.clock.monotonic() + patience
                self._next(deadline, then=lambda: begin(left - 1))

        self._at(self.clock.monotonic() + after, lambda: begin(requests))

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), action))

    def _next(self, deadline: float, then: Callable[[], None] | None = None) -> None:
        came = self.clock.monotonic()
        slot = self.limiter.enter(deadline, UNITS_PER_REQUEST)

        def start() -> None:
            if then:
                self.figures.waits.append(self.clock.monotonic() - came)
            self._send(slot, then or (lambda: self._next(_FOREVER)))

        self._waiting[slot] = start

    def _start_granted(self) -> None:
        for slot in [slot for slot in self._waiting if slot.granted]:
            self._waiting.pop(slot)()

    def _send(self, slot: Slot, then: Callable[[], None]) -> None:
        network = self._network
        slow = self._random.random() < network.slow_share
        spread = self._random.uniform(0.8, 1.2)
        seconds = network.slow_seconds if slow else network.seconds * spread
        now = self.clock.monotonic()
        self.figures.sent += 1
        self.figures.busy_seconds += seconds

        def charge() -> None:
            moment = self.clock.monotonic()
            verdict = self._quota.charge(geo="", app_id="")
            if verdict.retry_after:
                self.figures.throttled += 1
            else:
                minute = int(moment // 60)
                self.figures.minutes[minute] = self.figures.minutes.get(minute, 0) + 1
            self._at(now + seconds, lambda: answer(verdict.retry_after, verdict.headers))

        def answer(retry_after: int, headers: dict[str, str]) -> None:
            if self._headers and "RateLimit-Remaining" in headers:
                remaining = float(headers["RateLimit-Remaining"])
                self.limiter.announced(slot, remaining, float(headers["RateLimit-Reset"]))
            if retry_after:
                self.limiter.throttled(retry_after, slot.started_at)
            else:
                self.limiter.succeeded()
            self.limiter.leave(slot)
            then()

        self._at(now + seconds * network.charged_after, charge)
