"""The HTTP interface, without HTTP: method, user and URL in; status, headers and JSON out."""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from shared import __version__, checks, ondemand
from shared.app import App, open_app
from shared.errors import (
    ConfigurationError,
    NewerSchema,
    OutOfTime,
    PermissionMissing,
    PhotoSyncError,
    Refused,
    ServiceError,
    StateError,
    Throttled,
    TokenUnavailable,
    UserUnknown,
)
from shared.graph import is_object_id
from shared.outcomes import Outcome
from shared.records import Photo, iso
from shared.sync import Result

_log = logging.getLogger("photo_sync.http")

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_SWITCHES = ("force", "dry_run")
_KEY_PARAMETERS = frozenset({"code", "clientid"})
"""How callers may send the function key in the query; checked and used by the host."""

_LONGEST_NAME = 256
_NOT_IN_NAMES = frozenset('/\\?"<>|:*;,()[]')
_RETRY_SECONDS = 60


@dataclass(frozen=True)
class HttpAnswer:
    """What the function answers.

    Attributes:
        status: HTTP status.
        body: JSON.
        mimetype: of the body.
        headers: beside it.
    """

    status: int
    body: str
    mimetype: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)


class _Problem(Exception):
    """An error answer (RFC 9457).

    Attributes:
        status: HTTP status.
        kind: last part of the problem's type.
        detail: one sentence for the caller.
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

    def answer(self) -> HttpAnswer:
        body = {
            "type": f"urn:photo-sync:problem:{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status.value,
            "detail": self.detail,
            **self.more,
        }
        return HttpAnswer(self.status, json.dumps(body), _PROBLEM, self.headers)


_NO_RUN_BY_HTTP = _Problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method-not-allowed",
    "the run for everybody is the timer function's: POST /admin/functions/SyncTimer with the "
    'master key and the body {"input":""}; for one user POST /api/sync/{user}',
    headers={"Allow": "GET"},
)


def answer(method: str, user: str | None, url: str) -> HttpAnswer:
    """Answer one request to `/api/sync` or `/api/sync/{user}`; never raises.

    Args:
        method: "GET" or "POST".
        user: the route's value, decoded; None or "" when there is none.
        url: of the request; its query is read here, because the host drops empty values.
    """
    try:
        if method == "POST" and not user:
            return _NO_RUN_BY_HTTP.answer()
        if not user:
            _switches(url, allowed=())
            return _json(_overview())
        if method == "POST":
            return _post(_name(user), _switches(url, allowed=_SWITCHES))
        _switches(url, allowed=())
        return _get(_name(user))
    except Exception as error:  # noqa: BLE001 - a caller gets an answer in any case
        return _problem(error).answer()


def _post(name: str, switches: Mapping[str, bool]) -> HttpAnswer:
    app = open_app()
    result = ondemand.sync_user(app, name, **switches)
    body = {
        "user": {"id": result.user.id, "userPrincipalName": result.user.upn},
        "outcome": result.outcome.value,
        "detail": result.detail,
        "photo": _photo(result.record.photo if result.record else None),
        "checkedAt": iso(app.clock.time()),
        "dryRun": switches.get("dry_run", False) or app.settings.dry_run,
    }
    if result.outcome in {Outcome.FAILED, Outcome.DEFERRED}:
        raise _of_result(result, body)
    return _json(body)


def _get(name: str) -> HttpAnswer:
    known = ondemand.known(open_app(), name)
    if known is None:
        raise _Problem(
            HTTPStatus.NOT_FOUND,
            "nothing-known",
            "the checkpoint knows nothing of this user: he has no photo, or was never in scope",
        )
    record = known.record
    return _json(
        {
            "user": {"id": known.user_id, "userPrincipalName": record.upn},
            "outcome": record.outcome.value,
            "detail": record.detail,
            "photo": _photo(record.photo),
            "checkedAt": record.checked_at,
            "verifiedAt": record.verified_at or None,
            "missingRuns": record.missing.runs if record.missing else 0,
            "failures": record.failing.count if record.failing else 0,
            "retryOn": record.failing.retry_on if record.failing else None,
        }
    )


def _overview() -> dict[str, Any]:
    app: App | None = None
    try:
        app = open_app()
        settings_problem: ConfigurationError | None = None
    except ConfigurationError as error:
        settings_problem = error
    run, found = checks.run_and_checks(app, settings_problem)
    return {
        "version": __version__,
        "run": run.to_json() if run else None,
        "checks": [check.to_json() for check in found],
    }


def _photo(photo: Photo | None) -> dict[str, str] | None:
    if photo is None or not photo.sha256:
        return None
    return {"etag": photo.etag, "sha256": photo.sha256, "pictureUrl": photo.place.picture_url}


def _name(text: str) -> str:
    """An object id or user principal name; anything else is refused before a request leaves."""
    local, at, domain = text.rpartition("@")
    usable = (
        len(text) <= _LONGEST_NAME
        and text.isprintable()
        and not any(c.isspace() or c in _NOT_IN_NAMES for c in text)
    )
    is_upn = bool(local and at and "@" not in local and "." in domain.strip("."))
    if not usable or not (is_object_id(text) or is_upn):
        raise _Problem(
            HTTPStatus.BAD_REQUEST,
            "bad-user",
            "the user must be a user principal name such as adele@contoso.com or an Entra object "
            "id such as 6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0, percent-encoded in the URL",
        )
    return text


def _switches(url: str, *, allowed: tuple[str, ...]) -> dict[str, bool]:
    """The query's switches; a misspelt one must not turn a dry run into a real one."""
    found: dict[str, bool] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name.lower() in _KEY_PARAMETERS:
            continue
        if name not in allowed or name in found:
            known = " and ".join(allowed) or "none"
            twice = " twice" if name in found else ""
            raise _Problem(
                HTTPStatus.BAD_REQUEST,
                "bad-query",
                f"query parameter {name[:40]!r} is not accepted{twice} here; accepted: {known}",
            )
        if value.lower() not in {"true", "false", "1", "0"}:
            raise _Problem(
                HTTPStatus.BAD_REQUEST,
                "bad-query",
                f"query parameter {name} must be true, false, 1 or 0",
            )
        found[name] = value.lower() in {"true", "1"}
    return found


def _of_result(result: Result, body: Mapping[str, Any]) -> _Problem:
    """The problem of a user that was not finished; it tells what it can like a success."""
    error = result.error
    if isinstance(error, Refused):
        graph = error.evidence.service == "graph"
        return _problem(
            PermissionMissing(
                "Microsoft Graph" if graph else "SharePoint",
                "User.Read.All" if graph else "User.ReadWrite.All and Sites.FullControl.All",
                str(error),
            )
        )
    problem = _problem(error) if isinstance(error, (ServiceError, OutOfTime)) else None
    deferred = result.outcome is Outcome.DEFERRED
    status = HTTPStatus.SERVICE_UNAVAILABLE if deferred else HTTPStatus.BAD_GATEWAY
    more = {key: value for key, value in body.items() if key != "detail"}
    headers = {"Retry-After": str(_RETRY_SECONDS)} if deferred else {}
    return _Problem(
        status,
        "deferred" if deferred else "failed",
        result.detail,
        more={**(problem.more if problem else {}), **more},
        headers={**headers, **(problem.headers if problem else {})},
    )


def _problem(error: Exception) -> _Problem:
    """Which problem an error is to the caller."""
    if isinstance(error, _Problem):
        return error
    if isinstance(error, UserUnknown):
        return _Problem(HTTPStatus.NOT_FOUND, "unknown-user", str(error))
    if isinstance(error, (ConfigurationError, TokenUnavailable, NewerSchema)):
        return _Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "misconfiguration", str(error))
    if isinstance(error, Throttled):
        wait = str(max(1, math.ceil(error.retry_after)))
        more = _request_id(error)
        return _Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "throttled",
            str(error),
            more=more,
            headers={"Retry-After": wait},
        )
    if isinstance(error, OutOfTime):
        return _Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "out-of-time",
            str(error),
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )
    if isinstance(error, ServiceError):
        return _Problem(
            HTTPStatus.BAD_GATEWAY, "service-failed", str(error), more=_request_id(error)
        )
    if isinstance(error, StateError):
        return _Problem(HTTPStatus.BAD_GATEWAY, "storage-failed", str(error))
    if isinstance(error, PhotoSyncError):
        return _Problem(HTTPStatus.BAD_GATEWAY, "failed", str(error))
    _log.error("internal error", exc_info=error)
    return _Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        f"internal error ({type(error).__name__}); the function's log has the details",
    )


def _request_id(error: ServiceError) -> dict[str, str]:
    request_id = error.evidence.request_id
    return {"requestId": request_id} if request_id else {}


def _json(body: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(HTTPStatus.OK, json.dumps(body))
