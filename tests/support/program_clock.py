"""A program's clock that stands still while requests are under way.

Time on a virtual clock jumps: somebody sleeps, and five minutes have passed for all. A request of
another thread, which takes a thousandth of a second, would seem to have hung for so long, and its
user would fail; on a busy machine more often than on a quiet one. So sleeps wait for such requests.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.clock import Clock
from shared.http.response import Response
from shared.http.service import Service

_LONGEST_WAIT_SECONDS = 2.0
"""Real time that a sleep waits at most: a test may hold a request until somebody has slept."""


class ProgramClock:
    """What a program takes for the time; thread-safe.

    Args:
        clock: of the world, which this one moves.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._requests = 0
        self._sleepers = 0

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._clock.time()

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass when no request is under way; return at once."""
        with self._changed:
            self._sleepers += 1
            self._changed.wait_for(lambda: not self._requests, _LONGEST_WAIT_SECONDS)
            self._clock.sleep(seconds)
            self._sleepers -= 1
            self._changed.notify_all()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Inside, a request is under way; it begins after whoever is about to sleep."""
        with self._changed:
            self._changed.wait_for(lambda: not self._sleepers, _LONGEST_WAIT_SECONDS)
            self._requests += 1
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1
                self._changed.notify_all()


_exchange = Service._exchange_with


def _exchange_in_no_time(service: Service, *args: Any, **options: Any) -> Response:
    if not isinstance(clock := service.clock, ProgramClock):
        return _exchange(service, *args, **options)
    with clock.request():
        return _exchange(service, *args, **options)


@contextmanager
def requests_take_no_time() -> Iterator[None]:
    """Inside, no program's clock goes on while one of its requests is under way."""
    before = Service._exchange_with
    Service._exchange_with = _exchange_in_no_time  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Service._exchange_with = before  # type: ignore[method-assign]
