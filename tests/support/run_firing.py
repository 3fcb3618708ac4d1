"""A firing that owns the blobs of a run, for tests of who may write them."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from azure.storage.blob import ContainerClient

from shared.app import App
from shared.checkpoint.run_blobs import RunBlobs
from shared.checkpoint.runs import Run
from tests.support.blob_faults import ID, OTHER, names, read

STARTED = "2026-01-02T03:04:05.678Z"
REPORT = f"runs/{STARTED}.json"
LINES = f"runs/{STARTED}.jsonl"
USERS = f"runs/{STARTED}.users"
BLOBS = ["run.json", REPORT, LINES, USERS]
NAMES = {"run": "run.json", "report": REPORT}

PAGE = {"of": "users", "users": [[ID, "a@contoso.com"]], "next": None}
OTHER_PAGE = {"of": "users", "users": [[OTHER, "b@contoso.com"]], "next": None}


def a_run(**fields: Any) -> Run:
    """A run that was saved before, perhaps by another firing; a new one has no `updated`."""
    values: dict[str, Any] = {"id": "r", "version": "1", "trigger": "timer", "mode": "sync"}
    return Run(**values | {"scope": "all", "started": STARTED, "updated": STARTED} | fields)


class Time:
    """The lease's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Firing:
    """A firing that holds the lease; its clock stands still, as if it never slept."""

    def __init__(self, app: App, stack: ExitStack, run: Run) -> None:
        self.run = run
        checkpoint = app.checkpoint()
        lease = stack.enter_context(checkpoint.lease())
        assert lease is not None
        self.lease = lease
        self.blobs = RunBlobs(checkpoint, run, lease)


Fire = Callable[..., Firing]


Write = Callable[[RunBlobs], object]


def save_news(blobs: RunBlobs) -> None:
    """Save a run in which something is new: otherwise nothing is sent."""
    blobs._run.removal_candidates += 1
    blobs.save()


WRITES: dict[str, Write] = {
    "run": save_news,
    "report": lambda blobs: blobs.save_report(),
    "lines": lambda blobs: blobs.append_lines([{"id": ID, "of": "frozen"}]),
    "page": lambda blobs: blobs.append_page(PAGE),
    "delete": lambda blobs: blobs.delete_pages(),
}


def all_of(container: ContainerClient) -> dict[str, bytes]:
    """Every blob's content."""
    return {name: read(container, name) for name in names(container)}


def lines_of(container: ContainerClient) -> list[Any]:
    """The report's lines."""
    return [json.loads(line) for line in read(container, LINES).splitlines()]
