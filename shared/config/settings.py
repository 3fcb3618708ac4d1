"""Application settings: environment variables in, one checked and frozen value out.

Pure and light: no I/O, no library beyond the standard one. Every problem is found before the
first request and all of them are reported at once.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from shared.config import parsers, storage_connection
from shared.config.storage_connection import StorageConnection
from shared.errors import ConfigurationError

__all__ = [
    "CLOUDS",
    "SETTINGS",
    "Cloud",
    "RemovalLimit",
    "Setting",
    "Settings",
    "StorageConnection",
    "load",
]


class Cloud(NamedTuple):
    """Endpoints of one Microsoft cloud (Microsoft Graph docs: national cloud deployments).

    Attributes:
        graph_url: Graph root without version.
        login_url: login authority.
        sharepoint_suffix: what follows `<tenant>-my.`.
        blob_suffix: what follows `<account>.`.
        federated_audience: audience of a managed identity used as federated credential
            (Entra docs: configure an application to trust a managed identity).
    """

    graph_url: str
    login_url: str
    sharepoint_suffix: str
    blob_suffix: str
    federated_audience: str


_US_LOGIN = "https://login.microsoftonline.us"
_US_BLOB = "blob.core.usgovcloudapi.net"
_US_AUDIENCE = "api://AzureADTokenExchangeUSGov"
CLOUDS: Mapping[str, Cloud] = {
    "global": Cloud(
        "https://graph.microsoft.com",
        "https://login.microsoftonline.com",
        "sharepoint.com",
        "blob.core.windows.net",
        "api://AzureADTokenExchange",
    ),
    "usgov": Cloud(
        "https://graph.microsoft.us", _US_LOGIN, "sharepoint.us", _US_BLOB, _US_AUDIENCE
    ),
    "dod": Cloud(
        "https://dod-graph.microsoft.us", _US_LOGIN, "sharepoint-mil.us", _US_BLOB, _US_AUDIENCE
    ),
    "china": Cloud(
        "https://microsoftgraph.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "sharepoint.cn",
        "blob.core.chinacloudapi.cn",
        "api://AzureADTokenExchangeChina",
    ),
}


@dataclass(frozen=True)
class Setting:
    """One application setting as operators see it.

    Attributes:
        name: name of the environment variable.
        default: text used when the setting is absent or empty; None when there is none.
        accepted: what a value may look like.
        meaning: one sentence for the operator.
    """

    name: str
    default: str | None
    accepted: str
    meaning: str


_ORIGIN = "an https origin such as https://host, without path, query or credentials"
_GUID = "a GUID such as 00000000-0000-0000-0000-000000000000"
_SWITCH = "true, false, 1 or 0"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "SHAREPOINT_TENANT",
        None,
        "the name only: contoso for https://contoso.sharepoint.com",
        "SharePoint tenant; required unless both SHAREPOINT_..._URL are set",
    ),
    Setting("CLOUD", "global", "global, usgov, dod or china", "Microsoft cloud of the tenant"),
    Setting("GRAPH_URL", None, _ORIGIN, "Microsoft Graph root without version; from CLOUD"),
    Setting("LOGIN_URL", None, _ORIGIN, "login authority for another tenant; from CLOUD"),
    Setting("SHAREPOINT_MYSITE_URL", None, _ORIGIN, "My Site host; from SHAREPOINT_TENANT"),
    Setting("SHAREPOINT_ADMIN_URL", None, _ORIGIN, "tenant admin site; from SHAREPOINT_TENANT"),
    Setting(
        "MANAGED_IDENTITY_CLIENT_ID",
        None,
        _GUID,
        "client id of a user-assigned identity; without it the system-assigned one",
    ),
    Setting("TARGET_TENANT_ID", None, _GUID, "tenant of Microsoft 365, when it is another one"),
    Setting("TARGET_CLIENT_ID", None, _GUID, "application that trusts the identity in that tenant"),
    Setting(
        "CHECKPOINT_CONNECTION",
        "AzureWebJobsStorage",
        "the name of a storage connection: letters, digits, _, - or .",
        "name of the storage connection that holds the checkpoint",
    ),
    Setting(
        "CHECKPOINT_CONTAINER",
        "photo-sync",
        "3 to 63 lower-case letters, digits and single hyphens",
        "blob container of state and run reports; created when missing",
    ),
    Setting(
        "SYNC_SCHEDULE",
        None,
        "an NCRONTAB expression of 5 or 6 fields such as 0 */15 1-5 * * *",
        "nightly window in UTC; the deployment sets 0 */15 1-5 * * *",
    ),
    Setting(
        "RUN_INTERVAL_HOURS",
        "12",
        "a number from 0 to 168",
        "least time between the starts of two runs; 0: every firing starts one",
    ),
    Setting(
        "USER_FILTER",
        "accountEnabled eq true and userType eq 'Member' and "
        "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')",
        "an OData $filter on one line",
        "who is in scope",
    ),
    Setting("SYNC_GROUP_ID", None, _GUID, "only transitive members of this group"),
    Setting("DRY_RUN", "false", _SWITCH, "plan and report, write nothing"),
    Setting("REMOVE_PHOTOS", "true", _SWITCH, "clear SharePoint when the photo is gone"),
    Setting(
        "REMOVAL_CONFIRMATIONS",
        "2",
        "a whole number from 1 to 30",
        "consecutive runs that must find the photo gone before it is cleared",
    ),
    Setting(
        "REMOVAL_LIMIT",
        "5%",
        "a whole number, or a percentage from 0% to 100%",
        "removals one run may carry out, all or none; a percentage means at least 10",
    ),
    Setting(
        "REVERIFY_DAYS",
        "30",
        "a whole number from 0 to 365",
        "days after which an unchanged photo and its profile are checked again; 0: never",
    ),
    Setting(
        "THUMBNAIL_SIZES",
        "48,96,300",
        "three ascending whole numbers from 16 to 1024, separated by commas",
        "longest side of the small, medium and large thumbnail in pixels",
    ),
    Setting(
        "TIME_BUDGET_SECONDS",
        "1500",
        "a number from 30 to 3300",
        "a run stops by itself, saved, after this long; below functionTimeout",
    ),
    Setting(
        "MAX_CONCURRENCY",
        "8",
        "a whole number from 1 to 32",
        "most requests in flight per service",
    ),
    Setting(
        "COMPANY",
        "PhotoSync",
        "at most 40 printable ASCII characters other than | and /",
        "decorates the User-Agent that Microsoft's services see",
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class RemovalLimit:
    """How many photos one run may remove: a number or a share of those we wrote.

    Attributes:
        count: the number, or None.
        percent: 0 to 100, or None.
    """

    count: int | None
    percent: float | None

    LEAST_OF_PERCENTAGE = 10

    def of(self, written: int) -> int:
        """The limit for so many photos written by us; a share is rounded down, at least 10."""
        if self.percent is None:
            return self.count or 0
        # Decimal, because 0.57 * 100 is below 57 in binary.
        share = int(Decimal(str(self.percent)) * written / 100)
        return max(self.LEAST_OF_PERCENTAGE, share)


def _removal_limit(text: str) -> RemovalLimit:
    if text.endswith("%"):
        return RemovalLimit(None, parsers.number(0, 100)(text[:-1].rstrip()))
    return RemovalLimit(parsers.whole(0, 999_999_999)(text), None)


@dataclass(frozen=True)
class Settings:
    """All settings, checked; see `SETTINGS` for meaning and defaults.

    URLs are origins without trailing slash. `time_budget` is in seconds, `thumbnail_sizes` in
    pixels (small, medium, large).
    """

    cloud: str
    graph_url: str
    login_url: str
    mysite_url: str
    admin_url: str
    managed_identity_client_id: str | None
    target_tenant_id: str | None
    target_client_id: str | None
    checkpoint: StorageConnection
    checkpoint_container: str
    run_interval: timedelta
    user_filter: str
    sync_group_id: str | None
    dry_run: bool
    remove_photos: bool
    removal_confirmations: int
    removal_limit: RemovalLimit
    reverify_days: int
    thumbnail_sizes: tuple[int, int, int]
    time_budget: float
    max_concurrency: int
    company: str
    schedule: str | None
    federated_audience: str


class _Reader:
    """Reads one setting after the other and collects what is wrong instead of stopping."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def optional[T](self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value; None when wrong, or absent without default."""
        setting = _BY_NAME[name]
        text = self._environ.get(name, "").strip() or setting.default
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            hint = f"; {error}" if isinstance(error, parsers.Hint) else ""
            self.problems.append(f"{name}={_shown(name, text)}: accepted: {setting.accepted}{hint}")
            return None

    def value[T](self, name: str, parse: Callable[[str], T]) -> T:
        """The parsed value; the default when wrong, so that reading can go on."""
        found = self.optional(name, parse)
        return parse(_BY_NAME[name].default or "") if found is None else found


def _shown(name: str, text: str) -> str:
    """What an error may show of a wrong value: operators paste secrets into the wrong field."""
    if name == "CHECKPOINT_CONNECTION":
        return "(not shown)"
    if name.endswith("_URL"):
        text = re.sub(r"//.*@", "//...@", text).partition("?")[0]
    return repr(text[:80])


def load(environ: Mapping[str, str]) -> Settings:
    """Check all settings and complete them from cloud and tenant.

    Args:
        environ: usually `os.environ`; spaces around values do not count, empty means absent.

    Raises:
        ConfigurationError: lists every problem, not only the first.
    """
    read = _Reader(environ)
    name = read.value("CLOUD", parsers.one_of(CLOUDS))
    cloud = CLOUDS[name]
    tenant = read.optional("SHAREPOINT_TENANT", parsers.tenant)
    mysite = read.optional("SHAREPOINT_MYSITE_URL", parsers.origin)
    admin = read.optional("SHAREPOINT_ADMIN_URL", parsers.origin)
    given = {key for key in _BY_NAME if environ.get(key, "").strip()}
    hosts_given = given >= {"SHAREPOINT_MYSITE_URL", "SHAREPOINT_ADMIN_URL"}
    if not hosts_given and "SHAREPOINT_TENANT" not in given:
        read.problems.append(
            "SHAREPOINT_TENANT: missing; set it, or both SHAREPOINT_MYSITE_URL and "
            f"SHAREPOINT_ADMIN_URL; accepted: {_BY_NAME['SHAREPOINT_TENANT'].accepted}"
        )
    client_id = read.optional("MANAGED_IDENTITY_CLIENT_ID", parsers.guid)
    targets = given & {"TARGET_TENANT_ID", "TARGET_CLIENT_ID"}
    if len(targets) == 1:
        read.problems.append(
            "TARGET_TENANT_ID and TARGET_CLIENT_ID: only one is set; set both or none"
        )
    if targets and "MANAGED_IDENTITY_CLIENT_ID" not in given:
        read.problems.append(
            "MANAGED_IDENTITY_CLIENT_ID: missing; another tenant (TARGET_TENANT_ID) trusts "
            f"user-assigned identities only; accepted: {_GUID}"
        )
    checkpoint = storage_connection.resolve(
        environ,
        read.value("CHECKPOINT_CONNECTION", parsers.connection_name),
        cloud.blob_suffix,
        client_id,
        read.problems,
    )
    settings = Settings(
        cloud=name,
        graph_url=read.optional("GRAPH_URL", parsers.origin) or cloud.graph_url,
        login_url=read.optional("LOGIN_URL", parsers.origin) or cloud.login_url,
        mysite_url=mysite or f"https://{tenant}-my.{cloud.sharepoint_suffix}",
        admin_url=admin or f"https://{tenant}-admin.{cloud.sharepoint_suffix}",
        managed_identity_client_id=client_id,
        target_tenant_id=read.optional("TARGET_TENANT_ID", parsers.guid),
        target_client_id=read.optional("TARGET_CLIENT_ID", parsers.guid),
        checkpoint=checkpoint,
        checkpoint_container=read.value("CHECKPOINT_CONTAINER", parsers.container),
        run_interval=timedelta(hours=read.value("RUN_INTERVAL_HOURS", parsers.number(0, 168))),
        user_filter=read.value("USER_FILTER", parsers.single_line),
        sync_group_id=read.optional("SYNC_GROUP_ID", parsers.guid),
        dry_run=read.value("DRY_RUN", parsers.switch),
        remove_photos=read.value("REMOVE_PHOTOS", parsers.switch),
        removal_confirmations=read.value("REMOVAL_CONFIRMATIONS", parsers.whole(1, 30)),
        removal_limit=read.value("REMOVAL_LIMIT", _removal_limit),
        reverify_days=read.value("REVERIFY_DAYS", parsers.whole(0, 365)),
        thumbnail_sizes=read.value("THUMBNAIL_SIZES", parsers.sizes),
        time_budget=read.value("TIME_BUDGET_SECONDS", parsers.number(30, 3300)),
        max_concurrency=read.value("MAX_CONCURRENCY", parsers.whole(1, 32)),
        company=read.value("COMPANY", parsers.company),
        schedule=read.optional("SYNC_SCHEDULE", parsers.schedule),
        federated_audience=cloud.federated_audience,
    )
    if read.problems:
        raise ConfigurationError(read.problems)
    return settings
