"""Looking again: what nobody announced is noticed and put right after REVERIFY_DAYS."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from local.tenant import Fault
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]
USERS = 8


def settled(world: Make, **settings: str) -> tuple[World, Oracle, str]:
    """A synchronised tenant, and somebody in it."""
    here = world(users=USERS, shards=1, settings=settings)
    oracle = Oracle(here)
    oracle.verify(here.fire())
    return here, oracle, here.ids()[3]


def test_everybody_is_looked_at_when_it_is_due(world: Make) -> None:
    """After REVERIFY_DAYS the photo is read again and the profile checked; not a day before."""
    here, _, _ = settled(world)
    here.night(28.9)
    assert here.operations()["photo.bytes"] == here.tenant.tape.count(service="sharepoint") == 0
    run = here.night(1.1)
    assert outcomes(run) == {"unchanged": USERS}
    assert run.reverified == USERS
    assert here.operations()["photo.bytes"] == USERS
    assert here.operations()["profile.batch"] == 1
    assert here.writes() == []
    again = here.night()
    assert again.reverified == here.operations()["photo.bytes"] == 0


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


def test_looks_are_spread_over_the_nights(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all are due at once, each night takes its share, and everybody's turn comes."""
    monkeypatch.setattr("shared.sync.engine.nightly._REVERIFY_AT_LEAST", 3)
    here, _, _ = settled(world)
    here.clock.advance(40 * 86_400)
    looks = [here.night().reverified for _ in range(5)]
    assert looks == [3, 3, 2, 0, 0]


def test_the_share_of_a_large_tenant(world: Make) -> None:
    """Twice an even share of the users, at least a hundred."""
    here, _, _ = settled(world, REVERIFY_DAYS="1")
    assert here.night(5).reverified == USERS  # 2 * 8 / 1, and far below a hundred


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
