"""Microsoft Graph: who is in scope, which version each photo has, and its bytes.

Protocol facts are from the Microsoft Graph documentation ("List users", "Advanced query
capabilities", "JSON batching", "Get profilePhoto") and from what administrators reported where it
is silent; docs/architecture.md lists what is uncertain.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from shared.errors import (
    AccessDenied,
    Evidence,
    InvalidPhoto,
    MalformedResponse,
    NotFound,
    PermissionMissing,
    PhotoSyncError,
    UserUnknown,
)
from shared.graph import photo_versions
from shared.graph.batches import Batches
from shared.graph.json_batch import Item, ItemRequest
from shared.graph.listing import ADVANCED, PAGE_SIZE, SELECTED, Listing, Page, segment, user_of
from shared.graph.photo_versions import USER_GONE, Seen, Unknown, error_of_item, proves_no_photo
from shared.http import NOT_FOUND, Budget, Patience, Request, Service
from shared.model import User
from shared.roles import GRAPH

PHOTO_SIZE = "648x648"
"""Largest rendition Graph makes; enough for every thumbnail and far smaller than originals."""

PHOTO_LIMIT_BYTES = 8 * 1024 * 1024
"""Exchange accepts uploads of up to 4 MB; more than twice that is no photo."""

_OK = 200


class Graph:
    """Reads from Microsoft Graph for one invocation.

    Args:
        service: the process's Graph service.
        root: for example `https://graph.microsoft.com`, without version.
        budget: time, guard and meter of the invocation.
    """

    def __init__(self, service: Service, root: str, budget: Budget) -> None:
        self._service = service
        self._root = f"{root}/v1.0"
        self._budget = budget
        self._listing = Listing(service, self._root, budget)
        self._batches = Batches(service, self._root, budget)

    # -- listings --

    def user_pages(
        self, user_filter: str, page_size: int = PAGE_SIZE, resume: str | None = None
    ) -> Iterator[Page]:
        """All users that match an OData filter, page by page.

        Args:
            user_filter: OData `$filter`.
            page_size: most users of a page.
            resume: link to the page to go on with (`Page.next_link`); None to start.

        Raises:
            FilterRefused: Graph does not understand the filter.
            ListingExpired: the link is no longer valid; start again.
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: the listing could not be read.
        """
        return self._listing.users(user_filter, page_size, resume)

    def member_pages(
        self, group_id: str, page_size: int = PAGE_SIZE, resume: str | None = None
    ) -> Iterator[Page]:
        """The users among a group's members, nested groups included, page by page.

        Args:
            group_id: object id of the group.
            page_size: most users of a page.
            resume: link to the page to go on with (`Page.next_link`); None to start.

        Raises:
            ConfigurationError: there is no such group.
            ListingExpired: the link is no longer valid; start again.
            PermissionMissing: `GroupMember.Read.All` is missing.
            ServiceError: the listing could not be read.
        """
        return self._listing.members(group_id, page_size, resume)

    # -- users --

    def user(self, name: str) -> User:
        """The user with this object id or user principal name.

        Raises:
            UserUnknown: the directory has no such user.
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: Graph failed.
        """
        try:
            response = self._service.send(
                self._budget, Request("GET", f"{self._root}{_user_request(name).url}")
            )
        except NotFound:
            raise _unknown(name) from None
        except AccessDenied as refused:
            raise PermissionMissing(GRAPH, "User.Read.All", refused.evidence) from None
        user = user_of(response.value)
        if user is None:
            raise response.malformed("no id and userPrincipalName")
        return user

    def user_with_version(self, name: str) -> tuple[User, Seen]:
        """The user with this object id or user principal name, and the version of their photo.

        Raises:
            UserUnknown: the directory has no such user.
            PermissionMissing: `User.Read.All` is missing.
            Throttled, DeadlineExceeded: no time to hear both.
            ServiceError: Graph failed.
        """
        requests = {"user": _user_request(name), "photo": _photo_request(name)}
        responses = self._batches.send(requests)
        evidence = self._batches.evidence(requests["user"])
        user = _user_in(responses["user"], evidence)
        if user is None:
            raise _unknown(name)
        if isinstance(user, AccessDenied):
            raise PermissionMissing(GRAPH, "User.Read.All", user.evidence)
        if isinstance(user, PhotoSyncError):
            raise user
        if name.lower() not in {user.id, user.upn.lower()}:
            # The name led to another user than it says, so its photo may be somebody else's.
            return user, self.photo_versions([user.id])[user.id]
        return user, self._seen(responses["photo"], requests["photo"])

    def users(self, ids: Sequence[str]) -> dict[str, User | PhotoSyncError | None]:
        """The present names of users by object id; one batch of at most `BATCH_SIZE`.

        Returns:
            An entry for every id: the user, None when the directory has no such user, or the error
            because of which nothing is known.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """
        return _own(self._send_each(ids, _user_request, _user_in))

    def in_scope(
        self, ids: Sequence[str], user_filter: str, group_id: str | None = None
    ) -> dict[str, User | PhotoSyncError | None]:
        """Which of these users are in scope now; at most `BATCH_SIZE` of them.

        Costs one batch, and a second one with a group.

        Args:
            ids: object ids.
            user_filter: OData `$filter` that the users must match.
            group_id: group of which they must be (transitive) members; None for no group.

        Returns:
            An entry for every id: the user with their present name, None when they are deleted or
            not in scope, or the error because of which nothing is known.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """

        def request(user_id: str) -> ItemRequest:
            query = {
                "$filter": f"id eq '{_literal(user_id)}' and ({user_filter})",
                "$select": SELECTED,
                "$count": "true",
            }
            return ItemRequest(f"/users?{urlencode(query)}", ADVANCED)

        found = _own(self._send_each(ids, request, _match_in))
        if group_id:
            present = [key for key, user in found.items() if isinstance(user, User)]
            for user_id, member in self._members(present, group_id).items():
                if member is not True:
                    found[user_id] = member or None
        return found

    def _members(self, ids: Sequence[str], group_id: str) -> dict[str, bool | PhotoSyncError]:
        """Whether these users are members of a group; nested groups count.

        Source: Microsoft Graph documentation, "Check member groups".
        """

        def request(user_id: str) -> ItemRequest:
            body = {"groupIds": [group_id]}
            return ItemRequest(f"/users/{segment(user_id)}/checkMemberGroups", body=body)

        def read(item: Item | PhotoSyncError, asked: Evidence) -> bool | PhotoSyncError:
            if isinstance(item, PhotoSyncError):
                return item
            if item.status == _OK:
                groups = item.body.get("value") if isinstance(item.body, dict) else None
                if isinstance(groups, list):
                    return group_id.lower() in {str(group).lower() for group in groups}
                return _malformed(item, asked, "no list of groups")
            error = error_of_item(item.evidence(asked))
            return False if isinstance(error, UserUnknown) else error

        return self._send_each(ids, request, read)

    # -- photos --

    def photo_versions(self, ids: Sequence[str]) -> dict[str, Seen]:
        """The version of each user's photo; one batch of at most `BATCH_SIZE`.

        Returns:
            An entry for every id, so that a missing answer cannot be forgotten.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """
        requests = {user_id: _photo_request(user_id) for user_id in ids}
        responses = self._batches.send(requests)
        return {key: self._seen(responses[key], request) for key, request in requests.items()}

    versions = photo_versions

    def photo(self, user_id: str, patience: Patience | None = None) -> bytes | None:
        """The bytes of the largest rendition; None when the user has no photo after all.

        Args:
            user_id: object id.
            patience: how long this user may take; None for as long as the budget allows.

        Raises:
            InvalidPhoto: larger than any photo may be.
            NotFound: Graph has no bytes, but does not say that the user has no photo.
            ServiceError: Graph failed.
        """
        for path in (f"photos/{PHOTO_SIZE}", "photo"):
            url = f"{self._root}/users/{segment(user_id)}/{path}/$value"
            response = self._service.send(
                self._budget.with_patience(patience),
                Request(
                    "GET",
                    url,
                    accept={NOT_FOUND},
                    want_json=False,
                    limit=PHOTO_LIMIT_BYTES,
                    subject=user_id,
                ),
            )
            if response.oversize:
                raise InvalidPhoto(f"larger than {PHOTO_LIMIT_BYTES // 1024 // 1024} MB")
            if response.ok:
                return response.body
        # The rendition may be missing where the photo is not, so the last answer decides.
        if proves_no_photo(response.status, response.evidence.code):
            return None
        raise NotFound(response.evidence)

    # -- batches --

    def _send_each[T](
        self,
        ids: Sequence[str],
        request: Callable[[str], ItemRequest],
        read: Callable[[Item | PhotoSyncError, Evidence], T],
    ) -> dict[str, T]:
        """One item for each id, and what its response says."""
        requests = {user_id: request(user_id) for user_id in ids}
        responses: Mapping[str, Any] = self._batches.send(requests)
        return {
            user_id: read(responses[user_id], self._batches.evidence(asked))
            for user_id, asked in requests.items()
        }

    def _seen(self, item: Item | PhotoSyncError, request: ItemRequest) -> Seen:
        if isinstance(item, PhotoSyncError):
            return Unknown(item)
        return photo_versions.read(item, self._batches.evidence(request))


def _user_request(name: str) -> ItemRequest:
    return ItemRequest(f"/users/{segment(name)}?{urlencode({'$select': SELECTED})}")


def _photo_request(name: str) -> ItemRequest:
    return ItemRequest(f"/users/{segment(name)}/photo")


def _user_in(item: Item | PhotoSyncError, asked: Evidence) -> User | PhotoSyncError | None:
    """The user that an item holds; None when the directory has no such user."""
    if isinstance(item, PhotoSyncError):
        return item
    if item.status == _OK:
        user = user_of(item.body)
        return user or _malformed(item, asked, "no id and userPrincipalName")
    evidence = item.evidence(asked)
    if evidence.status == NOT_FOUND and evidence.code.lower() == USER_GONE:
        return None
    return error_of_item(evidence)


def _match_in(item: Item | PhotoSyncError, asked: Evidence) -> User | PhotoSyncError | None:
    """The only user of a filtered listing; None when it is empty."""
    if isinstance(item, PhotoSyncError):
        return item
    if item.status != _OK:
        return error_of_item(item.evidence(asked))
    found = item.body.get("value") if isinstance(item.body, dict) else None
    if not isinstance(found, list) or len(found) > 1 or "@odata.nextLink" in item.body:
        return _malformed(item, asked, "no list of one user")
    if not found:
        return None
    return user_of(found[0]) or _malformed(item, asked, "no id and userPrincipalName")


def _own(
    found: dict[str, User | PhotoSyncError | None],
) -> dict[str, User | PhotoSyncError | None]:
    """The users that were requested; another one proves nothing about them."""
    return {
        user_id: user
        if not isinstance(user, User) or user.id == user_id.lower()
        else MalformedResponse(Evidence("graph", "GET", user_id, _OK, "", "another user"))
        for user_id, user in found.items()
    }


def _literal(value: str) -> str:
    """A value inside an OData string literal."""
    return value.replace("'", "''")


def _malformed(item: Item, asked: Evidence, message: str) -> MalformedResponse:
    evidence = item.evidence(asked)
    return MalformedResponse(
        Evidence(evidence.service, evidence.method, evidence.url, evidence.status, "", message)
    )


def _unknown(name: str) -> UserUnknown:
    return UserUnknown(f"the directory has no user {name}")
