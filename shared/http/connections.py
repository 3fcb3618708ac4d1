"""Connections that keep a hard deadline, whatever the other side does.

The time-outs of `requests` and urllib3 limit one silence, so an answer of one byte a second never
ends. Here every single operation on a socket gets what is left of its exchange: name resolution,
connecting, the TLS handshake, sending, headers, body.
"""

import io
import socket
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from shared.http.connecting import connect
from shared.http.exchange import current

FIRST_BYTE_SECONDS = 10.0
"""Longest silence of a kept connection before its first byte. A network that forgot the connection
drops packets without a word; a new connection then answers at once."""

IDLE_SECONDS = 120.0
"""Age of its last use from which a kept connection is not used again."""

_BLOCK_BYTES = 65_536


class _Reader(io.RawIOBase):
    """Reads from a socket; every read has the time that is left."""

    def __init__(self, owner: "_BoundedSocket", raw: Any) -> None:
        super().__init__()
        self._owner = owner
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        it = current()
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
        it = current()
        self._raw.settimeout(it.seconds(silence) if it else silence)

    def sendall(self, data: Any, *flags: int) -> None:
        view = memoryview(data).cast("B")
        while view:
            self.prepare()
            view = view[self._raw.send(view[:_BLOCK_BYTES], *flags) :]

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self, self._raw.makefile("rb", buffering=0)), _BLOCK_BYTES)


class _Bounded:
    """What both kinds of connections have in common; stands before urllib3's class."""

    _uses = 0
    _used_at = 0.0

    def _new_conn(self: Any) -> Any:
        try:
            return _BoundedSocket(connect(self._dns_host, self.port))
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
        it = current()
        if it:
            it.reused = False

    @property
    def is_connected(self: Any) -> bool:
        """Whether urllib3 may use this kept connection again."""
        it = current()
        idle = time.monotonic() - self._used_at
        if (it and it.fresh) or idle > IDLE_SECONDS:
            return False
        return bool(super().is_connected)  # type: ignore[misc]

    def request(self: Any, *arguments: Any, **options: Any) -> None:
        it = current()
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
