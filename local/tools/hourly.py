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
from tests.support.oracle import Oracle
from tests.support.world import World

SCHEDULE = "0 0 * * * *"
INTERVAL_HOURS = "0"
"""Each firing that finds no unfinished run starts one. With 1 a firing that comes some milliseconds
early would find the last run too recent, and an hour would be left out."""

RUNS = 24
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
        changed: photos that changed in the hour before.
        stale: users whose picture is not the present one, after the run.
    """

    started: float
    run: Run
    requests: int
    changed: int
    stale: int


def day(azurite: Azurite, *, users: int = USERS, runs: int = RUNS) -> list[Hour]:
    """Run every hour by `SCHEDULE`, while photos change; the first run writes everybody.

    Raises:
        PhotoSyncError: a run did not complete.
    """
    schedule = Schedule.parse(SCHEDULE)
    settings = {"SYNC_SCHEDULE": SCHEDULE, "RUN_INTERVAL_HOURS": INTERVAL_HOURS}
    hours: list[Hour] = []
    with World(azurite, users=users, settings=settings) as world:
        oracle = Oracle(world)
        world.fire()
        for number in range(runs):
            now = world.clock.time()
            due = schedule.next_after(datetime.fromtimestamp(now, UTC)).timestamp()
            world.clock.advance(due - now + _LATE_SECONDS)
            changed = world.tenant.population.change(CHANGED, seed=number)
            world.tenant.tape.clear()
            started = world.clock.time()
            run = world.fire()
            if run.status != COMPLETED:
                raise PhotoSyncError(f"run {number + 1} of the day ended as {run.status}")
            requests = world.tenant.tape.count()
            stale = len(oracle.wrong())
            hours.append(Hour(started, run, requests, len(changed), stale))
    return hours


def summary(hours: list[Hour]) -> str:
    """A table of the day."""
    gaps = [later.started - earlier.started for earlier, later in pairwise(hours)]
    rows = [
        (
            len(hours),
            f"{min(gaps) / 60:.0f} to {max(gaps) / 60:.0f}",
            sum(hour.changed for hour in hours),
            sum(hour.run.count_of(Outcome.UPDATED) for hour in hours),
            sum(hour.stale for hour in hours),
            f"{sum(hour.requests for hour in hours) / len(hours):.1f}",
        )
    ]
    head = ("runs", "minutes apart", "changed", "updated", "stale", "requests a run")
    return table(head, rows)


def main() -> int:
    """Print the day; 1 when a picture was stale after a run."""
    began = time.monotonic()
    with Azurite() as azurite:
        hours = day(azurite)
    print(summary(hours))
    print(
        f"SYNC_SCHEDULE {SCHEDULE}, RUN_INTERVAL_HOURS {INTERVAL_HOURS}, {USERS} users; "
        f"a day in {time.monotonic() - began:.0f} s."
    )
    return 1 if any(hour.stale for hour in hours) else 0


if __name__ == "__main__":
    sys.exit(main())
