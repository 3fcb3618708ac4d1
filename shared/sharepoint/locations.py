"""Where a user's thumbnails are: host, folder, prefix. Pure.

What is known of SharePoint's own naming (profiles recorded by public clients, 2021 to 2022): the
library is always `User Photos` on the My Site host, its folder is named in the language of the
site, and the prefix of the three files is either the user principal name with `@` and `.` as `_`
or, newer, the Entra object id. So nothing is derived where it can be read.
"""

import re
from typing import TypeGuard
from urllib.parse import unquote, urlsplit

from shared.model import LIBRARY, ThumbnailLocation

DEFAULT_FOLDER = "Profile Pictures"

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_FILE = re.compile(rf"/{LIBRARY}/([^/]+)/([^/]+)_MThumb\.jpg", re.IGNORECASE)
_NEVER_IN_NAMES = frozenset('"*:<>?/\\|')
"""Source: Microsoft support, "Invalid file names and file types in OneDrive and SharePoint"."""

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def origin_of(url: str) -> str:
    """Scheme and host in lower case, without a default port; "" for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.scheme or not parts.netloc or "@" in parts.netloc:
        return ""
    netloc = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "\0"))
    return f"{parts.scheme.lower()}://{netloc}"


def read_picture_url(url: str) -> ThumbnailLocation | None:
    """The place that a PictureURL names; None when it is not one of the User Photos library."""
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


def choose(
    *, picture_url: str, host: str, user_id: str, upn: str, folder: str
) -> ThumbnailLocation:
    """Where to write a user's files: over those in use, when they are surely his; else by id.

    The prefix in use is kept when it is the user's object id, or his user principal name in
    SharePoint's spelling and that spelling is his alone. `a.b@c` and `a_b@c` are spelled the same,
    so a name with an underscore is never trusted: one user must not overwrite another.

    Args:
        picture_url: the profile's, may be empty or anything.
        host: origin of the user's My Site host.
        user_id: Entra object id.
        upn: user principal name.
        folder: the library's, used for files that are not in use yet.
    """
    used = read_picture_url(picture_url)
    if used and used.host == host:
        prefix = used.prefix.lower()
        by_name = upn.lower().replace("@", "_").replace(".", "_")
        if prefix == user_id or (prefix == by_name and "_" not in upn):
            return used
    return ThumbnailLocation(host, folder, user_id)


def is_trusted_host(candidate: str, mysite: str) -> bool:
    """Whether a My Site host that SharePoint names may get a token.

    It may when it is the configured one, or another geo of the same tenant: `contosoeur-my` beside
    `contoso-my`, under the same domain. On loopback, any other loopback port.

    Args:
        candidate: origin from a profile.
        mysite: origin from the settings.
    """
    if candidate == mysite:
        return True
    ours, theirs = urlsplit(mysite), urlsplit(candidate)
    if _LOOPBACK.fullmatch(ours.netloc):
        return theirs.scheme == ours.scheme and bool(_LOOPBACK.fullmatch(theirs.netloc))
    tenant, _, domain = ours.netloc.partition("-my.")
    label, _, their_domain = theirs.netloc.partition("-my.")
    return (
        theirs.scheme == "https"
        and bool(domain)
        and their_domain == domain
        and label.startswith(tenant)
        and re.fullmatch(r"[a-z0-9-]+", label) is not None
    )


def admin_of(host: str, *, mysite: str, admin: str) -> str:
    """The admin site of the geo that a My Site host belongs to.

    Source: SharePoint documentation on user profiles in multi-geo: profile calls go to the admin
    site of the geo that holds the profile. A host whose name does not tell its admin site (on
    loopback) is asked itself.
    """
    return admin if host == mysite else host.replace("-my.", "-admin.", 1)
