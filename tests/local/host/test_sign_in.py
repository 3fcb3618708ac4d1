"""The local App Service authentication layer."""

import base64
from collections.abc import Mapping

import pytest

from local.host import HttpAnswer, Request
from local.host.sign_in import (
    COOKIE,
    Dialect,
    Mode,
    SignIn,
    accounts,
    from_environment,
    from_json,
    settings,
    to_json,
)

PEOPLE = (
    ("11111111-1111-4111-8111-111111111111", "Adele Vance", "adele@contoso.example"),
    ("22222222-2222-4222-8222-222222222222", "Henrik Desk", "henrik@contoso.example"),
)
FORGED = {"x-ms-client-principal": "forged", "X-MS-TOKEN-AAD-ID-TOKEN": "x", "accept": "a"}


def layer(mode: Mode = Mode.CODE) -> SignIn:
    return SignIn(accounts(PEOPLE), mode)


def request(
    path: str, headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes = b""
) -> Request:
    return Request.of(method, path, dict(headers or {}), lambda: body)


def passed(made: SignIn, path: str = "/api/portal", **headers: str) -> dict[str, str] | HttpAnswer:
    """Headers that reach the app, or the layer's own answer."""
    seen: list[Mapping[str, str]] = []

    def app(inner: Request) -> HttpAnswer:
        seen.append(inner.headers)
        return HttpAnswer(200)

    answer = made.handle(request(path, headers), app)
    return dict(seen[0]) if seen else answer


def test_forged_headers_are_deleted() -> None:
    """Nothing of a caller's X-MS-* reaches the app, signed in or not."""
    made = layer()
    assert passed(made, **FORGED) == {"accept": "a"}
    cookie = f"{COOKIE}={made.sign_in('employee')}"
    inside = passed(made, **FORGED, cookie=cookie)
    assert isinstance(inside, dict)
    assert inside["x-ms-client-principal-id"] == PEOPLE[0][0]
    assert "X-MS-TOKEN-AAD-ID-TOKEN" not in inside
    assert inside["x-ms-client-principal"] != "forged"


def test_off() -> None:
    """Switched off, everything reaches the app: what the portal must survive."""
    assert passed(layer(Mode.OFF), **FORGED) == FORGED
    assert passed(layer(Mode.OFF), "/.auth/login/aad") == {}


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("key", [account.key for account in accounts(PEOPLE)])
def test_sessions(key: str, dialect: Dialect) -> None:
    """Whoever is picked on the page is passed on, until they sign out."""
    made = layer()
    form = f"account={key}&back=%2Fapi%2Fportal%3Flang%3Dfi&dialect={dialect}".encode()
    signed_in = made.handle(request("/.auth/login/aad/callback", {}, "POST", form), no_app)
    assert (signed_in.status, signed_in.headers) == (302, {"Location": "/api/portal?lang=fi"})
    (cookie,) = signed_in.cookies
    assert "HttpOnly" in cookie
    sent = {"cookie": f"other=1; {cookie.partition(';')[0]}"}
    inside = passed(made, **sent)
    assert isinstance(inside, dict)
    long = b"objectidentifier" in base64.b64decode(inside["x-ms-client-principal"])
    assert long is (dialect is Dialect.LONG)
    out = made.handle(request("/.auth/logout?post_logout_redirect_uri=/x", sent), no_app)
    assert out.headers == {"Location": "/x"}
    assert passed(made, **sent) == sent


def no_app(_: Request) -> HttpAnswer:
    raise AssertionError("the app is not asked")


@pytest.mark.parametrize(
    ("path", "through"),
    [
        ("/api/portal", False),
        ("/api/sync", True),
        ("/API/Sync", True),
        ("/api/sync/adele@contoso.example", True),
        ("/api/synchrotron", False),
        ("/admin/host/status", False),
    ],
)
def test_platform_mode(path: str, *, through: bool) -> None:
    """The platform sends everybody to sign-in, but for the excluded paths."""
    found = passed(layer(Mode.PLATFORM), path)
    if through:
        assert found == {}
    else:
        assert isinstance(found, HttpAnswer)
        assert found.status == 302
        assert found.headers["Location"].startswith("/.auth/login/aad?post_login_redirect_uri=%2F")


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil", "x", "/ä"])
def test_no_open_redirect(back: str) -> None:
    """The way back after signing in or out stays on this host."""
    form = f"account=employee&back={back}".encode()
    answer = layer().handle(request("/.auth/login/aad/callback", {}, "POST", form), no_app)
    assert answer.headers["Location"] == "/api/portal"


@pytest.mark.parametrize("path", ["/.auth/me", "/.auth/refresh", "/.auth/login/google"])
def test_what_is_not_there(path: str) -> None:
    """The token store is off and there is one provider, so these are 404."""
    assert layer().handle(request(path), no_app).status == 404


def test_unknown_people_and_cookies() -> None:
    """A made-up account or cookie is nobody."""
    made = layer()
    form = b"account=admin"
    assert made.handle(request("/.auth/login/aad/callback", {}, "POST", form), no_app).status == 401
    assert made.handle(request("/.auth/login/aad/callback"), no_app).status == 401
    for cookie in (f"{COOKIE}=made-up", COOKIE, ";;;", "=", f'{COOKIE}="'):
        assert passed(made, cookie=cookie) == {"cookie": cookie}


def test_the_page_names_everybody() -> None:
    """The page offers each account once, and escapes the way back."""
    page = layer().handle(request('/.auth/login/aad?post_login_redirect_uri=/"><b>'), no_app)
    html = page.body.decode()
    for account in accounts(PEOPLE):
        assert html.count(f'value="{account.key}"') == 1
    assert '"><b>"' not in html


def test_settings() -> None:
    """What a local app is started with makes the same layer again and leaves no trace of it."""
    environ = settings(PEOPLE, Mode.PLATFORM)
    made = from_environment(environ)
    assert made is not None
    assert isinstance(passed(made), HttpAnswer)
    assert not [name for name in environ if name.startswith("LOCAL_")]
    assert from_environment({}) is None
    assert from_json(to_json(accounts(PEOPLE))) == accounts(PEOPLE)
