"""Sending: tokens, origins, redirects, deadlines, retries, over a real connection."""

import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.support.clock import VirtualClock
from local.tenant.faults import Delivery
from local.tenant.http import Response
from shared.errors import (
    AccessDenied,
    DeadlineExceeded,
    LeaseLost,
    PhotoSyncError,
    RequestRejected,
    Throttled,
    Unavailable,
)
from shared.http import ATTEMPTS, THROTTLES, Meter, Request
from tests.support.scripted_service import FakeTokens, Loopback, answer, budget, client

GOOD = answer(200, {"value": 1})


@pytest.fixture
def far() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


def get(far: Loopback, path: str = "/x", **more: Any) -> Request:
    return Request("GET", far.url + path, **more)


def test_what_is_sent(far: Loopback) -> None:
    """Token, user agent, own headers, body; and nothing that an answer wanted to be kept."""
    far.script(answer(200, {}, Set_Cookie="session=1; Path=/"))
    service = client(far.url)
    call = Request("POST", far.url + "/x?a=b%23", headers={"X-Own": "1"}, body=b"body")
    for _ in range(2):
        service.send(budget(service), call)
    for request in far.requests:
        assert request.target == "/x?a=b%23"
        assert request.body == b"body"
        assert request.headers["authorization"] == f"Bearer secret-0-of-{far.url}"
        assert request.headers["user-agent"] == "NONISV|Test|PhotoSync/0"
        assert request.headers["x-own"] == "1"
        assert "cookie" not in request.headers


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://127.0.0.1:1/x",
        "{url}.evil.example/x",
        "{url}@evil.example/x",
        "{url}\\.evil.example/x",
        "https://user:pass@127.0.0.1/x",
        "//{host}/x",
        "/x",
        "",
        "http://[::1/x",
        "{url}/\udfff",
        "{url}/ä",
        "{url}/\tx",
        "{url}/\r\nX-Evil: 1",
    ],
)
def test_tokens_go_to_no_other_origin(far: Loopback, url: str) -> None:
    """A URL that leads elsewhere, or is no URL, is refused before a token is even asked for."""
    far.script(GOOD)
    service = client(far.url)
    target = url.format(url=far.url, host=far.url.removeprefix("http://"))
    with pytest.raises(ValueError):
        service.send(budget(service), Request("GET", target))
    assert not far.requests


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_refused(far: Loopback, status: int) -> None:
    """A redirect is an error of its own; neither request nor token follows it."""
    with Loopback() as other:
        other.script(GOOD)
        far.script(answer(status, {}, Location=f"{other.url}/x"))
        service = client(far.url, other.url)
        with pytest.raises(RequestRejected) as caught:
            service.send(budget(service), get(far))
        assert caught.value.evidence.status == status
        assert len(far.requests) == 1
        assert not other.requests


@pytest.mark.parametrize("location", ["http://[", "\xff\xfe", "", "http://:99999999/", "x" * 9999])
def test_a_redirect_to_nowhere_is_the_same_error(far: Loopback, location: str) -> None:
    """Whatever `Location` says, nobody reads it."""
    far.script(answer(302, {}, Location=location))
    service = client(far.url)
    with pytest.raises(RequestRejected):
        service.send(budget(service), get(far))


def test_a_rejected_token_is_renewed_once(far: Loopback) -> None:
    """401: once with a fresh token; then it goes on."""
    far.script(answer(401), GOOD)
    tokens = FakeTokens()
    service = client(far.url, tokens=tokens)
    assert service.send(budget(service), get(far)).value == {"value": 1}
    assert far.tokens() == [f"Bearer secret-{n}-of-{far.url}" for n in (0, 1)]


def test_a_token_rejected_for_ever_is_an_error(far: Loopback) -> None:
    """401 also with a fresh token: refused, after two requests."""
    far.script(answer(401, {"error": {"code": "InvalidAuthenticationToken"}}))
    service = client(far.url)
    with pytest.raises(AccessDenied) as caught:
        service.send(budget(service), get(far))
    assert caught.value.evidence.code == "InvalidAuthenticationToken"
    assert len(far.requests) == 2


def test_a_token_is_fetched_after_the_pause(far: Loopback) -> None:
    """A token that ends during a long pause is never sent."""
    far.script(GOOD)
    clock = VirtualClock()
    asked: list[float] = []

    class Tokens(FakeTokens):
        def token(self, resource: str, deadline: float = 0.0) -> str:  # noqa: ARG002
            asked.append(clock.monotonic())
            return super().token(resource)

    service = client(far.url, clock=clock, tokens=Tokens())
    service.limiter.throttled(3000)
    service.send(budget(service), get(far))
    assert asked == [3000.0]


def test_nothing_secret_is_logged(far: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    """No log record and no error holds a token, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    service = client(far.url)
    for reply in (GOOD, answer(401), answer(403), Delivery.RESET, answer(302, {}, Location="/y")):
        far.script(reply)
        told = ""
        try:
            service.send(budget(service), get(far, "/x?secret-query=1"))
        except PhotoSyncError as error:
            told = f"{error} {error!r}"
        assert "secret" not in told
    assert not re.search("secret-[01]", caplog.text)
    assert "Bearer" not in caplog.text


def test_the_guard_stands_before_every_write(far: Loopback) -> None:
    """A write that is retried asks again whether it may happen; a read never asks."""
    far.script(answer(503), answer(503), GOOD)
    service = client(far.url)
    calls = []

    def guard() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise LeaseLost("taken over")

    with pytest.raises(LeaseLost):
        service.send(
            budget(service, guard=guard), Request("POST", far.url + "/x", body=b"", write=True)
        )
    assert len(far.requests) == 1
    service.send(budget(service, guard=guard), get(far))
    assert len(calls) == 2


def test_everything_is_counted(far: Loopback) -> None:
    """Requests, bytes and throttled answers of each service."""
    far.script(answer(429, {}, Retry_After="1"), answer(200, {"v": 1}))
    service = client(far.url)
    meter = Meter()
    service.send(budget(service, meter=meter), Request("POST", far.url + "/x", body=b"12345"))
    assert meter.requests == {"graph": 2, "sharepoint": 0}
    assert (meter.sent, meter.received, meter.throttled) == (10, len(b'{}{"v": 1}'), 1)


@pytest.mark.parametrize("spent", [0.0, 5.0])
def test_nothing_is_sent_after_the_deadline(far: Loopback, spent: float) -> None:
    """Time that is spent is spent."""
    far.script(GOOD)
    service = client(far.url)
    with pytest.raises(DeadlineExceeded):
        service.send(budget(service, -spent), get(far))
    assert not far.requests


@pytest.mark.parametrize("reply", [Delivery.RESET, answer(500), Response(200, b"{")])
def test_no_retry_beyond_the_deadline(far: Loopback, reply: Any) -> None:
    """A retry that would come too late is not waited for."""
    far.script(reply)
    service = client(far.url)
    with pytest.raises(DeadlineExceeded):
        service.send(budget(service, 0.5), get(far))
    assert len(far.requests) == 1
    assert service.clock.monotonic() == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_beyond_the_deadline_is_told(far: Loopback, status: int) -> None:
    """`Retry-After` beyond the deadline: an error that says how long, for every caller."""
    far.script(answer(status, {}, Retry_After="600"))
    service = client(far.url)
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            service.send(budget(service, 60), get(far))
        assert caught.value.retry_after == 600
    assert len(far.requests) == 1
    assert service.clock.monotonic() == 0


def test_a_large_answer_is_cut_off(far: Loopback) -> None:
    """More bytes than allowed are not read into memory; the answer says so."""
    far.script(Response(200, b"x" * 300_000), Response(200, b"y" * 100_000))
    service = client(far.url)
    call = get(far, want_json=False, limit=100_000)
    assert service.send(budget(service), call).oversize
    whole = service.send(budget(service), call)
    assert (whole.oversize, len(whole.body)) == (False, 100_000)


def test_a_body_that_outlasts_the_deadline_is_given_up(far: Loopback) -> None:
    """Bytes that keep dripping do not extend the time budget."""
    clock = VirtualClock()

    def slow() -> Response:
        clock.advance(100)
        return Response(200, b"x" * 300_000)

    far.script(slow)
    service = client(far.url, clock=clock)
    with pytest.raises(DeadlineExceeded):
        service.send(budget(service, 50), get(far, want_json=False))


def test_one_429_slows_everybody(far: Loopback) -> None:
    """After one worker's 429 no other worker sends before the pause is over."""
    clock = VirtualClock()
    seen: list[float] = []
    lock = threading.Lock()

    def reply() -> Response:
        with lock:
            seen.append(clock.monotonic())
            return answer(429, {}, Retry_After="30") if len(seen) == 1 else GOOD

    far.script(reply)
    service = client(far.url, clock=clock, concurrency=1)
    limit = budget(service)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: service.send(limit, get(far)), range(12)))
    assert seen[0] == 0
    assert len(seen) == 13
    assert min(seen[1:]) == 30


def test_rate_limit_headers_space_out_the_requests(far: Loopback) -> None:
    """When SharePoint says that little is left, the rest is spread over the window."""

    def left(units: int) -> Response:
        names = {"RateLimit_Limit": "1200", "RateLimit_Reset": "22"}
        return answer(200, {}, RateLimit_Remaining=str(units), **names)

    far.script(left(40), GOOD)
    service = client(far.url)
    limit = budget(service)
    moments = []
    for _ in range(20):
        service.send(limit, get(far))
        moments.append(service.clock.monotonic())
    assert moments[0] == 0
    assert 0.9 <= moments[1] <= 1
    assert 17 <= moments[-1] <= 20


def test_nothing_is_sent_once_the_quota_is_used_up(far: Loopback) -> None:
    """Without a unit left, the next request goes out when the next window begins."""
    spent = answer(200, {}, RateLimit_Limit="1200", RateLimit_Remaining="1", RateLimit_Reset="23")
    far.script(spent, GOOD)
    service = client(far.url)
    limit = budget(service)
    service.send(limit, get(far))
    service.send(limit, get(far))
    assert service.clock.monotonic() == 23


@pytest.mark.parametrize(
    ("retry", "reset", "expected"), [("10", "40", 40), ("40", "10", 40), ("10", "soon", 10)]
)
def test_the_longer_of_retry_after_and_reset(
    far: Loopback, retry: str, reset: str, expected: float
) -> None:
    """On 429 the wait is the longer of `Retry-After` and `RateLimit-Reset`."""
    far.script(answer(429, {}, Retry_After=retry, RateLimit_Reset=reset), GOOD)
    service = client(far.url)
    service.send(budget(service), get(far))
    assert service.clock.monotonic() == expected


def test_bounds() -> None:
    """The numbers that operators rely on: few attempts, some minutes of throttling."""
    assert ATTEMPTS == 4
    assert 2 * 60 < sum(min(60, 2**n) for n in range(THROTTLES)) < 10 * 60


def test_unreachable(far: Loopback) -> None:
    """Nobody listens: unavailable, after the attempts, without a word of the URL's query."""
    url = far.url
    far.__exit__()
    service = client(url)
    with pytest.raises(Unavailable) as caught:
        service.send(budget(service), Request("GET", url + "/x?q=1"))
    assert caught.value.evidence.message == "ConnectionError"
    assert "q=1" not in str(caught.value)
