"""The time that is left of one request and its response, for everything that its thread does."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Exchange:
    """One request and its answer on a connection.

    Attributes:
        left: gives the seconds until the exchange must have ended.
        fresh: do not use a kept connection.
        reused: a kept connection is used.
        received: bytes that came.
    """

    left: Callable[[], float]
    fresh: bool = False
    reused: bool = False
    received: int = 0

    @property
    def stale(self) -> bool:
        """Whether a kept connection gave no byte: its other end may have forgotten it."""
        return self.reused and not self.received

    def seconds(self, silence: float | None) -> float:
        """Time-out of the next operation on the socket.

        Args:
            silence: longest silence that is allowed anyway; None for any.

        Raises:
            TimeoutError: no time is left.
        """
        left = self.left()
        if left <= 0:
            raise TimeoutError("the deadline of the exchange has passed")
        return left if silence is None else min(left, silence)


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def current() -> Exchange | None:
    """The exchange of this thread, if there is one."""
    return _current.get()


@contextmanager
def exchange(left: Callable[[], float], *, fresh: bool = False) -> Iterator[Exchange]:
    """Bound everything that this thread does on connections of this module."""
    it = Exchange(left, fresh=fresh)
    token = _current.set(it)
    try:
        yield it
    finally:
        _current.reset(token)


def within(seconds: float) -> Callable[[], float]:
    """The seconds that are left of so many from now on, by the real clock."""
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()
