import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.support.clock import VirtualClock
from shared.config.settings import load
from shared.errors import DeadlineExceeded, TokenUnavailable
from shared.http import ManagedIdentity
from shared.http.managed_identity import _Key
from tests.support.identity_endpoints import Platform, jwt, serving
from tests.support.raw_server import Connection, RawServer

GRAPH = "https://graph.microsoft.com"
MYSITE = "https://contoso-my.sharepoint.com"
CLIENT = "0f8fad5b-d9cb-469f-a165-70867728950e"
STORE_CLIENT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
HEADER = "not-for-any-log"
LEAST = {
    "SHAREPOINT_TENANT": "contoso",
    "AzureWebJobsStorage__accountName": "abc",
    "AzureWebJobsStorage__clientId": STORE_CLIENT,
}


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    stub = Platform()
    with serving(stub.answer) as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        monkeypatch.delenv("IDENTITY_SERVER_THUMBPRINT", raising=False)
        yield stub


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def identity(clock: VirtualClock, **changes: str) -> ManagedIdentity:
    return ManagedIdentity(load(LEAST | changes), clock=clock)


def test_one_request_per_resource(platform: Platform, clock: VirtualClock) -> None:
    """Each resource has its own token, asked once as the platform's protocol wants it."""
    me = identity(clock)

    first = me.token(GRAPH)
    assert me.token(GRAPH + "/") == first
    assert me.token(MYSITE) != first

    assert platform.asked == [
        {"api-version": "2019-08-01", "resource": GRAPH},
        {"api-version": "2019-08-01", "resource": MYSITE},
    ]
    assert platform.headers == [HEADER, HEADER]


def test_user_assigned(platform: Platform, clock: VirtualClock) -> None:
    """A user-assigned identity is selected by its client id."""
    identity(clock, MANAGED_IDENTITY_CLIENT_ID=CLIENT).token(GRAPH)

    assert platform.asked[0]["client_id"] == CLIENT


def test_asked_again_before_it_ends(platform: Platform, clock: VirtualClock) -> None:
    """A token serves until five minutes before its end, and not a moment longer."""
    platform.lifetime = 3600
    me = identity(clock)
    first = me.token(GRAPH)

    clock.advance(3600 - 300 - 5)
    assert me.token(GRAPH) == first
    clock.advance(10)
    assert me.token(GRAPH) != first


def test_a_failed_renewal_costs_nothing(platform: Platform, clock: VirtualClock) -> None:
    """While the token lasts, a platform that gives no new one is asked again later, not now."""
    platform.lifetime = 3600
    me = identity(clock)
    first = me.token(GRAPH)

    clock.advance(3600 - 290)
    platform.answers = [(500, "{}")] * 3
    began = clock.monotonic()
    assert me.token(GRAPH) == first
    assert len(platform.asked) == 4
    assert clock.monotonic() - began < 5
    assert me.token(GRAPH) == first
    assert len(platform.asked) == 4
    clock.advance(31)
    assert me.token(GRAPH) != first


def test_a_token_is_not_used_to_its_very_end(platform: Platform, clock: VirtualClock) -> None:
    """A token that would end on its way is not sent, though there is no other."""
    platform.lifetime = 3600
    me = identity(clock)
    me.token(GRAPH)

    clock.advance(3600 - 55)
    platform.answers = [(500, "{}")] * 3
    with pytest.raises(TokenUnavailable):
        me.token(GRAPH)


def test_others_go_on_while_one_renews(platform: Platform, clock: VirtualClock) -> None:
    """A renewal that hangs holds up nobody who still has a token."""
    platform.lifetime = 3600
    me = identity(clock)
    first, other = me.token(GRAPH), me.token(MYSITE)
    clock.advance(3600 - 290)
    platform.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(me.token, GRAPH)
        try:
            _until(me._asking[_Key(GRAPH)].locked)
            for _ in range(3):
                assert me.token(GRAPH) == first
        finally:
            platform.gate.set()
        assert renewing.result(10) not in {first, other}


def test_a_refused_token_renewed_by_others_is_kept(platform: Platform, clock: VirtualClock) -> None:
    """Many threads whose token is refused at once cause one new token, not one each."""
    me = identity(clock)
    refused = me.token(GRAPH)
    for _ in range(8):
        me.forget(GRAPH, refused)
        fresh = me.token(GRAPH)
    assert fresh != refused
    assert len(platform.asked) == 2


def test_a_token_refused_while_it_is_renewed_is_not_used(
    platform: Platform, clock: VirtualClock
) -> None:
    """A failed renewal does not bring back what was refused meanwhile."""
    platform.lifetime = 3600
    me = identity(clock)
    refused = me.token(GRAPH)
    clock.advance(3600 - 290)
    platform.answers = [(500, "{}")] * 3
    platform.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(me.token, GRAPH)
        _until(me._asking[_Key(GRAPH)].locked)
        me.forget(GRAPH, refused)
        platform.gate.set()
        with pytest.raises(TokenUnavailable):
            renewing.result(10)


@pytest.mark.parametrize("seconds", [0, -1, 0.5, 2])
def test_no_longer_than_the_deadline(
    platform: Platform, clock: VirtualClock, seconds: float
) -> None:
    """Attempts and pauses end with the caller's time."""
    platform.answers = [(500, '{"statusCode":500,"message":"vague"}')] * 3
    with pytest.raises(DeadlineExceeded, match="vague" if seconds > 0 else "no time left"):
        identity(clock).token(GRAPH, clock.monotonic() + seconds)
    assert clock.monotonic() <= max(0, seconds)


def _silent(connection: Connection) -> None:
    connection.request()
    connection.hang()


def _trickling(connection: Connection) -> None:
    connection.request()
    connection.trickle(b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 2000)


@pytest.mark.parametrize("handler", [_silent, _trickling])
def test_an_endpoint_that_hangs(
    monkeypatch: pytest.MonkeyPatch, handler: Callable[[Connection], None]
) -> None:
    """Silent or trickling: the caller's deadline holds, by the real clock."""
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    me = ManagedIdentity(load(LEAST))
    with RawServer(handler) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        began = time.monotonic()
        with pytest.raises((DeadlineExceeded, TokenUnavailable)) as caught:
            me.token(GRAPH, began + 1)
        assert time.monotonic() - began < 2.5
        assert HEADER not in str(caught.value)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"])
def test_the_platform_s_secret_goes_to_no_proxy(
    platform: Platform, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A proxy for outgoing traffic, with no exceptions, does not see the token request."""
    seen: list[bytes] = []

    def handler(connection: Connection) -> None:
        seen.append(connection.request())
        connection.answer(b"", status="502 Bad Gateway")

    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with RawServer(handler) as server:
        monkeypatch.setenv(name, server.url)
        assert identity(clock).token(GRAPH)
    assert not seen
    assert platform.headers == [HEADER]


def test_forget(platform: Platform, clock: VirtualClock) -> None:
    """After `forget` the platform is really asked again, for that resource only."""
    me = identity(clock)
    refused, other = me.token(GRAPH), me.token(MYSITE)

    me.forget(GRAPH)
    me.forget("https://never.asked.example")

    assert me.token(GRAPH) != refused
    assert me.token(MYSITE) == other
    assert platform.resources == [GRAPH, MYSITE, GRAPH]


def test_rotated_header(
    platform: Platform, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform rotates IDENTITY_HEADER: each request carries the one of its moment."""
    me = identity(clock)
    me.token(GRAPH)
    monkeypatch.setenv("IDENTITY_HEADER", "rotated")
    me.token(MYSITE)

    assert platform.headers == [HEADER, "rotated"]


def test_storage_credential(platform: Platform, clock: VirtualClock) -> None:
    """Blobs are opened by the connection's identity, in its own tenant, whatever is asked."""
    me = identity(
        clock, MANAGED_IDENTITY_CLIENT_ID=CLIENT, TARGET_TENANT_ID=CLIENT, TARGET_CLIENT_ID=CLIENT
    )
    credential = me.storage_credential()

    token = credential.get_token("https://evil.example/.default", tenant_id="x")
    again = credential.get_token("https://storage.azure.com/.default")

    assert token == again
    assert abs(token.expires_on - time.time() - platform.lifetime) < 60
    assert platform.asked == [
        {
            "api-version": "2019-08-01",
            "resource": "https://storage.azure.com",
            "client_id": STORE_CLIENT,
        }
    ]


def test_claims(platform: Platform, clock: VirtualClock) -> None:
    """For diagnosis the token can be read: its claims, or nothing when it has none."""
    me = identity(clock)
    assert me.claims(GRAPH)["aud"] == GRAPH

    for payload in ("opaque", "a.b.c", "a.W10.c", "a.\u00e9.c"):
        body = {"access_token": payload, "expires_on": str(int(time.time() + 3600))}
        platform.answers.append((200, json.dumps(body)))
        me.forget(GRAPH)
        assert me.claims(GRAPH) == {}


@pytest.mark.parametrize(
    ("status", "text", "shown"),
    [
        (400, '{"statusCode":400,"message":"No identity has been assigned"}', "No identity"),
        (500, '{"statusCode":500,"message":"vague"}', "500, vague"),
        (502, "<html>Bad gateway</html>", ""),
        (200, "", ""),
        (200, "[]", ""),
        (200, '{"access_token":"eyJ0.eyJ0.x"}', ""),
        (200, '{"access_token":"eyJ0.eyJ0.x","expires_on":"tomorrow"}', ""),
        (
            500,
            json.dumps({"statusCode": 500, "message": f"{HEADER} {jwt(a=1)}"}),
            "500, [hidden] [hidden].",
        ),
    ],
)
def test_no_token(
    platform: Platform,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    *,
    status: int,
    text: str,
    shown: str,
) -> None:
    """Whatever the platform answers: one error with identity, resource, remedy, and no secret.

    Nor do the libraries log anything of it.
    """
    caplog.set_level(logging.INFO)
    platform.answers = [(status, text)] * 3

    with pytest.raises(TokenUnavailable) as caught:
        identity(clock, MANAGED_IDENTITY_CLIENT_ID=CLIENT).token(GRAPH)

    message = str(caught.value)
    for part in (CLIENT, GRAPH, "MANAGED_IDENTITY_CLIENT_ID", shown):
        assert part in message
    for secret in (HEADER, "eyJ0"):
        assert secret not in message
    assert caplog.text == ""
    assert caught.value.__cause__ is None
    assert len(platform.asked) == 3
    assert clock.monotonic() <= 5


def test_healed_between_attempts(platform: Platform, clock: VirtualClock) -> None:
    """A passing fault of the platform costs a pause, not the run."""
    platform.answers = [(500, "{}"), (503, "busy")]

    assert identity(clock).token(GRAPH)
    assert len(platform.asked) == 3


def test_not_replayed(platform: Platform, clock: VirtualClock) -> None:
    """After a failure the next call asks the platform, not some memory of the failure."""
    me = identity(clock)
    platform.answers = [(500, "{}")] * 3
    with pytest.raises(TokenUnavailable):
        me.token(GRAPH)

    assert me.token(GRAPH)


def test_unreachable(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that does not answer at all is the same error, after a bounded wait."""
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound, but not listening: refused
        port = deaf.getsockname()[1]
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
        with pytest.raises(TokenUnavailable, match="system-assigned"):
            identity(clock).token(GRAPH)
    assert clock.monotonic() <= 5


def test_no_identity(monkeypatch: pytest.MonkeyPatch, clock: VirtualClock) -> None:
    """Without an identity assigned to the app, the error says so at once."""
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)

    with pytest.raises(TokenUnavailable, match="IDENTITY_ENDPOINT is not set"):
        identity(clock).token(GRAPH)
    assert clock.monotonic() == 0


@pytest.mark.parametrize("resource", ["http://graph.microsoft.com", "graph", GRAPH + "/v1.0", ""])
def test_only_origins(platform: Platform, clock: VirtualClock, resource: str) -> None:
    """No token is asked for anything but an https origin."""
    me = identity(clock)
    for call in (me.token, me.forget, me.claims):
        with pytest.raises(ValueError, match="no https origin"):
            call(resource)
    assert platform.asked == []


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    gate = threading.Event()
    for _ in range(2000):
        if holds():
            return
        gate.wait(0.005)
    raise AssertionError("did not happen")


class CountingClock(VirtualClock):
    """Says when all workers have come as far as reading the clock before they wait."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self._left = workers
        self.all_there = threading.Event()

    def monotonic(self) -> float:
        now = super().monotonic()
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self.all_there.set()
        return now


@pytest.mark.parametrize("fails", [False, True])
def test_threads_share_one_answer(platform: Platform, *, fails: bool) -> None:
    """Eight workers that need a token at once cause one question, and get the same answer."""
    platform.gate = threading.Event()
    platform.answers = [(500, "{}")] * 3 if fails else []
    clock = CountingClock(8)
    me = identity(clock)
    results: list[str] = []

    def work() -> None:
        try:
            results.append(me.token(GRAPH))
        except TokenUnavailable as error:
            results.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert clock.all_there.wait(10)
    platform.gate.set()
    for thread in threads:
        thread.join()

    assert len(results) == 8
    assert len(set(results)) == 1
    assert len(platform.asked) == (3 if fails else 1)
