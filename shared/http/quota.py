"""The quota that SharePoint announces, and when the next request fits into it.

From 80 % of an application's resource units in a minute on, every response says what is left
(`RateLimit-Remaining`) and when the next window begins (`RateLimit-Reset`). Source: SharePoint
documentation, "Avoid getting throttled or blocked in SharePoint Online"; a request costs 2 units
there, as a planning average, and each part of a batch counts.

What is left is spread over the rest of the window, so that short calls get through while a long
run uses the quota up. Only values are kept here; whoever uses this guards it against threads.
"""

import math

from shared.http.response import LONGEST_ANNOUNCEMENT_SECONDS

UNITS_PER_REQUEST = 2
"""Resource units that a request costs."""

_FINISH_EARLY_SECONDS = 2.0
"""Where in the window the quota shall be used up: the announced end is late by up to a second and
the time that the response took."""

_ROUNDING_SECONDS = 1.0


class Quota:
    """What is known of the present window; nothing once the window has ended."""

    def __init__(self) -> None:
        self._remaining = math.inf
        self._began_at = -math.inf  # at the latest
        self._ends_at = -math.inf
        self._started_at = 0.0
        self._started_units = 0

    def update(self, now: float, started: float, remaining: float, reset: float) -> bool:
        """Take in what a response announced.

        Responses overtake each other, so of one window the smallest rest and the earliest end
        count: the service charges requests one after the other.

        Args:
            now: monotonic seconds.
            started: when the request of this response was sent.
            remaining: units that are left.
            reset: seconds until the next window.

        Returns:
            Whether it tells of the present window.
        """
        reset = min(reset, LONGEST_ANNOUNCEMENT_SECONDS)
        began_at = self._began_at
        if now >= self._ends_at:
            began_at = self._ends_at
        elif started + reset > self._ends_at + _ROUNDING_SECONDS:
            began_at = started  # the next window began before we thought
        if started < began_at:
            return False  # the request was charged to a window that is over
        if now >= self._ends_at or began_at != self._began_at:
            self._began_at, self._ends_at, self._remaining = began_at, math.inf, math.inf
        self._remaining = min(self._remaining, remaining)
        self._ends_at = min(self._ends_at, now + reset)
        return True

    def spend(self, units: int) -> None:
        """A request ended, and its response told nothing of the quota."""
        self._remaining -= units

    def started(self, now: float, units: int) -> None:
        """A request was sent."""
        self._started_at = now
        self._started_units = units

    def opens_at(self, now: float, in_flight: int, units: int) -> float:
        """When the next request may start; a moment that is past when it may start now.

        Args:
            now: monotonic seconds.
            in_flight: units of requests that are on their way. They may not be charged yet, so
                they count as spent beside what the service announced.
            units: of the next request.
        """
        if now >= self._ends_at:
            return now
        spendable = self._remaining - in_flight
        if spendable < units:
            return self._ends_at
        time_left = self._ends_at - _FINISH_EARLY_SECONDS - self._started_at
        share = self._started_units / (spendable + self._started_units)
        return min(self._started_at + max(0.0, time_left) * share, self._ends_at)

    def exhausted_until(self, now: float, units: int) -> float:
        """The end of the window if nothing can fit into it any more, else `now`."""
        return self._ends_at if now < self._ends_at and self._remaining < units else now
