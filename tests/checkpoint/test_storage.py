"""How storage is asked: never past the caller's deadline, and as nobody else."""

from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from local.support.azurite import Azurite
from local.support.clock import VirtualClock
from shared.app import App
from shared.checkpoint.storage import CONNECT_SECONDS, READ_SECONDS
from shared.errors import DeadlineExceeded, StateError
from tests.support.blob_faults import BlobFaults, program

PLENTY = 10_000.0


@pytest.fixture
def clock() -> VirtualClock:
    """The program's clock."""
    return VirtualClock()


@pytest.fixture
def app(azurite: Azurite, clock: VirtualClock) -> App:
    """The program on a container that exists."""
    made = program(azurite, clock=clock)
    made.checkpoint().prepare()
    return made


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_no_time_is_left(app: App, clock: VirtualClock, faults: BlobFaults, late: float) -> None:
    """At the deadline nothing is sent any more."""
    checkpoint = app.checkpoint(deadline=clock.monotonic() + 5)
    clock.advance(5 + late)
    with pytest.raises(DeadlineExceeded):
        checkpoint.load("6e")
    assert faults.sent == []


def test_no_attempt_begins_past_the_deadline(
    app: App, clock: VirtualClock, faults: BlobFaults
) -> None:
    """A fault is waited for as long as there is time, and not until the deadline has passed."""
    faults.add("status", times=99, code="ServerBusy")
    deadline = clock.monotonic() + 4
    with pytest.raises(DeadlineExceeded):
        app.checkpoint(deadline=deadline).load("6e")
    assert clock.monotonic() < deadline
    assert 1 <= len(faults.sent) <= 2


def test_attempts_are_few(app: App, clock: VirtualClock, faults: BlobFaults) -> None:
    """Four attempts within some ten seconds, when there is time."""
    faults.add("status", times=99, code="ServerBusy")
    before = clock.monotonic()
    with pytest.raises(StateError):
        app.checkpoint().load("6e")
    assert len(faults.sent) == 4
    assert 5 < clock.monotonic() - before < 20


@pytest.mark.parametrize(
    ("left", "expected"),
    [(PLENTY, (CONNECT_SECONDS, READ_SECONDS)), (20.0, (10.0, 20.0)), (3.0, (3.0, 3.0))],
)
def test_an_answer_is_waited_for_within_the_time(
    app: App,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    left: float,
    expected: tuple[float, float],
) -> None:
    """The time-outs of a request are its usual ones, or what is left."""
    timeouts = []
    real = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
        timeouts.append(options["timeout"])
        return real(adapter, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    app.checkpoint(deadline=clock.monotonic() + left).load("6e")
    assert timeouts == [pytest.approx(expected)]


def test_the_machine_lends_no_credentials_and_no_proxy(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A .netrc file would replace the signature, and a proxy does not reach this machine."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    checkpoint = program(azurite).checkpoint()
    checkpoint.prepare()
    assert checkpoint.load("6e").records == {}
