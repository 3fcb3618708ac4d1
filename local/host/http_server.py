"""A threaded HTTP/1.1 server on loopback that answers as Kestrel does under the Functions host.

`h11` parses; what Kestrel refuses and h11 does not (long request lines, many headers, repeated
lengths, slow bodies) is refused here. Answers are written here, because the Functions host leaves
the length of an answer to its framing: a body goes out in chunks.
"""

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedIOBase

import h11

from local.host.http_message import BadRequest, HttpAnswer, Request

_MAX_LINE_BYTES = 8192
_MAX_HEAD_BYTES = 32 * 1024
_MAX_HEADERS = 100
_MAX_BODY_BYTES = 104_857_600
_BODY_BYTES_A_SECOND = 240
_BODY_GRACE_SECONDS = 5.0
_IDLE_SECONDS = 130
_READ_BYTES = 65_536
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED)

type Answer = Callable[[Request], HttpAnswer]


class Server:
    """Answers on 127.0.0.1 with what a callable returns, one thread for each connection.

    Args:
        answer: called from many threads; it must not raise.
        port: 0 for any free one.

    Attributes:
        url: `http://127.0.0.1:<port>`.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, answer: Answer, port: int) -> None:
        class Handler(_Connection):
            respond = staticmethod(answer)

        self._server = _Listener(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=lambda: self._server.serve_forever(poll_interval=0.05), daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting connections and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    block_on_close = False  # an idle keep-alive connection must not hold up stop()
    daemon_threads = True
    request_queue_size = 512


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet

    respond: Answer

    def handle(self) -> None:
        """Exchange requests and answers until one side has enough."""
        try:
            while self._exchange():
                self.wfile.flush()
            self.wfile.flush()
        except (ConnectionError, TimeoutError):
            pass  # the client is gone

    def _exchange(self) -> bool:
        """Answer one request; tells whether the connection can carry another one."""
        self.connection.settimeout(_IDLE_SECONDS)
        try:
            head = _read_head(self.rfile)
            if head is None:
                return False
            parser = h11.Connection(h11.SERVER, _MAX_HEAD_BYTES + _MAX_LINE_BYTES)
            event = _parse(parser, head)
            headers = _headers(event)
            body = _Body(self, parser, headers)
            method, target = event.method.decode(), event.target.decode()
            request = Request.of(method, target, headers, body.receive)
        except BadRequest as refusal:
            self.wfile.write(_framed(HttpAnswer(refusal.status), "GET", close=True)[0])
            return False
        try:
            answer = self.respond(request)
        except BodyRefused:
            answer = HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR)
            body.broken = True
        old = event.http_version == b"1.0"
        close = body.broken or old or "close" in headers.get("connection", "").lower()
        data, usable = _framed(answer, method, close=close, chunked=not old)
        self.wfile.write(data)
        self.wfile.flush()
        return usable and body.drain()

    def finish(self) -> None:
        """Close; a client that is gone already is no error."""
        with contextlib.suppress(OSError):
            super().finish()


class BodyRefused(Exception):
    """The body is larger or slower than the host takes: 500, and the function is not called."""


class _Body:
    """The body of one request, read when it is asked for."""

    def __init__(
        self, connection: _Connection, parser: h11.Connection, headers: dict[str, str]
    ) -> None:
        self._connection = connection
        self._parser = parser
        self._chunked = "transfer-encoding" in headers
        self._length = 0 if self._chunked else int(headers.get("content-length") or 0)
        self._continue = "100-continue" in headers.get("expect", "").lower()
        self._read: bytes | None = None
        self.broken = False

    def receive(self) -> bytes:
        """The whole body; empty when no length announced it, as a chunked one.

        Raises:
            BodyRefused: it is too large or comes too slowly.
        """
        if self._read is None:
            if self._length > _MAX_BODY_BYTES:
                raise BodyRefused
            self._read = b"" if self._chunked else self._all()
        return self._read

    def drain(self) -> bool:
        """Read what nobody asked for; tells whether the connection can be used again."""
        if self.broken or (self._continue and self._read is None):
            return False
        try:
            if self._read is None or self._chunked:
                self._all()
        except (BodyRefused, BadRequest):
            return False
        return True

    def _all(self) -> bytes:
        if self._continue and (self._length or self._chunked):
            self._connection.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._connection.wfile.flush()
            self._continue = False
        parts: list[bytes] = []
        started, received = time.monotonic(), 0
        while not isinstance(event := self._next(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
                continue
            late = started + max(_BODY_GRACE_SECONDS, received / _BODY_BYTES_A_SECOND)
            data = self._some(late - time.monotonic(), self._length - received)
            received += len(data)
            self._parser.receive_data(data)
        return b"".join(parts)

    def _next(self) -> object:
        try:
            return self._parser.next_event()
        except h11.RemoteProtocolError as error:
            self.broken = True
            raise BadRequest from error

    def _some(self, seconds: float, missing: int) -> bytes:
        """A part of the body, and nothing of what follows it on the connection."""
        if seconds <= 0:
            raise BodyRefused
        self._connection.connection.settimeout(seconds)
        try:
            if self._chunked:
                return self._connection.rfile.readline(_READ_BYTES)
            return self._connection.rfile.read1(min(missing, _READ_BYTES))
        except TimeoutError as error:
            raise BodyRefused from error


def _read_head(stream: BufferedIOBase) -> bytes | None:
    """Request line and header lines as they came; None when the client closed the connection.

    Raises:
        BadRequest: 414 for a long request line, 431 for many or large headers.
    """
    line = stream.readline(_MAX_LINE_BYTES + 1)
    if len(line) > _MAX_LINE_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_URI_TOO_LONG)
    lines, size = [line], 0
    while line not in (b"\r\n", b"\n"):
        line = stream.readline(_MAX_HEAD_BYTES + 1)
        size += len(line)
        if size > _MAX_HEAD_BYTES or len(lines) > _MAX_HEADERS + 1:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not line:
            return None
        lines.append(line)
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    if len(lengths) > 1 or any(b"," in line for line in lengths):
        raise BadRequest
    return b"".join(lines)


def _parse(parser: h11.Connection, head: bytes) -> h11.Request:
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        raise BadRequest from error
    if not isinstance(event, h11.Request):
        raise BadRequest
    if event.http_version not in (b"1.0", b"1.1"):
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    return event


def _headers(event: h11.Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    try:
        for raw, content in event.headers:
            name, value = raw.decode(), content.decode()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    except UnicodeDecodeError as error:
        raise BadRequest from error
    return headers


def _framed(
    answer: HttpAnswer, method: str, *, close: bool, chunked: bool = True
) -> tuple[bytes, bool]:
    """The bytes of an answer, and whether the connection is of use afterwards."""
    if not _can_be_sent(answer):
        answer = HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR)
    own = {name.lower(): value for name, value in answer.headers.items()}.get("content-length")
    body, status = answer.body, answer.status
    lines = [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"Set-Cookie: {cookie}" for cookie in answer.cookies]
    lines += [f"Date: {formatdate(usegmt=True)}", "Server: Kestrel"]
    if method == "HEAD":
        body = b""
    elif status in _WITHOUT_BODY:
        # Kestrel refuses the body when the head is out already, and drops the connection.
        close = close or bool(body)
        body = b""
        if status == HTTPStatus.RESET_CONTENT:
            lines.append("Content-Length: 0")
    elif own is not None:
        close = close or int(own) > len(body)
    elif not body:
        lines.append("Content-Length: 0")
    elif chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    if close:
        lines.append("Connection: close")
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    head = "\r\n".join([f"HTTP/1.1 {status} {phrase}", *lines, "", ""])
    return head.encode("ascii") + body, not close


def _can_be_sent(answer: HttpAnswer) -> bool:
    """Whether Kestrel takes the headers: ASCII, one line each, a length that is not too small."""
    for name, value in answer.headers.items():
        if not value.isascii() or any(character < " " and character != "\t" for character in value):
            return False
        if name.lower() == "content-length" and not (
            value.isdecimal() and int(value) >= len(answer.body)
        ):
            return False
    return True
