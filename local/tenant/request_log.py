"""The record of every request that the emulated tenant has seen."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

THROTTLED = frozenset({429, 503})


@dataclass(slots=True)
class Entry:
    """One request.

    Attributes:
        index: counts all requests to all services, from 0.
        origin: host that was called.
        service: `graph`, `sharepoint`, `identity` or `login`.
        operation: short stable name, such as `photo.batch` or `profile.write`.
        method: HTTP method.
        target: path and query as sent.
        agent: User-Agent of the client.
        items: of a batch, what it asks for, in its order.
        changes: meant to change SharePoint.
        started: clock time of arrival, seconds.
        ended: clock time of the answer; 0 while under way.
        status: HTTP status; 0 when no answer was sent.
        request_bytes: size of the request's body.
        response_bytes: size of the answer's body.
        units: resource units charged.
        throttled: answered 429 or 503, of a batch: how many items were.
        fault: kind of the fault that was injected, else empty.
    """

    index: int
    origin: str
    service: str
    operation: str
    method: str
    target: str
    agent: str = ""
    items: tuple[str, ...] = ()
    changes: bool = False
    started: float = 0
    ended: float = 0
    status: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    units: float = 0
    throttled: int = 0
    fault: str = ""


class Summary(TypedDict):
    """Totals of a tape."""

    requests: int
    by_service: dict[str, int]
    by_operation: dict[str, int]
    writes: int
    throttled: int
    units: dict[str, float]
    request_bytes: int
    response_bytes: int


class Tape:
    """Thread-safe list of entries, in order of arrival."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def record(self, entry: Entry) -> Entry:
        """Append, and give the entry its index."""
        with self._lock:
            entry.index = len(self._entries)
            self._entries.append(entry)
        return entry

    def entries(self, *, operation: str | None = None, service: str | None = None) -> list[Entry]:
        """What has come in so far, of one operation or service when named."""
        with self._lock:
            taken = list(self._entries)
        return [
            entry
            for entry in taken
            if operation in (None, entry.operation) and service in (None, entry.service)
        ]

    def count(self, *, operation: str | None = None, service: str | None = None) -> int:
        """Number of those entries."""
        return len(self.entries(operation=operation, service=service))

    def writes(self) -> list[Entry]:
        """Requests meant to change SharePoint, successful or not."""
        return [entry for entry in self.entries() if entry.changes]

    def clear(self) -> None:
        """Forget everything; the next request has index 0."""
        with self._lock:
            self._entries.clear()

    def summary(self) -> Summary:
        """Totals so far."""
        return summarise(self.entries())


def summarise(entries: Iterable[Entry]) -> Summary:
    """Totals of some entries."""
    by_service, by_operation = Counter[str](), Counter[str]()
    units: dict[str, float] = {}
    total: Summary = {
        "requests": 0,
        "by_service": by_service,
        "by_operation": by_operation,
        "writes": 0,
        "throttled": 0,
        "units": units,
        "request_bytes": 0,
        "response_bytes": 0,
    }
    for entry in entries:
        total["requests"] += 1
        by_service[entry.service] += 1
        by_operation[entry.operation] += 1
        total["writes"] += entry.changes
        total["throttled"] += entry.throttled
        units[entry.service] = units.get(entry.service, 0) + entry.units
        total["request_bytes"] += entry.request_bytes
        total["response_bytes"] += entry.response_bytes
    return total
