"""`make bench`: what a night costs, how fast it goes, and what a call for one user takes.

Requests, units, bytes and storage operations are exact. CPU time and memory are the measured
process's own; tenant and storage run beside it. Wall time depends on the machine, so run this with
nothing else to do.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.support.arguments import positive
from local.support.azurite import Azurite
from local.support.terminal import bold, table
from local.tenant import Quotas
from local.tools import bench_calls, bench_nights, bench_pace, hourly, photo_costs
from local.tools.bench_costs import (
    PRICES_FROM,
    Cost,
    Line,
    Load,
    arithmetic,
    month,
)
from local.tools.bench_nights import Nights, Projection
from local.tools.bench_pace import Pace
from local.tools.bench_processes import Steps, Tenant, measure, tenant

SIZES = (1_000, 10_000, 100_000, 200_000)
QUICK_SIZES = (1_000, 5_000, 10_000)
FIRST_RUN_UP_TO = 1_000
SCRIPT_USERS = 1_000
COST_SIZES = (1_000, 10_000, 100_000, 1_000_000)

ALLOWED = 32
"""MAX_CONCURRENCY by default."""
LEAST_SHARE_OF_PLACES = 0.90
LEAST_SHARE_OF_QUOTA = 0.95
MOST_THROTTLED = 0.01

NIGHT_FIRINGS = 20
"""Of SYNC_SCHEDULE's default, 0 */15 1-5 * * *."""


@dataclass(frozen=True)
class Course:
    """A first run that is timed.

    Attributes:
        name: for people.
        quotas: option of the tenant.
        units: of the quota, a minute; None for none.
        users: so many that it lasts long enough.
        seconds: that it takes, about.
    """

    name: str
    quotas: str
    units: int | None
    users: int
    seconds: float


COURSES = (
    Course("no quota", "none", None, 3_000, 130),
    Course(
        "quota of the largest tenants",
        "large",
        Quotas.largest_tenant().sharepoint_units_per_minute,
        2_900,
        310,
    ),
    Course(
        "quota of the smallest tenants",
        "small",
        Quotas.smallest_tenant().sharepoint_units_per_minute,
        580,
        300,
    ),
)
QUICK_COURSES = (Course("no quota", "none", None, 1_200, 70),)

_TIMED_SIZES = (2_000, 10_000)
"""Nights whose time at real latencies is measured, for the costs."""
_TIMED_SECONDS = 70.0
_OTHER_SECONDS = 100.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print tables; 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m local.tools.bench", description=__doc__)
    parser.add_argument("--users", type=positive, nargs="*", help="sizes of the tenants to measure")
    parser.add_argument("--quick", action="store_true", help="small sizes, no quotas; 5 minutes")
    parser.add_argument("--only", choices=("nights", "pace", "calls", "costs"), nargs="*")
    options = parser.parse_args(arguments)
    sizes = options.users or (QUICK_SIZES if options.quick else SIZES)
    courses = QUICK_COURSES if options.quick else COURSES
    parts = options.only or ("nights", "pace", "calls", "costs")
    steps = Steps(_seconds(sizes, courses, parts))
    failures: list[str] = []
    with Azurite() as azurite:
        nights: list[Nights] = []
        if "nights" in parts or "costs" in parts:
            nights = [
                bench_nights.measure_nights(steps, azurite, users, first=users <= FIRST_RUN_UP_TO)
                for users in sizes
            ]
            failures += _print_nights(steps, azurite, nights)
        if "pace" in parts:
            failures += _pace(steps, azurite, courses)
        if "calls" in parts:
            failures += _calls(steps, azurite)
        if "costs" in parts and len(nights) > 1:
            _costs(steps, azurite, nights)
            with steps.step(f"A day of hourly runs of {hourly.USERS} users, virtual time", 40):
                hours = hourly.day(azurite)
            print(bold("\nA day of hourly runs"))
            print(hourly.summary(hours))
            failures += ["a picture was stale after an hourly run"] * any(h.stale for h in hours)
    if "nights" in parts:
        with steps.step("Hostile photos", 60):
            photos = photo_costs.measure_all()
        print(f"\n{bold('Photos')}\n{photos}")
        failures += [] if photos.are_bounded else ["a photo costs more than 200 MB or 2 s"]
    for failure in failures:
        print(f"NOT KEPT: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _seconds(sizes: Sequence[int], courses: Sequence[Course], parts: Sequence[str]) -> float:
    seconds = 0.0
    if "nights" in parts or "costs" in parts:
        seconds += _OTHER_SECONDS + sum(
            bench_nights.seconds(users, first=users <= FIRST_RUN_UP_TO) for users in sizes
        )
    if "pace" in parts:
        seconds += sum(course.seconds for course in courses)
    if "costs" in parts:
        seconds += _TIMED_SECONDS * len(_TIMED_SIZES) + 40
    return seconds + 30 * ("calls" in parts)


def _print_nights(steps: Steps, azurite: Azurite, nights: Sequence[Nights]) -> list[str]:
    with steps.step("The usual script", 40), tenant(SCRIPT_USERS) as here:
        idle = measure("idle", here.settings(azurite, "idle"))
        script = here.measure("script", here.settings(azurite, "script"))
    bench_nights.print_nights(nights, idle)
    _print_script(script, nights)
    bench_nights.print_storage(nights)
    # Only where shards are large: of a small tenant's, several windows share a shard by chance.
    dense = [one for one in nights if one.users >= 100_000]  # noqa: PLR2004 - 400 in a shard
    failures = [
        f"{one.users:,} users: a shard was written {writes} times in a night"
        for one in dense
        if (writes := one.ordinary["storage"]["most_writes_of_a_shard"])
        > bench_nights.MOST_SHARD_WRITES
    ]
    if len(dense) > 1:
        projection = Projection.of(dense)
        print(projection)
        if not projection.is_bounded:
            failures.append("a million users need too much memory or storage traffic")
    return failures


def _print_script(script: dict[str, Any], nights: Sequence[Nights]) -> None:
    print(bold(f"\nThe usual script, {SCRIPT_USERS:,} users, every night: per user"))
    print(table(bench_nights.HEAD, [bench_nights.row(SCRIPT_USERS, SCRIPT_USERS, script)]))
    ours = next((one for one in nights if one.users == SCRIPT_USERS), None)
    if ours:
        ratios = [
            script["tape"]["requests"] / night["tape"]["requests"]
            for night in (ours.unchanged, ours.ordinary)
        ]
        print(
            f"It sends {ratios[0]:.0f} times as many requests as we do when nothing changed, and "
            f"{ratios[1]:.0f} times as many when 0.5 % changed."
        )


def _pace(steps: Steps, azurite: Azurite, courses: Sequence[Course]) -> list[str]:
    rows, failures = [], []
    for course in courses:
        with steps.step(f"First run of {course.users:,} users, {course.name}", course.seconds):
            paced, night = run_course(azurite, course)
        places, throttled = paced.share_of_places(ALLOWED), paced.throttled
        quota = paced.share_of_quota(course.units) if course.units else None
        rows.append(
            [
                course.name,
                f"{paced.seconds:.0f}",
                f"{paced.users_a_minute:,.0f}",
                f"{places:.1%}",
                "" if quota is None else f"{quota:.1%}",
                f"{throttled:.2%}",
                f"{night['cpu'] / night['wall']:.0%}",
                f"{night['tenant_cpu'] / night['wall']:.0%}",
            ]
        )
        if quota is None and places < LEAST_SHARE_OF_PLACES:
            failures.append(f"{course.name}: {places:.1%} of the places are busy")
        if quota is not None and (quota < LEAST_SHARE_OF_QUOTA or throttled > MOST_THROTTLED):
            failures.append(f"{course.name}: {quota:.1%} used, {throttled:.2%} throttled")
    print(bold(f"\nFirst run at real latencies, {ALLOWED} requests in flight allowed"))
    head = ("first run", "seconds", "users/min", "places busy", "quota used", "throttled")
    print(table((*head, "our CPU", "tenant's CPU"), rows))
    print(
        f"Without a quota: from {bench_pace.RAMP_SECONDS:.0f} s after the first request to "
        "SharePoint until the last photo is read (then the run only drains). With a quota: its "
        f"whole minutes until {bench_pace.FINISHED_SHARE:.0%} of the users are done. Throttled: of "
        "all requests to SharePoint."
    )
    return failures


def run_course(azurite: Azurite, course: Course) -> tuple[Pace, dict[str, Any]]:
    """Time a first run; its pace, and what the process took."""
    options = ("--latency", "--quotas", course.quotas)
    with tenant(course.users, options) as here:
        night = here.night(here.settings(azurite, f"pace-{course.quotas}"))
        entries = bench_pace.read_tape(here.ask("tape/times"))
    if course.units is None:
        return bench_pace.pace_without_quota(entries), night
    return bench_pace.pace_with_quota(entries), night


def _calls(steps: Steps, azurite: Azurite) -> list[str]:
    with steps.step("Calls for one user", 30), tenant(50, ("--latency",)) as here:
        calls = bench_calls.measure_calls(here, azurite)
    print(bold("\nCalls for one user, at real latencies"))
    print(calls)
    print(bench_calls.imports())
    return [] if calls.are_bounded else [f"calls for one user: {calls}"]


def _costs(steps: Steps, azurite: Azurite, nights: Sequence[Nights]) -> None:
    walls = []
    for users in _TIMED_SIZES:
        with (
            steps.step(f"A night of {users:,} users at real latencies", _TIMED_SECONDS),
            tenant(users, ("--latency",)) as here,
        ):
            walls.append((users, _timed_night(here, azurite)))
    time = Line.through(*walls)
    few, many = sorted(nights, key=lambda one: one.users)[-2:]

    def operations(users: int) -> dict[str, float]:
        kinds = many.ordinary["storage"]["operations"].keys()
        return {
            kind: Line.through(
                (few.users, few.ordinary["storage"]["operations"].get(kind, 0)),
                (many.users, many.ordinary["storage"]["operations"][kind]),
            ).at(users)
            for kind in kinds
        }

    # The shards are read once in a night, which is nearly all that is received.
    stored = many.ordinary["storage"]["received"] / many.users
    rows, lines = [], []
    for users in COST_SIZES:
        measured = next((one for one in nights if one.users == users), None)
        kinds = measured.ordinary["storage"]["operations"] if measured else operations(users)
        load = Load(time.at(users), kinds, stored * users)
        nightly = month(load, runs_a_day=1, firings_a_day=NIGHT_FIRINGS)
        each_hour = month(load, runs_a_day=24, firings_a_day=hourly.FIRINGS)
        rows.append(
            [f"{users:,}", f"{load.seconds:,.0f}", *_dollars(nightly), *_dollars(each_hour)]
        )
        lines.append(arithmetic(users, load, nightly))
    print(bold("\nCosts in US dollars a month, 0.5 % changed in each run"))
    head = ("users", "s a run", "nightly", "with grant", "hourly", "with grant")
    print(table(head, rows))
    print("\n".join(lines))
    print(
        f"Time of a run: {time.fixed:.1f} s + {time.per_user * 1000:.2f} s for a thousand users, "
        f"through {walls[0][0]:,} and {walls[1][0]:,} users at real latencies. Nightly: "
        f"SYNC_SCHEDULE 0 */15 1-5 * * *. Hourly: SYNC_SCHEDULE {hourly.SCHEDULE}, "
        f"RUN_INTERVAL_HOURS {hourly.INTERVAL_HOURS}. "
        f"Assumed prices of East US; check them at {' and '.join(PRICES_FROM)}. "
        "Logs in Application Insights and the host's own storage operations are not in it."
    )


def _dollars(cost: Cost) -> list[str]:
    return [f"{cost.month:.2f}", f"{cost.month_with_grant:.2f}"]


def _timed_night(here: Tenant, azurite: Azurite) -> float:
    config = here.settings(azurite, f"timed-{here.users}")
    here.measure("seed", config)
    here.change(max(1, round(here.users * bench_nights.ORDINARY_SHARE)), seed=1)
    return float(here.night(config)["wall"])


if __name__ == "__main__":
    sys.exit(main())
