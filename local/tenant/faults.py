"""Faults that a test plans: which request fails, and how."""

import html
import json
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from typing import Any, Literal
from urllib.parse import unquote

from local.tenant.fault_answers import error_info, error_json
from local.tenant.http import Request, Response
from local.tenant.request_log import Entry

Kind = Literal[
    "status",
    "token_rejected",
    "forbidden",
    "error_info",
    "timeout_before",
    "timeout_after",
    "hang",
    "reset",
    "truncate",
    "truncate_clean",
    "trickle",
    "item_status",
    "item_missing",
    "item_unknown_id",
    "call",
]
#: Kinds that keep the request from having any effect.
_WITHOUT_EFFECT = frozenset(
    {"status", "token_rejected", "forbidden", "error_info", "timeout_before", "hang", "reset"}
)


class Delivery(Enum):
    """How an answer is sent."""

    WHOLE = "whole"
    HALF = "half the announced body, then close"
    NONE = "close without an answer"
    RESET = "TCP reset"
    HANG = "silence until the client gives up"
    TRICKLE = "one byte after the other, with pauses"


@dataclass
class Fault:
    """One planned fault. It fires at requests that match all the given matchers.

    Attributes:
        kind: `status` answers `status` with `body` and `retry_after`; `token_rejected` 401;
            `forbidden` 403; `error_info` is CSOM's error with HTTP 200 (`code`, `message`);
            `timeout_before` and `timeout_after` close the connection without an answer, before or
            after the effect; `hang` waits until the client gives up; `reset` resets the
            connection; `truncate` sends half of the announced body; `truncate_clean` half of the
            body as if it were all; `trickle` sends byte after byte with pauses; `item_status`,
            `item_missing`, `item_unknown_id` spoil items of a Graph batch; `call` only runs
            `action` and lets the request go on.
        index: position on the tape.
        service: `graph`, `sharepoint`, `identity` or `login`.
        operation: as on the tape.
        origin: host that is called.
        person: object id; matches requests that name this person in any form, and of a batch
            only their items are spoiled (without it, the item at position `item`).
        url: text that the request's target contains, percent-encoding undone.
        nth: only the nth request, from 0, of those that match the rest.
        times: how often it fires; None for ever.
        retry_after: seconds; None sends no `Retry-After`.
        retry_after_date: send it as an HTTP date.
        body: form of the error body.
        code, message: in error bodies.
        action: called when the fault fires, whatever its kind.
        when: whether the action runs before or after the effect.
        fired: how often it has fired so far.
        seen: how many requests matched the rest so far.
    """

    kind: Kind
    index: int | None = None
    service: str | None = None
    operation: str | None = None
    person: str | None = None
    origin: str | None = None
    url: str | None = None
    nth: int | None = None
    times: int | None = 1
    status: int = 503
    retry_after: float | None = None
    retry_after_date: bool = False
    body: Literal["json", "html", "empty"] = "json"
    code: str | None = None
    message: str = "An injected fault."
    item: int = 0
    action: Callable[[], None] | None = None
    when: Literal["before", "after"] = "before"
    fired: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)

    @classmethod
    def poison(cls, person: str, *, service: str = "graph", status: int = 500) -> "Fault":
        """Every batch that names this person fails as a whole, for ever."""
        return cls(
            "status", service=service, url="$batch", person=person, status=status, times=None
        )

    @property
    def before_effect(self) -> bool:
        """The request has no effect on the tenant."""
        return self.kind in _WITHOUT_EFFECT

    @property
    def delivery(self) -> Delivery:
        """How the answer goes out."""
        return {
            "timeout_before": Delivery.NONE,
            "timeout_after": Delivery.NONE,
            "hang": Delivery.HANG,
            "reset": Delivery.RESET,
            "truncate": Delivery.HALF,
            "trickle": Delivery.TRICKLE,
        }.get(self.kind, Delivery.WHOLE)

    def answer(self, service: str, clock_time: float) -> Response:
        """The answer in place of the real one; empty where none is sent."""
        match self.kind:
            case "status":
                response = self._error(service)
            case "token_rejected":
                response = error_json(service, 401, self.code, self.message)
                response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            case "forbidden":
                response = error_json(service, 403, self.code, self.message)
            case "error_info":
                response = error_info(self.code or "-2147024891", self.message)
            case _:
                response = Response(0)
        if self.retry_after is not None:
            response.headers["Retry-After"] = self._retry_after(clock_time)
        return response

    def spoil(
        self, request: Request, response: Response, names: Iterable[str], clock_time: float
    ) -> None:
        """Change a real answer, in place; `names` are those of `person`."""
        if self.kind == "truncate_clean":
            response.body = response.body[: len(response.body) // 2]
        elif self.kind.startswith("item_") and response.status == 200:  # noqa: PLR2004 - HTTP
            self._spoil_items(request, response, tuple(names), clock_time)

    def _spoil_items(
        self, request: Request, response: Response, names: tuple[str, ...], clock_time: float
    ) -> None:
        asked: list[dict[str, Any]] = json.loads(request.body)["requests"]
        if names:
            victims = {item["id"] for item in asked if mentions(str(item["url"]), names)}
        else:
            victims = {item["id"] for item in asked[self.item : self.item + 1]}
        document = json.loads(response.body)
        kept = []
        for item in document["responses"]:
            if item["id"] in victims:
                if self.kind == "item_missing":
                    continue
                if self.kind == "item_unknown_id":
                    item["id"] = f"unknown-{uuid.uuid4()}"
                else:
                    item.update(self._failed_item(clock_time))
            kept.append(item)
        document["responses"] = kept
        response.body = json.dumps(document).encode()

    def _failed_item(self, clock_time: float) -> dict[str, Any]:
        """A failed item of a Graph batch, without its id."""
        error = self._error("graph")
        headers = dict(error.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = self._retry_after(clock_time)
        body: object = json.loads(error.body) if self.body == "json" else error.body.decode()
        return {"status": self.status, "headers": headers, "body": body}

    def _error(self, service: str) -> Response:
        if self.body == "html":
            page = (
                f"<!DOCTYPE html><html><body><h2>{self.status} - {self.message}</h2></body></html>"
            )
            return Response(self.status, page.encode(), {"Content-Type": "text/html"})
        if self.body == "empty":
            return Response(self.status, b"", {"Content-Type": "text/plain"})
        return error_json(service, self.status, self.code, self.message)

    def _retry_after(self, now: float) -> str:
        seconds = self.retry_after or 0
        return (
            formatdate(now + seconds, usegmt=True) if self.retry_after_date else f"{seconds:.12g}"
        )


class Faults:
    """The plan: faults in the order they were added; of several that match the first fires."""

    def __init__(self) -> None:
        self._plan: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Plan a fault."""
        with self._lock:
            self._plan.append(fault)
        return fault

    def clear(self) -> None:
        """Plan none."""
        with self._lock:
            self._plan.clear()

    def take(
        self, entry: Entry, request: Request, names: Callable[[str], tuple[str, ...]]
    ) -> Fault | None:
        """The fault that fires at this request; it is counted as fired.

        Args:
            entry: of the tape, with index and operation.
            request: as it came in.
            names: all forms in which a person's object id may be named.
        """
        if not self._plan:
            return None
        with self._lock:
            for fault in self._plan:
                if fault.times is not None and fault.fired >= fault.times:
                    continue
                if not _matches(fault, entry, request, names):
                    continue
                fault.seen += 1
                if fault.nth not in (None, fault.seen - 1):
                    continue
                fault.fired += 1
                return fault
        return None


def mentions(text: str, names: Iterable[str]) -> bool:
    """Whether a URL or body names somebody, however it is escaped."""
    plain = html.unescape(unquote(text)).replace("''", "'").lower()
    return any(name in plain for name in names)


def _matches(
    fault: Fault, entry: Entry, request: Request, names: Callable[[str], tuple[str, ...]]
) -> bool:
    if fault.index not in (None, entry.index):
        return False
    if fault.service not in (None, entry.service):
        return False
    if fault.operation not in (None, entry.operation):
        return False
    if fault.origin not in (None, entry.origin):
        return False
    if fault.url is not None and fault.url not in unquote(request.target):
        return False
    if fault.person is None:
        return True
    text = request.target
    if entry.operation != "file.upload":
        text += "\n" + request.body.decode("utf-8", "replace")
    return mentions(text, names(fault.person))
