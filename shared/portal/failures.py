"""Which problem an error of the core is to the pages."""

import logging
from http import HTTPStatus

from shared.errors import PhotoSyncError, ServiceError
from shared.problem import Problem, retry_after, status_and_kind

_log = logging.getLogger("photo_sync.portal")


def problem_of(error: Exception) -> Problem:
    """The problem that an error is."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, PhotoSyncError):
        return _known(*status_and_kind(error, "service-failed"), error)
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
        more["retryAfter"] = retry_after(error)
        headers["Retry-After"] = str(more["retryAfter"])
    return Problem(status, name, str(error), more=more, headers=headers)
