"""One piece of work in a process of its own, so that its CPU time and memory are its own.

`python -m local.tools.measured night|seed|script|idle|calls` reads the settings from the
environment and prints one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import batched
from typing import Any

import requests

from local.support.memory import peak_bytes
from local.tools.storage_meter import StorageMeter
from local.tools.usual_script import run_script
from shared.app import App
from shared.checkpoint import Photo, Record, iso
from shared.checkpoint.store import shard_of
from shared.config import settings
from shared.graph import BATCH_SIZE, Version
from shared.http import Budget
from shared.model import Outcome, ThumbnailLocation
from shared.sharepoint import DEFAULT_FOLDER
from shared.sync import nightly, sync_user

CALLS = 12
"""Calls for one user that are measured; the first one opens the connections."""


def main() -> None:
    """Do what the first argument says and print what it cost."""
    work = {
        "night": _night,
        "seed": seed_from_control,
        "script": _script,
        "idle": _idle,
        "calls": _calls,
    }[sys.argv[1]]
    config = settings.load(os.environ)
    began, cpu = time.monotonic(), time.process_time()
    with StorageMeter() as storage:
        result = work(App(config))
    print(
        json.dumps(
            {
                "result": result,
                "wall": time.monotonic() - began,
                "cpu": time.process_time() - cpu,
                "peak": peak_bytes(),
                "storage": storage.figures(),
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


def _calls(app: App) -> dict[str, Any]:
    """Calls for one user, one after the other; when each began and ended.

    The times are those of the clock on the wall, which the tenant records, too.
    """
    ids = json.loads(os.environ["MEASURED_USERS"])[:CALLS]
    calls = []
    for user_id in ids:
        began = time.time()
        result = sync_user(app, user_id, force=True)
        if result.outcome is not Outcome.UPDATED:
            raise SystemExit(f"a call ended as {result.outcome}: {result.detail}")
        calls.append([began, time.time()])
    return {"calls": calls}


def seed_from_control(app: App) -> dict[str, Any]:
    """As `seed`, but the tenant's control interface tells the versions in one answer."""
    answer = requests.get(f"{os.environ['CONTROL_URL']}/etags", timeout=300)
    return _write(app, answer.json().items())


def seed(app: App) -> dict[str, Any]:
    """Write the checkpoint as a first run would leave it, without the pictures.

    A first run over 100,000 people would take the emulated tenant many minutes; what an unchanged
    user costs does not depend on the pictures.
    """
    graph = app.graph(Budget(time.monotonic() + 3600))
    users = [user for page in graph.user_pages(app.settings.user_filter) for user in page.users]

    def etags(ids: tuple[str, ...]) -> list[tuple[str, str]]:
        seen = graph.photo_versions(ids).items()
        return [(key, one.etag) for key, one in seen if isinstance(one, Version)]

    def found() -> Iterator[tuple[str, str]]:
        with app.pool() as pool:
            ids = list(batched((user.id for user in users), BATCH_SIZE, strict=False))
            for pairs in pool.map(etags, ids):
                yield from pairs

    return _write(app, found())


def _write(app: App, etags: Any) -> dict[str, Any]:
    checkpoint = app.checkpoint()
    checkpoint.prepare()
    now = iso(time.time())
    shards: dict[str, dict[str, Record]] = {}
    for user_id, etag in etags:
        place = ThumbnailLocation(app.settings.mysite_url, DEFAULT_FOLDER, user_id)
        shards.setdefault(shard_of(user_id), {})[user_id] = Record(
            upn="user@contoso.com",
            outcome=Outcome.UPDATED,
            checked_at=now,
            run="seeded",
            photo=Photo(etag, "0" * 64, place),
            verified_at=now,
        )
    for name, changes in shards.items():
        checkpoint.save(checkpoint.load(name), changes)
    return {"users": sum(map(len, shards.values()))}


if __name__ == "__main__":
    main()
