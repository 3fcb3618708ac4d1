"""Items of a batch about one user each: what is requested, and what the response says. Pure.

Nothing but the directory's own word means that a user is gone: every response that is not
understood, or that is about another user, is an error.
Sources: Microsoft Graph documentation, "Get user", "List users", "Check member groups".
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from shared.errors import Evidence, MalformedResponse, PhotoSyncError, UserUnknown
from shared.graph.json_batch import Item, ItemRequest
from shared.graph.listing import ADVANCED, SELECTED, segment, user_of
from shared.graph.photo_versions import error_of_item
from shared.model import User

type Found = dict[str, User | PhotoSyncError | None]
"""By object id: the user, the error because of which nothing is known, or None for nobody."""

_OK = 200


def by_name(name: str) -> ItemRequest:
    """Request the user with this object id or user principal name."""
    return ItemRequest(f"/users/{segment(name)}?{urlencode({'$select': SELECTED})}")


def photo(name: str) -> ItemRequest:
    """Request the description of a user's photo."""
    return ItemRequest(f"/users/{segment(name)}/photo")


def matching(user_id: str, user_filter: str) -> ItemRequest:
    """Request the user with this id if they match a filter."""
    literal = user_id.replace("'", "''")
    query = {
        "$filter": f"id eq '{literal}' and ({user_filter})",
        "$select": SELECTED,
        "$count": "true",
    }
    return ItemRequest(f"/users?{urlencode(query)}", ADVANCED)


def membership(user_id: str, group_id: str) -> ItemRequest:
    """Request whether a user is a member of a group; nested groups count."""
    body = {"groupIds": [group_id]}
    return ItemRequest(f"/users/{segment(user_id)}/checkMemberGroups", body=body)


def read_user(item: Item | PhotoSyncError, asked: Evidence) -> User | PhotoSyncError | None:
    """The user that a response to `by_name` holds; None when the directory has no such user."""
    if isinstance(item, PhotoSyncError):
        return item
    if item.status == _OK:
        return user_of(item.body) or malformed(asked, "no id and userPrincipalName")
    error = error_of_item(item.evidence(asked))
    return None if isinstance(error, UserUnknown) else error


def read_match(item: Item | PhotoSyncError, asked: Evidence) -> User | PhotoSyncError | None:
    """The user that a response to `matching` holds; None when nobody matches."""
    if isinstance(item, PhotoSyncError):
        return item
    if item.status != _OK:
        return error_of_item(item.evidence(asked))
    found = item.body.get("value") if isinstance(item.body, dict) else None
    if not isinstance(found, list) or len(found) > 1 or "@odata.nextLink" in item.body:
        return malformed(asked, "no list of at most one user")
    if not found:
        return None
    return user_of(found[0]) or malformed(asked, "no id and userPrincipalName")


def read_membership(
    item: Item | PhotoSyncError, asked: Evidence, group_id: str
) -> bool | PhotoSyncError:
    """Whether a response to `membership` says that the user is a member."""
    if isinstance(item, PhotoSyncError):
        return item
    if item.status != _OK:
        error = error_of_item(item.evidence(asked))
        return False if isinstance(error, UserUnknown) else error
    groups = item.body.get("value") if isinstance(item.body, dict) else None
    if not isinstance(groups, list):
        return malformed(asked, "no list of groups")
    return group_id.lower() in {str(group).lower() for group in groups}


def only_requested(found: Found, asked: Mapping[str, Evidence]) -> Found:
    """The users that were requested; a response about another one proves nothing about them."""
    return {
        user_id: malformed(asked[user_id], "another user")
        if isinstance(user, User) and user.id != user_id.lower()
        else user
        for user_id, user in found.items()
    }


def malformed(asked: Evidence, message: str) -> MalformedResponse:
    """The error of a successful response that cannot be understood."""
    return MalformedResponse(replace(asked, status=_OK, message=message))
