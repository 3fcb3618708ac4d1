"""A server of bytes on loopback: what it sends, and when, is up to the test."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Self

from shared.http import Service
from tests.support.scripted_service import client

type Handler = Callable[["Connection"], None]


class Connection:
    """One accepted connection.

    Attributes:
        raw: its socket.
        number: how many were accepted before.
        closing: set when the server stops.
    """

    def __init__(self, raw: socket.socket, number: int, closing: threading.Event) -> None:
        self.raw = raw
        self.number = number
        self.closing = closing

    def request(self) -> bytes:
        """The next request, up to the end of its headers; empty when the client is gone."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            byte = self.raw.recv(1)
            if not byte:
                return b""
            data += byte
        return data

    def send(self, data: bytes) -> None:
        """Send all at once."""
        self.raw.sendall(data)

    def answer(self, body: bytes = b"{}", *headers: str, status: str = "200 OK") -> None:
        """Send a whole response; the connection is kept."""
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def trickle(self, data: bytes, seconds: float = 0.05) -> None:
        """Send byte after byte until the client gives up."""
        for value in data:
            if self.closing.wait(seconds):
                return
            self.send(bytes([value]))

    def hang(self) -> None:
        """Do nothing until the server stops."""
        self.closing.wait(60)


class RawServer:
    """Use as a context manager.

    Args:
        handler: serves one connection; it is closed when this returns.
        tls: for https.

    Attributes:
        accepted: how many connections came.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        self._handler = handler
        self._tls = tls
        self._closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for raw in (self._socket, *self._connections):
            with contextlib.suppress(OSError):  # closing alone does not wake a thread that waits
                raw.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def service(self) -> Service:
        """A new client of it."""
        return client(self.url)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            self._connections.append(raw)
            self._start(self._serve, raw, self.accepted - 1)

    def _serve(self, raw: socket.socket, number: int) -> None:
        raw.settimeout(5)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, ssl.SSLError), contextlib.ExitStack() as stack:
            if self._tls:
                raw = self._tls.wrap_socket(raw, server_side=True)
                self._connections.append(raw)
            stack.enter_context(raw)
            self._handler(Connection(raw, number, self._closing))


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port of loopback whose connections are never completed; yields its number."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):  # more than fit: further SYN packets are dropped
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
