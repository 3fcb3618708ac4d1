"""Who is calling: headers in, a person or the reason for a refusal out. Pure.

App Service authentication passes the signed-in person on as `X-MS-CLIENT-PRINCIPAL`: Base64 of
`{"auth_typ", "claims": [{"typ", "val"}], "name_typ", "role_typ"}`. Names of claims come short
(`oid`) or long (`http://schemas.microsoft.com/identity/claims/objectidentifier`), depending on the
app's settings, so both are read (reference/portal.md 3.1). Nothing here is proof by itself: see
`shared.sign_in.expected` and `shared.sign_in.proof`.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from shared.model import is_object_id
from shared.sign_in.expected import Expected

HELP_DESK = "HelpDesk"
"""Value of the app role in the portal's app registration."""

PROBE_ID = "f0f0f0f0-0000-4000-8000-f0f0f0f0f0f0"
"""Object ID of nobody: only the forged principal of `shared.sign_in.proof` carries it."""

MAX_PRINCIPAL_CHARACTERS = 16_384
MAX_CLAIMS = 512
MAX_SESSION_SECONDS = 8 * 3600
"""How old a sign-in may be. The session cookie lives as long; an app role lives in the session."""

_CLOCK_SKEW_SECONDS = 300

_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_OBJECT_ID = frozenset({"oid", _MICROSOFT + "objectidentifier"})
_TENANT_ID = frozenset({"tid", _MICROSOFT + "tenantid"})
_SIGN_IN_NAME = (
    "preferred_username",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
)
_ROLES = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
_GUEST_MARK = "#ext#"


class Refusal(StrEnum):
    """Why a caller is nobody here. The values are kinds of problems; the pages have their texts."""

    NOT_SIGNED_IN = "not-signed-in"
    STALE = "session-too-old"
    NO_BROWSER = "browser-sign-in-only"
    MALFORMED = "sign-in-not-understood"
    OTHER_TENANT = "other-tenant"
    OTHER_APPLICATION = "other-application"
    APPLICATION = "people-only"
    GUEST = "guest"
    FORGED = "forged"

    @property
    def status(self) -> HTTPStatus:
        """401 where signing in (again) helps, else 403."""
        return _STATUS.get(self, HTTPStatus.FORBIDDEN)

    @property
    def detail(self) -> str:
        """One English sentence."""
        return _DETAIL[self]


_STATUS = {
    Refusal.NOT_SIGNED_IN: HTTPStatus.UNAUTHORIZED,
    Refusal.STALE: HTTPStatus.UNAUTHORIZED,
    Refusal.NO_BROWSER: HTTPStatus.UNAUTHORIZED,
    Refusal.MALFORMED: HTTPStatus.UNAUTHORIZED,
}
_DETAIL = {
    Refusal.NOT_SIGNED_IN: "Sign in first.",
    Refusal.STALE: "Your sign-in is too old. Sign in again.",
    Refusal.NO_BROWSER: "The portal accepts only people who sign in with a browser, no tokens.",
    Refusal.MALFORMED: "The platform's description of the signed-in person cannot be understood.",
    Refusal.OTHER_TENANT: "Your account belongs to another organization.",
    Refusal.OTHER_APPLICATION: "The sign-in is for another application.",
    Refusal.APPLICATION: "Only people may use the portal, no applications.",
    Refusal.GUEST: "Guest accounts have no photo that this service keeps.",
    Refusal.FORGED: "A forged identity reached the app.",
}


@dataclass(frozen=True)
class Person:
    """A signed-in member of the tenant.

    Attributes:
        id: Entra object ID, lower case.
        name: to show; may be empty.
        help_desk: holds the app role `HelpDesk`.
    """

    id: str
    name: str
    help_desk: bool


class _Unreadable(Exception):
    """The principal is not what the platform writes."""


def read(headers: Mapping[str, str], expected: Expected, now: float) -> Person | Refusal:
    """The person who calls, or why there is none.

    Args:
        headers: of the request; the host joins repeated ones with a comma.
        expected: application and tenant that the sign-in must be for.
        now: seconds since the epoch.
    """
    values = {name.lower(): value for name, value in headers.items()}
    if "authorization" in values or "x-zumo-auth" in values:
        return Refusal.NO_BROWSER
    encoded = values.get("x-ms-client-principal")
    if not encoded:
        return Refusal.NOT_SIGNED_IN
    if values.get("x-ms-client-principal-idp") != "aad":
        return Refusal.MALFORMED
    try:
        return _judge(_Claims(_decode(encoded)), expected, now)
    except _Unreadable:
        return Refusal.MALFORMED


class _Claims:
    """The claims of a principal.

    Raises:
        _Unreadable: it has none.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        entries = document.get("claims")
        if document.get("auth_typ") != "aad" or not isinstance(entries, list):
            raise _Unreadable
        if len(entries) > MAX_CLAIMS:
            raise _Unreadable
        self._values: list[tuple[str, str]] = []
        for entry in entries:
            if not isinstance(entry, dict):
                raise _Unreadable
            name, value = entry.get("typ"), entry.get("val")
            if not isinstance(name, str) or not isinstance(value, str):
                raise _Unreadable
            self._values.append((name, value))
        role_type = document.get("role_typ")
        self.role_names = _ROLES | ({role_type} if isinstance(role_type, str) else set())

    def all(self, names: Iterable[str]) -> list[str]:
        """Every value under any of these names."""
        wanted = set(names)
        return [value for name, value in self._values if name in wanted]

    def one(self, *names: str) -> str | None:
        """The only value under these names; None when there is none.

        Raises:
            _Unreadable: there are two that differ.
        """
        found = set(self.all(names))
        if len(found) > 1:
            raise _Unreadable
        return found.pop() if found else None


def _judge(claims: _Claims, expected: Expected, now: float) -> Person | Refusal:
    tenant = claims.one(*_TENANT_ID)
    user_id = claims.one(*_OBJECT_ID)
    if user_id == PROBE_ID:
        return Refusal.FORGED
    if tenant is None or user_id is None or not is_object_id(user_id):
        raise _Unreadable
    if tenant.lower() != expected.tenant_id:
        return Refusal.OTHER_TENANT
    audience = claims.one("aud")
    if audience is not None and audience.lower() != expected.client_id:
        return Refusal.OTHER_APPLICATION
    sign_in_names = claims.all(_SIGN_IN_NAME)
    name = next(iter(claims.all(["name"])), "")
    if "app" in claims.all(["idtyp"]) or not (name or sign_in_names):
        return Refusal.APPLICATION
    if _is_guest(claims, sign_in_names):
        return Refusal.GUEST
    if _is_stale(claims.one("iat"), now):
        return Refusal.STALE
    roles = claims.all(claims.role_names)
    return Person(user_id.lower(), name or sign_in_names[0], HELP_DESK in roles)


def _is_guest(claims: _Claims, sign_in_names: Iterable[str]) -> bool:
    """`acct` is 1 for guests (Entra: optional claims); a guest's own UPN holds `#EXT#`."""
    account = claims.one("acct")
    if account is not None and account != "0":
        return True
    return any(_GUEST_MARK in name.lower() for name in sign_in_names)


def _is_stale(issued: str | None, now: float) -> bool:
    """Whether the sign-in is older than a session may be; without a time the cookie decides."""
    if issued is None:
        return False
    if not issued.isascii() or not issued.isdecimal() or len(issued) > len("99999999999"):
        raise _Unreadable
    age = now - int(issued)
    return not -_CLOCK_SKEW_SECONDS <= age <= MAX_SESSION_SECONDS + _CLOCK_SKEW_SECONDS


def _decode(encoded: str) -> dict[str, Any]:
    """The JSON object in the header.

    Raises:
        _Unreadable: too long, no strict Base64, no UTF-8, no JSON object, a name twice.
    """
    if len(encoded) > MAX_PRINCIPAL_CHARACTERS or not encoded.isascii():
        raise _Unreadable
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique)
    except (binascii.Error, UnicodeDecodeError, ValueError, RecursionError):
        raise _Unreadable from None
    if not isinstance(document, dict):
        raise _Unreadable
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unreadable
    return found
