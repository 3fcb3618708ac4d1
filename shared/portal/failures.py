"""Which problem an error of the core is to the pages."""

import logging
import math
from http import HTTPStatus

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
from shared.portal.message import Problem

RETRY_SECONDS = 60
"""What `Retry-After` says when nobody knows better."""

_log = logging.getLogger("photo_sync.portal")

_KINDS: tuple[tuple[type[PhotoSyncError], HTTPStatus, str], ...] = (
    (UserUnknown, HTTPStatus.NOT_FOUND, "unknown-user"),
    (ConfigurationError, HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration"),
    (TokenUnavailable, HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration"),
    (NewerSchema, HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration"),
    (Throttled, HTTPStatus.SERVICE_UNAVAILABLE, "throttled"),
    (DeadlineExceeded, HTTPStatus.SERVICE_UNAVAILABLE, "out-of-time"),
    (ServiceError, HTTPStatus.BAD_GATEWAY, "service-failed"),
    (StateError, HTTPStatus.BAD_GATEWAY, "storage-failed"),
    (PhotoSyncError, HTTPStatus.BAD_GATEWAY, "service-failed"),
)
"""The first that fits counts."""


def problem_of(error: Exception) -> Problem:
    """The problem that an error is."""
    if isinstance(error, Problem):
        return error
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            return _known(status, name, error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        f"Internal error ({type(error).__name__}). The function's log has the details.",
    )


def for_everybody(problem: Problem) -> Problem:
    """The same problem without what only technicians should read."""
    if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem
    return Problem(
        problem.status,
        problem.kind,
        "The service has a problem. Try again later or ask your help desk.",
        more=problem.more,
        headers=problem.headers,
    )


def log(error: Exception) -> None:
    """Say in the log what a person could not see."""
    if isinstance(error, (PhotoSyncError, OSError)):
        _log.warning("A request of the portal failed: %s", error)
    elif not isinstance(error, Problem):
        _log.error("A request of the portal failed by an internal error", exc_info=error)


def _known(status: HTTPStatus, name: str, error: PhotoSyncError) -> Problem:
    more: dict[str, object] = {}
    if isinstance(error, ServiceError) and error.evidence.request_id:
        more["requestId"] = error.evidence.request_id
    headers = {}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        wait = error.retry_after if isinstance(error, Throttled) else RETRY_SECONDS
        more["retryAfter"] = max(1, math.ceil(wait))
        headers["Retry-After"] = str(more["retryAfter"])
    return Problem(status, name, str(error), more=more, headers=headers)
