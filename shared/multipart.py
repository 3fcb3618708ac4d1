"""OData `$batch` of SharePoint, reading only: many GETs in one POST.

Source: SharePoint documentation, "Make batch requests with the REST APIs" (multipart/mixed, parts
answered in the order they were asked, each with its own status line).
"""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

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


def parse(body: bytes, content_type: str) -> list[tuple[int, Any]]:
    """Status and JSON body of each part, in order; a part that cannot be read is `(0, None)`.

    An answer that is no multipart gives an empty list.
    """
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if not match:
        return []
    parts = body.split(b"--" + match[1].encode("latin-1", "replace"))
    return [_part(part) for part in parts[1:] if not part.startswith(b"--")]


def _part(part: bytes) -> tuple[int, Any]:
    status = _STATUS.search(part)
    if not status:
        return 0, None
    _, _, content = part[status.start() :].replace(b"\r\n", b"\n").partition(b"\n\n")
    try:
        return int(status[1]), json.loads(content)
    except (ValueError, RecursionError):
        return int(status[1]), None
