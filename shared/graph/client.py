"""Microsoft Graph: who is in scope, which version each photo has, and its bytes.

Protocol facts are from the Microsoft Graph documentation ("List users", "Advanced query
capabilities", "JSON batching", "Get profilePhoto") and from what administrators reported where it
is silent; docs/architecture.md lists what is uncertain.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from shared.errors import (
    AccessDenied,
    Evidence,
    InvalidPhoto,
    NotFound,
    PermissionMissing,
    PhotoSyncError,
    UserUnknown,
)
from shared.graph import photo_versions, user_items
from shared.graph.batches import Batches
from shared.graph.json_batch import Item, ItemRequest
from shared.graph.listing import PAGE_SIZE, Listing, Page, segment, user_of
from shared.graph.photo_versions import Seen, Unknown, is_gone, proves_no_photo
from shared.graph.user_items import Found
from shared.http import NOT_FOUND, Budget, Patience, Request, Service
from shared.model import User
from shared.roles import GRAPH

PHOTO_SIZE = "648x648"
"""Largest rendition Graph makes; enough for every thumbnail and far smaller than originals."""

PHOTO_LIMIT_BYTES = 8 * 1024 * 1024
"""Exchange accepts uploads of up to 4 MB; more than twice that is no photo."""


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
                self._budget, Request("GET", f"{self._root}{user_items.by_name(name).url}")
            )
        except NotFound as missing:
            # Any other 404 is of a proxy or of a wrong address, and says nothing of the user.
            raise _unknown(name) if is_gone(missing.evidence) else missing from None
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
        requests = {"user": user_items.by_name(name), "photo": user_items.photo(name)}
        responses = self._batches.send(requests)
        evidence = self._batches.evidence(requests["user"])
        user = user_items.read_user(responses["user"], evidence)
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

    def users(self, ids: Sequence[str]) -> Found:
        """The present names of users by object id; one batch of at most `BATCH_SIZE`.

        Returns:
            An entry for every id: the user, None when the directory has no such user, or the error
            because of which nothing is known.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """
        return self._users(ids, user_items.by_name, user_items.read_user)

    def in_scope(self, ids: Sequence[str], user_filter: str, group_id: str | None = None) -> Found:
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
        found = self._users(
            ids, partial(user_items.matching, user_filter=user_filter), user_items.read_match
        )
        if group_id:
            present = [key for key, user in found.items() if isinstance(user, User)]
            members = self._send_each(
                present,
                partial(user_items.membership, group_id=group_id),
                partial(user_items.read_membership, group_id=group_id),
            )
            for user_id, member in members.items():
                if member is not True:
                    found[user_id] = member or None
        return found

    # -- photos --

    def photo_versions(self, ids: Sequence[str]) -> dict[str, Seen]:
        """The version of each user's photo; one batch of at most `BATCH_SIZE`.

        Returns:
            An entry for every id, so that a missing answer cannot be forgotten.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """
        requests = {user_id: user_items.photo(user_id) for user_id in ids}
        responses = self._batches.send(requests)
        return {key: self._seen(responses[key], request) for key, request in requests.items()}

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

    def _users(
        self,
        ids: Sequence[str],
        request: Callable[[str], ItemRequest],
        read: Callable[[Item | PhotoSyncError, Evidence], User | PhotoSyncError | None],
    ) -> Found:
        asked = {user_id: self._batches.evidence(request(user_id)) for user_id in ids}
        return user_items.only_requested(self._send_each(ids, request, read), asked)

    def _send_each[T](
        self,
        ids: Sequence[str],
        request: Callable[[str], ItemRequest],
        read: Callable[[Item | PhotoSyncError, Evidence], T],
    ) -> dict[str, T]:
        """One item for each id, and what its response says."""
        requests = {user_id: request(user_id) for user_id in ids}
        responses = self._batches.send(requests) if requests else {}
        return {
            user_id: read(responses[user_id], self._batches.evidence(asked))
            for user_id, asked in requests.items()
        }

    def _seen(self, item: Item | PhotoSyncError, request: ItemRequest) -> Seen:
        if isinstance(item, PhotoSyncError):
            return Unknown(item)
        return photo_versions.read(item, self._batches.evidence(request))


def _unknown(name: str) -> UserUnknown:
    return UserUnknown(f"the directory has no user {name}")
