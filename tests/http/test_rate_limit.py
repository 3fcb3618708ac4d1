"""The rate limiter: pauses hold everybody, the limit climbs and falls, nobody is stranded."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial

import pytest

from local.support.clock import VirtualClock
from shared.http.rate_limit import START_IN_FLIGHT, NoFreeSlot, PauseTooLong, RateLimiter
from tests.support.sampling import THOROUGH

FOREVER = float("inf")
PATIENCE = 10
"""Real seconds after which a thread counts as stranded; reached only when a test fails."""
REQUESTS = 15 if THOROUGH else 5
"""Of each of the two hundred threads."""


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads are about to do."""
    gate = threading.Event()
    for _ in range(2000):
        if holds():
            return
        gate.wait(0.005)
    raise AssertionError("did not happen")


def _are_waiting(limiter: RateLimiter, count: int) -> bool:
    return len(limiter._waiting) == count


def _climbed(limiter: RateLimiter, limit: int) -> RateLimiter:
    """The same limiter, after as many successes as `limit` needs."""
    while limiter.limit < limit:
        with ExitStack() as slots:
            for _ in range(limiter.limit):
                slots.enter_context(limiter.slot(FOREVER))
            limiter.succeeded()
    return limiter


def _round(limiter: RateLimiter) -> None:
    """All slots in use, and every request succeeds."""
    count = limiter.limit
    with ExitStack() as slots:
        for _ in range(count):
            slots.enter_context(limiter.slot(FOREVER))
        for _ in range(count):
            # As many wait as there are slots, so that a raised limit is used at once.
            limiter.succeeded()
            if limiter.limit > limiter.in_flight:
                slots.enter_context(limiter.slot(FOREVER))


def test_a_pause_holds_until_it_is_over() -> None:
    """The next request goes out exactly when the service allows it."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    limiter.throttled(120)
    with limiter.slot(FOREVER):
        assert clock.monotonic() == 120


def test_a_pause_holds_all_workers() -> None:
    """One worker's 429 stops the others too, and the pause is slept once, not once each."""
    clock = VirtualClock()
    limiter = RateLimiter(8, clock)
    limiter.throttled(60)
    moments: list[float] = []

    def work() -> None:
        with limiter.slot(FOREVER):
            moments.append(clock.monotonic())

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(work)
    assert moments == [60.0] * 8


def test_a_longer_pause_extends_a_shorter_one_never_the_other_way() -> None:
    """Of two pauses the later end counts."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    limiter.throttled(60)
    limiter.throttled(30)
    with limiter.slot(FOREVER):
        assert clock.monotonic() == 60


@pytest.mark.parametrize(("deadline", "allowed"), [(59.9, False), (60.0, True), (61.0, True)])
def test_a_pause_beyond_the_deadline_is_not_waited_for(deadline: float, allowed: bool) -> None:
    """Who has no time for the pause learns at once what is left of it."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    limiter.throttled(60)
    if allowed:
        with limiter.slot(deadline):
            assert clock.monotonic() == 60
        return
    with pytest.raises(PauseTooLong) as caught, limiter.slot(deadline):
        pass
    assert caught.value.seconds == 60
    assert clock.monotonic() == 0


@pytest.mark.parametrize("cap", [1, 3, 4, 32, 64])
def test_it_starts_with_four_and_doubles_each_round_up_to_the_cap(cap: int) -> None:
    """A new process asks gently, and soon as much as the service bears; never more than the cap."""
    limiter = RateLimiter(cap, VirtualClock())
    limits = [limiter.limit]
    for _ in range(5):
        _round(limiter)
        limits.append(limiter.limit)
    assert limits == [min(cap, START_IN_FLIGHT * 2**n) for n in range(6)]


def test_a_429_halves_and_each_round_earns_one_more() -> None:
    """A 429 halves what may be in flight, never below one; from then on it climbs slowly."""
    clock = VirtualClock()
    limiter = _climbed(RateLimiter(8, clock), 8)
    limits = []
    for _ in range(5):
        clock.advance(1)
        limiter.throttled(1)
        clock.advance(1)
        limits.append(limiter.limit)
    assert limits == [4, 2, 1, 1, 1]
    climbed = []
    for _ in range(9):
        _round(limiter)
        climbed.append(limiter.limit)
    assert climbed == [2, 3, 4, 5, 6, 7, 8, 8, 8]


def test_the_limit_climbs_only_while_all_slots_are_in_use() -> None:
    """Requests one after the other prove nothing about many at once."""
    limiter = RateLimiter(32, VirtualClock())
    for _ in range(1000):
        with limiter.slot(FOREVER):
            limiter.succeeded()
    assert limiter.limit == START_IN_FLIGHT


@pytest.mark.parametrize("seconds", [0, 1, 30])
def test_one_burst_of_429s_halves_once(seconds: float) -> None:
    """Refusals of requests that were in flight together are one message, however short."""
    clock = VirtualClock()
    limiter = _climbed(RateLimiter(32, clock), 32)
    clock.advance(1)
    with ExitStack() as stack:
        slots = [stack.enter_context(limiter.slot(FOREVER)) for _ in range(32)]
        for slot in slots:
            clock.advance(0.1)
            limiter.throttled(seconds, slot.started_at)
    assert limiter.limit == 16


def test_an_announcement_ends_the_doubling() -> None:
    """Told that the quota nears its end, the limit climbs slowly; it does not fall."""
    limiter = RateLimiter(32, VirtualClock())
    with limiter.slot(FOREVER) as slot:
        limiter.announced(slot, 1000, 30)
    assert limiter.limit == START_IN_FLIGHT
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(limiter.slot(FOREVER))
        limiter.succeeded()
    assert limiter.limit == START_IN_FLIGHT


@pytest.mark.parametrize("cap", [1, 3, 8])
def test_never_more_in_flight_than_allowed(cap: int) -> None:
    """The upper bound holds with more workers than slots."""
    limiter = RateLimiter(cap, VirtualClock())
    flying = threading.Semaphore(cap)
    too_many = []

    def work() -> None:
        for _ in range(200):
            with limiter.slot(FOREVER):
                if not flying.acquire(blocking=False):
                    too_many.append(1)
                    return
                flying.release()
                limiter.succeeded()

    with ThreadPoolExecutor(12) as pool:
        for _ in range(12):
            pool.submit(work)
    assert not too_many


def test_nobody_is_stranded_by_a_pause_beyond_all_deadlines() -> None:
    """Workers that wait for a slot all learn of a pause too long for them, not only the first."""
    limiter = RateLimiter(1, VirtualClock())

    def work() -> str:
        try:
            with limiter.slot(100):
                return "slot"
        except PauseTooLong:
            return "too long"

    with ThreadPoolExecutor(7) as pool:
        with limiter.slot(100):
            waiting = [pool.submit(work) for _ in range(7)]
            _until(lambda: len(limiter._waiting) == 7)
            limiter.throttled(3600)
        done, stranded = wait(waiting, PATIENCE)
        assert not stranded
        assert {future.result() for future in done} == {"too long"}


def test_a_freed_slot_goes_to_the_earliest_deadline() -> None:
    """A call for one user does not queue behind a nightly run's requests."""
    limiter = RateLimiter(1, VirtualClock())
    order: list[float] = []

    def work(deadline: float) -> None:
        with limiter.slot(deadline):
            order.append(deadline)

    with ThreadPoolExecutor(6) as pool, limiter.slot(FOREVER):
        for count, deadline in enumerate([1500, 1500, 1400, 45, FOREVER, 50], 1):
            pool.submit(work, deadline)
            _until(partial(_are_waiting, limiter, count))
    assert order == [45, 50, 1400, 1500, 1500, FOREVER]


def test_a_call_gets_its_slots_while_a_run_keeps_all_busy() -> None:
    """Ten requests of a call wait for one request of the run each, at most."""
    limiter = RateLimiter(1, VirtualClock())
    stop = threading.Event()
    entered = [0]

    def run() -> None:
        while not stop.is_set():
            with limiter.slot(FOREVER):
                entered[0] += 1

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(run)
        _until(lambda: entered[0] > 8)
        try:
            for _ in range(10):
                slot = limiter.enter(45, 2)
                before = entered[0]
                _until(partial(getattr, slot, "granted"))
                assert entered[0] - before <= 2  # what ran already, and one between
                limiter.leave(slot)
        finally:
            stop.set()


def test_a_deadline_passes_while_hanging_requests_hold_all_slots() -> None:
    """Who waits for a slot learns at their deadline that there is none; by the real clock."""
    limiter = RateLimiter(4, time)
    with ExitStack() as hanging:
        for _ in range(4):
            hanging.enter_context(limiter.slot(FOREVER))
        began = time.monotonic()
        with pytest.raises(NoFreeSlot), limiter.slot(began + 0.3):
            pass
        assert 0.3 <= time.monotonic() - began < 1.3


def test_a_deadline_passes_on_a_virtual_clock() -> None:
    """A test's clock that jumps past the deadline is noticed although nothing else happens."""
    clock = VirtualClock()
    limiter = RateLimiter(1, clock)
    with limiter.slot(FOREVER), ThreadPoolExecutor(1) as pool:

        def work() -> None:
            with limiter.slot(50):
                pass

        waiting = pool.submit(work)
        _until(lambda: len(limiter._waiting) == 1)
        clock.advance(60)
        with pytest.raises(NoFreeSlot):
            waiting.result(PATIENCE)


def test_a_slot_is_given_back_after_an_error() -> None:
    """An error inside frees the slot."""
    limiter = RateLimiter(1, VirtualClock())
    for _ in range(3):
        with pytest.raises(RuntimeError), limiter.slot(FOREVER):
            raise RuntimeError
    with limiter.slot(FOREVER):
        pass
    assert limiter.in_flight == 0


def test_who_gives_up_waiting_takes_nothing_along() -> None:
    """A slot that is granted in the moment in which its thread is interrupted is not lost."""
    limiter = RateLimiter(1, VirtualClock())
    first = limiter.enter(FOREVER, 2)
    second = limiter.enter(FOREVER, 2)
    third = limiter.enter(FOREVER, 2)
    assert (first.granted, second.granted) == (True, False)
    limiter.leave(second)
    limiter.leave(first)
    assert third.granted
    limiter.leave(third)
    assert limiter.in_flight == 0


@pytest.fixture
def unfair_switching() -> Iterator[None]:
    """Threads that are interrupted as often as possible."""
    import sys

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("unfair_switching")
def test_two_hundred_threads_with_random_failures() -> None:
    """Nobody is stranded, nothing leaks, the bound holds: 200 threads that fail, pause, give up."""
    clock = VirtualClock()
    limiter = RateLimiter(16, clock)
    seen: list[int] = []
    outcomes: list[str] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret
        for _ in range(REQUESTS):
            try:
                with limiter.slot(clock.monotonic() + chance.choice([0.5, 20, 2000])) as slot:
                    seen.append(limiter.in_flight)
                    event = chance.random()
                    if event < 0.03:
                        limiter.throttled(chance.choice([0, 5, 100]), slot.started_at)
                    elif event < 0.1:
                        limiter.announced(slot, chance.randrange(50), chance.randrange(1, 60))
                    elif event < 0.15:
                        raise RuntimeError  # noqa: TRY301 - what the test is about
                    else:
                        limiter.succeeded()
                outcomes.append("sent")
            except (PauseTooLong, NoFreeSlot, RuntimeError) as error:
                outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(200)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert not [thread for thread in threads if thread.is_alive()]
    assert len(outcomes) == 200 * REQUESTS
    assert outcomes.count("sent") > len(outcomes) / 3
    assert max(seen) <= 16
    assert (limiter.in_flight, limiter._units, limiter._waiting) == (0, 0, [])
