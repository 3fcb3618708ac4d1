"""Profiles as SharePoint returns them, and what they show."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ProfileMissing
from shared.model import ThumbnailLocation
from shared.sharepoint.profiles import (
    Profile,
    account_name,
    hidden,
    parse,
    read_url,
    shown,
    timestamp,
    write_url,
)

ADMIN = "https://contoso-admin.sharepoint.com"
MYSITE = "https://contoso-my.sharepoint.com"
PLACE = ThumbnailLocation(MYSITE, "Profile Pictures", "33aca310-1111-4222-8333-444455556666")
RECORDED = {
    "AccountName": "i:0#.f|membership|u@contoso.com",
    "PersonalSiteHostUrl": "https://contoso-my.sharepoint.com:443/",
    "PictureUrl": None,
    "UserProfileProperties": [
        {"Key": "PictureURL", "Value": PLACE.picture_url, "ValueType": "Edm.String"},
        {"Key": "SPS-PicturePlaceholderState", "Value": "0", "ValueType": "Edm.String"},
        {"Key": "SPS-PictureTimestamp", "Value": "63775083296", "ValueType": "Edm.String"},
    ],
}
PROFILE = Profile(MYSITE, PLACE.picture_url, "0")
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def with_properties(*properties: object) -> dict[str, object]:
    return RECORDED | {"UserProfileProperties": list(properties)}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, RECORDED, PROFILE),
        (
            200,
            RECORDED | {"UserProfileProperties": {"results": RECORDED["UserProfileProperties"]}},
            PROFILE,
        ),
        (
            200,
            with_properties({"Key": "PICTUREurl", "Value": "x"}),
            Profile(MYSITE, "x", ""),
        ),
        (200, with_properties({"Key": "PictureURL", "Value": None}), Profile(MYSITE, "", "")),
        (
            200,
            with_properties({"Key": "SPS-PicturePlaceholderState", "Value": 1}),
            Profile(MYSITE, "", "1"),
        ),
        (200, with_properties("odd", None, {}, {"Key": ["x"]}), Profile(MYSITE, "", "")),
        (200, RECORDED | {"PersonalSiteHostUrl": None}, Profile("", PLACE.picture_url, "0")),
        (200, RECORDED | {"PersonalSiteHostUrl": {}}, Profile("", PLACE.picture_url, "0")),
        (200, {"UserProfileProperties": None}, None),
        (200, {}, None),
        (200, [], None),
        (200, None, None),
        (200, "text", None),
        (404, RECORDED, None),
        (429, None, None),
        (503, None, None),
        (0, None, None),
    ],
)
def test_answers(status: int, body: object, expected: Profile | None) -> None:
    """A profile is read from every recorded shape; anything else is none, not an empty one."""
    assert parse(status, body) == expected


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"odata.null": True}),
        (
            500,
            {
                "odata.error": {
                    "code": "-1, Microsoft.Office.Server.UserProfiles.UserNotFoundException",
                    "message": {
                        "lang": "en-US",
                        "value": "User Profile Error 1000: User Not Found: Could not load profile "
                        "data from the database.",
                    },
                }
            },
        ),
        (400, {"error": {"code": "-1", "message": "User Not Found: Could not load profile data"}}),
    ],
)
def test_no_profile(status: int, body: object) -> None:
    """A null object and the error that says so both mean that there is no profile."""
    with pytest.raises(ProfileMissing):
        parse(status, body)


@given(st.integers(0, 599), JSON)
def test_any_answer(status: int, value: object) -> None:
    """Any JSON gives a profile, none, or "no profile"."""
    for body in (
        value,
        {"UserProfileProperties": value},
        {"UserProfileProperties": [value, {"Key": value, "Value": value}]},
        {"UserProfileProperties": [{"Key": "PictureURL", "Value": value}]},
        {"UserProfileProperties": [], "PersonalSiteHostUrl": value},
        {"odata.error": value},
    ):
        try:
            profile = parse(status, body)
        except ProfileMissing:
            continue
        if profile:
            profile.shows(PLACE)


@pytest.mark.parametrize(
    ("url", "placeholder", "shows"),
    [
        (PLACE.picture_url, "0", True),
        (PLACE.picture_url, "", True),
        (PLACE.picture_url.replace(".com/", ".com:443/") + "?t=63775083296", "0", True),
        (PLACE.picture_url, "1", False),
        ("", "0", False),
        (PLACE.picture_url.replace("33aca310", "43aca310"), "0", False),
    ],
)
def test_shows(url: str, placeholder: str, shows: bool) -> None:
    """A picture is shown when the URL names it and no placeholder is in front."""
    assert Profile(MYSITE, url, placeholder).shows(PLACE) is shows


@pytest.mark.parametrize(
    "upn",
    [
        "user@contoso.com",
        "o'brien@contoso.com",
        "o''b'@contoso.com",
        "a&b+c%d@contoso.com",
        "a%41#x@contoso.com",
        "jörg.müßig@contoso.com",
        "jane_fabrikam.com#EXT#@contoso.onmicrosoft.com",
        "a/b?c@contoso.com",
    ],
)
def test_any_name_survives_the_url(upn: str) -> None:
    """The literal that SharePoint decodes is the account name, quotes doubled; nothing leaks."""
    url = read_url(ADMIN, upn)
    assert url.isascii()
    parts = urlsplit(url)
    assert parts.fragment == ""
    assert parts.path == "/_api/SP.UserProfiles.PeopleManager/GetPropertiesFor(accountName=@v)"
    query = parse_qs(parts.query, strict_parsing=True)
    literal = query.pop("@v")[0]
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", "'") == account_name(upn)
    assert "'" not in literal[1:-1].replace("''", "")
    assert query == {"$select": ["PersonalSiteHostUrl,UserProfileProperties"]}


def test_account_names_are_lower_case() -> None:
    """As in every recorded profile."""
    assert account_name("Ann@Contoso.com") == "i:0#.f|membership|ann@contoso.com"


def test_timestamps_count_from_the_year_one() -> None:
    """63783110969 is 2022-03-17 10:49:29 UTC, as recorded."""
    assert timestamp(1647514169.9) == "63783110969"


def test_order_of_properties() -> None:
    """What makes the picture visible comes last; what hides it, first. All values are texts."""
    now = 1647514169.0
    assert shown(PLACE, now) == [
        ("PictureURL", PLACE.picture_url),
        ("SPS-PictureTimestamp", "63783110969"),
        ("SPS-PicturePlaceholderState", "0"),
    ]
    assert hidden(now) == [
        ("SPS-PicturePlaceholderState", "1"),
        ("SPS-PictureTimestamp", "63783110969"),
        ("PictureURL", ""),
    ]


def test_write_url() -> None:
    """The call for one property."""
    assert write_url(ADMIN).endswith("PeopleManager/SetSingleValueProfileProperty")
