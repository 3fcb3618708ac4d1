"""A day of hourly runs on the emulated tenant in virtual time: does it hold, and what does it take?

`python -m local.tools.hourly` prints a table; the last page of `make bench` does, too.
"""

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from local.support.azurite import Azurite
from local.support.terminal import table
from shared.checkpoint import COMPLETED, Run
from shared.config.schedule import Schedule
from shared.errors import PhotoSyncError
from shared.model import Outcome
from shared.sync import nightly
from tests.support.oracle import Oracle
from tests.support.world import World

SCHEDULE = "0 */15 * * * *"
INTERVAL_HOURS = "0.9"
CONFIRMATIONS = "24"
"""As docs/operate.md has it: four firings an hour, so that a run that was interrupted goes on soon;
less than an hour between runs, because a firing may come a moment early."""

FIRINGS = 96
"""Of `SCHEDULE` in a day."""

USERS = 200
CHANGED = 2
_LATE_SECONDS = 0.5
"""A timer fires when its time has come, never on the dot."""


@dataclass(frozen=True)
class Hour:
    """One run of the day.

    Attributes:
        started: virtual seconds.
        run: as it ended.
        requests: to all services.
        stale: users whose picture is not the present one, after the run.
    """

    started: float
    run: Run
    requests: int
    stale: int


def day(azurite: Azurite, *, users: int = USERS) -> list[Hour]:
    """Fire by `SCHEDULE` for a day while photos change; the run before it writes everybody.

    Returns:
        The runs that were started.

    Raises:
        PhotoSyncError: a run did not complete.
    """
    schedule = Schedule.parse(SCHEDULE)
    settings = {
        "SYNC_SCHEDULE": SCHEDULE,
        "RUN_INTERVAL_HOURS": INTERVAL_HOURS,
        "REMOVAL_CONFIRMATIONS": CONFIRMATIONS,
    }
    hours: list[Hour] = []
    with World(azurite, users=users, settings=settings) as world:
        oracle = Oracle(world)
        last = world.fire()
        app = world.app()  # lives all day, as it does in Azure
        for number in range(FIRINGS):
            now = world.clock.time()
            due = schedule.next_after(datetime.fromtimestamp(now, UTC)).timestamp()
            world.clock.advance(due - now + _LATE_SECONDS)
            world.tenant.population.change(1, seed=number)
            world.tenant.tape.clear()
            started = world.clock.time()
            run = nightly.fire(app)
            if run is None or run.status != COMPLETED:
                raise PhotoSyncError(f"firing {number + 1} of the day: {run and run.status}")
            if run.id != last.id:
                requests = world.tenant.tape.count()
                hours.append(Hour(started, run, requests, len(oracle.wrong())))
            elif world.tenant.tape.count():
                raise PhotoSyncError(f"firing {number + 1} found nothing to do, and asked for it")
            last = run
    return hours


def summary(hours: list[Hour]) -> str:
    """A table of the day."""
    gaps = [later.started - earlier.started for earlier, later in pairwise(hours)]
    rows = [
        (
            len(hours),
            f"{min(gaps) / 60:.0f} to {max(gaps) / 60:.0f}",
            sum(hour.run.count_of(Outcome.UPDATED) for hour in hours),
            sum(hour.stale for hour in hours),
            f"{sum(hour.requests for hour in hours) / len(hours):.1f}",
        )
    ]
    head = ("runs", "minutes apart", "updated", "stale", "requests a run")
    return table(head, rows)


def main() -> int:
    """Print the day; 1 when a picture was stale after a run."""
    began = time.monotonic()
    with Azurite() as azurite:
        hours = day(azurite)
    print(summary(hours))
    print(
        f"SYNC_SCHEDULE {SCHEDULE}, RUN_INTERVAL_HOURS {INTERVAL_HOURS}, {USERS} users, {FIRINGS} "
        "firings, a photo changed before each; "
        f"a day in {time.monotonic() - began:.0f} s."
    )
    return 1 if any(hour.stale for hour in hours) else 0


if __name__ == "__main__":
    sys.exit(main())
