"""How a world was at one moment, to put it, or another like it, into that state again."""

import copy
import json
import re
from typing import TYPE_CHECKING

from local.tenant.tenant import SHAREPOINT_ORIGINS
from shared.config import load
from shared.sync.nightly import fingerprint
from tests.support.blob_requests import write_blobs

if TYPE_CHECKING:
    from tests.support.world import World


class Past:
    """How a world was at one moment: its clock, what SharePoint holds, the records, the run.

    Args:
        world: as it is now.
    """

    def __init__(self, world: "World") -> None:
        self._clock = world.clock._start, world.clock._passed
        self._urls = _urls(world)
        estate = world.tenant.sharepoint
        self._profiles = copy.deepcopy(estate.profiles._stored)
        self._libraries = {
            origin: (copy.deepcopy(library._root), list(library.recycle_bin), library._ids)
            for origin, library in estate.library.items()
        }
        self._blobs = {
            name: content
            for name, content in world.blobs().items()
            if name == "run.json" or name.startswith("state/")
        }

    def restore(self, world: "World") -> None:
        """Make it so again, with a container of its own, so that no lease is left over.

        Args:
            world: the same one, or one with the same people; its hosts may have other ports.
        """
        new = dict(zip(self._urls, _urls(world), strict=True))
        hosts = re.compile("|".join(map(re.escape, self._urls)))

        def here(text: str) -> str:
            return hosts.sub(lambda match: new[match[0]], text)

        world.clock._start, world.clock._passed = self._clock
        estate = world.tenant.sharepoint
        estate.profiles._stored = {
            key: {name: here(value) for name, value in values.items()}
            for key, values in self._profiles.items()
        }
        for origin, (root, recycled, ids) in self._libraries.items():
            library = estate.library[origin]
            library._root, library._ids = copy.deepcopy(root), ids
            library.recycle_bin[:] = recycled
        world.tenant.tape.clear()
        blobs = {name: here(data.decode()).encode() for name, data in self._blobs.items()}
        if self._urls != list(new.values()) and "run.json" in blobs:
            # Which tenant it was counts as a setting that decides who is in scope.
            run = json.loads(blobs["run.json"])
            run["scope"] = fingerprint(load(world.settings))
            blobs["run.json"] = json.dumps(run).encode()
        write_blobs(world.account_url, world.new_container(), blobs)


def _urls(world: "World") -> list[str]:
    return [world.tenant.url(origin) for origin in sorted(SHAREPOINT_ORIGINS)]
