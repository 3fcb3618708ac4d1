"""When the portal opens at all."""

import json

import pytest

from local.host.sign_in import CLIENT_ID, OTHER_TENANT_ID, TENANT_ID
from shared.sign_in import Closed, Expected, expected
from tests.support.portal_site import ENVIRONMENT

OPEN = Expected(CLIENT_ID, TENANT_ID)
CONFIGURATION = {
    "platform": {"enabled": True},
    "identityProviders": {
        "azureActiveDirectory": {
            "registration": {
                "clientId": CLIENT_ID,
                "openIdIssuer": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0",
            }
        }
    },
    "globalValidation": {"unauthenticatedClientAction": 0},
}
BARE = {"PORTAL_CLIENT_ID": CLIENT_ID}


@pytest.mark.parametrize("value", [None, "", "   "])
def test_no_portal(value: str | None) -> None:
    """Without PORTAL_CLIENT_ID there is no portal, whatever the platform says."""
    environ = dict(ENVIRONMENT)
    del environ["PORTAL_CLIENT_ID"]
    if value is not None:
        environ["PORTAL_CLIENT_ID"] = value
    assert expected(environ) is None


@pytest.mark.parametrize("flag", ["True", "true", "TRUE", "1"])
def test_the_platform_says_that_sign_in_is_on(flag: str) -> None:
    """Any spelling of the flag that the host takes opens the portal."""
    assert expected({**ENVIRONMENT, "WEBSITE_AUTH_ENABLED": flag}) == OPEN


@pytest.mark.parametrize("flag", ["False", "0", "", "yes", "on", "None"])
def test_the_platform_does_not_say_so(flag: str) -> None:
    """Anything else closes it, also beside a configuration that says on."""
    environ = {**ENVIRONMENT, "WEBSITE_AUTH_ENABLED": flag}
    assert isinstance(expected(environ), Closed)
    environ["WEBSITE_AUTH_V2_CONFIG_JSON"] = json.dumps(CONFIGURATION)
    assert isinstance(expected(environ), Closed)


def test_nothing_is_said() -> None:
    """Nobody is trusted by default."""
    found = expected(BARE)
    assert isinstance(found, Closed)
    assert "authentication is not turned on" in found.reason
    assert "WEBSITE_AUTH_ENABLED" in found.remedy


def test_the_second_witness() -> None:
    """Where the flag does not reach the worker, the platform's own configuration counts."""
    text = json.dumps(CONFIGURATION)
    assert expected({**BARE, "WEBSITE_AUTH_V2_CONFIG_JSON": text}) == OPEN
    spelled = text.replace('"platform"', '"Platform"').replace('"enabled"', '"Enabled"')
    assert expected({**BARE, "WEBSITE_AUTH_V2_CONFIG_JSON": spelled}) == OPEN


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 2000, '{"platform": null}', '{"platform": {"enabled": "true"}}',
     '{"platform": {"enabled": 1}}', " " * 70_000 + json.dumps(CONFIGURATION)],
)  # fmt: skip
def test_a_witness_that_cannot_be_understood(text: str) -> None:
    """What is not clearly on is off."""
    assert isinstance(expected({**BARE, "WEBSITE_AUTH_V2_CONFIG_JSON": text}), Closed)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"PORTAL_CLIENT_ID": "portal"}, "PORTAL_CLIENT_ID"),
        ({"WEBSITE_AUTH_CLIENT_ID": OTHER_TENANT_ID}, "PORTAL_CLIENT_ID"),
        ({"WEBSITE_AUTH_AAD_ALLOWED_TENANTS": "common"}, "WEBSITE_AUTH_AAD_ALLOWED_TENANTS"),
        (
            {"WEBSITE_AUTH_AAD_ALLOWED_TENANTS": f"{TENANT_ID},{OTHER_TENANT_ID}"},
            "WEBSITE_AUTH_AAD_ALLOWED_TENANTS",
        ),
        ({"TARGET_TENANT_ID": "contoso"}, "WEBSITE_AUTH_AAD_ALLOWED_TENANTS"),
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, str], name: str) -> None:
    """A setting that is wrong closes the portal and is named in the remedy."""
    found = expected({**ENVIRONMENT, **changes})
    assert isinstance(found, Closed)
    assert name in found.remedy


def test_which_tenant() -> None:
    """Microsoft 365's tenant comes first, then the allowed one, then the issuer's."""
    assert expected({**ENVIRONMENT, "TARGET_TENANT_ID": OTHER_TENANT_ID}) == Expected(
        CLIENT_ID, OTHER_TENANT_ID
    )
    environ = dict(ENVIRONMENT)
    del environ["WEBSITE_AUTH_AAD_ALLOWED_TENANTS"]
    assert expected(environ) == OPEN
    for issuer in ("", "https://login.microsoftonline.com/common/v2.0", "https://[", "nothing"):
        assert isinstance(expected({**environ, "WEBSITE_AUTH_OPENID_ISSUER": issuer}), Closed)
