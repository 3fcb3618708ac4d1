"""One piece of work in a process of its own, so that its CPU time and memory are its own.

`python -m local.tools.measured night|seed|script` reads the settings from the environment
and prints one line of JSON.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from itertools import batched
from typing import Any

from local.tools.usual_script import run_script
from shared.app import App
from shared.checkpoint import Photo, Record, iso
from shared.checkpoint.store import shard_of
from shared.config import settings
from shared.graph import BATCH_SIZE, Version
from shared.http import Budget
from shared.model import Outcome, ThumbnailLocation
from shared.sharepoint import DEFAULT_FOLDER
from shared.sync import nightly


def main() -> None:
    """Do what the first argument says and print what it cost."""
    work = {"night": _night, "seed": seed, "script": _script, "idle": _idle}[sys.argv[1]]
    config = settings.load(os.environ)
    began, cpu = time.monotonic(), time.process_time()
    result = work(App(config))
    # Kilobytes on Linux, bytes on macOS (getrusage(2)).
    unit = 1 if sys.platform == "darwin" else 1024
    print(
        json.dumps(
            {
                "result": result,
                "wall": time.monotonic() - began,
                "cpu": time.process_time() - cpu,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            }
        )
    )


def _idle(app: App) -> dict[str, Any]:
    """Only what every firing needs, as the baseline of memory."""
    app.checkpoint().prepare()
    return {}


def _night(app: App) -> dict[str, Any]:
    run = nightly.fire(app)
    if run is None:
        raise SystemExit("another run is at work")
    return run.to_json()


def _script(app: App) -> dict[str, Any]:
    return {"users": run_script(app)}


def seed(app: App) -> dict[str, Any]:
    """Write the checkpoint as a first run would leave it, without the pictures.

    A first run over 100,000 people would take the emulated tenant many minutes; what an unchanged
    user costs does not depend on the pictures.
    """
    checkpoint = app.checkpoint()
    checkpoint.prepare()
    graph = app.graph(Budget(time.monotonic() + 3600))
    users = [user for page in graph.user_pages(app.settings.user_filter) for user in page.users]
    now = iso(time.time())

    def records(ids: tuple[str, ...]) -> Iterator[tuple[str, Record]]:
        for user_id, seen in graph.photo_versions(ids).items():
            if isinstance(seen, Version):
                place = ThumbnailLocation(app.settings.mysite_url, DEFAULT_FOLDER, user_id)
                photo = Photo(seen.etag, "0" * 64, place)
                yield (
                    user_id,
                    Record(
                        upn="user@contoso.com",
                        outcome=Outcome.UPDATED,
                        checked_at=now,
                        run="seeded",
                        photo=photo,
                        verified_at=now,
                    ),
                )

    shards: dict[str, dict[str, Record]] = {}
    with app.pool() as pool:
        batches = list(batched((user.id for user in users), BATCH_SIZE, strict=False))
        for found in pool.map(lambda ids: dict(records(ids)), batches):
            for user_id, record in found.items():
                shards.setdefault(shard_of(user_id), {})[user_id] = record
    for name, changes in shards.items():
        checkpoint.save(checkpoint.load(name), changes)
    return {"users": len(users)}


if __name__ == "__main__":
    main()
