"""What is fuzzed: every place where the program reads what others wrote, with its inputs."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from local.tools.fuzz import promises
from local.tools.fuzz.inputs import damaged, images, json_bytes, spoiled, values
from local.tools.fuzz.network import Reply
from local.tools.fuzz.target import Target
from shared.config import settings as program_settings
from shared.errors import (
    BrokenState,
    ConfigurationError,
    InvalidPhoto,
    NewerSchema,
    PhotoSyncError,
)

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
    "PersonalSiteHostUrl": f"{promises.PLACE.host}:443/",
    "UserProfileProperties": [
        {"Key": "PictureURL", "Value": promises.PLACE.picture_url},
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
_USERS = {"value": [{"id": promises.ID, "userPrincipalName": promises.UPN}], "@odata.count": 1}
_BATCH = {
    "responses": [
        {"id": "0", "status": 200, "body": {"@odata.mediaEtag": '"A1"', "id": "648x648"}},
        {"id": "1", "status": 429, "headers": {"Retry-After": "2"}, "body": _ERROR},
    ]
}
_NAMED = {
    "responses": [
        {"id": "0", "status": 200, "body": {"id": promises.ID, "userPrincipalName": promises.UPN}},
        {"id": "1", "status": 404, "body": {"error": {"code": "Request_ResourceNotFound"}}},
    ]
}
_NAMES = (
    "",
    promises.UPN,
    promises.ID,
    "a@b.c",
    "..",
    "a/b@c.d",
    "a@b.c?x",
    "me",
    "$count",
    "ü@ß.de",
    "a@b@c.d",
)
_STORAGE = "DefaultEndpointsProtocol=https;AccountName=abc;AccountKey=a2V5;BlobEndpoint=http://h/a"
_GOOD = {"SHAREPOINT_TENANT": "contoso", "AzureWebJobsStorage": _STORAGE}
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ("true", "5%", "48,96,300", promises.ID, "https://x.y", "-1", "1e3", "٣", "%", "9" * 99)
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
    _state("shard", promises.SHARD, promises.check_shard),
    _state("run", promises.RUN, promises.check_run),
    _service("batch", promises.check_versions, _BATCH),
    _service("listing", promises.check_listing, _USERS),
    _service("user", promises.check_user, _USERS["value"]),
    _service("names", promises.check_names, _NAMED),
    _service("query-answer", promises.check_write, [{"ErrorInfo": None}], [{"ErrorInfo": {}}]),
    Target(
        "profiles",
        _replies(_PROFILE, more=damaged(_PARTS)),
        promises.check_profiles,
        _REFUSED,
        _reply_of,
        (b"\0\1" + _PARTS, *_reply_seeds(_PROFILE)),
    ),
    _service("files", promises.check_files, {"value": [{"Name": "x", "ItemCount": 1}]}),
    Target(
        "multipart",
        st.tuples(
            st.one_of(damaged(_PARTS), st.binary(max_size=300)),
            st.one_of(st.just("multipart/mixed; boundary=b"), st.text(max_size=40)),
        ),
        promises.check_multipart,
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
        promises.check_profile,
        _REFUSED,
    ),
    Target(
        "image",
        st.one_of(damaged(*images()), st.binary(max_size=100)),
        promises.check_image,
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
        promises.check_name,
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
        promises.check_query,
        (),
        lambda data: data.decode("latin-1"),
        (b"force=true&dry_run=1&code=%00", b"FORCE=1&;+"),
    ),
    Target(
        "body",
        st.one_of(json_bytes({"force": True}, [{"dry_run": 1}]), damaged(b"force=true&x=%20")),
        promises.check_body,
        (),
        bytes,
        (b'{"force": true}', b"dry_run=true&pilot=1", b"force"),
    ),
    Target(
        "settings",
        st.dictionaries(_SETTING_NAMES, _TEXTS, max_size=5).map(lambda found: _GOOD | found),
        promises.check_settings,
        (ConfigurationError,),
    ),
)
