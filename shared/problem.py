"""An error answer (RFC 9457), and which one an error is: for the API and the portal alike."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    NewerSchema,
    PhotoSyncError,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
    UserUnknown,
)

RETRY_SECONDS = 60
"""What `Retry-After` says when nobody knows better."""

_KINDS: tuple[tuple[type[PhotoSyncError], HTTPStatus, str], ...] = (
    (UserUnknown, HTTPStatus.NOT_FOUND, "unknown-user"),
    (ConfigurationError, HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration"),
    (TokenUnavailable, HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration"),
    (NewerSchema, HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration"),
    (Throttled, HTTPStatus.SERVICE_UNAVAILABLE, "throttled"),
    (DeadlineExceeded, HTTPStatus.SERVICE_UNAVAILABLE, "out-of-time"),
    (ServiceError, HTTPStatus.BAD_GATEWAY, "service-failed"),
    (StateError, HTTPStatus.BAD_GATEWAY, "storage-failed"),
)
"""The first that fits counts."""


class Problem(Exception):
    """An answer that refuses or reports a failure.

    Attributes:
        status: HTTP status.
        kind: last part of the problem's type.
        detail: one English sentence for the caller.
        more: further members.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.kind = kind
        self.detail = detail
        self.more = dict(more or {})
        self.headers = dict(headers or {})
        super().__init__(detail)

    def to_json(self, title: str) -> dict[str, Any]:
        """Members as RFC 9457 names them, and ours."""
        return {
            "type": f"urn:photo-sync:problem:{self.kind}",
            "title": title,
            "status": self.status.value,
            "detail": self.detail,
            **self.more,
        }


def status_and_kind(error: PhotoSyncError, otherwise: str) -> tuple[HTTPStatus, str]:
    """The status and kind of the problem that an error is.

    Args:
        error: of the program.
        otherwise: the kind of what is nothing more special, a 502.
    """
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            return status, name
    return HTTPStatus.BAD_GATEWAY, otherwise


def retry_after(error: Exception | None) -> int:
    """Whole seconds for `Retry-After`, at least one."""
    wait = error.retry_after if isinstance(error, Throttled) else RETRY_SECONDS
    return max(1, math.ceil(wait))
