"""Killing the program at a request.

The death is that of a process: at the chosen request nothing more is sent, to Graph, SharePoint,
identity or storage, and no clean-up of the program gets through.
"""

import threading
from contextlib import suppress
from typing import Any, Self

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient
from requests.adapters import HTTPAdapter

from tests.support.sampling import THOROUGH
from tests.support.world import World

STRIDE = 1 if THOROUGH else 17
"""It kills at every n-th request."""


class Killed(BaseException):
    """The process is dead; no `except Exception` survives that."""


class Death:
    """Kills whatever runs inside the `with`, and swallows the corpse.

    Args:
        at: number of the request, from 0; None lets it live and only counts.
        after: the request has its effect, and only its answer is never seen.

    Attributes:
        sent: requests so far, the fatal one included.
        dead: it has happened.
    """

    def __init__(self, at: int | None = None, *, after: bool = False) -> None:
        self.sent = 0
        self._at = at
        self._after = after
        self.dead = False
        self._lock = threading.Lock()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        real = HTTPAdapter.send

        def send(
            adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any
        ) -> requests.Response:
            with self._lock:
                if self.dead:
                    raise Killed
                fatal = self.sent == self._at
                self.sent += 1
                self.dead = fatal and not self._after
            if self.dead:
                raise Killed
            response = real(adapter, request, *args, **kwargs)
            if fatal:
                self.dead = True
                response.close()
                raise Killed
            return response

        self._patch.setattr(HTTPAdapter, "send", send)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._patch.undo()
        return kind is Killed


def free_lease(world: World) -> None:
    """End the dead run's lease now; it stands for the minute after which it ends by itself."""
    container = world.app().container
    with suppress(HttpResponseError):
        BlobLeaseClient(container.get_blob_client("run.json")).break_lease(0)
