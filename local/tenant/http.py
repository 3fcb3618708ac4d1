"""What travels between client and emulated tenant: one HTTP/1.1 request, one answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol
from urllib.parse import parse_qsl, unquote

MAX_HEADER_LINES = 200
MAX_LINE = 65536


class Clock(Protocol):
    """What the tenant needs of time; the `time` module satisfies it."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        ...


class Malformed(Exception):
    """The client sent something that is no HTTP/1.1 request."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in.

    Attributes:
        method: upper case.
        origin: which of the tenant's hosts was called: `graph`, `mysite`, `admin`, `login`,
            `identity`, and of the second geo `mysite2`, `admin2`.
        target: path and query exactly as sent, still percent-encoded.
        headers: keys in lower case.
        body: all of it; empty when there is none.
    """

    method: str
    origin: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def path(self) -> str:
        """The path as sent, still percent-encoded, without the query."""
        return self.target.partition("?")[0]

    def query(self) -> dict[str, str]:
        """Decoded query options; of a repeated one the last counts."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass(slots=True)
class Response:
    """One answer; `Content-Length`, `Date` and `Connection` are added when it is sent.

    Attributes:
        status: HTTP status.
        body: raw bytes.
        headers: in any case.
        units: resource units that this answer was charged.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    units: float = 0


def json_response(status: int, body: object, **headers: str) -> Response:
    """Answer with a JSON body; underscores in header names become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Content-Type", "application/json")
    return Response(status, json.dumps(body, ensure_ascii=False).encode(), named)


def decode(text: str) -> str:
    """Percent-decode a path segment; a plus sign stays a plus sign.

    Raises:
        UnicodeDecodeError: the bytes behind the escapes are no UTF-8.
    """
    return unquote(text, errors="strict")


def read_request(stream: BinaryIO, origin: str) -> Request | None:
    """Read the next request of a kept connection; None when the client has closed it.

    Raises:
        Malformed: no HTTP/1.1 request, or one cut off in the middle.
    """
    line = stream.readline(MAX_LINE)
    if not line:
        return None
    try:
        method, target, version = line.decode("ascii").split()
    except ValueError as error:
        raise Malformed(f"request line {line[:80]!r}") from error
    if not version.startswith("HTTP/1."):
        raise Malformed(f"version {version}")
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADER_LINES):
        line = stream.readline(MAX_LINE)
        if line in (b"\r\n", b"\n"):
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise Malformed(f"header line {line[:80]!r}")
        headers[name.lower()] = value.strip()
    else:
        raise Malformed("too many header lines")
    return Request(method.upper(), origin, target, headers, _read_body(stream, headers))


def _read_body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int(stream.readline(MAX_LINE).split(b";")[0] or b"0", 16):
            parts.append(stream.read(size))
            stream.readline(MAX_LINE)
        while stream.readline(MAX_LINE).strip():
            pass  # trailers
        return b"".join(parts)
    length = int(headers.get("content-length", "0"))
    body = stream.read(length) if length else b""
    if len(body) != length:
        raise Malformed("body shorter than announced")
    return body
