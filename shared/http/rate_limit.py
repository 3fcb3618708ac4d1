"""How many requests to one service are in flight, and when none may be; for the whole process.

* Requests in flight start at 4 and double in each round of successes, until the service says 429 or
  announces its quota; from then on each round earns one more. A 429 halves them (additive increase,
  multiplicative decrease).
* The pause that a 429 asks for holds everybody.
* `RateLimit-*` headers space out the requests, so that the quota is used up and not overrun.

Whoever waits gets a slot in the order of deadlines: a call for one user, which has less than a
minute, goes before a nightly run.
"""

import bisect
import itertools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shared.clock import Clock
from shared.http.quota import UNITS_PER_REQUEST, Quota

START_IN_FLIGHT = 4
"""Requests in flight before anything is known about the service."""

_LOOK_AGAIN_SECONDS = 1.0
"""Real seconds after which a waiting thread looks at the clock, which a test may have moved."""

_SPACING_SLEEP_SECONDS = 0.25
"""Longest sleep for the spacing of requests: the next response may shorten it."""


class PauseTooLong(Exception):
    """The service's pause ends after the caller's deadline.

    Attributes:
        seconds: how long the pause still lasts.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"paused for {seconds:.0f} s")


class NoFreeSlot(Exception):
    """The caller's deadline passed while it waited for a slot."""


class Slot:
    """A place among the requests in flight, or the wish for one.

    Attributes:
        units: resource units that the request costs.
        granted: the request may be sent.
        started_at: when it was granted, in monotonic seconds.
        announced: the response told what is left of the quota.
    """

    def __init__(self, deadline: float, number: int, units: int) -> None:
        self.units = units
        self.granted = False
        self.announced = False
        self.started_at = math.inf
        self._deadline = deadline
        self._order = (deadline, number)
        self._changed = threading.Event()

    def __lt__(self, other: "Slot") -> bool:
        return self._order < other._order

    def wake(self) -> None:
        """Make its thread look again."""
        self._changed.set()

    def sleep(self, seconds: float) -> None:
        """Wait until `wake`, so long at most; real seconds."""
        self._changed.wait(seconds)
        self._changed.clear()


class RateLimiter:
    """Thread-safe gate in front of one service.

    Args:
        cap: upper bound on requests in flight.
        clock: where time comes from.
    """

    def __init__(self, cap: int, clock: Clock = time) -> None:
        self._cap = cap
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: list[Slot] = []  # in order
        self._sleeping = False  # one of those who wait sleeps for all, by the program's clock
        self._limit = min(START_IN_FLIGHT, cap)
        self._doubling = True
        self._successes = 0
        self._in_flight = 0
        self._units = 0
        self._resume_at = -math.inf
        self._halved_at = -math.inf
        self._quota = Quota()

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many requests are in flight now."""
        return self._in_flight

    @contextmanager
    def slot(self, deadline: float, units: int = UNITS_PER_REQUEST) -> Iterator[Slot]:
        """Wait for the pause to end and for a free slot; hold it inside the `with`.

        Args:
            deadline: monotonic seconds after which waiting is pointless.
            units: resource units that the request costs.

        Raises:
            PauseTooLong: the pause outlasts the deadline; it is not waited for.
            NoFreeSlot: the deadline passed.
        """
        slot = self.enter(deadline, units)
        try:
            while not slot.granted:
                self._wait(slot, deadline)
            yield slot
        finally:
            self.leave(slot)

    def throttled(self, seconds: float, started_at: float | None = None) -> None:
        """The service said 429: pause for `seconds` and halve the requests in flight.

        Responses to requests that were already in flight extend the pause but do not halve again.

        Args:
            seconds: to pause.
            started_at: when the refused request was sent; now when omitted.
        """
        with self._lock:
            now = self._clock.monotonic()
            started_at = now if started_at is None else started_at
            if started_at >= self._resume_at and started_at > self._halved_at:
                self._limit = max(1, self._limit // 2)
                self._halved_at = now
            self._doubling = False
            self._successes = 0
            self._resume_at = max(self._resume_at, now + seconds)
            for slot in self._waiting:  # the pause may outlast their deadlines
                slot.wake()

    def succeeded(self) -> None:
        """A request went through, and its slot is still held; enough of them raise the limit.

        Only while all slots are in use: else nothing shows that the service bears more.
        """
        with self._lock:
            if self._limit >= self._cap or self._in_flight < self._limit:
                return
            self._successes += 1
            if self._doubling or self._successes >= self._limit:
                self._successes = 0
                self._limit += 1
                self._grant()

    def announced(self, slot: Slot, remaining: float, reset: float) -> None:
        """A response told what is left of the quota.

        Args:
            slot: of its request, still held.
            remaining: resource units.
            reset: seconds until the next window.
        """
        with self._lock:
            slot.announced = True
            if self._quota.update(self._clock.monotonic(), slot.started_at, remaining, reset):
                self._doubling = False

    def enter(self, deadline: float, units: int) -> Slot:
        """Queue for a slot, without waiting; each call needs its `leave`."""
        slot = Slot(deadline, next(self._numbers), units)
        with self._lock:
            bisect.insort(self._waiting, slot)
            self._grant()
        return slot

    def leave(self, slot: Slot) -> None:
        """Give the slot back, or give up waiting for it."""
        with self._lock:
            if slot.granted:
                self._in_flight -= 1
                self._units -= slot.units
                if not slot.announced:
                    self._quota.spend(slot.units)
            else:
                with suppress(ValueError):
                    self._waiting.remove(slot)
            self._grant()

    def grant_due(self) -> float:
        """Grant what may start now.

        Returns:
            When to look again, in monotonic seconds: infinite when only `leave` can help.
        """
        with self._lock:
            self._grant()
            return self._opens_at(self._clock.monotonic())

    def _wait(self, slot: Slot, deadline: float) -> None:
        """Wait a moment, or until something has changed."""
        with self._lock:
            if slot.granted:
                return
            now = self._clock.monotonic()
            held_until = max(self._resume_at, self._quota.exhausted_until(now, slot.units))
            if held_until > max(now, deadline):
                raise PauseTooLong(held_until - now)
            if now >= deadline:
                raise NoFreeSlot
            opens_at = self._opens_at(now)
            asleep = self._sleeping or math.isinf(opens_at)
            self._sleeping = self._sleeping or not asleep
            paused = self._resume_at > now
        if asleep:
            slot.sleep(min(deadline - now, _LOOK_AGAIN_SECONDS))
            return
        try:
            seconds = min(opens_at, deadline) - now
            self._clock.sleep(max(0.0, seconds if paused else min(seconds, _SPACING_SLEEP_SECONDS)))
        finally:
            with self._lock:
                self._sleeping = False
                self._grant()

    def _opens_at(self, now: float) -> float:
        """When time alone lets the next one start; infinite when it does not."""
        if not self._waiting or self._in_flight >= self._limit:
            return math.inf
        if now < self._resume_at:
            return self._resume_at
        return min(self._quota.opens_at(now, self._units, slot.units) for slot in self._waiting)

    def _grant(self) -> None:
        """Hand out all slots that are free now; the lock is held."""
        now = self._clock.monotonic()
        while self._in_flight < self._limit and now >= self._resume_at:
            # A batch that does not fit into the rest of the quota lets smaller ones pass.
            slot = next(
                (
                    s
                    for s in self._waiting
                    if self._quota.opens_at(now, self._units, s.units) <= now
                ),
                None,
            )
            if slot is None:
                break
            self._waiting.remove(slot)
            self._in_flight += 1
            self._units += slot.units
            self._quota.started(now, slot.units)
            slot.granted = True
            slot.started_at = now
            slot.wake()
        if self._waiting and not self._sleeping and not math.isinf(self._opens_at(now)):
            self._waiting[0].wake()  # somebody must sleep until then
