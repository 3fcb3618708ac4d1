"""A network in which every request gets the same answer, and the clients that ask in it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from local.support.clock import VirtualClock
from shared.graph import Graph
from shared.http import Budget, Service
from shared.sharepoint import SharePoint

NOW = 1_790_000_000.0
MYSITE = "https://contoso-my.sharepoint.com"
ADMIN = "https://contoso-admin.sharepoint.com"
GRAPH = "https://graph.microsoft.com"

type Reply = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


class _NoSecrets:
    """Tokens for a network that does not exist."""

    def token(self, resource: str, deadline: float = math.inf) -> str:  # noqa: ARG002
        return f"token-of-{urlsplit(resource).netloc}"

    def forget(self, resource: str, refused: str = "") -> None:
        pass


@contextmanager
def network(reply: Reply) -> Iterator[list[str]]:
    """Whatever is asked, this is the answer; gives the URLs that were asked for."""
    status, headers, body = reply
    asked: list[str] = []

    def send(
        adapter: HTTPAdapter, request: requests.PreparedRequest, **_: object
    ) -> requests.Response:
        asked.append(str(request.url))
        raw = HTTPResponse(BytesIO(body), headers=headers, status=status, preload_content=False)
        return adapter.build_response(request, raw)

    with patch.object(HTTPAdapter, "send", send):
        yield asked


def _service(name: str, *origins: str) -> Service:
    return Service(
        name,
        origins=lambda origin: origin in origins,
        tokens=_NoSecrets(),
        concurrency=2,
        user_agent="fuzz",
        clock=VirtualClock(NOW),
    )


def graph() -> Graph:
    """Microsoft Graph for some minutes of virtual time."""
    return Graph(_service("graph", GRAPH), GRAPH, Budget(600))


def sharepoint() -> SharePoint:
    """SharePoint for some minutes of virtual time."""
    service = _service("sharepoint", MYSITE, ADMIN)
    return SharePoint(service, mysite=MYSITE, admin=ADMIN, budget=Budget(600))
