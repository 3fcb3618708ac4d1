"""The portal on a port of its own: the real code behind the local sign-in layer."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Self

from local.host.http_message import HttpAnswer
from local.host.http_message import Request as HttpRequest
from local.host.http_server import Server
from local.host.sign_in import CLIENT_ID, Mode, SignIn, accounts, platform_variables
from shared.clock import Clock
from shared.portal.message import Answer, Request
from shared.portal.serve import Portal
from shared.sign_in import Proof
from tests.support.portal_core import PEOPLE, FakeCore

ENVIRONMENT = {**platform_variables(), "PORTAL_CLIENT_ID": CLIENT_ID}
REFUSED = HTTPStatus.UNAUTHORIZED

_PREFIX = "/api/portal"


def refuse(*_: object) -> int:
    """A platform that refuses forged identities."""
    return REFUSED


def portal(
    core: FakeCore,
    environ: dict[str, str] | None = None,
    clock: Clock = time,
    probe: Callable[..., int] = refuse,
) -> Portal:
    """The portal with a fake program."""
    return Portal(
        open_core=lambda: core,
        proof=Proof(probe, clock),
        environ=dict(ENVIRONMENT if environ is None else environ),
        clock=clock,
    )


class Site:
    """Serves the portal; use as a context manager.

    Args:
        core: the program behind it.
        mode: of the sign-in layer.
        clock: of the portal; the sign-in layer keeps to real time.

    Attributes:
        core: the program behind it.
        sign_in: the layer in front of it.
        interrupt: answers instead of the portal; None passes a request on. A returned status of 0
            cuts the connection.
        requests: method and path of every request, in order.
    """

    def __init__(self, core: FakeCore, mode: Mode = Mode.CODE, clock: Clock = time) -> None:
        self.core = core
        self.sign_in = SignIn(accounts(PEOPLE), mode)
        self.interrupt: Callable[[HttpRequest], HttpAnswer | None] | None = None
        self.requests: list[tuple[str, str]] = []
        self._portal = portal(core, clock=clock)
        self._server = Server(self._answer, 0)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append((request.method, request.path))
        if self.interrupt:
            answer = self.interrupt(request)
            if answer is not None:
                if not answer.status:
                    raise ConnectionError("cut")
                return answer
        return self.sign_in.handle(request, self._function)

    def _function(self, request: HttpRequest) -> HttpAnswer:
        path = request.path
        if path != _PREFIX and not path.startswith(_PREFIX + "/"):
            return HttpAnswer(HTTPStatus.NOT_FOUND)
        found = self._portal.answer(
            Request(
                method=request.method,
                path=path.removeprefix(_PREFIX).removeprefix("/"),
                query=request.parameters,
                headers=request.headers,
                body=request.receive(),
            )
        )
        return as_http(found)


def as_http(answer: Answer) -> HttpAnswer:
    """What the host's library makes of an answer."""
    kind = answer.mimetype
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return HttpAnswer(answer.status, {**answer.headers, "Content-Type": kind}, answer.body)
