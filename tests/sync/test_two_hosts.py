"""Two hosts on one checkpoint: the lease makes the run single, also for one that was frozen."""

import json
import threading
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from local.tenant import Fault
from shared.checkpoint import lease
from shared.checkpoint.runs import COMPLETED, Run
from shared.errors import LeaseLost
from shared.sync import nightly
from tests.support.blob_faults import BlobFaults, end_lease
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.world import NIGHT_SECONDS, World, jpeg, outcomes

Make = Callable[..., World]

POINTS = [
    ("users.list", 0),
    ("photo.batch", 0),
    ("photo.bytes", 1),
    ("file.upload", 0),
    ("file.upload", 4),
    ("profile.write", 0),
    ("profile.write", 2),
]
"""Operation and how many of it came before, in a run of three users."""


def at(here: World, point: tuple[str, int], action: Callable[[], Any], when: str) -> Fault:
    """Run something at a request of the next run."""
    fault = Fault("call", operation=point[0], nth=point[1], action=action)
    fault.when = "after" if when == "after" else "before"
    return here.tenant.faults.add(fault)


def test_firings_at_the_same_moment(world: Make) -> None:
    """Of four hosts that fire together one runs; the others write nothing and say nothing wrong."""
    here = world(users=8)
    oracle = Oracle(here)
    start, ended = threading.Barrier(4), list[Run | None]()

    def host() -> None:
        app = here.app()
        start.wait()
        ended.append(nightly.fire(app))

    threads = [threading.Thread(target=host) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {run.id for run in ended if run} == {here.kept_run().id}
    assert here.operations()["users.list"] == 1
    assert here.operations()["file.upload"] == 3 * 8
    assert len(here.blobs("runs/")) == 2
    oracle.verify(here.kept_run())


@pytest.mark.parametrize("point", sample(POINTS, 2), ids=str)
def test_a_firing_during_another(world: Make, point: tuple[str, int]) -> None:
    """While a run is going on, another firing returns at once and asks no service anything."""
    here, second = world(users=3), list[Run | None]()
    oracle = Oracle(here)
    before, after = list[int](), list[int]()

    def fire() -> None:
        before.append(here.tenant.tape.count())
        second.append(nightly.fire(here.app()))
        after.append(here.tenant.tape.count())

    # One request at a time, so that nobody else's are counted.
    fault = at(here, point, fire, "before")
    run = here.fire(MAX_CONCURRENCY="1")

    assert fault.fired == 1
    assert second == [None]
    assert before == after
    oracle.verify(run)


class Frozen:
    """A host that is frozen at one of its requests for longer than its lease lasts.

    Meanwhile photos change, unless all was done already, and another host does the whole run.

    Args:
        here: the world.
    """

    def __init__(self, here: World) -> None:
        self.here = here
        self.oracle = Oracle(here)
        self.thawed: list[Run] = []
        self.documents: dict[str, bytes] = {}
        self.writes = 0
        self._awake = threading.Event()

    def freeze(self) -> None:
        """Sleep; others act; wake up."""
        try:
            self._sleep()
        finally:
            self._awake.set()

    def _sleep(self) -> None:
        self.here.lease_seconds += 100
        self.here.clock.advance(100)
        end_lease(self.here.app().container)
        run = self.here.app().checkpoint().run()
        if run is None or not run.cursor:
            for number, user in enumerate(self.here.ids()):
                self.here.tenant.directory.set_photo(user, jpeg((9, 99, 50 * number), 100))
        self.oracle.look()
        self.thawed.append(self.here.fire())
        self.oracle.verify(self.thawed[0])
        self.documents = self.here.blobs("ru")
        self.writes = len(self.here.writes())

    def wait(self) -> None:
        """Until it is awake: the request at which it was frozen may have been given up before."""
        assert self._awake.wait(60)

    def verify(self, in_flight: int) -> None:
        """What was not on its way already never came, and whoever is disputed is set right.

        Args:
            in_flight: requests that had left when the host was frozen.
        """
        assert len(self.here.writes()) - self.writes <= in_flight
        assert self.here.blobs("ru") == self.documents
        assert self.oracle.false_claims() == []
        assert self.oracle.orphans() == []
        run = self.here.night()
        self.oracle.verify(run)
        assert outcomes(self.here.night()) == {"unchanged": 3}
        assert self.here.writes() == []


@pytest.mark.parametrize(
    ("point", "when", "known"),
    sample(
        (
            (*moment, known)
            for moment in [*product(POINTS, ["after"]), *product(POINTS[-4:], ["before"])]
            for known in (True, False)
        ),
        5,
    ),
    ids=str,
)
def test_frozen_past_its_lease(world: Make, point: tuple[str, int], when: str, known: bool) -> None:
    """Promise 6: a host that slept past its lease writes nothing more, wherever.

    What was on its way to SharePoint is found and repaired.
    """
    here = world(users=3, settings={"MAX_CONCURRENCY": "1"})
    if known:
        here.fire()
        here.clock.advance(NIGHT_SECONDS)
        for user in here.ids():
            here.tenant.directory.set_photo(user, jpeg((200, 10, 10), 100))
    sleeper = Frozen(here)
    here.tenant.tape.clear()
    fault = at(here, point, sleeper.freeze, when)

    with pytest.raises(LeaseLost):
        nightly.fire(here.app())

    assert fault.fired == 1
    sleeper.wait()
    assert sleeper.thawed[0].status == COMPLETED
    sleeper.verify(in_flight=1)


@pytest.mark.parametrize(
    ("blob", "nth"),
    sample([("run.json", 3), ("state/", 0), ("run.json", 4), ("run.json", 5), ("state/", 2)], 2),
    ids=str,
)
def test_frozen_while_it_saves(world: Make, faults: BlobFaults, blob: str, nth: int) -> None:
    """The same while it is writing to storage: its document does not replace the other's."""
    here = world(users=3, settings={"MAX_CONCURRENCY": "1"})
    sleeper = Frozen(here)
    fault = faults.add("call", method="PUT", part=blob, nth=nth, action=sleeper.freeze)

    with pytest.raises(LeaseLost):
        nightly.fire(here.app())

    assert fault.fired == 1
    sleeper.wait()
    sleeper.verify(in_flight=0)


def test_a_crashed_host_is_taken_over(world: Make) -> None:
    """When its host died, the run is free once its lease has ended, and not before."""
    here = world(users=3)
    oracle = Oracle(here)
    first = here.app().checkpoint()
    first.prepare()
    dead = first.lease()
    dead.__enter__()

    assert nightly.fire(here.app()) is None
    assert here.tenant.tape.entries() == []

    end_lease(here.app().container)
    oracle.verify(here.fire())
    dead.__exit__(None, None, None)


def test_a_lease_taken_over_in_the_middle(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that finds the lease taken ends the run before its next write."""
    hasty = partial(lease.Lease.acquire, renew_every=0.001)
    monkeypatch.setattr(lease.Lease, "acquire", staticmethod(hasty))
    here = world(users=3, settings={"MAX_CONCURRENCY": "1"})
    lost = threading.Event()
    keep = lease.Lease._keep

    def kept(self: lease.Lease) -> None:
        keep(self)
        lost.set()

    monkeypatch.setattr(lease.Lease, "_keep", kept)

    def take() -> None:
        container = here.app().container
        end_lease(container)
        container.get_blob_client("run.json").acquire_lease(60)
        assert lost.wait(30)

    at(here, ("file.upload", 4), take, "after")
    with pytest.raises(LeaseLost):
        nightly.fire(here.app())

    assert here.operations()["file.upload"] == 5
    assert json.loads(here.blobs("run.json")["run.json"])["status"] == "running"
