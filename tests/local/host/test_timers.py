"""Timers fire as in Azure: when due, and at once when a firing fell due during a run."""

from collections.abc import Callable
from datetime import UTC, datetime

from local.host.timers import follow
from local.support.clock import VirtualClock
from shared.config.schedule import Schedule

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
HOUR = 3600


def fired(schedule: str, run: Callable[[VirtualClock], object], hours: float) -> list[str]:
    """Moments at which runs of such a length begin, in that many hours after midnight."""
    clock, moments = VirtualClock(MIDNIGHT), []

    def fire() -> None:
        moments.append(datetime.fromtimestamp(clock.time(), UTC).strftime("%H:%M:%S"))
        run(clock)

    until = MIDNIGHT + hours * HOUR
    follow(Schedule.parse(schedule), fire, clock=clock.time, sleep=clock.sleep, until=until)
    return moments


def lasting(seconds: float) -> Callable[[VirtualClock], object]:
    """A run that takes so long."""
    return lambda clock: clock.sleep(seconds)


def test_short_runs_begin_when_they_are_due() -> None:
    """A run that ends before the next one is due changes nothing."""
    assert fired("0 */15 1 * * *", lasting(60), 3) == [
        *("01:00:00", "01:15:00", "01:30:00", "01:45:00"),
    ]


def test_runs_longer_than_the_interval_follow_each_other_without_a_gap() -> None:
    """Every minute, 75 seconds each: end to end."""
    found = fired("0 * * * * *", lasting(75), 0.1)
    assert found[:4] == ["00:01:00", "00:02:15", "00:03:30", "00:04:45"]


def test_default_window_holds_thirteen_runs_of_the_whole_budget() -> None:
    """`0 */15 1-5` with 25 minutes each: from 01:00 on, the last one begins at 06:00."""
    found = fired("0 */15 1-5 * * *", lasting(25 * 60), 24)
    assert len(found) == 13
    assert (found[0], found[1], found[-1]) == ("01:00:00", "01:25:00", "06:00:00")
