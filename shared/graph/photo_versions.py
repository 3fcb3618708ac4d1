"""What Graph says of users' photos: which version, none, or nothing that proves anything.

Sources: Microsoft Graph documentation, "Get profilePhoto", and error codes that administrators
reported where it is silent. Pure.
"""

from dataclasses import dataclass, replace
from typing import Any

from shared.errors import (
    AccessDenied,
    Evidence,
    NotFound,
    PhotoSyncError,
    RequestRejected,
    Unavailable,
    UserUnknown,
)
from shared.graph.json_batch import PASSING, Item
from shared.http import FORBIDDEN, NOT_FOUND, UNAUTHORIZED

_USER_GONE = "request_resourcenotfound"
"""Code, in lower case, of an object that the directory does not have."""

_NO_PHOTO = frozenset({"imagenotfound", "erroritemnotfound", "errorentitynotfound", "getuserphoto"})
"""Codes, in lower case, with which a 404 means that the user has no photo. Any other 404 is about a
mailbox that is elsewhere, an address that is wrong, or a proxy, and proves nothing."""


@dataclass(frozen=True, slots=True)
class Version:
    """Exchange has a photo.

    Attributes:
        etag: `@odata.mediaEtag` as it came, quotes included; compared for equality only. Empty
            when Graph gave none: then nothing but the bytes can tell a change.
    """

    etag: str


@dataclass(frozen=True, slots=True)
class NoPhoto:
    """Exchange has no photo, and Graph said so for sure."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Graph did not say. Never to be read as "no photo"."""

    error: PhotoSyncError


type Seen = Version | NoPhoto | Unknown


def proves_no_photo(status: int, code: str) -> bool:
    """Whether an error response to a photo request means that the user has no photo."""
    return status == NOT_FOUND and code.lower() in _NO_PHOTO


def read(item: Item, asked: Evidence) -> Seen:
    """What an item says of a user's photo.

    Args:
        item: the response.
        asked: what was requested, to be completed for errors.
    """
    if item.status == 200:  # noqa: PLR2004
        return _version(item.body, asked)
    evidence = item.evidence(asked)
    if proves_no_photo(item.status, evidence.code):
        return NoPhoto()
    return Unknown(error_of_item(evidence))


def is_gone(evidence: Evidence) -> bool:
    """Whether the directory itself says that it does not have an object."""
    return evidence.status == NOT_FOUND and evidence.code.lower() == _USER_GONE


def error_of_item(evidence: Evidence) -> PhotoSyncError:
    """The error that an item's status and code stand for."""
    if is_gone(evidence):
        return UserUnknown("the directory no longer has this user")
    if evidence.status in {UNAUTHORIZED, FORBIDDEN}:
        return AccessDenied(evidence)
    if evidence.status == NOT_FOUND:
        return NotFound(evidence)
    if evidence.status in PASSING:
        return Unavailable(evidence)
    return RequestRejected(evidence)


def _version(body: Any, asked: Evidence) -> Seen:
    if not isinstance(body, dict):
        return Unknown(
            RequestRejected(replace(asked, status=200, message="photo without description"))
        )
    etag = body.get("@odata.mediaEtag")
    # Documented form of "no photo" beside 404: a 1x1 GIF with an empty etag.
    tiny = (body.get("width"), body.get("height")) == (1, 1) or body.get("id") in ("1x1", "1X1")
    if not etag and tiny:
        return NoPhoto()
    return Version(etag if isinstance(etag, str) else "")
