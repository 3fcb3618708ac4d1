"""Kinds of faults, the calls of the program, and the form of what is announced of them."""

import re
from dataclasses import dataclass
from typing import Any

_STATUS = {"kind": "status"}
_CODES = {
    f"{status} {body}": {**_STATUS, "status": status, "body": body}
    for status in (500, 502, 503, 504)
    for body in ("json", "html", "empty")
}
_PROFILE_ERROR = "User Profile Error 1000: User Not Found: Could not load profile data"

GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "429": {
        "429 seconds": {**_STATUS, "status": 429, "retry_after": 7},
        "429 date": {**_STATUS, "status": 429, "retry_after": 7, "retry_after_date": True},
        "429": {**_STATUS, "status": 429},
    },
    "503 that asks to wait": {"503 seconds": {**_STATUS, "status": 503, "retry_after": 7}},
    "5xx, time-out, reset, answer cut off": {
        **_CODES,
        "time-out before": {"kind": "timeout_before"},
        "time-out after": {"kind": "timeout_after"},
        "reset": {"kind": "reset"},
        "cut off": {"kind": "truncate"},
    },
    "half an answer": {"half": {"kind": "truncate_clean"}},
    "401": {"401": {"kind": "token_rejected"}},
    "403": {"403": {"kind": "forbidden"}},
    "423 locked": {"423": {**_STATUS, "status": 423}},
    "`ErrorInfo` access denied": {"denied": {"kind": "error_info", "code": "-2147024891"}},
    "`ErrorInfo` user not found": {
        "nobody": {"kind": "error_info", "code": "-1", "message": _PROFILE_ERROR}
    },
    "`ErrorInfo`, any other": {"other": {"kind": "error_info", "code": "-2146232832"}},
    "in a batch: 429": {"item 429": {"kind": "item_status", "status": 429, "retry_after": 7}},
    "in a batch: 503": {"item 503": {"kind": "item_status", "status": 503}},
    "in a batch: no answer, or one with an unknown id": {
        "item missing": {"kind": "item_missing"},
        "item unknown": {"kind": "item_unknown_id"},
    },
}
"""Faults that read the same, by the name the page gives them."""

WAIT, BUSY, PASSING, HALF, U401, F403, LOCKED, DENIED, NOBODY, OTHER, I429, I503, INONE = GROUPS
QUERY = (DENIED, NOBODY, OTHER)
ITEMS = (I429, I503, INONE)
COMMON = (WAIT, BUSY, PASSING, HALF, U401, F403)


@dataclass(frozen=True)
class Call:
    """A call of the program.

    Attributes:
        title: as the page names it.
        match: which requests it is, as `local.tenant.Fault` matches them.
        groups: faults that it can meet.
    """

    title: str
    match: dict[str, str]
    groups: tuple[str, ...] = COMMON


def _file(operation: str, size: str) -> dict[str, str]:
    return {"operation": operation, "url": f"_{size}Thumb"}


_FILE = (*COMMON, LOCKED)
CALLS = {
    "graph token": Call("token for Graph", {"service": "identity", "url": "graph"}),
    "sharepoint token": Call("token for SharePoint", {"service": "identity", "url": "admin"}),
    "list": Call("list of users", {"operation": "users.list"}),
    "group": Call("members of the group", {"operation": "group.members"}),
    "versions": Call("photo versions (20 a call)", {"operation": "photo.batch"}, (*COMMON, *ITEMS)),
    "bytes": Call("photo bytes", {"operation": "photo.bytes"}),
    "folder": Call("picture folder", {"operation": "folder.read"}),
    "digest": Call("form digest", {"operation": "digest"}),
    "profiles": Call("profiles (20 a call)", {"operation": "profile.batch"}),
    "profile": Call("profile alone", {"operation": "profile.read"}),
    "compare": Call(
        "look at the picture shown", {"operation": "file.read", "url": "$value"}, _FILE
    ),
    "L": Call("upload L", _file("file.upload", "L"), _FILE),
    "S": Call("upload S", _file("file.upload", "S"), _FILE),
    "M": Call("upload M", _file("file.upload", "M"), _FILE),
    "write": Call("profile write", {"operation": "profile.write"}, (*COMMON, *QUERY)),
    "hide": Call("profile write (removal)", {"operation": "profile.write"}, (*COMMON, *QUERY)),
    "recycle": Call("file removal", {"operation": "file.recycle", "url": "_SThumb"}, _FILE),
}

TOKENS = ("graph token", "sharepoint token")
LISTS = ("list", "group")
SHARED = (*TOKENS, *LISTS, "versions", "folder", "digest", "profiles")
UPLOADS = ("L", "S", "M")
FILES = ("compare", *UPLOADS, "recycle")
WRITES = ("write", "hide")
OWN = ("bytes", "profile", *FILES, *WRITES)

ONCE, ONE, ALL = "once", "for one user, for ever", "for everybody, for ever"
FINE = "as without the fault"


@dataclass(frozen=True)
class Row:
    """What is seen of some faults in some calls.

    Attributes:
        groups: of faults.
        calls: where they strike.
        lasts: `ONCE`, `ONE`, `ALL`.
        status: of the run.
        outcome: of the users concerned; `FINE` when nothing of the fault remains.
        message: detail of the user, or reason of the run; "…" for what varies.
        then: what happens next, and what there is to do.
    """

    groups: tuple[str, ...]
    calls: tuple[str, ...]
    lasts: str
    status: str
    outcome: str
    message: str
    then: str

    def says(self, text: str) -> bool:
        """Whether a text is what the row announces."""
        return says(self.message, text)


def says(message: str, text: str) -> bool:
    """Whether a text contains a message; "…" in it stands for anything."""
    return re.search(".*".join(re.escape(part) for part in message.split("…")), text) is not None
