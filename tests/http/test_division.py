"""A batch that fails as a whole is divided until what spoils it is alone."""

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    AccessDenied,
    DeadlineExceeded,
    Evidence,
    HostUnavailable,
    MalformedResponse,
    NotFound,
    PatienceExceeded,
    RequestRejected,
    ServiceError,
    Throttled,
    Unavailable,
)
from shared.http.division import ALONE, PART, UNANSWERED_REQUESTS, WHOLE, Allowance, divide

EVIDENCE = Evidence("graph", "POST", "https://graph.example/v1.0/$batch", 500)
KEYS = list(range(20))


class Service:
    """Answers every batch that names none of the poisoned keys."""

    def __init__(self, poison: Collection[int], error: Exception | None = None) -> None:
        self.poison = frozenset(poison)
        self.error = error or Unavailable(EVIDENCE)
        self.sent: list[Sequence[int]] = []
        self.allowances: list[Allowance] = []

    def send(self, keys: Sequence[int], allowance: Allowance) -> dict[int, str]:
        self.sent.append(keys)
        self.allowances.append(allowance)
        if self.poison.intersection(keys):
            raise self.error
        return dict.fromkeys(keys, "answer")


@given(st.integers(0, 19))
def test_one_poisoned_key(poison: int) -> None:
    """It alone has an error; everybody else has an answer, in few requests."""
    service = Service({poison})
    found = divide(KEYS, service.send)
    assert [key for key in KEYS if found[key] != "answer"] == [poison]
    assert len(service.sent) <= 13


@given(st.sets(st.integers(0, 19), min_size=1, max_size=3))
def test_several_poisoned_keys(poison: set[int]) -> None:
    """Nobody who is not poisoned has an error."""
    service = Service(poison)
    found = divide(KEYS, service.send)
    assert {key for key in KEYS if found[key] != "answer"} == poison
    assert len(service.sent) <= 40


def test_forty_of_two_hundred() -> None:
    """Every fifth key is poisoned: all others are answered."""
    for start in range(0, 200, 20):
        keys = list(range(start, start + 20))
        poison = {key for key in keys if key % 5 == 0}
        found = divide(keys, Service(poison).send)
        assert {key for key in keys if found[key] != "answer"} == poison


@pytest.mark.parametrize("largest", [None, 1, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_an_outage_costs_few_requests(count: int, largest: int | None) -> None:
    """While nothing is answered, division ends soon; everybody has the error."""
    keys = KEYS[:count]
    service = Service(keys)
    found = divide(keys, service.send, largest=largest)
    assert found.keys() == set(keys)
    assert all(isinstance(error, Unavailable) for error in found.values())
    assert len(service.sent) <= UNANSWERED_REQUESTS


def test_a_failure_that_passes() -> None:
    """When the batch failed for another reason, its parts are answered at once."""
    failures = iter([True])

    def send(keys: Sequence[int], allowance: Allowance) -> dict[int, str]:
        del allowance
        if next(failures, False):
            raise Unavailable(EVIDENCE)
        return dict.fromkeys(keys, "answer")

    assert set(divide(KEYS, send).values()) == {"answer"}


def test_how_often_a_batch_is_sent() -> None:
    """The whole batch may be retried once; its parts are sent once; a single key as usual."""
    service = Service({3})
    divide(KEYS, service.send)
    assert service.allowances[0] == WHOLE
    assert set(service.allowances[1:]) == {PART}
    alone = Service({3})
    divide([3], alone.send)
    assert alone.allowances == [ALONE]


@given(st.integers(0, 19))
def test_a_key_that_hangs(poison: int) -> None:
    """When every batch with one key takes all the time it is allowed, all take two minutes."""
    service = Service({poison}, PatienceExceeded(EVIDENCE))
    divide(KEYS, service.send)
    hung = [
        allowance.seconds
        for keys, allowance in zip(service.sent, service.allowances, strict=True)
        if poison in keys
    ]
    assert sum(hung) <= 120


@pytest.mark.parametrize("kind", [AccessDenied, MalformedResponse, NotFound, RequestRejected])
def test_any_failure_of_a_service_is_divided(kind: type[ServiceError]) -> None:
    """Whatever the status is with which a batch fails."""
    found = divide(KEYS, Service({7}, kind(EVIDENCE)).send)
    assert isinstance(found[7], kind)
    assert all(found[key] == "answer" for key in KEYS if key != 7)


@pytest.mark.parametrize("error", [Throttled(EVIDENCE, 9), DeadlineExceeded("no time")])
def test_no_time_ends_the_division(error: Exception) -> None:
    """There is no time for parts either."""
    service = Service({7}, error)
    with pytest.raises(type(error)):
        divide(KEYS, service.send)
    assert len(service.sent) == 1


def test_the_pause_of_one_key_is_no_pause_of_the_others() -> None:
    """Asked for alone, a key that is throttled has an error, and everybody else an answer."""
    error = Throttled(EVIDENCE, 300, own=True)
    service = Service({7}, error)
    found = divide(KEYS, service.send, largest=1)
    assert found[7] is error
    assert all(found[key] == "answer" for key in KEYS if key != 7)


def test_a_whole_batch_that_is_throttled_is_not_divided() -> None:
    """Its pause is the service's, also where it is called somebody's own."""
    service = Service({7}, Throttled(EVIDENCE, 300, own=True))
    with pytest.raises(Throttled):
        divide(KEYS, service.send)
    assert len(service.sent) == 1


def test_a_host_that_is_gone_is_not_divided() -> None:
    """No part of the batch can be answered by it."""
    error = HostUnavailable(EVIDENCE, "https://contosoeur-my.sharepoint.com", "is gone", "Look.")
    service = Service({7}, error)
    assert set(divide(KEYS, service.send).values()) == {error}
    assert len(service.sent) == 1


def test_nothing_to_ask() -> None:
    """No keys, no request."""
    service = Service(())
    assert divide([], service.send) == {}
    assert service.sent == []
