"""Application settings: environment variables in, one checked and frozen value out.

Pure and light: no I/O, no library beyond the standard one. Every problem is found before the
first request and all of them are reported at once. A setting is declared once, here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.config import parsers, storage_connection
from shared.config.clouds import CLOUDS
from shared.config.declaration import declare, declared, read
from shared.config.misspellings import misspellings
from shared.config.removal_limit import RemovalLimit
from shared.config.storage_connection import StorageConnection
from shared.errors import ConfigurationError

__all__ = [
    "DEFAULT_FILTER",
    "DEFAULT_SCHEDULE",
    "FILTER_OF_VERSION_1",
    "SETTINGS",
    "Settings",
    "load",
]

DEFAULT_SCHEDULE = "0 */15 1-5 * * *"
"""What the deployment sets; the timer trigger itself has no default."""

FILTER_OF_VERSION_1 = (
    "accountEnabled eq true and userType eq 'Member' and "
    "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')"
)
"""Takes the place of the default of USER_FILTER where Graph refuses that one with 400."""

DEFAULT_FILTER = (
    "accountEnabled eq true and userType ne 'Guest' and "
    "(assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled') or "
    "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Warning'))"
)
"""Users with an unknown type (accounts from before 2014) and plans in their grace period count."""

_ORIGIN = "an https origin such as https://host, without path, query or credentials"
_GUID = "a GUID such as 00000000-0000-0000-0000-000000000000"
_SWITCH = "true, false, 1 or 0"


def _cloud(values: Mapping[str, Any]) -> Any:
    return CLOUDS[values["cloud"]]


def _sharepoint(values: Mapping[str, Any], part: str) -> str:
    # Without a tenant this is no origin, and the missing tenant is the problem that is reported.
    return f"https://{values['tenant'] or '?'}-{part}.{_cloud(values).sharepoint_suffix}"


def _hours(text: str) -> timedelta:
    return timedelta(hours=parsers.number(0, 168)(text))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked. Each field has its meaning in its declaration.

    URLs are origins without trailing slash.

    Attributes:
        checkpoint: the storage connection that CHECKPOINT_CONNECTION names.
        warnings: probable misspellings, one sentence each; they stop nothing.
    """

    tenant: str | None = declare(
        "SHAREPOINT_TENANT",
        parsers.tenant,
        accepted="the name only: contoso for https://contoso.sharepoint.com",
        meaning="SharePoint tenant; required unless both SHAREPOINT_..._URL are set",
    )
    cloud: str = declare(
        "CLOUD",
        parsers.one_of(CLOUDS),
        default="global",
        accepted="global, usgov, dod or china",
        meaning="Microsoft cloud of the tenant",
    )
    graph_url: str = declare(
        "GRAPH_URL",
        parsers.origin,
        default=lambda values: str(_cloud(values).graph_url),
        accepted=_ORIGIN,
        meaning="Microsoft Graph root without version; from CLOUD",
    )
    login_url: str = declare(
        "LOGIN_URL",
        parsers.origin,
        default=lambda values: str(_cloud(values).login_url),
        accepted=_ORIGIN,
        meaning="login authority for another tenant; from CLOUD",
    )
    mysite_url: str = declare(
        "SHAREPOINT_MYSITE_URL",
        parsers.origin,
        default=lambda values: _sharepoint(values, "my"),
        accepted=_ORIGIN,
        meaning="My Site host; from SHAREPOINT_TENANT",
    )
    admin_url: str = declare(
        "SHAREPOINT_ADMIN_URL",
        parsers.origin,
        default=lambda values: _sharepoint(values, "admin"),
        accepted=_ORIGIN,
        meaning="tenant admin site; from SHAREPOINT_TENANT",
    )
    sharepoint_satellites: tuple[str, ...] = declare(
        "SHAREPOINT_SATELLITES",
        parsers.hosts,
        default="",
        accepted="host names such as fabrikam-my.sharepoint.com, separated by commas",
        meaning="multi-geo: My Site hosts other than <tenant><three-letter geo code>-my",
    )
    managed_identity_client_id: str | None = declare(
        "MANAGED_IDENTITY_CLIENT_ID",
        parsers.guid,
        accepted=_GUID,
        meaning="client id of a user-assigned identity; without it the system-assigned one",
    )
    target_tenant_id: str | None = declare(
        "TARGET_TENANT_ID",
        parsers.guid,
        accepted=_GUID,
        meaning="tenant of Microsoft 365, when it is another one",
    )
    target_client_id: str | None = declare(
        "TARGET_CLIENT_ID",
        parsers.guid,
        accepted=_GUID,
        meaning="application that trusts the identity in that tenant",
    )
    checkpoint_connection: str = declare(
        "CHECKPOINT_CONNECTION",
        parsers.connection_name,
        default="AzureWebJobsStorage",
        accepted="the name of a storage connection: letters, digits, _, - or .",
        meaning="name of the storage connection that holds the checkpoint",
        secret=True,
    )
    checkpoint_container: str = declare(
        "CHECKPOINT_CONTAINER",
        parsers.container,
        default="photo-sync",
        accepted="3 to 63 lower-case letters, digits and single hyphens",
        meaning="blob container of state and run reports; created when missing",
    )
    schedule: str | None = declare(
        "SYNC_SCHEDULE",
        parsers.schedule,
        accepted=f"an NCRONTAB expression of 5 or 6 fields such as {DEFAULT_SCHEDULE}",
        meaning=f"nightly window in UTC; the deployment sets {DEFAULT_SCHEDULE}",
        exact=True,
    )
    run_interval: timedelta = declare(
        "RUN_INTERVAL_HOURS",
        _hours,
        default="12",
        accepted="a number from 0 to 168",
        meaning="least time between the starts of two runs; "
        "0: every trigger starts a run unless one is in progress",
    )
    user_filter: str = declare(
        "USER_FILTER",
        parsers.single_line,
        default=DEFAULT_FILTER,
        accepted="an OData $filter on one line",
        meaning="who is in scope",
    )
    sync_group_id: str | None = declare(
        "SYNC_GROUP_ID",
        parsers.guid,
        accepted=_GUID,
        meaning="only transitive members of this group",
    )
    dry_run: bool = declare(
        "DRY_RUN",
        parsers.switch,
        default="false",
        accepted=_SWITCH,
        meaning="plan and report, write nothing",
    )
    remove_photos: bool = declare(
        "REMOVE_PHOTOS",
        parsers.switch,
        default="true",
        accepted=_SWITCH,
        meaning="clear SharePoint when the photo is gone",
    )
    removal_confirmations: int = declare(
        "REMOVAL_CONFIRMATIONS",
        parsers.whole(1, 30),
        default="2",
        accepted="a whole number from 1 to 30",
        meaning="consecutive runs that must find the photo gone before it is cleared",
    )
    removal_limit: RemovalLimit = declare(
        "REMOVAL_LIMIT",
        RemovalLimit.parse,
        default="5%",
        accepted="a whole number, or a percentage from 0% to 100%",
        meaning="removals one run may carry out, all or none; a percentage means at least 10",
    )
    reverify_days: int = declare(
        "REVERIFY_DAYS",
        parsers.whole(0, 365),
        default="30",
        accepted="a whole number from 0 to 365",
        meaning="days after which an unchanged photo and its profile are checked again; 0: never",
    )
    leaver_days: int = declare(
        "LEAVER_DAYS",
        parsers.whole(0, 365),
        default="30",
        accepted="a whole number from 0 to 365",
        meaning="days after which the thumbnails of a user whom the directory no longer has are "
        "deleted; 0: never",
    )
    thumbnail_sizes: tuple[int, int, int] = declare(
        "THUMBNAIL_SIZES",
        parsers.sizes,
        default="48,96,300",
        accepted="three ascending whole numbers from 16 to 1024, separated by commas",
        meaning="longest side of the small, medium and large thumbnail in pixels",
    )
    time_budget: float = declare(
        "TIME_BUDGET_SECONDS",
        parsers.number(60, 3300),
        default="1500",
        accepted="a number from 60 to 3300",
        meaning="a run stops by itself, saved, after this long; below functionTimeout",
    )
    max_concurrency: int = declare(
        "MAX_CONCURRENCY",
        parsers.whole(1, 64),
        default="32",
        accepted="a whole number from 1 to 64",
        meaning="most requests in flight per service",
    )
    pilot: bool = declare(
        "PILOT",
        parsers.switch,
        default="false",
        accepted=_SWITCH,
        meaning="allow ?pilot=true, which writes a user's own values back to SharePoint",
    )
    portal_client_id: str | None = declare(
        "PORTAL_CLIENT_ID",
        parsers.guid,
        accepted=_GUID,
        meaning="client id of the app registration that people sign in to; without it no portal",
    )
    company: str = declare(
        "COMPANY",
        parsers.company,
        default="PhotoSync",
        accepted="at most 40 printable ASCII characters other than | and /",
        meaning="decorates the User-Agent that Microsoft's services see",
    )
    checkpoint: StorageConnection
    warnings: tuple[str, ...]

    @property
    def federated_audience(self) -> str:
        """Audience of a managed identity that is used as a federated credential."""
        return CLOUDS[self.cloud].federated_audience


SETTINGS = tuple(declared(Settings).values())
"""Every setting, in the order in which the documentation lists them."""


def load(environ: Mapping[str, str]) -> Settings:
    """Check all settings and complete them from cloud and tenant.

    Args:
        environ: usually `os.environ`; spaces around values do not count, empty means absent.

    Raises:
        ConfigurationError: lists every problem, not only the first.
    """
    problems: list[str] = []
    values = read(Settings, environ, problems)
    problems += _missing({name for name, text in environ.items() if text.strip()})
    values["checkpoint"] = storage_connection.resolve(
        environ,
        values["checkpoint_connection"],
        CLOUDS[values["cloud"]].blob_suffix,
        values["managed_identity_client_id"],
        problems,
    )
    if problems:
        raise ConfigurationError(problems)
    known = [setting.name for setting in SETTINGS]
    return Settings(warnings=misspellings(environ, known), **values)


def _missing(given: set[str]) -> list[str]:
    """What must be set because of what is set."""
    accepted = {setting.name: setting.accepted for setting in SETTINGS}
    problems = []
    if "SHAREPOINT_TENANT" not in given and not (
        given >= {"SHAREPOINT_MYSITE_URL", "SHAREPOINT_ADMIN_URL"}
    ):
        problems.append(
            "SHAREPOINT_TENANT: missing; set it, or both SHAREPOINT_MYSITE_URL and "
            f"SHAREPOINT_ADMIN_URL; accepted: {accepted['SHAREPOINT_TENANT']}"
        )
    targets = given & {"TARGET_TENANT_ID", "TARGET_CLIENT_ID"}
    if len(targets) == 1:
        problems.append("TARGET_TENANT_ID and TARGET_CLIENT_ID: only one is set; set both or none")
    if targets and "MANAGED_IDENTITY_CLIENT_ID" not in given:
        problems.append(
            "MANAGED_IDENTITY_CLIENT_ID: missing; another tenant (TARGET_TENANT_ID) trusts "
            f"user-assigned identities only; accepted: {accepted['MANAGED_IDENTITY_CLIENT_ID']}"
        )
    return problems
