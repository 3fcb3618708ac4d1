"""A scripted service on loopback, and a client of it: for tests of what comes over the wire."""

import json
import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Self

from local.support.clock import VirtualClock
from local.tenant.faults import Delivery
from local.tenant.http import Request, Response
from local.tenant.server import Listener
from shared.clock import Clock
from shared.http import Budget, Service

type Reply = Response | Delivery | tuple[Response, Delivery] | Callable[[], Response]


class Loopback:
    """Answers requests by a script, in order; the last reply is repeated.

    Attributes:
        requests: what came in, in order.
        replies: what is to come.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: deque[Reply] = deque()
        self._lock = threading.Lock()
        self._listener = Listener("graph", self._answer)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    @property
    def url(self) -> str:
        """Origin."""
        return self._listener.url

    def script(self, *replies: Reply) -> None:
        """Set what is answered from now on, and forget what came in."""
        self.requests.clear()
        self.replies = deque(replies)

    def tokens(self) -> list[str]:
        """Authorization headers that came in."""
        return [request.headers.get("authorization", "") for request in self.requests]

    def _answer(self, request: Request) -> tuple[Response, Delivery]:
        with self._lock:
            self.requests.append(request)
            reply = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Delivery):
            return Response(200, b"{}"), reply
        if isinstance(reply, tuple):
            return reply
        return (reply if isinstance(reply, Response) else reply()), Delivery.WHOLE


class FakeTokens:
    """Tokens that tell their origin and how often they were renewed."""

    def __init__(self) -> None:
        self.renewed = 0

    def token(self, resource: str, deadline: float = 0.0) -> str:  # noqa: ARG002
        """A token for this origin."""
        return f"secret-{self.renewed}-of-{resource}"

    def forget(self, resource: str, refused: str = "") -> None:  # noqa: ARG002
        """Renew."""
        del resource
        self.renewed += 1


def client(
    *origins: str,
    clock: Clock | None = None,
    tokens: FakeTokens | None = None,
    concurrency: int = 8,
    name: str = "graph",
) -> Service:
    """A service that may send to these origins."""
    allowed: Collection[str] = frozenset(origins)
    return Service(
        name,
        origins=allowed.__contains__,
        tokens=tokens or FakeTokens(),
        concurrency=concurrency,
        user_agent="NONISV|Test|PhotoSync/0",
        clock=clock or VirtualClock(),
    )


def budget(service: Service, seconds: float = 3600, **more: Any) -> Budget:
    """So many seconds from now on."""
    return Budget(service.clock.monotonic() + seconds, **more)


def answer(status: int = 200, body: object = None, **headers: str) -> Response:
    """A JSON answer; underscores in header names become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps({} if body is None else body).encode(), named)
