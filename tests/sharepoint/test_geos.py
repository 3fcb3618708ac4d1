"""Tenants in several geos: trouble of one geo's host is the trouble of its users alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.tenant import Quirks
from local.tenant.directory import Person
from shared.errors import (
    ConfigurationError,
    HostUnavailable,
    PermissionMissing,
    RequestRejected,
    TokenUnavailable,
)
from shared.sharepoint import Profile
from tests.support.service_clients import IMAGES, Clients, as_user

Make = Callable[..., Clients]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            Clients(users=20, plain=True, quirks=Quirks(second_geo=True, **options))
        )


def of_geo(here: Clients, geo: str) -> list[Person]:
    return [person for person in here.tenant.directory.people.values() if person.geo == geo]


def written(here: Clients, person: Person) -> bool:
    here.write(person)
    return here.shown(person) == [IMAGES.small, IMAGES.medium, IMAGES.large]


@pytest.mark.parametrize("missing", ["404", "exists-false"])
def test_a_satellite_without_a_library(make: Make, missing: Any) -> None:
    """Its users have an error with the remedy, asked for once; all others are written."""
    here = make(second_geo_library=False, missing_folder=missing)
    for person in of_geo(here, "EUR"):
        profile = here.profile_of(person)
        before = here.count("folder.read")
        with pytest.raises(HostUnavailable, match="first opens their profile photo") as caught:
            here.sharepoint.location(profile, person.id)
        assert caught.value.host == here.tenant.url("mysite2")
    assert here.count("folder.read") == before
    assert all(written(here, person) for person in of_geo(here, "")[:3])


def test_a_satellite_without_a_token(make: Make) -> None:
    """Its users have an error that names the host; all others are read and written."""
    here = make(second_geo_token=False)
    people = list(here.tenant.directory.people.values())
    found = here.sharepoint.profiles([as_user(person) for person in people])
    for person in people:
        profile = found[person.id]
        if person.geo:
            assert isinstance(profile, HostUnavailable)
            assert "gets no token" in str(profile)
            assert "AADSTS500011" in str(profile)
        else:
            assert isinstance(profile, Profile)
    assert all(written(here, person) for person in of_geo(here, "")[:3])


def test_a_central_geo_without_a_token(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the central geo nothing works, so it is no matter of one host."""
    here = make()
    monkeypatch.setattr(here.tenant.tokens, "is_satellite", lambda _: True)
    here.tenant.quirks.second_geo_token = False
    with pytest.raises(TokenUnavailable):
        here.sharepoint.profiles(here.users())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_satellite_that_refuses_profiles(make: Make, status: int) -> None:
    """The refusal of another geo's admin site is about that geo alone."""
    here = make()
    for operation in ("profile.batch", "profile.read"):
        here.fault("status", operation=operation, origin="mysite2", status=status, times=None)
    found = here.sharepoint.profiles(here.users())
    for person in here.tenant.directory.people.values():
        kind = HostUnavailable if person.geo else Profile
        assert isinstance(found[person.id], kind)


def test_a_satellite_that_refuses_files(make: Make) -> None:
    """The refusal of another geo's library is about that geo alone; that of the central is not."""
    here = make()
    person = of_geo(here, "EUR")[0]
    profile = here.profile_of(person)
    here.fault("forbidden", operation="folder.read", times=None)
    with pytest.raises(HostUnavailable, match="refuses to read the library"):
        here.sharepoint.location(profile, person.id)
    central = of_geo(here, "")[0]
    with pytest.raises(PermissionMissing):
        here.sharepoint.location(here.profile_of(central), central.id)


def test_a_central_geo_without_a_library(make: Make) -> None:
    """Nothing can be written for most users, so the run says so at once."""
    here = make(library_exists=False)
    person = of_geo(here, "")[0]
    with pytest.raises(ConfigurationError, match="User Photos"):
        here.sharepoint.location(here.profile_of(person), person.id)


@pytest.mark.parametrize("geos", [("", "EUR"), ("EUR", "")])
def test_a_user_who_moves_to_another_geo(make: Make, geos: tuple[str, str]) -> None:
    """Their picture is written where their profile is now, and shown there."""
    here = make()
    before, after = geos
    person = of_geo(here, before)[0]
    old = here.write(person)
    here.tenant.directory.move(person.id, after)
    assert here.shown(person) == [None, None, None]
    profile = here.profile_of(person)
    new = here.sharepoint.location(profile, person.id)
    assert new.host == here.tenant.url("mysite2" if after else "mysite")
    assert not profile.shows(new)
    assert profile.shows(old)
    assert written(here, person)
    assert here.profile_of(person).shows(new)


def test_a_recorded_location_on_a_foreign_host(make: Make) -> None:
    """No token goes to a host that is not this tenant's, and the setting is named."""
    here = make()
    profile = Profile("https://contosoevil-my.sharepoint.com", "", "")
    with pytest.raises(RequestRejected, match="SHAREPOINT_SATELLITES"):
        here.sharepoint.location(profile, here.users()[0].id)
    assert here.tenant.tape.count() == 0
