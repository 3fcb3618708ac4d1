"""Counts what a process sends to blob storage and gets from it, by what Azure charges for.

The door is the adapter of the storage session (`shared.checkpoint.storage`), where retries and
whatever the client library does by itself pass, too.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from shared.checkpoint import storage

WRITE, READ, LIST, OTHER, FREE = "write", "read", "list", "other", "free"

_OF_A_LEASE_OR_METADATA = frozenset({"lease", "metadata", "properties", "tags"})


def operation_type(method: str, url: str) -> str:
    """How Azure charges a request to a general-purpose v2 account.

    Source: Microsoft Learn, "Map each REST operation to a price".
    """
    query = parse_qs(urlsplit(url).query)
    component = query.get("comp", [""])[0]
    if component == "list" or (method == "PUT" and query.get("restype") == ["container"]):
        return LIST
    if method == "DELETE":
        return FREE
    if method == "HEAD" or component in _OF_A_LEASE_OR_METADATA or query.get("restype"):
        return OTHER
    return WRITE if method == "PUT" else READ


class StorageMeter:
    """Counts while it is entered; enter it before the program is put together."""

    def __init__(self) -> None:
        self._operations: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._sent = self._received = 0
        self._unknown: list[Any] = []
        self._times: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        note = self._note

        class Adapter(HTTPAdapter):
            def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
                began = time.time()
                response = super().send(request, *args, **options)
                note(request, response, began)
                return response

        self._patch = patch.object(storage, "HTTPAdapter", Adapter)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def figures(self) -> dict[str, Any]:
        """Everything that was counted.

        Returns:
            `operations` by type of charge; `state_writes`: how often the shard that was written
            most was written, and all of them together; `sent` and `received`: bytes with headers;
            `times`: begin and end of each exchange, for calls.
        """
        with self._lock:
            # What came in chunks is known only after it was read.
            received = self._received + sum(raw.tell() for raw in self._unknown)
            shards = [n for name, n in self._written.items() if name.startswith("state/")]
            return {
                "operations": dict(self._operations),
                "shards_written": len(shards),
                "shard_writes": sum(shards),
                "most_writes_of_a_shard": max(shards, default=0),
                "run_writes": self._written["run.json"],
                "sent": self._sent,
                "received": received,
                "times": self._times[-1000:],
            }

    def _note(self, request: PreparedRequest, response: Response, began: float) -> None:
        url, method = str(request.url), str(request.method)
        length = response.headers.get("Content-Length")
        body = request.body
        sent = int(request.headers.get("Content-Length") or 0) if body else 0
        kind = operation_type(method, url)
        with self._lock:
            self._operations[kind] += 1
            self._times.append((began, time.time()))
            self._sent += sent + _bytes(request.headers) + len(url)
            self._received += _bytes(response.headers)
            if method == "HEAD":
                pass
            elif length is not None:
                self._received += int(length)
            else:
                self._unknown.append(response.raw)
            if kind == WRITE and response.ok:
                self._written[_blob(url)] += 1


def _bytes(headers: Mapping[str, Any]) -> int:
    return sum(len(name) + len(str(value)) + 4 for name, value in headers.items())


def _blob(url: str) -> str:
    """Name of the blob inside of its container: Azurite has the account in the path."""
    parts = unquote(urlsplit(url).path).split("/")
    return "/".join(parts[3:] if parts[1] == "devstoreaccount1" else parts[2:])
