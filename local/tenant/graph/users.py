"""Users and members of groups in Microsoft Graph: select, filter, paging.

Sources: Microsoft Graph docs, "List users", "Paging", "Advanced query capabilities", "List group
transitive members".
"""

import base64
import bisect
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from local.tenant.directory import Directory, Person
from local.tenant.graph import user_filter
from local.tenant.graph.answers import Answer, Call, GraphError, bad_request, not_found
from local.tenant.graph.properties import (
    PROPERTIES,
    READ_USERS,
    need_more_than_basic,
    row,
    selected,
)
from local.tenant.quirks import Quirks

READ_MEMBERS = (
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)
DEFAULT_PAGE = 100
LARGEST_PAGE = 999
MOST_GROUPS = 20
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_LIST_OPTIONS = frozenset(
    {"$select", "$filter", "$top", "$count", "$skiptoken", "$orderby", "$search", "$expand"}
)
_SORTS: dict[str, Callable[[Person], str]] = {
    "displayname": lambda person: person.display_name.lower(),
    "userprincipalname": lambda person: person.upn.lower(),
}


class Users:
    """Answers directory calls about users and the people in groups."""

    def __init__(self, *, directory: Directory, quirks: Quirks) -> None:
        self._directory = directory
        self._quirks = quirks
        self._key = secrets.token_bytes(16)
        # The last few filtered listings: pages of one listing come one after the other.
        self._found: dict[tuple[str, str, int], list[Person]] = {}

    def expire_pages(self) -> None:
        """Make every page link given so far an expired one."""
        self._key = secrets.token_bytes(16)

    def everybody(self, call: Call) -> Answer:
        """`GET /users`."""
        call.allow(*READ_USERS)
        return self._page(call, "users", "", self._directory.people.values)

    def members(self, call: Call, group_id: str, cast: Sequence[str]) -> Answer:
        """`GET /groups/{id}/transitiveMembers`, with or without a cast to users."""
        call.allow(*READ_MEMBERS)
        if group_id not in self._directory.groups:
            raise not_found(group_id)
        if cast and cast[0].lower() != "microsoft.graph.user":
            raise bad_request(f"Resource not found for the segment '{cast[0]}'.")
        if cast and self._quirks.cast_needs_advanced:
            _need_advanced(call)
        kind = "users" if cast else "directoryObjects"
        return self._page(call, kind, group_id, lambda: self._directory.members(group_id))

    def group(self, call: Call, group_id: str) -> Answer:
        """`GET /groups/{id}`."""
        call.allow(*READ_MEMBERS)
        if group_id not in self._directory.groups:
            raise not_found(group_id)
        context = f"{call.root}/$metadata#groups/$entity"
        return Answer(200, {"@odata.context": context, "id": group_id, "displayName": "Pilots"})

    def get(self, call: Call, key: str) -> Answer:
        """`GET /users/{id or userPrincipalName}`."""
        call.allow(*READ_USERS)
        _known_options(call, frozenset({"$select", "$expand"}))
        person = self._directory.find(key)
        if person is None:
            raise not_found(key)
        names, context = selected(call)
        body = {"@odata.context": f"{call.root}/$metadata#users{context}/$entity"}
        units = 1.0
        return Answer(200, body | row(person, names), units=units)

    def check_member_groups(self, call: Call, key: str) -> Answer:
        """`POST /users/{id}/checkMemberGroups`: those of the given groups that hold the user.

        Transitive; needs a role for users and one for groups. An id that is no group of the
        directory is left out (the documentation is silent; it says so of groups that the caller may
        not see). Source: Microsoft Graph docs, "user: checkMemberGroups".
        """
        call.allow(*READ_USERS[1:])
        call.allow(*READ_MEMBERS)
        groups = call.body.get("groupIds") if isinstance(call.body, dict) else None
        if not isinstance(groups, list) or not 0 < len(groups) <= MOST_GROUPS:
            raise bad_request(f"groupIds must be a list of 1 to {MOST_GROUPS} ids.")
        if not all(isinstance(group, str) and _GUID.fullmatch(group) for group in groups):
            raise bad_request("Invalid GUID.", "Request_BadRequest")
        person = self._directory.find(key)
        if person is None:
            raise not_found(key)
        value = [
            group
            for group in groups
            if group in self._directory.groups and person in self._directory.members(group)
        ]
        return Answer(
            200,
            {"@odata.context": f"{call.root}/$metadata#Collection(Edm.String)"} | {"value": value},
        )

    def _page(
        self, call: Call, kind: str, group: str, people: Callable[[], Iterable[Person]]
    ) -> Answer:
        _known_options(call, _LIST_OPTIONS)
        names, context = selected(call)
        top = _top(call)
        found = self._matching(call, group, people)
        binding = hashlib.sha256(
            json.dumps([group, sorted(_without_token(call).items())]).encode()
        ).hexdigest()
        start, first = self._start(call, binding, found), "$skiptoken" not in call.query
        empty = first and self._quirks.empty_first_page
        end = 0 if empty else start + top
        rows = found[start:end]
        body: dict[str, Any] = {"@odata.context": f"{call.root}/$metadata#{kind}{context}"}
        if first and _counted(call):
            body["@odata.count"] = len(found)
        if end < len(found):
            token = self._token(binding, end, rows[-1].serial if rows else 0)
            body["@odata.nextLink"] = f"{call.root}{_link(call, token)}"
        typed = {} if kind == "users" else {"@odata.type": "#microsoft.graph.user"}
        body["value"] = [typed | row(person, names) for person in rows]
        saved = ("$select" in call.query) + (top < 20)  # noqa: PLR2004 - published cost rule
        return Answer(200, body, units=max(1, 2 - saved))

    def _matching(
        self, call: Call, group: str, people: Callable[[], Iterable[Person]]
    ) -> list[Person]:
        text, order = call.query.get("$filter", ""), call.query.get("$orderby", "")
        if "$search" in call.query or "$expand" in call.query:
            raise GraphError(501, "NotImplemented", "Not part of the emulated tenant.")
        if self._quirks.combined_filter_refused and text.lower().count("/any(") > 1:
            raise bad_request(
                "The specified filter to the reference property query is currently not supported.",
                "Request_UnsupportedQuery",
            )
        checked = _filter(call, text) if text or order else None
        key = (f"{group}?{text}", order, self._directory.version)
        found = self._found.get(key)
        if found is None:
            found = list(people())
            if checked is not None and text:
                getters = [(name, PROPERTIES[name]) for name in checked.properties]
                found = [
                    person
                    for person in found
                    if checked.test({name: get(person) for name, get in getters})
                ]
            if order:
                found.sort(key=_sort(order), reverse=order.lower().endswith(" desc"))
            while len(self._found) > 4:  # noqa: PLR2004 - a handful of listings at once
                self._found.pop(next(iter(self._found)), None)
            self._found[key] = found
        return found

    def _token(self, binding: str, offset: int, serial: int) -> str:
        plain = json.dumps([binding[:16], offset, serial]).encode()
        seal = hmac.new(self._key, plain, hashlib.sha256).digest()[:12]
        return base64.urlsafe_b64encode(seal + plain).decode().rstrip("=")

    def _start(self, call: Call, binding: str, found: list[Person]) -> int:
        """Where a page begins: after the last person of the page before.

        That holds when people have come or gone in between, too.
        """
        text = call.query.get("$skiptoken")
        if text is None:
            return 0
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True)
            seal, plain = sealed[:12], sealed[12:]
            bound, offset, serial = json.loads(plain)
        except ValueError as error:
            raise bad_request("Invalid value specified for $skiptoken.") from error
        if not hmac.compare_digest(hmac.new(self._key, plain, hashlib.sha256).digest()[:12], seal):
            raise bad_request(
                "The specified page token value has expired and can no longer be included in your"
                " request.",
                "Directory_ExpiredPageToken",
            )
        if bound != binding[:16]:
            raise bad_request("The $skiptoken belongs to another query.")
        if call.query.get("$orderby"):
            return int(offset)
        return bisect.bisect_right(found, serial, key=lambda person: person.serial)


def _known_options(call: Call, known: frozenset[str]) -> None:
    for name in call.query:
        if name.lower() not in known:
            raise bad_request(f"The query parameter '{name}' is not supported.")


def _top(call: Call) -> int:
    text = call.query.get("$top")
    if text is None:
        return DEFAULT_PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise bad_request(
            f"Invalid page size specified: '{text}'. Must be between 1 and 999 inclusive.",
            "Request_BadRequest",
        )
    return int(text)


def _advanced(call: Call) -> bool:
    return call.headers.get("consistencylevel", "").lower() == "eventual"


def _counted(call: Call) -> bool:
    """`$count=true` without the header is silently ignored."""
    return call.query.get("$count", "").lower() == "true" and _advanced(call)


def _need_advanced(call: Call) -> None:
    if not _counted(call):
        raise bad_request(
            "The request uses a property or operator that is not supported without"
            " ConsistencyLevel:eventual and $count=true.",
            "Request_UnsupportedQuery",
        )


def _filter(call: Call, text: str) -> user_filter.Filter | None:
    if not text:
        return None
    try:
        checked = user_filter.parse(text)
    except user_filter.BadFilter as error:
        raise bad_request(f"Invalid filter clause: {error}") from error
    if checked.advanced or "$orderby" in call.query:
        _need_advanced(call)
    need_more_than_basic(call, checked.properties)
    return checked


def _sort(order: str) -> Callable[[Person], str]:
    name = order.lower().removesuffix(" desc").removesuffix(" asc").strip()
    if name not in _SORTS:
        raise bad_request(f"Sorting by '{order}' is not supported.", "Request_UnsupportedQuery")
    return _SORTS[name]


def _without_token(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.query.items() if name != "$skiptoken"}


def _link(call: Call, token: str) -> str:
    options = [
        f"{name}={quote(value, safe="'(),:/")}" for name, value in _without_token(call).items()
    ]
    return f"{call.path}?{'&'.join([*options, f'$skiptoken={token}'])}"
