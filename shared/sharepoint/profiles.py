"""User profiles of SharePoint Online, as PeopleManager returns them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.errors import Evidence, ProfileMissing
from shared.http import error_of
from shared.model import ThumbnailLocation
from shared.sharepoint.error_codes import NO_PROFILE, is_missing_profile
from shared.sharepoint.hosts import origin_of
from shared.sharepoint.locations import same_picture

SHOW_PICTURE = "0"
SHOW_PLACEHOLDER = "1"
"""Values of SPS-PicturePlaceholderState."""

_MANAGER = "/_api/SP.UserProfiles.PeopleManager"
_EPOCH_OFFSET_SECONDS = 62_135_596_800
"""Seconds from 0001-01-01, where SPS-PictureTimestamp starts, to 1970-01-01."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What SharePoint knows of a user's picture.

    Attributes:
        host: origin of the user's My Site host; "" when SharePoint names none.
        picture_url: the stored property, without SharePoint's cache-buster; may be "".
        placeholder: SPS-PicturePlaceholderState, "" when never set.
    """

    host: str
    picture_url: str
    placeholder: str

    def names(self, location: ThumbnailLocation) -> bool:
        """Whether PictureURL is the picture at this location, shown or not."""
        return same_picture(self.picture_url, location.picture_url)

    def shows(self, location: ThumbnailLocation) -> bool:
        """Whether the profile shows the picture at this location."""
        return self.placeholder in {SHOW_PICTURE, ""} and self.names(location)


def account_name(upn: str) -> str:
    """Claims name of a user, in lower case as every recorded profile has it."""
    return f"i:0#.f|membership|{upn.lower()}"


def read_url(admin: str, upn: str) -> str:
    """URL that reads a profile; quotes of the OData literal doubled, then all encoded."""
    literal = quote("'" + account_name(upn).replace("'", "''") + "'", safe="'")
    select = "PersonalSiteHostUrl,UserProfileProperties"
    return f"{admin}{_MANAGER}/GetPropertiesFor(accountName=@v)?@v={literal}&$select={select}"


def write_url(admin: str) -> str:
    """URL that sets one property, when ProcessQuery is not to be had."""
    return f"{admin}{_MANAGER}/SetSingleValueProfileProperty"


def timestamp(seconds: float) -> str:
    """A moment as SPS-PictureTimestamp writes it.

    Args:
        seconds: since 1970.
    """
    return str(int(seconds) + _EPOCH_OFFSET_SECONDS)


def shown(location: ThumbnailLocation, now: float) -> list[tuple[str, str]]:
    """Properties that show a picture; the one that makes it visible last."""
    return [
        ("PictureURL", location.picture_url),
        ("SPS-PictureTimestamp", timestamp(now)),
        ("SPS-PicturePlaceholderState", SHOW_PICTURE),
    ]


def hidden(now: float) -> list[tuple[str, str]]:
    """Properties that take a picture away; the placeholder first."""
    return [
        ("SPS-PicturePlaceholderState", SHOW_PLACEHOLDER),
        ("SPS-PictureTimestamp", timestamp(now)),
        ("PictureURL", ""),
    ]


def parse(status: int, body: Any) -> Profile | None:
    """A profile from SharePoint's answer; None when the answer says nothing of the kind.

    Args:
        status: of the answer, or of the batch part.
        body: parsed JSON.

    Raises:
        ProfileMissing: SharePoint has no such profile: a null object, or an error that says so.
    """
    code, message = error_of(body)
    if is_missing_profile(Evidence("sharepoint", "GET", "", status, code, message)):
        raise ProfileMissing(NO_PROFILE)
    if status != 200 or not isinstance(body, dict):  # noqa: PLR2004
        return None
    if body.get("odata.null") is True:
        raise ProfileMissing(NO_PROFILE)
    values = stored(body)
    if values is None:
        return None
    return Profile(
        host=origin_of(_text(body.get("PersonalSiteHostUrl"))),
        picture_url=values.get("pictureurl", ""),
        placeholder=values.get("sps-pictureplaceholderstate", ""),
    )


def stored(body: Mapping[str, Any]) -> dict[str, str] | None:
    """All stored properties by their name in lower case; None when there is no list of them."""
    properties = body.get("UserProfileProperties")
    if isinstance(properties, dict):
        properties = properties.get("results")
    if not isinstance(properties, list):
        return None
    return {
        _text(entry.get("Key")).lower(): _text(entry.get("Value"))
        for entry in properties
        if isinstance(entry, dict)
    }


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""
