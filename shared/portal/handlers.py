"""What each route answers, once it is known who calls.

`me` is always the signed-in person's object ID and never comes from the request. What the core
says in English for technicians reaches only the help desk; the pages have their own texts for
everybody else.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

from shared.clock import Clock
from shared.errors import PhotoSyncError
from shared.model import is_object_id
from shared.portal import audit, files, message, pages
from shared.portal import rate_limit as limits
from shared.portal.audit import Action, Audit
from shared.portal.core import Comparison, Core, Photo, Source, State, Synced, User
from shared.portal.failures import problem_of
from shared.portal.message import Answer, Request
from shared.portal.pages import Reader
from shared.problem import Problem
from shared.sign_in import Person

MIN_SEARCH_CHARACTERS = 3
MAX_SEARCH_CHARACTERS = 100
MAX_HITS = 10
MAX_BODY_BYTES = 1_000

_RUN_FIELDS = (
    *("status", "mode", "started", "updated", "ended", "reason"),
    *("inScope", "counts", "requests", "throttled", "removals"),
)
"""What the page shows of a run; its document also says which users are left."""

_SELF = "self"
_HELP_DESK = "helpdesk"


@dataclass(frozen=True)
class Call:
    """One request on its way to a handler.

    Attributes:
        request: as it came.
        reader: for whom pages are made.
        clock: where time comes from.
        variables: of the route.
        person: who calls; None on routes for anyone.
        open_core: opens the program; raises when its settings are wrong.
    """

    request: Request
    reader: Reader
    clock: Clock
    variables: Mapping[str, str] = field(default_factory=dict)
    person: Person | None = None
    open_core: Callable[[], Core] | None = None

    @property
    def caller(self) -> Person:
        """Who calls a route that is not for anyone."""
        if self.person is None:
            raise TypeError("this route is for signed-in people")
        return self.person

    def core(self) -> Core:
        """The program."""
        if self.open_core is None:
            raise TypeError("this route does without the program")
        return self.open_core()


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


def me_page(call: Call) -> Answer:
    """`GET /api/portal`."""
    return pages.me(call.reader)


def help_desk_page(call: Call) -> Answer:
    """`GET /api/portal/helpdesk`."""
    return pages.help_desk(call.reader)


def signed_out_page(call: Call) -> Answer:
    """`GET /api/portal/signed-out`."""
    return pages.signed_out(call.reader)


def file(call: Call) -> Answer:
    """`GET /api/portal/assets/{version}/{name}`."""
    return files.serve(call.variables["version"], call.variables["name"])


# ── my photo ─────────────────────────────────────────────────────────────────────────────────────


def me(call: Call) -> Answer:
    """`GET /api/portal/api/me`: both photos of the caller in words."""
    core = call.core()
    limits.RateLimit(core.store, call.clock).spend(call.caller.id, limits.OWN_VIEW)
    return message.data(_view(core, _member(core, call.caller.id), technical=False))


def my_photo(call: Call) -> Answer:
    """`GET /api/portal/api/me/photo/{source}`."""
    return _photo(call, call.caller.id)


def sync_me(call: Call) -> Answer:
    """`POST /api/portal/api/me/sync`: the caller's photo, without force and without dry run."""
    body = _body(call.request, switches=())
    core = call.core()
    correlation = str(body["requestId"])
    limits.RateLimit(core.store, call.clock).spend(call.caller.id, limits.OWN_SYNC, correlation)
    action = Action("sync", call.caller.id, _SELF, call.caller.id, correlation)
    return _carry_out(call, core, action)


# ── help desk ────────────────────────────────────────────────────────────────────────────────────


def search(call: Call) -> Answer:
    """`GET /api/portal/api/users?query=`: at most `MAX_HITS` users."""
    text = " ".join(call.request.query.get("query", "").split())
    letters = sum(c.isalnum() for c in text)
    if letters < MIN_SEARCH_CHARACTERS or len(text) > MAX_SEARCH_CHARACTERS:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad-search",
            f"Search with {MIN_SEARCH_CHARACTERS} letters at least and {MAX_SEARCH_CHARACTERS} "
            "characters at most.",
        )
    if not text.isprintable():
        raise Problem(HTTPStatus.BAD_REQUEST, "bad-search", "Search without control characters.")
    core = call.core()
    limits.RateLimit(core.store, call.clock).spend(call.caller.id, limits.SEARCH)
    action = Action("search", call.caller.id, _HELP_DESK, "", str(uuid.uuid4()))
    Audit(core.store, call.clock).begin(action)
    found = core.search(text, MAX_HITS + 1)
    return message.data(
        {
            "users": [_user(user) for user in found[:MAX_HITS]],
            "more": len(found) > MAX_HITS,
        }
    )


def user(call: Call) -> Answer:
    """`GET /api/portal/api/users/{id}`: both photos, what is recorded, the history."""
    core, target = call.core(), call.variables["id"]
    limits.RateLimit(core.store, call.clock).spend(call.caller.id, limits.HELP_DESK)
    found = core.user(target)
    action = Action("view", call.caller.id, _HELP_DESK, target, str(uuid.uuid4()))
    Audit(core.store, call.clock).begin(action)
    document = _view(core, found, technical=True)
    try:
        document["history"] = [asdict(event) for event in core.history(target)]
    except PhotoSyncError:
        document["history"] = None
    return message.data(document)


def user_photo(call: Call) -> Answer:
    """`GET /api/portal/api/users/{id}/photo/{source}`."""
    return _photo(call, call.variables["id"])


def sync_user(call: Call) -> Answer:
    """`POST /api/portal/api/users/{id}/sync`, body `requestId`, `force`, `dryRun`."""
    body = _body(call.request, switches=("force", "dryRun"))
    core, target = call.core(), call.variables["id"]
    correlation = str(body["requestId"])
    limits.RateLimit(core.store, call.clock).spend(call.caller.id, limits.HELP_DESK, correlation)
    force, dry_run = bool(body["force"]), bool(body["dryRun"])
    activity = "dry_run" if dry_run else "force" if force else "sync"
    action = Action(activity, call.caller.id, _HELP_DESK, target, correlation)
    return _carry_out(call, core, action, force=force, dry_run=dry_run)


def run(call: Call) -> Answer:
    """`GET /api/portal/api/run`: the last run, its problems, the checks."""
    core = call.core()
    limits.RateLimit(core.store, call.clock).spend(call.caller.id, limits.OVERVIEW)
    overview = core.overview()
    last = overview.run and {name: overview.run.get(name) for name in _RUN_FIELDS}
    return message.data({**asdict(overview), "run": last})


# ── shared by both ───────────────────────────────────────────────────────────────────────────────


def _carry_out(
    call: Call, core: Core, action: Action, *, force: bool = False, dry_run: bool = False
) -> Answer:
    """One sync between its two lines in the audit."""
    trail = Audit(core.store, call.clock)
    trail.begin(action)
    try:
        if action.actor_role == _SELF:
            _member(core, action.target_id)
        done = core.sync(action.target_id, force=force, dry_run=dry_run)
    except Exception as error:
        trail.end(action, audit.FAILED, reason=problem_of(error).kind)
        raise
    succeeded = done.outcome not in {"failed", "deferred"}
    trail.end(action, audit.SUCCEEDED if succeeded else audit.FAILED, outcome=done.outcome)
    document = _synced(done, technical=action.actor_role == _HELP_DESK)
    document["correlationId"] = action.correlation_id
    return message.data(document)


def _member(core: Core, user_id: str) -> User:
    """The caller in the directory.

    Raises:
        Problem: a guest, whom the sign-in did not mark as one.
    """
    found = core.user(user_id)
    if not found.member:
        raise Problem(HTTPStatus.FORBIDDEN, "guest", "Guest accounts have no photo here.")
    return found


def _view(core: Core, user: User, *, technical: bool) -> dict[str, Any]:
    view = core.view(user)
    comparison = view.comparison
    if State.PHOTO not in {view.exchange.state, view.sharepoint.state}:
        comparison = Comparison.UNKNOWN
    record = asdict(view.record) if view.record else None
    if record and not technical:
        # Sentences for technicians, in English, with names of services and hosts.
        record["detail"] = ""
    return {
        "user": _user(user),
        "exchange": _side(view.exchange),
        "sharepoint": _side(view.sharepoint),
        "comparison": comparison.value,
        "record": record,
        "profileUrl": view.profile_url or None,
    }


def _user(user: User) -> dict[str, str]:
    return {"id": user.id, "name": user.name, "userPrincipalName": user.upn, "mail": user.mail}


def _side(photo: Photo) -> dict[str, Any]:
    picture = photo.picture
    return {
        "state": photo.state.value,
        "version": picture.etag.strip('"') if picture else None,
        "width": picture.width if picture else None,
        "height": picture.height if picture else None,
        "modified": photo.modified or None,
    }


def _synced(done: Synced, *, technical: bool) -> dict[str, Any]:
    return {
        "outcome": done.outcome,
        "detail": done.detail if technical else "",
        "checkedAt": done.checked_at,
        "dryRun": done.dry_run,
        "retryAfter": done.retry_after or None,
        "requestId": done.request_id or None,
    }


def _photo(call: Call, user_id: str) -> Answer:
    """One photo: that of the view it belongs to, or else read, counted, and put on record."""
    try:
        source = Source(call.variables["source"])
    except ValueError:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such photo.") from None
    core, person = call.core(), call.caller
    picture = core.at_hand(user_id, source, call.request.query.get("v", ""))
    if picture is None:
        own = user_id == person.id
        bucket = limits.OWN_VIEW if own else limits.HELP_DESK
        limits.RateLimit(core.store, call.clock).spend(person.id, bucket)
        if not own:
            action = Action("view", person.id, _HELP_DESK, user_id, str(uuid.uuid4()))
            Audit(core.store, call.clock).begin(action)
        picture = core.picture(user_id, source)
    if picture is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no-photo", "There is no photo.")
    return message.photo(picture.jpeg, picture.etag, call.request.header("If-None-Match"))


def _body(request: Request, *, switches: tuple[str, ...]) -> dict[str, str | bool]:
    """The JSON object of a POST: `requestId`, and the switches, which are off by default.

    Raises:
        Problem: anything else is in it, or it is no such object.
    """
    refused = Problem(
        HTTPStatus.BAD_REQUEST,
        "bad-request",
        f"The body must be a JSON object with {' and '.join(('requestId (a GUID)', *switches))}, "
        "and nothing else.",
    )
    if len(request.body) > MAX_BODY_BYTES:
        raise refused
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        raise refused from None
    if not isinstance(document, dict) or not document.keys() <= {"requestId", *switches}:
        raise refused
    request_id = document.get("requestId")
    if not isinstance(request_id, str) or not is_object_id(request_id):
        raise refused
    values: dict[str, str | bool] = {"requestId": request_id.lower()}
    for name in switches:
        value = document.get(name, False)
        if not isinstance(value, bool):
            raise refused
        values[name] = value
    return values
