"""A run that does not fit into one firing: saved, resumed, and accounted for exactly."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from local.tenant import Fault
from shared.checkpoint import Run
from shared.model import QUIET, Outcome
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes, void

Make = Callable[..., World]
QUARTER = 900.0
SLOW = {"TIME_BUDGET_SECONDS": "60", "MAX_CONCURRENCY": "1"}


def slow(here: World, seconds: float = 1, operation: str = "file.upload") -> Fault:
    """Each request of an operation takes so long, from now on."""
    return here.tenant.faults.add(
        Fault("call", operation=operation, times=None, action=lambda: here.clock.advance(seconds))
    )


def firings(here: World, *, at_most: int = 40) -> Iterator[Run]:
    """Fire every quarter of an hour until the run is completed."""
    for _ in range(at_most):
        run = here.fire()
        assert sum(outcomes(run).values()) == run.listed
        assert here.report(run) == run.report()
        yield run
        if run.status == "completed":
            return
        here.clock.advance(QUARTER)
    pytest.fail("the run never completed")


@pytest.mark.parametrize("concurrency", ["1", "8"])
def test_a_run_over_several_firings(world: Make, concurrency: str) -> None:
    """Interrupted at the budget, whoever was not reached is deferred, everybody written once."""
    here = world(users=40, plain=False, shards=2, settings=SLOW)
    oracle = Oracle(here)
    started = here.clock.monotonic()
    slow(here)
    seen = []
    here.settings["MAX_CONCURRENCY"] = concurrency
    for run in firings(here):
        seen.append(run)
        assert here.clock.monotonic() - started - (len(seen) - 1) * QUARTER < 60 * len(seen)
        assert oracle.false_claims() == []
    last = seen[-1]
    oracle.verify(last)
    assert len(seen) > 2
    assert {run.id for run in seen} == {last.id}
    assert last.firings == len(seen)
    for run in seen[:-1]:
        assert run.status == "interrupted"
        assert "to be resumed by the next firing" in run.reason
        assert outcomes(run)["deferred"] > 0
    # Only those who were being written when time was up are written again.
    in_flight = int(concurrency) * (len(seen) - 1)
    done = here.operations()
    assert 0 <= done["profile.write"] - outcomes(last)["updated"] <= in_flight
    assert 0 <= done["file.upload"] - 3 * outcomes(last)["updated"] <= 3 * in_flight


def test_the_report_of_a_resumed_run(world: Make) -> None:
    """The last line of each user says how they ended, and the lines match the counts."""
    here = world(users=40, plain=False, shards=2, settings=SLOW)
    slow(here)
    *_, last = firings(here)
    ended = {line["id"]: line["outcome"] for line in here.lines(last)}
    wanted = {name: n for name, n in outcomes(last).items() if Outcome(name) not in QUIET}
    assert Counter(ended.values()) == wanted


@pytest.mark.parametrize("seconds", [15, 20])
def test_a_night_that_is_too_short_for_reading(world: Make, seconds: float) -> None:
    """Time is up while versions are read: nothing is lost and nothing is written."""
    here = world(users=60, shards=2, settings=SLOW, settled=True)
    here.clock.advance(86_400)
    slow(here, seconds, "photo.batch")
    runs = list(firings(here))
    assert len(runs) > 1
    assert outcomes(runs[-1]) == {"unchanged": 60}
    assert here.writes() == []


def test_deferred_users_come_next(world: Make) -> None:
    """A resumed run begins with who was deferred; of the others before the cursor it asks none."""
    here = world(users=60, shards=2, settings=SLOW)
    slow(here)
    first = here.fire()
    assert first.cursor
    here.clock.advance(QUARTER)
    here.tenant.tape.clear()
    here.fire()
    asked = [url for e in here.tenant.tape.entries(operation="photo.batch") for url in e.items]
    covered = {user_id for user_id in here.ids() if user_id <= first.cursor}
    asked_again = {user_id for url in asked for user_id in covered if user_id in url}
    assert asked_again
    assert asked_again <= set(first.deferred)
    assert first.deferred[0] in asked[0]


def test_users_come_and_go_during_a_run(world: Make) -> None:
    """The scope of a run is fixed by its listing, whoever comes or goes between its firings."""
    here = world(users=60, shards=2, settings=SLOW)
    oracle = Oracle(here)
    slow(here)
    first = here.fire()
    ids = here.ids()
    here.tenant.directory.remove(ids[0])
    here.tenant.directory.remove(ids[-1])
    here.tenant.directory.set_photo(ids[-2], jpeg())
    here.clock.advance(QUARTER)
    *_, last = firings(here)
    assert first.id == last.id
    assert last.listed == 60
    assert sum(outcomes(last).values()) == 60
    assert oracle.wrong() == {}


def test_throttled_beyond_the_budget(world: Make) -> None:
    """Promise 11: a pause that outlasts the budget interrupts the run; nobody has failed."""
    here = world(users=40, shards=2, settings=SLOW)
    oracle = Oracle(here)
    throttled = Fault("status", operation="file.upload", times=None, status=429, retry_after=600)
    here.tenant.faults.add(
        Fault(
            "call",
            operation="file.upload",
            nth=30,
            action=lambda: void(here.tenant.faults.add(throttled)),
        )
    )
    run = here.fire()
    assert run.status == "interrupted"
    assert set(outcomes(run)) == {"updated", "deferred"}
    throttled.times = 0
    sent = here.tenant.tape.count(service="sharepoint")
    here.clock.advance(QUARTER)
    *_, last = firings(here)
    oracle.verify(last)
    assert outcomes(last) == {"updated": 40}
    assert here.tenant.tape.count(service="sharepoint") > sent


def test_looks_are_counted_over_all_firings(world: Make) -> None:
    """Looks because of REVERIFY_DAYS are counted over all firings of a run, and each once.

    Not who was about to be looked at when the time was up, nor who has to wait for another night.
    """
    here = world(users=60, shards=2, settled=True)
    here.clock.advance(40 * 86_400)
    here.tenant.tape.clear()
    slow(here, 2, "photo.bytes")
    here.settings.update(SLOW)
    *_, last = firings(here)
    looked = [r for r in here.records().values() if r.verified_at > last.started]
    assert last.reverified == len(looked) > 0
    assert outcomes(last) == {"unchanged": 60}
