"""Looking again: what nobody announced is noticed and put right after REVERIFY_DAYS."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from local.tenant import Fault
from shared.checkpoint import seconds_of
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]
USERS = 8


def settled(world: Make, **settings: str) -> tuple[World, Oracle, str]:
    """A synchronized tenant, and somebody in it."""
    here = world(users=USERS, shards=1, settings=settings, settled=True)
    oracle = Oracle(here)
    return here, oracle, here.ids()[3]


def today(here: World) -> str:
    """The date by the program's clock."""
    return datetime.fromtimestamp(here.clock.time(), UTC).date().isoformat()


def test_everybody_is_looked_at_when_it_is_due(world: Make) -> None:
    """On the day that the record names the photo is read again, the profile and the files too."""
    here, _, _ = settled(world)
    due = Counter(record.verify_on for record in here.records().values())
    assert len(due) > 1
    for _ in range(30):
        run = here.night()
        looks = due[today(here)]
        assert outcomes(run) == {"unchanged": USERS}
        assert run.reverified == here.operations()["photo.bytes"] == looks
        assert here.operations()["file.read"] == 3 * looks
        assert here.writes() == []
    assert max(due) <= today(here)
    assert {r.verified_at[:10] for r in here.records().values()} == set(due)


def test_who_was_looked_at_comes_again_after_the_whole_time(world: Make) -> None:
    """The spread of one night's writes stays: a look is repeated after REVERIFY_DAYS exactly."""
    here, _, someone = settled(world)
    here.night(30)
    first = date.fromisoformat(today(here))
    assert {r.verify_on for r in here.records().values()} == {str(first + timedelta(days=30))}
    assert here.records()[someone].claims


def test_a_weekly_schedule_forgets_nobody(world: Make) -> None:
    """B11: with a run a week, everybody is looked at within a week of being due, for months."""
    here, _, _ = settled(world)
    for _ in range(14):
        here.night(7)
        oldest = min(record.verified_at for record in here.records().values())
        assert here.clock.time() - seconds_of(oldest) <= (30 + 7) * 86_400


def test_looks_give_way_to_changed_photos(world: Make) -> None:
    """When half of the time is spent, who is only due counts as unchanged and stays due."""
    here, oracle, someone = settled(world, TIME_BUDGET_SECONDS="100", MAX_CONCURRENCY="1")
    here.tenant.directory.set_photo(someone, jpeg())
    here.tenant.faults.add(
        Fault("call", operation="users.list", action=lambda: here.clock.advance(50))
    )
    run = here.night(40)
    assert outcomes(run) == {"unchanged": USERS - 1, "updated": 1}
    assert run.reverified == 0
    assert oracle.wrong() == {}
    assert here.night().reverified == USERS - 1


def test_never(world: Make) -> None:
    """REVERIFY_DAYS=0: nothing is read again, however old it is."""
    here, _, someone = settled(world, REVERIFY_DAYS="0")
    here.tenant.sharepoint.profiles.put(
        here.tenant.directory.people[someone], {"SPS-PicturePlaceholderState": "1"}
    )
    run = here.night(400)
    assert outcomes(run) == {"unchanged": USERS}
    assert here.operations()["photo.bytes"] == here.tenant.tape.count(service="sharepoint") == 0


@pytest.mark.parametrize(
    "values",
    [
        {"SPS-PicturePlaceholderState": "1"},
        {"PictureURL": ""},
        {"PictureURL": "https://intranet.example.com/me.jpg"},
    ],
    ids=["placeholder", "emptied", "elsewhere"],
)
def test_a_profile_edited_by_hand(world: Make, values: dict[str, str]) -> None:
    """The profile does not show our picture any more: written again, once."""
    here, oracle, someone = settled(world)
    here.tenant.sharepoint.profiles.put(here.tenant.directory.people[someone], values)
    assert set(oracle.wrong()) == {here.tenant.directory.people[someone].upn}
    assert outcomes(here.night()) == {"unchanged": USERS}
    run = here.night(30)
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": USERS - 1, "repaired": 1}
    assert outcomes(here.night()) == {"unchanged": USERS}


@pytest.mark.parametrize("size", ["S", "M", "L"])
@pytest.mark.parametrize("what", ["deleted", "overwritten"])
def test_a_file_changed_by_hand(world: Make, size: str, what: str) -> None:
    """Any of the three files is missing, or is another picture: all are written again."""
    here, oracle, someone = settled(world)
    photo = here.records()[someone].photo
    assert photo
    library = here.tenant.sharepoint.library["mysite"]
    path = photo.location.path(size)
    if what == "deleted":
        library.delete(path)
    else:
        folder, _, name = path.rpartition("/")
        library.put(folder, name, jpeg(), overwrite=True)
    run = here.night(30)
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": USERS - 1, "repaired": 1}


def test_a_photo_replaced_under_the_same_version(world: Make) -> None:
    """The version did not change with the photo: the bytes tell, at the next look."""
    here, oracle, someone = settled(world)
    person = here.tenant.directory.people[someone]
    assert person.photo
    version = person.photo.etag
    here.tenant.directory.set_photo(someone, jpeg())
    person.photo = replace(person.photo, etag=version)
    assert outcomes(here.night()) == {"unchanged": USERS}
    run = here.night(30)
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": USERS - 1, "updated": 1}


def test_versions_that_cannot_be_trusted(world: Make) -> None:
    """A version that changes with every reading does not keep anybody from being looked at."""
    here, oracle, someone = settled(world)
    here.tenant.quirks.etag_unstable = True
    here.tenant.sharepoint.profiles.put(
        here.tenant.directory.people[someone], {"SPS-PicturePlaceholderState": "1"}
    )
    assert outcomes(here.night()) == {"unchanged": USERS}
    assert here.tenant.tape.count(service="sharepoint") == 0
    run = here.night(30)
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": USERS - 1, "repaired": 1}


def test_a_look_that_fails(world: Make) -> None:
    """The user has failed, is looked at ever less often, and is healed by a look that succeeds."""
    here, oracle, someone = settled(world)
    person = here.tenant.directory.people[someone]
    here.tenant.sharepoint.profiles.put(person, {"PictureURL": ""})
    broken = here.tenant.faults.add(
        Fault("status", status=500, operation="photo.bytes", person=someone, times=None)
    )
    assert outcomes(here.night(30)) == {"unchanged": USERS - 1, "failed": 1}
    looked = []
    for night in range(1, 9):
        assert outcomes(here.night()) == {"unchanged": USERS - 1, "failed": 1}
        looked += [night] if here.operations()["photo.bytes"] else []
    assert looked == [1, 3, 7]
    broken.times = 0
    run = here.night(8)
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": USERS - 1, "repaired": 1}


def test_a_profile_that_is_gone_at_the_look(world: Make) -> None:
    """No profile: nothing is claimed any more; when there is one again, it is written."""
    here, oracle, someone = settled(world)
    person = here.tenant.directory.people[someone]
    person.has_profile = False
    here.tenant.sharepoint.profiles.forget(person)
    assert outcomes(here.night(30)) == {"unchanged": USERS - 1, "no_profile": 1}
    person.has_profile = True
    assert oracle.false_claims() == []
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": USERS - 1, "updated": 1}
