"""One shared pace for each service: how many requests are in flight, and when none may be.

A 429 is the service speaking to the whole program, not to one worker: the pause it asks for holds
everybody, and the number of requests in flight is halved; it climbs back one by one while
requests succeed (additive increase, multiplicative decrease).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.clock import Clock

CLIMB_AFTER = 20
"""Successes in a row, after a throttling, that earn one more request in flight."""


class PauseTooLong(Exception):
    """The service's pause ends after the caller's deadline.

    Attributes:
        seconds: how long the pause still lasts.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"paused for {seconds:.0f} s")


class RateLimiter:
    """Thread-safe gate in front of one service.

    Args:
        cap: upper bound on requests in flight.
        clock: where time comes from.
    """

    def __init__(self, cap: int, clock: Clock = time) -> None:
        self._cap = cap
        self._clock = clock
        self._limit = cap
        self._in_flight = 0
        self._resume_at = 0.0
        self._successes = 0
        self._free = threading.Condition()
        self._one_sleeper = threading.Lock()

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._limit

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Wait for the pause to end and for a free place; hold the place inside the `with`.

        Args:
            deadline: monotonic seconds after which waiting is pointless.

        Raises:
            PauseTooLong: the pause outlasts the deadline; nothing was waited for.
        """
        self._enter(deadline)
        try:
            yield
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify()

    def throttled(self, seconds: float) -> None:
        """The service said 429: hold everybody for `seconds` and halve the concurrency.

        Answers to requests that were already in flight extend the pause but do not halve again.
        """
        with self._free:
            now = self._clock.monotonic()
            if now >= self._resume_at:
                self._limit = max(1, self._limit // 2)
            self._successes = 0
            self._hold(now + seconds)

    def pause(self, seconds: float) -> None:
        """Hold everybody for `seconds`, before the service has to say 429."""
        with self._free:
            self._hold(self._clock.monotonic() + seconds)

    def succeeded(self) -> None:
        """A request went through; enough of them raise the concurrency by one."""
        with self._free:
            if self._limit == self._cap:
                return
            self._successes += 1
            if self._successes >= CLIMB_AFTER:
                self._successes = 0
                self._limit += 1
                self._free.notify()

    def _hold(self, until: float) -> None:
        self._resume_at = max(self._resume_at, until)
        # Whoever waits for a place must look again: the pause may outlast his deadline, and a
        # single wake-up that ends in `PauseTooLong` would leave the others asleep for ever.
        self._free.notify_all()

    def _enter(self, deadline: float) -> None:
        while True:
            with self._free:
                now = self._clock.monotonic()
                wait = self._resume_at - now
                if wait > 0 and self._resume_at > deadline:
                    raise PauseTooLong(wait)
                if wait <= 0:
                    if self._in_flight < self._limit:
                        self._in_flight += 1
                        return
                    self._free.wait()
                    continue
            # One sleeps, the others queue behind it: so a clock driven by tests advances once.
            with self._one_sleeper:
                wait = self._resume_at - self._clock.monotonic()
                if wait > 0:
                    self._clock.sleep(wait)
