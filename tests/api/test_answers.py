"""What `/api/sync` answers when all goes well, and when the caller or the set-up is wrong."""

import hashlib
import json
import logging
import math
import re
from collections.abc import Callable

import pytest

from local.tenant import Fault
from local.tenant.directory import Person
from shared import __version__
from shared.config import SETTINGS
from tests.support.blob_faults import put
from tests.support.served_world import Reply, Served

Make = Callable[..., Served]

NOBODY = "00000000-0000-4000-8000-000000000000"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def first(here: Served) -> Person:
    """Somebody of the tenant."""
    return next(iter(here.world.tenant.directory.people.values()))


def assert_problem(reply: Reply, status: int, kind: str) -> None:
    """The answer is `application/problem+json` with the members of RFC 9457."""
    assert reply.status == status
    assert reply.type == "application/problem+json"
    body = reply.json
    assert body["type"] == f"urn:photo-sync:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


def test_post_answers_the_user_the_outcome_and_the_photo(served: Make) -> None:
    """All members of the contract, none more; what they say is what the services hold."""
    here = served(users=1)
    person = first(here)
    tenant = here.world.tenant

    reply = here.post(person.upn)

    assert (reply.status, reply.type) == (200, "application/json")
    body = reply.json
    assert body.keys() == {"user", "outcome", "detail", "photo", "checkedAt", "dryRun"}
    assert body["user"] == {"id": person.id, "userPrincipalName": person.upn}
    assert (body["outcome"], body["detail"], body["dryRun"]) == ("updated", "", False)
    assert MOMENT.fullmatch(body["checkedAt"])
    assert person.photo
    assert body["photo"] == {
        "etag": person.photo.etag,
        "sha256": hashlib.sha256(person.photo.data).hexdigest(),
        "pictureUrl": tenant.sharepoint.profile(person.id)["PictureURL"],
    }


@pytest.mark.parametrize("change", ["disabled", "guest", "no plan"])
def test_post_serves_users_in_scope_or_not(served: Make, change: str) -> None:
    """USER_FILTER selects the users of the nightly run; a call can name any user."""
    here = served(users=2, settings={"SYNC_GROUP_ID": NOBODY})
    person = first(here)
    match change:
        case "disabled":
            person.account_enabled = False
        case "guest":
            person.user_type = "Guest"
        case "no plan":
            person.plans = []  # not cleared: people share it
    assert here.post(person.id).json["outcome"] == "updated"


def test_post_without_a_photo(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.directory.remove_photo(first(here).id)
    body = here.post(first(here).id).json
    assert (body["outcome"], body["photo"]) == ("no_photo", None)


def test_post_without_a_profile(served: Make) -> None:
    """This is no error, because SharePoint creates profiles later."""
    here = served(users=1)
    first(here).has_profile = False
    reply = here.post(first(here).id)
    assert (reply.status, reply.json["outcome"]) == (200, "no_profile")
    assert "profile" in reply.json["detail"]


def test_post_with_a_broken_photo(served: Make) -> None:
    """The call succeeds, and the answer says what is wrong with the photo."""
    here = served(users=1)
    here.world.tenant.directory.set_photo(first(here).id, b"GIF89a, not really")
    reply = here.post(first(here).id)
    assert (reply.status, reply.json["outcome"]) == (200, "invalid_photo")
    assert reply.json["detail"]


@pytest.mark.parametrize("user", ["nobody@contoso.com", NOBODY])
def test_unknown_users_are_not_found(served: Make, user: str) -> None:
    here = served(users=1)
    assert_problem(here.post(user), 404, "unknown-user")
    assert user in here.post(user).json["detail"]
    assert here.post(user).json["title"] == "User not found"
    assert "user principal name" in here.post(user).json["detail"]
    assert "e-mail" in here.post(user).json["detail"]
    assert here.world.tenant.tape.writes() == []


def test_a_user_deleted_during_the_call_is_not_found(served: Make) -> None:
    """Graph knew them a moment ago; the picture stays."""
    here = served(users=2)
    user = first(here).id
    here.post(user)
    here.world.tenant.faults.add(
        Fault(
            "item_status",
            operation="user.photo.batch",
            status=404,
            code="Request_ResourceNotFound",
            item=1,
        )
    )
    assert_problem(here.post(user), 404, "unknown-user")
    assert here.world.tenant.sharepoint.shown_picture(user)


def test_get_tells_what_the_checkpoint_knows(served: Make) -> None:
    """The same members as the call that wrote it; neither service is asked for an object id."""
    here = served(users=1)
    person = first(here)
    written = here.post(person.id).json
    here.world.tenant.tape.clear()

    known = here.get(person.id)

    assert (known.status, known.type) == (200, "application/json")
    for member in ("user", "outcome", "detail", "photo", "checkedAt"):
        assert known.json[member] == written[member]
    assert here.world.tenant.tape.entries() == []
    assert here.get(person.upn).json == known.json


def test_get_of_a_failing_user_tells_when_they_are_tried_again(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.directory.set_photo(first(here).id, b"broken")
    here.post(first(here).id)
    known = here.get(first(here).id).json
    assert (known["outcome"], known["failures"], known["photo"]) == ("invalid_photo", 1, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", known["retryOn"])


@pytest.mark.parametrize("emptied", [False, True], ids=["no container yet", "other users known"])
def test_get_of_a_user_the_checkpoint_does_not_know(served: Make, emptied: bool) -> None:
    """404, also on the first day, before anything was stored."""
    here = served(users=2)
    people = list(here.world.tenant.directory.people)
    if emptied:
        here.post(people[1])
    assert_problem(here.get(people[0]), 404, "nothing-known")
    assert_problem(here.get("nobody@contoso.com"), 404, "unknown-user")


def test_get_of_everybody_before_the_first_run(served: Make) -> None:
    here = served(users=1)
    body = here.get().json
    assert body.keys() == {"version", "run", "checks"}
    assert (body["version"], body["run"]) == (__version__, None)
    for check in body["checks"]:
        assert check.keys() == {"name", "ok", "detail", "remedy"}
        assert check["ok"], check


def test_get_of_everybody_after_a_run_shows_its_report(served: Make) -> None:
    """The same document as the report in the container."""
    here = served(users=3)
    here.fire()
    run = here.get().json["run"]
    (report,) = (data for name, data in here.world.blobs("runs/").items() if name.endswith(".json"))
    assert run == json.loads(report)
    assert sum(run["counts"].values()) == run["inScope"] == 3


def test_a_run_for_everybody_is_not_started_by_http(served: Make) -> None:
    """405 that points to the nightly function's admin endpoint and names what is allowed."""
    here = served(users=1)
    for query in ("", "force=true", "anything="):
        reply = here.post("", query)
        assert_problem(reply, 405, "method-not-allowed")
        for part in (
            "POST /admin/functions/SyncTimer",
            "Content-Type: application/json",
            '{"input":""}',
            "POST /api/sync/{user}",
        ):
            assert part in reply.json["detail"]
        assert reply.headers["allow"] == "GET"
    assert here.send("POST", "/api/sync/").status == 405
    assert here.world.tenant.tape.entries() == []


WRONG = {
    "CLOUD": "mars",
    "GRAPH_URL": "http://graph.microsoft.com",
    "SHAREPOINT_ADMIN_URL": "contoso-admin",
    "TARGET_TENANT_ID": "fabrikam",
    "CHECKPOINT_CONTAINER": "A",
    "RUN_INTERVAL_HOURS": "-1",
    "SYNC_GROUP_ID": "pilots",
    "DRY_RUN": "maybe",
    "REMOVE_PHOTOS": "2",
    "REMOVAL_CONFIRMATIONS": "0",
    "REMOVAL_LIMIT": "101%",
    "REVERIFY_DAYS": "1.5",
    "THUMBNAIL_SIZES": "300,96,48",
    "TIME_BUDGET_SECONDS": "7200",
    "MAX_CONCURRENCY": "0",
    "COMPANY": "a|b",
}


def test_misconfiguration_lists_every_problem_at_once(served: Make) -> None:
    """500 that names each setting and what is accepted; no request is sent."""
    here = served(users=1)
    here.settings(**WRONG)
    accepted = {setting.name: setting.accepted for setting in SETTINGS}
    for reply in (here.post(NOBODY), here.get(NOBODY)):
        assert_problem(reply, 500, "misconfiguration")
        for name in WRONG:
            assert name in reply.json["detail"]
            assert accepted[name] in reply.json["detail"]
    assert here.world.tenant.tape.entries() == []


@pytest.mark.parametrize(
    ("service", "role", "named"),
    [
        ("graph", "User.Read.All", "Microsoft Graph"),
        ("sharepoint", "User.ReadWrite.All", "SharePoint"),
        ("sharepoint", "Sites.FullControl.All", "SharePoint"),
    ],
)
def test_a_missing_permission_is_named(served: Make, service: str, role: str, named: str) -> None:
    """500 with the resource, the role, the script that grants it, and the service's request id."""
    here = served(users=1)
    here.world.tenant.roles[service].discard(role)
    reply = here.post(first(here).id)
    assert_problem(reply, 500, "misconfiguration")
    assert role in reply.json["detail"]
    assert named in reply.json["detail"]
    assert "infra/permissions/grant.sh" in reply.json["detail"]
    assert GUID.fullmatch(reply.json["requestId"])
    assert here.world.tenant.sharepoint.shown_picture(first(here).id) is None


def test_an_identity_that_is_not_there_is_named(served: Make) -> None:
    here = served(users=1)
    here.settings(MANAGED_IDENTITY_CLIENT_ID=NOBODY)
    reply = here.post(first(here).id)
    assert_problem(reply, 500, "misconfiguration")
    assert "MANAGED_IDENTITY_CLIENT_ID" in reply.json["detail"]
    assert NOBODY in reply.json["detail"]


def test_a_site_without_the_photo_library_is_named(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.quirks.library_exists = False
    reply = here.post(first(here).id)
    assert_problem(reply, 500, "misconfiguration")
    assert "User Photos" in reply.json["detail"]


def test_state_of_a_newer_version_is_refused(served: Make) -> None:
    """500 that says what to do; nothing is written, neither to SharePoint nor over the state."""
    here = served(users=1)
    user = first(here).id
    here.get(user)
    newer = b'{"schema":999,"users":{}}'
    put(here.world.app().container, f"state/{user[:2]}.json", newer)
    for reply in (here.get(user), here.post(user)):
        assert_problem(reply, 500, "misconfiguration")
        assert "999" in reply.json["detail"]
    assert here.world.tenant.tape.writes() == []
    assert here.world.blobs("state/") == {f"state/{user[:2]}.json": newer}


def test_broken_state_is_set_aside_and_the_call_goes_on(served: Make) -> None:
    here = served(users=1)
    user = first(here).id
    here.get(user)
    put(here.world.app().container, f"state/{user[:2]}.json", b'{"schema":1,"us')
    assert here.get(user).status == 404
    assert here.post(user).json["outcome"] == "updated"
    assert list(here.world.blobs("broken/").values()) == [b'{"schema":1,"us']


def test_a_defect_is_answered_without_its_text(
    served: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with the type only; text and traceback are in the function's log."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("top secret state of the program")

    monkeypatch.setattr("shared.api.http.sync_user", broken)
    here = served(users=1)
    with caplog.at_level(logging.ERROR, logger="photo_sync"):
        reply = here.post(first(here).id)
    assert_problem(reply, 500, "internal-error")
    assert "ZeroDivisionError" in reply.json["detail"]
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body
    assert "top secret state of the program" in caplog.text


def test_a_wait_is_answered_as_whole_seconds(served: Make) -> None:
    """`Retry-After` is rounded up and covers what the service asked for."""
    here = served(users=1)
    here.world.tenant.faults.add(
        Fault("status", status=429, retry_after=100.5, operation="user.photo.batch")
    )
    reply = here.post(first(here).id)
    assert_problem(reply, 503, "throttled")
    assert int(reply.headers["retry-after"]) == math.ceil(100.5)
    assert here.world.clock.monotonic() < 1
