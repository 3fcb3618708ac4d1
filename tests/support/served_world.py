"""A world whose functions answer over HTTP, under the worker library, in this process."""

import http.client
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

import shared.app
from local.host import Host, Keys, Worker
from tests.support.world import World

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEDULE = "0 */15 1-5 * * *"


@dataclass(frozen=True)
class Reply:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        body: as it came.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0]


class Served:
    """Both functions over a world, with its settings and on its clock; a context manager.

    Only one at a time in a process, as the worker library wants it.

    Args:
        world: entered already; it puts the environment back at its end.

    Attributes:
        world: the same.
        worker: to invoke functions without HTTP.
        host: in front of it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.worker = Worker(ROOT)
        self.keys = Keys.generate()
        self.host: Host

    def __enter__(self) -> Self:
        self.settings()
        shared.app.CLOCK = self.world.clock
        self.worker.start()
        self.host = Host(self.worker, ROOT, os.environ, keys=self.keys).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.host.stop()
        self.worker.stop()

    def settings(self, **changed: str | None) -> None:
        """Change application settings; None takes one away."""
        self.world.settings.setdefault("SYNC_SCHEDULE", SCHEDULE)
        os.environ.update(self.world.settings)
        for name, value in changed.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def send(
        self, method: str, target: str, *, key: str | None = None, body: bytes | None = None
    ) -> Reply:
        """Send a request whose target is exactly as written.

        Args:
            method: of HTTP.
            target: path and query.
            key: the function key when omitted; "" for none.
            body: None for none.
        """
        connection = http.client.HTTPConnection(urlsplit(self.host.url).netloc, timeout=60)
        try:
            offered = self.keys.function if key is None else key
            headers = {"x-functions-key": offered} if offered else {}
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, received, answer.read())
        finally:
            connection.close()

    def get(self, user: str = "", query: str = "") -> Reply:
        """`GET /api/sync` or `/api/sync/{user}`; the user is percent-encoded here."""
        return self.send("GET", _target(user, query))

    def post(self, user: str = "", query: str = "") -> Reply:
        """`POST`, likewise."""
        return self.send("POST", _target(user, query))

    def fire(self) -> None:
        """Fire the timer function.

        Raises:
            InvocationFailed: it raised.
        """
        self.worker.invoke_timer("SyncTimer")

    def trigger(self) -> Reply:
        """Fire it as an operator does, by the admin endpoint, and wait until it is through."""
        before = set(threading.enumerate())
        connection = http.client.HTTPConnection(urlsplit(self.host.url).netloc, timeout=60)
        try:
            headers = {"x-functions-key": self.keys.master, "Content-Type": "application/json"}
            connection.request(
                "POST", "/admin/functions/SyncTimer", body='{"input":""}', headers=headers
            )
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()
        for thread in set(threading.enumerate()) - before:
            if thread.daemon and not thread.name.startswith(("tenant-", "photo-sync")):
                thread.join(30)
        return reply


def _target(user: str, query: str) -> str:
    path = f"/api/sync/{quote(user, safe='')}" if user else "/api/sync"
    return f"{path}?{query}" if query else path
