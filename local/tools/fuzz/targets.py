"""What is fuzzed: every place where the program reads what others wrote.

Each target takes one input and returns when its promise holds: the input was understood, or refused
by an error of the kind that is named here. Anything else that is raised is a fault.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote, urlsplit

from hypothesis import strategies as st
from PIL import Image

from local.support.clock import VirtualClock
from local.tools.fuzz.inputs import damaged, images, json_bytes, spoiled, values
from local.tools.fuzz.network import ADMIN, MYSITE, NOW, Reply, graph, network, sharepoint
from local.tools.fuzz.target import PromiseBroken, Target
from shared import app, photos
from shared.api import api
from shared.checkpoint import iso, records, runs
from shared.checkpoint.documents import parse_document
from shared.config import settings as program_settings
from shared.errors import (
    BrokenState,
    ConfigurationError,
    Evidence,
    InvalidPhoto,
    NewerSchema,
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


_ID = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"
_OTHER = "7ea91a8d-e32e-41a1-b7bd-d2d185eed0e1"
_UPN = "adele@contoso.com"
_PLACE = ThumbnailLocation(MYSITE, "Profile Pictures", _ID)
_MOMENT = iso(NOW)
_EVIDENCE = Evidence("sharepoint", "GET", ADMIN)
_RECORDS = {
    _ID: records.Record(
        _UPN,
        Outcome.REMOVAL_PENDING,
        _MOMENT,
        "run",
        "gone",
        records.Photo('"A1"', "0" * 64, _PLACE),
        _MOMENT,
        missing=records.Missing(1, "run"),
        failing=records.Failing(2, "2026-10-01", '"A1"'),
    ),
    _OTHER: records.Record(_UPN, Outcome.FAILED, _MOMENT, "run"),
}
_SHARD = json.loads(records.dump_shard(_RECORDS))
_RUN = runs.Run("run", "1.0.0", "timer", runs.SYNC, "scope", _MOMENT, cursor=_ID).to_json()


def _shard(data: bytes) -> None:
    """What is understood can be acted upon, and written so that it reads the same."""
    found = records.parse_shard(data)
    _promised(records.parse_shard(records.dump_shard(found)) == found)
    policy = plan.Policy(NOW, "next")
    user = User(_ID, _UPN)
    for record in found.values():
        for seen in (Version('"A1"'), NoPhoto()):
            plan.on_version(seen, record, user, policy)
        plan.on_bytes("0" * 64, plan.Fetch('"A1"'), record, user, policy)


def _run(data: bytes) -> None:
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


def _versions(reply: Reply) -> None:
    """Every user has an answer, and only what says so is a version or no photo."""
    with network(reply):
        seen = graph().photo_versions([_ID, _OTHER])
    _promised(seen.keys() == {_ID, _OTHER})
    _promised(all(isinstance(each, Version | NoPhoto | Unknown) for each in seen.values()))


def _listing(reply: Reply) -> None:
    """Users that come out can be packed, sorted and named in URLs and reports."""
    with network(reply):
        for page in graph().user_pages("accountEnabled eq true"):
            for user in page.users:
                _promised(str(uuid.UUID(user.id)) == user.id)
                user.upn.encode()
                profiles.read_url(ADMIN, user.upn)


def _user(reply: Reply) -> None:
    with network(reply):
        graph().user(_ID).upn.encode()


def _write(reply: Reply) -> None:
    with network(reply):
        sharepoint().show(_UPN, _PLACE)


def _profiles(reply: Reply) -> None:
    users = [User(_ID, _UPN), User(_OTHER, "b@contoso.com")]
    with network(reply):
        found = sharepoint().profiles(users)
    _promised(found.keys() == {_ID, _OTHER})
    _promised(all(isinstance(each, Profile | PhotoSyncError) for each in found.values()))


def _files(reply: Reply) -> None:
    with network(reply):
        client = sharepoint()
        client.folder(MYSITE)
        images = photos.Thumbnails(b"s", b"m", b"l")
        client.has_content(_PLACE, images)
        for size, data in files_of(images).items():
            client.upload(_PLACE, size, data)
        client.recycle(_PLACE)


def _multipart(data: tuple[bytes, str]) -> None:
    for part in batch.parse(*data):
        _promised(0 <= part.status <= 999)  # noqa: PLR2004 - HTTP


def _profile(data: tuple[int, Any]) -> None:
    """A profile that is understood can be compared, and gives a place that is the user's own."""
    profile = profiles.parse(*data)
    if profile is None:
        return
    profile.shows(_PLACE)
    place = ThumbnailLocation(sharepoint().host_of(profile), "Profile Pictures", _ID)
    _promised(urlsplit(place.picture_url).hostname == "contoso-my.sharepoint.com")


def _image(data: bytes) -> None:
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


def _name(name: str) -> None:
    """A name is refused before anything is asked, or stays one segment of one URL."""
    with patch.object(api, "open_app", side_effect=TokenUnavailable("asked")):
        answer = api.answer("GET", name, f"https://host/api/sync/{quote(name, 'replace')}")
    problem = json.loads(answer.body)
    if not name or answer.status != 500:  # noqa: PLR2004 - HTTP: the app was not asked
        _promised(answer.status == 400 or not name, answer)  # noqa: PLR2004 - HTTP
        return
    _promised("asked" in problem["detail"], answer)
    _promised(_GUID.fullmatch(name) or re.fullmatch(r"[^@\s/?]+@[^@\s/?]+", name), name)
    body = json.dumps({"id": _ID, "userPrincipalName": _UPN}).encode()
    with network((200, {}, body)) as asked:
        graph().user(name)
    parts = urlsplit(asked[0])
    _promised(unquote(parts.path) == f"/v1.0/users/{name}")
    _promised(parts.path.count("/") == 3)  # noqa: PLR2004 - HTTP
    _promised(parts.query == "%24select=id%2CuserPrincipalName")


def _query(query: str) -> None:
    """A query is understood completely, or refused before anything is asked."""
    url = f"https://host/api/sync/{_UPN}?{query}"
    with patch.object(api, "open_app", side_effect=TokenUnavailable("asked")):
        answer = api.answer("POST", _UPN, url)
    _promised(answer.status in {400, 500}, answer)
    if answer.status == 500:  # noqa: PLR2004 - the app was asked
        _promised("asked" in json.loads(answer.body)["detail"], answer)
        switch = r"((force|dry_run)=(true|false|1|0)|(code|clientid)(=[^&]*)?)?"
        plain = unquote(query.partition("#")[0])
        _promised(re.fullmatch(rf"{switch}(&{switch})*", plain, re.IGNORECASE | re.DOTALL), query)


def _settings(environ: Mapping[str, str]) -> None:
    """Settings that are accepted make a program; those that are not name what is wrong."""
    try:
        app.App(program_settings.load(environ), VirtualClock(NOW))
    except ConfigurationError as error:
        _promised(error.problems)
        raise


_headers = st.dictionaries(
    st.sampled_from(("Retry-After", "RateLimit-Reset", "RateLimit-Remaining", "Content-Type")),
    st.one_of(
        st.sampled_from(("1", "-1", "1e9", "99999999999", "Wed, 21 Oct 2099 07:28:00 GMT")),
        st.sampled_from(("Wed, 99 Oct 9999 99:99:99 +9999", "multipart/mixed; boundary=b")),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    ),
    max_size=3,
)


def _replies(*documents: Any, more: st.SearchStrategy[bytes] | None = None) -> Any:
    bodies = json_bytes(*documents)
    others = (201, 204, 302, 400, 401, 403, 404, 424, 429, 500, 503)
    status = st.one_of(st.just(200), st.just(200), st.sampled_from(others))
    return st.tuples(status, _headers, bodies if more is None else st.one_of(bodies, more))


_STATUSES = (200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 424, 429, 500, 503)
_REPLY_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Content-Type": "multipart/mixed; boundary=b"},
    {"Retry-After": "2"},
    {"RateLimit-Remaining": "1", "RateLimit-Reset": "9"},
)


def _reply_of(data: bytes) -> Reply:
    """An answer made of bytes: the first two choose status and headers, the rest is the body."""
    status, headers = (*data[:2], 0, 0)[:2]
    chosen = _REPLY_HEADERS[headers % len(_REPLY_HEADERS)]
    return _STATUSES[status % len(_STATUSES)], chosen, data[2:]


def _reply_seeds(*documents: Any) -> tuple[bytes, ...]:
    return tuple(b"\0\0" + json.dumps(document).encode() for document in documents)


_PROFILE = {
    "PersonalSiteHostUrl": f"{_PLACE.host}:443/",
    "UserProfileProperties": [
        {"Key": "PictureURL", "Value": _PLACE.picture_url},
        {"Key": "SPS-PicturePlaceholderState", "Value": "0"},
    ],
}
_ERROR = {"error": {"code": "-2130575251, Microsoft", "message": {"value": "User Not Found"}}}
_PARTS = b"".join(
    b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    + json.dumps(body).encode()
    + b"\r\n"
    for body in (_PROFILE, _ERROR)
)
_USERS = {"value": [{"id": _ID, "userPrincipalName": _UPN}], "@odata.count": 1}
_BATCH = {
    "responses": [
        {"id": "0", "status": 200, "body": {"@odata.mediaEtag": '"A1"', "id": "648x648"}},
        {"id": "1", "status": 429, "headers": {"Retry-After": "2"}, "body": _ERROR},
    ]
}
_NAMES = ("", _UPN, _ID, "a@b.c", "..", "a/b@c.d", "a@b.c?x", "me", "$count", "ü@ß.de", "a@b@c.d")
_STORAGE = "DefaultEndpointsProtocol=https;AccountName=abc;AccountKey=a2V5;BlobEndpoint=http://h/a"
_GOOD = {"SHAREPOINT_TENANT": "contoso", "AzureWebJobsStorage": _STORAGE}
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ("true", "5%", "48,96,300", _ID, "https://x.y", "-1", "1e3", "٣", "%", "9" * 99)
    ),
    damaged(_STORAGE.encode(), b"https://contoso-my.sharepoint.com", b"48,96,300").map(
        lambda data: data.decode("latin-1")
    ),
)
_SETTING_NAMES = st.sampled_from(
    [*(setting.name for setting in program_settings.SETTINGS), "AzureWebJobsStorage"]
    + [f"AzureWebJobsStorage__{x}" for x in ("accountName", "blobServiceUri", "clientId")]
)

_REFUSED = (PhotoSyncError,)


def _state(name: str, document: Any, run: Callable[[bytes], None]) -> Target:
    """A reader of a blob, which holds JSON."""
    errors = (BrokenState, NewerSchema)
    return Target(name, json_bytes(document), run, errors, bytes, (json.dumps(document).encode(),))


def _service(name: str, run: Callable[[Reply], None], *documents: Any) -> Target:
    """A client that is answered with JSON."""
    return Target(name, _replies(*documents), run, _REFUSED, _reply_of, _reply_seeds(*documents))


TARGETS: tuple[Target, ...] = (
    _state("shard", _SHARD, _shard),
    _state("run", _RUN, _run),
    _service("batch", _versions, _BATCH),
    _service("listing", _listing, _USERS),
    _service("user", _user, _USERS["value"]),
    _service("query-answer", _write, [{"ErrorInfo": None}], [{"ErrorInfo": {}}]),
    Target(
        "profiles",
        _replies(_PROFILE, more=damaged(_PARTS)),
        _profiles,
        _REFUSED,
        _reply_of,
        (b"\0\1" + _PARTS, *_reply_seeds(_PROFILE)),
    ),
    _service("files", _files, {"value": [{"Name": "x", "ItemCount": 1}]}),
    Target(
        "multipart",
        st.tuples(
            st.one_of(damaged(_PARTS), st.binary(max_size=300)),
            st.one_of(st.just("multipart/mixed; boundary=b"), st.text(max_size=40)),
        ),
        _multipart,
        (),
        lambda data: (data, "multipart/mixed; boundary=b"),
        (_PARTS,),
    ),
    Target(
        "profile",
        st.tuples(
            st.sampled_from((200, 200, 404, 403, 500)),
            st.one_of(spoiled(_PROFILE, _ERROR), values(*_PROFILE, "Key", "Value")),
        ),
        _profile,
        _REFUSED,
    ),
    Target(
        "image",
        st.one_of(damaged(*images()), st.binary(max_size=100)),
        _image,
        (InvalidPhoto,),
        bytes,
        images(),
    ),
    Target(
        "name",
        st.one_of(
            st.text(max_size=40),
            st.sampled_from(_NAMES),
            st.tuples(st.text(max_size=8), st.text(max_size=8)).map(lambda p: f"{p[0]}@{p[1]}.c"),
            st.lists(st.sampled_from([*_NAMES, "@", ".", "-", "%2f"]), max_size=4).map("".join),
        ),
        _name,
        (),
        lambda data: data.decode("utf-8", "replace"),
        tuple(name.encode() for name in _NAMES),
    ),
    Target(
        "query",
        st.one_of(
            st.text(max_size=30),
            st.lists(
                st.sampled_from(
                    (
                        "force",
                        "dry_run",
                        "code",
                        "=",
                        "true",
                        "1",
                        "&",
                        "%",
                        "%00",
                        ";",
                        "+",
                        "FORCE",
                    )
                ),
                max_size=9,
            ).map("".join),
        ),
        _query,
        (),
        lambda data: data.decode("latin-1"),
        (b"force=true&dry_run=1&code=%00", b"FORCE=1&;+"),
    ),
    Target(
        "settings",
        st.dictionaries(_SETTING_NAMES, _TEXTS, max_size=5).map(lambda found: _GOOD | found),
        _settings,
        (ConfigurationError,),
    ),
)
