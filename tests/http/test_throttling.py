"""Whose pause is kept, and how long one user is waited for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.support.clock import VirtualClock
from local.tenant.http import Response
from shared.errors import (
    PatienceExceeded,
    PhotoSyncError,
    Throttled,
)
from shared.http import THROTTLES, Budget, Patience, Request, Service
from shared.http.throttling import EVIDENCE_SECONDS
from tests.support.scripted_service import Loopback, answer, budget, client

GOOD = answer(200, {"value": 1})
POISON = answer(429, {}, Retry_After="300")


@pytest.fixture
def far() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def service(far: Loopback) -> Service:
    return client(far.url)


def about(far: Loopback, subject: str) -> Request:
    return Request("GET", far.url + "/x", subject=subject)


def by_clock(service: Service, replies: list[Response]) -> list[Callable[[], Response]]:
    """Answers to each request, one virtual second later."""

    def reply(response: Response) -> Callable[[], Response]:
        def give() -> Response:
            service.clock.sleep(1)
            return response

        return give

    return [reply(response) for response in replies]


# Own pauses


def test_a_pause_of_one_user_is_their_own(far: Loopback, service: Service) -> None:
    """While others are answered, one throttled mailbox pauses nobody and does not slow down."""
    far.script(GOOD, POISON, GOOD)
    limit = budget(service).with_patience(Patience(30, service.clock))
    before = service.limiter.limit
    service.send(limit, about(far, "other"))
    with pytest.raises(Throttled) as caught:
        service.send(limit, about(far, "poisoned"))
    assert caught.value.own
    assert caught.value.retry_after == 300
    assert service.clock.monotonic() == 0
    assert service.send(limit, about(far, "other")).ok
    assert service.clock.monotonic() == 0
    assert service.limiter.limit >= before
    assert limit.meter.throttled == 1


def test_an_own_pause_that_is_short_enough_is_kept(far: Loopback, service: Service) -> None:
    """With patience for it, the request waits and is sent again; the wait counts as patience."""
    far.script(GOOD, answer(429, {}, Retry_After="20"), GOOD)
    patience = Patience(30, service.clock)
    limit = budget(service).with_patience(patience)
    service.send(limit, about(far, ""))
    assert service.send(limit, about(far, "a")).ok
    assert service.clock.monotonic() == 20
    assert patience.left == 10


def test_a_second_user_makes_it_the_service_s_pause(far: Loopback, service: Service) -> None:
    """Two users throttled within ten seconds: the service is meant, and everybody waits."""
    far.script(GOOD, POISON, answer(429, {}, Retry_After="50"), GOOD)
    limit = budget(service).with_patience(Patience(30, service.clock))
    service.send(limit, about(far, "other"))
    with pytest.raises(Throttled):
        service.send(limit, about(far, "a"))
    assert service.limiter.limit == 4
    service.clock.sleep(EVIDENCE_SECONDS)
    assert service.send(limit, about(far, "b")).ok
    assert service.clock.monotonic() == EVIDENCE_SECONDS + 50
    assert service.limiter.limit == 2


def test_the_service_s_pause_costs_no_patience(far: Loopback, service: Service) -> None:
    """A pause that holds everybody is not the fault of the user whose request waits."""
    far.script(answer(429, {}, Retry_After="500"), GOOD)
    patience = Patience(30, service.clock)
    limit = budget(service).with_patience(patience)
    assert service.send(limit, about(far, "")).ok
    assert service.clock.monotonic() == 500
    assert patience.left == 30


def test_two_refusals_long_apart_are_two_users_own(far: Loopback, service: Service) -> None:
    """A service that throttles everybody does not wait for the second refusal."""
    far.script(POISON, POISON)
    limit = budget(service).with_patience(Patience(30, service.clock))
    for subject in ("a", "b"):
        with pytest.raises(Throttled) as caught:
            service.send(limit, about(far, subject))
        assert caught.value.own
        service.clock.sleep(EVIDENCE_SECONDS + 1)
    assert service.limiter.limit == 4


def test_a_request_about_many_pauses_the_service(far: Loopback, service: Service) -> None:
    """A throttled listing or batch is about the service, whatever else is answered."""
    far.script(GOOD, answer(429, {}, Retry_After="50"), GOOD)
    limit = budget(service)
    service.send(limit, about(far, "other"))
    service.send(limit, about(far, ""))
    assert service.clock.monotonic() == 50
    assert service.limiter.limit == 2


def test_a_spent_quota_is_the_service_s(far: Loopback, service: Service) -> None:
    """A refusal that says that no units are left concerns everybody, from the first one on."""
    spent = answer(429, {}, Retry_After="40", RateLimit_Remaining="0", RateLimit_Reset="40")
    far.script(GOOD, spent, GOOD)
    limit = budget(service)
    service.send(limit, about(far, "other"))
    service.send(limit, about(far, "a"))
    assert service.clock.monotonic() == 40
    assert service.limiter.limit == 2


def test_the_first_refusal_of_all_is_the_user_s_own(far: Loopback, service: Service) -> None:
    """Also when nobody was asked before: whoever is first in line must not hold up the rest."""
    far.script(POISON)
    limit = budget(service).with_patience(Patience(90, service.clock))
    with pytest.raises(Throttled) as caught:
        service.send(limit, about(far, "poisoned"))
    assert caught.value.own
    assert service.clock.monotonic() == 0
    far.script(GOOD)
    assert service.send(limit, about(far, "other")).ok
    assert service.clock.monotonic() == 0


def test_one_poisoned_user_among_many_costs_a_moment(far: Loopback, service: Service) -> None:
    """Everybody else is done, whenever the poisoned one comes; then too at the end of the run."""

    def reply(subject: str) -> Response:
        return POISON if subject == "u7" else GOOD

    limit = budget(service)
    failed = []
    for subject in [*(f"u{n}" for n in range(60)), "u7"]:
        far.script(*by_clock(service, [reply(subject)]))
        try:
            service.send(limit.with_patience(Patience(30, service.clock)), about(far, subject))
        except Throttled as error:
            failed.append((subject, error.own))
    assert failed == [("u7", True), ("u7", True)]
    assert service.clock.monotonic() == 61


def test_503_with_retry_after_follows_the_same_rule(far: Loopback, service: Service) -> None:
    """A busy answer for one user among answers to others holds nobody else."""
    far.script(GOOD, answer(503, {}, Retry_After="300"))
    limit = budget(service).with_patience(Patience(30, service.clock))
    service.send(limit, about(far, "other"))
    with pytest.raises(Throttled) as caught:
        service.send(limit, about(far, "a"))
    assert caught.value.own
    assert service.clock.monotonic() == 0


def test_an_own_pause_without_patience_is_kept_until_the_deadline(
    far: Loopback, service: Service
) -> None:
    """A call waits as long as it can."""
    far.script(GOOD, answer(429, {}, Retry_After="40"), GOOD, answer(429, {}, Retry_After="6"))
    limit = budget(service, 45)
    service.send(limit, about(far, ""))
    assert service.send(limit, about(far, "a")).ok
    assert service.clock.monotonic() == 40
    with pytest.raises(Throttled) as caught:
        service.send(limit, about(far, "a"))
    assert caught.value.own
    assert service.clock.monotonic() == 40


# Patience


def test_patience_counts_attempts_and_pauses(far: Loopback) -> None:
    """Slow failures and the pauses between them add up over all requests about the user."""
    clock = VirtualClock()
    service = client(far.url, clock=clock)
    patience = Patience(30, clock)

    def slow() -> Response:
        clock.advance(10)
        return answer(503, {"error": {"code": "busy"}})

    def slow_but_good() -> Response:
        clock.advance(8)
        return GOOD

    limit = budget(service).with_patience(patience)
    far.script(slow_but_good)
    service.send(limit, about(far, "a"))
    assert patience.left == 22
    far.script(slow)
    with pytest.raises(PatienceExceeded) as caught:
        service.send(limit, about(far, "a"))
    assert caught.value.evidence.code == "busy"
    assert len(far.requests) == 2
    assert 28 + 0.75 <= clock.monotonic() <= 28 + 1.25


def test_patience_that_is_spent_sends_nothing(far: Loopback, service: Service) -> None:
    """Without patience left no request goes out; other users' requests do."""
    far.script(GOOD)
    spent = Patience(1, service.clock)
    spent.spend(2)
    with pytest.raises(PatienceExceeded):
        service.send(budget(service).with_patience(spent), about(far, "a"))
    assert not far.requests
    assert service.send(budget(service), about(far, "b")).ok


def test_patience_is_shared_by_threads() -> None:
    """Requests at once count each."""
    clock = VirtualClock()
    patience = Patience(1000, clock)

    def work() -> None:
        for _ in range(100):
            patience.spend(0.5)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert patience.left == 500


def test_a_budget_with_patience_is_the_same_budget() -> None:
    """Deadline, guard and meter stay those of the invocation."""

    def guard() -> None:
        """Never called."""

    limit = Budget(10, guard)
    patience = Patience(5, VirtualClock())
    mine = limit.with_patience(patience)
    assert (mine.deadline, mine.guard, mine.patience) == (10, guard, patience)
    assert mine.meter is limit.meter
    assert mine.with_patience(None) == limit


# Pauses


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3600", 3600),
        ("3601", 3600),
        ("999999999", 3600),
        ("9" * 30, 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        (formatdate(1_790_000_000 + 1800, usegmt=True), 1800),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_up_to_an_hour(
    far: Loopback, value: str, seconds: float, status: int
) -> None:
    """A service cannot pause the program for days."""
    clock = VirtualClock(1_790_000_000.0)
    far.script(answer(status, {}, Retry_After=value), GOOD)
    service = client(far.url, clock=clock)
    service.send(budget(service, 7200), Request("GET", far.url))
    assert clock.monotonic() == seconds


@pytest.mark.parametrize("status", [200, 429, 503])
@pytest.mark.parametrize("reset", ["86400", "999999999", "1795000000", "-1", "soon"])
def test_an_announcement_pauses_minutes_at_most(far: Loopback, reset: str, status: int) -> None:
    """Whatever `RateLimit-Reset` says, the service is asked again within five minutes or so."""
    spent = answer(status, {}, RateLimit_Remaining="1", RateLimit_Reset=reset)
    far.script(spent, GOOD)
    service = client(far.url)
    limit = budget(service)
    service.send(limit, Request("GET", far.url))
    service.send(limit, Request("GET", far.url))
    assert service.clock.monotonic() <= 300 + 2


def test_a_call_is_told_at_once_that_the_pause_is_too_long(far: Loopback, service: Service) -> None:
    """503 with the seconds to wait is of more use than 45 seconds of silence."""
    far.script(answer(429, {}, Retry_After="600"), GOOD)
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            service.send(budget(service, 45), Request("GET", far.url))
        assert caught.value.retry_after == 600
        assert not caught.value.own
    assert len(far.requests) == 1
    assert service.clock.monotonic() == 0


def test_a_user_throttled_for_ever_ends(far: Loopback, service: Service) -> None:
    """Short pauses that are all kept do not go on for ever; it remains the user's own trouble."""
    far.script(GOOD, answer(429, {}, Retry_After="1"))
    limit = budget(service)
    service.send(limit, about(far, "other"))
    with pytest.raises(Throttled) as caught:
        service.send(limit, about(far, "a"))
    assert caught.value.own
    assert len(far.requests) == 1 + THROTTLES


SUBJECTS = st.sampled_from(["", "a", "b", "c"])
REPLIES = st.sampled_from(
    [
        GOOD,
        POISON,
        answer(429),
        answer(429, {}, Retry_After="2"),
        answer(500),
        answer(503, {}, Retry_After="7"),
        answer(401),
        answer(404),
        answer(200, {}, RateLimit_Remaining="3", RateLimit_Reset="20"),
        answer(429, {}, RateLimit_Remaining="0", RateLimit_Reset="20", Retry_After="5"),
        Response(200, b"{"),
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(REPLIES, min_size=1, max_size=30),
    st.lists(SUBJECTS, min_size=1, max_size=5),
    st.sampled_from([20.0, 400.0, 20_000.0]),
    st.sampled_from([None, 5.0, 30.0]),
)
def test_any_course_of_events_ends_in_time(
    replies: list[Response], subjects: list[str], seconds: float, patience: float | None
) -> None:
    """Whatever is answered: a response or an error of the program, not after the deadline."""
    with Loopback() as far:
        far.script(*replies)
        service = client(far.url)
        limit = budget(service, seconds)
        for subject in subjects:
            mine = limit
            if patience is not None:
                mine = limit.with_patience(Patience(patience, service.clock))
            with suppress(PhotoSyncError):
                assert service.send(mine, about(far, subject)).ok
            assert service.clock.monotonic() <= seconds
            assert service.limiter.in_flight == 0
