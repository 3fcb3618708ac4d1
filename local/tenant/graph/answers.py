"""Shapes of Microsoft Graph's answers and errors."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.tenant.http import Response

JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false"


@dataclass(frozen=True, slots=True)
class Call:
    """One call to Graph, alone or as an item of a batch.

    Attributes:
        method: upper case.
        segments: decoded path below the version root.
        query: decoded options.
        headers: keys in lower case.
        roles: Graph roles of the caller.
        root: URL of the version root, for links.
        path: as sent, for links.
        now: clock time, seconds.
        body: parsed JSON; None when there is none.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    roles: frozenset[str]
    root: str
    path: str
    now: float
    body: Any = None

    def allow(self, *roles: str, code: str = "Authorization_RequestDenied") -> None:
        """Go on with any of these roles.

        Raises:
            GraphError: 403, the caller has none of them.
        """
        if self.roles.isdisjoint(roles):
            raise GraphError(403, code, "Insufficient privileges to complete the operation.")


@dataclass(slots=True)
class Answer:
    """Status, headers and a body that is not yet written out: JSON, or bytes."""

    status: int
    body: dict[str, Any] | bytes
    headers: dict[str, str] = field(default_factory=dict)
    units: float = 0

    def response(self, request_id: str) -> Response:
        """The answer to a single call."""
        headers = {"Content-Type": JSON, "request-id": request_id} | self.headers
        body = self.body if isinstance(self.body, bytes) else dumps(self.body)
        if self.status == 204:  # noqa: PLR2004 - HTTP
            del headers["Content-Type"]
        return Response(self.status, body, headers, self.units)


class GraphError(Exception):
    """An error answer of Graph."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def answer(self, now: float, request_id: str, *, units: float = 0) -> Answer:
        """The error as an answer, with an inner error that names the request."""
        inner = {
            "date": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": request_id,
        }
        error = {"code": self.code, "message": self.message, "innerError": inner}
        headers = {"Content-Type": "application/json"} | self.headers
        return Answer(self.status, {"error": error}, headers, units)


def dumps(value: object) -> bytes:
    """JSON as Graph writes it: compact, not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def new_id() -> str:
    """A request id."""
    return str(uuid.uuid4())


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """400."""
    return GraphError(400, code, message)


def not_found(key: str) -> GraphError:
    """404 of a directory object."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{key}' does not exist or one of its queried reference-property objects are"
        " not present.",
    )


def throttled(retry_after: float | None, code: str, message: str, **headers: str) -> GraphError:
    """429, with the seconds to wait where the limit is one of time."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if retry_after is not None:
        sent["Retry-After"] = str(max(1, round(retry_after + 0.499)))
    return GraphError(429, code, message, headers=sent)
