"""The HTTP interface, without HTTP: method, user and URL in; status, headers and JSON out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from shared import __version__
from shared.api import problems
from shared.api.problems import Problem
from shared.app import App, open_app
from shared.checkpoint import Photo, iso
from shared.checks import checks
from shared.errors import ConfigurationError
from shared.model import Outcome, is_object_id
from shared.pilot import pilot
from shared.sync import on_demand

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_SWITCHES = ("force", "dry_run", "pilot")
_KEY_PARAMETERS = frozenset({"code", "clientid"})
"""How callers may send the function key in the query; checked and used by the host."""

_LONGEST_NAME = 256
_NOT_IN_NAMES = frozenset('/\\?"<>|:*;,()[]')


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


_NO_RUN_BY_HTTP = Problem(
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
            return _refusal(_NO_RUN_BY_HTTP)
        if not user:
            _switches(url, allowed=())
            return _json(_overview())
        if method == "POST":
            return _post(_name(user), _switches(url, allowed=_SWITCHES))
        _switches(url, allowed=())
        return _get(_name(user))
    except Exception as error:  # noqa: BLE001 - a caller gets an answer in any case
        return _refusal(problems.of(error))


def _post(name: str, switches: dict[str, bool]) -> HttpAnswer:
    app = open_app()
    if switches.pop("pilot", False):
        if switches.get("force"):
            why = "query parameter force does not go with pilot, which forces nothing"
            raise Problem(HTTPStatus.BAD_REQUEST, "bad-query", why)
        return _json(pilot.run(app, name, dry_run=switches.get("dry_run", False)))
    result = on_demand.sync_user(app, name, **switches)
    body = {
        "user": {"id": result.user.id, "userPrincipalName": result.user.upn},
        "outcome": result.outcome.value,
        "detail": result.detail,
        "photo": _photo(result.record.photo if result.record else None),
        "checkedAt": iso(app.clock.time()),
        "dryRun": switches.get("dry_run", False) or app.settings.dry_run,
    }
    if result.outcome in {Outcome.FAILED, Outcome.DEFERRED}:
        raise problems.of_result(result, body)
    return _json(body)


def _get(name: str) -> HttpAnswer:
    known = on_demand.known(open_app(), name)
    if known is None:
        raise Problem(
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
    return {"etag": photo.etag, "sha256": photo.sha256, "pictureUrl": photo.location.picture_url}


def _name(text: str) -> str:
    """An object id or user principal name; anything else is refused before a request leaves."""
    if not is_object_id(text) and not _is_principal_name(text):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad-user",
            "the user must be a user principal name such as adele@contoso.com or an Entra object "
            "id such as 6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0, percent-encoded in the URL",
        )
    return text


def _is_principal_name(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        0 < len(local) <= len(text) <= _LONGEST_NAME
        and all(c.isprintable() and not c.isspace() and c not in _NOT_IN_NAMES for c in text)
        and "@" not in local
        and len(labels) > 1
        and all(label.replace("-", "").isalnum() for label in labels)
    )


def _switches(url: str, *, allowed: tuple[str, ...]) -> dict[str, bool]:
    """The query's switches; a misspelt one must not turn a dry run into a real one."""
    found: dict[str, bool] = {}
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name.lower() in _KEY_PARAMETERS:
            continue
        if name not in allowed or name in found:
            known = " and ".join(allowed) or "none"
            twice = " twice" if name in found else ""
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "bad-query",
                f"query parameter {name[:40]!r} is not accepted{twice} here; accepted: {known}",
            )
        if value.lower() not in {"true", "false", "1", "0"}:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "bad-query",
                f"query parameter {name} must be true, false, 1 or 0",
            )
        found[name] = value.lower() in {"true", "1"}
    return found


def _json(body: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(HTTPStatus.OK, json.dumps(body))


def _refusal(problem: Problem) -> HttpAnswer:
    body = json.dumps(problem.to_json())
    return HttpAnswer(problem.status, body, _PROBLEM, problem.headers)
