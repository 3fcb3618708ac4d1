"""SharePoint's client while SharePoint refuses, fails, throttles, or knows nobody."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import batched
from typing import Any

import pytest

from local.tenant import Quirks, Quotas
from local.tenant.directory import Person
from shared.errors import (
    AccessDenied,
    LeaseLost,
    NotFound,
    PermissionMissing,
    PhotoSyncError,
    ProfileMissing,
    RequestRejected,
    Throttled,
    Unavailable,
)
from shared.model import ThumbnailLocation, User
from shared.sharepoint import Profile
from tests.support.service_clients import IMAGES, Clients, as_user

Make = Callable[..., Clients]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Clients(**options))


@pytest.fixture
def here(make: Make) -> Clients:
    return make()


def profiled(here: Clients) -> list[Person]:
    """Everybody who has a profile."""
    return [person for person in here.tenant.directory.people.values() if person.has_profile]


def write(here: Clients, person: Person, location: ThumbnailLocation) -> None:
    """Upload `IMAGES` for a person and show them."""
    here.upload(location)
    here.sharepoint.show(person.upn, location)


# -- refusals --


def test_roles_that_are_missing_are_named(here: Clients) -> None:
    """Reading profiles and the library name their roles; writing is refused."""
    person = here.person("ordinary")
    place = here.place_of(person)
    here.tenant.roles["sharepoint"].clear()
    here.tenant.roles["sharepoint"].add("Sites.FullControl.All")
    here.renew()
    found = here.sharepoint.profiles([as_user(person)])[person.id]
    assert isinstance(found, AccessDenied)
    with pytest.raises(AccessDenied):
        here.sharepoint.show(person.upn, place)
    here.tenant.roles["sharepoint"].clear()
    here.tenant.roles["sharepoint"].add("User.ReadWrite.All")
    here.renew()
    here.folders.forget(here.mysite)
    with pytest.raises(PermissionMissing, match=r"Sites\.FullControl\.All"):
        here.sharepoint.folder(here.mysite)
    with pytest.raises(AccessDenied):
        here.upload(place)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_batches_that_are_refused(here: Clients, status: int) -> None:
    """Where SharePoint refuses $batch, everybody is read alone, and $batch is not asked again."""
    here.fault("status", operation="profile.batch", status=status, times=None)
    users = [as_user(person) for person in profiled(here)[:20]]
    for _ in range(2):
        found = here.sharepoint.profiles(users)
        assert all(isinstance(profile, Profile) for profile in found.values())
    assert (here.count("profile.batch"), here.count("profile.read")) == (1 + (status == 401), 40)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_batches_that_always_fail(here: Clients, status: int) -> None:
    """Where $batch always fails, everybody is read alone for the rest of the invocation."""
    here.fault("status", operation="profile.batch", status=status, body="html", times=None)
    users = [as_user(person) for person in profiled(here)[:20]]
    here.sharepoint.profiles(users)
    tried = here.count("profile.batch")
    found = here.sharepoint.profiles(users)
    assert all(isinstance(profile, Profile) for profile in found.values())
    assert (here.count("profile.batch"), here.count("profile.read")) == (tried, 40)
    assert tried <= 6


@pytest.mark.parametrize("status", [400, 500, 503])
@pytest.mark.parametrize("position", [0, 7, 19])
def test_a_user_who_spoils_every_batch(here: Clients, status: int, position: int) -> None:
    """They are read alone, everybody else in batches, and batches stay in use."""
    people = profiled(here)[:20]
    poison = people[position].id
    here.fault("status", operation="profile.batch", status=status, person=poison, times=None)
    found = here.sharepoint.profiles([as_user(person) for person in people])
    assert all(isinstance(profile, Profile) for profile in found.values())
    assert here.count("profile.batch") + here.count("profile.read") < 16
    here.tenant.tape.clear()
    here.sharepoint.profiles([as_user(person) for person in profiled(here)[20:40]])
    assert here.tenant.tape.count() == 1


def test_a_refused_identity(here: Clients) -> None:
    """Everybody is refused: each user has the error, after few requests."""
    for operation in ("profile.batch", "profile.read"):
        here.fault("forbidden", operation=operation, times=None)
    found = here.sharepoint.profiles(here.users()[:20])
    assert len(found) == 20
    assert all(isinstance(profile, AccessDenied) for profile in found.values())
    assert here.tenant.tape.count() <= 8


def test_a_profile_on_a_foreign_host(here: Clients) -> None:
    """A host that is not this tenant's gets neither token nor file."""
    profile = Profile("https://evil-my.sharepoint.com", "", "")
    with pytest.raises(RequestRejected, match="not a My Site host"):
        here.sharepoint.host_of(profile)
    with pytest.raises(ValueError):
        here.upload(ThumbnailLocation(profile.host, "Profile Pictures", "x"))
    assert here.sharepoint.host_of(Profile("", "", "")) == here.mysite
    assert not here.sharepoint.accepts(ThumbnailLocation(profile.host, "x", "y"))


def test_the_guard_stops_every_write(here: Clients) -> None:
    """With the lease lost nothing is written any more; reading goes on."""
    person = here.person("ordinary")
    place = here.place_of(person)

    def lost() -> None:
        raise LeaseLost("taken over")

    object.__setattr__(here.budget, "guard", lost)
    writes: list[Callable[[], object]] = [
        lambda: here.upload(place),
        lambda: here.sharepoint.show(person.upn, place),
        lambda: here.sharepoint.hide(person.upn, place),
        lambda: here.sharepoint.recycle(place),
    ]
    for write_ in writes:
        with pytest.raises(LeaseLost):
            write_()
    assert here.profile_of(person)
    assert not here.tenant.tape.writes()


# -- faults --

UNKNOWN = User("00000000-aaaa-4bbb-8ccc-00000000dead", "nobody@contoso.com")


@pytest.mark.parametrize("quirk", ["odata.null", "error"])
@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("queries", [True, False])
def test_no_profile(make: Make, quirk: Any, batches: bool, queries: bool) -> None:
    """By a null object or an error, in a batch or alone, read or written: no profile."""
    here = make(
        users=2,
        plain=True,
        quirks=Quirks(
            unknown_profile=quirk, batch_supported=batches, process_query_supported=queries
        ),
    )
    found = here.sharepoint.profiles([*here.users(), UNKNOWN])
    assert isinstance(found.pop(UNKNOWN.id), ProfileMissing)
    assert all(isinstance(profile, Profile) for profile in found.values())
    place = ThumbnailLocation(here.mysite, "Profile Pictures", UNKNOWN.id)
    with pytest.raises(ProfileMissing):
        here.sharepoint.show(UNKNOWN.upn, place)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("-2147024891", "Access denied.", AccessDenied),
        ("-1", "User Profile Error 1000: User Not Found: Could not load", ProfileMissing),
        ("-2130575306", "The file is checked out.", RequestRejected),
    ],
)
def test_200_with_error_info(
    here: Clients, code: str, message: str, error: type[PhotoSyncError]
) -> None:
    """A query that failed with HTTP 200 has failed; its endpoint works, so it stays in use."""
    person = here.person("ordinary")
    place = here.place_of(person)
    here.fault("error_info", operation="profile.write", code=code, message=message)
    with pytest.raises(error):
        here.sharepoint.show(person.upn, place)
    assert here.count("profile.write") == 1
    here.sharepoint.show(person.upn, place)
    assert here.count("profile.write") == 2


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (423, "-2130575306, Microsoft.SharePoint.SPFileCheckOutException", RequestRejected),
        (423, "-2147018894, Microsoft.SharePoint.SPFileLockException", RequestRejected),
        (404, "-2147024894, System.IO.FileNotFoundException", NotFound),
        (403, "-2147024891, System.UnauthorizedAccessException", AccessDenied),
        (507, "-1, Microsoft.SharePoint.SPException", RequestRejected),
    ],
)
def test_files_that_cannot_be_written(
    here: Clients, status: int, code: str, error: type[PhotoSyncError]
) -> None:
    """One request, and an error that carries SharePoint's code."""
    place = here.place_of(here.person("ordinary"))
    here.fault("status", operation="file.upload", status=status, code=code, times=None)
    with pytest.raises(error, match=code.partition(",")[0]):
        here.upload(place)
    assert here.count("file.upload") == 1


KINDS: dict[str, dict[str, Any]] = {
    "429": {"kind": "status", "status": 429, "retry_after": 20},
    "429, date": {"kind": "status", "status": 429, "retry_after": 20, "retry_after_date": True},
    "429 without Retry-After": {"kind": "status", "status": 429},
    "503 busy": {"kind": "status", "status": 503, "retry_after": 20},
    "500": {"kind": "status", "status": 500, "body": "html"},
    "502": {"kind": "status", "status": 502, "body": "empty"},
    "time-out before": {"kind": "timeout_before"},
    "time-out after": {"kind": "timeout_after"},
    "reset": {"kind": "reset"},
    "truncated": {"kind": "truncate"},
    "401": {"kind": "token_rejected"},
}


@pytest.mark.parametrize("operation", ["folder.read", "profile.read", "file.upload"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_faults_that_pass(here: Clients, operation: str, kind: dict[str, Any]) -> None:
    """Every call gets over every passing fault, and the picture is right."""
    fault = here.fault(**kind, operation=operation)
    person = here.person("hash")
    here.write(person)
    assert fault.fired == 1
    assert here.shown(person) == [IMAGES.small, IMAGES.medium, IMAGES.large]


@pytest.mark.parametrize("kind", [*KINDS.values(), {"kind": "truncate_clean"}], ids=str)
@pytest.mark.parametrize("queries", [True, False])
def test_writes_that_are_repeated(make: Make, kind: dict[str, Any], queries: bool) -> None:
    """Repeating a write of properties changes nothing."""
    here = make(users=1, plain=True, quirks=Quirks(process_query_supported=queries))
    fault = here.fault(**kind, operation="profile.write", nth=0 if queries else 2)
    person = here.person("ordinary")
    here.write(person)
    assert fault.fired == 1
    assert here.shown(person) == [IMAGES.small, IMAGES.medium, IMAGES.large]


@pytest.mark.parametrize("operation", ["profile.read", "file.upload", "profile.write"])
def test_faults_that_last(here: Clients, operation: str) -> None:
    """A service that stays down is an error with its status."""
    person = here.person("ordinary")
    location = here.place_of(person)
    here.fault("status", operation=operation, status=503, body="html", times=None)
    if operation == "profile.read":
        error: object = here.sharepoint.profiles([as_user(person)])[person.id]
    else:
        with pytest.raises(Unavailable) as caught:
            write(here, person, location)
        error = caught.value
    assert isinstance(error, Unavailable)
    assert error.evidence.status == 503


# -- quotas --


def test_the_real_quotas_are_lived_with(make: Make) -> None:
    """In the smallest tenant everybody is read and written, slowly, without an error."""
    quotas = Quotas(sharepoint_units_per_minute=60, people_manager_per_5min=150)
    here = make(users=60, plain=True, quotas=quotas, seconds=1e6)
    for some in batched(here.tenant.directory.people.values(), 20, strict=False):
        found = here.sharepoint.profiles([as_user(person) for person in some])
        assert all(isinstance(profile, Profile) for profile in found.values()), found
        for person in some:
            here.write(person)
            assert here.shown(person)[1] == IMAGES.medium
    throttled = [entry for entry in here.tenant.tape.entries() if entry.throttled]
    assert len(throttled) < 60


def test_a_quota_of_the_day_ends_in_throttled(make: Make) -> None:
    """A wait that outlasts the budget is told, not waited for."""
    here = make(users=3, plain=True, quotas=Quotas(sharepoint_units_per_day=16), seconds=600)
    people = list(here.tenant.directory.people.values())
    here.write(people[0])
    with pytest.raises(Throttled) as caught:
        here.write(people[1])
    assert caught.value.retry_after > 600


def test_everything_is_counted(here: Clients) -> None:
    """The meter agrees with the tape."""
    here.write(here.person("ordinary"))
    assert here.budget.meter.requests["sharepoint"] == here.tenant.tape.count(service="sharepoint")
