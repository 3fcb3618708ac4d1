"""The HTTP interface, without HTTP: method, user, URL and body in; status, headers, JSON out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from shared import __version__
from shared.api import problems
from shared.api.bodies import OPTIONS, option_in
from shared.api.queries import switches, user_name
from shared.app import App, open_app
from shared.checkpoint import Photo, iso
from shared.errors import ConfigurationError
from shared.model import Outcome
from shared.problem import Problem
from shared.sync import Result, known, sync_user

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_EFFECTS = frozenset({Outcome.UPDATED, Outcome.REPAIRED, Outcome.REMOVED})
"""Outcomes that change SharePoint; a dry run only says so."""


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
    "this address only reads. To start the run for everybody, send POST "
    "/admin/functions/SyncTimer with the master key, the header Content-Type: application/json "
    'and the body {"input":""}. To synchronize one user, send POST /api/sync/{user}',
    headers={"Allow": "GET"},
)


def answer(method: str, user: str | None, url: str, body: bytes = b"") -> HttpAnswer:
    """Answer one request to `/api/sync` or `/api/sync/{user}`; never raises.

    Args:
        method: "GET" or "POST".
        user: the route's value, decoded; None or "" when there is none.
        url: of the request; its query is read here, because the host drops empty values.
        body: ignored, unless it names an option.
    """
    try:
        if method == "POST" and not user:
            return _refusal(_NO_RUN_BY_HTTP)
        options = switches(url, allowed=OPTIONS if method == "POST" else ())
        _refuse_options(body)
        if not user:
            return _json(_overview())
        name = user_name(user)
        if method != "POST":
            return _get(name)
        return _pilot(name, options) if options.pop("pilot", False) else _post(name, options)
    except Exception as error:  # noqa: BLE001 - a caller gets an answer in any case
        return _refusal(problems.of(error))


def _refuse_options(body: bytes) -> None:
    if option := option_in(body):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad-body",
            f"the request body names {option}, which is read from the query only; nothing was "
            f"done. Send POST /api/sync/{{user}}?{option}=true without a body",
        )


def _post(name: str, options: Mapping[str, bool]) -> HttpAnswer:
    app = open_app()
    result = sync_user(app, name, **options)
    dry_run = options.get("dry_run", False) or app.settings.dry_run
    body = {
        "user": {"id": result.user.id, "userPrincipalName": result.user.upn},
        "outcome": result.outcome.value,
        "detail": _planned(result) if dry_run else result.detail,
        "photo": _photo(result.record.photo if result.record else None),
        "checkedAt": iso(app.clock.time()),
        "dryRun": dry_run,
    }
    if result.outcome in {Outcome.FAILED, Outcome.DEFERRED}:
        raise problems.of_result(result, body)
    return _json(body)


def _planned(result: Result) -> str:
    """The detail of a dry run: what a real call would do."""
    if result.outcome not in _EFFECTS:
        return result.detail
    return "; ".join(filter(None, (f"would be {result.outcome.value}", result.detail)))


def _pilot(name: str, options: Mapping[str, bool]) -> HttpAnswer:
    app = open_app()
    if not app.settings.pilot:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "pilot-off",
            "the pilot writes a user's own values back to SharePoint and is off. To allow it, set "
            "the application setting PILOT to true, and remove the setting when you are done",
        )
    if options.get("force"):
        why = "query parameter force does not go with pilot, which forces nothing"
        raise Problem(HTTPStatus.BAD_REQUEST, "bad-query", why)
    # Imported here, because a call for one user does without it.
    from shared import pilot  # noqa: PLC0415

    return _json(pilot.run(app, name, dry_run=options.get("dry_run", False)))


def _get(name: str) -> HttpAnswer:
    found = known(open_app(), name)
    if found is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "nothing-known",
            "the checkpoint has no record of this user: they have no photo, or were never in "
            "scope. To synchronize the user now, send POST to the same address",
        )
    record = found.record
    return _json(
        {
            "user": {"id": found.user_id, "userPrincipalName": record.upn},
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
    # Imported here, because a call for one user does without it.
    from shared import checks  # noqa: PLC0415

    app: App | ConfigurationError
    try:
        app = open_app()
    except ConfigurationError as error:
        app = error
    run, found = checks.overview(app)
    return {
        "version": __version__,
        "run": run.report() if run else None,
        "checks": [check.to_json() for check in found],
    }


def _photo(photo: Photo | None) -> dict[str, str] | None:
    if photo is None or not photo.sha256:
        return None
    return {"etag": photo.etag, "sha256": photo.sha256, "pictureUrl": photo.location.picture_url}


def _json(body: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(HTTPStatus.OK, json.dumps(body))


def _refusal(problem: Problem) -> HttpAnswer:
    body = json.dumps(problem.to_json(problems.TITLES[problem.kind]))
    return HttpAnswer(problem.status, body, _PROBLEM, problem.headers)
