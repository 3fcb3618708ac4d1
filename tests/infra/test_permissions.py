"""The template and both scripts grant the same app roles: those of the contract, no more."""

from typing import Any

import pytest

from tests.infra.compiler import Compiler
from tests.infra.directory import (
    CLI_SCOPES,
    CLIENT,
    GRAPH,
    GRAPH_APP,
    HOST,
    PRINCIPAL,
    ROLE_IDS,
    SHAREPOINT_APP,
    SITE,
    Directory,
)
from tests.infra.fake_az import Az
from tests.infra.tools import Script

GRANT = "infra/permissions/grant.sh"
TARGET = "22222222-2222-2222-2222-222222222222"
WITH_SITES = frozenset({"Directory.AccessAsUser.All", "Sites.FullControl.All"})

# (resource, role) by variant: permissions of the contract.
BASE = {("graph", "User.Read.All"), ("sharepoint", "User.ReadWrite.All")}
FULL = BASE | {("sharepoint", "Sites.FullControl.All")}
NARROW = BASE | {("sharepoint", "Sites.Selected")}
GROUP = {("graph", "GroupMember.Read.All")}
PHOTOS = {("graph", "ProfilePhoto.Read.All")}
VARIANTS = [
    (set(), FULL),
    ({"with-group"}, FULL | GROUP),
    ({"with-photos"}, FULL | PHOTOS),
    ({"narrow"}, NARROW),
    ({"with-group", "narrow"}, NARROW | GROUP),
]


@pytest.fixture
def az(directory: Directory) -> Az:
    """The Azure CLI may also change the permissions of sites, as in some tenants."""
    return Az(directory, WITH_SITES)


def flags(variant: set[str]) -> list[str]:
    extra = ["--my-site", HOST] if "narrow" in variant else []
    return ["--principal-id", PRINCIPAL, *(f"--{name}" for name in sorted(variant)), *extra]


@pytest.mark.parametrize(("variant", "expected"), VARIANTS)
def test_the_script_grants_exactly_the_roles(
    shell: Script, directory: Directory, variant: set[str], expected: set[tuple[str, str]]
) -> None:
    """Each variant ends with the contract's roles on the right resource, and no other."""
    done = shell(GRANT, *flags(variant))
    assert (done.returncode, done.stderr) == (0, "")
    assert directory.granted() == expected


def test_the_script_is_idempotent(shell: Script, directory: Directory) -> None:
    """A second run changes nothing and says so, although a list of permissions lacks `roles`."""
    arguments = flags({"with-group", "narrow"})
    shell(GRANT, *arguments)
    before = directory.changes()
    assert len(before) == 5
    for extra in ([], ["--dry-run"]):
        done = shell(GRANT, *arguments, *extra)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("already granted: ") == 5
        assert "would grant" not in done.stdout
        assert directory.changes() == before


def test_the_grant_of_another_application_is_not_ours(shell: Script, directory: Directory) -> None:
    """A grant counts only if it is for this application and allows it to write."""
    identity = {"application": {"id": CLIENT}}
    other = {"application": {"id": PRINCIPAL}}
    directory.permissions[SITE] = [
        {"id": "p1", "roles": ["write"], "grantedToIdentitiesV2": [other]},
        {"id": "p2", "roles": ["read"], "grantedToIdentitiesV2": [identity]},
        {"id": "p3", "grantedToIdentitiesV2": [{"user": {"id": CLIENT}}]},
    ]
    done = shell(GRANT, *flags({"narrow"}))
    assert f"\ngranted: write on {HOST}\n" in done.stdout
    assert directory.permissions[SITE][-1]["roles"] == ["write"]


def test_a_grant_that_is_not_listed_yet_counts_as_granted(
    shell: Script, directory: Directory
) -> None:
    """The script accepts that Entra ID refuses a grant that it does not list yet."""
    role = ROLE_IDS["graph"]["User.Read.All"]
    directory.unlisted = [{"principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": role}]
    done = shell(GRANT, *flags(set()))
    assert done.returncode == 0, done.stderr
    assert "already granted: Microsoft Graph User.Read.All" in done.stdout


def test_the_same_id_on_graph_is_no_grant_on_sharepoint(
    shell: Script, directory: Directory
) -> None:
    """User.ReadWrite.All has one id on both resources; the one on Graph does not count."""
    role = ROLE_IDS["graph"]["User.ReadWrite.All"]
    directory.assignments = [
        {"id": "a", "principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": role}
    ]
    shell(GRANT, *flags(set()))
    assert ("sharepoint", "User.ReadWrite.All") in directory.granted()


def test_a_dry_run_changes_nothing(shell: Script, directory: Directory) -> None:
    """--dry-run names every grant and sends no change."""
    done = shell(GRANT, *flags({"with-group", "narrow"}), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert directory.changes() == []
    assert done.stdout.splitlines() == [
        "would grant: Microsoft Graph User.Read.All",
        "would grant: Microsoft Graph GroupMember.Read.All",
        "would grant: SharePoint User.ReadWrite.All",
        "would grant: SharePoint Sites.Selected",
        f"would grant: write on {HOST}",
    ]


def test_a_dry_run_needs_no_right_to_write(shell: Script, az: Az, directory: Directory) -> None:
    """A user who can only read the directory can see what would be granted."""
    az.scopes = frozenset({"Application.Read.All"})
    done = shell(GRANT, *flags({"narrow"}), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        f"would grant, unless it is granted already: write on {HOST}"
    )
    assert directory.changes() == []


def test_the_narrow_variant_opens_the_my_site_host_for_the_application(
    shell: Script, directory: Directory
) -> None:
    """Sites.Selected opens nothing by itself: the site gets a write grant for the client id."""
    shell(GRANT, *flags({"narrow"}))
    (permission,) = directory.permissions[SITE]
    assert permission["roles"] == ["write"]
    assert permission["grantedToIdentitiesV2"][0]["application"]["id"] == CLIENT


def test_in_another_tenant_the_application_gets_the_roles(
    shell: Script, directory: Directory
) -> None:
    """With --client-id the roles go to that application's service principal of this tenant."""
    directory.add_principal("target-sp", TARGET, [])
    done = shell(GRANT, "--client-id", TARGET)
    assert done.returncode == 0, done.stderr
    assert directory.granted("target-sp") == FULL
    assert directory.granted() == set()


REFUSALS: dict[str, tuple[list[str], dict[str, Any], str, str]] = {
    "no right to grant": (
        flags(set()),
        {"administrator": False},
        "Insufficient privileges",
        "Microsoft Graph User.Read.All could not be granted: that takes a Privileged Role "
        "Administrator",
    ),
    "wrong id, or signed in elsewhere": (
        ["--principal-id", TARGET],
        {},
        "Request_ResourceNotFound",
        f"cannot read the grants of {TARGET}: it is not in this tenant (az account show), the id "
        "is wrong, or it was created a minute ago (try again)",
    ),
    "application without service principal": (
        ["--client-id", TARGET],
        {},
        "Request_ResourceNotFound",
        f"cannot find application {TARGET} in this tenant: sign in to the other tenant (az account "
        f"show) and create its service principal (az ad sp create --id {TARGET})",
    ),
    "no such site": (
        [*flags({"narrow"})[:-1], "fabrikam-my.sharepoint.com"],
        {},
        "itemNotFound",
        "cannot read site fabrikam-my.sharepoint.com: is the name right, and are you signed in to "
        "the right tenant (az account show)?",
    ),
    "throttled all the time": (
        flags(set()),
        {"busy": 1000},
        "Too Many Requests",
        "Microsoft Graph is busy: run this again in a few minutes; what is granted stays granted",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_names_the_remedy(shell: Script, directory: Directory, case: str) -> None:
    """The script ends with status 1, the message of the service, and a remedy."""
    arguments, state, words, remedy = REFUSALS[case]
    for name, value in state.items():
        setattr(directory, name, value)
    done = shell(GRANT, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.splitlines()[-1] == f"grant.sh: {remedy}"


def test_without_a_sign_in_the_message_of_the_cli_is_shown(shell: Script, az: Az) -> None:
    """Without a sign-in, the script shows the message of the Azure CLI."""
    az.tenant = ""
    done = shell(GRANT, *flags(set()))
    assert done.returncode == 1
    assert "Please run 'az login'" in done.stderr


def test_without_rights_on_sites_the_other_script_is_named(shell: Script, az: Az) -> None:
    """The Azure CLI cannot read permissions of sites in every tenant."""
    az.scopes = CLI_SCOPES
    done = shell(GRANT, *flags({"narrow"}))
    assert done.returncode == 1
    assert done.stderr.endswith("use grant.ps1 -Narrow\n")


def test_a_throttled_request_is_repeated(shell: Script, directory: Directory) -> None:
    """The script repeats a throttled request and waits longer each time."""
    directory.busy = 3
    done = shell(GRANT, *flags(set()))
    assert done.returncode == 0, done.stderr
    assert directory.granted() == FULL
    assert shell.waits == [10, 20, 30]


def test_another_cloud_is_addressed_as_told(shell: Script, directory: Directory) -> None:
    """--graph sends every call to that cloud's Microsoft Graph."""
    shell(GRANT, *flags(set()), "--graph", "https://graph.microsoft.us/")
    assert directory.granted() == FULL
    assert directory.roots == {"https://graph.microsoft.us"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--principal-id"],
        ["--principal-id", "photo-sync"],
        ["--principal-id", PRINCIPAL, "--client-id", TARGET],
        ["--principal-id", PRINCIPAL, "--narrow"],
        ["--principal-id", PRINCIPAL, "--narrow", "--my-site", f"https://{HOST}"],
        ["--principal-id", PRINCIPAL, "--graph", "http://graph.microsoft.com"],
        ["--principal-id", PRINCIPAL, "--everything"],
    ],
)
def test_wrong_usage_sends_nothing(
    shell: Script, directory: Directory, arguments: list[str]
) -> None:
    """Wrong options end with status 2 before any request."""
    done = shell(GRANT, *arguments)
    assert done.returncode == 2
    assert done.stderr
    assert directory.calls == []


@pytest.mark.parametrize(("variant", "expected"), VARIANTS)
def test_the_template_grants_the_same_roles(
    compiler: Compiler, variant: set[str], expected: set[tuple[str, str]]
) -> None:
    """permissions/main.bicep has the variants of the script."""
    path = compiler.root / "tests" / "infra" / "snapshots" / "permissions.bicepparam"
    names = {"with-group": "withGroup", "with-photos": "withPhotos", "narrow": "narrow"}
    path.write_text(
        "using '../../../infra/permissions/main.bicep'\n"
        f"param principalId = '{PRINCIPAL}'\n"
        + "".join(f"param {names[name]} = true\n" for name in variant)
    )
    deployment = compiler.evaluate(path, resourceGroup="rg")
    services = {"graph": "Microsoft Graph", "sharepoint": "SharePoint"}
    wanted = {f"{services[service]} {role}" for service, role in expected}
    assert set(deployment.outputs["GRANTED"]) == wanted
    grants = deployment.all("Microsoft.Graph/appRoleAssignedTo@v1.0")
    assert len(grants) == len(deployment.resources) == len(expected)
    for service, name in (("graph", "graph"), ("sharepoint", "sharePoint")):
        mine = [g for g in grants if g["properties"]["resourceId"] == f"[reference('{name}').id]"]
        assert len(mine) == sum(1 for s, _ in expected if s == service)
        for grant in mine:
            assert grant["properties"]["principalId"] == PRINCIPAL
            assert f"reference('{name}').appRoles" in grant["properties"]["appRoleId"]
            assert "'Application'" in grant["properties"]["appRoleId"]


def test_the_template_asks_the_right_resources(compiler: Compiler) -> None:
    """Roles are looked up on Microsoft Graph and on SharePoint, by their application ids."""
    resources = compiler.template("permissions/main.bicep")["resources"]
    known = {n: r["properties"]["appId"] for n, r in resources.items() if r.get("existing")}
    assert known == {"graph": GRAPH_APP, "sharePoint": SHAREPOINT_APP}
