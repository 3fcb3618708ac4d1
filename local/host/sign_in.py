"""App Service authentication in front of the local functions, as far as the portal can see it.

What the platform's layer does, this does too (Microsoft's App Service documentation, "Work with
user identities" and "Customize sign-ins and sign-outs"): it deletes every `X-MS-*` header that a
caller sends, answers `/.auth/login/aad`, its callback and `/.auth/logout`, keeps the session in the
cookie `AppServiceAuthSession`, and passes the signed-in person on as `X-MS-CLIENT-PRINCIPAL`.
Instead of Entra ID, a page lets one pick who to be.

Not here: real tokens, the token store (so `/.auth/me` answers 404, as it does with the store off),
expiry of the cookie. The cookie is `SameSite=Lax`, because `None` needs https.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from html import escape
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

from local.host.http_message import HttpAnswer, Request

COOKIE = "AppServiceAuthSession"
CLIENT_ID = "b0a7c0de-0000-4000-8000-00000000c11e"
TENANT_ID = "7e4a4700-0000-4000-8000-0000000000aa"
OTHER_TENANT_ID = "07e4ba4e-0000-4000-8000-0000000000bb"
ROLE = "HelpDesk"
OLD_SESSION_SECONDS = 9 * 3600

_LOGIN, _CALLBACK, _LOGOUT = "/.auth/login/aad", "/.auth/login/aad/callback", "/.auth/logout"
_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_LONG = {
    "oid": _MICROSOFT + "objectidentifier",
    "tid": _MICROSOFT + "tenantid",
    "roles": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "sub": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "upn": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
}

type Next = Callable[[Request], HttpAnswer]


class Mode(StrEnum):
    """How the layer treats requests without a session."""

    CODE = "code"
    PLATFORM = "platform"
    OFF = "off"


class Dialect(StrEnum):
    """How claims are named."""

    SHORT = "short"
    LONG = "long"


@dataclass(frozen=True)
class Account:
    """Somebody, or something, that can sign in.

    Attributes:
        key: in the page's form.
        label: what this account is an example of.
        object_id: in Entra ID.
        name: display name; "" for an application.
        upn: user principal name; "" for an application.
        tenant_id: of the token.
        roles: app roles in the token.
        guest: signed in from another organization.
        age_seconds: how long ago the sign-in was.
    """

    key: str
    label: str
    object_id: str
    name: str
    upn: str
    tenant_id: str = TENANT_ID
    roles: tuple[str, ...] = ()
    guest: bool = False
    age_seconds: int = 0


def accounts(people: Sequence[tuple[str, str, str]]) -> tuple[Account, ...]:
    """The accounts that the sign-in page offers.

    Args:
        people: object ID, name and user principal name of at least two people of the tenant.
    """
    first, second = people[0], people[1]
    return (
        Account("employee", "employee", *first),
        Account("helpdesk", "help desk", *second, roles=(ROLE,)),
        Account(
            "guest",
            "guest of the tenant",
            "6e570000-0000-4000-8000-000000000001",
            "Gary Guest",
            "gary@fabrikam.example",
            guest=True,
        ),
        Account(
            "application",
            "token of an application",
            "a9900000-0000-4000-8000-000000000002",
            "",
            "",
            roles=(ROLE,),
        ),
        Account(
            "stale",
            "help desk with a sign-in of yesterday",
            *second,
            roles=(ROLE,),
            age_seconds=OLD_SESSION_SECONDS,
        ),
        Account(
            "stranger",
            "another organization",
            "57a49e00-0000-4000-8000-000000000003",
            "Strange Stranger",
            "strange@fabrikam.example",
            tenant_id=OTHER_TENANT_ID,
            roles=(ROLE,),
        ),
    )


def to_json(some: Iterable[Account]) -> str:
    """Accounts as the setting `LOCAL_SIGN_IN` holds them."""
    return json.dumps([asdict(account) for account in some])


def from_json(text: str) -> tuple[Account, ...]:
    """Accounts of the setting `LOCAL_SIGN_IN`."""
    return tuple(
        Account(**{**entry, "roles": tuple(entry.get("roles", ()))}) for entry in json.loads(text)
    )


def from_environment(environ: MutableMapping[str, str]) -> "SignIn | None":
    """The layer that the environment asks for, None without `LOCAL_SIGN_IN`.

    Both settings are taken out of the environment: functions in Azure see nothing like them.

    Raises:
        ValueError: a setting cannot be read.
    """
    text, mode = environ.pop("LOCAL_SIGN_IN", ""), environ.pop("LOCAL_SIGN_IN_MODE", "")
    return SignIn(from_json(text), Mode(mode or Mode.CODE.value)) if text else None


def settings(people: Sequence[tuple[str, str, str]], mode: Mode = Mode.CODE) -> dict[str, str]:
    """Settings of a local app with the portal and the sign-in layer.

    Args:
        people: object ID, name and user principal name of an employee and a help-desk employee.
        mode: of the layer.
    """
    return {
        **platform_variables(),
        "PORTAL_CLIENT_ID": CLIENT_ID,
        "LOCAL_SIGN_IN": to_json(accounts(people)),
        "LOCAL_SIGN_IN_MODE": mode.value,
    }


def platform_variables() -> dict[str, str]:
    """What App Service puts into the environment of an app with sign-in."""
    return {
        "WEBSITE_AUTH_ENABLED": "True",
        "WEBSITE_AUTH_CLIENT_ID": CLIENT_ID,
        "WEBSITE_AUTH_OPENID_ISSUER": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0",
        "WEBSITE_AUTH_AAD_ALLOWED_TENANTS": TENANT_ID,
    }


def principal(account: Account, dialect: Dialect, now: float | None = None) -> str:
    """The value of `X-MS-CLIENT-PRINCIPAL` for an account.

    Args:
        account: who signs in.
        dialect: how claims are named.
        now: seconds since the epoch, instead of the clock's.
    """
    issued = int((time.time() if now is None else now) - account.age_seconds)
    claims: list[tuple[str, str]] = [
        ("aud", CLIENT_ID),
        ("iss", f"https://login.microsoftonline.com/{account.tenant_id}/v2.0"),
        ("iat", str(issued)),
        ("exp", str(issued + 3600)),
        ("oid", account.object_id),
        ("tid", account.tenant_id),
        ("sub", "subject-" + account.key),
        ("ver", "2.0"),
    ]
    if account.name:
        claims += [("name", account.name), ("preferred_username", account.upn)]
        claims.append(("acct", "1" if account.guest else "0"))
    else:
        claims.append(("idtyp", "app"))
    claims += [("roles", role) for role in account.roles]
    names = _LONG if dialect is Dialect.LONG else {}
    document = {
        "auth_typ": "aad",
        "claims": [{"typ": names.get(name, name), "val": value} for name, value in claims],
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    }
    return base64.b64encode(json.dumps(document).encode()).decode()


class SignIn:
    """The layer; thread-safe. `handle` wraps whatever answers requests.

    Args:
        accounts: who can sign in.
        mode: see `Mode`.
        excluded: paths that mode `platform` leaves alone; one that ends with `/*` means everything
            below it.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        mode: Mode = Mode.CODE,
        excluded: Sequence[str] = ("/api/sync", "/api/sync/*"),
    ) -> None:
        self._accounts = {account.key: account for account in accounts}
        self._mode = mode
        self._excluded = [path.lower() for path in excluded]
        self._sessions: dict[str, tuple[Account, Dialect]] = {}
        self._lock = threading.Lock()

    def handle(self, request: Request, answer: Next) -> HttpAnswer:
        """Answer a request, or pass it on with the headers of the signed-in person."""
        if self._mode is Mode.OFF:
            return answer(request)
        path = request.path.lower()
        if path == _CALLBACK:
            return self._callback(request)
        if path == _LOGIN:
            return self._page(request)
        if path == _LOGOUT:
            return self._logout(request)
        if path.startswith("/.auth/"):
            return HttpAnswer(HTTPStatus.NOT_FOUND)
        session = self._session(request)
        if session is None and self._mode is Mode.PLATFORM and not self._is_excluded(path):
            back = request.path + (f"?{request.query}" if request.query else "")
            target = f"{_LOGIN}?post_login_redirect_uri={quote(back, safe='')}"
            return HttpAnswer(HTTPStatus.FOUND, {"Location": target})
        headers = {k: v for k, v in request.headers.items() if not k.lower().startswith("x-ms-")}
        if session is not None:
            account, dialect = session
            headers |= {
                "x-ms-client-principal": principal(account, dialect),
                "x-ms-client-principal-id": account.object_id,
                "x-ms-client-principal-name": account.upn or account.object_id,
                "x-ms-client-principal-idp": "aad",
            }
        return answer(replace(request, headers=headers))

    def sign_in(self, key: str, dialect: Dialect = Dialect.SHORT) -> str:
        """Open a session; returns the cookie's value."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[token] = (self._accounts[key], dialect)
        return token

    def end_sessions(self) -> None:
        """End every session, as their expiry does."""
        with self._lock:
            self._sessions.clear()

    def _session(self, request: Request) -> tuple[Account, Dialect] | None:
        with self._lock:
            return self._sessions.get(_cookie(request) or "")

    def _is_excluded(self, path: str) -> bool:
        return any(
            path.startswith(excluded[:-1]) if excluded.endswith("/*") else path == excluded
            for excluded in self._excluded
        )

    def _page(self, request: Request) -> HttpAnswer:
        back = parse_qs(request.query).get("post_login_redirect_uri", ["/api/portal"])[0]
        return _html("Who do you want to be?", _form(self._accounts.values(), _own(back)))

    def _callback(self, request: Request) -> HttpAnswer:
        form = parse_qs(request.receive().decode("utf-8", "replace"))
        key = form.get("account", [""])[0]
        if request.method != "POST" or key not in self._accounts:
            return HttpAnswer(HTTPStatus.UNAUTHORIZED)
        dialect = Dialect.LONG if form.get("dialect") == ["long"] else Dialect.SHORT
        cookie = f"{COOKIE}={self.sign_in(key, dialect)}; Path=/; HttpOnly; SameSite=Lax"
        location = _own(form.get("back", ["/api/portal"])[0])
        return HttpAnswer(HTTPStatus.FOUND, {"Location": location}, cookies=(cookie,))

    def _logout(self, request: Request) -> HttpAnswer:
        with self._lock:
            self._sessions.pop(_cookie(request) or "", None)
        wanted = parse_qs(request.query).get("post_logout_redirect_uri", [""])[0]
        cookie = f"{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        location = _own(wanted) if wanted else _LOGIN
        return HttpAnswer(HTTPStatus.FOUND, {"Location": location}, cookies=(cookie,))


def _cookie(request: Request) -> str | None:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _own(target: str) -> str:
    """A path on this host; anything else would be an open redirect."""
    parts = urlsplit(target)
    own = target.startswith("/") and not target.startswith("//") and "\\" not in target
    printable = target.isprintable() and target.isascii()
    return target if own and printable and not parts.netloc else "/api/portal"


def _form(some: Iterable[Account], back: str) -> str:
    buttons = "".join(
        f'<button name="account" value="{escape(account.key)}"><b>{escape(account.label)}</b>'
        f"<span>{escape(account.upn or account.object_id)}</span></button>"
        for account in some
    )
    return (
        f'<form method="post" action="{_CALLBACK}">'
        f'<input type="hidden" name="back" value="{escape(back)}">{buttons}'
        '<label><input type="checkbox" name="dialect" value="long"> long names of claims</label>'
        "</form><p>This page stands in for Microsoft Entra ID on this machine.</p>"
    )


_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:10vh auto;padding:0 1.5rem;"
    "background:#f6f5f1;color:#1c1f26}h1{letter-spacing:-.02em}form{display:grid;gap:.6rem}"
    "button{font:inherit;text-align:left;padding:.8rem 1.1rem;border-radius:14px;cursor:pointer;"
    "border:1px solid #85816f;background:#fff;color:inherit}button:hover{border-color:#0f6460}"
    "span{display:block;color:#5a606c}label{margin-top:.5rem}p{color:#5a606c}"
)


def _html(title: str, body: str) -> HttpAnswer:
    document = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="data:,"><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{body}</html>"
    )
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return HttpAnswer(HTTPStatus.OK, headers, document.encode())
