"""The checks of `GET /api/sync`: each names what is wrong and what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from local.support.azurite import ACCOUNT, KEY, Azurite
from local.tenant import Fault
from local.tenant.quirks import Quirks
from shared import roles
from shared.checks import NAMES
from shared.checks.tokens import GRAPH_CHECK, Token
from shared.config import load
from tests.support.blob_faults import put
from tests.support.served_world import Served

Make = Callable[..., Served]

SERVICES = list(NAMES[2:-1])


def checks(here: Served) -> dict[str, dict[str, Any]]:
    """The checks by name, as HTTP shows them."""
    reply = here.get()
    assert (reply.status, reply.type) == (200, "application/json")
    return {check["name"]: check for check in reply.json["checks"]}


def wrong(here: Served) -> list[str]:
    """Names of the checks that fail; each says what to do."""
    found = checks(here)
    for check in found.values():
        assert check["ok"] == (check["remedy"] == ""), check
        assert check["detail"], check
    return [name for name, check in found.items() if not check["ok"]]


def test_all_is_well(served: Make) -> None:
    """All checks of the contract, in its order, then two more; nothing is written."""
    here = served(users=1)
    assert list(checks(here)) == list(NAMES)
    assert wrong(here) == []
    assert here.world.tenant.tape.writes() == []


def test_wrong_settings_are_all_listed(served: Make) -> None:
    """Nothing is asked before they are right."""
    here = served(users=1)
    here.settings(CLOUD="mars", DRY_RUN="maybe")
    found = checks(here)
    assert list(found) == ["settings"]
    assert "CLOUD" in found["settings"]["detail"]
    assert "DRY_RUN" in found["settings"]["detail"]
    assert found["settings"]["remedy"]
    assert here.world.tenant.tape.entries() == []


@pytest.mark.parametrize(
    ("service", "role", "check"),
    [
        ("graph", "User.Read.All", "Graph token and roles"),
        ("graph", "GroupMember.Read.All", "Graph token and roles"),
        ("sharepoint", "User.ReadWrite.All", "SharePoint token and roles"),
        ("sharepoint", "Sites.FullControl.All", "SharePoint token and roles"),
    ],
)
def test_a_missing_role_is_named_with_the_command_that_grants_it(
    served: Make, service: str, role: str, check: str
) -> None:
    """The command carries the identity's own object id, so that it can be pasted."""
    here = served(users=1)
    here.settings(SYNC_GROUP_ID=here.world.tenant.group_id)
    here.settings(MANAGED_IDENTITY_CLIENT_ID=here.world.tenant.user_identity.client_id)
    here.world.tenant.roles[service].discard(role)
    found = checks(here)[check]
    assert not found["ok"]
    assert role in found["detail"]
    principal = here.world.tenant.user_identity.object_id
    assert found["remedy"] == (
        f"infra/permissions/grant.sh --principal-id {principal} --with-group"
    )


@pytest.mark.parametrize(
    ("role", "checks_that_fail"),
    [
        ("User.ReadWrite.All", ["SharePoint token and roles", "admin site"]),
        ("Sites.FullControl.All", ["SharePoint token and roles", "My Site photo folder"]),
    ],
)
def test_what_a_missing_role_breaks_is_granted_by_the_same_command(
    served: Make, role: str, checks_that_fail: list[str]
) -> None:
    here = served(users=1)
    here.world.tenant.roles["sharepoint"].discard(role)
    assert wrong(here) == checks_that_fail
    found = checks(here)
    assert len({found[name]["remedy"] for name in checks_that_fail}) == 1


def test_the_group_role_is_needed_only_with_a_group(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.roles["graph"].discard("GroupMember.Read.All")
    assert wrong(here) == []
    here.settings(SYNC_GROUP_ID=here.world.tenant.group_id)
    assert wrong(here) == ["Graph token and roles", "scope size"]


def test_a_larger_role_is_enough(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.roles["graph"] = {"User.ReadWrite.All"}
    assert wrong(here) == []


def test_the_narrower_role_without_its_grant_names_the_narrow_command(served: Make) -> None:
    """`Sites.Selected` is accepted as role; whether the site lets us in is seen by asking it."""
    here = served(users=1)
    here.world.tenant.roles["sharepoint"] = {"User.ReadWrite.All", "Sites.Selected"}
    for fault in [Fault("forbidden", operation="folder.read", times=None)]:
        here.world.tenant.faults.add(fault)
    found = checks(here)
    assert found["SharePoint token and roles"]["ok"]
    assert not found["My Site photo folder"]["ok"]
    assert found["My Site photo folder"]["remedy"].endswith("--narrow --my-site 127.0.0.1")


def test_in_another_tenant_the_application_is_granted() -> None:
    """That tenant does not know the managed identity's object id."""
    ids = {
        "MANAGED_IDENTITY_CLIENT_ID": "11111111-1111-4111-8111-111111111111",
        "TARGET_TENANT_ID": "22222222-2222-4222-8222-222222222222",
        "TARGET_CLIENT_ID": "33333333-3333-4333-8333-333333333333",
    }
    storage = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    settings = load({"SHAREPOINT_TENANT": "contoso"} | storage | ids)
    found = Token(settings, roles.GRAPH, GRAPH_CHECK, claims={"oid": "x", "roles": []}).check()
    assert "User.Read.All" in found.detail
    assert found.remedy == f"infra/permissions/grant.sh --client-id {ids['TARGET_CLIENT_ID']}"


def test_another_cloud_is_part_of_the_command(served: Make) -> None:
    here = served(users=1)
    here.settings(CLOUD="usgov")
    here.world.tenant.roles["graph"].clear()
    remedy = checks(here)["Graph token and roles"]["remedy"]
    assert remedy.endswith(f"--graph {here.world.tenant.url('graph')}")


def test_no_identity(served: Make) -> None:
    """Neither service is asked without a token, and the identity is not asked again and again."""
    here = served(users=1)
    here.settings(IDENTITY_ENDPOINT=None)
    assert wrong(here) == SERVICES
    assert "IDENTITY_ENDPOINT" in checks(here)["Graph token and roles"]["detail"]
    assert here.world.tenant.tape.entries() == []


def test_an_identity_endpoint_that_fails(served: Make) -> None:
    """Each token is asked for three times, and nothing else is asked."""
    here = served(users=1)
    fault = here.world.tenant.faults.add(
        Fault("status", status=500, service="identity", times=None)
    )
    # On the virtual clock, the pauses between attempts pass for the check of storage too.
    assert [name for name in wrong(here) if name != "storage"] == SERVICES
    assert fault.fired == 6
    here.world.tenant.faults.clear()
    assert wrong(here) == []


@pytest.mark.parametrize("missing", ["exists-false", "404"])
def test_no_photo_library(served: Make, missing: Any) -> None:
    """Whichever way SharePoint answers questions about a library that is not there."""
    here = served(users=1, quirks=Quirks(library_exists=False, missing_folder=missing))
    assert wrong(here) == ["My Site photo folder"]
    assert "open their own profile photo" in checks(here)["My Site photo folder"]["remedy"]


def test_no_photo_folder_yet(served: Make) -> None:
    """It is made by the first upload, not by a check."""
    here = served(users=1, quirks=Quirks(folder_exists=False))
    assert wrong(here) == []
    assert here.world.tenant.tape.writes() == []


def test_a_folder_in_another_language_is_found(served: Make) -> None:
    here = served(users=1, quirks=Quirks(folder_name="Profielafbeeldingen"))
    assert "'Profielafbeeldingen'" in checks(here)["My Site photo folder"]["detail"]


@pytest.mark.parametrize("unknown", ["odata.null", "error"])
def test_the_admin_site_is_asked_for_nobody(served: Make, unknown: Any) -> None:
    """Whatever SharePoint says of a user who does not exist: it answers, so it works."""
    here = served(users=1, quirks=Quirks(unknown_profile=unknown))
    assert wrong(here) == []


def test_a_wrong_admin_site_is_named(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.faults.add(
        Fault("status", status=404, operation="profile.batch", times=None, body="html")
    )
    here.world.tenant.faults.add(
        Fault("status", status=404, operation="profile.read", times=None, body="html")
    )
    assert wrong(here) == ["admin site"]
    assert "SHAREPOINT_ADMIN_URL" in checks(here)["admin site"]["remedy"]


def test_a_service_that_is_down_is_worth_another_look(served: Make) -> None:
    here = served(users=1)
    here.world.tenant.faults.add(Fault("reset", service="sharepoint", times=None))
    assert wrong(here) == ["My Site photo folder", "admin site"]
    assert "again" in checks(here)["admin site"]["remedy"]


def test_storage_that_may_only_be_read(served: Make, azurite: Azurite) -> None:
    """Reading is not enough for a checkpoint; it is found out without writing anything."""
    here = served(users=1)
    assert wrong(here) == []
    before = here.world.blobs()
    sas = generate_container_sas(
        ACCOUNT,
        here.world.settings["CHECKPOINT_CONTAINER"],
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry="2100-01-01T00:00:00Z",
    )
    text = f"BlobEndpoint={azurite.blob_url};SharedAccessSignature={sas}"
    here.settings(AzureWebJobsStorage=text)
    assert wrong(here) == ["storage"]
    assert "Storage Blob Data Owner" in checks(here)["storage"]["detail"]
    assert here.world.blobs() == before


def test_the_check_of_storage_leaves_no_trace(served: Make) -> None:
    """Also while there is a run document, leased or not."""
    here = served(users=1)
    here.fire()
    before = here.world.blobs()
    assert wrong(here) == []
    assert here.world.blobs() == before


def test_state_of_a_newer_version(served: Make) -> None:
    here = served(users=1)
    assert wrong(here) == []
    put(here.world.app().container, "run.json", b'{"schema":999}')
    assert wrong(here) == ["storage"]
    assert "999" in checks(here)["storage"]["detail"]


def test_good_results_are_kept_for_five_minutes(served: Make) -> None:
    """A page that polls costs no request to the services; what is bad is looked at each time."""
    here = served(users=1)
    tape = here.world.tenant.tape
    assert wrong(here) == []
    tape.clear()
    here.world.clock.advance(299)
    assert wrong(here) == []
    assert tape.entries() == []
    here.world.clock.advance(2)
    assert wrong(here) == []
    assert tape.entries() != []

    here.world.clock.advance(301)
    fault = here.world.tenant.faults.add(Fault("reset", service="sharepoint", times=None))
    assert wrong(here) != []
    here.world.tenant.faults.clear()
    assert fault.fired
    assert wrong(here) == []


def test_the_scope_is_counted_without_listing_it(served: Make) -> None:
    """One page of 20 users, which the other checks use too, and two counts."""
    here = served(users=30)
    detail = checks(here)["scope size"]["detail"]
    assert detail.startswith("30 users match USER_FILTER; ")
    listings = here.world.tenant.tape.entries(operation="users.list")
    assert ["top=20&" in entry.target for entry in listings] == [True, False, False]
    assert all("top=1&" in entry.target for entry in listings[1:])


def test_the_scope_of_a_group_is_counted(served: Make) -> None:
    here = served(users=30)
    here.settings(SYNC_GROUP_ID=here.world.tenant.group_id)
    detail = checks(here)["scope size"]["detail"]
    assert "30 users match USER_FILTER" in detail
    assert "SYNC_GROUP_ID has 3;" in detail


@pytest.mark.parametrize(
    "settings",
    [
        {"USER_FILTER": "userType eq 'Nobody'"},
        {"USER_FILTER": "this is no filter"},
        {"SYNC_GROUP_ID": "00000000-0000-4000-8000-000000000000"},
    ],
)
def test_a_scope_without_anybody_is_named(served: Make, settings: dict[str, str]) -> None:
    """Nobody matches, a filter that Graph refuses, a group that is not there."""
    here = served(users=3)
    here.settings(**settings)
    listed = "SYNC_GROUP_ID" in settings
    assert wrong(here) == ["scope size", "one photo"][: 1 if listed else 2]
    (setting,) = settings
    assert setting in checks(here)["scope size"]["detail"]


def test_an_empty_group_is_named(served: Make) -> None:
    here = served(users=3)
    group = here.world.tenant.group_id
    here.world.tenant.directory.groups[group] = set()
    here.settings(SYNC_GROUP_ID=group)
    assert wrong(here) == ["scope size"]


@pytest.mark.parametrize("schedule", [None, "0 0 25 * * *", "0 0 1 31 2 *"])
def test_a_timer_that_never_fires_is_named(served: Make, schedule: str | None) -> None:
    """A missing schedule, an invalid one, and one whose day never comes are reported."""
    here = served(users=1)
    here.settings(SYNC_SCHEDULE=schedule)
    assert wrong(here) == ["function schedule"]
    assert "SYNC_SCHEDULE" in checks(here)["function schedule"]["remedy"]


def test_the_schedule_tells_the_next_firing_and_the_age_of_the_last_run(served: Make) -> None:
    here = served(users=1)
    assert checks(here)["function schedule"]["detail"].startswith("no run yet; next firing ")
    here.fire()
    here.world.clock.advance(3 * 3600)
    detail = checks(here)["function schedule"]["detail"]
    assert detail.startswith("last run completed, begun 3.0 hours ago; next firing ")


@pytest.mark.parametrize(
    ("schedule", "days", "late"),
    [("0 0 1 * * *", 0.9, False), ("0 0 1 * * *", 3, True), ("0 0 1 1 1 *", 3, False)],
)
def test_a_night_that_did_not_come_is_noticed_by_the_schedule(
    served: Make, schedule: str, days: float, late: bool
) -> None:
    """The schedule decides, not a number of hours: an app that runs once a year is not late."""
    here = served(users=1)
    here.settings(SYNC_SCHEDULE=schedule)
    now = here.world.clock.time()
    at_two = now - now % 86_400 + 86_400 + 2 * 3600
    here.world.clock.advance(at_two - now)
    here.fire()
    here.world.clock.advance(days * 86_400)
    assert wrong(here) == (["function schedule"] if late else [])
    if late:
        assert "disabled" in checks(here)["function schedule"]["remedy"]
    here.fire()
    assert wrong(here) == []


def test_changed_settings_are_checked_at_once(served: Make) -> None:
    here = served(users=1)
    assert wrong(here) == []
    here.settings(SHAREPOINT_ADMIN_URL="https://127.0.0.1:1")
    assert "admin site" in wrong(here)


def test_whatever_fails_the_checks_answer_in_time(served: Make) -> None:
    """Within a minute, with all services silent."""
    here = served(users=1)
    for service in ("identity", "graph", "sharepoint"):
        here.world.tenant.faults.add(Fault("timeout_before", service=service, times=None))
        began = here.world.clock.monotonic()
        wrong(here)
        assert here.world.clock.monotonic() - began <= 60
