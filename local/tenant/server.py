"""HTTP/1.1 server on loopback ports: threads, kept connections, and deliberately bad delivery."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import BinaryIO

from local.tenant.faults import Delivery
from local.tenant.http import Malformed, Request, Response, read_request

TRICKLE_SECONDS = 0.2
"""Real seconds between two bytes of an answer that trickles."""

Handler = Callable[[Request], tuple[Response, Delivery]]


CONNECTION_THREAD = "tenant-connection"
"""Name of the threads that serve a connection each; how many there are follows the load."""


class Listener:
    """One origin: a port of 127.0.0.1 and a thread for each connection.

    Args:
        origin: name of the origin, given to every request.
        handler: answers a request and says how to deliver the answer.
        port: 0 takes a free one.
        tls: serve HTTPS.
    """

    def __init__(
        self, origin: str, handler: Handler, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.origin = origin
        self._handler = handler
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name=f"tenant-{origin}", daemon=True)

    @property
    def url(self) -> str:
        """Root URL without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection, and wait for their threads."""
        self._closed = True
        self._closing.set()
        with contextlib.suppress(OSError):
            # Closing alone does not wake a thread that waits in accept.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(5)
        with self._lock:
            connections = dict(self._connections)
        # A thread that waits for a request wakes up; one that answers a request may finish.
        how = socket.SHUT_RDWR if self._tls is not None else socket.SHUT_RD
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(how)
        for thread in connections.values():
            if thread is not threading.current_thread():
                thread.join(5)

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._serve, args=(connection,), name=CONNECTION_THREAD, daemon=True
            )
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            if self._tls is not None:
                # Wrapping detaches the raw socket: from here on stop() must close the new one.
                connection = self._tls.wrap_socket(
                    raw, server_side=True, do_handshake_on_connect=False
                )
                with self._lock:
                    self._connections[connection] = self._connections.pop(raw)
                connection.do_handshake()
            with connection.makefile("rb") as stream:
                while not self._closed and self._exchange(connection, stream):
                    pass
        except (OSError, ValueError):
            pass  # the client went away, or stop() closed the connection under us
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()

    def _exchange(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """One request and its answer; False when the connection must not be kept."""
        try:
            request = read_request(stream, self.origin)
        except Malformed as error:
            connection.sendall(encode(Response(400, str(error).encode()), keep=False))
            return False
        if request is None:
            return False
        response, delivery = self._handler(request)
        match delivery:
            case Delivery.WHOLE:
                keep = request.headers.get("connection", "").lower() != "close"
                connection.sendall(encode(response, keep=keep))
                return keep
            case Delivery.HALF:
                whole = encode(response, keep=True)
                connection.sendall(whole[: len(whole) - (len(response.body) + 1) // 2])
            case Delivery.RESET:
                # Zero linger makes close() send RST in place of FIN.
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            case Delivery.HANG:
                stream.read(1)
            case Delivery.TRICKLE:
                self._trickle(connection, encode(response, keep=False))
            case Delivery.NONE:
                pass
        return False

    def _trickle(self, connection: socket.socket, whole: bytes) -> None:
        """Send byte after byte until the client gives up or the tenant stops."""
        for position in range(len(whole)):
            if self._closing.wait(TRICKLE_SECONDS):
                return
            connection.sendall(whole[position : position + 1])


def encode(response: Response, *, keep: bool) -> bytes:
    """The bytes of an answer on the wire."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Length: {len(response.body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
