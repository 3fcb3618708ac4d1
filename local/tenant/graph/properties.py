"""Properties of users in Microsoft Graph: names, values, and who may select them.

Source: Microsoft Graph docs "user resource type", "List users".
"""

from collections.abc import Callable, Iterable
from typing import Any

from local.tenant.directory import Person
from local.tenant.graph.answers import Call, GraphError, bad_request

READ_USERS = (
    "User.ReadBasic.All",
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)
PROPERTIES: dict[str, Callable[[Person], Any]] = {
    # The first eleven are what comes without $select.
    "businessPhones": lambda _: [],
    "displayName": lambda person: person.display_name,
    "givenName": lambda person: person.display_name.partition(" ")[0],
    "jobTitle": lambda _: None,
    "mail": lambda person: person.mail or None,
    "mobilePhone": lambda _: None,
    "officeLocation": lambda _: None,
    "preferredLanguage": lambda _: None,
    "surname": lambda person: person.display_name.rpartition(" ")[2],
    "userPrincipalName": lambda person: person.upn,
    "id": lambda person: person.id,
    "accountEnabled": lambda person: person.account_enabled,
    "assignedLicenses": lambda _: [],
    "assignedPlans": lambda person: person.plans,
    "city": lambda _: None,
    "companyName": lambda _: None,
    "country": lambda _: None,
    "createdDateTime": lambda _: "2020-01-01T00:00:00Z",
    "department": lambda person: person.department or None,
    "employeeId": lambda _: None,
    "employeeType": lambda _: None,
    "mailNickname": lambda person: person.upn.partition("@")[0],
    "onPremisesExtensionAttributes": lambda _: {},
    "onPremisesImmutableId": lambda _: None,
    "onPremisesSyncEnabled": lambda _: None,
    "proxyAddresses": lambda person: [f"SMTP:{person.mail}"] if person.mail else [],
    "securityIdentifier": lambda person: f"S-1-12-1-{person.serial}",
    "usageLocation": lambda _: "NL",
    "userType": lambda person: person.user_type,
}
_DEFAULT = tuple(PROPERTIES)[:11]
_BASIC = frozenset(
    {"displayName", "givenName", "id", "mail", "securityIdentifier", "surname"}
    | {"userPrincipalName"}
)
_NAMES = {name.lower(): name for name in PROPERTIES}
#: Kept outside the directory: refused when users are listed.
_ELSEWHERE = frozenset(
    {"aboutme", "birthday", "hiredate", "interests", "mailboxsettings", "mysite", "pastprojects"}
    | {"preferredname", "responsibilities", "schools", "skills"}
)


def selected(call: Call) -> tuple[tuple[str, ...], str]:
    """Names of the wanted properties, and how the context URL lists them."""
    text = call.query.get("$select")
    if not text:
        return _DEFAULT, ""
    names = []
    for part in text.split(","):
        name = part.strip().lower()
        if name == "photo":
            continue  # a navigation property: silently ignored
        if name in _ELSEWHERE:
            raise GraphError(501, "NotImplemented", "This operation target is not yet supported.")
        if name not in _NAMES:
            raise bad_request(
                f"Could not find a property named '{part.strip()}' on type 'microsoft.graph.user'."
            )
        names.append(_NAMES[name])
    need_more_than_basic(call, frozenset(names))
    return tuple(names), f"({','.join(names)})"


def need_more_than_basic(call: Call, names: frozenset[str]) -> None:
    """Check that the caller may see these properties.

    Raises:
        GraphError: 403, they are more than the basic ones.
    """
    if names - _BASIC:
        call.allow(*READ_USERS[1:])


def row(person: Person, names: Iterable[str]) -> dict[str, Any]:
    """The named properties of a person."""
    return {name: PROPERTIES[name](person) for name in names}
