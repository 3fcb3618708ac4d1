"""Killing the program at a request, and putting a world back to how it was before.

The death is that of a process: at the chosen request nothing more is sent, to Graph, SharePoint,
identity or storage, and no clean-up of the program gets through.
"""

import copy
import threading
import uuid
from contextlib import suppress
from typing import Any, Self

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient
from requests.adapters import HTTPAdapter

from tests.support.sampling import THOROUGH
from tests.support.world import World

STRIDE = 1 if THOROUGH else 9
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


class Past:
    """How a world was at one moment.

    Args:
        world: as it is now.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._time = world.clock.monotonic()
        estate = world.tenant.sharepoint
        self._profiles = copy.deepcopy(estate.profiles._stored)
        self._libraries = {
            origin: (copy.deepcopy(library._root), list(library.recycle_bin))
            for origin, library in estate.library.items()
        }
        self._blobs = {
            name: content
            for name, content in world.blobs().items()
            if name == "run.json" or name.startswith("state/")
        }

    def restore(self) -> None:
        """Make it so again, with a container of its own, so that no lease is left over."""
        world, estate = self._world, self._world.tenant.sharepoint
        estate._profiles._stored = copy.deepcopy(self._profiles)
        for origin, (root, recycled) in self._libraries.items():
            estate._libraries[origin]._root = copy.deepcopy(root)
            estate._libraries[origin].recycle_bin[:] = recycled
        world.clock._passed = self._time
        world.tenant.tape.clear()
        world.settings["CHECKPOINT_CONTAINER"] = f"test-{uuid.uuid4().hex}"
        app = world.app()
        app.checkpoint().prepare()
        for name, content in self._blobs.items():
            app.container.upload_blob(name, content)


def free_lease(world: World) -> None:
    """End the dead run's lease now; it stands for the minute after which it ends by itself."""
    container = world.app().container
    with suppress(HttpResponseError):
        BlobLeaseClient(container.get_blob_client("run.json")).break_lease(0)
