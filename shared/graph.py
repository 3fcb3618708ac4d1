"""Microsoft Graph: who is in scope, which version each photo has, and its bytes.

Protocol facts are from the Microsoft Graph documentation ("List users", "Advanced query
capabilities", "JSON batching", "Get profilePhoto") and from what administrators reported where it
is silent; docs/architecture.md lists what is uncertain.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard
from urllib.parse import quote, urlencode

from shared.answers import NOT_FOUND, TOO_MANY, Answer, error_of, retry_after
from shared.errors import (
    ConfigurationError,
    Evidence,
    InvalidPhoto,
    NotFound,
    PermissionMissing,
    PhotoSyncError,
    Refused,
    Rejected,
    Unavailable,
    UserUnknown,
)
from shared.transport import ATTEMPTS, RETRIED, Budget, Call, Service, backoff

BATCH_SIZE = 20
"""Most items of a JSON batch."""

PAGE_SIZE = 999
"""Most users of a page."""

PHOTO_SIZE = "648x648"
"""Largest rendition Graph makes; enough for every thumbnail and far smaller than originals."""

PHOTO_LIMIT_BYTES = 8 * 1024 * 1024
"""Exchange accepts uploads of up to 4 MB; more than twice that is no photo."""

LISTING_RESTARTS = 5
"""How often an expired page token may start the listing again."""

_GRAPH = "Microsoft Graph"
_USER_GONE = "Request_ResourceNotFound"
_UNCERTAIN = frozenset({"MailboxNotEnabledForRESTAPI", "AuthenticationError"})


@dataclass(frozen=True, slots=True)
class User:
    """A user in scope.

    Attributes:
        id: Entra object id, lower case.
        upn: user principal name.
    """

    id: str
    upn: str


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
    """Exchange has no photo.

    Attributes:
        certain: False when the answer only says that the mailbox cannot be reached through Graph.
    """

    certain: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """Graph did not say. Never to be read as "no photo"."""

    error: PhotoSyncError


type Seen = Version | NoPhoto | Unknown


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

    def users(self, user_filter: str) -> Iterator[Page]:
        """All users that match an OData filter; after an expired page token, again from the start.

        Raises:
            ConfigurationError: Graph does not understand the filter.
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: the listing could not be read.
        """
        query = {
            "$filter": user_filter,
            "$select": "id,userPrincipalName",
            "$top": str(PAGE_SIZE),
            "$count": "true",
        }
        return self._pages(f"{self._root}/users?{urlencode(query)}", "User.Read.All", "USER_FILTER")

    def members(self, group_id: str) -> Iterator[Page]:
        """The users among a group's members, nested groups included.

        Raises:
            ConfigurationError: there is no such group.
            PermissionMissing: `GroupMember.Read.All` is missing.
            ServiceError: the listing could not be read.
        """
        query = {"$select": "id,userPrincipalName", "$top": str(PAGE_SIZE), "$count": "true"}
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
            answer = self._service.send(self._budget, Call("GET", url))
        except NotFound:
            raise UserUnknown(f"the directory has no user {name}") from None
        except Refused as refused:
            raise PermissionMissing(_GRAPH, "User.Read.All", refused.evidence) from None
        user = _user(answer.value)
        if user is None:
            raise answer.malformed("no id and userPrincipalName")
        return user

    def versions(self, ids: Sequence[str]) -> dict[str, Seen]:
        """The version of each user's photo; one batch of at most `BATCH_SIZE`.

        Every id has an entry before the first request, so a missing answer cannot be forgotten.
        Throttled and failed items are asked again, without those that were answered.

        Raises:
            PermissionMissing: Graph refuses the whole batch.
            Throttled, OutOfTime: no time to hear all.
            ServiceError: the batch as a whole failed.
        """
        seen: dict[str, Seen] = {
            i: Unknown(Unavailable(self._item_evidence(i, "no answer"))) for i in ids
        }
        pending = list(ids)
        failures = throttles = 0
        while True:
            answer = self._batch(pending)
            items = _items(answer, len(pending))
            throttled: list[float | None] = []
            again = []
            for index, user_id in enumerate(pending):
                status, headers, body = items.get(str(index), (0, {}, None))
                if status == TOO_MANY:
                    throttled.append(retry_after(headers, self._service.clock))
                    again.append(user_id)
                    continue
                seen[user_id] = self._seen(user_id, status, body)
                if status in RETRIED or not status:
                    again.append(user_id)
            if not again:
                return seen
            pending = again
            if throttled:
                throttles += 1
                asked = max((wait for wait in throttled if wait is not None), default=None)
                self._service.hold(self._budget, answer, asked, throttles)
            else:
                failures += 1
                if failures >= ATTEMPTS:
                    return seen
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
                Call("GET", url, accept={NOT_FOUND}, want_json=False, limit=PHOTO_LIMIT_BYTES),
            )
            if answer.oversize:
                raise InvalidPhoto(f"larger than {PHOTO_LIMIT_BYTES // 1024 // 1024} MB")
            if answer.ok:
                return answer.body
        return None

    def _pages(self, first: str, role: str, setting: str) -> Iterator[Page]:
        restarts = 0
        url: str | None = first
        while url:
            try:
                # The link carries the query, but not this header: it must go with every page.
                answer = self._service.send(
                    self._budget, Call("GET", url, headers={"ConsistencyLevel": "eventual"})
                )
            except Refused as refused:
                raise PermissionMissing(_GRAPH, role, refused.evidence) from None
            except (Rejected, NotFound) as error:
                expired = "ExpiredPageToken" in error.evidence.code
                if expired and url != first and restarts < LISTING_RESTARTS:
                    restarts += 1
                    url = first
                    continue
                if url != first:
                    raise
                raise ConfigurationError([f"{setting}: Graph refuses it: {error}"]) from None
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
            link = body.get("@odata.nextLink")
            if link is not None and (link == url or not self._is_ours(link)):
                raise answer.malformed("nextLink leads nowhere")
            url = link

    def _is_ours(self, link: object) -> bool:
        try:
            return isinstance(link, str) and bool(self._service.pin(link))
        except ValueError:
            return False

    def _batch(self, ids: Sequence[str]) -> Answer:
        requests = [
            {"id": str(index), "method": "GET", "url": f"/users/{_segment(user_id)}/photo"}
            for index, user_id in enumerate(ids)
        ]
        headers = {"Content-Type": "application/json", "x-ms-throttle-priority": "low"}
        body = json.dumps({"requests": requests}).encode()
        # 424 with answers in it: older documentation says so when an item was throttled.
        call = Call("POST", f"{self._root}/$batch", headers=headers, body=body, accept={424})
        try:
            answer = self._service.send(self._budget, call)
        except Refused as refused:
            raise PermissionMissing(_GRAPH, "User.Read.All", refused.evidence) from None
        return answer if answer.ok else answer.parsed()

    def _seen(self, user_id: str, status: int, body: Any) -> Seen:
        if status == 200:  # noqa: PLR2004
            return self._version(user_id, body)
        code, message = error_of(body)
        evidence = replace(
            self._item_evidence(user_id, message or "no answer"), status=status, code=code
        )
        if status == NOT_FOUND and code == _USER_GONE:
            return Unknown(UserUnknown("the directory no longer has this user"))
        # The code for "no photo" changed four times in six years; the status did not.
        if status == NOT_FOUND or code in _UNCERTAIN:
            return NoPhoto(certain=code not in _UNCERTAIN)
        if status in {401, 403}:
            return Unknown(Refused(evidence))
        return Unknown(Unavailable(evidence) if status in RETRIED | {0} else Rejected(evidence))

    def _version(self, user_id: str, body: Any) -> Seen:
        if not isinstance(body, dict):
            return Unknown(Rejected(self._item_evidence(user_id, "photo without description")))
        etag = body.get("@odata.mediaEtag")
        # Documented form of "no photo" beside 404: a 1x1 GIF with an empty etag.
        placeholder = body.get("width") == 1 and body.get("height") == 1
        if not etag and (placeholder or str(body.get("id")).lower() == "1x1"):
            return NoPhoto()
        return Version(etag if isinstance(etag, str) else "")

    def _item_evidence(self, user_id: str, message: str) -> Evidence:
        url = f"{self._root}/users/{user_id}/photo"
        return Evidence(self._service.name, "GET", url, message=message)


type _Item = tuple[int, Mapping[str, str], Any]


def _items(answer: Answer, asked: int) -> dict[str, _Item]:
    """The batch's answers by id; an id nobody asked for, or a shape nobody knows, is left out.

    Raises:
        MalformedAnswer: it is no batch answer at all.
    """
    body = answer.value
    responses = body.get("responses") if isinstance(body, dict) else None
    if not isinstance(responses, list):
        raise answer.malformed("no batch answer")
    known = {str(index) for index in range(asked)}
    items: dict[str, _Item] = {}
    for response in responses:
        if not isinstance(response, dict) or response.get("id") not in known:
            continue
        status, headers = response.get("status"), response.get("headers")
        if isinstance(status, int):
            headers = headers if isinstance(headers, dict) else {}
            items[response["id"]] = status, headers, response.get("body")
    return items


def _user(entry: Any) -> User | None:
    if not isinstance(entry, dict):
        return None
    user_id, upn = entry.get("id"), entry.get("userPrincipalName")
    if not isinstance(upn, str) or not upn or not is_object_id(user_id):
        return None
    return User(user_id.lower(), upn)


def is_object_id(value: object) -> TypeGuard[str]:
    """Whether this is an Entra object id in its usual form, hexadecimal 8-4-4-4-12."""
    if not isinstance(value, str):
        return False
    groups = value.split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and all(
        c in "0123456789abcdefABCDEF" for group in groups for c in group
    )


def _segment(value: str) -> str:
    """A value as one path segment; nothing in it can end the segment or start a query."""
    return quote(value, safe="")
