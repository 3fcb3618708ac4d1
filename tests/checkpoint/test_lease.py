"""The lease of the run, on real storage; its time is moved, never waited for."""

import threading
import time
from collections.abc import Iterator

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobLeaseClient, ContainerClient

from local.support.azurite import Azurite
from shared.checkpoint import lease as module
from shared.checkpoint.lease import Lease
from shared.errors import LeaseLost, StateError
from tests.support.blob_faults import BlobFaults, end_lease, names, program, put, read

NAME = "run.json"
SOON = 0.001
"""Seconds between renewals, for tests that need some."""

LONG = 20.0
"""Seconds a test waits for another thread before it fails."""


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    """A container with the blob to lease."""
    client = program(azurite).container
    client.create_container()
    put(client, NAME, b"{}")
    yield client
    client.delete_container()


class Time:
    """The lease's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Stands in for the lease's clock."""
    clock = Time()
    monkeypatch.setattr(module, "seconds", clock)
    return clock


def acquire(container: ContainerClient, *, renew_every: float = LONG * 10) -> Lease:
    """Take the lease; fails the test when it is taken."""
    lease = Lease.acquire(container.get_blob_client(NAME), renew_every=renew_every)
    assert lease is not None
    return lease


def is_free(container: ContainerClient) -> bool:
    """Whether anybody could take the lease."""
    return container.get_blob_client(NAME).get_blob_properties().lease.state != "leased"


def lost_within(lease: Lease, seconds: float = LONG) -> bool:
    """Wait until the lease knows that it is lost."""
    return lease._lost.wait(seconds)


def test_only_one_holds_it(container: ContainerClient) -> None:
    """While one run holds the lease, another gets none; when it ends, the next one does."""
    with acquire(container) as first:
        first.check()
        assert Lease.acquire(container.get_blob_client(NAME)) is None
        first.check()
    with acquire(container) as second:
        second.check()
    assert is_free(container)


def test_it_is_freed_when_the_run_dies_by_an_error(container: ContainerClient) -> None:
    """An exception passes, and the lease is free at once."""
    with pytest.raises(ZeroDivisionError), acquire(container):
        _ = 1 / 0
    assert is_free(container)


def test_a_killed_holder_frees_it_within_a_minute(container: ContainerClient) -> None:
    """The lease is finite: nobody has to break it after a crash."""
    with acquire(container):
        lease = container.get_blob_client(NAME).get_blob_properties().lease
    assert lease.duration == "fixed"
    assert module.LEASE_SECONDS <= 60


def test_threads_that_grab_at_once(container: ContainerClient) -> None:
    """Of many that ask at the same moment, exactly one gets it."""
    start, got = threading.Barrier(8), list[Lease]()

    def grab() -> None:
        blob = container.get_blob_client(NAME)
        start.wait()
        if lease := Lease.acquire(blob):
            got.append(lease)

    threads = [threading.Thread(target=grab) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(got) == 1


def test_it_is_renewed(container: ContainerClient, moved: Time, faults: BlobFaults) -> None:
    """A thread renews it, and each success counts from before it was asked for."""
    renewed = threading.Event()
    faults.add("call", method="PUT", part="comp=lease", nth=3, action=renewed.set)

    with acquire(container, renew_every=SOON) as lease:
        moved.now += 50
        assert renewed.wait(LONG)
        moved.now += 10
        lease.check()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "code": "ServerBusy"},
        {"kind": "status", "status": 403, "code": "AuthorizationFailure"},
        {"kind": "timeout_before"},
        {"kind": "timeout_after"},
        {"kind": "refused"},
    ],
)
def test_a_renewal_may_fail(
    container: ContainerClient, faults: BlobFaults, fault: dict[str, object]
) -> None:
    """Storage's trouble alone loses nothing: the next renewal may succeed, and does."""
    after = threading.Event()
    # The library's own attempts at one renewal are four at most.
    faults.add(method="PUT", part="comp=lease", nth=1, times=5, **fault)
    faults.add("call", method="PUT", part="comp=lease", nth=8, action=after.set)

    with acquire(container, renew_every=SOON) as lease:
        assert after.wait(LONG)
        lease.check()
        assert not lost_within(lease, 0)


@pytest.mark.parametrize(("held", "ours"), [(0.0, True), (54.9, True), (55.1, False), (1e6, False)])
def test_frozen_past_its_end(
    container: ContainerClient, moved: Time, held: float, ours: bool
) -> None:
    """A holder that slept judges by its own clock, before anybody told it, and with a margin."""
    with acquire(container) as lease:
        moved.now += held
        if ours:
            lease.check()
        else:
            with pytest.raises(LeaseLost):
                lease.check()


def test_time_counts_from_before_it_was_asked_for(
    container: ContainerClient, moved: Time, faults: BlobFaults
) -> None:
    """An answer that was long on its way shortens the lease, it does not lengthen it."""

    def dawdle() -> None:
        moved.now += 56

    faults.add("call", method="PUT", part="comp=lease", action=dawdle)
    with acquire(container) as lease, pytest.raises(LeaseLost):
        lease.check()


def test_once_lost_for_ever(container: ContainerClient, moved: Time, faults: BlobFaults) -> None:
    """A renewal that succeeds after the end brings nothing back: others may have had it."""
    renewed = threading.Event()
    lease = acquire(container, renew_every=SOON)
    moved.now += 60
    with pytest.raises(LeaseLost):
        lease.check()
    faults.add("call", method="PUT", part="comp=lease", nth=2, action=renewed.set)
    with lease:
        assert renewed.wait(LONG)
        with pytest.raises(LeaseLost):
            lease.check()


def test_taken_over(container: ContainerClient) -> None:
    """When another run took the lease, the next renewal notices, and the end leaves it alone."""
    lease = acquire(container, renew_every=SOON)
    end_lease(container)
    taken = BlobLeaseClient(container.get_blob_client(NAME))
    taken.acquire(lease_duration=60)

    with lease:
        assert lost_within(lease)
        with pytest.raises(LeaseLost):
            lease.check()

    assert not is_free(container)
    taken.renew()


def test_broken_by_an_operator(container: ContainerClient) -> None:
    """A broken lease is lost, too."""
    with acquire(container, renew_every=SOON) as lease:
        end_lease(container)
        assert lost_within(lease)


def test_blob_deleted(container: ContainerClient) -> None:
    """Without its blob there is no lease."""
    with acquire(container, renew_every=SOON) as lease:
        container.delete_blob(NAME, lease=lease.client.id)
        assert lost_within(lease)
    assert names(container) == []


def test_an_answer_lost_on_the_way(container: ContainerClient, faults: BlobFaults) -> None:
    """A lease that was given, but whose answer timed out, is ours when the library asks again."""
    lost = faults.add("timeout_after", method="PUT", part="comp=lease")

    with acquire(container) as lease:
        lease.check()
        container.upload_blob(NAME, b"mine", overwrite=True, lease=lease.client.id)

    assert lost.fired == 1
    assert read(container, NAME) == b"mine"


def test_no_blob_to_lease(container: ContainerClient) -> None:
    """Taking the lease of a blob that is not there is an error, not success."""
    with pytest.raises(AzureError):
        Lease.acquire(container.get_blob_client("missing.json"))


@pytest.mark.parametrize("kind", ["timeout_before", "refused"])
def test_storage_is_away(azurite: Azurite, faults: BlobFaults, kind: str) -> None:
    """Without storage there is no run, but an error that names what to look at and no secret."""
    app = program(azurite)
    app.checkpoint().prepare()
    faults.add(kind, method="PUT", part="comp=lease", times=10)

    with (
        pytest.raises(StateError, match="take the lease of the run") as caught,
        app.checkpoint().lease(),
    ):
        pass

    assert "SECRET" not in str(caught.value)


def test_the_clock_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time asleep counts where the system can tell; elsewhere the monotonic clock does."""
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", {7: 123.0}.get, raising=False)
    assert module.seconds() == 123.0

    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(time, "monotonic", lambda: 45.0)
    assert module.seconds() == 45.0
