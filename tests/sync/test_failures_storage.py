"""Faults of blob storage, as the rows of `tests.support.failures` announce them."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError

from local.tenant import Fault
from shared.checkpoint.lease import Lease
from shared.checkpoint.runs import Run
from shared.errors import LeaseLost, PhotoSyncError, RunStopped
from shared.sync import nightly
from tests.support.blob_faults import BlobFaults, end_lease
from tests.support.failure_kinds import says
from tests.support.failure_storage_rows import (
    BLOB_GROUPS,
    BLOBS,
    EVER,
    NOTHING,
    RAISES,
    STOPS,
    BlobRow,
    blob_cells,
)
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.user_faults import SIDE, colours
from tests.support.world import World, jpeg

Make = Callable[..., World]

MOST_ATTEMPTS = 4
"""How often the storage library sends a request that fails."""

_ALWAYS = 10**6


class Stage:
    """A small tenant whose photos are all new before each cell."""

    def __init__(self, world: World, faults: BlobFaults) -> None:
        self.world = world
        self.faults = faults
        self._colours = colours()
        world.tenant.quirks.sized_photo_missing = False
        self.paint()
        self.oracle = Oracle(world)
        self.oracle.verify(world.fire())

    def paint(self) -> None:
        """A new photo for everybody."""
        for person in self.world.ids():
            self.world.tenant.directory.set_photo(person, jpeg(next(self._colours), SIDE))

    def strike(self, row: BlobRow, call: str, group: str, name: str, lasts: str) -> None:
        """Let a fault strike a night, compare with its row, and see the next night heal it."""
        cell = (call, name, lasts)
        if call != "report":  # it is told from the report's lines by there being none
            self.paint()
        blob = BLOBS[call]
        times = _ALWAYS if lasts == EVER else 1
        plan = {"method": blob.method, "part": blob.part, "nth": blob.nth, "times": times}
        fault = self.faults.add(**BLOB_GROUPS[group][name], **plan)
        ended, message, run = self._night()
        fired = fault.fired
        self.faults.clear()
        assert 1 <= fired <= MOST_ATTEMPTS * 3, cell
        assert ended == row.ends, (cell, message)
        assert says(row.message, message), (cell, message)
        assert self.oracle.false_claims() == [], cell
        assert ended != STOPS or self.world.kept_run().reason == message, cell
        if run is None:
            minute_later(self.world)
            run = self.world.night()
        self.oracle.verify(run)

    def _night(self) -> tuple[str, str, Run | None]:
        try:
            self.world.clock.advance(86_400)
            run = nightly.fire(self.world.app())
        except RunStopped as stopped:
            return STOPS, str(stopped), None
        except PhotoSyncError as error:
            return RAISES, str(error), None
        return NOTHING, run.reason if run else "another firing is at work", run


def minute_later(world: World) -> None:
    """No lease is left that nobody gave back."""
    with suppress(ResourceExistsError):
        end_lease(world.app().container)


@pytest.mark.parametrize("call", BLOBS)
def test_storage_fails(world: Make, faults: BlobFaults, call: str) -> None:
    """Each fault in each call, once and for ever: as announced, and right again the next night."""
    settings = {"MAX_CONCURRENCY": "1", "RUN_INTERVAL_HOURS": "0", "REVERIFY_DAYS": "0"}
    stage = Stage(world(users=3, shards=1, settings=settings), faults)
    number = list(BLOBS).index(call)
    for cell in sample([cell for cell in blob_cells() if cell[1] == call], 6, number):
        stage.strike(*cell)


@pytest.mark.parametrize("lost", [True, False])
def test_the_lease_cannot_be_renewed(
    world: Make,
    faults: BlobFaults,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lost: bool,
) -> None:
    """In the middle of the writes: a lost lease ends them at once, an absent storage does not."""
    monkeypatch.setattr(Lease.acquire.__func__, "__kwdefaults__", {"renew_every": 0.001})  # type: ignore[attr-defined]  # a class method has it
    here = world(users=3, shards=1, settings={"MAX_CONCURRENCY": "1"})
    oracle = Oracle(here)
    again = threading.Event()
    lease: dict[str, Any] = {"method": "PUT", "part": "run.json?comp=lease"}
    status, code = (409, "LeaseIdMismatchWithLeaseOperation") if lost else (503, "ServerBusy")

    def fail() -> None:
        """From now on renewals fail; wait until one has."""
        faults.add("status", **lease, times=MOST_ATTEMPTS, status=status, code=code)
        faults.add("call", **lease, times=_ALWAYS, action=again.set)
        for thread in threading.enumerate():
            if lost and thread.name == "photo-sync-lease":
                thread.join(30)
        assert lost or again.wait(30)

    here.tenant.faults.add(Fault("call", operation="file.upload", nth=1, action=fail))
    with caplog.at_level(logging.WARNING, "photo_sync"):
        if lost:
            with pytest.raises(LeaseLost, match="another run took over, or storage"):
                here.fire()
            assert len(here.writes()) == 2
        else:
            oracle.verify(here.fire())
            assert "the lease of the run could not be renewed (ServerBusy)" in caplog.text
    faults.clear()
    assert oracle.false_claims() == []
    minute_later(here)
    oracle.verify(here.night())
