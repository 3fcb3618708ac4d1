"""Removals: counted, confirmed, guarded, and carried out all or not at all."""

from collections.abc import Callable

import pytest

from local.tenant import Fault
from shared.checkpoint import Run
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes, void

Make = Callable[..., World]
ONCE = {"REMOVAL_CONFIRMATIONS": "1"}


def prepared(world: Make, *, users: int = 40, gone: int = 3, **settings: str) -> World:
    """A tenant that was synchronised, and then some photos go."""
    here = world(users=users, shards=1, settings={**ONCE, **settings}, settled=True)
    take(here, gone)
    return here


def take(here: World, number: int) -> list[str]:
    """Take photos from Exchange; whose they were."""
    people = here.tenant.directory.people
    whose = [user_id for user_id in here.ids() if people[user_id].photo][:number]
    for user_id in whose:
        here.tenant.directory.remove_photo(user_id)
    return whose


def nothing_removed(here: World, run: Run, why: str) -> None:
    """SharePoint and the records' claims are as they were, and the report says why."""
    assert here.writes() == []
    assert "removed" not in outcomes(run)
    report = here.report(run)["removals"]
    assert report["removed"] == 0
    assert why in report["note"]
    photos = [record.photo for record in here.records().values()]
    assert photos
    assert all(photo and photo.sha256 for photo in photos)


@pytest.mark.parametrize("confirmations", [1, 2, 3])
def test_confirmations(world: Make, confirmations: int) -> None:
    """Cleared by the run that is the n-th in a row to find the photo gone, not before."""
    here = world(
        users=20, shards=1, settings={"REMOVAL_CONFIRMATIONS": str(confirmations)}, settled=True
    )
    oracle = Oracle(here)
    take(here, 2)
    for _ in range(confirmations - 1):
        run = here.night()
        assert outcomes(run) == {"unchanged": 18, "removal_pending": 2}
        assert here.writes() == []
        assert here.report(run)["removals"]["candidates"] == 0
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 18, "removed": 2}
    assert here.report(run)["removals"] == {
        "photos": 20,
        "candidates": 2,
        "removed": 2,
        "failed": 0,
        "heldBack": 0,
        "limit": 10,
        "note": None,
    }
    # Placeholder first, then the three files.
    assert here.operations()["profile.write"] == 2
    assert here.operations()["file.recycle"] == 6
    assert outcomes(here.night()) == {"unchanged": 18, "no_photo": 2}
    assert here.writes() == []


def test_firings_of_one_run_confirm_once(world: Make) -> None:
    """A resumed run, or a firing that finds it finished, is no second confirmation."""
    here = world(users=40, shards=1, settings={"MAX_CONCURRENCY": "1"}, settled=True)
    take(here, 2)
    here.tenant.faults.add(
        Fault("status", operation="photo.batch", nth=1, status=429, retry_after=3000)
    )
    assert here.night().status == "interrupted"
    for _ in range(3):
        here.clock.advance(3600)
        run = here.fire()
        assert outcomes(run) == {"unchanged": 38, "removal_pending": 2}
    assert {r.missing.runs for r in here.records().values() if r.missing} == {1}


def test_a_photo_that_is_back_in_between(world: Make) -> None:
    """Counting begins anew; the old photo is not written again, a new one is."""
    here = world(users=20, shards=1, settled=True)
    oracle = Oracle(here)
    old, new = take(here, 2)
    kept = oracle.photos[here.records()[old].photo.sha256]  # type: ignore[union-attr]  # there is one
    assert outcomes(here.night())["removal_pending"] == 2
    here.tenant.directory.set_photo(old, kept)
    here.tenant.directory.set_photo(new, jpeg())
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 19, "updated": 1}
    for user_id in (old, new):
        here.tenant.directory.remove_photo(user_id)
    assert outcomes(here.night())["removal_pending"] == 2
    assert here.writes() == []
    oracle.verify(here.night())


def test_a_photo_that_is_back_at_the_last_look(world: Make) -> None:
    """Asked once more before anything is cleared: who has a photo again keeps the picture."""
    here = prepared(world, gone=1)
    someone = next(p.id for p in here.tenant.directory.people.values() if p.photo is None)
    here.tenant.faults.add(
        Fault(
            "call",
            operation="photo.batch",
            nth=2,
            action=lambda: void(here.tenant.directory.set_photo(someone, jpeg())),
        )
    )
    run = here.night()
    assert outcomes(run) == {"unchanged": 39, "removal_pending": 1}
    assert here.writes() == []
    run = here.night()
    assert outcomes(run) == {"unchanged": 39, "updated": 1}


@pytest.mark.parametrize(
    ("limit", "users", "gone", "removed"),
    [
        ("3", 6, 3, True),
        ("3", 6, 4, False),
        ("0", 6, 1, False),
        ("0%", 12, 10, True),
        ("0%", 12, 11, False),
        ("50%", 12, 10, True),
        ("50%", 12, 11, False),
        ("50%", 23, 11, True),
        ("50%", 23, 12, False),
        ("100%", 12, 12, True),
    ],
)
def test_the_limit(world: Make, limit: str, users: int, gone: int, removed: bool) -> None:
    """Promise 7: n are removed and n + 1 are not; a percentage means at least 10."""
    here = prepared(world, users=users, gone=gone, REMOVAL_LIMIT=limit)
    oracle = Oracle(here)
    run = here.night()
    if removed:
        oracle.verify(run)
        assert outcomes(run).get("removed") == gone
        return
    nothing_removed(here, run, f"{gone} removals are more than REMOVAL_LIMIT allows")
    assert outcomes(run).get("removal_pending") == gone
    assert here.report(run)["removals"]["heldBack"] == gone
    lines = {line["id"]: line for line in here.lines(run)}
    assert all("raise REMOVAL_LIMIT" in line["detail"] for line in lines.values())
    assert len(lines) == gone


def test_the_explicit_setting_lets_them_through(world: Make) -> None:
    """Held back night after night, until the operator raises the limit."""
    here = prepared(world, users=14, gone=12, REMOVAL_LIMIT="11")
    oracle = Oracle(here)
    for _ in range(3):
        nothing_removed(here, here.night(), "held back: 12")
    run = here.night(REMOVAL_LIMIT="12")
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 2, "removed": 12}


def test_remove_photos_false(world: Make) -> None:
    """Nothing is cleared and nothing counted, however long it lasts."""
    here = prepared(world, REMOVE_PHOTOS="false")
    for _ in range(3):
        run = here.night()
        assert outcomes(run) == {"unchanged": 37, "removal_pending": 3}
        assert here.writes() == []
    assert all(record.missing is None for record in here.records().values())
    assert outcomes(here.night(REMOVE_PHOTOS="true")) == {"unchanged": 37, "removed": 3}


def test_the_first_run_removes_nothing(world: Make) -> None:
    """With the run's document lost there is no list to compare with: held back for one run."""
    here = prepared(world)
    here.app().container.delete_blob("run.json")
    nothing_removed(here, here.night(), "no earlier run to compare")
    assert outcomes(here.night()) == {"unchanged": 37, "removed": 3}


def test_a_removal_that_fails_waits_like_any_failure(world: Make) -> None:
    """A profile that cannot be cleared: the user has failed, waits ever longer, and is healed."""
    here = prepared(world, users=6, gone=3)
    oracle = Oracle(here)
    poisoned = min(p.id for p in here.tenant.directory.people.values() if p.photo is None)
    locked = here.tenant.faults.add(
        Fault("status", status=423, operation="profile.write", person=poisoned, times=None)
    )
    run = here.night()
    assert outcomes(run) == {"unchanged": 3, "removed": 2, "failed": 1}
    assert here.report(run)["removals"]["failed"] == 1
    assert oracle.false_claims() == oracle.orphans() == []
    attempts = []
    for night in range(2, 9):
        assert outcomes(here.night()) == {"unchanged": 3, "no_photo": 2, "failed": 1}
        attempts += [night] if here.writes() else []
    assert attempts == [2, 4, 8]
    locked.times = 0
    assert outcomes(here.night(7)) == {"unchanged": 3, "no_photo": 2, "failed": 1}
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 3, "no_photo": 2, "removed": 1}


def test_a_new_photo_after_a_failed_removal(world: Make) -> None:
    """It is written at once, whatever the date of the next attempt."""
    here = prepared(world, users=4, gone=1)
    oracle = Oracle(here)
    fault = here.tenant.faults.add(
        Fault("status", status=423, operation="profile.write", times=None)
    )
    for _ in range(3):
        assert outcomes(here.night()) == {"unchanged": 3, "failed": 1}
    assert here.writes() == []
    fault.times = 0
    whose = next(p.id for p in here.tenant.directory.people.values() if p.photo is None)
    here.tenant.directory.set_photo(whose, jpeg())
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 3, "updated": 1}


def test_removals_over_two_firings(world: Make) -> None:
    """Interrupted between removals: the rest follows, under the same limit, counted once."""
    here = prepared(world, gone=10, REMOVAL_LIMIT="10", MAX_CONCURRENCY="1")
    oracle = Oracle(here)
    locked = here.tenant.faults.add(
        Fault("status", status=423, operation="profile.write", times=None)
    )
    locked.person = [p.id for p in here.tenant.directory.people.values() if not p.photo][1]
    throttled = Fault("status", operation="profile.write", status=429, retry_after=3000, times=None)
    here.tenant.faults.add(
        Fault(
            "call",
            operation="profile.write",
            nth=6,
            action=lambda: void(here.tenant.faults.add(throttled)),
        )
    )
    run = here.night()
    assert run.status == "interrupted"
    throttled.times = 0
    counts = outcomes(run)
    assert counts["unchanged"] == 30
    assert 0 < counts["deferred"] < 10
    assert oracle.false_claims() == []
    here.clock.advance(3600)
    run = here.fire()
    assert outcomes(run) == {"unchanged": 30, "removed": 9, "failed": 1}
    assert here.report(run)["removals"]["candidates"] == 10
    locked.times = 0
    oracle.verify(here.night(2))


def test_settings_changed_before_the_removals(world: Make) -> None:
    """REMOVE_PHOTOS switched off in the middle of a run: what was confirmed stays."""
    here = prepared(world, gone=3, MAX_CONCURRENCY="1")
    throttled = here.tenant.faults.add(
        Fault("status", operation="scope.batch", status=429, retry_after=3000)
    )
    assert outcomes(here.night()) == {"unchanged": 37, "deferred": 3}
    assert throttled.fired == 1
    here.clock.advance(900)
    here.tenant.tape.clear()
    run = here.fire(REMOVE_PHOTOS="false")
    assert run.status == "completed"
    assert outcomes(run) == {"unchanged": 37, "removal_pending": 3}
    assert here.writes() == []


def test_a_removal_without_a_profile(world: Make) -> None:
    """A5: a profile that is missing at the moment is cleared when it is back, files and all."""
    here = prepared(world, users=4, gone=1)
    oracle = Oracle(here)
    whose = next(p for p in here.tenant.directory.people.values() if p.photo is None)
    whose.has_profile = False
    for _ in range(3):
        assert outcomes(here.night()) == {"unchanged": 3, "no_profile": 1}
        assert here.writes() == []
    whose.has_profile = True
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 3, "removed": 1}


def test_sharepoint_down_while_removing(world: Make) -> None:
    """The run stops, everybody is pending still, and a later firing removes them."""
    here = prepared(world, users=30, gone=25, REMOVAL_LIMIT="25")
    oracle = Oracle(here)
    down = here.tenant.faults.add(Fault("status", operation="profile.write", times=None))
    here.clock.advance(86_400)
    run, message = here.stopped()
    assert "writing to SharePoint fails for everybody" in message
    assert outcomes(run) == {"unchanged": 5, "deferred": 25}
    down.times = 0
    here.clock.advance(900)
    run = here.fire()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 5, "removed": 25}


def test_a_photo_that_goes_while_it_is_read(world: Make) -> None:
    """A version, and then no bytes: as if there had been no version."""
    here = world(users=4, shards=1)
    directory = here.tenant.directory
    new, known = here.ids()[:2]

    def vanish(user_id: str) -> None:
        here.tenant.faults.add(
            Fault(
                "call",
                operation="photo.bytes",
                person=user_id,
                action=lambda: directory.remove_photo(user_id),
            )
        )

    vanish(new)
    assert outcomes(here.fire()) == {"updated": 3, "no_photo": 1}
    directory.set_photo(known, jpeg())
    vanish(known)
    assert outcomes(here.night()) == {"unchanged": 2, "no_photo": 1, "removal_pending": 1}
    assert here.writes() == []
