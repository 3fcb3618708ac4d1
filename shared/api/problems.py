"""Error answers: the problem (RFC 9457) that a caller gets for an error."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from shared import roles
from shared.errors import AccessDenied, PermissionMissing, PhotoSyncError, ServiceError, UserUnknown
from shared.model import Outcome
from shared.problem import Problem, retry_after, status_and_kind
from shared.sync import Result

_log = logging.getLogger("photo_sync.http")

TITLES: Mapping[str, str] = {
    "bad-body": "Option in the request body",
    "bad-query": "Invalid query parameter",
    "bad-user": "Invalid user name",
    "deferred": "User not reached in time",
    "failed": "User not synchronized",
    "internal-error": "Internal error",
    "method-not-allowed": "Method not allowed",
    "misconfiguration": "Configuration error",
    "nothing-known": "No record of this user",
    "out-of-time": "Out of time",
    "pilot-off": "Pilot is turned off",
    "service-failed": "A Microsoft service failed",
    "storage-failed": "Blob storage failed",
    "throttled": "A Microsoft service is throttling",
    "unknown-user": "User not found",
}
"""Every kind of problem and its title."""

_OTHER_NAMES = (
    "The user principal name is the name that the user signs in with; it can differ from the "
    "e-mail address and its aliases. Use it, or the object id"
)


def of(error: Exception) -> Problem:
    """The problem for an error; for an unexpected error it names only the type."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UserUnknown):
        return Problem(HTTPStatus.NOT_FOUND, "unknown-user", f"{error}. {_OTHER_NAMES}")
    if isinstance(error, PhotoSyncError):
        return _known(*status_and_kind(error, "failed"), str(error), error)
    _log.error("internal error", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        f"internal error ({type(error).__name__}); the function's log has the details",
    )


def of_result(result: Result, members: Mapping[str, Any]) -> Problem:
    """The problem of a user who was not finished.

    Args:
        result: with outcome `failed` or `deferred`.
        members: what a success would tell; all but its detail is told here too.
    """
    error = result.error
    if isinstance(error, AccessDenied):
        graph = error.evidence.service == "graph"
        error = PermissionMissing(
            roles.GRAPH if graph else roles.SHAREPOINT,
            _graph_role(error) if graph else f"{roles.PROFILES_ROLE} and {roles.FILES_ROLE}",
            error.evidence,
        )
    if isinstance(error, (PermissionMissing, UserUnknown)):
        problem = of(error)
    else:
        deferred = result.outcome is Outcome.DEFERRED
        status = HTTPStatus.SERVICE_UNAVAILABLE if deferred else HTTPStatus.BAD_GATEWAY
        problem = _known(
            status, result.outcome.value, result.detail or "not reached in time", error
        )
    problem.more |= {key: value for key, value in members.items() if key != "detail"}
    return problem


def _graph_role(refused: AccessDenied) -> str:
    """The Graph role that is missing; photos can need a role of their own."""
    return roles.PHOTOS_ROLE if "/photo" in refused.evidence.url else roles.USERS_ROLE


def _known(status: HTTPStatus, kind: str, detail: str, error: Exception | None) -> Problem:
    more = {}
    if isinstance(error, (ServiceError, PermissionMissing)) and error.evidence.request_id:
        more["requestId"] = error.evidence.request_id
    headers = {}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(retry_after(error))
    return Problem(status, kind, detail, more=more, headers=headers)
