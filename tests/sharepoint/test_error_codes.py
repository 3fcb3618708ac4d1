"""SharePoint's error codes: the number and the type decide, not the text."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import batched
from typing import Any

import pytest

from local.tenant import Quirks
from shared.errors import (
    AccessDenied,
    Evidence,
    HostUnavailable,
    ProfileMissing,
    PropertyNotEditable,
    RequestRejected,
)
from shared.model import ThumbnailLocation
from shared.sharepoint import Profile
from shared.sharepoint.error_codes import is_missing_profile, lasting_error
from tests.support.service_clients import IMAGES, Clients, as_user

Make = Callable[..., Clients]
PROFILES = "Microsoft.Office.Server.UserProfiles"
LANGUAGES = ["en-US", "de-DE", "ja-JP"]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Clients(**options))


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        (f"-1, {PROFILES}.UserNotFoundException", "Der Benutzer wurde nicht gefunden.", True),
        (f"-1, {PROFILES}.UserNotFoundException", "", True),
        (f"-1,{PROFILES}.UserNotFoundException", "", True),
        ("-1, Microsoft.SharePoint.Client.ServerException", "User Not Found: Could not", True),
        ("-1", "User Profile Error 1000: User Not Found", True),
        ("", "User Profile Error 1000: User Not Found", True),
        ("-2147024891, System.UnauthorizedAccessException", "User Not Found", False),
        (f"-2147024891, {PROFILES}.UserNotFoundException", "", False),
        (f"-1, {PROFILES}.UserProfileApplicationNotAvailableException", "User Not Found", False),
        (f"-1, {PROFILES}.PropertyNotEditableException", "User Not Found", False),
        ("-1, System.TimeoutException", "User Not Found", False),
        ("-1, Microsoft.SharePoint.SPException", "File Not Found.", False),
        ("", "", False),
    ],
)
def test_which_errors_mean_no_profile(code: str, message: str, missing: bool) -> None:
    """The type decides in any language; the text only where the type says nothing."""
    evidence = Evidence("sharepoint", "GET", "", 500, code, message)
    assert is_missing_profile(evidence) is missing


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (f"-1, {PROFILES}.PropertyNotEditableException", "nicht bearbeitbar", PropertyNotEditable),
        ("-2147024891, System.UnauthorizedAccessException", "Zugriff verweigert", AccessDenied),
        ("-1, Microsoft.SharePoint.Client.ServerUnauthorizedAccessException", "", AccessDenied),
        ("-2147024891", "", AccessDenied),
        ("-2130575306, Microsoft.SharePoint.SPFileCheckOutException", "", None),
        ("-1, Microsoft.SharePoint.SPException", "", None),
        ("", "", None),
    ],
)
def test_errors_that_asking_again_cannot_change(
    code: str, message: str, kind: type[Exception] | None
) -> None:
    """They are told by their code; nothing else is."""
    found = lasting_error(Evidence("sharepoint", "POST", "", 500, code, message))
    assert found is None if kind is None else isinstance(found, kind)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("batches", [True, False])
def test_many_users_without_a_profile(make: Make, language: str, batches: bool) -> None:
    """45 of 60 without a profile: each is asked once, and nobody waits."""
    here = make(
        users=60,
        plain=True,
        quirks=Quirks(unknown_profile="error", language=language, batch_supported=batches),
    )
    people = list(here.tenant.directory.people.values())
    for person in people[:45]:
        person.has_profile = False
    began = here.clock.monotonic()
    found: dict[str, Any] = {}
    for some in batched(people, 20, strict=True):
        found |= here.sharepoint.profiles([as_user(person) for person in some])
    kinds = [type(found[person.id]) for person in people]
    assert kinds == [ProfileMissing] * 45 + [Profile] * 15
    assert here.tenant.tape.count() == (3 if batches else 61)
    assert here.clock.monotonic() == began


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("queries", [True, False])
def test_a_write_without_a_profile(make: Make, language: str, queries: bool) -> None:
    """A missing profile is told from a failure when it is written to, too."""
    quirks = Quirks(language=language, process_query_supported=queries)
    here = make(users=2, plain=True, quirks=quirks)
    location = ThumbnailLocation(here.mysite, "Profile Pictures", "x")
    with pytest.raises(ProfileMissing):
        here.sharepoint.show("nobody@contoso.com", location)
    assert here.count("profile.write") == (1 if queries else 2)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("queries", [True, False])
def test_a_picture_that_may_not_be_edited(make: Make, language: str, queries: bool) -> None:
    """The message names the property and where it is set, and the role; it is not asked again."""
    quirks = Quirks(picture_editable=False, language=language, process_query_supported=queries)
    here = make(users=2, plain=True, quirks=quirks)
    person = here.person("ordinary")
    location = here.place_of(person)
    with pytest.raises(PropertyNotEditable, match=r"property Picture.*User\.ReadWrite\.All"):
        here.sharepoint.show(person.upn, location)
    assert here.count("profile.write") == (1 if queries else 2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_library_over_the_list_view_threshold(make: Make, language: str) -> None:
    """The known folder is asked for by its path; files are written as usual."""
    here = make(users=2, plain=True, quirks=Quirks(folders_over_threshold=True, language=language))
    person = here.person("ordinary")
    here.write(person)
    assert here.shown(person) == [IMAGES.small, IMAGES.medium, IMAGES.large]
    assert here.count("folder.read") == 2


def test_a_localized_folder_over_the_threshold(make: Make) -> None:
    """The folder that a user's picture is in serves everybody; without one the cause is named."""
    here = make(quirks=Quirks(folders_over_threshold=True, folder_name="Profielafbeeldingen"))
    blank, shown = here.person("nothing there yet"), here.person("natively synced, new names")
    with pytest.raises(HostUnavailable, match="list view threshold"):
        here.place_of(blank)
    assert here.place_of(shown).folder == "Profielafbeeldingen"
    assert here.place_of(blank).folder == "Profielafbeeldingen"


@pytest.mark.parametrize("name", ["Forms", "Elsewhere", "..", "Other/Folder"])
def test_a_picture_url_that_lies_about_the_folder(make: Make, name: str) -> None:
    """A user may write anything into PictureURL; only an ordinary folder that exists counts."""
    here = make(
        users=2,
        plain=True,
        quirks=Quirks(folders_over_threshold=True, folder_name="Profielafbeeldingen"),
    )
    url = f"{here.mysite}/User Photos/{name}/x_MThumb.jpg"
    with pytest.raises(HostUnavailable):
        here.sharepoint.location(Profile(here.mysite, url, "0"), here.users()[0].id)


# -- files that SharePoint keeps --


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("why", ["retained", "locked", "checked_out_by"])
def test_files_that_sharepoint_keeps(make: Make, language: str, why: str) -> None:
    """They are told by name; the others are recycled, and the profile shows nothing."""
    here = make(users=2, plain=True, quirks=Quirks(language=language))
    person = here.person("ordinary")
    location = here.write(person)
    library = here.tenant.sharepoint.library["mysite"]
    setattr(library.file(location.path("S")), why, "somebody" if why == "checked_out_by" else True)
    here.sharepoint.hide(person.upn, location)
    assert here.sharepoint.recycle(location) == (location.file_name("S"),)
    files = here.tenant.sharepoint.files("mysite")
    assert location.path("S") in files
    assert location.path("M") not in files
    assert location.path("L") not in files


def test_a_file_that_is_refused(make: Make) -> None:
    """A refusal with a number of its own is about the file; a missing role is an error."""
    here = make(users=2, plain=True)
    location = here.write(here.person("ordinary"))
    code = "-2130575223, Microsoft.SharePoint.SPException"
    here.fault("status", operation="file.recycle", status=403, code=code)
    assert here.sharepoint.recycle(location) == (location.file_name("L"),)
    here.fault("forbidden", operation="file.recycle")
    with pytest.raises(AccessDenied):
        here.sharepoint.recycle(location)


def test_files_that_are_gone(make: Make) -> None:
    """Nothing to recycle is fine."""
    here = make(users=2, plain=True)
    location = here.write(here.person("ordinary"))
    assert here.sharepoint.recycle(location) == ()
    assert here.sharepoint.recycle(location) == ()


def test_a_rejected_upload_is_an_error(make: Make) -> None:
    """A file that cannot be written is never taken for written."""
    here = make(users=2, plain=True)
    person = here.person("ordinary")
    location = here.write(person)
    here.tenant.sharepoint.library["mysite"].file(location.path("M")).locked = True
    with pytest.raises(RequestRejected, match="423"):
        here.upload(location)
