"""The wire under the local host: a threaded HTTP/1.1 server, and Kestrel's view of paths."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.host.worker import HttpAnswer

_ESCAPES = re.compile(r"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+")
_MAX_BODY_BYTES = 100 * 1024 * 1024  # the platform's limit


@dataclass(frozen=True)
class Request:
    """A request as the Functions host hands it on.

    Attributes:
        method: upper case.
        target: path and query as sent.
        headers: names in lower case, empty ones dropped, repeated ones joined by a comma.
        body: empty unless a Content-Length announced it.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Still percent-encoded, without the question mark."""
        return self.target.partition("?")[2]


def decode_path(path: str) -> str | None:
    """Decode a path once, as Kestrel does: all but `%2F`, and nothing that is not UTF-8.

    Returns:
        None for a path with a null character, which Kestrel refuses with 400.
    """

    def decode(match: re.Match[str]) -> str:
        try:
            return bytes.fromhex(match[0].replace("%", "")).decode()
        except UnicodeDecodeError:
            return match[0]

    decoded = _ESCAPES.sub(decode, path)
    return None if "\0" in decoded else decoded


class Server:
    """Answers on 127.0.0.1 with what a callable returns, one thread a connection.

    Args:
        answer: called from many threads; it must not raise.
        port: 0 for any free one.

    Attributes:
        url: `http://127.0.0.1:<port>`.
    """

    def __init__(self, answer: Callable[[Request], HttpAnswer], port: int) -> None:
        class Handler(_Handler):
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


class _Listener(ThreadingHTTPServer):
    block_on_close = False  # an idle keep-alive connection must not hold up stop()
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet

    respond: Callable[[Request], HttpAnswer]

    def handle_one_request(self) -> None:
        """Read one request, whatever its method, and write the answer."""
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            answer = self._exchange()
            self._write(answer)
        except (ConnectionError, TimeoutError, ValueError):  # gone, or a malformed chunk
            self.close_connection = True

    def _exchange(self) -> HttpAnswer:
        length = self.headers.get("content-length", "0")
        if not length.isdecimal():
            self.close_connection = True
            return HttpAnswer(HTTPStatus.BAD_REQUEST)
        if int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
            return HttpAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if "transfer-encoding" in self.headers:
            self._skip_chunks()
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            if value:
                headers[key] = f"{headers[key]},{value}" if key in headers else value
        return self.respond(Request(self.command.upper(), self.path, headers, body))

    def _skip_chunks(self) -> None:
        # the host passes on no body without a length, but the connection stays usable
        while size := int(self.rfile.readline(64).partition(b";")[0] or b"0", 16):
            self.rfile.read(size + 2)
        while self.rfile.readline(65537).strip():
            pass

    def _write(self, answer: HttpAnswer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def version_string(self) -> str:
        """Value of the Server header: what answers in Azure."""
        return "Kestrel"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the host logs invocations itself."""
