"""The nightly run and a call for one user, on the same user at the same time.

One of the two is stopped at a request of its own, by a fault that runs the other one there.
"""

import threading
from collections.abc import Callable
from itertools import count, product
from typing import Any

import pytest

from local.tenant import Fault
from shared.checkpoint.runs import Run
from shared.model import Outcome
from shared.sync.user_sync import Result
from tests.support.blob_faults import BlobFaults
from tests.support.oracle import Oracle, digest, served
from tests.support.sampling import sample
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]
Point = tuple[str, int, str]

LONG = 30.0
"""Seconds a test waits for another thread before it fails."""

READ: list[Point] = [
    ("photo.batch", 0, "before"),
    ("photo.batch", 0, "after"),
    ("photo.bytes", 0, "after"),
]
WRITE: list[Point] = [
    ("file.upload", 0, "before"),
    ("file.upload", 2, "after"),
    ("profile.write", 0, "before"),
    ("profile.write", 0, "after"),
]


class Scene:
    """A world with one user whom everything is about, and another one beside them.

    Args:
        here: the world.
        recorded: the user was synchronised before.
    """

    def __init__(self, here: World, *, recorded: bool = True) -> None:
        self.here = here
        self.oracle = Oracle(here)
        self.user = here.ids()[0]
        self.colour = 0
        if recorded:
            here.fire()
            here.clock.advance(24 * 3600)
        self.change()

    def change(self) -> str:
        """Give the user a photo that they never had; its digest."""
        self.colour += 40
        self.here.tenant.directory.set_photo(self.user, jpeg((self.colour, 200, 10), 100))
        self.oracle.look()
        data = served(self.here.tenant.directory.people[self.user])
        assert data
        return digest(data)

    def at(self, point: Point, action: Callable[[], Any]) -> Fault:
        """Run something at a request for the user; what it returns goes to `results`."""
        operation, nth, when = point
        fault = Fault("call", operation=operation, nth=nth, person=self.user, action=action)
        fault.when = "after" if when == "after" else "before"
        return self.here.tenant.faults.add(fault)

    def verify(self, wanted: str) -> None:
        """The newest photo is shown, the record says so, and nobody has to come back to it."""
        assert self.oracle.wrong() == {}
        assert self.oracle.false_claims() == []
        assert self.oracle.orphans() == []
        record = self.here.records()[self.user]
        assert record.photo is not None
        assert record.photo.sha256 == wanted
        assert outcomes(self.here.night()) == {"unchanged": 2}
        assert self.here.writes() == []


@pytest.fixture
def scene(world: Make) -> Callable[..., Scene]:
    """Makes scenes."""
    return lambda **options: Scene(world(users=2), **options)


@pytest.mark.parametrize(
    ("point", "recorded"), sample(product([*READ, *WRITE], [True, False]), 3), ids=str
)
def test_a_call_during_the_night(scene: Callable[..., Scene], point: Point, recorded: bool) -> None:
    """Promise 6: wherever a whole call with a newer photo comes between, the newer one stays."""
    play = scene(recorded=recorded)
    wanted, results = list[str](), list[Result]()

    def call() -> None:
        wanted.append(play.change())
        results.append(play.here.call(play.user))

    fault = play.at(point, call)

    run = play.here.fire()

    assert fault.fired == 1
    assert [result.outcome for result in results] == [Outcome.UPDATED]
    assert set(outcomes(run)) <= {"updated", "unchanged"}
    assert sum(run.counts.values()) == run.listed == 2
    play.verify(*wanted)


@pytest.mark.parametrize(
    ("point", "recorded"),
    sample(product([("user.photo.batch", 0, "after"), READ[2], *WRITE], [True, False]), 3, 1),
    ids=str,
)
def test_a_night_during_a_call(scene: Callable[..., Scene], point: Point, recorded: bool) -> None:
    """The same the other way round: a whole nightly run comes between the steps of a call."""
    play = scene(recorded=recorded)
    wanted, runs = list[str](), list[Run]()

    def night() -> None:
        wanted.append(play.change())
        runs.append(play.here.fire())

    fault = play.at(point, night)

    result = play.here.call(play.user)

    assert fault.fired == 1
    assert runs[0].status == "completed"
    assert result.outcome in {Outcome.UPDATED, Outcome.UNCHANGED}
    play.verify(*wanted)


class Crossing:
    """Two writers, each of which begins before the other one ends.

    The first goes to its point; the second begins and goes to its own; the first goes on to its
    end; the second ends.
    """

    def __init__(self, play: Scene, second: Callable[[], Any]) -> None:
        self._play = play
        self._second = second
        self._halted = threading.Event()
        self._go_on = threading.Event()
        self._failure: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def begin(self, point: Point) -> None:
        """Let the second writer come to its point, or to its end; called at the first one's."""
        self._play.at(point, self._halt)
        self._thread.start()
        assert self._halted.wait(LONG)
        self._play.here.tenant.faults.clear()

    def end(self) -> None:
        """Let the second writer go to its end."""
        self._go_on.set()
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        assert self._failure == []

    def _halt(self) -> None:
        self._halted.set()
        assert self._go_on.wait(LONG)

    def _run(self) -> None:
        try:
            self._second()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self._failure.append(error)
        finally:
            self._halted.set()


@pytest.mark.parametrize(
    ("one", "other", "first", "recorded"),
    sample(product([READ[2], WRITE[2]], [WRITE[0], WRITE[3]], ["night", "call"], [True, False]), 3),
    ids=str,
)
def test_crossing(
    scene: Callable[..., Scene], one: Point, other: Point, first: str, recorded: bool
) -> None:
    """The first has read the old photo, the second the new one; their writes cross; the new stays.

    Each has begun to write, or has read, before the other one is done.
    """
    play = scene(recorded=recorded)
    writers: list[Callable[[], Any]] = [play.here.fire, lambda: play.here.call(play.user)]
    if first == "call":
        writers.reverse()
    crossing, wanted = Crossing(play, writers[1]), list[str]()

    def meet() -> None:
        wanted.append(play.change())
        crossing.begin(other)

    fault = play.at(one, meet)
    writers[0]()
    crossing.end()

    assert fault.fired == 1
    play.verify(*wanted)


# -- storage as the meeting point ----------------------------------------------------------------


@pytest.mark.parametrize(("nth", "uploads"), [(0, 6), (1, 9)], ids=["withdrawal", "claim"])
def test_a_call_before_the_night_saves(
    scene: Callable[..., Scene], faults: BlobFaults, nth: int, uploads: int
) -> None:
    """The record changes under the run just as it saves: its withdrawal, or later its claim.

    When it learns of the call before it has written, the older photo is never shown again.
    """
    play = scene()
    play.here.tenant.tape.clear()
    wanted, results = list[str](), list[Result]()

    def call() -> None:
        wanted.append(play.change())
        results.append(play.here.call(play.user))

    blob = f"state/{play.user[:2]}.json"
    fault = faults.add("call", method="PUT", part=blob, nth=nth, action=call)

    run = play.here.fire()

    assert fault.fired == 1
    assert results[0].outcome is Outcome.UPDATED
    assert "failed" not in outcomes(run)
    assert play.here.operations()["file.upload"] == uploads
    play.verify(*wanted)


def test_a_user_who_never_rests(scene: Callable[..., Scene], faults: BlobFaults) -> None:
    """Whoever others change again and again fails, claims nothing, and is set right next time."""
    play = scene()
    busy, turn = threading.Lock(), count()

    def call() -> None:
        # Before every first attempt of the run to save; the second one succeeds.
        if busy.acquire(blocking=False):
            if next(turn) % 2 == 0:
                play.change()
                play.here.call(play.user)
            busy.release()

    blob = f"state/{play.user[:2]}.json"
    faults.add("call", method="PUT", part=blob, times=99, action=call)
    run = play.here.fire()

    assert outcomes(run)["failed"] == 1
    assert play.oracle.false_claims() == []
    faults.clear()
    after = play.here.night()
    play.oracle.verify(after)


# -- removals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    sample(
        [
            ("photo.batch", 1, "before"),
            ("photo.batch", 1, "after"),
            ("profile.write", 0, "after"),
            ("profile.write", 0, "before"),
            ("file.recycle", 0, "after"),
            ("file.recycle", 2, "after"),
        ],
        2,
        1,
    ),
    ids=str,
)
def test_a_photo_that_comes_back_during_its_removal(world: Make, point: Point) -> None:
    """Between the steps of a removal a call writes a new photo: it is shown after the next run.

    The removal may take away what the call wrote, but then no record claims it.
    """
    here = world(users=2, settings={"REMOVAL_CONFIRMATIONS": "1"})
    play = Scene(here)
    here.night()
    here.tenant.directory.remove_photo(play.user)
    wanted, results = list[str](), list[Result]()

    def come_back() -> None:
        wanted.append(play.change())
        results.append(here.call(play.user))

    here.clock.advance(24 * 3600)
    fault = play.at(point, come_back)
    run = here.fire()

    assert fault.fired == 1
    assert results[0].outcome is Outcome.UPDATED
    assert sum(run.counts.values()) == run.listed == 2
    assert play.oracle.false_claims() == []
    here.night()
    play.verify(*wanted)


@pytest.mark.parametrize("point", sample([READ[2], *WRITE], 2), ids=str)
def test_a_removal_during_the_night(world: Make, point: Point) -> None:
    """A call removes by force what the run is about to write: it is gone at last, and no lie."""
    here = world(users=2, settings={"REMOVAL_CONFIRMATIONS": "1"})
    play = Scene(here)
    results = list[Result]()

    def remove() -> None:
        here.tenant.directory.remove_photo(play.user)
        results.append(here.call(play.user, force=True))

    fault = play.at(point, remove)
    run = here.fire()

    assert fault.fired == 1
    assert results[0].outcome is Outcome.REMOVED
    assert play.oracle.false_claims() == []
    assert play.oracle.orphans() == []
    assert sum(run.counts.values()) == 2
    play.oracle.verify(here.night())
    assert here.tenant.sharepoint.shown_picture(play.user) is None


def test_many_calls_at_once(scene: Callable[..., Scene]) -> None:
    """Six calls for one user and a nightly run, all at the same moment: one picture, one truth.

    Whoever is disturbed too often says so and claims nothing; a quiet call then settles it.
    """
    play = scene()
    wanted = play.change()
    start, ended, night = threading.Barrier(7), list[str](), list[Run]()

    def work(number: int) -> None:
        start.wait()
        if number:
            ended.append(play.here.call(play.user).outcome)
        else:
            night.append(play.here.fire())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(ended) <= {"updated", "unchanged", "failed"}
    assert len(ended) == 6
    if "failed" in {*ended, *outcomes(night[0])}:
        assert play.here.call(play.user).outcome in {"updated", "unchanged"}
    play.verify(wanted)
