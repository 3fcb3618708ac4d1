"""The words that every part of the program uses: users, outcomes, where thumbnails are. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard
from urllib.parse import quote

LIBRARY = "User Photos"
"""The picture library of a My Site host that holds everybody's thumbnails."""

SIZES = ("L", "S", "M")
"""In upload order: M is last, because `PictureURL` names it."""


class Outcome(StrEnum):
    """How a user ends a run: a closed set, exactly one for each user in scope."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REPAIRED = "repaired"
    REMOVED = "removed"
    REMOVAL_PENDING = "removal_pending"
    NO_PHOTO = "no_photo"
    NO_PROFILE = "no_profile"
    INVALID_PHOTO = "invalid_photo"
    FAILED = "failed"
    DEFERRED = "deferred"


QUIET = frozenset({Outcome.UNCHANGED, Outcome.NO_PHOTO})
"""Outcomes that get no line in the run's report."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the directory.

    Attributes:
        id: Entra object id, lower case.
        upn: user principal name.
    """

    id: str
    upn: str


@dataclass(frozen=True, slots=True)
class ThumbnailLocation:
    """Where one user's three thumbnail files are.

    Attributes:
        host: origin of the user's My Site host, no trailing slash.
        folder: name of the folder in the library.
        prefix: of the three file names.
    """

    host: str
    folder: str
    prefix: str

    def path(self, size: str) -> str:
        """Server-relative path of one file, not encoded."""
        return f"/{LIBRARY}/{self.folder}/{self.prefix}_{size}Thumb.jpg"

    def file_name(self, size: str) -> str:
        """Name of one file."""
        return f"{self.prefix}_{size}Thumb.jpg"

    @property
    def picture_url(self) -> str:
        """What the profile property PictureURL holds: the M file, encoded, without a query."""
        return self.host + quote(self.path("M"))


def is_object_id(value: object) -> TypeGuard[str]:
    """Whether this is an Entra object id in its usual form, hexadecimal 8-4-4-4-12."""
    if not isinstance(value, str):
        return False
    groups = value.split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and all(
        c in "0123456789abcdefABCDEF" for group in groups for c in group
    )
