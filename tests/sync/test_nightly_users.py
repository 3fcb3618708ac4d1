"""People come, go, are renamed, share names, live elsewhere: everybody keeps their own picture."""

from collections.abc import Callable
from dataclasses import replace

from local.tenant import Quirks
from shared.checkpoint import Photo
from shared.checkpoint.records import dump_shard
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]


def photo_of(here: World, user_id: str) -> Photo:
    """What the record says of a user's photo."""
    photo = here.records()[user_id].photo
    assert photo
    return photo


def test_a_user_renamed_between_runs(world: Make) -> None:
    """The record follows the object id: nothing is written; a new photo goes to the same files."""
    here = world(users=10, shards=1, settled=True)
    oracle = Oracle(here)
    someone = here.ids()[4]
    before = photo_of(here, someone)
    here.tenant.directory.rename(someone, "new.name@contoso.com")

    assert outcomes(here.night()) == {"unchanged": 10}
    assert here.writes() == []
    here.tenant.directory.set_photo(someone, jpeg())
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 9, "updated": 1}
    assert photo_of(here, someone).location == before.location


def test_a_name_passed_on(world: Make) -> None:
    """A successor with the user principal name of somebody renamed does not get their files."""
    here = world(users=10, plain=False, shards=1)
    directory = here.tenant.directory
    oracle = Oracle(here)
    here.fire()
    former = next(p for p in oracle.people() if p.existing == "upn-prefix" and p.photo)
    name, files = former.upn, photo_of(here, former.id).location
    directory.rename(former.id, "former@contoso.com")
    successor = replace(former, id=here.ids()[0][:-4] + "ffff", upn=name, existing="none")
    directory.add(successor)
    directory.set_photo(successor.id, jpeg((9, 9, 9)))

    run = here.night()

    oracle.verify(run)
    assert outcomes(run)["updated"] == 1
    assert photo_of(here, former.id).location == files
    assert photo_of(here, successor.id).location.prefix == successor.id


def test_a_user_out_of_scope_is_left_alone(world: Make) -> None:
    """Who is not listed any more but exists keeps files and record, and counts nowhere."""
    here = world(users=10, shards=1, settled=True)
    oracle = Oracle(here)
    files = here.tenant.sharepoint.files()
    here.tenant.directory.people[here.ids()[2]].account_enabled = False
    here.tenant.directory.version += 1
    for _ in range(9):
        run = here.night(5)
        assert outcomes(run) == {"unchanged": 9}
    assert oracle.wrong() == {}
    assert here.tenant.sharepoint.files() == files
    assert len(here.records()) == 10


def test_files_are_named_by_the_object_id(world: Make) -> None:
    """Whatever a profile shows today; the files of somebody else's program stay as they are."""
    here = world(users=60, plain=False, shards=1)
    before = here.tenant.sharepoint.files()
    oracle = Oracle(here)
    oracle.verify(here.fire())
    written = [user_id for user_id, record in here.records().items() if record.photo]
    assert all(photo_of(here, user_id).location.prefix == user_id for user_id in written)
    after = here.tenant.sharepoint.files()
    named_after_people = {name for name in before if "_contoso_com" in name}
    assert named_after_people
    assert named_after_people <= set(after)


def test_names_that_are_spelled_the_same(world: Make) -> None:
    """A1: a.b@c.d and a@b.c.d are spelled alike in file names; both get files of their own."""
    here = world(users=10, shards=1)
    one, other = here.ids()[3:5]
    directory = here.tenant.directory
    directory.rename(one, "anna.sales@contoso.com")
    directory.rename(other, "anna@sales.contoso.com")
    directory.set_photo(one, jpeg((200, 0, 0)))
    directory.set_photo(other, jpeg((0, 0, 200)))
    # Both profiles name the same file, as SharePoint's own spelling makes them.
    url = f"{here.tenant.url('mysite')}/User%20Photos/Profile%20Pictures/"
    for user_id in (one, other):
        here.tenant.sharepoint.profiles.put(
            directory.people[user_id],
            {
                "PictureURL": url + "anna_sales_contoso_com_MThumb.jpg",
                "SPS-PicturePlaceholderState": "0",
            },
        )
    oracle = Oracle(here)

    oracle.verify(here.fire())
    oracle.verify(here.night(31))

    assert photo_of(here, one).location != photo_of(here, other).location


def test_the_first_night_after_version_1(world: Make) -> None:
    """Files that version 1 named after a person are written once under the object id."""
    here = world(users=10, shards=1, settled=True)
    oracle = Oracle(here)
    records = here.records()
    for user_id in here.ids()[:3]:
        kept = records[user_id]
        assert kept.photo
        name = kept.upn.lower().replace("@", "_").replace(".", "_")
        location = replace(kept.photo.location, prefix=name)
        records[user_id] = replace(kept, photo=replace(kept.photo, location=location), verify_on="")
    here.app().container.upload_blob("state/00.json", dump_shard(records), overwrite=True)

    run = here.night()

    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 7, "repaired": 3}
    assert here.operations()["file.upload"] == 9
    assert outcomes(here.night()) == {"unchanged": 10}
    assert here.writes() == []


def test_a_my_site_that_moves_to_another_geo(world: Make) -> None:
    """A8: written where the profile now says, once; our files at the old place go."""
    here = world(users=20, shards=1, quirks=Quirks(second_geo=True), settled=True)
    oracle = Oracle(here)
    mover = next(p for p in oracle.people() if not p.geo)
    here.tenant.directory.move(mover.id, "eur")
    here.tenant.sharepoint.profiles.move(mover)
    run = here.night(31)
    assert outcomes(run) == {"unchanged": 19, "repaired": 1}
    assert photo_of(here, mover.id).location.host == here.tenant.url("mysite2")
    oracle.verify(run)
    assert not [name for name in here.tenant.sharepoint.files() if mover.id in name]
    assert outcomes(here.night(31)) == {"unchanged": 20}
    assert here.writes() == []


def test_a_second_geo(world: Make) -> None:
    """Files and profile go to the hosts of the user's own geo, and are removed there."""
    settings = {"REMOVAL_CONFIRMATIONS": "1"}
    here = world(
        users=20, shards=1, quirks=Quirks(second_geo=True), settings=settings, settled=True
    )
    oracle = Oracle(here)
    abroad = [p.id for p in oracle.people() if p.geo]
    assert len(abroad) == 2
    for user_id in abroad:
        assert photo_of(here, user_id).location.host == here.tenant.url("mysite2")
    assert len(here.tenant.sharepoint.files("mysite2")) == 6

    here.tenant.directory.remove_photo(abroad[0])
    here.tenant.directory.set_photo(abroad[1], jpeg())
    run = here.night()

    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 18, "removed": 1, "updated": 1}
    assert len(here.tenant.sharepoint.files("mysite2")) == 3
    assert all(entry.origin in {"mysite2", "admin2"} for entry in here.writes())


def test_everything_changes_every_night(world: Make) -> None:
    """Promises 2 and 4: after each of several eventful nights all is as the directory has it."""
    settings = {"REMOVAL_CONFIRMATIONS": "1", "REVERIFY_DAYS": "2"}
    here = world(users=60, plain=False, shards=2, settings=settings)
    directory = here.tenant.directory
    oracle = Oracle(here)
    oracle.verify(here.fire())
    for night in range(4):
        people = oracle.people()
        here.tenant.population.change(4, seed=night)
        for person in people[night::17]:
            directory.remove_photo(person.id)
        for person in people[night + 5 :: 19]:
            directory.set_photo(person.id, jpeg((night, 20, 30)))
        directory.remove(people[night + 7].id)
        directory.rename(people[night + 9].id, f"renamed{night}@contoso.com")
        people[night + 11].account_enabled = False
        oracle.verify(here.night())
