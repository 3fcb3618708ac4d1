"""Deadlines are hard: whatever a server does, an exchange ends. By the real clock on loopback."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.support.clock import VirtualClock
from shared.clock import Clock
from shared.errors import DeadlineExceeded, PatienceExceeded, PhotoSyncError, Unavailable
from shared.http import Budget, Patience, Request, connecting, connections, transport
from tests.support.identity_endpoints import certified
from tests.support.raw_server import Connection, RawServer, full_backlog
from tests.support.scripted_service import FakeTokens, client

SECONDS = 0.4
"""The deadline of these tests; each has to end within a second of it."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def trickled_status(connection: Connection) -> None:
    connection.request()
    connection.trickle(b"HTTP/1.1 200 " + b"O" * 2000)


def trickled_headers(connection: Connection) -> None:
    connection.request()
    connection.send(HEAD)
    connection.trickle(b"X-Header: " + b"x" * 2000)


def many_small_headers(connection: Connection) -> None:
    connection.request()
    connection.send(HEAD)
    while not connection.closing.wait(0.05):
        connection.send(b"X-A: b\r\n")


def endless_interim_responses(connection: Connection) -> None:
    connection.request()
    while not connection.closing.wait(0.01):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def trickled_body(connection: Connection) -> None:
    connection.request()
    connection.send(HEAD + b"Content-Length: 2000\r\n\r\n")
    connection.trickle(b'"' + b"x" * 1998 + b'"')


def trickled_chunks(connection: Connection) -> None:
    connection.request()
    connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not connection.closing.wait(0.05):
        connection.send(b"1\r\nx\r\n")


def body_without_end(connection: Connection) -> None:
    connection.request()
    connection.send(HEAD + b"\r\n")
    while not connection.closing.wait(0.05):
        connection.send(b" ")


def silence(connection: Connection) -> None:
    connection.request()
    connection.hang()


def reads_nothing(connection: Connection) -> None:
    connection.hang()


def answers_once(connection: Connection) -> None:
    connection.request()
    connection.answer()


SLOW: list[Callable[[Connection], None]] = [
    trickled_status,
    trickled_headers,
    many_small_headers,
    endless_interim_responses,
    trickled_body,
    trickled_chunks,
    body_without_end,
    silence,
    reads_nothing,
]


def _send(
    url: str,
    clock: Clock = time,
    seconds: float = SECONDS,
    body: bytes | None = None,
    patience: float | None = None,
) -> tuple[PhotoSyncError, float]:
    """The error that a request ends with, and how many real seconds it took."""
    service = client(url, clock=clock)
    began = time.monotonic()
    limit = Budget(
        clock.monotonic() + seconds,
        patience=None if patience is None else Patience(patience, clock),
    )
    with pytest.raises(PhotoSyncError) as caught:
        service.send(limit, Request("POST" if body else "GET", url + "/x", body=body))
    return caught.value, time.monotonic() - began


@pytest.mark.parametrize("handler", SLOW, ids=lambda handler: handler.__name__)
def test_a_slow_server_does_not_stretch_the_deadline(handler: Callable[..., None]) -> None:
    """Trickled or silent: the request ends at its deadline, as one for which no time is left."""
    with RawServer(handler) as server:
        # More than the buffers of both sockets hold, for the server that reads nothing.
        body = b"x" * 20_000_000 if handler is reads_nothing else None
        error, took = _send(server.url, body=body)
    assert isinstance(error, DeadlineExceeded)
    assert SECONDS - 0.1 <= took < SECONDS + 1


@pytest.mark.parametrize("handler", [trickled_headers, trickled_body, silence])
def test_a_slow_server_uses_up_the_patience_for_one_user(handler: Callable[..., None]) -> None:
    """The time of one user's requests is bounded apart from the deadline of the run."""
    with RawServer(handler) as server:
        error, took = _send(server.url, seconds=1000, patience=SECONDS)
    assert isinstance(error, PatienceExceeded)
    assert took < SECONDS + 1


def test_an_attempt_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of many minutes does not wait for one trickled answer all that time."""
    monkeypatch.setattr(transport, "ATTEMPT_SECONDS", 0.2)
    with RawServer(trickled_body) as server:
        error, took = _send(server.url, VirtualClock(), seconds=1000)
        assert server.accepted == 4
    assert isinstance(error, Unavailable)
    assert took < 4 * 0.2 + 1


def test_the_limits_leave_time_for_a_second_attempt_in_a_call() -> None:
    """A call has 45 s: a silent connection, kept or new, must not use them up."""
    assert connections.FIRST_BYTE_SECONDS + transport.READ_SECONDS <= 45
    assert connecting.CONNECT_SECONDS + transport.READ_SECONDS <= 45
    assert transport.ATTEMPT_SECONDS <= 60


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux drops the packets")
def test_a_hanging_connect_ends() -> None:
    """A host that does not answer to a connection: until the deadline, not for minutes."""
    with full_backlog() as port:
        error, took = _send(f"http://127.0.0.1:{port}")
    assert isinstance(error, DeadlineExceeded)
    assert took < SECONDS + 1


def test_a_dead_address_does_not_use_up_the_time_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host with several addresses is reached by the one that answers."""
    real = socket.getaddrinfo
    with full_backlog() as dead, RawServer(answers_once) as server:

        def addresses(host: str, port: int, *arguments: object, **options: object) -> object:
            assert (host, port) == ("127.0.0.1", server.port)
            return real(host, dead, *arguments, **options) + real(host, port)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", addresses)
        monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.6)
        began = time.monotonic()
        service = client(server.url, clock=time)
        limit = Budget(began + 30)
        assert service.send(limit, Request("GET", server.url)).value == {}
        assert time.monotonic() - began < 1.6


def test_a_hanging_name_resolution_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver knows no time-out; the request has one all the same."""
    release = threading.Event()

    def hang(*_arguments: object, **_options: object) -> list[object]:
        release.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        error, took = _send("http://graph.test")
    finally:
        release.set()
    assert isinstance(error, DeadlineExceeded)
    assert took < SECONDS + 1


@pytest.mark.parametrize("trickled", [False, True])
def test_a_hanging_tls_handshake_ends(*, trickled: bool) -> None:
    """A server that accepts and then does not finish the handshake."""

    def handler(connection: Connection) -> None:
        if trickled:
            # A record of a handshake that is never complete.
            connection.trickle(b"\x16\x03\x03\x40\x00" + b"\x02" * 2000)
        else:
            connection.hang()

    with RawServer(handler) as server:
        error, took = _send(server.url.replace("http:", "https:"))
    assert isinstance(error, DeadlineExceeded)
    assert took < SECONDS + 1


@pytest.mark.parametrize("handler", [trickled_headers, trickled_body, silence])
def test_a_slow_server_behind_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: Callable[..., None]
) -> None:
    """The same over TLS, where sockets are of another kind."""
    tls, certificate = certified(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
    with RawServer(handler, tls) as server:
        error, took = _send(server.url)
        assert server.accepted == 1
    assert isinstance(error, DeadlineExceeded)
    assert SECONDS - 0.1 <= took < SECONDS + 1


def test_an_answer_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole answers come through TLS, several on one connection; a stranger's certificate not."""

    def handler(connection: Connection) -> None:
        while connection.request():
            connection.answer(b'{"a": 1}')

    tls, certificate = certified(tmp_path)
    with RawServer(handler, tls) as server:
        error, _ = _send(server.url, VirtualClock(), seconds=100)
        assert isinstance(error, Unavailable)
        assert error.evidence.message == "SSLError"
        before = server.accepted
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
        service = server.service
        for _ in range(3):
            response = service.send(Budget(100), Request("GET", server.url))
            assert response.value == {"a": 1}
        assert server.accepted == before + 1


@pytest.mark.parametrize("kind", ["silent", "trickled"])
def test_a_proxy_that_does_not_open_its_tunnel(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A proxy keeps to the deadline as well as a service does."""

    def handler(connection: Connection) -> None:
        assert connection.request().startswith(b"CONNECT graph.test:443 ")
        if kind == "silent":
            connection.hang()
        connection.trickle(b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 500)

    with RawServer(handler) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        error, took = _send("https://graph.test")
        assert server.accepted == 1
    assert isinstance(error, DeadlineExceeded)
    assert took < SECONDS + 1


def test_requests_that_hang_do_not_hold_up_others_beyond_their_deadline() -> None:
    """All slots are held by hanging requests: who waits is told at their own deadline."""
    started = threading.Semaphore(0)

    def handler(connection: Connection) -> None:
        connection.request()
        started.release()
        connection.hang()

    with RawServer(handler) as server, ThreadPoolExecutor(4) as pool:
        service = client(server.url, clock=time, concurrency=4)
        now = time.monotonic()
        run = Budget(now + 3)
        hanging = [
            pool.submit(service.send, run, Request("GET", server.url, attempts=1)) for _ in range(4)
        ]
        for _ in range(4):
            assert started.acquire(timeout=5)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            service.send(Budget(began + SECONDS), Request("GET", server.url))
        assert time.monotonic() - began < SECONDS + 1
        for request in hanging:
            assert isinstance(request.exception(10), PhotoSyncError)
        assert time.monotonic() - now < 4


def test_the_source_of_tokens_is_told_the_deadline() -> None:
    """A token that does not come in time is not waited for."""
    asked = []

    class Tokens(FakeTokens):
        def token(self, resource: str, deadline: float = 0.0) -> str:
            asked.append(deadline)
            return super().token(resource)

    with RawServer(answers_once) as server:
        service = client(server.url, tokens=Tokens())
        service.send(Budget(77), Request("GET", server.url))
    assert asked == [77]


def test_the_reading_of_a_tls_record_is_bounded_as_a_whole(tmp_path: Path) -> None:
    """Bytes of one TLS record that trickle in are no progress for the reader."""
    tls, certificate = certified(tmp_path)
    record = ssl.create_default_context(cafile=certificate)
    assert record.verify_mode == ssl.CERT_REQUIRED  # the client's default, which is used here

    raw_server = socket.create_server(("127.0.0.1", 0))
    port = raw_server.getsockname()[1]
    stop = threading.Event()

    def serve() -> None:
        raw, _ = raw_server.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = tls.wrap_bio(incoming, outgoing, server_side=True)
        raw.settimeout(5)

        def pump(action: Callable[[], object]) -> object:
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65_536))

        with raw:
            try:
                pump(secure.do_handshake)
                pump(lambda: secure.read(65_536))
                secure.write(HEAD + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000)
                for value in outgoing.read():
                    if stop.wait(0.05):
                        return
                    raw.sendall(bytes([value]))
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REQUESTS_CA_BUNDLE", certificate)
            error, took = _send(f"https://127.0.0.1:{port}")
    finally:
        stop.set()
        thread.join(5)
        raw_server.close()
    assert isinstance(error, DeadlineExceeded)
    assert took < SECONDS + 1
