"""The portal's app registration: the same by template and by script, without a secret."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.compiler import TENANT, Compiler
from tests.infra.directory import GRAPH, PRINCIPAL, Directory
from tests.infra.fake_az import Az
from tests.infra.tools import Script

REGISTER = "infra/entra-portal/register.sh"
URL = "https://func-photo-sync-abc.westeurope-01.azurewebsites.net"
DOMAIN = "https://photos.contoso.com"
ANNA = "aaaaaaaa-0000-0000-0000-00000000000a"
ROLE = "a3f1c2de-7b54-4c1e-9a40-5d2f8e6b7c10"
ARGUMENTS = ["--app-url", URL, "--principal-id", PRINCIPAL, "--help-desk", ANNA]
NAME = "photo-sync-portal"
REGISTRATION: dict[str, Any] = {
    "uniqueName": NAME,
    "displayName": "Photo Sync",
    "signInAudience": "AzureADMyOrg",
    "web": {
        "homePageUrl": f"{URL}/api/portal",
        "redirectUris": [f"{URL}/.auth/login/aad/callback"],
        "implicitGrantSettings": {
            "enableIdTokenIssuance": True,
            "enableAccessTokenIssuance": False,
        },
    },
    "appRoles": [
        {
            "id": ROLE,
            "value": "HelpDesk",
            "displayName": "Help desk",
            "description": "Finds users in the Photo Sync portal and updates their photos.",
            "allowedMemberTypes": ["User"],
            "isEnabled": True,
        }
    ],
    "optionalClaims": {"idToken": [{"name": "acct"}]},
}
CREDENTIAL = {
    "name": "photo-sync-identity",
    "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "subject": PRINCIPAL,
    "audiences": ["api://AzureADTokenExchange"],
    "description": "The managed identity of Photo Sync, in place of a secret.",
}
SAID = [
    f"registered: {NAME}",
    f"trusted: identity {PRINCIPAL}",
    "created: service principal",
    "consented: openid profile email",
    f"assigned: help desk {ANNA}",
]


@pytest.fixture
def directory() -> Directory:
    """A tenant without the portal, in which Anna works."""
    return Directory(people={ANNA})


def without_ids(application: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in application.items() if k not in ("id", "appId")}


def test_the_script_registers_the_portal(shell: Script, directory: Directory) -> None:
    """One registration for one tenant, one role, one credential of the identity, no secret."""
    done = shell(REGISTER, *ARGUMENTS)
    assert (done.returncode, done.stderr) == (0, "")
    (application,) = directory.applications
    assert without_ids(application) == REGISTRATION
    ((credential,),) = directory.credentials.values()
    assert {k: v for k, v in credential.items() if k != "id"} == CREDENTIAL
    (consent,) = directory.consents
    assert consent["scope"] == "openid profile email"
    assert (consent["consentType"], consent["resourceId"]) == ("AllPrincipals", GRAPH)
    (assignment,) = directory.assignments
    assert (assignment["principalId"], assignment["appRoleId"]) == (ANNA, ROLE)
    assert assignment["resourceId"] == consent["clientId"]
    *lines, last = done.stdout.splitlines()
    assert lines == SAID
    client = application["appId"]
    assert last == (
        f"Next, by the deployer: azd env set PORTAL_CLIENT_ID {client}, then azd provision"
    )


def test_the_script_is_idempotent(shell: Script, directory: Directory) -> None:
    """A second run, with or without --dry-run, changes nothing and says so."""
    shell(REGISTER, *ARGUMENTS)
    before = directory.changes()
    for extra in ([], ["--dry-run"]):
        done = shell(REGISTER, *ARGUMENTS, *extra)
        assert (done.returncode, done.stderr) == (0, "")
        assert all(line.startswith("already ") for line in done.stdout.splitlines()[:5])
        assert directory.changes() == before


def test_a_dry_run_changes_nothing(shell: Script, az: Az, directory: Directory) -> None:
    """--dry-run says what would be done, and needs no right to write."""
    az.scopes = frozenset({"Application.Read.All"})
    done = shell(REGISTER, *ARGUMENTS, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"would register: {NAME}",
        f"would trust: identity {PRINCIPAL}",
        "would create: service principal",
        "would consent: openid profile email",
        f"would assign: help desk {ANNA}",
    ]
    assert directory.changes() == []


def test_differences_are_corrected(shell: Script, directory: Directory) -> None:
    """The script corrects redirect URIs, the credential, and the consent."""
    shell(REGISTER, *ARGUMENTS)
    ((credential,),) = directory.credentials.values()
    credential["subject"] = ANNA
    directory.consents[0]["scope"] = "openid User.Read"
    more = [*ARGUMENTS, "--app-url", DOMAIN]
    before = directory.changes()
    dry = shell(REGISTER, *more, "--dry-run")
    assert dry.stdout.splitlines()[:2] == [
        f"would change: {NAME}",
        f"would trust: identity {PRINCIPAL}",
    ]
    assert "would consent: openid profile email" in dry.stdout
    assert directory.changes() == before
    done = shell(REGISTER, *more)
    assert (done.returncode, done.stderr) == (0, "")
    (application,) = directory.applications
    assert application["web"]["redirectUris"] == [
        f"{URL}/.auth/login/aad/callback",
        f"{DOMAIN}/.auth/login/aad/callback",
    ]
    assert application["web"]["homePageUrl"] == f"{URL}/api/portal"
    ((credential,),) = directory.credentials.values()
    assert credential["subject"] == PRINCIPAL
    assert directory.consents[0]["scope"] == "openid User.Read profile email"


def test_without_an_identity_there_is_no_credential_at_all(
    shell: Script, directory: Directory
) -> None:
    """Without --principal-id, the registration has no credential."""
    done = shell(REGISTER, "--app-url", URL)
    assert (done.returncode, done.stderr) == (0, "")
    assert directory.credentials == {}
    assert without_ids(directory.applications[0]) == REGISTRATION


def test_the_script_waits_for_entra_id(shell: Script, directory: Directory) -> None:
    """The script waits until Entra ID knows the new application everywhere."""
    directory.lag = 2
    done = shell(REGISTER, *ARGUMENTS)
    assert (done.returncode, done.stderr) == (0, "")
    assert shell.waits == [10, 20]
    assert done.stdout.splitlines()[:-1] == SAID


def test_a_throttled_request_is_repeated(shell: Script, directory: Directory) -> None:
    """The script repeats a throttled request after a pause."""
    directory.busy = 3
    done = shell(REGISTER, *ARGUMENTS)
    assert (done.returncode, done.stderr) == (0, "")
    assert shell.waits == [10, 20, 30]


@pytest.mark.parametrize(
    ("arguments", "state", "said"),
    [
        (
            ARGUMENTS,
            {"administrator": False},
            (
                "Insufficient privileges",
                f"{NAME} could not be registered: that takes a Cloud Application Administrator",
            ),
        ),
        (
            [*ARGUMENTS[:-1], PRINCIPAL],
            {},
            (
                "Request_ResourceNotFound",
                f"help desk {PRINCIPAL} could not be assigned: the id is no person or group of "
                "this tenant, or that takes a Cloud Application Administrator",
            ),
        ),
        (
            ARGUMENTS,
            {"busy": 1000},
            (
                "Too Many Requests",
                "Microsoft Graph is busy: run this again in a few minutes; what is done stays done",
            ),
        ),
    ],
)
def test_a_refusal_names_the_remedy(
    shell: Script,
    directory: Directory,
    arguments: list[str],
    state: dict[str, Any],
    said: tuple[str, str],
) -> None:
    """The script ends with status 1, the message of the service, and a remedy."""
    for name, value in state.items():
        setattr(directory, name, value)
    done = shell(REGISTER, *arguments)
    assert done.returncode == 1
    words, remedy = said
    assert words in done.stderr
    assert done.stderr.splitlines()[-1] == f"register.sh: {remedy}"


def test_a_role_that_somebody_added_is_not_deleted(shell: Script, directory: Directory) -> None:
    """Entra ID does not delete an enabled role, and the script shows its message."""
    shell(REGISTER, *ARGUMENTS)
    directory.applications[0]["appRoles"].append({"id": "other", "isEnabled": True})
    done = shell(REGISTER, *ARGUMENTS, "--app-url", DOMAIN)
    assert done.returncode == 1
    assert "cannot be deleted unless it is disabled first" in done.stderr


@pytest.mark.parametrize(
    ("graph", "issuer", "audience"),
    [
        ("https://graph.microsoft.us/", "https://login.microsoftonline.us", "USGov"),
        ("https://dod-graph.microsoft.us", "https://login.microsoftonline.us", "USGov"),
        ("https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn", "China"),
    ],
)
def test_each_cloud_has_its_own_issuer(
    shell: Script, directory: Directory, graph: str, issuer: str, audience: str
) -> None:
    """The credential names the login authority and the audience of the cloud."""
    done = shell(REGISTER, *ARGUMENTS, "--graph", graph)
    assert (done.returncode, done.stderr) == (0, "")
    assert directory.roots == {graph.rstrip("/")}
    ((credential,),) = directory.credentials.values()
    assert credential["issuer"] == f"{issuer}/{TENANT}/v2.0"
    assert credential["audiences"] == [f"api://AzureADTokenExchange{audience}"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--app-url"],
        ["--app-url", "http://x.azurewebsites.net"],
        ["--app-url", f"{URL}/api/portal"],
        ["--app-url", URL, "--principal-id", "photo-sync"],
        ["--app-url", URL, "--help-desk", "anna@contoso.com"],
        ["--app-url", URL, "--display-name", 'Photo "Sync"'],
        ["--app-url", URL, "--unique-name", "a'b"],
        ["--app-url", URL, "--graph", "https://graph.example.com"],
        ["--app-url", URL, "--secret"],
    ],
)
def test_wrong_usage_sends_nothing(
    shell: Script, directory: Directory, arguments: list[str]
) -> None:
    """Wrong options end with status 2 before any request."""
    done = shell(REGISTER, *arguments)
    assert done.returncode == 2
    assert done.stderr
    assert directory.calls == []


def parameter_set(compiler: Compiler, *lines: str) -> Path:
    """A file with parameters of the template."""
    path = compiler.root / "tests" / "infra" / "snapshots" / "entra-portal.bicepparam"
    path.write_text("\n".join(["using '../../../infra/entra-portal/main.bicep'", *lines]), "utf-8")
    return path


def test_the_template_registers_the_same(compiler: Compiler) -> None:
    """entra-portal/main.bicep creates what the script creates, and nothing else."""
    path = parameter_set(
        compiler,
        f"param appUrls = ['{URL}']",
        f"param principalId = '{PRINCIPAL}'",
        f"param helpDesk = ['{ANNA}']",
    )
    deployment = compiler.evaluate(path, resourceGroup="rg")
    found = {r["type"].partition("@")[0]: r["properties"] for r in deployment.resources}
    assert len(found) == len(deployment.resources)
    assert found.pop("Microsoft.Graph/applications") == REGISTRATION
    issuer = f"environment().authentication.loginEndpoint, '{TENANT}'"
    assert found.pop("Microsoft.Graph/applications/federatedIdentityCredentials") == {
        **CREDENTIAL,
        "name": f"{NAME}/{CREDENTIAL['name']}",
        "issuer": f"[format('{{0}}{{1}}/v2.0', {issuer})]",
    }
    assert found == {
        "Microsoft.Graph/servicePrincipals": {"appId": "[reference('application').appId]"},
        "Microsoft.Graph/oauth2PermissionGrants": {
            "clientId": "[reference('principal').id]",
            "consentType": "AllPrincipals",
            "resourceId": "[reference('graph').id]",
            "scope": "openid profile email",
        },
        "Microsoft.Graph/appRoleAssignedTo": {
            "principalId": ANNA,
            "resourceId": "[reference('principal').id]",
            "appRoleId": ROLE,
        },
    }
    assert deployment.outputs == {"PORTAL_CLIENT_ID": "[reference('application').appId]"}


def test_the_template_needs_no_identity_and_takes_several_addresses(compiler: Compiler) -> None:
    """The template works like the script without --principal-id and with two --app-url."""
    path = parameter_set(compiler, f"param appUrls = ['{URL}', '{DOMAIN}']")
    deployment = compiler.evaluate(path, resourceGroup="rg")
    kinds = [r["type"] for r in deployment.resources]
    assert not any("federated" in kind or "appRoleAssignedTo" in kind for kind in kinds)
    application = deployment.the("Microsoft.Graph/applications@v1.0")["properties"]
    assert application["web"]["redirectUris"] == [
        f"{URL}/.auth/login/aad/callback",
        f"{DOMAIN}/.auth/login/aad/callback",
    ]
