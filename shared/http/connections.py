"""Connections that keep a hard deadline, whatever the other side does.

The time-outs of `requests` and urllib3 limit one silence, so an answer of one byte a second never
ends. Here every single operation on a socket gets what is left of its exchange: name resolution,
connecting, the TLS handshake, sending, headers, body.
"""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

CONNECT_SECONDS = 10.0
"""Longest time until a connection stands, all addresses of the host together."""

FIRST_BYTE_SECONDS = 10.0
"""Longest silence of a kept connection before its first byte. A network that forgot the connection
drops packets without a word; a new connection then answers at once."""

IDLE_SECONDS = 120.0
"""Age of its last use from which a kept connection is not used again."""

_PROBE_IDLE_SECONDS, _PROBE_INTERVAL_SECONDS, _PROBES = 30, 10, 3
"""Azure's network forgets a connection after 4 idle minutes. Source: Azure docs, "Outbound
connections", TCP keep-alives."""

_UNACKNOWLEDGED_MILLISECONDS = 15_000

_BLOCK_BYTES = 65_536


def socket_options() -> list[tuple[int, int, int]]:
    """Options of every socket: no delay, and keep-alive probes by the names of this platform."""
    tcp = socket.IPPROTO_TCP
    options = [(tcp, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    named = {
        "TCP_KEEPIDLE": _PROBE_IDLE_SECONDS,  # Linux, Windows
        "TCP_KEEPALIVE": _PROBE_IDLE_SECONDS,  # macOS
        "TCP_KEEPINTVL": _PROBE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": _UNACKNOWLEDGED_MILLISECONDS,  # Linux: probes do not cover sent data
    }
    options += [
        (tcp, getattr(socket, name), value)
        for name, value in named.items()
        if hasattr(socket, name)
    ]
    return options


@dataclass
class Exchange:
    """One request and its answer on a connection.

    Attributes:
        left: gives the seconds until the exchange must have ended.
        fresh: do not use a kept connection.
        reused: a kept connection is used.
        received: bytes that came.
    """

    left: Callable[[], float]
    fresh: bool = False
    reused: bool = False
    received: int = 0

    @property
    def stale(self) -> bool:
        """Whether a kept connection gave no byte: its other end may have forgotten it."""
        return self.reused and not self.received

    def seconds(self, silence: float | None) -> float:
        """Time-out of the next operation on the socket.

        Args:
            silence: longest silence that is allowed anyway; None for any.

        Raises:
            TimeoutError: no time is left.
        """
        left = self.left()
        if left <= 0:
            raise TimeoutError("the deadline of the exchange has passed")
        return left if silence is None else min(left, silence)


_current: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@contextmanager
def exchange(left: Callable[[], float], *, fresh: bool = False) -> Iterator[Exchange]:
    """Bound everything that this thread does on connections of this module."""
    it = Exchange(left, fresh=fresh)
    token = _current.set(it)
    try:
        yield it
    finally:
        _current.reset(token)


def within(seconds: float) -> Callable[[], float]:
    """The seconds that are left of so many from now on, by the real clock."""
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


class _Reader(io.RawIOBase):
    """Reads from a socket; every read has the time that is left."""

    def __init__(self, owner: "_BoundedSocket", raw: Any) -> None:
        super().__init__()
        self._owner = owner
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        it = _current.get()
        self._owner.prepare(first_byte=bool(it and it.stale))
        count: int | None = self._raw.readinto(buffer)
        if it:
            it.received += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedSocket:
    """A connected socket, plain or TLS, as http.client uses it."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._silence: float | None = raw.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def settimeout(self, seconds: float | None) -> None:
        self._silence = seconds
        self._raw.settimeout(seconds)

    def prepare(self, *, first_byte: bool = False) -> None:
        """Set the time-out of the next operation."""
        silence = self._silence
        if first_byte:
            silence = FIRST_BYTE_SECONDS if silence is None else min(silence, FIRST_BYTE_SECONDS)
        it = _current.get()
        self._raw.settimeout(it.seconds(silence) if it else silence)

    def sendall(self, data: Any, *flags: int) -> None:
        view = memoryview(data).cast("B")
        while view:
            self.prepare()
            view = view[self._raw.send(view[:_BLOCK_BYTES], *flags) :]

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self, self._raw.makefile("rb", buffering=0)), _BLOCK_BYTES)


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Addresses of a host. The system's resolver knows no time-out, so a thread waits for it."""
    results: list[Any] = []
    errors: list[OSError] = []

    def ask() -> None:
        try:
            results.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            errors.append(error)
        except UnicodeError as error:
            errors.append(socket.gaierror(str(error)))

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("the name was not resolved in time")
    return results


def _connect(host: str, port: int) -> socket.socket:
    """A connected socket to the first address that answers.

    Each address gets half of what is left, so that a dead one does not use up the time of all.
    """
    it = _current.get()
    budget = within(CONNECT_SECONDS)

    def left() -> float:
        seconds = min(budget(), it.left() if it else CONNECT_SECONDS)
        if seconds <= 0:
            raise TimeoutError("not connected in time")
        return seconds

    addresses = _resolve(host, port, left())
    failure: OSError = OSError("no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        raw = socket.socket(family, kind, protocol)
        try:
            for option in socket_options():
                raw.setsockopt(*option)
            raw.settimeout(left() if number == len(addresses) else left() / 2)
            raw.connect(address)
            raw.settimeout(left())  # that of a TLS handshake as a whole
            return raw
        except OSError as error:
            failure = error
            raw.close()
    raise failure


class _Bounded:
    """What both kinds of connections have in common; stands before urllib3's class."""

    _uses = 0
    _used_at = 0.0

    def _new_conn(self: Any) -> Any:
        try:
            return _BoundedSocket(_connect(self._dns_host, self.port))
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host} took too long") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection to {self.host}") from error

    def connect(self: Any) -> None:
        super().connect()  # type: ignore[misc]
        if not isinstance(self.sock, _BoundedSocket):  # TLS makes a socket of its own
            self.sock = _BoundedSocket(self.sock)
        self._uses = 0
        it = _current.get()
        if it:
            it.reused = False

    @property
    def is_connected(self: Any) -> bool:
        """Whether urllib3 may use this kept connection again."""
        it = _current.get()
        idle = time.monotonic() - self._used_at
        if (it and it.fresh) or idle > IDLE_SECONDS:
            return False
        return bool(super().is_connected)  # type: ignore[misc]

    def request(self: Any, *arguments: Any, **options: Any) -> None:
        it = _current.get()
        if it:
            it.reused = self.sock is not None and self._uses > 0
        super().request(*arguments, **options)  # type: ignore[misc]

    def getresponse(self: Any) -> Any:
        response = super().getresponse()  # type: ignore[misc]
        self._uses += 1
        self._used_at = time.monotonic()
        return response


class _Connection(_Bounded, HTTPConnection):  # type: ignore[misc] # the socket is wrapped
    pass


class _TlsConnection(_Bounded, HTTPSConnection):  # type: ignore[misc] # the socket is wrapped
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class BoundedAdapter(HTTPAdapter):
    """Makes a session of `requests` use these connections, also through a proxy."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools."""
        super().init_poolmanager(*arguments, **options)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        _bound(manager)
        return manager


def _bound(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def mount(session: requests.Session, connections: int = 10) -> None:
    """Give a session connections of this module.

    Args:
        session: any.
        connections: most that are kept for one host.
    """
    adapter = BoundedAdapter(pool_connections=8, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)


def read_body(response: requests.Response, limit: int) -> bytes:
    """The body of a streamed response, unpacked; longer than `limit` if it is cut off there."""
    body = bytearray()
    for chunk in response.iter_content(_BLOCK_BYTES):
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)
