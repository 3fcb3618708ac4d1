"""What is deployed is what the contract of settings, permissions and security promises."""

import json
import re
from typing import Any

import pytest

from shared.config import SETTINGS, load
from tests.infra.compiler import INFRA, SUBSCRIPTION, TENANT, Compiler, Deployment, Resource, names
from tests.infra.tools import ROOT

# Never valid on Flex Consumption (Microsoft Learn: Flex Consumption plan, deprecated settings).
FORBIDDEN_SETTINGS = {
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_EXTENSION_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_TIME_ZONE",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "AzureWebJobsStorage",  # a connection string would hold a key
    # Set by App Service while sign-in is on. As a setting it opens the host to forged identities.
    "WEBSITE_AUTH_ENABLED",
}
FORBIDDEN_PROPERTIES = {
    "linuxFxVersion",
    "alwaysOn",
    "functionAppScaleLimit",
    "cors",
    "healthCheckPath",
}
# Ids of Azure's built-in roles (Microsoft Learn: Azure built-in roles).
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
# Settings of the program with what a deployment sets when nothing is given; "" is no value.
DEPLOYED = {
    "SHAREPOINT_TENANT": "contoso",
    "CLOUD": "global",
    "GRAPH_URL": "",
    "LOGIN_URL": "",
    "SHAREPOINT_MYSITE_URL": "",
    "SHAREPOINT_ADMIN_URL": "",
    "SHAREPOINT_SATELLITES": "",
    "TARGET_TENANT_ID": "",
    "TARGET_CLIENT_ID": "",
    "CHECKPOINT_CONNECTION": "AzureWebJobsStorage",
    "CHECKPOINT_CONTAINER": "photo-sync",
    "SYNC_SCHEDULE": "0 */15 1-5 * * *",
    "RUN_INTERVAL_HOURS": "12",
    "USER_FILTER": "",  # the program's own, also when a later version changes it
    "SYNC_GROUP_ID": "",
    "DRY_RUN": "false",
    "REMOVE_PHOTOS": "true",
    "REMOVAL_CONFIRMATIONS": "2",
    "REMOVAL_LIMIT": "5%",
    "REVERIFY_DAYS": "30",
    "LEAVER_DAYS": "30",
    "THUMBNAIL_SIZES": "48,96,300",
    "TIME_BUDGET_SECONDS": "1500",
    "MAX_CONCURRENCY": "32",
    "PILOT": "false",
    "PORTAL_CLIENT_ID": "",
    "COMPANY": "PhotoSync",
}
OWN_SETTINGS = {*DEPLOYED, "MANAGED_IDENTITY_CLIENT_ID"}
PLATFORM_SETTINGS = {
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsDisableHomepage",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
PORTAL, OTHER_TENANT = (
    "44444444-4444-4444-4444-444444444444",
    "11111111-1111-1111-1111-111111111111",
)
FEDERATED = "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"
ALLOWED_TENANTS = "WEBSITE_AUTH_AAD_ALLOWED_TENANTS"
EVERY_SET = pytest.mark.parametrize("name", names())


def identity_property(deployment: Deployment, name: str) -> str:
    """How the evaluated template asks for a property of the identity, without brackets."""
    identity = deployment.the("Microsoft.ManagedIdentity/userAssignedIdentities")
    return f"reference('{identity['id']}', '{identity['apiVersion']}').{name}"


def sign_in(deployment: Deployment) -> Resource | None:
    found = [
        r
        for r in deployment.all("Microsoft.Web/sites/config")
        if r["name"].endswith("/authsettingsV2")
    ]
    return found[0]["properties"] if found else None


def as_the_program_sees_them(deployment: Deployment) -> dict[str, str]:
    """The settings after Azure has put in what only Azure knows."""
    values = {
        f"[{identity_property(deployment, 'clientId')}]": "99999999-9999-9999-9999-999999999999",
        deployment.settings["AzureWebJobsStorage__blobServiceUri"]: (
            "https://x.blob.core.windows.net/"
        ),
    }
    return {name: values.get(value, value) for name, value in deployment.settings.items()}


@EVERY_SET
def test_every_setting_is_deployed_and_nothing_else(compiler: Compiler, name: str) -> None:
    """The app gets every setting of the program and of the platform, and no other setting."""
    deployed = set(compiler.deployment(name).settings) - {FEDERATED, ALLOWED_TENANTS}
    assert deployed == OWN_SETTINGS | PLATFORM_SETTINGS
    assert not deployed & FORBIDDEN_SETTINGS


def test_the_program_reads_what_is_deployed_and_nothing_else() -> None:
    """The template sets exactly the settings that the program reads."""
    assert {setting.name for setting in SETTINGS} == OWN_SETTINGS


def test_defaults_are_those_of_the_program(compiler: Compiler) -> None:
    """A parameter that nobody sets means the same as a setting that nobody sets."""
    settings = compiler.deployment("default").settings
    assert {name: settings[name] for name in DEPLOYED} == DEPLOYED
    for setting in SETTINGS:
        if setting.default is not None and DEPLOYED[setting.name]:
            assert DEPLOYED[setting.name] == setting.default, setting.name


@EVERY_SET
def test_the_program_accepts_what_is_deployed(compiler: Compiler, name: str) -> None:
    """The settings of every parameter set are complete and valid."""
    settings = load(as_the_program_sees_them(compiler.deployment(name)))
    assert settings.mysite_url.endswith(("-my.sharepoint.com", "-my.sharepoint.us"))
    assert settings.managed_identity_client_id == "99999999-9999-9999-9999-999999999999"


def test_the_schedule_cannot_be_empty(compiler: Compiler) -> None:
    """Without SYNC_SCHEDULE the host would not load SyncTimer."""
    binding = json.loads((ROOT / "SyncTimer" / "function.json").read_text("utf-8"))["bindings"][0]
    assert binding["schedule"] == "%SYNC_SCHEDULE%"
    parameter = compiler.template("main.bicep")["parameters"]["syncSchedule"]
    assert parameter["defaultValue"]
    assert parameter["minLength"] == len("* * * * *")


def test_azd_can_set_every_parameter_by_the_name_of_its_setting(compiler: Compiler) -> None:
    """`azd env set DRY_RUN true` sets DRY_RUN, and the parameter's description names DRY_RUN."""
    file = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    parameters = compiler.template("main.bicep")["parameters"]
    assert list(file) == list(parameters)
    for parameter, value in file.items():
        (name,) = re.fullmatch(r"\$\{([A-Z][A-Z0-9_]+)\}", value["value"]).groups()  # type: ignore[union-attr]  # no match fails the test
        camel = name.replace("_", "").lower()
        if name.startswith("AZURE_"):
            assert camel in {"azureenvname", "azurelocation"}
            continue
        assert camel == parameter.lower() or parameter == "tags"
        text = parameters[parameter]["metadata"]["description"]
        described = text.startswith(f"{name}: ")
        assert described == (name in OWN_SETTINGS), parameter


def test_every_parameter_has_an_effect(compiler: Compiler) -> None:
    """Each setting gets its value from the parameter of the same name."""
    path = compiler.root / "tests" / "infra" / "snapshots" / "marked.bicepparam"
    marked = {
        name: f"marked-{name}".lower()
        for name, parameter in compiler.template("main.bicep")["parameters"].items()
        if parameter["type"] == "string" and "allowedValues" not in parameter
    }
    path.write_text(
        "using '../../../infra/main.bicep'\n"
        + "".join(f"param {name} = '{value}'\n" for name, value in marked.items())
    )
    settings = compiler.evaluate(path).settings
    for name in DEPLOYED:
        if name not in {"CHECKPOINT_CONNECTION", "CLOUD"}:
            assert settings[name] == f"marked-{name.replace('_', '').lower()}", name


def keys_of(value: Any) -> set[str]:
    """All property names below a value."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys_of(inner)}
    return set()


@EVERY_SET
def test_the_plan_is_flex_consumption_with_python_3_13(compiler: Compiler, name: str) -> None:
    """The plan is FC1 on Linux with Python 3.13, and no property is set that Flex refuses."""
    deployment = compiler.deployment(name)
    plan, site = deployment.the("Microsoft.Web/serverfarms"), deployment.the("Microsoft.Web/sites")
    assert plan["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    assert plan["properties"]["reserved"] is True
    assert site["properties"]["serverFarmId"] == plan["id"]
    config = site["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert (ROOT / ".python-version").read_text("utf-8").strip().startswith("3.13")
    assert config["scaleAndConcurrency"]["instanceMemoryMB"] >= 2048
    assert not keys_of(site["properties"]) & FORBIDDEN_PROPERTIES


def test_instances_below_2048_mb_cannot_be_chosen(compiler: Compiler) -> None:
    """The largest photos need more than an instance of 512 MB has."""
    parameter = compiler.template("main.bicep")["parameters"]["instanceMemoryMB"]
    assert parameter["allowedValues"] == [2048, 4096]
    assert parameter["defaultValue"] == 2048


@EVERY_SET
def test_the_app_speaks_tls_only_and_has_no_passwords(compiler: Compiler, name: str) -> None:
    """The app requires HTTPS and TLS 1.2 and has no FTP, no passwords, and no default home page."""
    deployment = compiler.deployment(name)
    properties = deployment.the("Microsoft.Web/sites")["properties"]
    assert properties["httpsOnly"] is True
    assert properties["siteConfig"] == {"minTlsVersion": "1.2", "ftpsState": "Disabled"}
    policies = deployment.all("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {p["name"].split("/")[1] for p in policies} == {"ftp", "scm"}
    assert all(p["properties"] == {"allow": False} for p in policies)
    assert deployment.settings["AzureWebJobsDisableHomepage"] == "true"


@EVERY_SET
def test_the_identity_is_user_assigned_and_used_everywhere(compiler: Compiler, name: str) -> None:
    """Host storage, package, telemetry and program run as the one identity that gets roles."""
    deployment = compiler.deployment(name)
    identity = deployment.the("Microsoft.ManagedIdentity/userAssignedIdentities")
    site = deployment.the("Microsoft.Web/sites")
    assert site["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": {identity["id"]: {}},
    }
    storage = site["properties"]["functionAppConfig"]["deployment"]["storage"]
    assert storage["authentication"] == {
        "type": "UserAssignedIdentity",
        "userAssignedIdentityResourceId": identity["id"],
    }
    client = identity_property(deployment, "clientId")
    settings = deployment.settings
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    assert settings["AzureWebJobsStorage__clientId"] == f"[{client}]"
    assert settings["MANAGED_IDENTITY_CLIENT_ID"] == f"[{client}]"
    telemetry = settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
    assert telemetry == f"[format('ClientId={{0}};Authorization=AAD', {client})]"


@EVERY_SET
def test_storage_has_no_keys_no_public_blobs_and_can_be_recovered(
    compiler: Compiler, name: str
) -> None:
    """Shared keys and public access are off; TLS 1.2, versions, and soft delete are on."""
    deployment = compiler.deployment(name)
    account = deployment.the("Microsoft.Storage/storageAccounts")["properties"]
    expected = {
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": False,
        "allowCrossTenantReplication": False,
        "defaultToOAuthAuthentication": True,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    }
    assert {key: account[key] for key in expected} == expected
    blobs = deployment.the("Microsoft.Storage/storageAccounts/blobServices")["properties"]
    assert blobs["isVersioningEnabled"] is True
    assert blobs["deleteRetentionPolicy"]["enabled"] is True
    assert blobs["containerDeleteRetentionPolicy"]["enabled"] is True
    containers = deployment.all("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert all(c["properties"] == {"publicAccess": "None"} for c in containers)
    package, checkpoint = (c["name"].split("/")[2] for c in containers)
    assert checkpoint == deployment.settings["CHECKPOINT_CONTAINER"]
    site = deployment.the("Microsoft.Web/sites")["properties"]["functionAppConfig"]
    assert f"'{package}'" in site["deployment"]["storage"]["value"]


@EVERY_SET
def test_the_storage_is_closed_where_there_is_a_network(compiler: Compiler, name: str) -> None:
    """With a virtual network the blobs are reached through the private endpoint only."""
    deployment = compiler.deployment(name)
    private = bool(deployment.all("Microsoft.Network/virtualNetworks"))
    account = deployment.the("Microsoft.Storage/storageAccounts")
    properties = account["properties"]
    assert properties["publicNetworkAccess"] == ("Disabled" if private else "Enabled")
    assert properties["networkAcls"]["defaultAction"] == ("Deny" if private else "Allow")
    subnet = deployment.the("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"]
    if not private:
        assert subnet is None
        assert deployment.all("Microsoft.Network/privateEndpoints") == []
        return
    network = deployment.the("Microsoft.Network/virtualNetworks")
    subnets = {s["name"]: s["properties"] for s in network["properties"]["subnets"]}
    assert subnet == f"{network['id']}/subnets/app"
    assert (
        subnets["app"]["natGateway"]["id"] == deployment.the("Microsoft.Network/natGateways")["id"]
    )
    endpoint = deployment.the("Microsoft.Network/privateEndpoints")["properties"]
    assert endpoint["subnet"]["id"] == f"{network['id']}/subnets/endpoints"
    (link,) = endpoint["privateLinkServiceConnections"]
    assert link["properties"] == {"privateLinkServiceId": account["id"], "groupIds": ["blob"]}
    assert deployment.outputs["OUTBOUND_ADDRESS"]


@EVERY_SET
def test_the_life_cycle_deletes_what_is_old_and_never_what_is_needed(
    compiler: Compiler, name: str
) -> None:
    """Old versions, reports, and audit logs are deleted in time; state is never deleted."""
    deployment = compiler.deployment(name)
    rules = deployment.the("Microsoft.Storage/storageAccounts/managementPolicies")["properties"]
    container = deployment.settings["CHECKPOINT_CONTAINER"]
    deleted, versions = set(), []
    for rule in rules["policy"]["rules"]:
        filters, actions = (rule["definition"][key] for key in ("filters", "actions"))
        if "baseBlob" in actions:
            deleted |= set(filters["prefixMatch"])
        if "version" in actions:
            versions.append(filters.get("prefixMatch", "everywhere"))
    assert deleted == {
        f"{container}/{folder}/" for folder in ("runs", "broken", "audit", "portal/limits")
    }
    assert versions == ["everywhere"]  # package, host and checkpoint


@EVERY_SET
def test_telemetry_takes_the_identity_only(compiler: Compiler, name: str) -> None:
    """Application Insights refuses the key that its connection string contains."""
    component = compiler.deployment(name).the("Microsoft.Insights/components")
    assert component["properties"]["DisableLocalAuth"] is True


@EVERY_SET
def test_azure_roles_are_the_least_at_the_narrowest_scope(compiler: Compiler, name: str) -> None:
    """The identity gets one role on the storage account and one on Application Insights."""
    deployment = compiler.deployment(name)
    principal = identity_property(deployment, "principalId")
    granted = {}
    for assignment in deployment.all("Microsoft.Authorization/roleAssignments"):
        properties = assignment["properties"]
        role = properties["roleDefinitionId"].rpartition("/")[2]
        assert properties["principalId"] == f"[{principal}]"
        assert properties["principalType"] == "ServicePrincipal"
        (scope,) = re.findall(r"^\[extensionResourceId\('([^']+)'", assignment["id"])
        granted[ROLES[role]] = scope
    assert granted == {
        "Storage Blob Data Owner": deployment.the("Microsoft.Storage/storageAccounts")["id"],
        "Monitoring Metrics Publisher": deployment.the("Microsoft.Insights/components")["id"],
    }


def test_an_existing_workspace_is_used_and_not_changed(compiler: Compiler) -> None:
    """With an existing workspace, no workspace is created and the logs go to the existing one."""
    deployment = compiler.deployment("existing-workspace")
    assert deployment.all("Microsoft.OperationalInsights/workspaces") == []
    workspace = deployment.the("Microsoft.Insights/components")["properties"]["WorkspaceResourceId"]
    assert workspace.startswith(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-logs/")


def test_alerts_reach_whom_they_should(compiler: Compiler) -> None:
    """Every rule notifies the address and the existing group, if they are given."""
    deployment = compiler.deployment("alerts")
    mail = deployment.the("Microsoft.Insights/actionGroups")
    (receiver,) = mail["properties"]["emailReceivers"]
    assert receiver["emailAddress"] == "operators@contoso.com"
    assert len(mail["properties"]["groupShortName"]) <= 12
    for rule in deployment.all("Microsoft.Insights/scheduledQueryRules"):
        first, second = rule["properties"]["actions"]["actionGroups"]
        assert first == mail["id"]
        assert second.endswith("/ag-on-call")
    plain = compiler.deployment("default")
    assert plain.all("Microsoft.Insights/actionGroups") == []
    for rule in plain.all("Microsoft.Insights/scheduledQueryRules"):
        assert rule["properties"]["actions"]["actionGroups"] == []
        assert rule["properties"]["enabled"] is True
    for rule in compiler.deployment("existing-workspace").all(
        "Microsoft.Insights/scheduledQueryRules"
    ):
        assert rule["properties"]["enabled"] is False


@pytest.mark.parametrize("name", ["default", "virtual-network", "alerts", "existing-workspace"])
def test_without_a_portal_nothing_is_signed_in_to(compiler: Compiler, name: str) -> None:
    """Without a client ID, neither the sign-in nor its settings are deployed."""
    deployment = compiler.deployment(name)
    assert sign_in(deployment) is None
    assert deployment.settings["PORTAL_CLIENT_ID"] == ""
    assert not {FEDERATED, ALLOWED_TENANTS} & set(deployment.settings)
    assert deployment.outputs["PORTAL_URL"] == ""


def test_the_portal_signs_in_without_a_secret(compiler: Compiler) -> None:
    """By default the program decides about access, and the identity is used instead of a secret."""
    deployment = compiler.deployment("portal")
    properties = sign_in(deployment)
    assert properties == {
        "platform": {"enabled": True, "runtimeVersion": "~1"},
        "globalValidation": {
            "requireAuthentication": False,
            "unauthenticatedClientAction": "AllowAnonymous",
            "redirectToProvider": "azureactivedirectory",
        },
        "httpSettings": {
            "requireHttps": True,
            "routes": {"apiPrefix": "/.auth"},
            "forwardProxy": {"convention": "NoProxy"},
        },
        "login": {
            "tokenStore": {"enabled": False},
            "cookieExpiration": {"convention": "FixedTime", "timeToExpiration": "08:00:00"},
            "nonce": {"validateNonce": True, "nonceExpirationInterval": "00:05:00"},
            "preserveUrlFragmentsForLogins": False,
            "allowedExternalRedirectUrls": [],
        },
        "identityProviders": {
            "azureActiveDirectory": {
                "enabled": True,
                "registration": {
                    "clientId": PORTAL,
                    "openIdIssuer": (
                        "[format('{0}{1}/v2.0', environment().authentication.loginEndpoint, "
                        f"'{TENANT}')]"
                    ),
                    "clientSecretSettingName": FEDERATED,
                },
                "validation": {"allowedAudiences": [PORTAL]},
            }
        },
    }
    settings = deployment.settings
    assert settings["PORTAL_CLIENT_ID"] == PORTAL
    assert settings[FEDERATED] == f"[{identity_property(deployment, 'clientId')}]"
    assert settings[ALLOWED_TENANTS] == TENANT


def test_platform_access_excludes_the_machine_interface(compiler: Compiler) -> None:
    """With `platform`, App Service requires a sign-in for all paths but those of SyncHttp."""
    deployment = compiler.deployment("portal-platform")
    properties = sign_in(deployment)
    assert properties
    assert properties["globalValidation"] == {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "RedirectToLoginPage",
        "redirectToProvider": "azureactivedirectory",
        "excludedPaths": ["/api/sync", "/api/sync/*"],
    }
    registration = properties["identityProviders"]["azureActiveDirectory"]["registration"]
    assert "clientSecretSettingName" not in registration  # idToken: no credential at all
    assert FEDERATED not in deployment.settings


def test_people_of_another_tenant_sign_in_there(compiler: Compiler) -> None:
    """If Microsoft 365 is in another tenant, only tokens of that tenant are accepted."""
    deployment = compiler.deployment("other-tenant")
    properties = sign_in(deployment)
    assert properties
    registration = properties["identityProviders"]["azureActiveDirectory"]["registration"]
    assert f"'{OTHER_TENANT}'" in registration["openIdIssuer"]
    assert "clientSecretSettingName" not in registration  # the identity is of the wrong tenant
    assert deployment.settings[ALLOWED_TENANTS] == OTHER_TENANT
    assert FEDERATED not in deployment.settings


def test_a_run_ends_before_the_host_ends_it() -> None:
    """The longest accepted time budget leaves the platform's limit untouched."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    hours, minutes, seconds = (int(part) for part in host["functionTimeout"].split(":"))
    limit = hours * 3600 + minutes * 60 + seconds
    accepted = next(s.accepted for s in SETTINGS if s.name == "TIME_BUDGET_SECONDS")
    assert int(accepted.rsplit(" ", 1)[1]) <= limit - 300


def test_summary_lines_are_never_sampled_away() -> None:
    """Alerts read traces and requests, so Application Insights must keep each of them."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]
    assert {"Trace", "Request"} <= set(sampling["excludedTypes"].split(";"))
    assert host["logging"]["logLevel"]["default"] == "Information"
