"""SharePoint Online's limits: resource units of an app, calls of PeopleManager of the tenant.

Source: Microsoft Learn, "Avoid getting throttled or blocked in SharePoint Online". REST and CSOM
have no published price; 2 resource units per request is that article's planning figure. Each geo
of a multi-geo tenant has its own usage.
"""

import math
import threading
from dataclasses import dataclass, field
from typing import Final

from local.tenant.http import Clock
from local.tenant.quirks import Quotas

UNITS_PER_REQUEST: Final = 2
#: RateLimit headers appear from this share of the app's minute.
HEADERS_FROM: Final = 0.8
_MINUTE: Final = 60
_FIVE_MINUTES: Final = 300
_DAY: Final = 86_400


@dataclass(frozen=True)
class Verdict:
    """What a charge came to.

    Attributes:
        retry_after: 0 when the request may go on, else the seconds to wait (whole ones).
        units: what was charged.
        headers: `RateLimit-*` and, when throttled, `Retry-After`.
    """

    retry_after: int
    units: float
    headers: dict[str, str] = field(default_factory=dict)


class Meter:
    """Units spent in the present one of a row of equal windows; constant memory.

    Args:
        clock: the tenant's.
        seconds: length of a window.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._window = -1
        self.used = 0.0

    def spend(self, units: float, limit: float | None) -> float:
        """Charge units; returns 0, or when that is too much the seconds until the next window."""
        window = int(self._clock.monotonic() // self._seconds)
        if window != self._window:
            self._window, self.used = window, 0.0
        self.used += units
        return 0.0 if limit is None or self.used <= limit else self.resets_in()

    def resets_in(self) -> float:
        """Seconds until the next window."""
        return self._seconds - self._clock.monotonic() % self._seconds


class SharePointQuota:
    """Usage so far; throttled requests count too.

    Args:
        clock: the tenant's.
        quotas: limits, read at every charge, so that they may change while the tenant runs.
    """

    def __init__(self, *, clock: Clock, quotas: Quotas) -> None:
        self._clock = clock
        self._quotas = quotas
        self._meters: dict[tuple[str, ...], Meter] = {}
        self._lock = threading.Lock()

    def charge(self, *, geo: str, app_id: str, people_calls: int = 0) -> Verdict:
        """Charge one request (or one part of a batch) to an app in a geo."""
        quotas, units = self._quotas, UNITS_PER_REQUEST
        per_minute = quotas.sharepoint_units_per_minute
        charges = (
            (("minute", geo, app_id), _MINUTE, units, per_minute),
            (("day", geo, app_id), _DAY, units, quotas.sharepoint_units_per_day),
            (("tenant", geo), _FIVE_MINUTES, units, quotas.sharepoint_tenant_units_per_5min),
            (("people", geo), _FIVE_MINUTES, people_calls, quotas.people_manager_per_5min),
        )
        with self._lock:
            waits = [
                self._meter(key, seconds).spend(amount, limit)
                for key, seconds, amount, limit in charges
                if amount
            ]
            minute = self._meter(("minute", geo, app_id), _MINUTE)
        retry_after = math.ceil(max(waits))
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        if per_minute is not None and minute.used >= HEADERS_FROM * per_minute:
            headers |= {
                "RateLimit-Limit": str(per_minute),
                "RateLimit-Remaining": str(max(0, math.floor(per_minute - minute.used))),
                "RateLimit-Reset": str(max(1, math.ceil(minute.resets_in()))),
            }
        return Verdict(retry_after, units, headers)

    def _meter(self, key: tuple[str, ...], seconds: float) -> Meter:
        return self._meters.setdefault(key, Meter(self._clock, seconds))
