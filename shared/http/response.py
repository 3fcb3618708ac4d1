"""What came back over HTTP, and how its errors are read. No sending here."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from shared.clock import Clock
from shared.errors import AccessDenied, Evidence, MalformedResponse, NotFound, RequestRejected

UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429

HIDDEN = "[hidden]"
"""Stands where a secret was."""

LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""Longest pause that `Retry-After` can ask for."""

LONGEST_ANNOUNCEMENT_SECONDS = 300.0
"""Longest time for which a `RateLimit-Reset` is believed."""

_MESSAGE_LENGTH = 200
_LONGEST_HEADER = 64
_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Response:
    """A complete HTTP response.

    Attributes:
        status: HTTP status; 0 when no response came.
        headers: names in any case.
        body: whole body; empty when `oversize`.
        evidence: what was asked and answered, safe to log.
        value: the parsed body, when JSON was wanted.
        oversize: the body was longer than allowed and was not read.
        stale: no response came, not even a byte, on a kept connection.
        started_at: when the request was sent, in monotonic seconds.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    evidence: Evidence
    value: Any = None
    oversize: bool = False
    stale: bool = False
    started_at: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is one of HTTP's successes."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of HTTP successes

    def parsed(self) -> "Response":
        """The same response with the body parsed into `value`.

        Raises:
            MalformedResponse: the body is no JSON.
        """
        try:
            return replace(self, value=json.loads(self.body))
        except (ValueError, RecursionError):
            raise self.malformed("no JSON") from None

    def error_value(self) -> Any:
        """The parsed body of a response that is no success; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def malformed(self, why: str) -> MalformedResponse:
        """The error to raise when the body is not what the protocol promises."""
        return MalformedResponse(replace(self.evidence, message=why))

    def judged(self, accept: Collection[int] = ()) -> "Response":
        """This response, when it is a success or its status is accepted.

        Raises:
            AccessDenied, NotFound, RequestRejected: by status.
        """
        if self.ok or self.status in accept:
            return self
        if self.status in {UNAUTHORIZED, FORBIDDEN}:
            raise AccessDenied(self.evidence)
        if self.status == NOT_FOUND:
            raise NotFound(self.evidence)
        raise RequestRejected(self.evidence)


def evidence_of(asked: Evidence, status: int, headers: Mapping[str, str], body: bytes) -> Evidence:
    """What was asked, completed by what the answer says of itself."""
    code = message = ""
    if not 200 <= status < 300:  # noqa: PLR2004
        try:
            code, message = error_of(json.loads(body))
        except (ValueError, RecursionError):
            message = "" if not body else "no JSON"
    request_id = headers.get("request-id") or headers.get("sprequestguid") or ""
    return replace(
        asked,
        status=status,
        code=code,
        message=message,
        request_id=printable(request_id, 64),
    )


def error_of(data: object) -> tuple[str, str]:
    """Code and message of an error body in any of the shapes Graph and SharePoint use.

    Graph answers `{"error": {"code", "message"}}`; SharePoint `{"odata.error": {"code",
    "message": {"value"}}}`, or with `error` and `message` an object or a string; its token checks
    `{"error": "…", "error_description": "…"}`.

    Returns:
        ("", "") when there is nothing of the kind.
    """
    if not isinstance(data, dict):
        return "", ""
    error = data.get("error") or data.get("odata.error")
    if isinstance(error, str):
        return printable(error, 100), printable(data.get("error_description"))
    if not isinstance(error, dict):
        return "", ""
    message = error.get("message")
    if isinstance(message, dict):
        message = message.get("value")
    return printable(error.get("code"), 100), printable(message)


def printable(value: object, length: int = _MESSAGE_LENGTH) -> str:
    """One line of at most `length` characters, for logs and reports; "" for no scalar."""
    text = without_tokens(str(value)[:2000]) if isinstance(value, str | int | float) else ""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def without_tokens(text: str) -> str:
    """A service's text without any JSON web token that it quotes, whole or cut.

    In linear time: each character is looked at a fixed number of times.
    """

    def hide(match: re.Match[str]) -> str:
        word = match.group()
        start = word.find("eyJ")  # `{"` in base64, with which the header of every token begins
        if start < 0 or "." not in word[start:]:
            return word
        return word[:start] + HIDDEN

    return _WORD.sub(hide, text)


def number(value: object) -> float | None:
    """A plain non-negative decimal number of a header; None for anything else."""
    text = _header(value)
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) else None


def retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds that `Retry-After` asks for, an hour at most; None when it is absent or senseless.

    Both forms of RFC 9110, section 10.2.3: seconds and HTTP date. Header names of batch items come
    in any case.
    """
    text = _header(next((v for k, v in headers.items() if k.lower() == "retry-after"), None))
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", text):
        return min(float(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - clock.time()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_SECONDS)


def announced_reset(headers: Mapping[str, str]) -> float:
    """Seconds of `RateLimit-Reset`, some minutes at most; 0 when it is absent or senseless."""
    return min(number(headers.get("RateLimit-Reset")) or 0.0, LONGEST_ANNOUNCEMENT_SECONDS)


def _header(value: object) -> str:
    """A header's value, stripped; "" when it is longer than any that makes sense."""
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    return text if len(text) <= _LONGEST_HEADER else ""
