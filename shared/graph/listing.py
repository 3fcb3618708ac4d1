"""Listings of Microsoft Graph: pages of users, each with the link to the next.

Source: Microsoft Graph documentation, "List users", "Paging", "Advanced query capabilities".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from shared.errors import (
    AccessDenied,
    ConfigurationError,
    FilterRefused,
    ListingExpired,
    NotFound,
    PermissionMissing,
    RequestRejected,
    ServiceError,
)
from shared.graph.photo_versions import is_gone
from shared.http import NOT_FOUND, Budget, Request, Response, Service
from shared.model import User, is_object_id
from shared.roles import GRAPH

PAGE_SIZE = 999
"""Most users of a page."""

ADVANCED = {"ConsistencyLevel": "eventual"}
"""Header of advanced queries; the link to the next page does not carry it."""

SELECTED = "id,userPrincipalName"

_BAD_REQUEST = 400
_MISUNDERSTOOD = frozenset({_BAD_REQUEST, 414})
"""Statuses of a refused first page that are about the filter or the group."""

_LINK_REFUSED = frozenset({_BAD_REQUEST, NOT_FOUND, 410})
"""Statuses that Graph returns for a stored link that is no longer valid."""


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    Attributes:
        users: in the order they came.
        expected: how many the whole listing has, on the first page only.
        unusable: entries without a usable id or name.
        next_link: URL of the next page, to resume the listing; None on the last page.
    """

    users: Sequence[User]
    expected: int | None
    unusable: int
    next_link: str | None = None


class Listing:
    """Reads listings page by page.

    Args:
        service: the process's Graph service.
        root: with version, for example `https://graph.microsoft.com/v1.0`.
        budget: time, guard and meter of the invocation.
    """

    def __init__(self, service: Service, root: str, budget: Budget) -> None:
        self._service = service
        self._root = root
        self._budget = budget

    def users(self, user_filter: str, page_size: int, resume: str | None) -> Iterator[Page]:
        """See `Graph.user_pages`."""
        query = {
            "$filter": user_filter,
            "$select": SELECTED,
            "$top": str(page_size),
            "$count": "true",
        }
        first = f"{self._root}/users?{urlencode(query)}"
        return self._pages(first, resume, "User.Read.All", "USER_FILTER")

    def members(self, group_id: str, page_size: int, resume: str | None) -> Iterator[Page]:
        """See `Graph.member_pages`."""
        query = {"$select": SELECTED, "$top": str(page_size), "$count": "true"}
        first = (
            f"{self._root}/groups/{segment(group_id)}/transitiveMembers/microsoft.graph.user"
            f"?{urlencode(query)}"
        )
        return self._pages(first, resume, "GroupMember.Read.All", "SYNC_GROUP_ID")

    def _pages(self, first: str, resume: str | None, role: str, setting: str) -> Iterator[Page]:
        url = first if resume is None else resume
        if not self._is_ours(url):
            evidence = self._service.evidence("GET", first)
            raise ListingExpired(replace(evidence, message="the stored link leads elsewhere"))
        followed: set[str] = set()
        while True:
            followed.add(url)
            try:
                response = self._service.send(self._budget, Request("GET", url, headers=ADVANCED))
            except AccessDenied as refused:
                raise PermissionMissing(GRAPH, role, refused.evidence) from None
            except (RequestRejected, NotFound) as error:
                raise _refusal(error, setting, first=url == first, resumed=url == resume) from None
            page = _page(response)
            if page.next_link is not None and (
                page.next_link in followed or not self._is_ours(page.next_link)
            ):
                raise response.malformed("nextLink leads nowhere")
            yield page
            if page.next_link is None:
                return
            url = page.next_link

    def _is_ours(self, link: str) -> bool:
        """Whether a link leads to Graph: a token goes with it."""
        try:
            return link.startswith(f"{self._root}/") and bool(self._service.pin(link))
        except ValueError:
            return False


def _refusal(
    error: ServiceError, setting: str, *, first: bool, resumed: bool
) -> ServiceError | ConfigurationError:
    """What a refused page means."""
    evidence = error.evidence
    if first and evidence.status == _BAD_REQUEST and setting == "USER_FILTER":
        return FilterRefused(evidence)
    # A group that does not exist is told by its code; any other 404 is of a wrong address.
    if first and (evidence.status in _MISUNDERSTOOD or is_gone(evidence)):
        return ConfigurationError([f"{setting}: Microsoft Graph refuses it ({evidence})"])
    expired = "expiredpagetoken" in evidence.code.lower()
    if not first and (expired or (resumed and evidence.status in _LINK_REFUSED)):
        return ListingExpired(evidence)
    return error


def _page(response: Response) -> Page:
    body = response.value
    if not isinstance(body, dict) or not isinstance(body.get("value"), list):
        raise response.malformed("no list of users")
    users = [user for user in map(user_of, body["value"]) if user]
    count, link = body.get("@odata.count"), body.get("@odata.nextLink")
    if link is not None and not isinstance(link, str):
        raise response.malformed("nextLink leads nowhere")
    expected = count if isinstance(count, int) and not isinstance(count, bool) else None
    return Page(users, expected, len(body["value"]) - len(users), link)


def user_of(entry: Any) -> User | None:
    """A user object; None when it has no usable id and name."""
    if not isinstance(entry, dict):
        return None
    user_id, upn = entry.get("id"), entry.get("userPrincipalName")
    # Half a surrogate pair and control characters cannot be sent on, in a URL or as XML.
    if not isinstance(upn, str) or not upn or not upn.isprintable() or not is_object_id(user_id):
        return None
    return User(user_id.lower(), upn)


def segment(value: str) -> str:
    """A value as one path segment; nothing in it can end the segment or start a query."""
    return quote(value, safe="")
