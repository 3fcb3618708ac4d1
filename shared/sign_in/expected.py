"""Is there a portal, and does the platform say that sign-in stands in front of it? Pure.

The portal believes the platform's headers only when the platform says that its sign-in layer is
on. App Service injects `WEBSITE_AUTH_ENABLED` (and `WEBSITE_AUTH_V2_CONFIG_JSON`, filled by the
platform) when authentication is configured: Microsoft's reference of App Service environment
variables. `shared.sign_in.proof` tests by a request what the platform says here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared.model import is_object_id

CLIENT_ID = "PORTAL_CLIENT_ID"

_TRUE = frozenset({"true", "1"})
_LARGEST_CONFIGURATION = 65_536


@dataclass(frozen=True)
class Expected:
    """What a signed-in person's claims must say.

    Attributes:
        client_id: of the app registration, lower case.
        tenant_id: of the tenant whose people may come in, lower case.
    """

    client_id: str
    tenant_id: str


@dataclass(frozen=True)
class Closed:
    """Why the portal answers 503 to everything.

    Attributes:
        reason: what is wrong.
        remedy: what an administrator does about it.
    """

    reason: str
    remedy: str


def expected(environ: Mapping[str, str]) -> Expected | Closed | None:
    """What sign-in must prove here; why it cannot; None when there is no portal at all.

    Args:
        environ: the process's environment.
    """
    client_id = environ.get(CLIENT_ID, "").strip().lower()
    if not client_id:
        return None
    if not is_object_id(client_id):
        return Closed(
            f"{CLIENT_ID} is not a GUID",
            f"Set {CLIENT_ID} to the application (client) ID of the portal's app registration.",
        )
    configuration = _configuration(environ)
    if not _enabled(environ, configuration):
        return Closed(
            "App Service authentication is not turned on for this app",
            "Deploy with portalClientId, so that infra/main.bicep turns on App Service "
            "authentication. Do not set WEBSITE_AUTH_ENABLED yourself: see docs/security.md.",
        )
    registered = _registered_client(environ, configuration)
    if registered and registered != client_id:
        return Closed(
            f"sign-in uses another app registration than {CLIENT_ID}",
            f"Set {CLIENT_ID} and the client ID of App Service authentication to the same value.",
        )
    tenant_id = _tenant(environ, configuration)
    if tenant_id is None:
        return Closed(
            "the tenant whose people may sign in is not known",
            "Set WEBSITE_AUTH_AAD_ALLOWED_TENANTS to the ID of your Microsoft 365 tenant; "
            "infra/main.bicep does so.",
        )
    return Expected(client_id, tenant_id)


def _enabled(environ: Mapping[str, str], configuration: Mapping[str, Any]) -> bool:
    flag = environ.get("WEBSITE_AUTH_ENABLED")
    if flag is not None:
        return flag.strip().lower() in _TRUE
    return _dig(configuration, "platform", "enabled") is True


def _registered_client(environ: Mapping[str, str], configuration: Mapping[str, Any]) -> str:
    found = environ.get("WEBSITE_AUTH_CLIENT_ID") or _dig(
        configuration, "identityProviders", "azureActiveDirectory", "registration", "clientId"
    )
    return found.strip().lower() if isinstance(found, str) else ""


def _tenant(environ: Mapping[str, str], configuration: Mapping[str, Any]) -> str | None:
    """The one tenant that people come from: where Microsoft 365 is, else what sign-in allows."""
    target = environ.get("TARGET_TENANT_ID", "").strip().lower()
    if target:
        return target if is_object_id(target) else None
    allowed = environ.get("WEBSITE_AUTH_AAD_ALLOWED_TENANTS", "").strip().lower()
    if allowed:
        return allowed if is_object_id(allowed) else None
    issuer = environ.get("WEBSITE_AUTH_OPENID_ISSUER") or _dig(
        configuration, "identityProviders", "azureActiveDirectory", "registration", "openIdIssuer"
    )
    if not isinstance(issuer, str):
        return None
    try:
        tenant = urlsplit(issuer).path.strip("/").partition("/")[0].lower()
    except ValueError:
        return None
    return tenant if is_object_id(tenant) else None


def _configuration(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """The platform's own description of its sign-in layer, {} when there is none to read."""
    text = environ.get("WEBSITE_AUTH_V2_CONFIG_JSON", "")
    if not text or len(text) > _LARGEST_CONFIGURATION:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _dig(document: Any, *names: str) -> Any:
    """A nested member; names are compared without case, because the platform writes both."""
    for name in names:
        if not isinstance(document, dict):
            return None
        document = next((v for k, v in document.items() if str(k).lower() == name.lower()), None)
    return document
