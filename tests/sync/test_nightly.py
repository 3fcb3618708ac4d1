"""The nightly run: what it writes, what it leaves alone, and what it says of it."""

from collections.abc import Callable

import pytest

from local.tenant import Fault, Quirks
from shared.sync import nightly
from tests.support.oracle import Oracle, served, thumbnails
from tests.support.world import World, jpeg, outcomes, void

Make = Callable[..., World]


def test_a_second_run_without_change_writes_nothing(world: Make) -> None:
    """Promise 1: no write to SharePoint, no SharePoint request at all, the state untouched."""
    here = world(users=45)
    assert outcomes(here.fire()) == {"updated": 45}
    before = here.blobs("state/")

    run = here.night()

    assert outcomes(run) == {"unchanged": 45}
    assert here.operations() == {"users.list": 1, "photo.batch": 3, "token": 1}
    assert here.blobs("state/") == before


def test_a_tenant_of_all_kinds(world: Make) -> None:
    """Promises 2 and 13: everybody's picture is the one from Exchange, and each is counted once."""
    here = world(users=60, plain=False, shards=2)
    oracle = Oracle(here)
    run = here.fire()
    oracle.verify(run)

    people = oracle.people()
    without = [p for p in people if p.photo is None]
    no_profile = [p for p in people if p.photo and not p.has_profile]
    broken = [p for p in people if p.has_profile and (data := served(p)) and not thumbnails(data)]
    assert outcomes(run) == {
        "no_photo": len(without),
        "no_profile": len(no_profile),
        "invalid_photo": len(broken),
        "updated": len(people) - len(without) - len(no_profile) - len(broken),
    }
    assert min(outcomes(run)[name] for name in ("no_photo", "no_profile", "invalid_photo")) > 0

    again = here.night()
    oracle.verify(again)
    counts = outcomes(run)
    assert outcomes(again) == {"unchanged": counts.pop("updated"), **counts}
    assert here.writes() == []


def test_only_what_changed_is_written(world: Make) -> None:
    """A changed photo costs its bytes, three uploads and one query, and nobody else anything."""
    here = world(users=40, shards=2, settled=True)
    oracle = Oracle(here)
    here.tenant.population.change(5, seed=7)

    run = here.night()

    oracle.verify(run)
    assert outcomes(run) == {"updated": 5, "unchanged": 35}
    assert here.operations() == {
        "token": 3,
        "users.list": 1,
        "photo.batch": 2,
        "photo.bytes": 5,
        "user.batch": 1,
        "profile.batch": 1,
        "folder.read": 1,
        "file.upload": 15,
        "profile.write": 5,
    }


def test_every_outcome_has_its_night(world: Make) -> None:
    """All ten outcomes of the closed set, for one user each; the report tells of all but two."""
    here = world(users=9, settings={"REMOVAL_CONFIRMATIONS": "1", "REVERIFY_DAYS": "1"})
    ids = here.ids()
    updated, unchanged, repaired, removed, pending, none, profile, invalid, failed = ids
    directory = here.tenant.directory
    directory.remove_photo(none)
    here.fire()
    here.night(0.9)

    person = directory.people
    here.tenant.sharepoint.profiles.put(person[repaired], {"SPS-PicturePlaceholderState": "1"})
    directory.set_photo(updated, jpeg())
    directory.remove_photo(removed)
    directory.remove_photo(pending)
    directory.set_photo(profile, jpeg((1, 2, 3)))
    person[profile].has_profile = False
    directory.set_photo(invalid, b"no image")
    directory.set_photo(failed, jpeg((3, 2, 1)))
    here.tenant.faults.add(
        Fault("status", status=423, operation="file.upload", person=failed, times=None)
    )
    # The photo is back when Graph is asked the second time.
    here.tenant.faults.add(
        Fault(
            "call",
            operation="photo.batch",
            nth=1,
            action=lambda: void(directory.set_photo(pending, b"")),
        )
    )
    run = here.night()

    lines = here.lines(run)
    ended = {line["id"]: line["outcome"] for line in lines}
    assert ended == {
        updated: "updated",
        repaired: "repaired",
        removed: "removed",
        pending: "removal_pending",
        profile: "no_profile",
        invalid: "invalid_photo",
        failed: "failed",
    }
    assert {line["userPrincipalName"] for line in lines} == {person[i].upn for i in ended}
    assert outcomes(run) == dict.fromkeys([*ended.values(), "unchanged", "no_photo"], 1)
    assert person[unchanged].photo


def test_lost_state_is_rebuilt_by_reading(world: Make) -> None:
    """Promise 12: what SharePoint already shows is noted, and nothing is written."""
    here = world(users=40, plain=False, shards=2)
    oracle = Oracle(here)
    first = here.fire()
    for name in here.blobs():
        if not name.startswith("runs/"):
            here.app().container.delete_blob(name)

    run = here.night()

    oracle.verify(run)
    assert here.writes() == []
    assert (
        outcomes(run)["unchanged"]
        == outcomes(first)["updated"]
        == len([record for record in here.records().values() if record.photo])
    )
    again = here.night()
    assert again.counts == run.counts
    assert here.operations()["profile.read"] == 0


def test_a_new_version_of_the_same_photo_is_only_noted(world: Make) -> None:
    """Unchanged: one write of the checkpoint, and SharePoint is not asked."""
    here = world(users=20, settled=True)
    someone = here.ids()[7]
    photo = here.tenant.directory.people[someone].photo
    assert photo
    before = here.blobs("state/")
    here.tenant.directory.show(someone, photo.picture)

    run = here.night()

    assert outcomes(run) == {"unchanged": 20}
    assert here.tenant.tape.count(service="sharepoint") == 0
    after = here.blobs("state/")
    assert [name for name in after if after[name] != before[name]] == [f"state/{someone[:2]}.json"]
    here.night()
    assert here.operations()["photo.bytes"] == 0


def test_a_profile_that_comes_later(world: Make) -> None:
    """No profile yet: asked for every night, without reading the photo, until it is there."""
    here = world(users=20)
    oracle = Oracle(here)
    late = here.tenant.directory.people[here.ids()[3]]
    late.has_profile = False
    assert outcomes(here.fire()) == {"updated": 19, "no_profile": 1}
    assert outcomes(here.night()) == {"unchanged": 19, "no_profile": 1}
    assert here.operations()["photo.bytes"] == 0
    late.has_profile = True
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 19, "updated": 1}


def test_a_profile_that_goes(world: Make) -> None:
    """A photo changes and the profile is gone: no_profile, and no claim is left behind."""
    here = world(users=5, settled=True)
    oracle = Oracle(here)
    gone = here.tenant.directory.people[here.ids()[0]]
    here.tenant.directory.set_photo(gone.id, jpeg())
    gone.has_profile = False
    assert outcomes(here.night()) == {"unchanged": 4, "no_profile": 1}
    assert oracle.false_claims() == []
    assert outcomes(here.night()) == {"unchanged": 4, "no_profile": 1}
    assert here.writes() == []
    gone.has_profile = True
    oracle.verify(here.night())


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(no_photo="1x1"),
        Quirks(no_photo_code="ErrorItemNotFound", sized_photo_missing=False),
        Quirks(etag_unstable=True),
        Quirks(digest_required=True),
        Quirks(unknown_profile="error"),
        Quirks(folder_name="Profielafbeeldingen"),
        Quirks(folder_exists=False),
        Quirks(batch_supported=False),
        Quirks(process_query_supported=False),
        Quirks(profile_host="admin"),
        Quirks(second_geo=True),
    ],
    ids=lambda quirks: ",".join(
        name for name in vars(Quirks()) if getattr(quirks, name) != getattr(Quirks(), name)
    ),
)
def test_whatever_microsoft_answers(world: Make, quirks: Quirks) -> None:
    """Promises 1 and 2 hold for every answer that the real services may give."""
    here = world(users=20, plain=False, shards=1, quirks=quirks)
    oracle = Oracle(here)
    oracle.verify(here.fire())
    again = here.night()
    oracle.verify(again)
    assert here.writes() == []


def test_a_library_that_was_never_made(world: Make) -> None:
    """The run stops, writes nothing, and says how the library is made."""
    here = world(users=20, quirks=Quirks(library_exists=False))
    run, message = here.stopped()
    assert "when someone first opens their profile photo" in message
    assert outcomes(run) == {"deferred": 20}
    assert here.writes() == []


def test_nothing_to_do_costs_nothing(world: Make) -> None:
    """Another firing is at work: nothing is asked, and nothing said but that."""
    here = world(users=3)
    first = here.app().checkpoint()
    first.prepare()
    with first.lease() as lease:
        assert lease
        assert nightly.fire(here.app()) is None
    assert here.tenant.tape.count() == 0
