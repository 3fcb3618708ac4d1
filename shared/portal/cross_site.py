"""Does a request come from our own pages? Pure.

The rule that Go 1.25 and ASP.NET Core 11 have in their libraries: `Sec-Fetch-Site` decides where a
browser sends it, else `Origin` must name the host that was asked. A request with neither is
refused too, because only pages call the portal. Cookies play no part, so it does not matter
whether the session cookie is `SameSite` (reference/portal.md 4).
"""

from urllib.parse import urlsplit

from shared.portal.message import Request

REQUESTED_WITH = "portal"
"""Value of `X-Requested-With`: a form or an image of another site cannot send it."""

_JSON = "application/json"


def is_own_write(request: Request) -> bool:
    """Whether a POST was sent by a script of our own pages."""
    if request.header("X-Requested-With") != REQUESTED_WITH:
        return False
    content_type = request.header("Content-Type") or ""
    if content_type.partition(";")[0].strip().lower() != _JSON:
        return False
    site = request.header("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return _is_own_origin(request.header("Origin"), _host(request))


def is_own_read(request: Request) -> bool:
    """Whether personal data was asked for by our own pages, or by a person in the address bar.

    Browsers that send no `Sec-Fetch-Site` are let through: other sites cannot read the answer.
    """
    site = request.header("Sec-Fetch-Site")
    return site is None or site in {"same-origin", "none"}


def _host(request: Request) -> str | None:
    """The host that the caller asked; on Flex Consumption the front end keeps it apart."""
    return request.header("DISGUISED-HOST") or request.header("Host")


def _is_own_origin(origin: str | None, host: str | None) -> bool:
    if not origin or not host or "," in origin or "," in host:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"https", "http"} and parts.netloc.lower() == host.lower()
