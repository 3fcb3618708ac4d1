"""SharePoint's client against the emulated tenant and everything it may be."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import batched
from typing import Any

import pytest

from local.tenant import Quirks
from local.tenant.directory import Person
from shared.errors import AccessDenied, ConfigurationError, ProfileMissing
from shared.model import ThumbnailLocation
from shared.photos import Thumbnails
from shared.sharepoint import Profile, ReadOnlySharePoint
from tests.support.sampling import sample
from tests.support.service_clients import IMAGES, Clients, as_user

Make = Callable[..., Clients]
NAMES = ["apostrophe", "hash", "ampersand", "plus", "percent", "letters", "licensed guest"]
NAMES += ["upper case", "long name"]
QUIRKS: dict[str, dict[str, Any]] = {
    "as seen last": {},
    "digest demanded": {"digest_required": True},
    "no batches": {"batch_supported": False},
    "no ProcessQuery": {"process_query_supported": False},
    "no profile is an error": {"unknown_profile": "error"},
    "localised folder": {"folder_name": "Profielafbeeldingen"},
    "folder missing": {"folder_exists": False},
    "admin site only": {"profile_host": "admin"},
    "sites role on the admin site": {"profile_needs_site_role": True},
    "second geo": {"second_geo": True},
    "all at once": {
        "digest_required": True,
        "batch_supported": False,
        "process_query_supported": False,
        "unknown_profile": "error",
        "folder_name": "プロフィール画像 & 'co' #1",
        "second_geo": True,
    },
}


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Clients(**options))


@pytest.fixture
def here(make: Make) -> Clients:
    return make()


def _odd(person: Person) -> bool:
    return bool(person.geo or person.existing != "none" or person.kind in NAMES) or (
        not person.has_profile
    )


@pytest.mark.parametrize("name", QUIRKS)
def test_the_whole_way_for_everybody(make: Make, name: str) -> None:
    """Read, written, shown, taken away, twice like once, whatever person and tenant are like."""
    here = make(quirks=Quirks(**QUIRKS[name]))
    odd = [p for p in here.tenant.directory.people.values() if _odd(p)]
    people = sample(odd, 2, list(QUIRKS).index(name))
    for some in batched(people, 20, strict=False):
        found = here.sharepoint.profiles([as_user(person) for person in some])
        for person in some:
            profile = found[person.id]
            assert isinstance(profile, Profile if person.has_profile else ProfileMissing), profile
    for person in (p for p in people if p.has_profile):
        place = here.write(person)
        assert here.shown(person) == [IMAGES.small, IMAGES.medium, IMAGES.large]
        assert here.write(person) == place
        assert here.profile_of(person).shows(place)
        assert here.sharepoint.has_content(place, IMAGES)
        assert here.sharepoint.thumbnail(place, "M") == IMAGES.medium
        here.sharepoint.hide(person.upn, place)
        here.sharepoint.recycle(place)
        here.sharepoint.recycle(place)
        assert here.shown(person) == [None, None, None]
        assert not here.profile_of(person).shows(place)
        assert not here.sharepoint.has_content(place, IMAGES)
        assert here.sharepoint.thumbnail(place, "M") is None


def test_nobody_overwrites_another(here: Clients) -> None:
    """Everybody written once: everybody has files of their own."""
    people = [p for p in here.tenant.directory.people.values() if p.has_profile]
    for person in people:
        place = here.place_of(person)
        own = person.id.encode()
        here.upload(place, Thumbnails(own + b"S", own + b"M", own + b"L"))
        here.sharepoint.show(person.upn, place)
    for person in people:
        assert here.shown(person) == [person.id.encode() + size for size in (b"S", b"M", b"L")]


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("batches", [True, False])
def test_any_name(make: Make, kind: str, batches: bool) -> None:
    """Names with any letters are read, written and shown, alone and in batches."""
    here = make(quirks=Quirks(batch_supported=batches))
    person = here.person(kind)
    place = here.write(person)
    assert here.shown(person)[1] == IMAGES.medium
    assert here.profile_of(person).shows(place)


@pytest.mark.parametrize("prefix", ["o'brien", "a#b%25c", "x&y+z", "łukasz", "100%"])
def test_any_file_name(here: Clients, prefix: str) -> None:
    """Names of files and folders with any letters stay names."""
    place = ThumbnailLocation(here.mysite, "Profile Pictures", prefix)
    here.upload(place)
    files = here.tenant.sharepoint.files("mysite")
    assert files[place.path("L")] == IMAGES.large
    assert here.sharepoint.thumbnail(place, "L") == IMAGES.large
    here.sharepoint.recycle(place)
    assert place.path("L") not in here.tenant.sharepoint.files("mysite")


# -- requests --


def test_what_a_changed_user_costs(here: Clients) -> None:
    """Three uploads, M last, and one query; profiles of twenty in one request."""
    people = [p for p in here.tenant.directory.people.values() if p.has_profile][:20]
    here.sharepoint.profiles([as_user(person) for person in people])
    place = here.place_of(people[0])
    here.tenant.tape.clear()
    here.upload(place)
    here.sharepoint.show(people[0].upn, place)
    entries = here.tenant.tape.entries()
    assert [entry.operation for entry in entries] == ["file.upload"] * 3 + ["profile.write"]
    assert "_MThumb.jpg" in entries[2].target
    here.tenant.tape.clear()
    here.sharepoint.profiles([as_user(person) for person in people])
    assert here.tenant.tape.count() == 1


def test_batches_that_are_not_supported_are_tried_once(make: Make) -> None:
    """After the first refusal profiles are read one by one."""
    here = make(users=20, plain=True, quirks=Quirks(batch_supported=False))
    for _ in range(2):
        found = here.sharepoint.profiles(here.users())
        assert all(isinstance(profile, Profile) for profile in found.values())
    assert (here.count("profile.batch"), here.count("profile.read")) == (1, 40)


def test_queries_that_are_not_supported_are_tried_once(make: Make) -> None:
    """After the first refusal properties are written one by one."""
    here = make(users=2, plain=True, quirks=Quirks(process_query_supported=False))
    for person in list(here.tenant.directory.people.values()):
        here.write(person)
        assert here.shown(person)[1] == IMAGES.medium
    assert here.count("profile.write") == 1 + 3 + 3


@pytest.mark.parametrize("code", [-2130575251, -2130575252])
def test_a_digest_is_fetched_once_and_again_when_it_expires(make: Make, code: Any) -> None:
    """One digest for each host; a new one after half an hour."""
    here = make(users=3, plain=True, quirks=Quirks(digest_required=True, digest_expired_code=code))
    people = list(here.tenant.directory.people.values())
    here.write(people[0])
    here.write(people[1])
    assert here.count("digest") == 2  # My Site and admin site
    here.clock.advance(1800)
    here.write(people[2])
    assert here.count("digest") == 4
    assert here.shown(people[2])[1] == IMAGES.medium


def test_a_digest_that_is_never_right(here: Clients) -> None:
    """Asked for one again and again: refused, after one more attempt."""
    person = here.person("ordinary")
    place = here.place_of(person)
    code = "-2130575251, Microsoft.SharePoint.SPException"
    here.fault("status", operation="file.upload", status=403, code=code, times=None)
    with pytest.raises(AccessDenied):
        here.upload(place)
    assert (here.count("file.upload"), here.count("digest")) == (2, 1)


def test_a_query_that_asks_for_a_digest_with_200(here: Clients) -> None:
    """ErrorInfo may say it too."""
    person = here.person("ordinary")
    here.fault("error_info", operation="profile.write", code="-2130575251")
    here.write(person)
    assert here.shown(person)[1] == IMAGES.medium
    assert (here.count("digest"), here.count("profile.write")) == (1, 2)


# -- library and folder --


@pytest.mark.parametrize("missing", ["404", "exists-false"])
def test_a_missing_library_is_told(make: Make, missing: Any) -> None:
    """What is missing, where, and how it comes to be; nothing is made."""
    here = make(quirks=Quirks(library_exists=False, missing_folder=missing))
    with pytest.raises(ConfigurationError, match="User Photos"):
        here.sharepoint.folder(here.mysite)
    assert not here.tenant.tape.writes()


@pytest.mark.parametrize("missing", ["404", "exists-false"])
def test_a_missing_folder_is_made(make: Make, missing: Any) -> None:
    """In English, once."""
    here = make(quirks=Quirks(folder_exists=False, missing_folder=missing), plain=True)
    assert [here.sharepoint.folder(here.mysite) for _ in range(2)] == ["Profile Pictures"] * 2
    assert here.count("folder.create") == 1
    assert (
        here.sharepoint.thumbnail(ThumbnailLocation(here.mysite, "Profile Pictures", "x"), "M")
        is None
    )
    here.write(here.person("ordinary"))


def test_a_dry_run_changes_nothing(make: Make) -> None:
    """Every effect of the read-only client is none."""
    here = make(quirks=Quirks(folder_exists=False), users=3, plain=True)
    mysite, admin = here.mysite, here.tenant.url("admin")
    dry = ReadOnlySharePoint(
        here.sharepoint_service, mysite=mysite, admin=admin, budget=here.budget
    )
    person = here.person("ordinary")
    place = ThumbnailLocation(mysite, dry.folder(mysite), person.id)
    dry.profiles([as_user(person)])
    dry.upload(place, "M", IMAGES.medium)
    dry.show(person.upn, place)
    dry.hide(person.upn, place)
    dry.recycle(place)
    assert not here.tenant.tape.writes()


def test_the_fullest_folder_is_the_one(here: Clients) -> None:
    """Of several localised folders the one with the pictures."""
    library = here.tenant.sharepoint.library["mysite"]
    library.create_folder("/User Photos/Aaa")
    library.create_folder("/User Photos/Zzz")
    assert here.sharepoint.folder(here.mysite) == "Profile Pictures"
