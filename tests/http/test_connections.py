"""Kept connections, sizes, proxies: what the network and hostile answers may cost."""

import gzip
import json
import socket
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from local.support.clock import VirtualClock
from shared.errors import LeaseLost, MalformedResponse, ServiceError, Unavailable
from shared.http import Budget, Meter, Request, connecting, connections
from shared.http.request import RESPONSE_LIMIT_BYTES
from tests.support.raw_server import Connection, RawServer
from tests.support.scripted_service import Loopback, answer, budget, client

MEGABYTE = 1024 * 1024


def keeps_answering(connection: Connection) -> None:
    while connection.request():
        connection.answer()


def closes_on_second(connection: Connection) -> None:
    """Closes when the second request comes in."""
    connection.request()
    connection.answer()
    connection.request()


def resets_on_second(connection: Connection) -> None:
    """Resets the connection when the second request comes in."""
    connection.request()
    connection.answer()
    connection.request()
    connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def forgets_after_first(connection: Connection) -> None:
    """Answers one request; later ones on this connection go nowhere, without a word."""
    connection.request()
    connection.answer()
    connection.hang()


STALE: list[Callable[[Connection], None]] = [
    closes_on_second,
    resets_on_second,
    forgets_after_first,
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter silence is enough to doubt a kept connection."""
    monkeypatch.setattr(connections, "FIRST_BYTE_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("handler", STALE, ids=lambda handler: handler.__name__)
def test_a_stale_connection_costs_one_quick_retry(handler: Callable[..., None]) -> None:
    """A kept connection that gives no byte is replaced at once: no pause, no failed attempt."""
    with RawServer(handler) as server:
        clock = VirtualClock()
        service = client(server.url, clock=clock)
        meter = Meter()
        for number in range(1, 4):
            request = Request("GET", server.url, attempts=1)
            assert service.send(Budget(100, meter=meter), request).ok
            assert server.accepted == number
        assert clock.monotonic() == 0
        assert meter.requests["graph"] == 5


@pytest.mark.usefixtures("impatient")
def test_all_connections_that_the_network_forgot_cost_one_retry_each() -> None:
    """The quick retry never takes another kept connection, which may be as stale."""
    together = threading.Barrier(4)

    def handler(connection: Connection) -> None:
        connection.request()
        if connection.number < 4:
            together.wait(5)  # so that four connections are kept
        connection.answer()
        connection.hang()

    with RawServer(handler) as server, ThreadPoolExecutor(4) as pool:
        service = client(server.url)
        request = Request("GET", server.url, attempts=1)
        for future in [pool.submit(service.send, Budget(100), request) for _ in range(4)]:
            assert future.result(10).ok
        assert service.send(Budget(100), request).ok
        assert server.accepted == 5


def test_a_new_connection_without_a_byte_is_a_failed_attempt() -> None:
    """Only a kept connection is excused; a server that closes each new one fails."""

    def handler(connection: Connection) -> None:
        connection.request()

    with RawServer(handler) as server:
        clock = VirtualClock()
        with pytest.raises(Unavailable):
            client(server.url, clock=clock).send(Budget(100), Request("GET", server.url))
        assert server.accepted == 4
        assert clock.monotonic() > 5


def test_an_answer_that_has_begun_is_no_stale_connection() -> None:
    """Cut in the middle it is a failed attempt, with its pause, on a kept connection too."""

    def handler(connection: Connection) -> None:
        connection.request()
        connection.answer()
        if connection.request():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")

    with RawServer(handler) as server:
        clock = VirtualClock()
        service = client(server.url, clock=clock)
        service.send(Budget(100), Request("GET", server.url))
        assert clock.monotonic() == 0
        assert service.send(Budget(100), Request("GET", server.url)).ok
        assert 0.75 <= clock.monotonic() <= 1.25


def test_the_guard_stands_before_the_quick_retry_of_a_write() -> None:
    """A write on a new connection is a write: the lease may have been lost meanwhile."""
    calls = []

    def guard() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise LeaseLost("taken over")

    with RawServer(closes_on_second) as server:
        service = client(server.url)
        limit = Budget(100, guard=guard)
        write = Request("POST", server.url, write=True)
        service.send(limit, write)
        with pytest.raises(LeaseLost):
            service.send(limit, write)
        assert server.accepted == 1


def test_connections_are_kept() -> None:
    """Requests one after the other use one connection."""
    with RawServer(keeps_answering) as server:
        service = client(server.url)
        for _ in range(5):
            service.send(Budget(100), Request("GET", server.url))
        assert server.accepted == 1


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Past the age at which networks and front ends forget connections, a new one is made."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", -1)
    with RawServer(keeps_answering) as server:
        service = client(server.url)
        for _ in range(3):
            service.send(Budget(100), Request("GET", server.url))
        assert server.accepted == 3


def test_kept_connections_are_probed() -> None:
    """Keep-alive probes well below the 4 idle minutes after which Azure forgets a connection."""
    with RawServer(keeps_answering) as server:
        raw = connecting.connect("127.0.0.1", server.port)
        with raw:
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if hasattr(socket, "TCP_KEEPIDLE"):
                idle = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                interval = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
                assert 0 < idle <= 60
                assert 0 < interval <= 30


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        ("Linux", {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6}),
        ("macOS", {"TCP_KEEPALIVE": 16, "TCP_KEEPINTVL": 257, "TCP_KEEPCNT": 258}),
        ("Windows", {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 17, "TCP_KEEPCNT": 16}),
        ("an old one", {}),
    ],
)
def test_probes_by_the_names_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, names: dict[str, int]
) -> None:
    """Each system has its own names for the same three values; without any the probes are on."""
    del platform
    everywhere = ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name in (*everywhere, "TCP_USER_TIMEOUT"):
        monkeypatch.delattr(socket, name, raising=False)
    for name, number in names.items():
        monkeypatch.setattr(socket, name, number, raising=False)
    options = connecting.socket_options()
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
    assert {number for level, number, _ in options if level == socket.IPPROTO_TCP} == {
        socket.TCP_NODELAY,
        *names.values(),
    }


# Sizes


@cache
def _bomb(encoding: str, megabytes: int) -> bytes:
    kind = {"gzip": 31, "deflate": 15, "raw deflate": -15}[encoding]
    packer = zlib.compressobj(9, zlib.DEFLATED, kind)
    return b"".join([packer.compress(b" " * MEGABYTE) for _ in range(megabytes)] + [packer.flush()])


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
def test_a_bomb_is_refused_at_a_few_megabytes(encoding: str, status: int) -> None:
    """A small answer that unpacks to very much: an error, with memory for the limit only."""
    body = _bomb(encoding, 64)
    headers = (f"Content-Encoding: {encoding.rpartition(' ')[2]}",)
    assert len(body) < MEGABYTE

    def handler(connection: Connection) -> None:
        while connection.request():
            connection.answer(body, *headers, status=f"{status} X")

    with RawServer(handler) as server:
        service = client(server.url)
        tracemalloc.start()
        try:
            with pytest.raises(ServiceError) as caught:
                service.send(Budget(100), Request("GET", server.url))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert caught.value.evidence.status == status
    assert caught.value.evidence.message == "response too large"
    assert peak < 4 * RESPONSE_LIMIT_BYTES


def test_bombs_in_bombs() -> None:
    """Packed several times over, as the header may say."""
    body = gzip.compress(gzip.compress(_bomb("gzip", 64)))

    def handler(connection: Connection) -> None:
        while connection.request():
            connection.answer(body, "Content-Encoding: gzip, gzip, gzip")

    with RawServer(handler) as server:
        service = client(server.url)
        tracemalloc.start()
        try:
            with pytest.raises((MalformedResponse, Unavailable)):
                service.send(Budget(100), Request("GET", server.url))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 * RESPONSE_LIMIT_BYTES


def test_a_response_too_large_is_not_asked_for_again() -> None:
    """It would be as large; so it costs one request."""
    with Loopback() as far:
        far.script(answer(200, "x" * (RESPONSE_LIMIT_BYTES + 1)))
        service = client(far.url)
        with pytest.raises(MalformedResponse, match="too large"):
            service.send(budget(service), Request("GET", far.url))
        assert len(far.requests) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_page_passes(packed: bool) -> None:
    """A listing page of 999 users and a batch of large profiles are well below the limit."""
    users = [{"id": f"{n:036}", "userPrincipalName": "x" * 113} for n in range(999)]
    profiles = [{"Key": "AboutMe", "Value": "y" * 50_000}] * 20
    body = json.dumps([users, profiles]).encode()
    assert len(body) < RESPONSE_LIMIT_BYTES / 2

    def handler(connection: Connection) -> None:
        assert b"\r\nAccept-Encoding: gzip, deflate\r\n" in connection.request()
        if packed:
            connection.answer(gzip.compress(body), "Content-Encoding: gzip")
        else:
            connection.answer(body)

    with RawServer(handler) as server:
        response = client(server.url).send(Budget(100), Request("GET", server.url))
        assert response.value == [users, profiles]


@pytest.mark.parametrize("limit", [0, 1, 999, 1000, 1001])
def test_the_limit_of_a_request(limit: int) -> None:
    """A body as long as the limit passes, one byte more does not."""
    with Loopback() as far:
        far.script(answer(200, "x" * 998))
        service = client(far.url)
        request = Request("GET", far.url, want_json=False, limit=limit)
        response = service.send(budget(service), request)
        assert response.oversize == (limit < 1000)
        assert len(response.body) == (0 if response.oversize else 1000)


# Proxies


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> "Proxy":
    """Set in the environment for all requests, and nothing is excepted."""
    for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    return Proxy(monkeypatch)


class Proxy:
    """Refuses whatever it is asked, and remembers it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[bytes] = []
        self._monkeypatch = monkeypatch

    def handler(self, connection: Connection) -> None:
        self.asked.append(connection.request())
        connection.answer(b"", status="502 Bad Gateway")

    def use(self, server: RawServer) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            self._monkeypatch.setenv(name, server.url)
            self._monkeypatch.setenv(name.lower(), server.url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_for_this_machine(proxy: Proxy, host: str) -> None:
    """Requests to loopback, as in development, go there."""
    with RawServer(proxy.handler) as server, RawServer(keeps_answering) as here:
        proxy.use(server)
        url = here.url.replace("127.0.0.1", host)
        assert client(url).send(Budget(100), Request("GET", url)).ok
        assert not proxy.asked


def test_a_proxy_is_asked_for_the_services(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY and NO_PROXY count for Graph and SharePoint; the token does not go to it."""
    with RawServer(proxy.handler) as server:
        proxy.use(server)
        request = Request("GET", "https://graph.test/x", attempts=1)
        service = client("https://graph.test")
        with pytest.raises(Unavailable):
            service.send(Budget(100), request)
        assert len(proxy.asked) == 1
        assert proxy.asked[0].startswith(b"CONNECT graph.test:443 ")
        assert b"secret" not in proxy.asked[0]

        monkeypatch.setenv("NO_PROXY", "graph.test")
        monkeypatch.setenv("no_proxy", "graph.test")
        with pytest.raises(Unavailable):
            service.send(Budget(100), request)
        assert len(proxy.asked) == 1
