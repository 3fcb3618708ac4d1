"""The benchmark: what it counts is right, and its arithmetic."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest

from local.support.azurite import Azurite
from local.support.stack import ROOT
from local.tools import bench_calls, bench_nights, bench_pace, hourly
from local.tools.bench_costs import FREE_GB_SECONDS, GB_SECOND, Line, Load, month
from local.tools.bench_pace import Entry, covered, pace_with_quota, pace_without_quota, read_tape
from local.tools.bench_processes import Steps
from local.tools.storage_meter import StorageMeter, operation_type
from shared.model import Outcome
from tests.support.sampling import THOROUGH
from tests.support.world import World, outcomes

Make = Callable[..., World]
BLOB = "https://x.blob.core.windows.net/photo-sync/run.json"
CONTAINER = "https://x.blob.core.windows.net/photo-sync?restype=container"


@pytest.mark.parametrize(
    ("method", "url", "kind"),
    [
        ("PUT", BLOB, "write"),
        ("PUT", f"{BLOB}?comp=appendblock", "write"),
        ("GET", BLOB, "read"),
        ("HEAD", BLOB, "other"),
        ("PUT", f"{BLOB}?comp=lease", "other"),
        ("DELETE", BLOB, "free"),
        ("GET", f"{CONTAINER}&comp=list", "list"),
        ("PUT", CONTAINER, "list"),
        ("GET", CONTAINER, "other"),
    ],
)
def test_storage_operations_are_told_apart_as_azure_charges_them(
    method: str, url: str, kind: str
) -> None:
    """A lease is no write, a deletion is free, and creating a container costs as listing does."""
    assert operation_type(method, url) == kind


def test_what_goes_to_storage_is_counted(world: Make) -> None:
    """Each shard of a first run is written twice, and the bytes are at least those of the blobs."""
    here = world(users=20, shards=2)
    with StorageMeter() as storage:
        run = here.fire()
    assert outcomes(run) == {"updated": 20}
    found = storage.figures()
    blobs = here.blobs()
    state = sum(len(data) for name, data in blobs.items() if name.startswith("state/"))
    assert found["shards_written"] == 2
    assert found["shard_writes"] == 4
    assert found["most_writes_of_a_shard"] == 2
    assert found["run_writes"] >= 2
    assert found["sent"] > 2 * state * 0.9
    assert found["operations"]["write"] >= 4 + found["run_writes"]
    assert found["received"] > 0


def test_a_listing_is_counted(world: Make) -> None:
    """Storage does not announce the length of a listing; what was read of it counts."""
    here = world(users=1)
    here.fire()
    with StorageMeter() as storage:
        names = list(here.app().container.list_blob_names())
    found = storage.figures()
    assert names
    assert found["operations"] == {"list": 1}
    assert found["received"] > sum(map(len, names))


def pace_entries(seconds: int, *, busy: int, units: float = 2) -> list[Entry]:
    """So many requests at a time, each half a second long, after a photo was read."""
    entries = [
        Entry("sharepoint", "file.upload", i / 2, i / 2 + 0.5, units, 0)
        for i in range(seconds * 2)
        for _ in range(busy)
    ]
    entries += [Entry("sharepoint", "profile.write", i + 1, i + 1, 0, 0) for i in range(seconds)]
    return [*entries, Entry("graph", "photo.bytes", 0, float(seconds), 0, 0)]


def test_busy_places_without_a_quota() -> None:
    """Sixteen requests at a time are half of 32 places, however the ends are cut."""
    pace = pace_without_quota(pace_entries(60, busy=16))
    assert pace.seconds == 60 - bench_pace.RAMP_SECONDS
    assert pace.share_of_places(32) == pytest.approx(0.5)
    assert pace.throttled == 0


def test_the_drained_end_does_not_count() -> None:
    """After the last photo was read there is no new work: that is no fault of the pace."""
    entries = pace_entries(60, busy=16)
    entries += [Entry("sharepoint", "file.upload", 60, 90, 2, 0)]
    assert pace_without_quota(entries).share_of_places(32) == pytest.approx(0.5)


def test_only_whole_windows_of_the_quota_count() -> None:
    """A run from 0:30 to 3:30 has two whole minutes; throttled requests use nothing up."""
    entries = [
        entry._replace(started=entry.started + 30, ended=entry.ended + 30)
        for entry in pace_entries(180, busy=1)
    ]
    pace = pace_with_quota(entries)
    assert (pace.windows, pace.seconds) == (2, 120)
    assert pace.share_of_quota(240) == pytest.approx(1.0)
    refused = [entry._replace(throttled=1) for entry in entries]
    assert pace_with_quota(refused).share_of_quota(240) == 0
    assert pace_with_quota(refused).throttled == 1


def test_the_tape_is_read_on_the_clock_of_the_quota() -> None:
    """The tape has times of day; the windows of the quota follow the monotonic clock."""
    tape = {
        "time": 1000.0,
        "monotonic": 10.0,
        "entries": [["graph", "photo.bytes", 998.0, 999.0, 1, 0], ["graph", "x", 999.0, 0, 0, 0]],
    }
    assert read_tape(tape) == [Entry("graph", "photo.bytes", 8.0, 9.0, 1, 0)]


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [([], 0), ([(1, 3)], 2), ([(1, 3), (2, 4)], 3), ([(1, 9), (2, 3)], 8), ([(-5, 1), (9, 99)], 2)],
)
def test_time_of_services_that_overlap_counts_once(
    intervals: list[tuple[float, float]], seconds: float
) -> None:
    """Between 0 and 10."""
    assert covered(intervals, 0, 10) == seconds


def test_our_own_part_of_a_call() -> None:
    """The first call is left out; of the second, what no service took is our own."""
    entries = [["graph", "x", 10.1, 10.3, 1, 0], ["sharepoint", "y", 10.2, 10.6, 2, 0]]
    found = bench_calls.split([[0, 9], [10, 11]], [[10.8, 10.9]], {"entries": entries})
    assert found.requests == 2
    assert found.walls == [1]
    assert found.own == pytest.approx([0.4])
    assert not found.are_bounded


def test_a_line_through_two_sizes() -> None:
    """Sizes that were not measured lie on it, the measured ones too."""
    line = Line.through((1_000, 12.0), (2_000, 22.0))
    assert (line.fixed, line.at(1_000), line.at(10_000)) == (2.0, 12.0, 102.0)


def test_a_month_of_nights() -> None:
    """Idle firings cost a second each; the grant covers no more than was used."""
    load = Load(100.0, {"write": 10_000, "read": 10_000, "free": 10_000}, 1e9)
    cost = month(load, runs_a_day=1, firings_a_day=20)
    assert cost.gb_seconds == (100 + 19) * 30 * 2
    assert cost.executions == 600
    assert cost.storage == pytest.approx(30 * (0.055 + 0.0044) + 0.0208)
    assert cost.granted == pytest.approx(cost.compute)
    large = month(Load(1e5, {}, 0), runs_a_day=1, firings_a_day=1)
    assert large.granted == pytest.approx(FREE_GB_SECONDS * GB_SECOND, rel=1e-3)


@pytest.mark.skipif(not THOROUGH, reason="half a minute; `make thorough` runs it")
def test_the_whole_bench() -> None:
    """It says how long it takes, and measures calls for one user."""
    done = subprocess.run(
        [sys.executable, "-m", "local.tools.bench", "--only", "calls"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "This takes about" in done.stdout
    assert "warm calls: at most 7 requests" in done.stdout, done.stderr


def test_nights_are_measured(azurite: Azurite, capsys: pytest.CaptureFixture[str]) -> None:
    """A first run, an unchanged night and an ordinary one of a small tenant."""
    found = bench_nights.measure_nights(Steps(1), azurite, 20, first=True)
    assert found.first is not None
    assert found.first["result"]["counts"]["updated"] == 20
    assert found.unchanged["result"]["counts"]["unchanged"] == 20
    assert found.ordinary["result"]["counts"]["updated"] == found.changed == 1
    assert found.ordinary["storage"]["most_writes_of_a_shard"] == 2
    bench_nights.print_nights([found], {"peak": 1})
    bench_nights.print_storage([found])
    assert "writes of a shard" in capsys.readouterr().out


@pytest.mark.skipif(not THOROUGH, reason="half a minute; `make thorough` runs it")
def test_a_day_of_hourly_runs(azurite: Azurite) -> None:
    """Every hour a run completes, and everybody's picture is the newest; else nothing is asked."""
    hours = hourly.day(azurite, users=30)
    gaps = [round(b.started - a.started) for a, b in pairwise(hours)]
    # Four firings an hour: a run begins at one of them, a quarter early or late at most.
    assert {3600} <= set(gaps) <= {2700, 3600, 4500}
    assert len({hour.run.id for hour in hours}) == len(hours) >= 20
    # One user changes before each firing, perhaps the same one twice.
    assert all(1 <= hour.run.count_of(Outcome.UPDATED) <= 5 for hour in hours[1:])
    assert {hour.stale for hour in hours} == {0}
