"""A clock that tests control: time passes only when somebody sleeps."""

import threading
import time


class VirtualClock:
    """Thread-safe stand-in for the `time` module: `time`, `monotonic` and `sleep`.

    Sleeps of several threads add up (nobody can know that they meant the same seconds), so a
    test over many threads must not count on an exact end.

    Args:
        start: the first moment, in seconds since the epoch; now when omitted, so that tokens and
            blobs that live in real time stay valid.
    """

    def __init__(self, start: float | None = None) -> None:
        self._start = time.time() if start is None else start
        self._passed = 0.0  # apart from the start, beside which a microsecond would be lost
        self._lock = threading.Lock()

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        with self._lock:
            return self._start + self._passed

    def monotonic(self) -> float:
        """Virtual seconds since the clock was made."""
        with self._lock:
            return self._passed

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass; return at once."""
        with self._lock:
            self._passed += max(0.0, seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock by hand, for example to the next night."""
        self.sleep(seconds)
