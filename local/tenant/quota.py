"""Counting windows, by the tenant's clock."""

import threading
from collections import deque

from local.tenant.http import Clock


class Window:
    """A limit on units in any stretch of some seconds.

    Args:
        clock: the tenant's.
        seconds: length of the window.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self._lock = threading.Lock()

    def spend(self, units: float, limit: float | None) -> float:
        """Charge units, also when they are too many: throttled calls count too.

        Returns:
            0 when within the limit, else the seconds until there is room for them again.
        """
        if limit is None:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            self._forget(now)
            over = self._sum + units - limit
            self._spent.append((now, units))
            self._sum += units
            if over <= 0:
                return 0.0
            for moment, spent in self._spent:
                over -= spent
                if over <= 0:
                    return max(moment + self._seconds - now, 1.0)
            return self._seconds

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self._seconds:
            self._sum -= self._spent.popleft()[1]
