"""OData `$batch` of SharePoint, reading only: many GETs in one POST.

Source: SharePoint documentation, "Make batch requests with the REST APIs" (multipart/mixed, parts
returned in the order of the requests, each with its own status line).
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MAX_PARTS = 20
"""Parts per batch: what a widespread client uses by default; others go up to 100."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")


def build(urls: Sequence[str]) -> tuple[bytes, str]:
    """Body and Content-Type of a batch of GETs.

    Args:
        urls: absolute and completely encoded, all of the same site.
    """
    boundary = f"batch_{uuid.uuid4()}"
    lines = []
    for url in urls:
        lines += [
            f"--{boundary}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            "",
            f"GET {url} HTTP/1.1",
            "Accept: application/json;odata=nometadata",
            "",
        ]
    lines += [f"--{boundary}--", ""]
    return "\r\n".join(lines).encode(), f'multipart/mixed; boundary="{boundary}"'


class Part(NamedTuple):
    """The response to one request of a batch.

    Attributes:
        status: HTTP status; 0 for what cannot be read.
        headers: names in lower case.
        value: parsed JSON; None for anything else.
    """

    status: int = 0
    headers: Mapping[str, str] = {}
    value: Any = None


def parse(body: bytes, content_type: str) -> list[Part]:
    """The parts of a batch response, in order; empty for what is no multipart."""
    match = re.search(r'boundary="?([^";]+)"?', content_type, re.IGNORECASE)
    if not match:
        return []
    parts = body.split(b"--" + match[1].strip().encode("latin-1", "replace"))
    return [_part(part) for part in parts[1:] if not part.startswith(b"--")]


def _part(part: bytes) -> Part:
    status = _STATUS.search(part)
    if not status:
        return Part()
    head, _, content = part[status.end() :].replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = (line.partition(":") for line in head.decode("latin-1").splitlines()[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    try:
        return Part(int(status[1]), headers, json.loads(content))
    except (ValueError, RecursionError):
        return Part(int(status[1]), headers)
