"""LEAVER_DAYS: what becomes of the pictures and records of people whom the directory lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from local.tenant import Fault
from shared.checkpoint.records import dump_shard
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes, void

Make = Callable[..., World]


def noticed(here: World, user_id: str) -> None:
    """Let nights pass until a run has noticed that the directory lost the user; a week at most."""
    for _ in range(7):
        run = here.night()
        if here.records()[user_id].left_on:
            today = datetime.fromtimestamp(here.clock.time(), UTC).date().isoformat()
            assert here.records()[user_id].left_on == today
            assert run.leaver_candidates == 0
            return
    pytest.fail("nobody noticed")


def files_of(here: World, user_id: str) -> list[str]:
    """Files that are named after the user's object id."""
    return [name for name in here.tenant.sharepoint.files() if user_id in name]


def left(world: Make, number: int = 1, users: int = 8, **settings: str) -> tuple[World, list[str]]:
    """A synchronized tenant some of whose users were deleted and noticed as leavers."""
    here = world(
        users=users, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1", **settings}, settled=True
    )
    whose = here.ids()[1 : number + 1]
    for user_id in whose:
        here.tenant.directory.remove(user_id)
    for user_id in whose:
        if not here.records()[user_id].left_on:
            noticed(here, user_id)
    return here, whose


def test_files_and_record_go_after_the_days(world: Make) -> None:
    """Not a day earlier; the profile is Microsoft's to delete, and is not written to."""
    here, (user_id,) = left(world)
    assert len(files_of(here, user_id)) == 3
    run = here.night(29)
    assert run.leavers_cleared == 0
    assert here.writes() == []
    run = here.night()
    assert outcomes(run) == {"unchanged": 7}
    assert here.report(run)["leavers"] == {"candidates": 1, "cleared": 1, "heldBack": 0}
    assert files_of(here, user_id) == []
    assert user_id not in here.records()
    assert set(here.operations()) & {"profile.write", "file.upload"} == set()
    assert len(here.tenant.sharepoint.files()) == 3 * 7
    assert here.report(here.night())["leavers"]["candidates"] == 0


def test_who_comes_back_is_no_leaver(world: Make) -> None:
    """Restored after 29 days: files and record stay, and the days start anew the next time."""
    here = world(users=8, shards=1, settled=True)
    oracle = Oracle(here)
    user_id = here.ids()[1]
    person = here.tenant.directory.people[user_id]
    here.tenant.directory.remove(user_id)
    noticed(here, user_id)
    here.clock.advance(29 * 86_400)
    here.tenant.directory.add(person)
    for nights in (1, 40):
        run = here.night(nights)
        assert run.leaver_candidates == 0
        assert here.records()[user_id].left_on == ""
    assert len(files_of(here, user_id)) == 3
    oracle.verify(run)


def test_who_is_back_between_decision_and_clearing_keeps_the_picture(world: Make) -> None:
    """The directory is asked once more, directly before files are recycled."""
    here, (user_id,) = left(world)
    gone = here.tenant.directory
    person = replace(next(iter(gone.people.values())), id=user_id, upn="back@contoso.com")
    here.tenant.faults.add(
        Fault(
            "call",
            operation="user.batch",
            nth=1,
            action=lambda: void(gone.people.setdefault(user_id, person)),
        )
    )
    run = here.night(30)
    assert (run.leaver_candidates, run.leavers_cleared) == (1, 0)
    assert len(files_of(here, user_id)) == 3
    assert user_id in here.records()


def test_who_only_left_the_scope_is_never_touched(world: Make) -> None:
    """Blocked, without a license: still in the directory after a year, so all stays."""
    here = world(users=8, shards=1, settled=True)
    user_id = here.ids()[1]
    here.tenant.directory.people[user_id].account_enabled = False
    here.tenant.directory.version += 1
    for nights in (1, 1, 1, 1, 1, 1, 1, 30, 300):
        assert outcomes(here.night(nights)) == {"unchanged": 7}
        assert here.operations()["file.recycle"] == 0
    assert len(files_of(here, user_id)) == 3
    assert here.records()[user_id].left_on == ""


def test_zero_means_never(world: Make) -> None:
    """LEAVER_DAYS=0: nobody is asked about, and nothing goes."""
    here = world(
        users=8, shards=1, settings={"LEAVER_DAYS": "0", "REVERIFY_DAYS": "0"}, settled=True
    )
    user_id = here.ids()[1]
    here.tenant.directory.remove(user_id)
    for nights in (1, 1, 1, 1, 1, 1, 1, 400):
        here.night(nights)
        assert here.operations()["user.batch"] == 0
    assert len(files_of(here, user_id)) == 3
    assert here.records()[user_id].left_on == ""


def test_files_named_after_a_person_stay(world: Make) -> None:
    """Files that version 1 named after a principal name may be somebody else's: only ours go."""
    here = world(users=8, shards=1, settled=True)
    user_id = here.ids()[1]
    records = here.records()
    photo = records[user_id].photo
    assert photo
    location = replace(photo.location, prefix="anna_sales_contoso_com")
    records[user_id] = replace(records[user_id], photo=replace(photo, location=location))
    here.app().container.upload_blob("state/00.json", dump_shard(records), overwrite=True)
    here.tenant.directory.remove(user_id)
    noticed(here, user_id)
    run = here.night(30)
    assert run.leavers_cleared == 1
    assert here.writes() == []
    assert user_id not in here.records()


@pytest.mark.parametrize(("limit", "cleared"), [("4", True), ("3", False)])
def test_leavers_and_removals_share_the_limit(world: Make, limit: str, cleared: bool) -> None:
    """Two removals and two leavers need a limit of four; below it nobody at all is cleared."""
    here, whose = left(world, 2, users=12, REMOVAL_LIMIT=limit)
    for user_id in here.ids()[-2:]:
        here.tenant.directory.remove_photo(user_id)
    run = here.night(30)
    assert run.leaver_candidates == 2
    assert run.removal_candidates == 2
    if cleared:
        assert outcomes(run) == {"unchanged": 8, "removed": 2}
        assert run.leavers_cleared == 2
        return
    assert outcomes(run) == {"unchanged": 8, "removal_pending": 2}
    assert here.report(run)["leavers"] == {"candidates": 2, "cleared": 0, "heldBack": 2}
    assert "4 removals are more than REMOVAL_LIMIT" in here.report(run)["removals"]["note"]
    assert here.writes() == []
    assert set(whose) <= set(here.records())


def test_a_new_photo_of_a_namesake_is_not_touched(world: Make) -> None:
    """Somebody new has the name of the user who left: the files of both are told apart."""
    here, (user_id,) = left(world)
    upn = here.records()[user_id].upn
    someone = next(iter(here.tenant.directory.people.values()))
    successor = here.tenant.directory.add(
        replace(someone, id=user_id[:-4] + "ffff", upn=upn, existing="none")
    )
    here.tenant.directory.set_photo(successor.id, jpeg())
    run = here.night(30)
    assert outcomes(run) == {"unchanged": 7, "updated": 1}
    assert run.leavers_cleared == 1
    assert files_of(here, user_id) == []
    assert len(files_of(here, successor.id)) == 3
    assert here.tenant.sharepoint.shown_picture(successor.id)
