"""`grant.ps1` under PowerShell: the same grants, words and exit statuses as `grant.sh`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.infra.directory import (
    CLIENT,
    GRAPH,
    HOST,
    PRINCIPAL,
    ROLE_IDS,
    SITE,
    Directory,
    Served,
)
from tests.infra.test_permissions import FULL, GROUP, NARROW, PHOTOS, TARGET
from tests.infra.tools import ROOT, find, run

SCRIPT = ROOT / "infra" / "permissions" / "grant.ps1"
HERE = Path(__file__).parent
OWN = {"PrincipalId": PRINCIPAL}
NARROW_OWN = {**OWN, "Narrow": True, "MySite": HOST}
IDENTITY, OTHER = {"application": {"id": CLIENT}}, {"application": {"id": PRINCIPAL}}
FULL_GRANT = [
    "granted: Microsoft Graph User.Read.All",
    "granted: SharePoint User.ReadWrite.All",
    "granted: SharePoint Sites.FullControl.All",
    "Done. A token that was issued before keeps its old roles for up to 24 hours.",
]


@dataclass
class Case:
    """One run of the script.

    Attributes:
        parameters: of the script.
        directory: in which it runs.
    """

    parameters: Mapping[str, object]
    directory: Directory = field(default_factory=Directory)


def with_target() -> Directory:
    directory = Directory()
    directory.add_principal("target-sp", TARGET, [])
    return directory


def unlisted() -> Directory:
    role = ROLE_IDS["graph"]["User.Read.All"]
    return Directory(unlisted=[{"principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": role}])


def occupied() -> Directory:
    """Another application may write, ours may only read."""
    permissions = [
        {"id": "p1", "roles": ["write"], "grantedToIdentitiesV2": [OTHER]},
        {"id": "p2", "roles": ["read"], "grantedToIdentitiesV2": [IDENTITY]},
        {"id": "p3", "grantedToIdentitiesV2": [{"user": {"id": CLIENT}}]},
    ]
    return Directory(permissions={SITE: permissions})


AGAIN = Directory()
CASES = {
    "full": Case(OWN),
    "group": Case({**OWN, "WithGroup": True}),
    "photos": Case({**OWN, "WithPhotos": True}),
    "narrow": Case({**NARROW_OWN, "WithGroup": True}, AGAIN),
    "narrow again": Case({**NARROW_OWN, "WithGroup": True}, AGAIN),
    "occupied": Case(NARROW_OWN, occupied()),
    "unlisted": Case(OWN, unlisted()),
    "dry": Case({**NARROW_OWN, "DryRun": True}),
    "other tenant": Case({"ClientId": TARGET, "TenantId": "contoso.example"}, with_target()),
    "gov": Case({**OWN, "Environment": "USGov"}),
    "no rights": Case(OWN, Directory(administrator=False)),
    "wrong id": Case({"PrincipalId": TARGET}),
    "no application": Case({"ClientId": TARGET}),
    "no site": Case({**NARROW_OWN, "MySite": "fabrikam-my.sharepoint.com"}),
    "busy": Case(OWN, Directory(busy=3)),
    "always busy": Case(OWN, Directory(busy=1000)),
    "no host": Case({**OWN, "Narrow": True}),
}


@dataclass
class Result:
    """What a run ended with."""

    status: int
    out: list[str]
    error: str
    directory: Directory


@pytest.fixture(scope="session")
def results(
    served: Served, tmp_path_factory: pytest.TempPathFactory, powershell: dict[str, str]
) -> dict[str, Result]:
    """All runs, made by one PowerShell; it takes seconds to start."""
    pwsh = find("pwsh", "PWSH")
    plan = tmp_path_factory.mktemp("powershell") / "plan.json"
    cases = [
        {
            "name": name,
            "script": str(SCRIPT),
            "parameters": case.parameters,
            "graph": served.add(f"pwsh-{index}", case.directory),
        }
        for index, (name, case) in enumerate(CASES.items())
    ]
    plan.write_text(json.dumps(cases), "utf-8")
    runner = HERE / "run_scripts.ps1"
    done = run(
        [pwsh, "-NoProfile", "-NonInteractive", "-File", runner, "-Plan", plan], env=powershell
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return {
        r["name"]: Result(r["status"], r["out"], r["error"], CASES[r["name"]].directory)
        for r in found
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("full", FULL),
        ("group", FULL | GROUP),
        ("photos", FULL | PHOTOS),
        ("narrow", NARROW | GROUP),
        ("gov", FULL),
    ],
)
def test_the_script_grants_exactly_the_roles(
    results: dict[str, Result], name: str, expected: set[tuple[str, str]]
) -> None:
    """Each variant ends with the contract's roles on the right resource, and no other."""
    result = results[name]
    assert (result.status, result.error) == (0, "")
    assert result.directory.granted() == expected


def test_the_script_prints_what_the_bash_script_prints(results: dict[str, Result]) -> None:
    """Both scripts print the same lines."""
    assert results["full"].out == FULL_GRANT


def test_the_script_is_idempotent(results: dict[str, Result]) -> None:
    """A second run changes nothing, although the list of site permissions lacks `roles`."""
    result = results["narrow again"]
    assert (result.status, result.error) == (0, "")
    assert [line for line in result.out if line.startswith("already granted: ")] == [
        "already granted: Microsoft Graph User.Read.All",
        "already granted: Microsoft Graph GroupMember.Read.All",
        "already granted: SharePoint User.ReadWrite.All",
        "already granted: SharePoint Sites.Selected",
        f"already granted: write on {HOST}",
    ]
    assert len(result.directory.permissions[SITE]) == 1
    assert len(result.directory.assignments) == 4


def test_the_grant_of_another_application_is_not_ours(results: dict[str, Result]) -> None:
    """The script grants access also if other applications have grants on the site."""
    result = results["occupied"]
    assert (result.status, result.error) == (0, "")
    assert f"granted: write on {HOST}" in result.out
    last = result.directory.permissions[SITE][-1]
    assert (last["roles"], last["grantedToIdentitiesV2"][0]["application"]["id"]) == (
        ["write"],
        CLIENT,
    )


def test_a_grant_that_is_not_listed_yet_counts_as_granted(results: dict[str, Result]) -> None:
    """What the service calls "already exists" is no failure."""
    result = results["unlisted"]
    assert (result.status, result.error) == (0, "")
    assert result.out[0] == "already granted: Microsoft Graph User.Read.All"


def test_a_dry_run_changes_nothing_and_asks_to_read_only(results: dict[str, Result]) -> None:
    """-DryRun names every grant, and its consent does not cover any change."""
    result = results["dry"]
    assert (result.status, result.error) == (0, "")
    assert result.out == [
        "would grant: Microsoft Graph User.Read.All",
        "would grant: SharePoint User.ReadWrite.All",
        "would grant: SharePoint Sites.Selected",
        f"would grant, unless it is granted already: write on {HOST}",
    ]
    assert result.directory.changes() == []
    (connection,) = result.directory.connections
    assert connection["Scopes"] == ["Application.Read.All"]


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("full", ["Application.Read.All", "AppRoleAssignment.ReadWrite.All"]),
        (
            "occupied",
            ["Application.Read.All", "AppRoleAssignment.ReadWrite.All", "Sites.FullControl.All"],
        ),
    ],
)
def test_consent_is_asked_for_what_is_needed(
    results: dict[str, Result], name: str, scopes: list[str]
) -> None:
    """Only the narrow variant asks for rights on sites."""
    (connection,) = results[name].directory.connections
    assert connection["Scopes"] == scopes


def test_in_another_tenant_the_application_gets_the_roles(results: dict[str, Result]) -> None:
    """-ClientId grants to that application's service principal, after a sign-in to its tenant."""
    result = results["other tenant"]
    assert (result.status, result.error) == (0, "")
    assert result.directory.granted("target-sp") == FULL
    assert result.directory.connections[0]["TenantId"] == "contoso.example"


def test_another_cloud_is_signed_in_to(results: dict[str, Result]) -> None:
    """-Environment reaches Connect-MgGraph."""
    assert results["gov"].directory.connections[0]["Environment"] == "USGov"


@pytest.mark.parametrize(
    ("name", "status", "words", "remedy"),
    [
        (
            "no rights",
            1,
            "403 Authorization_RequestDenied: Insufficient privileges",
            "Microsoft Graph User.Read.All could not be granted: that takes a Privileged Role "
            "Administrator",
        ),
        (
            "wrong id",
            1,
            "404 Request_ResourceNotFound",
            f"cannot read the grants of {TARGET}: it is not in this tenant (Get-MgContext), the id "
            "is wrong, or it was created a minute ago (try again)",
        ),
        (
            "no application",
            1,
            "404 Request_ResourceNotFound",
            f"cannot find application {TARGET} in this tenant: sign in to the other tenant "
            f"(-TenantId) and create its service principal (New-MgServicePrincipal -AppId "
            f"{TARGET})",
        ),
        (
            "no site",
            1,
            "404 itemNotFound",
            "cannot read site fabrikam-my.sharepoint.com: is the name right, and are you signed in "
            "to the right tenant (Get-MgContext)?",
        ),
        (
            "always busy",
            1,
            "",
            "Microsoft Graph is busy: run this again in a few minutes; what is granted stays "
            "granted",
        ),
        ("no host", 2, "", "-Narrow needs -MySite HOST, e.g. contoso-my.sharepoint.com"),
    ],
)
def test_a_refusal_names_the_remedy(
    results: dict[str, Result], name: str, status: int, words: str, remedy: str
) -> None:
    """The script shows the message of the service and a remedy, without a stack trace."""
    result = results[name]
    assert result.status == status
    assert words in result.error
    assert result.error.splitlines()[-1] == f"grant.ps1: {remedy}"


def test_a_throttled_request_is_repeated_by_the_module(results: dict[str, Result]) -> None:
    """Three refusals in a row do not end the script."""
    assert results["busy"].out == FULL_GRANT


def test_the_exit_status_is_that_of_the_process(served: Served, powershell: dict[str, str]) -> None:
    """Run as a command, the script ends PowerShell with its status and prints to stderr."""
    pwsh = find("pwsh", "PWSH")
    graph = served.add("pwsh-process", Directory(administrator=False))
    done = run(
        [pwsh, "-NoProfile", "-File", SCRIPT, "-PrincipalId", PRINCIPAL],
        env={**powershell, "FAKE_GRAPH": graph},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("grant.ps1: Microsoft Graph User.Read.All could")
