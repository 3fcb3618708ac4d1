"""The lease of the run, on real storage; its time is moved, never waited for."""

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobLeaseClient, ContainerClient
from requests.adapters import HTTPAdapter

from local.support.azurite import Azurite
from shared.checkpoint import lease as module
from shared.checkpoint.lease import Lease
from shared.errors import LeaseLost, StateError, TokenUnavailable
from shared.log import InvocationLog
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
def moved() -> Time:
    """The lease's clock."""
    return Time()


def take(container: ContainerClient, **options: Any) -> Lease | None:
    """Take the lease; None when it is taken. Its clock stands still unless a test gives one."""
    usual: dict[str, Any] = {"log": InvocationLog(), "clock": Time(), "renew_every": LONG * 10}
    return Lease.acquire(container.get_blob_client(NAME), **usual | options)


def acquire(container: ContainerClient, **options: Any) -> Lease:
    """Take the lease; fails the test when it is taken."""
    lease = take(container, **options)
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
        assert take(container) is None
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
        start.wait()
        if lease := take(container):
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

    with acquire(container, clock=moved, renew_every=SOON) as lease:
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
    container: ContainerClient,
    faults: BlobFaults,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
) -> None:
    """Storage's trouble alone loses nothing: the next renewal may succeed, and does."""
    after = threading.Event()
    log = InvocationLog()
    faults.add(method="PUT", part="comp=lease", nth=1, times=3, **fault)
    # The requests that another fault took are not seen by this one.
    faults.add("call", method="PUT", part="comp=lease", nth=3, action=after.set)

    with acquire(container, log=log, renew_every=SOON) as lease:
        assert after.wait(LONG)
        lease.check()
        assert not lost_within(lease, 0)
    with caplog.at_level(logging.WARNING):
        log.write()
    assert caplog.text.count("could not be renewed") == 3
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(("held", "ours"), [(0.0, True), (54.9, True), (55.1, False), (1e6, False)])
def test_frozen_past_its_end(
    container: ContainerClient, moved: Time, held: float, ours: bool
) -> None:
    """A holder that slept judges by its own clock, before anybody told it, and with a margin."""
    with acquire(container, clock=moved) as lease:
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
    with acquire(container, clock=moved) as lease, pytest.raises(LeaseLost):
        lease.check()


def test_once_lost_for_ever(container: ContainerClient, moved: Time, faults: BlobFaults) -> None:
    """A renewal that succeeds after the end brings nothing back: others may have had it."""
    lease = acquire(container, clock=moved)
    moved.now += 60
    with pytest.raises(LeaseLost, match="the next firing resumes the run"):
        lease.check()
    faults.clear()
    lease._renew()
    assert faults.count("PUT", "comp=lease") == 1
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_lost_lease_is_not_renewed(
    container: ContainerClient, moved: Time, faults: BlobFaults
) -> None:
    """Who judged that the lease is lost leaves it to the next run."""
    lease = acquire(container, clock=moved, renew_every=SOON)
    moved.now += 60
    with pytest.raises(LeaseLost):
        lease.check()
    faults.clear()
    with lease:
        lease._thread.join(LONG)
        assert not lease._thread.is_alive()
        assert faults.count("PUT", "comp=lease") == 0


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
        Lease.acquire(container.get_blob_client("missing.json"), log=InvocationLog())


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


# -- a renewal in trouble costs nothing ----------------------------------------------------------


def test_a_renewal_that_hangs_keeps_no_other_waiting(
    container: ContainerClient, moved: Time, faults: BlobFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B10: while one renewal hangs, whatever hangs in it, the next one comes on time."""
    monkeypatch.setattr(module, "RENEW_WITHIN_SECONDS", SOON)
    hangs, over, renewed = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert over.wait(LONG)

    faults.add("call", method="PUT", part="comp=lease", nth=1, action=hang)
    with acquire(container, clock=moved, renew_every=SOON) as lease:
        assert hangs.wait(LONG)
        moved.now += 50
        # One may have been on its way when the clock moved: the second one was not.
        faults.add("call", method="PUT", part="comp=lease", nth=2, action=renewed.set)
        assert renewed.wait(LONG)
        wait_until_renewed(lease, moved.now)
        moved.now += 50
        lease.check()
        over.set()


def wait_until_renewed(lease: Lease, moment: float) -> None:
    """Wait until a renewal that was asked for at this moment has succeeded."""
    give_up = threading.Event()
    for _ in range(int(LONG / 0.01)):
        if lease._renewed >= moment:
            return
        give_up.wait(0.01)
    pytest.fail("the lease was not renewed")


def test_a_late_answer_takes_nothing_back(
    container: ContainerClient, moved: Time, faults: BlobFaults
) -> None:
    """The answer to an old renewal that comes after that to a newer one changes nothing."""
    lease = acquire(container, clock=moved)

    def newer() -> None:
        moved.now += 40
        lease._renew()

    faults.add("call", method="PUT", part="comp=lease", action=newer)
    lease._renew()
    moved.now += 54
    lease.check()


def test_a_renewal_counts_from_before_it_was_asked_for(
    container: ContainerClient, moved: Time, faults: BlobFaults
) -> None:
    """A renewal whose answer is slow does not make the lease longer than storage's."""

    def dawdle() -> None:
        moved.now += 50

    lease = acquire(container, clock=moved)
    faults.add("call", method="PUT", part="comp=lease", action=dawdle)
    lease._renew()
    moved.now += 6
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_renewal_is_tried_once_and_briefly(
    container: ContainerClient, monkeypatch: pytest.MonkeyPatch, faults: BlobFaults
) -> None:
    """Five renewals fit into a lease: each is one request, which waits for 8 seconds at most."""
    assert module.RENEW_WITHIN_SECONDS < module.RENEW_EVERY_SECONDS
    assert module.RENEW_EVERY_SECONDS * 5 < module.LEASE_SECONDS - 5
    lease = acquire(container)
    timeouts = []
    real = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
        timeouts.append(options["timeout"])
        return real(adapter, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    faults.clear()
    faults.add("timeout_before", method="PUT", part="comp=lease")
    lease._renew()

    assert faults.count("PUT", "comp=lease") == 1
    assert timeouts == [(module.RENEW_WITHIN_SECONDS, module.RENEW_WITHIN_SECONDS)]
    lease.check()


def test_no_token_at_one_renewal(
    container: ContainerClient, moved: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """B10: when the identity gives no token for a moment, the next renewal makes up for it."""
    log = InvocationLog()
    lease = acquire(container, clock=moved, log=log)
    real = lease.client.renew

    def no_token(**_: Any) -> None:
        raise TokenUnavailable("the identity endpoint answers 500")

    lease.client.renew = no_token  # type: ignore[method-assign]
    moved.now += 10
    lease._renew()
    lease.check()
    assert "could not be renewed (TokenUnavailable)" in caplog.text

    lease.client.renew = real  # type: ignore[method-assign]
    moved.now += 10
    lease._renew()
    moved.now += 50
    lease.check()


def test_only_the_invocations_thread_logs(
    container: ContainerClient, faults: BlobFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """The host drops what other threads log: the renewals' trouble is written by the owner."""
    again = threading.Event()
    log = InvocationLog()
    faults.add("status", method="PUT", part="comp=lease", nth=1, code="ServerBusy")
    faults.add("call", method="PUT", part="comp=lease", nth=2, action=again.set)
    with acquire(container, log=log, renew_every=SOON):
        assert again.wait(LONG)
        assert "renewed" not in caplog.text
    log.write()

    (told,) = [record for record in caplog.records if record.name == "photo_sync"]
    assert told.thread == threading.get_ident()
    assert "could not be renewed (ServerBusy)" in told.getMessage()


def test_a_lease_that_cannot_be_released(
    container: ContainerClient, faults: BlobFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """The work is done, so it is only told: the lease ends by itself."""
    with caplog.at_level(logging.INFO), acquire(container):
        faults.add("status", method="PUT", part="comp=lease", status=403, code="Other")
    assert "could not be released. It ends by itself" in caplog.text


@pytest.mark.parametrize("code", ["LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"])
def test_a_lease_that_has_not_ended(
    container: ContainerClient, faults: BlobFaults, code: str
) -> None:
    """While another run's lease holds, or somebody just broke it, there is none to take."""
    faults.add("status", method="PUT", part="comp=lease", status=409, code=code)
    assert take(container) is None
    faults.add("status", method="PUT", part="comp=lease", status=409, code="Other")
    with pytest.raises(AzureError):
        take(container)


def test_the_clock_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time asleep counts where the system can tell; elsewhere the monotonic clock does."""
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", {7: 123.0}.get, raising=False)
    assert module.seconds() == 123.0

    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(time, "monotonic", lambda: 45.0)
    assert module.seconds() == 45.0
