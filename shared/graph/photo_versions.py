"""Which version each user's photo has: the JSON batch that asks, and what its answers mean. Pure.

Sources: Microsoft Graph documentation, "JSON batching" and "Get profilePhoto", and error codes that
administrators reported where it is silent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import quote

from shared.errors import (
    AccessDenied,
    Evidence,
    PhotoSyncError,
    RequestRejected,
    Unavailable,
    UserUnknown,
)
from shared.http.response import NOT_FOUND, TOO_MANY, Response, error_of

BATCH_SIZE = 20
"""Most items of a JSON batch."""

PASSING = frozenset({0, 408, TOO_MANY, 500, 502, 503, 504, 509})
"""Statuses of items that are worth asking again; 0 is a missing answer."""

_USER_GONE = "Request_ResourceNotFound"
_UNCERTAIN = frozenset({"MailboxNotEnabledForRESTAPI", "AuthenticationError"})


@dataclass(frozen=True, slots=True)
class Version:
    """Exchange has a photo.

    Attributes:
        etag: `@odata.mediaEtag` as it came, quotes included; compared for equality only. Empty
            when Graph gave none: then nothing but the bytes can tell a change.
    """

    etag: str


@dataclass(frozen=True, slots=True)
class NoPhoto:
    """Exchange has no photo.

    Attributes:
        certain: False when the answer only says that the mailbox cannot be reached through Graph.
    """

    certain: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """Graph did not say. Never to be read as "no photo"."""

    error: PhotoSyncError


type Seen = Version | NoPhoto | Unknown


class Item(NamedTuple):
    """The answer to one item of a batch; status 0 when there is none that can be used."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: Any = None


def batch(user_ids: Sequence[str]) -> bytes:
    """Body of a batch that asks for these users' photos; items are numbered from 0."""
    requests = [
        {"id": str(index), "method": "GET", "url": f"/users/{quote(user_id, safe='')}/photo"}
        for index, user_id in enumerate(user_ids)
    ]
    return json.dumps({"requests": requests}).encode()


def items(answer: Response, asked: int) -> list[Item]:
    """The batch's answers in the order asked; one `Item` for each, whatever came.

    Graph answers in any order. An id nobody asked for is ignored; one that is answered twice, or in
    a shape nobody knows, proves nothing.

    Raises:
        MalformedResponse: it is no batch answer at all.
    """
    body = answer.value
    responses = body.get("responses") if isinstance(body, dict) else None
    if not isinstance(responses, list):
        raise answer.malformed("no batch answer")
    found: dict[str, Item] = {}
    for response in responses:
        name = response.get("id") if isinstance(response, dict) else None
        if isinstance(name, str):
            found[name] = Item() if name in found else _item(response)
    return [found.get(str(index), Item()) for index in range(asked)]


def _item(response: Mapping[str, Any]) -> Item:
    status, headers = response.get("status"), response.get("headers")
    if not isinstance(status, int) or isinstance(status, bool):
        return Item()
    texts = headers.items() if isinstance(headers, dict) else ()
    named = {name: str(value) for name, value in texts if isinstance(value, str | int)}
    return Item(status, named, response.get("body"))


def read(item: Item, asked: Evidence) -> Seen:
    """What an item says of a user's photo.

    Args:
        item: the answer.
        asked: what was asked, to be completed for errors.
    """
    if item.status == 200:  # noqa: PLR2004
        return _version(item.body, asked)
    code, message = error_of(item.body)
    evidence = replace(asked, status=item.status, code=code, message=message or "no answer")
    if item.status == NOT_FOUND and code == _USER_GONE:
        return Unknown(UserUnknown("the directory no longer has this user"))
    # The code for "no photo" changed four times in six years; the status did not.
    if item.status in {400, NOT_FOUND} and code in _UNCERTAIN:
        return NoPhoto(certain=False)
    if item.status == NOT_FOUND:
        return NoPhoto()
    if item.status in {401, 403}:
        return Unknown(AccessDenied(evidence))
    return Unknown(Unavailable(evidence) if item.status in PASSING else RequestRejected(evidence))


def _version(body: Any, asked: Evidence) -> Seen:
    if not isinstance(body, dict):
        return Unknown(
            RequestRejected(replace(asked, status=200, message="photo without description"))
        )
    etag = body.get("@odata.mediaEtag")
    # Documented form of "no photo" beside 404: a 1x1 GIF with an empty etag.
    tiny = (body.get("width"), body.get("height")) == (1, 1) or body.get("id") in ("1x1", "1X1")
    if not etag and tiny:
        return NoPhoto()
    return Version(etag if isinstance(etag, str) else "")
