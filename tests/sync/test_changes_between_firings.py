"""Runs over several firings between which settings, the date or the tenant change."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from local.tenant import Fault
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]
ONCE = {"REMOVAL_CONFIRMATIONS": "1", "MAX_CONCURRENCY": "1"}
LATE_SECONDS = 1800.0
"""Longer than a firing may take."""


def late(here: World, operation: str) -> Fault:
    """The next request of a kind takes so long that the firing ends."""
    return here.tenant.faults.add(
        Fault("call", operation=operation, action=lambda: here.clock.advance(LATE_SECONDS))
    )


def interrupted_in_clearing(world: Make) -> World:
    """A run that was to remove eight pictures, and ended in the middle of the first."""
    here = world(users=8, shards=4, settings=ONCE, settled=True)
    for user_id in here.ids():
        here.tenant.directory.remove_photo(user_id)
    late(here, "profile.write")
    run = here.night()
    assert (run.status, run.phase, run.removal_candidates) == ("interrupted", "clearing", 8)
    here.clock.advance(900)
    here.tenant.tape.clear()
    return here


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("REMOVE_PHOTOS", "false", "REMOVE_PHOTOS is false"), ("REMOVAL_LIMIT", "0", "held back")],
)
def test_removals_can_be_stopped_in_the_middle(
    world: Make, name: str, value: str, why: str
) -> None:
    """Promise 7: who forbids removals while a run carries them out keeps all that are left."""
    here = interrupted_in_clearing(world)
    run = here.fire(**{name: value})
    assert here.writes() == []
    assert outcomes(run) == {"removal_pending": 8}
    assert why in here.report(run)["removals"]["note"]


def interrupted_before_clearing(world: Make, mode: str = "false", **settings: str) -> World:
    """A run that has counted three photos as gone, and ended while it read another one."""
    here = world(users=40, shards=4, settings={**ONCE, **settings}, settled=True)
    for user_id in here.ids()[:3]:
        here.tenant.directory.remove_photo(user_id)
    here.tenant.directory.set_photo(here.ids()[20], jpeg())
    late(here, "photo.bytes")
    run = here.night(DRY_RUN=mode)
    assert (run.status, run.phase) == ("interrupted", "users")
    here.clock.advance(900)
    return here


@pytest.mark.parametrize(
    ("before", "after", "outcome"), [("1", "2", "removed"), ("2", "1", "removal_pending")]
)
def test_confirmations_of_a_run_stay(world: Make, before: str, after: str, outcome: str) -> None:
    """Promise 13: another REMOVAL_CONFIRMATIONS holds from the next run on, and all are counted."""
    here = interrupted_before_clearing(world, REMOVAL_CONFIRMATIONS=before)
    run = here.fire(REMOVAL_CONFIRMATIONS=after)
    assert run.status == "completed"
    assert outcomes(run) == {"updated": 1, "unchanged": 36, outcome: 3}


def test_a_dry_run_over_two_firings_counts_removals(world: Make) -> None:
    """Promise 13: a dry run that was interrupted says what the real run does, removals too."""
    here = interrupted_before_clearing(world, "true")
    dry = here.fire()
    assert dry.status == "completed"
    real = here.fire(DRY_RUN="false")
    assert outcomes(dry) == outcomes(real) == {"updated": 1, "unchanged": 36, "removed": 3}


def edit(here: World, user_id: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record in storage."""
    name = f"state/{user_id[:2]}.json"
    document = json.loads(here.blobs(name)[name])
    change(document["users"][user_id])
    here.app().container.upload_blob(name, json.dumps(document).encode(), overwrite=True)


def test_leavers_who_are_due_after_midnight(world: Make) -> None:
    """Promise 7: a run clears no more leavers than it has compared with REMOVAL_LIMIT.

    One left five days ago. Fifteen more left four days ago, and midnight comes during the run.
    """
    here = world(
        users=40, shards=1, settings={"LEAVER_DAYS": "5", "REMOVAL_LIMIT": "12"}, settled=True
    )
    now = datetime.fromtimestamp(here.clock.time(), UTC)
    midnight = (now + timedelta(days=6)).replace(hour=0, minute=0, second=0)
    today = midnight.date() - timedelta(days=1)
    for number, user_id in enumerate(here.ids()[:16]):
        here.tenant.directory.remove(user_id)
        left = (today - timedelta(days=5 if number == 0 else 4)).isoformat()
        edit(here, user_id, partial(dict.update, leftOn=left))
    here.tenant.directory.set_photo(here.ids()[-1], jpeg())
    here.tenant.faults.add(
        Fault("call", operation="photo.bytes", action=lambda: here.clock.advance(700))
    )
    here.clock.advance((midnight - now).total_seconds() - 600)
    run = here.fire()
    assert run.status == "completed"
    assert here.report(run)["leavers"] == {"candidates": 1, "cleared": 1, "heldBack": 0}
    assert len(here.records()) == 39


def test_a_picture_on_a_host_of_the_past(world: Make) -> None:
    """Promise 9: a record of a host that is not the tenant's any more stops no run's removals."""
    here = world(users=6, shards=1, settings=ONCE, settled=True)
    old, other = here.ids()[:2]
    edit(here, old, lambda record: record["photo"].update(host="https://old-my.sharepoint.com"))
    for user_id in (old, other):
        here.tenant.directory.remove_photo(user_id)
    run = here.night()
    assert run.status == "completed"
    assert outcomes(run) == {"unchanged": 4, "failed": 1, "removed": 1}
    (line,) = [line for line in here.lines(run) if line["outcome"] == "failed"]
    assert "SHAREPOINT_SATELLITES" in line["detail"]
