"""Which hosts are SharePoint of this tenant: only these get a token. Pure.

The rule is exact. A My Site host is the configured one, one that the settings name, or the
configured one with a geo location code behind the tenant's name: `contosoeur-my` beside
`contoso-my`. The admin site of a geo is named likewise: `contosoeur-admin`.
Source: Microsoft Learn, "Multi-geo capabilities", table of geo location codes.
"""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

GEO_CODES = frozenset(
    {
        "apc",
        "are",
        "aus",
        "aut",
        "bra",
        "can",
        "che",
        "chl",
        "deu",
        "esp",
        "eur",
        "fra",
        "gbr",
        "idn",
        "ind",
        "isr",
        "ita",
        "jpn",
        "kor",
        "mex",
        "mys",
        "nam",
        "nor",
        "nzl",
        "pol",
        "qat",
        "swe",
        "twn",
        "zaf",
    }
)
"""Geo location codes of Microsoft 365, in lower case. A host with a newer code can be named in
SHAREPOINT_SATELLITES."""

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def origin_of(url: str) -> str:
    """Scheme and host in lower case, without a default port; "" for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.scheme or not parts.netloc or "@" in parts.netloc:
        return ""
    netloc = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "\0"))
    return f"{parts.scheme.lower()}://{netloc}"


class Hosts:
    """The SharePoint hosts of one tenant.

    Args:
        mysite: origin of the My Site host of the central geo.
        admin: origin of the admin site of the central geo.
        satellites: My Site hosts of other geos that follow no rule, as host names or origins.
    """

    def __init__(self, mysite: str, admin: str, satellites: Collection[str] = ()) -> None:
        self.mysite = mysite
        self.admin = admin
        named = (host if "://" in host else f"https://{host}" for host in satellites)
        self._mysites = {mysite, *filter(None, map(origin_of, named)), *_geo_hosts(mysite)}
        self._admins = {self.admin_of(host) for host in self._mysites}
        self._loopback = _loopback_scheme(mysite)

    def is_mysite(self, origin: str) -> bool:
        """Whether an origin is a My Site host of this tenant.

        On loopback, where hosts have no names, any other loopback port is.
        """
        return origin in self._mysites or (
            bool(self._loopback) and _loopback_scheme(origin) == self._loopback
        )

    def owns(self, origin: str) -> bool:
        """Whether an origin is SharePoint of this tenant and may get a token."""
        return origin in self._admins or self.is_mysite(origin)

    def is_central(self, origin: str) -> bool:
        """Whether an origin belongs to the central geo."""
        return origin in {self.mysite, self.admin}

    def admin_of(self, host: str) -> str:
        """The admin site of the geo that a My Site host belongs to.

        Source: SharePoint documentation on user profiles in multi-geo: profile calls go to the
        admin site of the geo that holds the profile. A host whose name does not tell its admin site
        (on loopback) is asked itself.
        """
        return self.admin if host == self.mysite else host.replace("-my.", "-admin.", 1)


def _geo_hosts(mysite: str) -> set[str]:
    """My Site hosts that the tenant has in other geos, if it has any."""
    parts = urlsplit(mysite)
    tenant, separator, domain = parts.netloc.partition("-my.")
    if parts.scheme != "https" or not separator or not tenant or not domain:
        return set()
    return {f"https://{tenant}{code}-my.{domain}" for code in GEO_CODES}


def _loopback_scheme(origin: str) -> str:
    """Scheme of an origin on this machine; "" for any other."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.scheme if _LOOPBACK.fullmatch(parts.netloc) else ""
