"""The overview answers in time, and one look serves everybody who waits for it."""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from local.tenant import Fault
from shared.checks import overview, storage
from shared.checks.check import CHECK_SECONDS, Check
from shared.checks.overviews import Overviews
from shared.checks.parallel import MARGIN_SECONDS, result_of, started, wait_for
from shared.errors import StateError
from shared.log import InvocationLog
from tests.support.blob_faults import put
from tests.support.served_world import Served
from tests.support.world import World

Make = Callable[..., Served]
MakeWorld = Callable[..., World]


@pytest.fixture
def never() -> Iterable[threading.Event]:
    """Something that does not happen before the test ends."""
    event = threading.Event()
    yield event
    event.set()


def by_name(checks: list[Check]) -> dict[str, Check]:
    """Checks by their name."""
    return {check.name: check for check in checks}


def test_the_limits_add_up() -> None:
    """Each check within 5 seconds; storage and tokens, then the services, within 10."""
    assert CHECK_SECONDS + MARGIN_SECONDS < 5
    assert 2 * (CHECK_SECONDS + MARGIN_SECONDS) < 10


def test_whoever_hangs_is_not_waited_for(never: threading.Event) -> None:
    """The result of a job that hangs is None; the others have theirs."""
    hanging = started("hanging", never.wait)
    quick = started("quick", lambda: "done")
    wait([quick])
    wait_for([hanging, quick], -MARGIN_SECONDS)
    assert (result_of(hanging), result_of(quick)) == (None, "done")


def test_what_a_job_raises_is_raised_in_the_thread_that_waits() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    job = started("broken", broken)
    wait([job])
    with pytest.raises(ZeroDivisionError):
        result_of(job)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("storage", {"storage"}),
        ("graph", {"Graph token and roles", "scope size", "one photo"}),
        ("admin site", {"admin site"}),
        ("one photo", {"one photo"}),
    ],
)
def test_who_hangs_is_named_and_the_others_are_checked(
    world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    never: threading.Event,
    job: str,
    expected: set[str],
) -> None:
    """Whichever job does not come back: its check says that nobody answered in time."""
    here = world(users=1, settings={"SYNC_SCHEDULE": "0 0 1 * * *"})
    app = here.app()
    hanging: list[Future[Any]] = []

    def begin(name: str, work: Callable[[], object]) -> Future[Any]:
        if name != job:
            return started(name, work)
        hanging.append(started(name, never.wait))
        return hanging[0]

    def patient(futures: Iterable[Future[Any]], seconds: float) -> None:
        assert seconds == CHECK_SECONDS
        wait([future for future in futures if future not in hanging])

    for name in ("overviews", "services"):
        monkeypatch.setattr(f"shared.checks.{name}.started", begin)
        monkeypatch.setattr(f"shared.checks.{name}.wait_for", patient)

    _, checks = Overviews().of(app)

    found = by_name(checks)
    assert {name for name, check in found.items() if not check.ok} == expected
    silent = [check for check in found.values() if "did not answer within 5" in check.detail]
    assert len(silent) == 1


@pytest.mark.parametrize("operation", ["folder.read", "profile.batch", "users.list", "photo.batch"])
def test_a_check_gives_up_at_its_limit(world: MakeWorld, operation: str) -> None:
    """A service that closes every connection is asked again, but not for longer than the limit."""
    here = world(users=1)
    app = here.app()
    here.tenant.faults.add(Fault("timeout_before", operation=operation, times=None))
    began = here.clock.monotonic()
    Overviews().of(app)
    # The sleeps of checks that run side by side add up on the virtual clock.
    assert here.clock.monotonic() - began <= 2 * CHECK_SECONDS


class Counting[T](Future[T]):
    """A future that tells how many callers ask for its result."""

    asked = threading.Semaphore(0)

    def result(self, timeout: float | None = None) -> T:
        """Tell, then wait."""
        Counting.asked.release()
        return super().result(timeout)


@pytest.mark.parametrize("fails", [False, True])
def test_many_callers_share_one_look(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Storage and services are asked once for 20 callers at a time, also when the look fails."""
    here = world(users=1)
    app = here.app()
    callers, looks = 20, []
    all_ask = threading.Semaphore(0)
    monkeypatch.setattr("shared.checks.overviews.Future", Counting)
    Counting.asked = all_ask
    real = storage.check

    def slow(asked: Any, log: InvocationLog) -> storage.Found:
        looks.append(asked)
        for _ in range(callers - 1):
            assert all_ask.acquire(timeout=60)
        if fails:
            raise ZeroDivisionError
        return real(asked, log)

    monkeypatch.setattr(storage, "check", slow)
    # This one look waits for the callers, not for the clock.
    monkeypatch.setattr("shared.checks.overviews.wait_for", lambda futures, _: wait(list(futures)))
    overviews = Overviews()
    with ThreadPoolExecutor(callers) as pool:
        asked = [pool.submit(overviews.of, app) for _ in range(callers)]
        errors = [future.exception() for future in asked]
    assert len(looks) == 1
    if fails:
        assert {type(error) for error in errors} == {ZeroDivisionError}
    else:
        assert {id(future.result()) for future in asked} == {id(asked[0].result())}
        assert len(here.tenant.tape.entries(operation="folder.read")) == 1

    monkeypatch.setattr(storage, "check", real)
    assert by_name(overviews.of(app)[1])["storage"].ok


def test_a_look_of_other_settings_is_another_one(world: MakeWorld) -> None:
    """Kept results belong to the app that asked."""
    here = world(users=1)
    overviews = Overviews()
    assert by_name(overviews.of(here.app())[1])["admin site"].ok
    other = here.app(SHAREPOINT_ADMIN_URL="https://127.0.0.1:1")
    assert not by_name(overviews.of(other)[1])["admin site"].ok


def test_storage_that_hangs_in_the_library(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the storage check raises on purpose is a check, never an exception."""
    here = world(users=1)

    def broken(*_: object, **__: object) -> None:
        raise StateError("cannot read run.json: it is too long")

    monkeypatch.setattr("shared.checkpoint.store.Checkpoint.run", broken)
    _, checks = overview(here.app())
    assert "too long" in by_name(checks)["storage"].detail


def test_only_the_thread_of_the_invocation_logs(
    world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The host drops what other threads log; what they have to say is logged all the same."""
    here = world(users=1, settings={"SYNC_SCHEDULE": "0 0 1 * * *"})
    app = here.app()
    app.checkpoint().prepare()
    put(app.container, "run.json", b'{"schema":1,"broken')
    with caplog.at_level(logging.DEBUG, logger="photo_sync"):
        overview(app)
    assert any("run.json" in record.getMessage() for record in caplog.records)
    here_now = threading.get_ident()
    assert {record.thread for record in caplog.records if record.name == "photo_sync"} == {here_now}
