"""SharePoint's quota is used up and not overrun; without one all slots are busy. Virtual time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.support.clock import VirtualClock
from shared.http.quota import Quota
from shared.http.rate_limit import PauseTooLong, RateLimiter
from tests.support.quota_simulation import Network, Simulation
from tests.support.sampling import THOROUGH, sample

FOREVER = float("inf")
SIZES = (6250, 5000, 3750, 2500, 1250)
"""Resource units a minute, by licences (reference: "Avoid getting throttled")."""

MINUTES = range(1, 5 if THOROUGH else 3)


CHARGED_AFTER = (0.0, 0.5, 1.0)
"""Shares of a request's time after which the service may charge it."""

QUOTAS = sample(
    # In such an order that the sample has every size and every share.
    [(units, CHARGED_AFTER[(n + m) % 3]) for n in range(3) for m, units in enumerate(SIZES)],
    every=3,
)


@pytest.mark.parametrize(("units", "charged_after"), QUOTAS)
def test_the_quota_is_used_up_and_not_overrun(units: int, charged_after: float) -> None:
    """95 % used and 1 % throttled at most: 300 ms an upload, 0.5 % of the requests taking 5 s.

    Whenever the service charges a request: as it comes in, or as it answers.
    """
    network = Network(charged_after=charged_after)
    simulation = Simulation(units_per_minute=units, network=network, starts_at=41)
    figures = simulation.run(19 + 60 * len(MINUTES))
    for minute in MINUTES:
        assert figures.share_of_quota(units, range(minute, minute + 1)) >= 0.99
    assert figures.share_throttled <= 0.001


@pytest.mark.parametrize("seed", range(3))
def test_many_slow_requests_do_not_overrun_it_either(seed: int) -> None:
    """A tenth of the requests takes 8 s, so that old announcements arrive after newer ones."""
    network = Network(slow_seconds=8, slow_share=0.1, charged_after=0.5)
    simulation = Simulation(units_per_minute=1250, network=network, starts_at=20, seed=seed)
    figures = simulation.run(40 + 60 * len(MINUTES))
    assert figures.share_of_quota(1250, MINUTES) >= 0.95
    assert figures.share_throttled <= 0.01


@pytest.mark.parametrize("cap", [4, 8, 32, 64])
def test_without_a_quota_all_slots_are_busy(cap: int) -> None:
    """At least 90 % of the allowed slots, the climb at the start included."""
    simulation = Simulation(cap=cap, workers=cap)
    assert simulation.run(60).busy_seconds / 60 / cap >= 0.95


def test_a_service_that_announces_nothing_is_not_hammered() -> None:
    """Without headers the quota is overrun once a minute by what is in flight, then it is kept."""
    simulation = Simulation(units_per_minute=6250, headers=False, starts_at=41)
    figures = simulation.run(19 + 60 * len(MINUTES))
    assert figures.share_of_quota(6250, MINUTES) >= 0.95
    assert figures.share_throttled <= 0.01


def test_a_call_gets_through_while_a_run_uses_the_quota_up() -> None:
    """In the smallest tenant a call's requests wait a second or so, not for the next minute."""
    simulation = Simulation(units_per_minute=1250, starts_at=0)
    simulation.run(20)  # four fifths of the minute's quota are used
    for after in (0.5, 10, 20, 30):
        simulation.call(after, requests=7, patience=45)
    waits = simulation.run(40).waits
    assert len(waits) == 28
    assert max(waits) < 3


def test_an_announcement_pauses_minutes_at_most() -> None:
    """A day's quota that is used up, or a senseless reset: after five minutes it is asked again."""
    for reset in (86_400, 999_999_999):
        clock = VirtualClock()
        limiter = RateLimiter(8, clock)
        with limiter.slot(FOREVER) as slot:
            limiter.announced(slot, 1, reset)
        with pytest.raises(PauseTooLong) as caught, limiter.slot(45):
            pass
        assert caught.value.seconds == 300
        with limiter.slot(FOREVER):
            assert clock.monotonic() == 300


def test_an_announcement_ends_with_its_window() -> None:
    """When the window is over, nothing of it is remembered."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    with limiter.slot(FOREVER) as slot:
        limiter.announced(slot, 4, 30)
    clock.advance(30)
    for _ in range(100):
        with limiter.slot(FOREVER):
            assert clock.monotonic() == 30


def test_a_late_response_does_not_speak_for_the_next_window() -> None:
    """A request charged to the last window announces its rest; the new window is not held up."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    late = limiter.enter(FOREVER, 2)
    with limiter.slot(FOREVER) as slot:
        limiter.announced(slot, 0, 3)
    clock.advance(4)
    limiter.announced(late, 0, 3)
    limiter.leave(late)
    with limiter.slot(FOREVER):
        assert clock.monotonic() == 4


def test_a_late_response_does_not_give_back_what_is_spent() -> None:
    """Of one window the smallest rest counts, in whatever order the responses come."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    late = limiter.enter(FOREVER, 2)
    with limiter.slot(FOREVER) as slot:
        limiter.announced(slot, 0, 50)
    clock.advance(5)
    limiter.announced(late, 200, 50)
    limiter.leave(late)
    with limiter.slot(FOREVER):
        assert clock.monotonic() == 50


def test_a_window_that_begins_early_is_believed() -> None:
    """A later request that has a longer time before it is of a new window."""
    quota = Quota()
    assert quota.update(0, 0, 0, 50)
    assert quota.opens_at(10, 0, 2) == 50
    assert quota.update(20, 19, 500, 60)
    assert quota.opens_at(20, 0, 2) <= 20


def test_what_is_not_announced_is_counted() -> None:
    """A response without headers costs its units all the same."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    with limiter.slot(FOREVER) as slot:
        limiter.announced(slot, 4, 30)
    for _ in range(2):
        with limiter.slot(FOREVER):
            assert clock.monotonic() < 30
    with limiter.slot(FOREVER):
        assert clock.monotonic() == 30


def test_a_batch_counts_its_parts() -> None:
    """Twenty parts do not fit into what is left; smaller requests pass them meanwhile."""
    clock = VirtualClock()
    limiter = RateLimiter(4, clock)
    with limiter.slot(FOREVER) as slot:
        limiter.announced(slot, 30, 40)
    batch = limiter.enter(10, 40)
    small = limiter.enter(FOREVER, 2)
    clock.advance(39)
    limiter.grant_due()
    assert (batch.granted, small.granted) == (False, True)
    limiter.leave(small)
    clock.advance(1)
    limiter.grant_due()
    assert batch.granted


NUMBERS = st.floats(0, 400)


@settings(max_examples=300 if THOROUGH else 100, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 5000), NUMBERS | st.integers(0, 10**9))),
    st.integers(0, 400),
    st.integers(1, 80),
)
def test_any_announcements_pause_five_minutes_at_most(
    announcements: list[tuple[float, float, int, float]], in_flight: int, units: int
) -> None:
    """Whatever the headers say and in whatever order: the next request starts within 5 minutes."""
    quota = Quota()
    now = 0.0
    for passed, ago, remaining, reset in announcements:
        now += passed
        quota.started(now, units)
        quota.update(now, max(0.0, now - ago), remaining, reset)
        assert quota.opens_at(now, in_flight, units) <= now + 300
        assert quota.exhausted_until(now, units) <= now + 300
    assert quota.opens_at(now + 300, in_flight, units) <= now + 300
