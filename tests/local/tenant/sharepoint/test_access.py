"""Tokens, application roles, form digest: who may do what on which host."""

import pytest

from local.tenant.http import Request, Response
from tests.local.tenant.sharepoint.in_process import (
    APP,
    FOLDER,
    Bench,
    body_of,
    error_of,
    file_url,
    folder_url,
    literal,
    profile_url,
    upload_url,
)

ANNA = "anna@contoso.com"
DENIED = "-2147024891, System.UnauthorizedAccessException"
NEW_FOLDER = f"/_api/web/folders/AddUsingPath(decodedUrl={literal(f'{FOLDER}/x')})"
NEW_LIST = {"Title": "User Photos", "BaseTemplate": 109}


def grant(bench: Bench, *roles: str) -> None:
    bench.roles["sharepoint"] = set(roles)


@pytest.mark.parametrize("audience", ["http://admin.test", "http://mysite.test:443", "graph"])
def test_a_token_serves_its_own_host_only(bench: Bench, audience: str) -> None:
    """A token of another host, even of the same tenant, answers 401 with diagnostics."""
    answer = bench.send("GET", folder_url(), audience=audience)
    assert answer.status == 401
    assert "reason=" in answer.headers["x-ms-diagnostics"]
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_without_token_or_with_a_broken_one_nothing_is_answered(bench: Bench) -> None:
    """No token, an unsigned one, an expired one: 401 on every endpoint."""
    bench.tokens.lifetime = -1
    for answer in (
        bench.sharepoint.handle(Request("GET", "mysite", folder_url(), {}, b"")),
        bench.get(folder_url(), authorization="Bearer e30.e30.e30"),
        bench.get(folder_url()),
        bench.get("/_api/nothing"),
    ):
        assert answer.status == 401


def test_token_without_any_role_is_refused(bench: Bench) -> None:
    """An application without SharePoint roles gets 401, not 403."""
    grant(bench)
    assert bench.get(folder_url()).status == 401


@pytest.mark.parametrize(
    ("roles", "read", "write"),
    [
        (("User.ReadWrite.All",), 200, 200),
        (("User.Read.All",), 200, 403),
        (("Sites.FullControl.All",), 403, 403),
        (("Sites.FullControl.All", "User.Read.All"), 200, 403),
    ],
)
def test_profile_roles(bench: Bench, roles: tuple[str, ...], read: int, write: int) -> None:
    """Profiles need a SharePoint User role: Read.All to read, ReadWrite.All to write."""
    grant(bench, *roles)
    assert bench.get(profile_url(ANNA), origin="admin").status == read
    assert bench.set(ANNA, "Title", "x").status == write


def test_the_refusal_of_profile_calls_is_the_known_one(bench: Bench) -> None:
    """Without a User role the text names profile information, with Read.All only the action."""
    grant(bench, "Sites.FullControl.All")
    answer = bench.get(profile_url(ANNA), origin="admin")
    assert error_of(answer) == (403, DENIED)
    message = body_of(answer)["odata.error"]["message"]["value"]
    assert message.startswith("Access Denied: This application does not have the required")
    grant(bench, "User.Read.All")
    message = body_of(bench.set(ANNA, "Title", "x"))["odata.error"]["message"]["value"]
    assert message.startswith("Access denied. You do not have permission")


def test_profile_host_may_have_to_be_the_admin_site(bench: Bench) -> None:
    """By quirk profile calls on the My Site host are not those of an administrator."""
    bench.quirks.profile_host = "admin"
    answer = bench.get(profile_url(ANNA), origin="mysite")
    assert error_of(answer) == (403, DENIED)
    assert "managing your own data" in body_of(answer)["odata.error"]["message"]["value"]
    assert bench.get(profile_url(ANNA), origin="admin").status == 200


def test_profile_calls_may_need_a_role_for_sites(bench: Bench) -> None:
    """By quirk Sites.Selected, granted on the My Site host, does not open the admin site."""
    bench.quirks.profile_needs_site_role = True
    grant(bench, "User.ReadWrite.All", "Sites.Selected")
    assert bench.get(profile_url(ANNA), origin="admin").status == 403
    assert bench.get(profile_url(ANNA), origin="mysite").status == 200


@pytest.mark.parametrize(
    ("roles", "granted", "expected"),
    [
        (("Sites.FullControl.All",), "", (200, 200, 200, 200)),
        (("Sites.ReadWrite.All",), "", (200, 200, 200, 403)),
        (("Sites.Read.All",), "", (200, 403, 403, 403)),
        (("User.ReadWrite.All",), "", (403, 403, 403, 403)),
        (("Sites.Selected",), "", (403, 403, 403, 403)),
        (("Sites.Selected",), "read", (200, 403, 403, 403)),
        (("Sites.Selected",), "write", (200, 200, 403, 403)),
        (("Sites.Selected",), "fullcontrol", (200, 200, 403, 403)),
    ],
)
def test_site_roles(
    bench: Bench, roles: tuple[str, ...], granted: str, expected: tuple[int, ...]
) -> None:
    """Files need a Sites role; Sites.Selected counts as granted, but never makes folders.

    Expected: status of reading a folder, uploading, creating a folder, creating a list.
    """
    grant(bench, *roles)
    bench.sharepoint.grants["mysite"] = granted
    answers = (
        bench.get(folder_url()),
        bench.upload("a.jpg"),
        bench.send("POST", NEW_FOLDER),
        bench.send("POST", "/_api/web/lists", NEW_LIST),
    )
    assert tuple(answer.status for answer in answers) == expected
    assert (f"{FOLDER}/a.jpg" in bench.sharepoint.files()) == (expected[1] == 200)


def test_selected_may_create_folders_by_quirk(bench: Bench) -> None:
    """Where the report about Sites.Selected is wrong, a write grant makes folders."""
    grant(bench, "Sites.Selected")
    bench.quirks.selected_creates_folders = True
    assert bench.send("POST", NEW_FOLDER).status == 200


def digest_of(bench: Bench, origin: str = "mysite") -> str:
    answer = bench.send("POST", "/_api/contextinfo", origin=origin)
    assert body_of(answer)["FormDigestTimeoutSeconds"] == 1800
    return str(body_of(answer)["FormDigestValue"])


def test_digest_is_wanted_for_writes_only_when_switched_on(bench: Bench) -> None:
    """By quirk writes answer 403 -2130575251 until a digest of this site is sent."""
    assert bench.upload("a.jpg").status == 200
    bench.quirks.digest_required = True

    def upload(digest: str) -> Response:
        return bench.send("POST", upload_url("b.jpg"), b"x", x_requestdigest=digest)

    wanted = (403, "-2130575251, Microsoft.SharePoint.SPException")
    assert error_of(bench.upload("b.jpg")) == wanted
    assert error_of(upload("0xABC,01 Jan 2026 00:00:00 -0000")) == wanted
    assert error_of(upload(digest_of(bench, "admin"))) == wanted
    assert bench.get(file_url("a.jpg")).status == 200
    digest = digest_of(bench)
    assert upload(digest).status == 200
    bench.clock.advance(1801)
    assert error_of(upload(digest)) == wanted
    bench.quirks.digest_expired_code = -2130575252
    assert error_of(upload(digest))[1].startswith("-2130575252, ")
    assert error_of(upload("")) == wanted


def test_digest_is_wanted_by_process_query_and_batch(bench: Bench) -> None:
    """With the quirk the other two ways to write are closed, too."""
    bench.quirks.digest_required = True
    query = bench.send("POST", "/_vti_bin/client.svc/ProcessQuery", b"x", content_type="text/xml")
    batch = bench.send("POST", "/_api/$batch", b"x", content_type="multipart/mixed; boundary=b")
    assert error_of(query)[1].startswith("-2130575251")
    assert error_of(batch)[1].startswith("-2130575251")


def test_context_info_is_a_post(bench: Bench) -> None:
    """A digest is never given to a GET."""
    assert bench.get("/_api/contextinfo").status == 405
    verbose = bench.send("POST", "/_api/contextInfo", accept="application/json;odata=verbose")
    assert "FormDigestValue" in body_of(verbose)["d"]["GetContextWebInformation"]


def test_post_without_length_is_refused(bench: Bench) -> None:
    """The web server wants Content-Length even for an empty POST."""
    token = bench.tokens.mint(bench.urls["mysite"], APP, "object")
    headers = {"authorization": f"Bearer {token}"}
    request = Request("POST", "mysite", "/_api/contextinfo", headers, b"")
    assert bench.sharepoint.handle(request).status == 411
