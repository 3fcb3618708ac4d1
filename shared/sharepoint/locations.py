"""Where a user's thumbnails are: what a PictureURL names. Pure.

What is known of SharePoint's own naming (profiles recorded by public clients, 2021 to 2022): the
library is always `User Photos` on the My Site host, its folder is named in the language of the
site, and the prefix of the three files is either the user principal name with `@` and `.` as `_`
or, newer, the Entra object id. Names spelled from a user principal name are not unique
(`a.b@c.d` and `a@b.c.d` are spelled alike), so the app always writes files named by object id.
"""

import re
from typing import TypeGuard
from urllib.parse import unquote, urlsplit

from shared.model import LIBRARY, ThumbnailLocation
from shared.sharepoint.hosts import origin_of

DEFAULT_FOLDER = "Profile Pictures"

_FILE = re.compile(rf"/{LIBRARY}/([^/]+)/([^/]+)_MThumb\.jpg", re.IGNORECASE)
_NEVER_IN_NAMES = frozenset('"*:<>?/\\|')
"""Source: Microsoft support, "Invalid file names and file types in OneDrive and SharePoint"."""


def read_picture_url(url: str) -> ThumbnailLocation | None:
    """The location that a PictureURL names; None when it is not one of the User Photos library."""
    host = origin_of(url)
    match = _FILE.fullmatch(unquote(urlsplit(url).path)) if host else None
    if not match or not is_folder_name(match[1]) or not is_folder_name(match[2]):
        return None
    return ThumbnailLocation(host, match[1], match[2])


def is_folder_name(name: object) -> TypeGuard[str]:
    """Whether this can be the name of a folder or file; users may edit their PictureURL."""
    return (
        isinstance(name, str)
        and bool(name.strip("."))
        and name.isprintable()
        and not _NEVER_IN_NAMES.intersection(name)
    )


def same_picture(first: str, second: str) -> bool:
    """Whether two PictureURLs name one file; default port, encoding, query do not matter."""
    one, other = read_picture_url(first), read_picture_url(second)
    return one is not None and one == other
