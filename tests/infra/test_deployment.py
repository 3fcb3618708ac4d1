"""What is deployed is what the contract of settings, permissions and security promises."""

import json
import re
from typing import Any

import pytest

from shared.config.settings import SETTINGS, load
from tests.infra.templates import FILES, INFRA, ROOT, parsed, resources, the

# Never valid on Flex Consumption (Microsoft Learn: Flex Consumption plan, deprecated settings).
FORBIDDEN = [
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
    "linuxFxVersion",
    "alwaysOn",
    "functionAppScaleLimit",
    "AzureWebJobsStorage",
]
# Ids of Azure's built-in roles (Microsoft Learn: Azure built-in roles).
ROLES = {
    "blobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "metricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
PLATFORM_SETTINGS = {
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}


def main_parameters() -> dict[str, Any]:
    parameters: dict[str, Any] = parsed()["main.bicep"]["parameters"]
    return parameters


def passed_settings() -> dict[str, str]:
    """Setting name → parameter of main.bicep, or a fixed text."""
    app = parsed()["main.bicep"]["modules"]["app"]["config"]["params"]
    settings: dict[str, str] = app["syncSettings"]
    return settings


def site_settings() -> dict[str, Any]:
    """Names and values of the settings that app.bicep adds to those it gets."""
    config = the("Microsoft.Web/sites")
    found = [r["config"] for _, s, r in resources() if s == "settings"]
    assert config
    assert found
    assert found[0]["name"] == "appsettings"
    properties: dict[str, Any] = found[0]["properties"]["function"]["parameters"]["arg_2"]
    return properties


def deployed_defaults() -> dict[str, str]:
    """Application settings of a deployment in which only the tenant was given."""
    parameters = main_parameters()
    values = {}
    for name, source in passed_settings().items():
        text = parameters[source]["default"] if source in parameters else source
        values[name] = "" if text is None else text.replace("\\'", "'")
    values["SHAREPOINT_TENANT"] = "contoso"
    values["MANAGED_IDENTITY_CLIENT_ID"] = "11111111-2222-3333-4444-555555555555"
    values["AzureWebJobsStorage__blobServiceUri"] = "https://x.blob.core.windows.net/"
    values["AzureWebJobsStorage__credential"] = "managedidentity"
    values["AzureWebJobsStorage__clientId"] = values["MANAGED_IDENTITY_CLIENT_ID"]
    return values


def test_every_setting_is_deployed_and_nothing_else() -> None:
    """The app gets each setting that the program reads, the platform's own, and no other."""
    deployed = set(passed_settings()) | set(site_settings())
    assert deployed == {setting.name for setting in SETTINGS} | PLATFORM_SETTINGS


def test_defaults_are_those_of_the_program() -> None:
    """A parameter that nobody sets means the same as a setting that nobody sets."""
    deployed = deployed_defaults()
    for setting in SETTINGS:
        if setting.default is not None:
            assert deployed[setting.name] == setting.default, setting.name


def test_the_program_accepts_the_default_deployment() -> None:
    """With the tenant's name alone the deployed settings are complete and valid."""
    settings = load(deployed_defaults())
    assert settings.mysite_url == "https://contoso-my.sharepoint.com"
    assert settings.schedule == "0 */15 1-5 * * *"
    assert settings.sync_group_id is None


def test_the_schedule_cannot_be_empty() -> None:
    """Without SYNC_SCHEDULE the host would not load SyncTimer."""
    binding = json.loads((ROOT / "SyncTimer" / "function.json").read_text("utf-8"))["bindings"][0]
    assert binding["schedule"] == "%SYNC_SCHEDULE%"
    parameter = main_parameters()[passed_settings()["SYNC_SCHEDULE"]]
    least = [d["argument"] for d in parameter["decorators"] if d["type"] == "min_length"]
    assert parameter["default"]
    assert least == [len("* * * * *")]


def test_parameters_name_their_setting() -> None:
    """Whoever reads the setting's name in a message finds the parameter that sets it."""
    for setting, source in passed_settings().items():
        if source in main_parameters():
            decorators = main_parameters()[source]["decorators"]
            description = next(d["argument"] for d in decorators if d["type"] == "description")
            assert description.startswith(f"{setting}: "), source


def test_azd_can_set_every_parameter_by_the_name_of_its_setting() -> None:
    """`azd env set DRY_RUN true` sets DRY_RUN: one name for one thing."""
    file = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    assert set(file) == set(main_parameters())
    for value in file.values():
        assert re.fullmatch(r"\$\{[A-Z][A-Z0-9_]+\}", value["value"])
    for setting, source in passed_settings().items():
        if source in file:
            assert file[source]["value"] == f"${{{setting}}}"
    assert file["environmentName"]["value"] == "${AZURE_ENV_NAME}"
    assert file["location"]["value"] == "${AZURE_LOCATION}"


@pytest.mark.parametrize("name", FORBIDDEN)
def test_nothing_that_flex_consumption_refuses(name: str) -> None:
    """Settings and properties of other plans break or are ignored on Flex Consumption."""
    for file, path in FILES.items():
        found = re.search(rf"^\s*'?{name}'?\s*:", path.read_text("utf-8"), re.MULTILINE)
        assert not found, file


def test_the_plan_is_flex_consumption_with_python_3_13() -> None:
    """FC1 on Linux, and the Python version that the dependencies need."""
    plan = the("Microsoft.Web/serverfarms")
    assert plan["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    assert plan["properties"]["reserved"] is True
    runtime = the("Microsoft.Web/sites")["properties"]["functionAppConfig"]["runtime"]
    assert runtime == {"name": "python", "version": "3.13"}
    assert (ROOT / ".python-version").read_text("utf-8").strip().startswith(runtime["version"])


def test_the_app_speaks_tls_only_and_has_no_passwords() -> None:
    """HTTPS only, TLS 1.2, no FTP, no publishing credentials."""
    properties = the("Microsoft.Web/sites")["properties"]
    assert properties["httpsOnly"] is True
    assert properties["siteConfig"]["minTlsVersion"] == "1.2"
    assert properties["siteConfig"]["ftpsState"] == "Disabled"
    policies = [r for _, _, r in resources() if r["type"].endswith("CredentialsPolicies")]
    assert {p["config"]["name"] for p in policies} == {"ftp", "scm"}
    assert all(p["config"]["properties"] == {"allow": False} for p in policies)


def test_the_identity_is_user_assigned_and_used_everywhere() -> None:
    """Host storage, package, telemetry and program run as the one identity that gets roles."""
    site = the("Microsoft.Web/sites")
    assert site["identity"]["type"] == "UserAssigned"
    storage = site["properties"]["functionAppConfig"]["deployment"]["storage"]
    assert storage["authentication"]["type"] == "UserAssignedIdentity"
    settings = site_settings()
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    assert settings["AzureWebJobsStorage__clientId"] == "identityClientId"
    assert settings["MANAGED_IDENTITY_CLIENT_ID"] == "identityClientId"
    authentication = settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
    assert authentication == "ClientId=${identityClientId};Authorization=AAD"


def test_storage_has_no_keys_no_public_blobs_and_can_be_recovered() -> None:
    """Shared keys off, public access off, TLS 1.2, versions and soft delete on."""
    account = the("Microsoft.Storage/storageAccounts")["properties"]
    expected = {
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": False,
        "defaultToOAuthAuthentication": True,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    }
    assert {key: account[key] for key in expected} == expected
    blobs = the("Microsoft.Storage/storageAccounts/blobServices")["properties"]
    assert blobs["isVersioningEnabled"] is True
    assert blobs["deleteRetentionPolicy"]["enabled"] is True
    assert blobs["containerDeleteRetentionPolicy"]["enabled"] is True
    containers = [r for _, _, r in resources() if r["type"].endswith("/containers")]
    assert all(c["config"]["properties"] == {"publicAccess": "None"} for c in containers)
    assert {c["config"]["name"] for c in containers} == {"packageContainer", "checkpointContainer"}


def test_the_life_cycle_never_touches_state() -> None:
    """Only old versions and old run reports are deleted: state/ and run.json stay."""
    policy = the("Microsoft.Storage/storageAccounts/managementPolicies")["properties"]["policy"]
    for rule in policy["rules"]:
        definition = rule["definition"]
        if "baseBlob" in definition["actions"]:
            assert definition["filters"]["prefixMatch"] == ["${checkpointContainer}/runs/"]


def test_telemetry_takes_the_identity_only() -> None:
    """Application Insights refuses the key that its connection string contains."""
    assert the("Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True


def test_azure_roles_are_the_least_at_the_narrowest_scope() -> None:
    """Blob Data Owner on the one account, Metrics Publisher on the one component, no more."""
    assignments = [r for _, _, r in resources() if r["type"].endswith("/roleAssignments")]
    scopes = {}
    for assignment in assignments:
        config = assignment["config"]
        role = config["properties"]["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
        scopes[role] = config["scope"]
        assert config["properties"]["principalType"] == "ServicePrincipal"
    assert scopes == {"blobDataOwner": "account", "metricsPublisher": "component"}
    for name in ("storage", "monitoring"):
        for symbol, variable in parsed()[f"modules/{name}.bicep"]["variables"].items():
            assert variable["value"] == ROLES[symbol]


def test_sign_in_asks_every_caller_for_a_token_of_the_own_tenant() -> None:
    """With sign-in on, a call without token is answered 401, never redirected."""
    found = [r["config"] for _, s, r in resources() if s == "signIn"]
    properties = found[0]["config"]["properties"]
    assert properties["globalValidation"] == {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "Return401",
    }
    provider = properties["identityProviders"]["azureActiveDirectory"]
    assert "tenant().tenantId" in provider["registration"]["openIdIssuer"]


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
