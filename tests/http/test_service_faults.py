"""Every kind of failing answer on one request: retried or not, how often, after which wait."""

from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.support.clock import VirtualClock
from local.tenant.faults import Delivery
from local.tenant.http import Response
from shared.errors import (
    AccessDenied,
    MalformedResponse,
    NotFound,
    PhotoSyncError,
    RequestRejected,
    ServiceError,
    Unavailable,
)
from shared.http import ATTEMPTS, THROTTLES, Request, backoff
from tests.support.scripted_service import Loopback, answer, budget, client

GOOD = answer(200, {"value": 1})
HTML = b"<!DOCTYPE html><html><body><h2>Our services aren't available right now</h2></body></html>"
BODIES = {
    "json": b'{"error": {"code": "serviceNotAvailable", "message": "try later"}}',
    "html": HTML,
    "empty": b"",
}
PASSING = [408, 500, 502, 503, 504, 509]
BROKEN = {
    "reset": Delivery.RESET,
    "closed without an answer": Delivery.NONE,
    "half of the announced body": (Response(200, b'{"value": 1}'), Delivery.HALF),
    "JSON cut off cleanly": Response(200, b'{"value": '),
    "HTML in place of JSON": Response(200, HTML, {"Content-Type": "text/html"}),
    "no JSON at all": Response(200, b""),
    "broken chunks": Response(200, b"zz\r\n", {"Transfer-Encoding": "chunked"}),
    "broken compression": Response(200, b"no gzip", {"Content-Encoding": "gzip"}),
}


@pytest.fixture
def far() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", PASSING)
def test_a_service_that_fails_once_is_asked_again(far: Loopback, status: int, body: bytes) -> None:
    """5xx with any body: asked again after about a second."""
    far.script(Response(status, body), GOOD)
    service = client(far.url)
    assert service.send(budget(service), Request("GET", far.url)).value == {"value": 1}
    assert 0.75 <= service.clock.monotonic() <= 1.25


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", PASSING)
def test_a_service_that_keeps_failing(far: Loopback, status: int, body: bytes) -> None:
    """Bounded attempts with growing pauses, then an error with status, code and request id."""
    far.script(Response(status, body, {"request-id": "r-7"}))
    service = client(far.url)
    with pytest.raises(Unavailable) as caught:
        service.send(budget(service), Request("GET", far.url))
    evidence = caught.value.evidence
    assert (evidence.status, evidence.request_id) == (status, "r-7")
    assert evidence.code == ("serviceNotAvailable" if body == BODIES["json"] else "")
    assert len(far.requests) == ATTEMPTS
    assert 0.75 * 7 <= service.clock.monotonic() <= 1.25 * 7


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_asked_for_again(far: Loopback, reply: Any) -> None:
    """A connection or an answer that breaks passes by itself."""
    far.script(reply, reply, reply, GOOD)
    service = client(far.url)
    assert service.send(budget(service), Request("POST", far.url, body=b"1")).value == {"value": 1}
    assert len(far.requests) == ATTEMPTS
    assert all(request.body == b"1" for request in far.requests)


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_for_ever_is_an_error(far: Loopback, reply: Any) -> None:
    """An answer that stays broken: a typed error after bounded attempts."""
    far.script(reply)
    service = client(far.url)
    with pytest.raises((Unavailable, MalformedResponse)):
        service.send(budget(service), Request("GET", far.url))
    assert len(far.requests) == ATTEMPTS


def test_a_truncated_image_is_never_taken_for_whole(far: Loopback) -> None:
    """Fewer bytes than announced are no answer, also where no JSON is wanted."""
    image = Response(200, b"\xff\xd8" + b"x" * 5000, {"Content-Type": "image/jpeg"})
    far.script((image, Delivery.HALF), image)
    service = client(far.url)
    call = Request("GET", far.url, want_json=False)
    assert service.send(budget(service), call).body == image.body
    assert len(far.requests) == 2


def test_a_service_that_hangs_is_given_up() -> None:
    """Silence ends at the time-out, here that of the little time left, and counts as a failure."""
    with Loopback() as far:
        far.script(Delivery.HANG)
        service = client(far.url)
        with pytest.raises(PhotoSyncError):
            service.send(budget(service, 0.1), Request("GET", far.url))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, AccessDenied),
        (404, NotFound),
        *((s, RequestRejected) for s in (400, 409, 410, 415, 423, 501)),
    ],
)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_does_not_pass_is_not_repeated(
    far: Loopback, status: int, error: type[ServiceError], body: bytes
) -> None:
    """A refusal is an answer: one request, no wait; the service is not throttled by it."""
    far.script(Response(status, body))
    service = client(far.url)
    with pytest.raises(error):
        service.send(budget(service), Request("GET", far.url))
    assert len(far.requests) == 1
    assert service.clock.monotonic() == 0


@pytest.mark.parametrize("status", [404, 403, 423])
def test_an_accepted_status_is_returned(far: Loopback, status: int) -> None:
    """The caller may take a refusal as an answer; its body need not be JSON."""
    far.script(Response(status, b"The photo wasn't found.", {"Content-Type": "text/plain"}))
    service = client(far.url)
    reply = service.send(budget(service), Request("GET", far.url, accept={status}))
    assert (reply.status, reply.ok, reply.value) == (status, False, None)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(far: Loopback, status: int, form: str, body: bytes) -> None:
    """The next request goes out when `Retry-After` says, to the second, and not before."""
    clock = VirtualClock(1_790_000_000.0)
    until = "77" if form == "seconds" else formatdate(clock.time() + 77, usegmt=True)
    far.script(Response(status, body, {"Retry-After": until}), GOOD)
    service = client(far.url, clock=clock)
    service.send(budget(service), Request("GET", far.url))
    assert clock.monotonic() == 77
    assert service.limiter.limit == 2


@pytest.mark.parametrize("value", ["soon", "-1", "", "1e3"])
def test_a_senseless_retry_after_counts_as_none(far: Loopback, value: str) -> None:
    """429 without a usable `Retry-After`: about a second, then growing."""
    far.script(answer(429, {}, Retry_After=value), answer(429), GOOD)
    service = client(far.url)
    service.send(budget(service), Request("GET", far.url))
    assert 0.75 * 3 <= service.clock.monotonic() <= 1.25 * 3


def test_retry_after_zero_is_not_hammered(far: Loopback) -> None:
    """A service that keeps saying "now" is asked at growing intervals all the same."""
    far.script(*[answer(429, {}, Retry_After="0")] * 4, GOOD)
    service = client(far.url)
    service.send(budget(service), Request("GET", far.url))
    assert service.clock.monotonic() >= 0.75 * 7


def test_one_request_throttled_for_ever_ends(far: Loopback) -> None:
    """Throttled again and again although every wait was kept: an error, so that others get on."""
    far.script(answer(429, {"error": {"code": "ApplicationThrottled"}}))
    service = client(far.url)
    with pytest.raises(Unavailable) as caught:
        service.send(budget(service), Request("GET", far.url))
    assert caught.value.evidence.code == "ApplicationThrottled"
    assert len(far.requests) == THROTTLES


def test_throttling_and_failures_are_counted_apart(far: Loopback) -> None:
    """Some 429s on the way do not use up the attempts that failures have."""
    slow = answer(429, {}, Retry_After="1")
    far.script(slow, answer(500), slow, answer(502), slow, answer(401), answer(503), GOOD)
    service = client(far.url)
    assert service.send(budget(service), Request("GET", far.url)).ok


def test_503_with_retry_after_for_ever_ends(far: Loopback) -> None:
    """A busy service is asked a bounded number of times."""
    far.script(answer(503, {}, Retry_After="5"))
    service = client(far.url)
    with pytest.raises(Unavailable):
        service.send(budget(service), Request("GET", far.url))
    assert len(far.requests) == ATTEMPTS


def test_backoff_grows_to_a_minute_with_jitter() -> None:
    """About 1, 2, 4 … 60 seconds, never the same for all workers."""
    for attempt, middle in [(1, 1), (2, 2), (5, 16), (7, 60), (50, 60)]:
        pauses = {backoff(attempt) for _ in range(50)}
        assert len(pauses) > 1
        assert 0.75 * middle <= min(pauses) <= max(pauses) <= 1.25 * middle


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "RateLimit-Reset", "RateLimit-Remaining", "RateLimit-Limit"])
    | st.sampled_from(["Location", "Content-Type", "Content-Encoding", "Set-Cookie"])
    | st.sampled_from(["request-id", "WWW-Authenticate", "Content-Disposition"]),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
    | st.sampled_from(["gzip", "deflate", "0", "1", "http://[", "a=b; Domain=.x"]),
    max_size=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(200, 599), HEADERS, st.binary(max_size=60), st.booleans())
def test_any_answer(status: int, headers: dict[str, str], body: bytes, want_json: bool) -> None:
    """Any status, headers and body end in an answer or one of the program's errors."""
    with Loopback() as far:
        far.script(Response(status, body, headers))
        service = client(far.url)
        try:
            reply = service.send(budget(service), Request("GET", far.url, want_json=want_json))
        except PhotoSyncError:
            return
        assert reply.ok
