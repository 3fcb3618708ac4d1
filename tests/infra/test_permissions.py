"""The template and both scripts grant the same app roles: those of the contract, no more."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infra.templates import INFRA, parsed

FOLDER = INFRA / "permissions"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
SHAREPOINT_APP = "00000003-0000-0ff1-ce00-000000000000"
GRAPH, SHAREPOINT = "graph-sp", "sharepoint-sp"
PRINCIPAL = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-8888-7777-6666-555555555555"
SITE = "contoso-my.sharepoint.com,1,2"

# (resource, role) by variant: permissions of the contract.
BASE = {("graph", "User.Read.All"), ("sharepoint", "User.ReadWrite.All")}
FULL = BASE | {("sharepoint", "Sites.FullControl.All")}
NARROW = BASE | {("sharepoint", "Sites.Selected")}
GROUP = {("graph", "GroupMember.Read.All")}
VARIANTS = [
    (set(), FULL),
    ({"with-group"}, FULL | GROUP),
    ({"narrow"}, NARROW),
    ({"with-group", "narrow"}, NARROW | GROUP),
]
# Ids from Microsoft's published permission data; Graph and SharePoint share some.
ROLE_IDS = {
    "graph": {
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
        "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
        "Sites.FullControl.All": "a82116e5-55eb-4c41-a434-62fe8a61c773",
    },
    "sharepoint": {
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
        "Sites.FullControl.All": "678536fe-1083-478a-9c59-b99265e6b0d3",
        "Sites.Selected": "20d37865-089c-4dee-8c41-6967602d4ac8",
    },
}
RESOURCES = {"graph": (GRAPH, GRAPH_APP), "sharepoint": (SHAREPOINT, SHAREPOINT_APP)}
Grant = Callable[..., subprocess.CompletedProcess[str]]

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="grant.sh needs bash")


def directory() -> dict[str, Any]:
    """A tenant in which nothing is granted."""
    principals: list[dict[str, Any]] = []
    for service, (object_id, app_id) in RESOURCES.items():
        roles = [
            # A delegated permission of the same name, which must not be taken.
            {"id": "delegated", "value": "User.Read.All", "allowedMemberTypes": ["User"]},
            *(
                {"id": role_id, "value": value, "allowedMemberTypes": ["Application"]}
                for value, role_id in ROLE_IDS[service].items()
            ),
        ]
        principals.append({"id": object_id, "appId": app_id, "appRoles": roles})
    principals.append({"id": PRINCIPAL, "appId": CLIENT, "appRoles": []})
    return {
        "administrator": True,
        "principals": principals,
        "assignments": [],
        "unlisted": [],
        "permissions": {},
        "calls": [],
    }


class Tenant:
    """The directory behind the stand-in for az, and what a test wants to know of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "state.json"
        self.save(directory())

    def save(self, state: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(state), "utf-8")

    def load(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        return state

    def granted(self) -> set[tuple[str, str]]:
        names = {
            (RESOURCES[service][0], role_id): (service, value)
            for service, roles in ROLE_IDS.items()
            for value, role_id in roles.items()
        }
        found = [a for a in self.load()["assignments"] if a["principalId"] == PRINCIPAL]
        return {names[a["resourceId"], a["appRoleId"]] for a in found}

    def posts(self) -> list[str]:
        return [call for call in self.load()["calls"] if call.startswith("POST")]


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    return Tenant(tmp_path)


@pytest.fixture
def grant(tenant: Tenant, tmp_path: Path) -> Grant:
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    fake = Path(__file__).with_name("fake_az.py")
    az.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -S "{fake}" "$@"\n', "utf-8")
    az.chmod(0o755)
    path = f"{az.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "FAKE_AZ_STATE": str(tenant.file)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own script
            ["bash", str(FOLDER / "grant.sh"), *arguments],  # noqa: S607 - found on PATH
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def flags(variant: set[str]) -> list[str]:
    extra = ["--my-site", "contoso-my.sharepoint.com"] if "narrow" in variant else []
    return ["--principal-id", PRINCIPAL, *(f"--{name}" for name in sorted(variant)), *extra]


@needs_bash
@pytest.mark.parametrize(("variant", "expected"), VARIANTS)
def test_the_script_grants_exactly_the_roles(
    grant: Grant, tenant: Tenant, variant: set[str], expected: set[tuple[str, str]]
) -> None:
    """Each variant ends with the contract's roles on the right resource, and no other."""
    done = grant(*flags(variant))
    assert done.returncode == 0, done.stderr
    assert tenant.granted() == expected


@needs_bash
def test_the_script_is_idempotent(grant: Grant, tenant: Tenant) -> None:
    """A second run changes nothing and says so."""
    arguments = flags({"with-group", "narrow"})
    grant(*arguments)
    before = tenant.load()
    done = grant(*arguments)
    after = tenant.load()
    assert done.returncode == 0
    assert done.stdout.count("already granted: ") == 5
    assert (after["assignments"], after["permissions"]) == (
        before["assignments"],
        before["permissions"],
    )
    assert len(tenant.posts()) == 5


@needs_bash
def test_a_grant_that_is_not_listed_yet_counts_as_granted(grant: Grant, tenant: Tenant) -> None:
    """The directory lists a fresh grant late and refuses it twice: that is no failure."""
    state = tenant.load()
    role = ROLE_IDS["graph"]["User.Read.All"]
    state["unlisted"] = [{"principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": role}]
    tenant.save(state)
    done = grant(*flags(set()))
    assert done.returncode == 0, done.stderr
    assert "already granted: Microsoft Graph User.Read.All" in done.stdout


@needs_bash
def test_the_same_id_on_graph_is_no_grant_on_sharepoint(grant: Grant, tenant: Tenant) -> None:
    """User.ReadWrite.All has one id on both resources; the one on Graph does not count."""
    state = tenant.load()
    role = ROLE_IDS["graph"]["User.ReadWrite.All"]
    state["assignments"] = [
        {"id": "a", "principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": role}
    ]
    tenant.save(state)
    grant(*flags(set()))
    assert ("sharepoint", "User.ReadWrite.All") in tenant.granted()


@needs_bash
def test_a_dry_run_changes_nothing(grant: Grant, tenant: Tenant) -> None:
    """--dry-run names every grant and sends no change."""
    done = grant(*flags({"with-group", "narrow"}), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert tenant.posts() == []
    assert done.stdout.splitlines() == [
        "would grant: Microsoft Graph User.Read.All",
        "would grant: Microsoft Graph GroupMember.Read.All",
        "would grant: SharePoint User.ReadWrite.All",
        "would grant: SharePoint Sites.Selected",
        "would grant: write on contoso-my.sharepoint.com",
    ]


@needs_bash
def test_the_narrow_variant_opens_the_my_site_host_for_the_application(
    grant: Grant, tenant: Tenant
) -> None:
    """Sites.Selected opens nothing by itself: the site gets a write grant for the client id."""
    grant(*flags({"narrow"}))
    (permission,) = tenant.load()["permissions"][SITE]
    assert permission["roles"] == ["write"]
    assert permission["grantedToIdentitiesV2"][0]["application"]["id"] == CLIENT


@needs_bash
def test_who_may_not_grant_is_told_what_it_takes(grant: Grant, tenant: Tenant) -> None:
    """Without the role the script fails, keeps the service's words and names the role."""
    tenant.save(directory() | {"administrator": False})
    done = grant(*flags(set()))
    assert done.returncode == 1
    assert "Insufficient privileges" in done.stderr
    assert "Privileged Role Administrator" in done.stderr


@needs_bash
def test_another_cloud_is_addressed_as_told(grant: Grant, tenant: Tenant) -> None:
    """--graph sends every call to that cloud's Microsoft Graph."""
    grant(*flags(set()), "--graph", "https://graph.microsoft.us/")
    calls = tenant.load()["calls"]
    assert calls
    assert all(call.split(" ")[1].startswith("https://graph.microsoft.us/v1.0/") for call in calls)


@needs_bash
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--principal-id"],
        ["--principal-id", "photo-sync"],
        ["--principal-id", PRINCIPAL, "--narrow"],
        ["--principal-id", PRINCIPAL, "--narrow", "--my-site", "https://contoso-my.sharepoint.com"],
        ["--principal-id", PRINCIPAL, "--everything"],
    ],
)
def test_wrong_usage_sends_nothing(grant: Grant, tenant: Tenant, arguments: list[str]) -> None:
    """A client id's name, a forgotten host or an unknown flag ends with status 2."""
    done = grant(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert tenant.load()["calls"] == []


def test_the_template_grants_the_same_roles() -> None:
    """permissions/main.bicep has the four variants of the script."""
    variables = parsed()["permissions/main.bicep"]["variables"]
    found: set[tuple[str, str, str]] = set()
    for service, symbol in (("graph", "graphRoles"), ("sharepoint", "sharePointRoles")):
        choice = variables[symbol]["value"]["operator"]["operands"]
        for branch in ("true_value", "false_value"):
            condition = choice["condition"] if branch == "true_value" else "-"
            found |= {(condition, service, role) for role in choice[branch]}
    graph_base = {("-", "graph", "User.Read.All"), ("withGroup", "graph", "User.Read.All")}
    assert found == graph_base | {
        ("withGroup", "graph", "GroupMember.Read.All"),
        ("narrow", "sharepoint", "User.ReadWrite.All"),
        ("narrow", "sharepoint", "Sites.Selected"),
        ("-", "sharepoint", "User.ReadWrite.All"),
        ("-", "sharepoint", "Sites.FullControl.All"),
    }


def test_the_template_asks_the_right_resources() -> None:
    """Roles are looked up by name on Microsoft Graph and on SharePoint, for applications only."""
    found = parsed()["permissions/main.bicep"]["resources"]
    ids = {s: r["config"]["appId"] for s, r in found.items() if r["existing"]}
    assert ids == {"graph": GRAPH_APP, "sharePoint": SHAREPOINT_APP}
    text = (FOLDER / "main.bicep").read_text("utf-8")
    assert text.count("contains(r.allowedMemberTypes, 'Application')") == 2
    assert "microsoftGraphV1" in json.loads((FOLDER / "bicepconfig.json").read_text())["extensions"]


def test_the_powershell_twin_names_the_same_roles_and_resources() -> None:
    """Grant.ps1 cannot run here; its roles, ids and messages are those of grant.sh."""
    shell = (FOLDER / "grant.sh").read_text("utf-8")
    power = (FOLDER / "grant.ps1").read_text("utf-8")
    lists = [
        sorted(re.findall(r"'([\w.]+)'", roles)) for roles in re.findall(r"@\(('[^)]*')\)", power)
    ]
    graph, narrow, full = lists[:3]
    added = re.findall(r"if \(\$WithGroup\) \{ \$graphRoles \+= '([\w.]+)' \}", power)
    assert re.search(r"if \(\$Narrow\) \{\n\s+@\('User", power)  # narrow comes first
    assert {("graph", role) for role in graph} | {("sharepoint", role) for role in full} == FULL
    assert {("graph", role) for role in graph} | {("sharepoint", role) for role in narrow} == NARROW
    assert {("graph", role) for role in added} == GROUP
    for text in (GRAPH_APP, SHAREPOINT_APP, "appRoleAssignedTo", "appRoleAssignments", "already"):
        assert text in shell
        assert text in power
    for message in ("already granted: ", "would grant: ", "granted: ", "write on "):
        assert message in shell
        assert message in power
