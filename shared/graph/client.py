"""Microsoft Graph: who is in scope, which version each photo has, and its bytes.

Protocol facts are from the Microsoft Graph documentation ("List users", "Advanced query
capabilities", "JSON batching", "Get profilePhoto") and from what administrators reported where it
is silent; docs/architecture.md lists what is uncertain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from shared.errors import (
    AccessDenied,
    ConfigurationError,
    Evidence,
    InvalidPhoto,
    NotFound,
    PermissionMissing,
    RequestRejected,
    UserUnknown,
)
from shared.graph import photo_versions
from shared.graph.photo_versions import Seen
from shared.http.response import NOT_FOUND, TOO_MANY, Response, retry_after
from shared.http.service import ATTEMPTS, THROTTLES, Budget, Service, backoff
from shared.http.transport import Request
from shared.model import User, is_object_id

PAGE_SIZE = 999
"""Most users of a page."""

PHOTO_SIZE = "648x648"
"""Largest rendition Graph makes; enough for every thumbnail and far smaller than originals."""

PHOTO_LIMIT_BYTES = 8 * 1024 * 1024
"""Exchange accepts uploads of up to 4 MB; more than twice that is no photo."""

LISTING_RESTARTS = 5
"""How often an expired page token may start the listing again."""

_GRAPH = "Microsoft Graph"
_MISUNDERSTOOD = frozenset({400, 404, 414})
"""Answers to the first page that are about the filter or the group."""


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    Attributes:
        users: in the order they came.
        expected: how many the whole listing has, on the first page only.
        unusable: entries without a usable id or name.
    """

    users: Sequence[User]
    expected: int | None
    unusable: int


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

    def users(self, user_filter: str, page_size: int = PAGE_SIZE) -> Iterator[Page]:
        """All users that match an OData filter; after an expired page token, again from the start.

        Raises:
            ConfigurationError: Graph does not understand the filter.
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: the listing could not be read.
        """
        query = {
            "$filter": user_filter,
            "$select": "id,userPrincipalName",
            "$top": str(page_size),
            "$count": "true",
        }
        return self._pages(f"{self._root}/users?{urlencode(query)}", "User.Read.All", "USER_FILTER")

    def members(self, group_id: str, page_size: int = PAGE_SIZE) -> Iterator[Page]:
        """The users among a group's members, nested groups included.

        Raises:
            ConfigurationError: there is no such group.
            PermissionMissing: `GroupMember.Read.All` is missing.
            ServiceError: the listing could not be read.
        """
        query = {"$select": "id,userPrincipalName", "$top": str(page_size), "$count": "true"}
        url = (
            f"{self._root}/groups/{_segment(group_id)}/transitiveMembers/microsoft.graph.user"
            f"?{urlencode(query)}"
        )
        return self._pages(url, "GroupMember.Read.All", "SYNC_GROUP_ID")

    def user(self, name: str) -> User:
        """The user with this object id or user principal name.

        Raises:
            UserUnknown: the directory has none.
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: Graph failed.
        """
        url = (
            f"{self._root}/users/{_segment(name)}?{urlencode({'$select': 'id,userPrincipalName'})}"
        )
        try:
            answer = self._service.send(self._budget, Request("GET", url))
        except NotFound:
            raise UserUnknown(f"the directory has no user {name}") from None
        except AccessDenied as refused:
            raise PermissionMissing(_GRAPH, "User.Read.All", refused.evidence) from None
        user = _user(answer.value)
        if user is None:
            raise answer.malformed("no id and userPrincipalName")
        return user

    def versions(self, ids: Sequence[str]) -> dict[str, Seen]:
        """The version of each user's photo; one batch of at most `BATCH_SIZE`.

        Throttled, failed and missing items are asked again, without those that were answered; in
        the end every id has an entry, so a missing answer cannot be forgotten.

        Raises:
            PermissionMissing: Graph refuses the whole batch.
            Throttled, DeadlineExceeded: no time to hear all.
            ServiceError: the batch as a whole failed.
        """
        seen: dict[str, Seen] = {}
        pending = list(ids)
        failures = throttles = 0
        while True:
            answer = self._batch(pending)
            again: dict[str, photo_versions.Item] = {}
            for user_id, item in zip(
                pending, photo_versions.items(answer, len(pending)), strict=True
            ):
                seen[user_id] = photo_versions.read(item, self._photo_evidence(user_id))
                if item.status in photo_versions.PASSING:
                    again[user_id] = item
            throttled = any(item.status == TOO_MANY for item in again.values())
            failures += not throttled
            # While some get through, the service is only slow; nobody getting through is counted.
            throttles = throttles * (len(again) == len(pending)) + throttled
            if not again or failures >= ATTEMPTS or throttles >= THROTTLES:
                return seen
            pending = list(again)
            asked = [retry_after(item.headers, self._service.clock) for item in again.values()]
            wait = max((seconds for seconds in asked if seconds is not None), default=None)
            if throttled or wait is not None:
                self._service.hold(self._budget, answer, wait, max(throttles, failures))
            else:
                self._service.wait(self._budget, answer, backoff(failures))

    def photo(self, user_id: str) -> bytes | None:
        """The bytes of the largest rendition; None when there is no photo after all.

        Raises:
            InvalidPhoto: larger than any photo may be.
            ServiceError: Graph failed.
        """
        for path in (f"photos/{PHOTO_SIZE}", "photo"):
            url = f"{self._root}/users/{_segment(user_id)}/{path}/$value"
            answer = self._service.send(
                self._budget,
                Request("GET", url, accept={NOT_FOUND}, want_json=False, limit=PHOTO_LIMIT_BYTES),
            )
            if answer.oversize:
                raise InvalidPhoto(f"larger than {PHOTO_LIMIT_BYTES // 1024 // 1024} MB")
            if answer.ok:
                return answer.body
        return None

    def _pages(self, first: str, role: str, setting: str) -> Iterator[Page]:
        restarts = 0
        followed = {first}
        url: str | None = first
        while url:
            try:
                # The link carries the query, but not this header: it must go with every page.
                answer = self._service.send(
                    self._budget, Request("GET", url, headers={"ConsistencyLevel": "eventual"})
                )
            except AccessDenied as refused:
                raise PermissionMissing(_GRAPH, role, refused.evidence) from None
            except (RequestRejected, NotFound) as error:
                if url == first and error.evidence.status in _MISUNDERSTOOD:
                    raise ConfigurationError([f"{setting}: Graph refuses it: {error}"]) from None
                expired = "expiredpagetoken" in error.evidence.code.lower()
                if url == first or not expired or restarts >= LISTING_RESTARTS:
                    raise
                restarts += 1
                followed = {first}
                url = first
                continue
            body = answer.value
            if not isinstance(body, dict) or not isinstance(body.get("value"), list):
                raise answer.malformed("no list of users")
            users = [user for user in map(_user, body["value"]) if user]
            count = body.get("@odata.count")
            yield Page(
                users,
                count if isinstance(count, int) else None,
                len(body["value"]) - len(users),
            )
            url = body.get("@odata.nextLink")
            if url is not None:
                if not self._is_ours(url) or url in followed:
                    raise answer.malformed("nextLink leads nowhere")
                followed.add(url)

    def _is_ours(self, link: object) -> bool:
        try:
            return isinstance(link, str) and bool(self._service.pin(link))
        except ValueError:
            return False

    def _batch(self, ids: Sequence[str]) -> Response:
        headers = {"Content-Type": "application/json", "x-ms-throttle-priority": "low"}
        body = photo_versions.batch(ids)
        # 424 with answers in it: older documentation says so when an item was throttled.
        call = Request("POST", f"{self._root}/$batch", headers=headers, body=body, accept={424})
        try:
            answer = self._service.send(self._budget, call)
        except AccessDenied as refused:
            raise PermissionMissing(_GRAPH, "User.Read.All", refused.evidence) from None
        return answer if answer.ok else answer.parsed()

    def _photo_evidence(self, user_id: str) -> Evidence:
        return self._service.evidence("GET", f"{self._root}/users/{user_id}/photo")


def _user(entry: Any) -> User | None:
    if not isinstance(entry, dict):
        return None
    user_id, upn = entry.get("id"), entry.get("userPrincipalName")
    # Half a surrogate pair and control characters cannot be sent on, in a URL or as XML.
    if not isinstance(upn, str) or not upn or not upn.isprintable() or not is_object_id(user_id):
        return None
    return User(user_id.lower(), upn)


def _segment(value: str) -> str:
    """A value as one path segment; nothing in it can end the segment or start a query."""
    return quote(value, safe="")
