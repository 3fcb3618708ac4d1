"""A check names the real cause once; checks that depend on it say that they were not made."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.support.azurite import ACCOUNT, KEY, Azurite
from local.tenant import Fault
from local.tenant.http import Request, Response
from local.tenant.quirks import Quirks
from tests.support.served_world import Served

Make = Callable[..., Served]

SERVICES = [
    "Graph token and roles",
    "SharePoint token and roles",
    "My Site photo folder",
    "admin site",
    "scope size",
    "one photo",
]


def checks(here: Served) -> dict[str, dict[str, Any]]:
    """The checks by name; no two that fail say the same, and each says what to do."""
    reply = here.get()
    assert (reply.status, reply.type) == (200, "application/json")
    found = {check["name"]: check for check in reply.json["checks"]}
    wrong = [check for check in found.values() if not check["ok"]]
    assert all(check["remedy"] for check in wrong)
    assert len({check["detail"] for check in wrong}) == len(wrong), wrong
    return found


def wrong(found: dict[str, dict[str, Any]]) -> list[str]:
    """Names of the checks that fail."""
    return [name for name, check in found.items() if not check["ok"]]


def connection(azurite: Azurite, *, key: str = KEY, url: str = "") -> str:
    """A connection string for the emulator."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"BlobEndpoint={url or azurite.blob_url};"
    )


# -- storage --


def test_a_wrong_storage_key(served: Make, azurite: Azurite) -> None:
    """The key is the cause, not a role of the identity."""
    here = served(users=1)
    other = base64.b64encode(b"another key" * 6).decode()
    here.settings(AzureWebJobsStorage=connection(azurite, key=other))
    found = checks(here)
    assert wrong(found) == ["storage"]
    storage = found["storage"]
    assert "key" in storage["detail"]
    assert "connection string" in storage["remedy"]
    assert "AzureWebJobsStorage" in storage["remedy"]
    assert "role" not in storage["detail"] + storage["remedy"]


def test_storage_that_is_not_running(served: Make, azurite: Azurite) -> None:
    """Nothing listens at the address, and the check blames neither a key nor a role."""
    here = served(users=1)
    url = f"http://127.0.0.1:1/{ACCOUNT}"
    here.settings(AzureWebJobsStorage=connection(azurite, url=url))
    storage = checks(here)["storage"]
    assert "connection is refused" in storage["detail"]
    assert "role" not in storage["detail"] + storage["remedy"]


def test_a_storage_account_whose_name_is_wrong(served: Make) -> None:
    here = served(users=1)
    here.settings(
        AzureWebJobsStorage=None, AzureWebJobsStorage__blobServiceUri="https://nobody.blob.invalid"
    )
    found = checks(here)
    assert "nobody.blob.invalid" in found["storage"]["detail"]
    assert "unknown" in found["storage"]["detail"]


def test_no_identity_for_storage_and_services(served: Make) -> None:
    """One sentence for each; no service and no storage is asked."""
    here = served(users=1)
    here.settings(
        AzureWebJobsStorage=None,
        AzureWebJobsStorage__blobServiceUri="https://account.blob.core.windows.net",
        IDENTITY_ENDPOINT=None,
    )
    found = checks(here)
    assert wrong(found) == ["storage", *SERVICES]
    assert "identity gives no token" in found["storage"]["detail"]
    assert "role" not in found["storage"]["detail"]


# -- identity and Graph --


def test_no_identity_at_all(served: Make) -> None:
    """The first check says so with the remedy; the others say that they were not asked."""
    here = served(users=1)
    here.settings(IDENTITY_ENDPOINT=None)
    found = checks(here)
    assert wrong(found) == SERVICES
    first, *others = (found[name] for name in SERVICES)
    assert "no managed identity" in first["detail"]
    assert "assign a managed identity" in first["remedy"]
    for check in others:
        assert "was not checked" in check["detail"]
        assert "managed identity" not in check["detail"]
    assert here.world.tenant.tape.entries() == []


@pytest.mark.parametrize("url", ["https://graph.microsoft.invalid", "https://127.0.0.1:1"])
def test_a_wrong_graph_url(served: Make, url: str) -> None:
    """GRAPH_URL is named with what is right; SharePoint is checked all the same."""
    here = served(users=1)
    here.settings(GRAPH_URL=url)
    found = checks(here)
    assert wrong(found) == ["Graph token and roles", "scope size", "one photo"]
    assert "GRAPH_URL" in found["Graph token and roles"]["remedy"]
    assert "https://graph.microsoft.com" in found["Graph token and roles"]["remedy"]
    assert "no user" not in str(found)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 404, "body": "html"},
        {"kind": "status", "status": 302, "body": "empty"},
        {"kind": "status", "status": 400, "body": "html"},
    ],
    ids=["404 HTML", "redirect", "400 HTML"],
)
def test_something_else_answers_at_graph_url(served: Make, fault: dict[str, Any]) -> None:
    """The refusal of a web server that is not Graph is not reported as a refused filter."""
    here = served(users=1)
    here.world.tenant.faults.add(Fault(service="graph", times=None, **fault))
    found = checks(here)
    assert wrong(found) == ["scope size", "one photo"]
    assert "does not answer as Microsoft Graph does" in found["scope size"]["detail"]
    assert "GRAPH_URL" in found["scope size"]["remedy"]


# -- photos --


@pytest.mark.parametrize("code", ["Authorization_RequestDenied", "ErrorAccessDenied"])
def test_photos_that_are_refused_name_the_role(served: Make, code: str) -> None:
    """Listing works, every photo is refused: ProfilePhoto.Read.All and the command."""
    here = served(users=3)
    serve = here.world.tenant._handlers["graph"]

    def handle(request: Request) -> Response:
        response = serve(request)
        if request.path().endswith("/$batch"):
            document = json.loads(response.body)
            for item in document["responses"]:
                item |= {"status": 403, "body": {"error": {"code": code, "message": "denied"}}}
            response = replace(response, body=json.dumps(document).encode())
        return response

    here.world.tenant._handlers["graph"] = handle
    found = checks(here)
    assert wrong(found) == ["one photo"]
    assert "ProfilePhoto.Read.All" in found["one photo"]["detail"]
    assert "infra/permissions/grant.sh" in found["one photo"]["remedy"]


def test_a_photo_is_read(served: Make) -> None:
    """The bytes too, not only that there is one."""
    here = served(users=3)
    detail = checks(here)["one photo"]["detail"]
    assert detail.startswith("a photo of ")
    assert here.world.operations()["photo.bytes"] >= 1


def test_nobody_has_a_photo(served: Make) -> None:
    """No error: Graph answered for each of them."""
    here = served(users=3)
    for user in here.world.ids():
        here.world.tenant.directory.remove_photo(user)
    found = checks(here)
    assert wrong(found) == []
    assert "none of the first 3 users has a photo" in found["one photo"]["detail"]


# -- hosts of other geos --


def test_a_satellite_without_a_library_is_named(served: Make) -> None:
    """The host of the other geo, which only profiles name, with the remedy."""
    here = served(users=20, quirks=Quirks(second_geo=True))
    satellite = here.world.tenant.url("mysite2")
    serve = here.world.tenant._handlers["mysite2"]

    def handle(request: Request) -> Response:
        missing = "User%20Photos" in request.target or "User Photos" in request.target
        return Response(404, b"File Not Found.") if missing else serve(request)

    here.world.tenant._handlers["mysite2"] = handle
    found = checks(here)
    assert wrong(found) == ["My Site photo folder"]
    assert satellite in found["My Site photo folder"]["detail"]
    assert (
        here.world.settings["SHAREPOINT_MYSITE_URL"] not in found["My Site photo folder"]["detail"]
    )


def test_all_hosts_are_named_when_all_is_well(served: Make) -> None:
    here = served(users=20, quirks=Quirks(second_geo=True))
    detail = checks(here)["My Site photo folder"]["detail"]
    for host in ("mysite", "mysite2"):
        assert here.world.tenant.url(host) in detail


def test_a_host_of_the_setting_is_checked(served: Make) -> None:
    """SHAREPOINT_SATELLITES names hosts that no profile of the first users need name."""
    here = served(users=1)
    here.settings(SHAREPOINT_SATELLITES="http://127.0.0.1:1")
    found = checks(here)
    assert wrong(found) == ["My Site photo folder"]
    assert "http://127.0.0.1:1" in found["My Site photo folder"]["detail"]


# -- settings --


def test_a_misspelled_setting_is_named(served: Make) -> None:
    """The check names it with the setting that is meant; everything else goes on."""
    here = served(users=1)
    here.settings(REMOVE_PHOTO="false")
    found = checks(here)
    assert wrong(found) == ["settings"]
    assert "REMOVE_PHOTO:" in found["settings"]["detail"]
    assert "REMOVE_PHOTOS" in found["settings"]["detail"]
    here.settings(REMOVE_PHOTO=None)
    assert wrong(checks(here)) == []


# -- scope --


def test_people_whom_the_filter_leaves_out_are_counted(served: Make) -> None:
    """Enabled, with a mailbox plan, but not in scope."""
    here = served(users=10)
    here.settings(USER_FILTER="accountEnabled eq true and userType eq 'Member'")
    people = list(here.world.tenant.directory.people.values())
    for person in people[:3]:
        person.user_type = "Guest"
    people[3].account_enabled = False
    people[4].plans = []
    detail = checks(here)["scope size"]["detail"]
    assert detail == (
        "6 users match USER_FILTER; the filter leaves out 3 enabled users with a mailbox plan"
    )


def test_the_default_filter_leaves_nobody_out(served: Make) -> None:
    here = served(users=10)
    detail = checks(here)["scope size"]["detail"]
    assert detail.endswith("the filter leaves out 0 enabled users with a mailbox plan")


def test_the_form_of_version_1_takes_the_place_of_a_default_that_graph_refuses(
    served: Make,
) -> None:
    """The check counts by the filter that the run uses, and says which one."""
    here = served(users=5)
    here.world.tenant.faults.add(
        Fault(
            "status",
            status=400,
            operation="users.list",
            url="userType+ne",
            times=None,
            code="Request_UnsupportedQuery",
        )
    )
    found = checks(here)
    assert wrong(found) == []
    assert found["scope size"]["detail"].startswith(
        "5 users match USER_FILTER in the form of version 1.0.0"
    )
