"""The shared pace: pauses hold everybody, concurrency falls and climbs, nobody is stranded."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from local.support.clock import VirtualClock
from shared.http.rate_limit import CLIMB_AFTER, PauseTooLong, RateLimiter

FOREVER = float("inf")
PATIENCE = 10
"""Real seconds after which a thread counts as stranded; reached only when a test fails."""


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do."""
    gate = threading.Event()
    for _ in range(1000):
        if holds():
            return
        gate.wait(0.005)
    raise AssertionError("did not happen")


def _waiting(pace: RateLimiter) -> int:
    return len(pace._free._waiters)  # type: ignore[attr-defined]  # Condition's own queue


def test_a_pause_holds_until_it_is_over() -> None:
    """The next request goes out exactly when the service allows it."""
    clock = VirtualClock()
    pace = RateLimiter(4, clock)
    pace.throttled(120)
    with pace.turn(FOREVER):
        assert clock.monotonic() == 120


def test_a_pause_holds_all_workers() -> None:
    """One worker's 429 stops the others too, and the pause is slept once, not once each."""
    clock = VirtualClock()
    pace = RateLimiter(8, clock)
    pace.throttled(60)
    moments: list[float] = []

    def work() -> None:
        with pace.turn(FOREVER):
            moments.append(clock.monotonic())

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(work)
    assert moments == [60.0] * 8


def test_a_longer_pause_extends_a_shorter_one_never_the_other_way() -> None:
    """Of two pauses the later end counts."""
    clock = VirtualClock()
    pace = RateLimiter(4, clock)
    pace.throttled(60)
    pace.pause(10)
    pace.throttled(30)
    with pace.turn(FOREVER):
        assert clock.monotonic() == 60


@pytest.mark.parametrize(("deadline", "allowed"), [(59.9, False), (60.0, True), (61.0, True)])
def test_a_pause_beyond_the_deadline_is_not_waited_for(deadline: float, allowed: bool) -> None:
    """Who has no time for the pause is told so at once, with what is left of it."""
    clock = VirtualClock()
    pace = RateLimiter(4, clock)
    pace.throttled(60)
    if allowed:
        with pace.turn(deadline):
            assert clock.monotonic() == 60
        return
    with pytest.raises(PauseTooLong) as caught, pace.turn(deadline):
        pass
    assert caught.value.seconds == 60
    assert clock.monotonic() == 0


def test_concurrency_falls_by_half_and_climbs_by_one() -> None:
    """A 429 halves what may be in flight, never below one; successes earn it back one by one."""
    clock = VirtualClock()
    pace = RateLimiter(8, clock)
    limits = []
    for _ in range(5):
        pace.throttled(1)
        clock.advance(1)
        limits.append(pace.limit)
    assert limits == [4, 2, 1, 1, 1]
    climbed = []
    for _ in range(CLIMB_AFTER * 9):
        pace.succeeded()
        climbed.append(pace.limit)
    assert climbed[CLIMB_AFTER - 2] == 1
    assert climbed[CLIMB_AFTER - 1] == 2
    assert climbed[CLIMB_AFTER * 3 - 1] == 4
    assert climbed[-1] == 8


def test_answers_already_in_flight_do_not_halve_again() -> None:
    """Eight 429s of one burst are one message."""
    pace = RateLimiter(8, VirtualClock())
    for _ in range(8):
        pace.throttled(30)
    assert pace.limit == 4


def test_a_throttling_starts_the_climb_anew() -> None:
    """Successes before a 429 do not count after it."""
    clock = VirtualClock()
    pace = RateLimiter(8, clock)
    pace.throttled(1)
    clock.advance(1)
    for _ in range(CLIMB_AFTER - 1):
        pace.succeeded()
    pace.throttled(1)
    clock.advance(1)
    pace.succeeded()
    assert pace.limit == 2


def test_an_announced_pause_does_not_halve() -> None:
    """Slowing down in time is not being throttled."""
    pace = RateLimiter(8, VirtualClock())
    pace.pause(30)
    assert pace.limit == 8


@pytest.mark.parametrize("cap", [1, 3, 8])
def test_never_more_in_flight_than_allowed(cap: int) -> None:
    """The upper bound holds with more workers than places."""
    pace = RateLimiter(cap, VirtualClock())
    flying = threading.Semaphore(cap)
    too_many = []

    def work() -> None:
        for _ in range(200):
            with pace.turn(FOREVER):
                if not flying.acquire(blocking=False):
                    too_many.append(1)
                    return
                flying.release()

    with ThreadPoolExecutor(12) as pool:
        for _ in range(12):
            pool.submit(work)
    assert not too_many


def test_nobody_is_stranded_by_a_pause_beyond_all_deadlines() -> None:
    """Workers that wait for a place all learn of a pause too long for them, not only the first."""
    pace = RateLimiter(1, VirtualClock())

    def work() -> str:
        try:
            with pace.turn(100):
                return "turn"
        except PauseTooLong:
            return "too long"

    pool = ThreadPoolExecutor(7)
    try:
        with pace.turn(100):
            waiting = [pool.submit(work) for _ in range(7)]
            _until(lambda: _waiting(pace) == 7)
            pace.throttled(3600)
        done, stranded = wait(waiting, PATIENCE)
        assert not stranded
        assert {future.result() for future in done} == {"too long"}
    finally:
        for _ in range(7):  # frees the threads of a failed test
            with pace._free:
                pace._resume_at = 0
                pace._free.notify_all()
        pool.shutdown()


def test_a_freed_place_and_a_raised_limit_wake_those_who_wait() -> None:
    """Waiting ends as soon as there is a place."""
    clock = VirtualClock()
    pace = RateLimiter(2, clock)
    pace.throttled(0)
    assert pace.limit == 1
    entered = threading.Event()

    def work() -> None:
        with pace.turn(FOREVER):
            entered.set()

    with ThreadPoolExecutor(1) as pool, pace.turn(FOREVER):
        pool.submit(work)
        _until(lambda: _waiting(pace) == 1)
        for _ in range(CLIMB_AFTER):
            pace.succeeded()
        assert entered.wait(PATIENCE)


def test_a_place_is_given_back_after_an_error() -> None:
    """An error inside a turn frees the place."""
    pace = RateLimiter(1, VirtualClock())
    for _ in range(3):
        with pytest.raises(RuntimeError), pace.turn(FOREVER):
            raise RuntimeError
    with pace.turn(FOREVER):
        pass
