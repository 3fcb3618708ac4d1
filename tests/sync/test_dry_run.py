"""A dry run: what a real one would do, said and not done."""

from collections.abc import Callable
from typing import Any

import pytest

from local.tenant import Fault
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]


def told(here: World, **changed: str) -> tuple[dict[str, int], list[tuple[Any, ...]], Any]:
    """What a run says: counts, who ended how, and its removals."""
    run = here.fire(**changed)
    lines = {line["id"]: line["outcome"] for line in here.lines(run)}
    return outcomes(run), sorted(lines.items()), here.report(run)["removals"]


def compared(here: World) -> dict[str, int]:
    """A dry run, which must leave everything as it is, and then the real one; what both said."""
    here.app().checkpoint().prepare()
    here.tenant.tape.clear()
    files = here.tenant.sharepoint.files()
    state = here.blobs("state/")
    dry = told(here, DRY_RUN="true")
    assert here.writes() == []
    assert here.tenant.sharepoint.files() == files
    assert here.blobs("state/") == state
    assert here.blobs("broken/") == {}
    here.clock.advance(60)
    real = told(here, DRY_RUN="false")
    assert dry == real
    here.clock.advance(86_400)
    return real[0]


def test_a_dry_run_says_what_the_real_run_does(world: Make) -> None:
    """Promise 13: outcome by outcome, night after night, in a tenant of all kinds."""
    settings = {"REVERIFY_DAYS": "3", "REMOVAL_LIMIT": "4"}
    here = world(users=60, plain=False, shards=2, settings=settings)
    directory = here.tenant.directory
    oracle = Oracle(here)
    seen = compared(here)
    ids = [p.id for p in oracle.people() if p.photo and p.has_profile]
    locked = here.tenant.faults.add(
        Fault("status", status=500, operation="photo.bytes", person=ids[0], times=None)
    )
    for night in range(5):
        directory.set_photo(ids[night], jpeg((night, 0, 0)))
        for user_id in ids[6 + 3 * night : 9 + 3 * night] if night < 4 else ids[20:26]:
            directory.remove_photo(user_id)
        here.tenant.sharepoint.profiles.put(
            directory.people[ids[-1 - night]], {"SPS-PicturePlaceholderState": "1"}
        )
        seen |= compared(here)
    locked.times = 0
    assert set(seen) >= {"updated", "unchanged", "repaired", "removed", "removal_pending"}
    assert set(seen) >= {"no_photo", "no_profile", "invalid_photo", "failed"}


def test_it_leaves_nothing_but_its_report(world: Make) -> None:
    """On a new tenant: no folder is made, no state; the report says that it was a dry run."""
    here = world(users=10, shards=1)
    run = here.fire(DRY_RUN="true")
    assert outcomes(run) == {"updated": 10}
    assert set(here.blobs()) == {
        "run.json",
        f"runs/{run.started}.json",
        f"runs/{run.started}.jsonl",
    }
    assert here.report(run)["mode"] == "dry-run"


def test_the_limit_counts_the_photos_of_earlier_runs(world: Make) -> None:
    """A percentage of the photos that we wrote before this run, in a dry run as in a real one."""
    settings = {"REMOVAL_CONFIRMATIONS": "1", "REMOVAL_LIMIT": "50%"}
    here = world(users=24, shards=1, settings=settings)
    directory = here.tenant.directory
    late = here.ids()[12:]
    for user_id in late:
        directory.remove_photo(user_id)
    here.fire()
    for user_id in late:
        directory.set_photo(user_id, jpeg())
    for user_id in here.ids()[:11]:
        directory.remove_photo(user_id)
    here.clock.advance(86_400)
    assert compared(here) == {"removal_pending": 11, "updated": 12, "unchanged": 1}


def test_a_broken_shard_stays_where_it_is(world: Make) -> None:
    """A dry run changes no checkpoint; a copy is kept for people to look at."""
    here = world(users=10, shards=1, settled=True)
    here.app().container.upload_blob("state/00.json", b"{", overwrite=True)
    here.clock.advance(86_400)
    run = here.fire(DRY_RUN="true")
    assert outcomes(run) == {"unchanged": 10}
    assert here.blobs("state/") == {"state/00.json": b"{"}
    assert list(here.blobs("broken/").values()) == [b"{"]


@pytest.mark.parametrize("dry", ["true", "false"])
def test_neither_kind_keeps_the_other_waiting(world: Make, dry: str) -> None:
    """A run of the other mode starts at once, whatever the interval."""
    here = world(users=5, shards=1)
    first = here.fire(DRY_RUN=dry)
    second = here.fire(DRY_RUN="false" if dry == "true" else "true")
    assert first.id != second.id
    assert first.mode != second.mode
    assert here.fire().id == second.id


def test_a_dry_run_over_several_firings(world: Make) -> None:
    """It is interrupted and resumed like any other, and closes one of the other mode."""
    here = world(users=60, shards=1, settings={"MAX_CONCURRENCY": "1"})
    here.tenant.faults.add(
        Fault("status", operation="photo.batch", nth=1, status=429, retry_after=3000)
    )
    first = here.fire(DRY_RUN="true")
    assert first.status == "interrupted"
    assert outcomes(first)["deferred"] > 0
    here.clock.advance(3600)
    again = here.fire()
    assert (again.id, outcomes(again)) == (first.id, {"updated": 60})
    assert here.writes() == []
