"""Whether the timer has a schedule, and whether the last scheduled trigger fired. Pure."""

from datetime import UTC, datetime

from shared.checkpoint import Run, iso, seconds_of
from shared.checks.check import Check, bad, good
from shared.config import DEFAULT_SCHEDULE, Schedule, Settings

NAME = "function schedule"

LATE_SECONDS = 7200.0
"""How long after it was due a firing counts as missed. A firing that falls due while another one
works is made up when that one ends, and none works for longer than an hour."""

_REMEDY = (
    f"set SYNC_SCHEDULE, for example to {DEFAULT_SCHEDULE}. Until then the Functions host does not "
    "run SyncTimer, also not by POST /admin/functions/SyncTimer, which answers 202 all the same; "
    "GET /admin/functions/SyncTimer/status names the error"
)


def check(settings: Settings, now: float, run: Run | None, *, known: bool) -> Check:
    """Whether the timer has a schedule and fires by it.

    Args:
        settings: of the program.
        now: seconds since the epoch.
        run: the last one.
        known: storage could be asked for it.
    """
    if not settings.schedule:
        return bad(NAME, "SYNC_SCHEDULE is not set", _REMEDY)
    try:
        schedule = Schedule.parse(settings.schedule)
        following = _firing(schedule, now)
    except ValueError as error:
        return bad(NAME, f"SYNC_SCHEDULE: {error}", _REMEDY)
    found = f"next firing {iso(following)}"
    if run is None:
        return good(NAME, f"no run yet; {found}" if known else found)
    began, last = seconds_of(run.started), seconds_of(run.updated or run.started)
    found = f"last run {run.status}, begun {(now - began) / 3600:.1f} hours ago; {found}"
    interval = settings.run_interval.total_seconds()
    due = _firing(schedule, max(last, began + interval) if run.finished else last)
    if now - due < LATE_SECONDS:
        return good(NAME, found)
    return bad(
        NAME,
        f"a firing was due {iso(due)}, but no run was started or resumed; {found}",
        "find out whether SyncTimer is disabled or the app is stopped: docs/operate.md, "
        "night-missing",
    )


def _firing(schedule: Schedule, after: float) -> float:
    return schedule.next_after(datetime.fromtimestamp(after, UTC)).timestamp()
