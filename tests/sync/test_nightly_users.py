"""People come, go, are renamed, share names, live elsewhere: everybody keeps his own picture."""

from collections.abc import Callable
from dataclasses import replace

from local.tenant import Quirks
from shared.checkpoint import Photo
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
    here = world(users=10, shards=1)
    oracle = Oracle(here)
    here.fire()
    someone = here.ids()[4]
    before = photo_of(here, someone)
    here.tenant.directory.rename(someone, "new.name@contoso.com")

    assert outcomes(here.night()) == {"unchanged": 10}
    assert here.writes() == []
    here.tenant.directory.set_photo(someone, jpeg())
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 9, "updated": 1}
    assert photo_of(here, someone).place == before.place


def test_a_name_passed_on(world: Make) -> None:
    """A successor with the user principal name of somebody renamed does not get his files."""
    here = world(users=10, plain=False, shards=1)
    directory = here.tenant.directory
    oracle = Oracle(here)
    here.fire()
    former = next(p for p in oracle.people() if p.existing == "upn-prefix" and p.photo)
    name, files = former.upn, photo_of(here, former.id).place
    directory.rename(former.id, "former@contoso.com")
    successor = replace(former, id=here.ids()[0][:-4] + "ffff", upn=name, existing="none")
    directory.add(successor)
    directory.set_photo(successor.id, jpeg((9, 9, 9)))

    run = here.night()

    oracle.verify(run)
    assert outcomes(run)["updated"] == 1
    assert photo_of(here, former.id).place == files
    assert photo_of(here, successor.id).place.prefix == successor.id


def test_a_user_deleted(world: Make) -> None:
    """Whoever is not listed is left alone: his files stay, his record stays, nobody counts him."""
    here = world(users=10, shards=1)
    oracle = Oracle(here)
    here.fire()
    files = here.tenant.sharepoint.files()
    here.tenant.directory.remove(here.ids()[2])
    for _ in range(4):
        run = here.night()
        oracle.verify(run)
        assert outcomes(run) == {"unchanged": 9}
    assert here.tenant.sharepoint.files() == files
    assert len(here.records()) == 10


def test_prefixes_in_use_are_kept(world: Make) -> None:
    """Files that SharePoint made are written over, whichever of its two spellings they have."""
    here = world(users=60, plain=False, shards=1)
    oracle = Oracle(here)
    oracle.verify(here.fire())
    people = [p for p in oracle.people() if p.photo and p.id in here.records()]
    by_name = [p for p in people if p.existing == "upn-prefix" and "_" not in p.upn]
    by_id = [p for p in people if p.existing == "id-prefix" and p.kind != "HTML for an image"]
    assert by_name
    assert by_id
    for person in by_name:
        spelled = person.upn.lower().replace("@", "_").replace(".", "_")
        assert photo_of(here, person.id).place.prefix == spelled
    for person in by_id:
        assert photo_of(here, person.id).place.prefix == person.id


def test_names_that_are_spelled_the_same(world: Make) -> None:
    """kim.lee and kim_lee: the underscore is ambiguous, so its owner gets files by his id."""
    here = world(users=60, plain=False, shards=1)
    oracle = Oracle(here)
    people = {p.kind: p for p in oracle.people()}
    dotted, underscored = people["looks like a.b"], people["looks like a_b"]
    # Both profiles name the same file, as SharePoint's own spelling makes them.
    profiles = here.tenant.sharepoint.profiles
    shared_url = profiles.properties(dotted)["PictureURL"]
    profiles.put(underscored, {"PictureURL": shared_url, "SPS-PicturePlaceholderState": "0"})

    oracle.verify(here.fire())

    assert photo_of(here, dotted.id).place.prefix == "kim_lee_contoso_com"
    assert photo_of(here, underscored.id).place.prefix == underscored.id


def test_a_second_geo(world: Make) -> None:
    """Files and profile go to the hosts of the user's own geo, and are removed there."""
    settings = {"REMOVAL_CONFIRMATIONS": "1"}
    here = world(users=20, shards=1, quirks=Quirks(second_geo=True), settings=settings)
    oracle = Oracle(here)
    oracle.verify(here.fire())
    abroad = [p.id for p in oracle.people() if p.geo]
    assert len(abroad) == 2
    for user_id in abroad:
        assert photo_of(here, user_id).place.host == here.tenant.url("mysite2")
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
