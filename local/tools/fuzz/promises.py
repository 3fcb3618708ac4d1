"""What the program promises of foreign bytes: one function for each place that reads them.

Each takes one input and returns when its promise holds: the input was understood, or refused by an
error of the kind that `targets` names. Anything else that is raised is a fault.
"""

import json
import re
import uuid
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote, urlsplit

from PIL import Image

from local.support.clock import VirtualClock
from local.tools.fuzz.network import ADMIN, MYSITE, NOW, Reply, graph, network, sharepoint
from local.tools.fuzz.target import PromiseBroken
from shared import app, photos
from shared.api import bodies
from shared.api import http as api
from shared.checkpoint import iso, records, runs
from shared.checkpoint.documents import parse_document
from shared.config import settings as program_settings
from shared.errors import (
    ConfigurationError,
    Evidence,
    PhotoSyncError,
    TokenUnavailable,
)
from shared.graph import NoPhoto, Unknown, Version
from shared.model import Outcome, ThumbnailLocation, User
from shared.sharepoint import Profile, batch, files_of, profiles
from shared.sync import plan, report


def _promised(holds: object, what: object = "") -> None:
    if not holds:
        raise PromiseBroken(what)


ID = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"
OTHER = "7ea91a8d-e32e-41a1-b7bd-d2d185eed0e1"
UPN = "adele@contoso.com"
PLACE = ThumbnailLocation(MYSITE, "Profile Pictures", ID)
_MOMENT = iso(NOW)
_EVIDENCE = Evidence("sharepoint", "GET", ADMIN)
_RECORDS = {
    ID: records.Record(
        UPN,
        Outcome.REMOVAL_PENDING,
        _MOMENT,
        "run",
        "gone",
        records.Photo('"A1"', "0" * 64, PLACE),
        _MOMENT,
        missing=records.Missing(1, "run"),
        failing=records.Failing(2, "2026-10-01", '"A1"'),
    ),
    OTHER: records.Record(UPN, Outcome.FAILED, _MOMENT, "run"),
}
SHARD = json.loads(records.dump_shard(_RECORDS))
RUN = runs.Run("run", "1.0.0", "timer", runs.SYNC, "scope", _MOMENT, cursor=ID).to_json()


def check_shard(data: bytes) -> None:
    """What is understood can be acted upon, and written so that it reads the same."""
    found = records.parse_shard(data)
    _promised(records.parse_shard(records.dump_shard(found)) == found)
    policy = plan.Policy(NOW, "next")
    user = User(ID, UPN)
    for record in found.values():
        for seen in (Version('"A1"'), NoPhoto()):
            plan.on_version(seen, record, user, policy)
        plan.on_bytes("0" * 64, plan.Fetch('"A1"'), record, user, policy)


def check_run(data: bytes) -> None:
    """What is understood can be resumed or closed, shown and written again."""
    run = runs.from_json(parse_document(data))
    if run is None:
        return
    again = runs.from_json(json.loads(json.dumps(run.to_json()).encode()))
    _promised(again is not None and again.to_json() == run.to_json())
    report.summary(run)
    runs.next_run(
        run, run_id="x", version="1", mode=runs.SYNC, scope="scope", now=NOW, interval=43_200.0
    )


def check_versions(reply: Reply) -> None:
    """Every user has an answer, and only what says so is a version or no photo."""
    with network(reply):
        seen = graph().photo_versions([ID, OTHER])
    _promised(seen.keys() == {ID, OTHER})
    _promised(all(isinstance(each, Version | NoPhoto | Unknown) for each in seen.values()))


def check_listing(reply: Reply) -> None:
    """Users that come out can be packed, sorted and named in URLs and reports."""
    with network(reply):
        for page in graph().user_pages("accountEnabled eq true"):
            for user in page.users:
                _promised(str(uuid.UUID(user.id)) == user.id)
                user.upn.encode()
                profiles.read_url(ADMIN, user.upn)


def check_user(reply: Reply) -> None:
    """A user that comes out has a name that can be encoded."""
    with network(reply):
        graph().user(ID).upn.encode()


def check_names(reply: Reply) -> None:
    """Every user has a name, is proven gone, or has an error; nobody is mixed up."""
    with network(reply):
        found = graph().users([ID, OTHER])
        matched = graph().in_scope([ID, OTHER], "accountEnabled eq true", None)
    for answers in (found, matched):
        _promised(answers.keys() == {ID, OTHER})
        for user_id, user in answers.items():
            _promised(user is None or isinstance(user, PhotoSyncError) or user.id == user_id)


def check_write(reply: Reply) -> None:
    """A write succeeds, or is refused."""
    with network(reply):
        sharepoint().show(UPN, PLACE)


def check_profiles(reply: Reply) -> None:
    """Every user has a profile or an error."""
    users = [User(ID, UPN), User(OTHER, "b@contoso.com")]
    with network(reply):
        found = sharepoint().profiles(users)
    _promised(found.keys() == {ID, OTHER})
    _promised(all(isinstance(each, Profile | PhotoSyncError) for each in found.values()))


def check_files(reply: Reply) -> None:
    """Folders, files and their removal are understood, or refused."""
    with network(reply):
        client = sharepoint()
        client.folder(MYSITE)
        images = photos.Thumbnails(b"s", b"m", b"l")
        client.has_content(PLACE, images)
        for size, data in files_of(images).items():
            client.upload(PLACE, size, data)
        client.recycle(PLACE)


def check_multipart(data: tuple[bytes, str]) -> None:
    """Parts that come out have an HTTP status."""
    for part in batch.parse(*data):
        _promised(0 <= part.status <= 999)  # noqa: PLR2004 - HTTP


def check_profile(data: tuple[int, Any]) -> None:
    """A profile that is understood can be compared, and gives a place that is the user's own."""
    profile = profiles.parse(*data)
    if profile is None:
        return
    profile.shows(PLACE)
    place = ThumbnailLocation(sharepoint().host_of(profile), "Profile Pictures", ID)
    _promised(urlsplit(place.picture_url).hostname == "contoso-my.sharepoint.com")


def check_image(data: bytes) -> None:
    """What comes out are three JPEGs of the right size, without anything of the source in them."""
    sizes = (16, 24, 32)
    made = photos.render(data, sizes)
    for size, file in zip(sizes, (made.small, made.medium, made.large), strict=True):
        with Image.open(BytesIO(file)) as image:
            image.load()
            _promised(image.format == "JPEG")
            _promised(max(image.size) <= size)
            _promised(not image.getexif())


_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_name(name: str) -> None:
    """A name is refused before anything is asked, or stays one segment of one URL."""
    with patch.object(api, "open_app", side_effect=TokenUnavailable("asked")):
        answer = api.answer("GET", name, f"https://host/api/sync/{quote(name, 'replace')}")
    problem = json.loads(answer.body)
    if not name or answer.status != 500:  # noqa: PLR2004 - HTTP: the app was not asked
        _promised(answer.status == 400 or not name, answer)  # noqa: PLR2004 - HTTP
        return
    _promised("asked" in problem["detail"], answer)
    _promised(_GUID.fullmatch(name) or re.fullmatch(r"[^@\s/?]+@[^@\s/?]+", name), name)
    body = json.dumps({"id": ID, "userPrincipalName": UPN}).encode()
    with network((200, {}, body)) as asked:
        graph().user(name)
    parts = urlsplit(asked[0])
    _promised(unquote(parts.path) == f"/v1.0/users/{name}")
    _promised(parts.path.count("/") == 3)  # noqa: PLR2004 - HTTP
    _promised(parts.query == "%24select=id%2CuserPrincipalName")


def check_query(query: str) -> None:
    """A query is understood completely, or refused before anything is asked."""
    url = f"https://host/api/sync/{UPN}?{query}"
    with patch.object(api, "open_app", side_effect=TokenUnavailable("asked")):
        answer = api.answer("POST", UPN, url)
    _promised(answer.status in {400, 500}, answer)
    if answer.status == 500:  # noqa: PLR2004 - the app was asked
        _promised("asked" in json.loads(answer.body)["detail"], answer)
        switch = r"((force|dry_run|pilot)=(true|false|1|0)|(code|clientid)(=[^&]*)?)?"
        plain = unquote(query.partition("#")[0])
        _promised(re.fullmatch(rf"{switch}(&{switch})*", plain, re.IGNORECASE | re.DOTALL), query)


def check_body(data: bytes) -> None:
    """A body names an option of the query, or it is ignored."""
    _promised(bodies.option_in(data) in {None, "", *bodies.OPTIONS})


def check_settings(environ: Mapping[str, str]) -> None:
    """Settings that are accepted make a program; those that are not name what is wrong."""
    try:
        app.App(program_settings.load(environ), VirtualClock(NOW))
    except ConfigurationError as error:
        _promised(error.problems)
        raise
