"""The Microsoft clouds and their endpoints (Microsoft Graph docs: national cloud deployments)."""

from collections.abc import Mapping
from typing import NamedTuple


class Cloud(NamedTuple):
    """Endpoints of one Microsoft cloud.

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
