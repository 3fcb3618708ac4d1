"""What azd deploys and prints: commands that are right where they are run, and what is on."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.infra.azd import APP_URL, PROJECT, Azd
from tests.infra.compiler import Compiler
from tests.infra.directory import HOST, PRINCIPAL, Directory, Served
from tests.infra.fake_az import Az
from tests.infra.test_permissions import FULL, GROUP, NARROW, TARGET, WITH_SITES
from tests.infra.tools import ROOT, Script, find, run

OTHER_TENANT = "11111111-1111-1111-1111-111111111111"
GROUP_ID = "33333333-3333-3333-3333-333333333333"
GRANT = f"infra/permissions/grant.sh --principal-id {PRINCIPAL}"
GRANT_PS = f"infra/permissions/grant.ps1 -PrincipalId {PRINCIPAL}"
THERE = f"az login --tenant {OTHER_TENANT} --allow-no-subscriptions && "
ELSEWHERE = {"TARGET_TENANT_ID": OTHER_TENANT, "TARGET_CLIENT_ID": TARGET}


@dataclass
class Printed:
    """What is printed after provisioning with these values."""

    values: dict[str, str]
    bash: str
    powershell: str
    granted: set[tuple[str, str]]


PRINTED = {
    "plain": Printed({}, GRANT, GRANT_PS, FULL),
    "group": Printed(
        {"SYNC_GROUP_ID": GROUP_ID},
        f"{GRANT} --with-group",
        f"{GRANT_PS} -WithGroup",
        FULL | GROUP,
    ),
    "narrow": Printed(
        {"NARROW_ROLES": "true"},
        f"{GRANT} --narrow --my-site {HOST}",
        f"{GRANT_PS} -Narrow -MySite {HOST}",
        NARROW,
    ),
    "narrow-by-url": Printed(
        {"NARROW_ROLES": "true", "SHAREPOINT_MYSITE_URL": f"https://{HOST}/"},
        f"{GRANT} --narrow --my-site {HOST}",
        f"{GRANT_PS} -Narrow -MySite {HOST}",
        NARROW,
    ),
    "other-cloud": Printed(
        {"CLOUD": "usgov"},
        f"{GRANT} --graph https://graph.microsoft.us",
        f"{GRANT_PS} -Environment USGov",
        FULL,
    ),
    "other-tenant": Printed(
        {**ELSEWHERE, "SYNC_GROUP_ID": GROUP_ID},
        f"{THERE}infra/permissions/grant.sh --client-id {TARGET} --with-group",
        f"infra/permissions/grant.ps1 -TenantId {OTHER_TENANT} -ClientId {TARGET} -WithGroup",
        FULL | GROUP,
    ),
}


@pytest.fixture
def az(directory: Directory) -> Az:
    """The administrator's CLI, which may also change the permissions of sites."""
    directory.add_principal("target-sp", TARGET, [])
    return Az(directory, WITH_SITES)


type Provision = Callable[[dict[str, str]], Azd]


@pytest.fixture(scope="module")
def provisioned(compiler: Compiler) -> Provision:
    """Provisions with these values, once for all tests: they only read what came of it."""

    @functools.cache
    def provision(values: frozenset[tuple[str, str]]) -> Azd:
        azd = Azd(compiler, "prod")
        azd.set(SHAREPOINT_TENANT="contoso", **dict(values))
        azd.provision()
        return azd

    return lambda values: provision(frozenset(values.items()))


@pytest.fixture(params=PRINTED)
def printed(request: pytest.FixtureRequest, provisioned: Provision) -> tuple[Azd, Printed]:
    """Each of the deployments above."""
    expected = PRINTED[request.param]
    return provisioned(expected.values), expected


def test_the_hook_prints_the_command_for_bash(printed: tuple[Azd, Printed]) -> None:
    """The deployer sees the command that the administrator has to run for this deployment."""
    azd, expected = printed
    lines = azd.run_hook("postprovision", find("sh", "SH"))
    assert lines[1] == f"Once, by the Entra administrator: {expected.bash}"


def test_the_command_grants_what_this_deployment_needs(
    printed: tuple[Azd, Printed], shell: Script, directory: Directory
) -> None:
    """The printed command grants the roles to the principal that this deployment uses."""
    azd, expected = printed
    done = run(["bash", "-c", azd.values["GRANT_COMMAND"]], env=shell.environment)
    assert (done.returncode, done.stderr) == (0, "")
    there = "TARGET_CLIENT_ID" in expected.values
    assert directory.granted("target-sp" if there else PRINCIPAL) == expected.granted
    assert directory.granted(PRINCIPAL if there else "target-sp") == set()


def test_the_hook_prints_the_command_for_powershell(
    provisioned: Provision, served: Served, powershell: dict[str, str]
) -> None:
    """On Windows the hook prints the PowerShell command, and that command grants the roles."""
    pwsh = find("pwsh", "PWSH")
    azds = {name: provisioned(expected.values) for name, expected in PRINTED.items()}
    for name, azd in azds.items():
        assert azd.values["GRANT_COMMAND_POWERSHELL"] == PRINTED[name].powershell, name
    azd = azds["other-tenant"]
    command = PRINTED["other-tenant"].powershell
    directory = Directory()
    directory.add_principal("target-sp", TARGET, [])
    graph = served.add("azd-pwsh", directory)
    shell, hook = azd.hook("postprovision", "windows")
    assert shell == "pwsh"
    # The hook, and then what it printed, pasted.
    done = run(
        [pwsh, "-NoProfile", "-c", f"{hook}\n{command}"],
        env={**powershell, **azd.values, "FAKE_GRAPH": graph},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == f"Once, by the Entra administrator: {command}"
    assert "granted: SharePoint Sites.FullControl.All" in lines
    assert directory.granted("target-sp") == FULL | GROUP


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "alert rules"),
        ({"VIRTUAL_NETWORK": "true"}, "virtual network, alert rules"),
        # azd drops what is neither true nor false, and deploys the default.
        ({"VIRTUAL_NETWORK": "yes"}, "alert rules"),
        ({"VIRTUAL_NETWORK": "True"}, "alert rules"),
        ({"ALERTS_ENABLED": "false"}, "nothing"),
        (
            {
                "PORTAL_CLIENT_ID": TARGET,
                "ALERT_EMAIL": "operators@contoso.com",
                "ALERT_ACTION_GROUP_ID": "/x",
                "LOG_ANALYTICS_WORKSPACE_ID": "/y",
                **ELSEWHERE,
                "SYNC_GROUP_ID": GROUP_ID,
                "NARROW_ROLES": "true",
                "DRY_RUN": "TRUE",
                "PILOT": "1",
            },
            "portal, alerts by e-mail to operators@contoso.com, alerts to an existing action "
            "group, alert rules, existing Log Analytics workspace, Microsoft 365 in tenant "
            f"{OTHER_TENANT}, only members of group {GROUP_ID}, narrow roles, dry run, pilot calls",
        ),
    ],
)
def test_what_was_switched_on_is_named(
    provisioned: Provision, values: dict[str, str], expected: str
) -> None:
    """A user who writes `yes` instead of `true` can see that it had no effect."""
    azd = provisioned(values)
    lines = azd.run_hook("postprovision", find("sh", "SH"))
    assert lines[0] == f"Switched on: {expected}."


def test_the_portal_is_named_or_how_to_get_it(provisioned: Provision) -> None:
    """The hook prints how to register the portal, or its address when it is registered."""
    before = provisioned({})
    lines = before.run_hook("postprovision", find("sh", "SH"))
    assert lines[2] == (
        "For the portal, once, by the Entra administrator: infra/entra-portal/register.sh "
        f"--app-url {APP_URL} --principal-id {PRINCIPAL}"
    )
    after = provisioned({"PORTAL_CLIENT_ID": TARGET})
    lines = after.run_hook("postprovision", find("sh", "SH"))
    assert lines[2] == f"Portal: {APP_URL}/api/portal"
    there = provisioned(ELSEWHERE)
    assert there.values["PORTAL_COMMAND"] == (
        f"{THERE}infra/entra-portal/register.sh --app-url {APP_URL}"
    )


def test_scripts_can_be_run_as_they_are_printed() -> None:
    """The printed commands name files that exist and are executable."""
    for path in ("infra/permissions/grant.sh", "infra/entra-portal/register.sh"):
        assert (ROOT / path).stat().st_mode & 0o111, path
    assert Path(ROOT / "infra/permissions/grant.ps1").is_file()


def test_azd_uploads_the_package_as_it_is() -> None:
    """Azure builds nothing, because its build may run on an older Python than the app."""
    service = PROJECT["services"]["sync"]
    assert service["host"] == "function"
    assert service["remoteBuild"] is False
    assert service["language"] == "custom"
    assert service["dist"] == "dist/photo-sync.zip"
    builder = (ROOT / "local" / "package.py").read_text("utf-8")
    assert 'default=ROOT / "dist" / "photo-sync.zip"' in builder
    for system in ("posix", "windows"):
        assert "-m local.package" in service["hooks"]["prepackage"][system]["run"]


def test_azd_finds_the_function_app_by_its_service_name(compiler: Compiler) -> None:
    """The site has the service name as a tag, and all resources have the environment name."""
    (service,) = PROJECT["services"]
    site = compiler.deployment("default").the("Microsoft.Web/sites")
    assert site["tags"] == {"azd-env-name": "prod", "azd-service-name": service}
