"""When timer functions fire: by their schedule, and at once when a firing fell due during a run."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from shared.config.schedule import Schedule


def follow(
    schedule: Schedule,
    fire: Callable[[], object],
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    until: float = float("inf"),
) -> None:
    """Fire whenever the schedule says so.

    A firing that falls due while one runs is made up at once when that one ends; several of them
    are made up by one (observed with host 4.1037).

    Args:
        schedule: in UTC.
        fire: returns when the function has ended.
        clock: seconds since the epoch.
        sleep: waits that many seconds.
        until: nothing that is due later is fired.
    """
    started = clock()
    while True:
        due = schedule.next_after(datetime.fromtimestamp(started, UTC)).timestamp()
        if due > until:
            return
        if (wait := due - clock()) > 0:
            sleep(wait)
        started = max(clock(), due)
        fire()
