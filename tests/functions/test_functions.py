"""Both functions as Azure runs them: under Microsoft's worker library, and over HTTP."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from local.host import HttpAnswer, InvocationFailed
from local.support.azurite import Azurite
from local.tenant import Fault
from tests.support.served_world import Served
from tests.support.world import jpeg

Make = Callable[..., Served]

USERS = 6


@pytest.fixture(scope="module")
def azurite_https() -> Iterator[Azurite]:
    """Blob storage that is opened with bearer tokens."""
    with Azurite(https=True) as running:
        yield running


def sync_http(served: Served, method: str, user: str | None) -> HttpAnswer:
    """Invoke SyncHttp without HTTP."""
    return served.worker.invoke_http(
        "SyncHttp",
        method=method,
        url="http://localhost/api/sync",
        route_params={"user": user} if user else {},
    )


def as_identity(served: Served, kind: str) -> set[str]:
    """Set the identity; returns the services that tokens must have been asked from."""
    tenant = served.world.tenant
    user_assigned = tenant.user_identity.client_id
    if kind == "user-assigned":
        served.settings(MANAGED_IDENTITY_CLIENT_ID=user_assigned)
    if kind == "another tenant":
        served.settings(
            MANAGED_IDENTITY_CLIENT_ID=user_assigned,
            TARGET_TENANT_ID=tenant.tokens.tenant_id,
            TARGET_CLIENT_ID=tenant.app_client_id,
        )
        return {"identity", "login"}
    return {"identity"}


def store_by_token(served: Served, azurite: Azurite, folder: Path) -> None:
    """Open the checkpoint with the identity; trust both loopback certificates."""
    certificates = [azurite.certificate, served.world.tenant.certificate]
    bundle = folder / "trusted.pem"
    bundle.write_bytes(b"".join(path.read_bytes() for path in certificates if path))
    served.world.settings.pop("AzureWebJobsStorage", None)
    served.settings(
        REQUESTS_CA_BUNDLE=str(bundle),
        AzureWebJobsStorage=None,
        AzureWebJobsStorage__blobServiceUri=azurite.blob_url,
        AzureWebJobsStorage__credential="managedidentity",
    )


@pytest.mark.parametrize("storage", ["connection string", "token"])
@pytest.mark.parametrize("identity", ["system-assigned", "user-assigned", "another tenant"])
def test_a_night_and_a_call(
    served: Make, azurite_https: Azurite, tmp_path: Path, identity: str, storage: str
) -> None:
    """The timer function synchronizes everybody, a second firing nobody, a call the one."""
    here = served(users=USERS, shards=2, settings={"RUN_INTERVAL_HOURS": "0"})
    tenant = here.world.tenant
    store_by_token(here, azurite_https, tmp_path)
    if storage == "connection string":
        text = azurite_https.connection_string
        here.settings(AzureWebJobsStorage=text, AzureWebJobsStorage__blobServiceUri=None)
    asked = as_identity(here, identity)

    here.fire()

    people = tenant.directory.people
    assert all(tenant.sharepoint.shown_picture(person) for person in people)
    run = json.loads(sync_http(here, "GET", None).body)["run"]
    assert (run["status"], run["counts"]["updated"]) == ("completed", USERS)
    issuers = {entry.service for entry in tenant.tape.entries(operation="token")}
    assert issuers == asked

    tenant.tape.clear()
    assert here.trigger().status == 202
    assert tenant.tape.writes() == []
    assert here.get().json["run"]["counts"]["unchanged"] == USERS

    person = next(iter(people.values()))
    before = tenant.sharepoint.shown_picture(person.id)
    tenant.directory.set_photo(person.id, jpeg((0, 90, 200)))
    assert here.post(person.upn).json["outcome"] == "updated"
    assert json.loads(sync_http(here, "POST", person.id).body)["outcome"] == "unchanged"
    assert tenant.sharepoint.shown_picture(person.id) not in (None, before)


@pytest.mark.parametrize("identity", ["system-assigned", "user-assigned"])
def test_tokens_are_asked_for_the_identity_that_is_set(served: Make, identity: str) -> None:
    """A user-assigned identity by its client id, the system-assigned one without any."""
    here = served(users=1)
    as_identity(here, identity)
    here.get()
    tokens = here.world.tenant.tape.entries(operation="token")
    asked = {parse_qs(urlsplit(entry.target).query).get("client_id", [""])[0] for entry in tokens}
    expected = here.world.tenant.user_identity.client_id if identity == "user-assigned" else ""
    assert asked == {expected}


def test_wrong_settings_fail_the_timer_and_name_every_problem(served: Make) -> None:
    """A failed invocation is what operators are alerted by; nothing is sent."""
    here = served(users=1)
    here.settings(CLOUD="mars", REVERIFY_DAYS="often", DRY_RUN="perhaps")
    with pytest.raises(InvocationFailed) as failed:
        here.fire()
    assert all(name in failed.value.error for name in ("CLOUD", "REVERIFY_DAYS", "DRY_RUN"))
    assert here.world.tenant.tape.entries() == []


def test_a_stopped_run_fails_the_timer_with_cause_and_remedy(served: Make) -> None:
    here = served(users=3)
    here.world.tenant.roles["graph"].clear()
    with pytest.raises(InvocationFailed) as failed:
        here.fire()
    assert "User.Read.All" in failed.value.error
    assert "infra/permissions/grant.sh" in failed.value.error
    run = here.get().json["run"]
    assert run["status"] == "stopped"
    assert "User.Read.All" in run["reason"]


def test_a_firing_that_finds_the_run_finished_does_nothing(served: Make) -> None:
    """Neither Graph nor SharePoint is asked."""
    here = served(users=3)
    here.fire()
    here.world.tenant.tape.clear()
    here.fire()
    assert here.world.tenant.tape.entries() == []


def test_progress_can_be_read_while_the_run_goes_on(served: Make) -> None:
    """HTTP is answered during a run; the run's document is at most a window behind."""
    here = served(users=20, shards=4)
    seen = []
    here.world.tenant.faults.add(
        Fault("call", operation="photo.bytes", nth=15, action=lambda: seen.append(here.get().json))
    )
    here.fire()
    (middle,) = seen
    assert middle["run"]["status"] == "running"
    assert middle["run"]["inScope"] == 20
    assert middle["run"]["counts"]["updated"] < 20
    assert here.get().json["run"]["counts"]["updated"] == 20


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_do_not_reach_the_function(served: Make, method: str) -> None:
    here = served(users=1)
    assert here.send(method, "/api/sync").status == 404
    assert here.world.tenant.tape.entries() == []


@pytest.mark.parametrize("key", ["", "wrong"])
def test_nobody_is_served_without_the_key(served: Make, key: str) -> None:
    """Auth level `function`: neither reads nor writes without the key."""
    here = served(users=1)
    person = next(iter(here.world.tenant.directory.people))
    for method, path in [("GET", "/api/sync"), ("POST", f"/api/sync/{person}")]:
        assert here.send(method, path, key=key).status == 401
    assert here.world.tenant.tape.entries() == []


def test_the_key_may_come_in_the_query(served: Make) -> None:
    """`code` is the host's parameter, not one of ours to refuse."""
    here = served(users=1)
    person = next(iter(here.world.tenant.directory.people))
    target = f"/api/sync/{person}?code={here.keys.function}&clientId=default"
    assert here.send("POST", target, key="").json["outcome"] == "updated"
