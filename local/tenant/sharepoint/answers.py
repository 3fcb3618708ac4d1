"""Requests taken out of a batch, and answers as SharePoint's front end words them."""

import json
from collections.abc import Callable
from urllib.parse import quote

from local.tenant.http import Request, Response
from local.tenant.sharepoint import multipart
from local.tenant.sharepoint.odata import BadAddress, ServiceError, invalid
from local.tenant.sharepoint.odata_answers import content_type, write_error
from local.tenant.sharepoint.people_manager import PEOPLE_MANAGER
from local.tenant.sharepoint.quota import Verdict
from local.tenant.sharepoint.site import Site


def people_calls_of(target: str) -> int:
    """How many calls of PeopleManager a REST address stands for: one or none."""
    return int(PEOPLE_MANAGER in target.lower())


def part_request(outer: Request, part: multipart.Part, site: Site) -> Request:
    """A part of a batch as a request of its own; it inherits `Accept` and digest."""
    if not part.url.startswith(f"{site.url}/"):
        raise invalid(f"The URL {part.url} does not belong to the site {site.url}.")
    inherited = {
        name: outer.headers[name] for name in ("accept", "x-requestdigest") if name in outer.headers
    }
    # Clients leave spaces and bars in the addresses of parts, unlike in a request line.
    target = quote(part.url[len(site.url) :], safe="%/:?#[]@!$&'()*+,;=")
    return Request(part.method, outer.origin, target, inherited | part.headers, part.body)


def charged(verdict: Verdict, answer: Callable[[], Response]) -> Response:
    """The answer with the quota's headers, or 429 in its place."""
    if verdict.retry_after:
        response = Response(429, b"429 TOO MANY REQUESTS", {"Content-Type": "text/plain"})
    else:
        response = answer()
    response.headers |= verdict.headers
    response.units = verdict.units
    return response


def error_response(error: ServiceError, level: str, language: str = "en-US") -> Response:
    """An error at a metadata level; a bad address gets the web server's HTML."""
    if isinstance(error, BadAddress):
        page = f"<html><body><h2>{error.message}</h2></body></html>"
        return Response(error.status, page.encode(), {"Content-Type": "text/html"})
    headers = {"Content-Type": content_type(level)}
    return Response(error.status, write_error(error, level, language), headers)


def refused(status: int, why: str) -> Response:
    """401 as the token validation of SharePoint gives it."""
    return Response(
        status,
        json.dumps({"error": "invalid_token", "error_description": why}).encode(),
        {
            "Content-Type": "application/json; charset=utf-8",
            "WWW-Authenticate": f'Bearer error="invalid_token", error_description="{why}"',
            "x-ms-diagnostics": f'3000006;reason="{why}";category="invalid_client"',
        },
    )
