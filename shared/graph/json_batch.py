"""JSON batches of Microsoft Graph: many requests in one. The form only; pure.

Source: Microsoft Graph documentation, "Combine multiple HTTP requests using JSON batching".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.errors import Evidence
from shared.http import TOO_MANY, Response, error_of, printable

BATCH_SIZE = 20
"""Most items of a JSON batch."""

PASSING = frozenset({0, 408, TOO_MANY, 500, 502, 503, 504, 509})
"""Statuses of items that are worth asking again; 0 is a missing answer."""


@dataclass(frozen=True)
class ItemRequest:
    """One request of a batch.

    Attributes:
        url: relative to the version root, completely encoded.
        headers: of this item.
        body: JSON of a POST; None for a GET.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


class Item(NamedTuple):
    """The response to one item of a batch; status 0 when there is none that can be used."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: Any = None

    def evidence(self, asked: Evidence) -> Evidence:
        """What was asked, completed by what this item says."""
        code, message = error_of(self.body)
        return Evidence(
            asked.service,
            asked.method,
            asked.url,
            self.status,
            code,
            message or ("" if self.status else "no answer"),
            request_id=_request_id(self.body),
        )


def build(requests: Sequence[ItemRequest]) -> bytes:
    """Body of a batch; items are numbered from 0."""
    return json.dumps({"requests": [_entry(i, r) for i, r in enumerate(requests)]}).encode()


def _entry(number: int, request: ItemRequest) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": str(number),
        "method": "GET" if request.body is None else "POST",
        "url": request.url,
    }
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        entry["body"] = request.body
    if headers:
        entry["headers"] = headers
    return entry


def items(response: Response, asked: int) -> list[Item]:
    """The responses of a batch in the order of its requests; one `Item` for each, whatever came.

    Graph returns them in any order. An id that was not requested is ignored; one that comes twice,
    or in an unknown shape, proves nothing.

    Raises:
        MalformedResponse: the body is no batch response at all.
    """
    body = response.value
    entries = body.get("responses") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise response.malformed("no batch response")
    found: dict[str, Item] = {}
    for entry in entries:
        name = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(name, str):
            found[name] = Item() if name in found else _item(entry)
    return [found.get(str(index), Item()) for index in range(asked)]


def _item(entry: Mapping[str, Any]) -> Item:
    status, headers = entry.get("status"), entry.get("headers")
    if not isinstance(status, int) or isinstance(status, bool):
        return Item()
    texts = headers.items() if isinstance(headers, dict) else ()
    named = {name: str(value) for name, value in texts if isinstance(value, str | int)}
    return Item(status, named, entry.get("body"))


def _request_id(body: Any) -> str:
    """Id to give to Microsoft's support, from the inner error; its name comes in two cases."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    inner = error.get("innerError") or error.get("innererror")
    return printable(inner.get("request-id"), 64) if isinstance(inner, dict) else ""
