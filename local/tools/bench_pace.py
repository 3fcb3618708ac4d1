"""How fast a first run goes when answers take times of real size; pure arithmetic over the tape.

Source of the times: `local.tenant.latency`. SharePoint is what limits, so its requests count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

WINDOW_SECONDS = 60.0
"""Of the quota; windows begin at multiples of it on the tenant's monotonic clock."""

RAMP_SECONDS = 20.0
"""Left out after the first request to SharePoint: the program begins with 4 requests in flight."""

FINISHED_SHARE = 0.98
"""Of the users, after whom only the slowest are left."""

_LAST_NEW_WORK = "photo.bytes"
"""After the last of these no user comes in any more: from there on the run drains."""

_USER_DONE = "profile.write"


class Entry(NamedTuple):
    """A request on the tape; times in seconds of the tenant's clock."""

    service: str
    operation: str
    started: float
    ended: float
    units: float
    throttled: int


@dataclass(frozen=True)
class Pace:
    """What a first run came to, without its beginning and its end.

    Attributes:
        seconds: that were looked at.
        users: who were finished in them.
        busy: of the allowed requests in flight to SharePoint, how many there were on average.
        units: charged by SharePoint.
        windows: of the quota, whole ones.
        throttled: of all requests to SharePoint of the whole run, the share that was refused.
    """

    seconds: float
    users: int
    busy: float
    units: float
    windows: int
    throttled: float

    @property
    def users_a_minute(self) -> float:
        """Users who were finished in a minute."""
        return self.users / self.seconds * 60 if self.seconds else 0.0

    def share_of_places(self, allowed: int) -> float:
        """How many of the allowed requests in flight there were."""
        return self.busy / allowed

    def share_of_quota(self, units_a_minute: int) -> float:
        """How much of the quota was used, throttled requests not counted."""
        return self.units / (self.seconds / 60 * units_a_minute) if self.seconds else 0.0


def read_tape(times: Mapping[str, Any]) -> list[Entry]:
    """Requests of the control interface's `tape/times`, on the tenant's monotonic clock."""
    offset = times["monotonic"] - times["time"]
    return [
        Entry(service, operation, started + offset, ended + offset, units, throttled)
        for service, operation, started, ended, units, throttled in times["entries"]
        if ended
    ]


def pace_without_quota(entries: Sequence[Entry]) -> Pace:
    """From `RAMP_SECONDS` after the first request to SharePoint until the last photo was read."""
    return _pace(entries, *_steady(entries), windows=0)


def pace_with_quota(entries: Sequence[Entry]) -> Pace:
    """The whole windows of the quota from the first request to SharePoint on.

    The first window is left out, because the run begins somewhere in it, and the one in which
    `FINISHED_SHARE` of the users are done, because then only the slowest are left.
    """
    begin, _ = _steady(entries, ramp=0.0)
    done = sorted(e.ended for e in entries if e.operation == _USER_DONE and not e.throttled)
    end = done[int(len(done) * FINISHED_SHARE)] if done else begin
    first = int(begin // WINDOW_SECONDS) + 1
    last = int(end // WINDOW_SECONDS)
    windows = max(0, last - first)
    return _pace(entries, first * WINDOW_SECONDS, last * WINDOW_SECONDS, windows=windows)


def _steady(entries: Sequence[Entry], ramp: float = RAMP_SECONDS) -> tuple[float, float]:
    begin = min((e.started for e in entries if e.service == "sharepoint"), default=0.0) + ramp
    end = max((e.ended for e in entries if e.operation == _LAST_NEW_WORK), default=0.0)
    return begin, max(begin, end)


def _pace(entries: Sequence[Entry], begin: float, end: float, *, windows: int) -> Pace:
    sent = [entry for entry in entries if entry.service == "sharepoint"]
    seconds = max(0.0, end - begin)
    busy = sum(max(0.0, min(e.ended, end) - max(e.started, begin)) for e in sent)
    # The tenant charges a request when it answers it.
    charged = [e for e in sent if begin <= e.ended < end]
    return Pace(
        seconds=seconds,
        users=sum(e.operation == _USER_DONE and not e.throttled for e in charged),
        busy=busy / seconds if seconds else 0.0,
        units=sum(e.units for e in charged if not e.throttled),
        windows=windows,
        throttled=sum(bool(e.throttled) for e in sent) / len(sent) if sent else 0.0,
    )


def covered(intervals: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """Seconds between two moments in which at least one interval runs."""
    total, reached = 0.0, begin
    for start, stop in sorted(intervals):
        fresh = min(stop, end) - max(start, reached)
        if fresh > 0:
            total += fresh
            reached = min(stop, end)
    return total
