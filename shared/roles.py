"""The app roles that the identity needs, and what else does as well. Pure and light.

Source of what covers what: Microsoft Graph permissions reference; SharePoint documentation,
"Understanding Resource Specific Consent" for `Sites.Selected`.
"""

from collections.abc import Collection

GRAPH = "Microsoft Graph"
SHAREPOINT = "SharePoint"

PROFILES_ROLE = "User.ReadWrite.All"
FILES_ROLE = "Sites.FullControl.All"
SELECTED_ROLE = "Sites.Selected"
USERS_ROLE = "User.Read.All"
PHOTOS_ROLE = "ProfilePhoto.Read.All"
"""Needed only where photos are refused although the listing of users works."""

_GROUP_ROLE = "GroupMember.Read.All"

_AS_WELL = {
    (GRAPH, USERS_ROLE): frozenset({"User.ReadWrite.All", "Directory.Read.All"}),
    (SHAREPOINT, FILES_ROLE): frozenset({SELECTED_ROLE}),
}


def needed(resource: str, *, with_group: bool) -> list[str]:
    """Roles that the identity needs on a resource.

    Args:
        resource: `GRAPH` or `SHAREPOINT`.
        with_group: the scope is a group (`SYNC_GROUP_ID`).
    """
    if resource == SHAREPOINT:
        return [PROFILES_ROLE, FILES_ROLE]
    return [USERS_ROLE, _GROUP_ROLE] if with_group else [USERS_ROLE]


def alternatives(resource: str, role: str) -> frozenset[str]:
    """Other roles that do as well as this one; a role counts on its own resource only."""
    return _AS_WELL.get((resource, role), frozenset())


def covers(roles: Collection[str], resource: str, wanted: str) -> bool:
    """Whether somebody with these roles on a resource can do what the wanted one is for."""
    return wanted in roles or not alternatives(resource, wanted).isdisjoint(roles)
