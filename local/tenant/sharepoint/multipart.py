"""REST `$batch` of SharePoint: `multipart/mixed` in and out.

Source: Microsoft Learn, "Make batch requests with the REST APIs". Reads stand alone, writes stand
in changesets; there is no rollback. SharePoint Online answers with a flat list of parts in the
order of the request, also for those of a changeset.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from local.tenant.http import Response
from local.tenant.sharepoint.odata import invalid

MAX_PARTS: Final = 100
MAX_BODY: Final = 1_048_576
_BOUNDARY: Final = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_REQUEST_LINE: Final = re.compile(r"([A-Z]+) (\S.*) HTTP/1\.[01]")


@dataclass(frozen=True)
class Part:
    """One request of a batch: method, absolute URL or path, lower-case headers, body."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def parse(content_type: str, body: bytes) -> list[Part]:
    """The requests of a batch, in its order.

    Raises:
        ServiceError: 400, too many bytes, no multipart body, a broken part, a write outside of a
            changeset, a read inside of one, no part or too many.
    """
    if len(body) > MAX_BODY:
        raise invalid(
            "The maximum number of bytes allowed to be read from the stream has been exceeded. "
            f"A maximum of {MAX_BODY} bytes is allowed."
        )
    parts = list(_parts(content_type, body, in_changeset=False))
    if not 0 < len(parts) <= MAX_PARTS:
        raise invalid(f"A batch must have 1 to {MAX_PARTS} requests, this one has {len(parts)}.")
    return parts


def _parts(content_type: str, body: bytes, *, in_changeset: bool) -> Iterator[Part]:
    for headers, content in _split(content_type, body):
        kind = headers.get("content-type", "")
        if kind.lower().startswith("multipart/mixed") and not in_changeset:
            yield from _parts(kind, content, in_changeset=True)
        elif kind.lower().startswith("application/http"):
            part = _request(content)
            if (part.method == "GET") == in_changeset:
                place = "inside" if in_changeset else "outside"
                raise invalid(f"A {part.method} request is not allowed {place} a changeset.")
            yield part
        else:
            raise invalid(f"A part of type '{kind}' is not allowed in a batch.")


def _split(content_type: str, body: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    match = _BOUNDARY.search(content_type)
    if match is None or not content_type.lower().startswith("multipart/mixed"):
        raise invalid("A batch must be multipart/mixed with a boundary.")
    delimiter = re.escape((match[1] or match[2]).encode())
    pieces = re.split(rb"(?:\r?\n|\A)--%b(--)?[ \t]*(?=\r?\n|\Z)" % delimiter, body)
    # Preamble, then pairs: closing dashes of the delimiter, and what follows it.
    for closing, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if closing:
            return
        yield _head(piece.removeprefix(b"\r").removeprefix(b"\n"))
    raise invalid("The batch is not closed by its boundary.")


def _head(piece: bytes) -> tuple[dict[str, str], bytes]:
    head, _, content = _cut(piece)
    return _headers(head.decode("latin-1").splitlines()), content


def _cut(piece: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, empty line and body; clients mix both kinds of line ends."""
    match = re.search(rb"\r?\n\r?\n", piece)
    if match is None:
        return piece, b"", b""
    return piece[: match.start()], match[0], piece[match.end() :]


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if line.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _request(content: bytes) -> Part:
    head, _, body = _cut(content)
    lines = head.decode("utf-8", "replace").splitlines()
    match = _REQUEST_LINE.fullmatch(lines[0].strip()) if lines else None
    if match is None:
        raise invalid("A part of the batch is no HTTP request.")
    return Part(match[1], match[2], _headers(lines[1:]), body.strip(b"\r\n"))


def compose(responses: list[Response]) -> tuple[str, bytes]:
    """Content type and body of the answer to a batch."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    written = bytearray()
    for response in responses:
        lines = [
            f"--{boundary}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            "",
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
            *(f"{name.upper()}: {value}" for name, value in response.headers.items()),
            "",
            "",
        ]
        written += "\r\n".join(lines).encode("latin-1") + response.body + b"\r\n"
    written += f"--{boundary}--\r\n".encode()
    return f"multipart/mixed; boundary={boundary}", bytes(written)
