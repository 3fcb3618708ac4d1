"""People of the directory, for the help desk: one by object ID, some by the beginning of a name.

Source: Microsoft Graph documentation, "Get user", "List users", "Use the $filter query parameter"
(`startswith` on these properties needs no advanced query).
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from shared.errors import AccessDenied, NotFound, PermissionMissing, UserUnknown
from shared.http import Budget, Request, Service
from shared.model import is_object_id

_FIELDS = "id,displayName,userPrincipalName,mail,userType"
_SEARCHED = ("displayName", "givenName", "surname", "userPrincipalName", "mail")
_ROLE = "User.Read.All"
_LARGEST_PAGE = 50


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the directory describes them.

    Attributes:
        id: Entra object ID, lower case.
        name: display name, may be empty.
        upn: user principal name.
        mail: address, may be empty.
        guest: `userType` is `Guest`; people from before 2014 have none and are members.
    """

    id: str
    name: str
    upn: str
    mail: str
    guest: bool


class Directory:
    """Reads people for one invocation.

    Args:
        service: the process's Graph service.
        root: for example `https://graph.microsoft.com`, without version.
        budget: time and meter of the invocation.
    """

    def __init__(self, service: Service, root: str, budget: Budget) -> None:
        self._service = service
        self._root = f"{root}/v1.0/users"
        self._budget = budget

    def person(self, user_id: str) -> Person:
        """The user with this object ID.

        Raises:
            UserUnknown: the directory has none.
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: Graph failed.
        """
        url = f"{self._root}/{quote(user_id, safe='')}?{urlencode({'$select': _FIELDS})}"
        try:
            answer = self._service.send(self._budget, Request("GET", url))
        except NotFound:
            raise UserUnknown(f"the directory has no user {user_id}") from None
        except AccessDenied as refused:
            raise PermissionMissing("Microsoft Graph", _ROLE, refused.evidence) from None
        person = _person(answer.value)
        if person is None:
            raise answer.malformed("no id and userPrincipalName")
        return person

    def search(self, text: str, limit: int) -> list[Person]:
        """Members whose name or address begins with a text, in order of their names.

        Args:
            text: anything; it becomes an OData literal.
            limit: most people to return.

        Raises:
            PermissionMissing: `User.Read.All` is missing.
            ServiceError: Graph failed.
        """
        literal = text.replace("'", "''")
        query = {
            "$filter": " or ".join(f"startswith({name},'{literal}')" for name in _SEARCHED),
            "$select": _FIELDS,
            "$top": str(min(_LARGEST_PAGE, 2 * limit)),
        }
        url = f"{self._root}?{urlencode(query, quote_via=quote)}"
        try:
            answer = self._service.send(self._budget, Request("GET", url))
        except AccessDenied as refused:
            raise PermissionMissing("Microsoft Graph", _ROLE, refused.evidence) from None
        entries = answer.value.get("value") if isinstance(answer.value, dict) else None
        if not isinstance(entries, list):
            raise answer.malformed("no list of users")
        people = [person for entry in entries if (person := _person(entry)) and not person.guest]
        return sorted(people, key=lambda person: (person.name.casefold(), person.upn))[:limit]


def _person(entry: Any) -> Person | None:
    if not isinstance(entry, dict):
        return None
    user_id, upn = entry.get("id"), entry.get("userPrincipalName")
    if not is_object_id(user_id) or not isinstance(upn, str) or not upn.isprintable() or not upn:
        return None
    return Person(
        id=user_id.lower(),
        name=_text(entry.get("displayName")),
        upn=upn,
        mail=_text(entry.get("mail")),
        guest=entry.get("userType") == "Guest",
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""
