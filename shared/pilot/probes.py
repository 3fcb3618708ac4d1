"""The ten probes of the pilot; each looks at one user's context and answers.

Each raises `NotTried` when it cannot be asked, and what `shared.errors` says when it went wrong.
Sources of the questions: where SharePoint's documentation and public reports disagree or are
silent; docs/operate.md explains each.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.errors import (
    AccessDenied,
    PhotoSyncError,
    ProfileMissing,
    RequestRejected,
    ServiceError,
)
from shared.http import FORBIDDEN, Request, number
from shared.model import SIZES, ThumbnailLocation
from shared.pilot.context import (
    PICTURE,
    PLACEHOLDER,
    SYNC_STATE,
    TIMESTAMP,
    Context,
    NotTried,
    photo_page,
    short,
)
from shared.sharepoint import (
    JSON,
    PROCESS_QUERY,
    account_name,
    check_query,
    file_url,
    parse,
    read_url,
    set_properties,
    upload_url,
    wants_digest,
    write_url,
)
from shared.sharepoint import timestamp as picture_timestamp

YES, NO, UNKNOWN, NOT_TRIED, LOOK = "yes", "no", "unknown", "not tried", "look"
ANSWERS = (YES, NO, UNKNOWN, NOT_TRIED, LOOK)
"""`look`: only a person can see it; the detail says how."""

_MADE_UP = "photo-sync-check@nobody.invalid"
_BYTES = "application/octet-stream"
_WORKS = "works"


class Answer(NamedTuple):
    """What a probe found.

    Attributes:
        answer: one of `ANSWERS`.
        detail: what was seen, or what a person has to do.
    """

    answer: str
    detail: str


def writes(context: Context) -> Answer:
    """P1: write the user's own PictureURL back, by each host."""
    roles = context.app.identity.claims(context.admin).get("roles") or []
    found = [f"roles in the token: {', '.join(map(str, roles)) or 'none'}"]
    try:
        value, answer = context.writable()[PICTURE], NO
    except NotTried as why:
        value, answer = "", NOT_TRIED
        found.append(str(why))
    for name, host in context.hosts.items():
        tried = f"{name}: reading {_tried(partial(context.read, host))}"
        if value:
            written = _tried(partial(_set, context, host, PICTURE, value))
            tried += f", writing {written}"
            answer = YES if written == _WORKS else answer
        found.append(tried)
    return Answer(answer, "; ".join(found))


def query(context: Context) -> Answer:
    """P2: write the three properties back as they are, by one ProcessQuery."""
    found = context.writable()
    stored = [(name, found[name]) for name in (PICTURE, TIMESTAMP, PLACEHOLDER) if found[name]]
    before = context.read(context.admin).answer.headers
    query = set_properties(account_name(context.user.upn), stored)
    url = context.admin + PROCESS_QUERY
    try:
        after = context.site.post(url, query, "text/xml", check=check_query).headers
    except (AccessDenied, RequestRejected) as refused:
        return Answer(NO, short(refused))
    left = [number(headers.get("RateLimit-Remaining")) for headers in (before, after)]
    if left[0] is None or left[1] is None:
        cost = "SharePoint sends RateLimit headers only from 80 % of the quota on"
    else:
        cost = f"RateLimit-Remaining fell from {left[0]:g} to {left[1]:g}"
    return Answer(YES, f"{len(stored)} properties in one query; what it is charged: {cost}")


def digest(context: Context) -> Answer:
    """P3: upload one of the user's thumbnails again, with the same bytes, without a digest."""
    context.writable()
    location = context.location()
    size, data = _bytes(context, location)
    url = upload_url(location, size)
    call = Request(
        "POST", url, headers={"Accept": JSON, "Content-Type": _BYTES}, body=data, write=True
    )
    try:
        context.site.service.send(context.budget, call)
        answer, found = NO, "uploaded without one"
    except AccessDenied as refused:
        if not wants_digest(refused.evidence):
            raise
        context.site.post(url, data, _BYTES)
        answer, found = YES, "refused without one, uploaded with one"
    if _content(context, location, size) != data:
        found += "; but it reads back otherwise: call POST /api/sync/{user}?force=true"
    return Answer(answer, f"{location.file_name(size)}, {len(data)} bytes: {found}")


def timestamp(context: Context) -> Answer:
    """P4: write the current time as the picture's timestamp, and read it back."""
    before = context.writable()
    moment = picture_timestamp(context.app.clock.time())
    if moment == before[TIMESTAMP]:
        moment = str(int(moment) + 1)
    try:
        _set(context, context.admin, TIMESTAMP, moment)
    except (AccessDenied, RequestRejected) as refused:
        return Answer(NO, short(refused))
    after = context.read(context.admin)
    kept, shown = after[TIMESTAMP] == moment, after.shown.endswith(f"?t={moment}")
    found = f"written {moment}, stored {after[TIMESTAMP]}, PictureUrl {after.shown or 'empty'}"
    return Answer(YES if kept and shown else NO, found)


def browser(context: Context) -> Answer:
    """P5: only a signed-in browser sees what people see."""
    page = photo_page(context.root, context.user.upn)
    location = context.location()
    try:
        plans = context.graph(f"users/{context.user.id}?$select=assignedPlans").value[
            "assignedPlans"
        ]
        exchange = any(
            str(plan["service"]).lower() == "exchange" and plan["capabilityStatus"] == "Enabled"
            for plan in plans
        )
        licence = "with" if exchange else "without"
    except (PhotoSyncError, KeyError, TypeError):
        licence = "with or without"
    return Answer(
        LOOK,
        f"download {location.host}{location.path('L')}, mark the picture, and upload it under the "
        f"same name. Then open {page} in a private browser window: if it shows the marked "
        "picture, people see the file that this app writes. Restore the picture with POST "
        f"/api/sync/{{user}}?force=true. This user is {licence} an Exchange plan; try one user "
        "with and one without",
    )


def native(context: Context) -> Answer:
    """P6: list the user's files under every name they may have, to compare them a day later."""
    found, host, user = context.found(), context.mysite, context.user
    by_name = user.upn.lower().replace("@", "_").replace(".", "_")
    prefixes, folder = [user.id, by_name], context.folder()
    with suppress(NotTried):
        prefixes.insert(0, context.location().prefix)
    files = []
    for prefix in dict.fromkeys(prefixes):
        at = ThumbnailLocation(host, folder, prefix)
        files += [
            f"{at.file_name(size)} {file[0]} bytes of {file[1]}"
            for size in SIZES
            if (file := context.file(at, size))
        ]
    return Answer(
        LOOK,
        f"now: {', '.join(files) or 'no file'}; {SYNC_STATE} {found[SYNC_STATE] or 'not set'}. "
        "After 24 hours, let the user open their own profile photo in SharePoint, run the pilot "
        "again with dry_run=true and compare",
    )


def unknown(context: Context) -> Answer:
    """P7: ask for somebody who does not exist."""
    return _nobody(context, _MADE_UP)


def drive(context: Context) -> Answer:
    """P8: ask Microsoft Graph for the drives of the My Site host."""
    path = f"sites/{urlsplit(context.mysite).hostname}/drives?$select=id,name,webUrl,system"
    try:
        value = context.graph(path).value
    except ServiceError as error:
        url = f"{context.app.settings.graph_url}/v1.0/{path}"
        return Answer(LOOK, f"the app gets {short(error)}. In Graph Explorer: GET {url}")
    drives = value.get("value") if isinstance(value, dict) else None
    names = [str(drive.get("name")) for drive in drives or [] if isinstance(drive, dict)]
    return Answer(YES if "User Photos" in names else NO, f"drives: {', '.join(names) or 'none'}")


def one_token(context: Context) -> Answer:
    """P9: show one host's token to the others."""
    own = context.root or context.mysite
    others = {name: host for name, host in context.hosts.items() if host != own}
    site = context.with_token_of(own, list(others.values()))
    passed, found = 0, [f"with the token of {own}"]
    for name, host in others.items():
        try:
            context.read(host, site=site)
            said, opened = _WORKS, True
        except ProfileMissing as missing:
            said, opened = str(missing), True
        except AccessDenied as refused:
            # 403 is about rights, so the token itself was taken.
            said, opened = short(refused), refused.evidence.status == FORBIDDEN
        passed += opened
        found.append(f"{name}: {said}")
    return Answer(YES if passed == len(others) else NO, "; ".join(found))


def guests(context: Context) -> Answer:
    """P10: a guest's account name has a # in it; the files are named by the object id."""
    upn = context.user.upn
    if "#ext#" not in upn.lower():
        made_up = f"{_MADE_UP.replace('@', '_')}#EXT#@{upn.rpartition('@')[2]}"
        found = _nobody(context, made_up).detail
        return Answer(
            UNKNOWN, f"this user is no guest; for an invented guest: {found}. Run it for a guest"
        )
    context.found()
    file = context.file(ThumbnailLocation(context.mysite, context.folder(), context.user.id), "M")
    return Answer(
        YES, f"the guest's profile is read; file by object id: {'there' if file else 'none'}"
    )


def _nobody(context: Context, upn: str) -> Answer:
    # Whatever comes is the answer to this question, so nothing is asked twice.
    call = Request(
        "GET", read_url(context.admin, upn), headers={"Accept": JSON}, final=lambda _: True
    )
    answer = context.site.service.send(context.budget, call)
    value = answer.value if answer.ok else answer.error_value()
    said = f"{answer.status} {json.dumps(value)[:300]}"
    try:
        parse(answer.status, value)
    except ProfileMissing:
        return Answer(YES, f"understood as no profile: {said}")
    return Answer(NO, f"not understood; report this answer to the maintainers: {said}")


def _tried(call: Callable[[], object]) -> str:
    try:
        call()
    except (ServiceError, ProfileMissing) as error:
        return f"fails ({short(error)})"
    return _WORKS


def _set(context: Context, host: str, name: str, value: str) -> None:
    account = account_name(context.user.upn)
    body = {"accountName": account, "propertyName": name, "propertyValue": value}
    context.site.post(write_url(host), json.dumps(body).encode(), JSON, want_json=False)


def _bytes(context: Context, location: ThumbnailLocation) -> tuple[str, bytes]:
    """A complete thumbnail, because it is written back.

    Raises:
        NotTried: there is none, or its length is not what SharePoint says.
    """
    for size in ("S", "M", "L"):
        file = context.file(location, size)
        if file and file[0]:
            data = _content(context, location, size)
            if len(data) != file[0]:
                raise NotTried("the file is not as long as SharePoint says")
            return size, data
    raise NotTried("there is no file behind PictureURL")


def _content(context: Context, location: ThumbnailLocation, size: str) -> bytes:
    return context.site.get(file_url(location, size, "/$value"), want_json=False).body
