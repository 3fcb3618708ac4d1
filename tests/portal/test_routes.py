"""Who may call which route: every route, every kind of caller, every origin."""

import json
import uuid
from collections.abc import Mapping
from http import HTTPStatus

import pytest

from local.host.sign_in import CLIENT_ID, Dialect, accounts, principal
from shared.portal.message import Answer, Request
from shared.portal.routes import ROUTES, Route, Who
from shared.sign_in import Expected
from shared.sign_in.proof import forged_headers
from tests.support.portal_core import EMPLOYEE_ID, PEOPLE, Blobs, FakeCore
from tests.support.portal_site import ENVIRONMENT, portal

ACCOUNTS = {account.key: account for account in accounts(PEOPLE)}
GOOD_SITE = {"Sec-Fetch-Site": "same-origin", "Origin": "https://app", "Host": "app"}
IDS = [f"{route.method} /{route.template}" for route in ROUTES]
GUARDED = [route for route in ROUTES if route.who is not Who.ANYONE]
OPEN_PATHS = {"signed-out", "assets/{version}/{name}"}


def path_of(route: Route) -> str:
    return route.template.format(
        id=EMPLOYEE_ID, source="exchange", version="0" * 12, name="portal.css"
    )


def request(
    route: Route,
    who: str | None,
    site: Mapping[str, str] = GOOD_SITE,
    more: Mapping[str, str] | None = None,
) -> Request:
    sent = {
        "x-requested-with": "portal",
        "content-type": "application/json",
        **site,
        **(more or {}),
    }
    if who:
        sent["x-ms-client-principal"] = principal(ACCOUNTS[who], Dialect.SHORT)
        sent["x-ms-client-principal-idp"] = "aad"
    body = b""
    if route.method == "POST":
        body = json.dumps({"requestId": str(uuid.uuid4())}).encode()
    query = {"query": "ade"} if route.template == "api/users" else {}
    return Request(route.method, path_of(route), query, sent, body)


def send(
    route: Route,
    who: str | None,
    site: Mapping[str, str] = GOOD_SITE,
    more: Mapping[str, str] | None = None,
) -> Answer:
    return portal(FakeCore.with_people()).answer(request(route, who, site, more))


def kind(answer: Answer) -> str:
    found: str = json.loads(answer.body)["type"]
    return found.rpartition(":")[2]


def test_what_is_open() -> None:
    """Without signing in, one may see the files of the pages and the page after signing out."""
    assert {route.template for route in ROUTES if route.who is Who.ANYONE} == OPEN_PATHS
    assert all(route.method == "GET" for route in ROUTES if route.who is Who.ANYONE)
    assert not any(route.uses_core for route in ROUTES if route.who is Who.ANYONE)


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_help_desk_may_call_everything(route: Route) -> None:
    """Whoever holds the role is let through everywhere, so that refusals below mean something."""
    assert send(route, "helpdesk").status == HTTPStatus.OK


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_employees(route: Route) -> None:
    """An employee reaches their own routes and none of the help desk's."""
    answer = send(route, "employee")
    if route.who is Who.HELP_DESK:
        assert answer.status == HTTPStatus.FORBIDDEN
        assert b"adele" not in answer.body
    else:
        assert answer.status == HTTPStatus.OK


@pytest.mark.parametrize("route", GUARDED, ids=[f"{r.method} /{r.template}" for r in GUARDED])
@pytest.mark.parametrize(
    ("who", "status"),
    [
        (None, HTTPStatus.UNAUTHORIZED),
        ("stale", HTTPStatus.UNAUTHORIZED),
        ("guest", HTTPStatus.FORBIDDEN),
        ("application", HTTPStatus.FORBIDDEN),
        ("stranger", HTTPStatus.FORBIDDEN),
    ],
)
def test_everybody_else(route: Route, who: str | None, status: HTTPStatus) -> None:
    """Nobody, guests, applications, strangers, and stale sign-ins are refused everywhere."""
    core = FakeCore.with_people()
    answer = portal(core).answer(request(route, who))
    if route.page and who is None:
        assert answer.status == HTTPStatus.FOUND
        assert answer.headers["Location"].startswith("/.auth/login/aad?post_login_redirect_uri=%2F")
    else:
        assert answer.status == status
    assert core.synced == []
    assert isinstance(core.store, Blobs)
    assert core.store.content == {}
    assert b"Adele" not in answer.body


@pytest.mark.parametrize("route", GUARDED, ids=[f"{r.method} /{r.template}" for r in GUARDED])
@pytest.mark.parametrize("header", ["Authorization", "X-ZUMO-AUTH"])
def test_tokens(route: Route, header: str) -> None:
    """A token never opens a route, also beside a session."""
    answer = send(route, "helpdesk", more={header: "Bearer eyJ"})
    assert answer.status == HTTPStatus.UNAUTHORIZED


SITES: dict[str, tuple[dict[str, str], bool]] = {
    "own page": (GOOD_SITE, True),
    "own page, old browser": ({"Origin": "https://app", "Host": "app"}, True),
    "own page, behind a front end": (
        {"Origin": "https://app", "Host": "internal", "DISGUISED-HOST": "app"},
        True,
    ),
    "other site": (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil", "Host": "app"},
        False,
    ),
    "neighbor": ({"Sec-Fetch-Site": "same-site", "Origin": "https://b.app", "Host": "app"}, False),
    "typed": ({"Sec-Fetch-Site": "none", "Host": "app"}, False),
    "lies in one header": ({"Sec-Fetch-Site": "cross-site,same-origin", "Host": "app"}, False),
    "other origin, old browser": ({"Origin": "https://evil", "Host": "app"}, False),
    "null origin": ({"Origin": "null", "Host": "app"}, False),
    "two origins": ({"Origin": "https://app,https://app", "Host": "app,app"}, False),
    "no header at all": ({}, False),
    "own host as a user": ({"Origin": "https://app@evil", "Host": "app"}, False),
    "other port": ({"Origin": "https://app:444", "Host": "app"}, False),
}
POSTS = [route for route in ROUTES if route.method == "POST"]


@pytest.mark.parametrize("route", POSTS, ids=[f"POST /{r.template}" for r in POSTS])
@pytest.mark.parametrize("site", SITES)
def test_where_a_write_comes_from(route: Route, site: str) -> None:
    """Only our own pages can make a browser change anything."""
    core = FakeCore.with_people()
    headers, allowed = SITES[site]
    answer = portal(core).answer(request(route, "helpdesk", headers))
    assert (answer.status == HTTPStatus.OK) is allowed
    assert len(core.synced) == allowed
    if not allowed:
        assert kind(answer) == "cross-site"


@pytest.mark.parametrize("route", POSTS, ids=[f"POST /{r.template}" for r in POSTS])
@pytest.mark.parametrize(
    "headers",
    [
        {"x-requested-with": ""},
        {"x-requested-with": "XMLHttpRequest"},
        {"x-requested-with": "portal,portal"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
    ],
)
def test_forms_cannot_write(route: Route, headers: dict[str, str]) -> None:
    """A form of any site lacks the header and the content type that a write needs."""
    assert kind(send(route, "helpdesk", more=headers)) == "cross-site"


READS = [r for r in GUARDED if r.method == "GET" and not r.page]


@pytest.mark.parametrize("route", READS, ids=[f"GET /{r.template}" for r in READS])
def test_other_sites_cannot_read(route: Route) -> None:
    """Personal data is not even looked up for a request of another site."""
    for site in ("cross-site", "same-site", "same-origin,none"):
        assert kind(send(route, "helpdesk", {"Sec-Fetch-Site": site})) == "cross-site"


def test_links_from_elsewhere_open_the_pages() -> None:
    """A link in a chat or an intranet opens a page: navigations are cross-site."""
    pages = [route for route in GUARDED if route.page]
    assert pages
    for route in pages:
        assert send(route, "helpdesk", {"Sec-Fetch-Site": "cross-site"}).status == HTTPStatus.OK


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_other_methods(route: Route) -> None:
    """HEAD follows GET; a method that a path does not have is 405 with the ones it has."""
    gate = portal(FakeCore.with_people())
    asked = request(route, "helpdesk")
    if route.method == "GET":
        head = Request("HEAD", asked.path, asked.query, asked.headers)
        assert gate.answer(head).status == HTTPStatus.OK
    other = Request("POST" if route.method == "GET" else "GET", asked.path, {}, asked.headers)
    answer = gate.answer(other)
    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert route.method in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["x", "api", "api/", "api/x", "helpdesk/x", "Helpdesk", "api//me", "api/me/photo", "assets",
     "api/users/not-a-guid", f"api/users/{EMPLOYEE_ID}%2Fsync", "assets/v/../../serve.py",
     "assets/v/serve.py", "assets/v/..\\serve.py", "api/me/photo/other", "signed-out//",
     "api/users/\n", f"api/users/{EMPLOYEE_ID}\n", "a?b", "ä"],
)  # fmt: skip
def test_paths_that_do_not_exist(path: str) -> None:
    """Anything else is 404, and nothing of the path comes back in a header."""
    sent = request(ROUTES[0], "helpdesk").headers
    answer = portal(FakeCore.with_people()).answer(Request("GET", path, {}, sent))
    assert answer.status == HTTPStatus.NOT_FOUND
    assert not any("\n" in value for value in answer.headers.values())


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_no_portal(route: Route) -> None:
    """Without PORTAL_CLIENT_ID every path is an empty 404, for anybody."""
    environ = {k: v for k, v in ENVIRONMENT.items() if k != "PORTAL_CLIENT_ID"}
    for who in (None, "helpdesk"):
        answer = portal(FakeCore.with_people(), environ).answer(request(route, who))
        assert (answer.status, answer.body) == (HTTPStatus.NOT_FOUND, b"")


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
@pytest.mark.parametrize("missing", ["WEBSITE_AUTH_ENABLED"])
def test_without_proof_everything_is_closed(route: Route, missing: str) -> None:
    """Where the platform does not say that sign-in is on, forged headers open nothing."""
    environ = {k: v for k, v in ENVIRONMENT.items() if k != missing}
    core = FakeCore.with_people()
    for who in (None, "employee", "helpdesk"):
        answer = portal(core, environ).answer(request(route, who))
        assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert b"portalClientId" in answer.body
    assert core.synced == []


@pytest.mark.parametrize("route", GUARDED, ids=[f"{r.method} /{r.template}" for r in GUARDED])
@pytest.mark.parametrize("status", [200, 500])
def test_an_open_platform_closes_the_portal(route: Route, status: int) -> None:
    """Where a forged identity gets through, nobody is believed any more."""
    core = FakeCore.with_people()
    environ = {**ENVIRONMENT, "WEBSITE_HOSTNAME": "app.example"}
    gate = portal(core, environ, probe=lambda *_: status)
    answer = gate.answer(request(route, "helpdesk"))
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert core.synced == []


def test_the_forged_identity_itself_closes_the_portal() -> None:
    """The portal answers the probe in a way that shows it arrived, and closes at once."""
    core = FakeCore.with_people()
    gate = portal(core)
    me = next(route for route in ROUTES if route.template == "api/me")
    assert gate.answer(request(me, "employee")).status == HTTPStatus.OK
    forged = forged_headers(Expected(CLIENT_ID, ENVIRONMENT["WEBSITE_AUTH_AAD_ALLOWED_TENANTS"]))
    assert gate.answer(Request("GET", "api/me", {}, forged)).status == HTTPStatus.OK
    assert gate.answer(request(me, "employee")).status == HTTPStatus.SERVICE_UNAVAILABLE


def test_me_is_never_a_parameter() -> None:
    """Whatever a person sends along, `me` is the person who is signed in."""
    core = FakeCore.with_people()
    me = next(route for route in ROUTES if route.template == "api/me")
    asked = request(me, "employee", more={"x-ms-client-principal-id": PEOPLE[1][0]})
    query = {"id": PEOPLE[1][0], "user": PEOPLE[1][0], "query": PEOPLE[1][0]}
    answer = portal(core).answer(Request("GET", asked.path, query, asked.headers))
    assert json.loads(answer.body)["user"]["id"] == EMPLOYEE_ID


def test_sign_in_comes_back_to_the_page_and_language() -> None:
    """After signing in, a person is where they wanted to be; nothing foreign is in the way back."""
    gate = portal(FakeCore.with_people())
    answer = gate.answer(Request("GET", "helpdesk/", {"lang": "fi", "x": "//evil.example"}))
    assert answer.headers["Location"] == (
        "/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Fportal%2Fhelpdesk%3Flang%3Dfi"
    )
    for lang in ("//evil", "fi&x=1", "../x"):
        location = gate.answer(Request("GET", "", {"lang": lang})).headers["Location"]
        assert location.endswith("post_login_redirect_uri=%2Fapi%2Fportal")


def test_a_guest_without_a_mark() -> None:
    """A guest whom the token does not mark is one by the directory."""
    core = FakeCore.with_people()
    fake = core.users[EMPLOYEE_ID]
    fake.user = type(fake.user)(EMPLOYEE_ID, "G", "g", member=False)
    for route in ROUTES:
        if route.template in {"api/me", "api/me/sync"}:
            answer = portal(core).answer(request(route, "employee"))
            assert kind(answer) == "guest"
    assert core.synced == []
