"""Users of an imagined tenant: their ids, photos, and records."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any
from uuid import UUID

from shared.checkpoint import SHARDS, Photo, Record, iso
from shared.errors import Evidence, Unavailable
from shared.model import Outcome, ThumbnailLocation, User
from shared.sync.scope import Entries, Scope

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC).timestamp()
DAY = 86_400.0
HOST = "https://contoso-my.sharepoint.com"
FOLDER = "Profile Pictures"
RUN = "run-9"
TAG = '"A"'


def failure_of(service: str = "graph", status: int = 503, **evidence: Any) -> Evidence:
    """What a service said that failed."""
    return Evidence(service, "GET", f"https://{service}.example/x", status, **evidence)


DOWN = Unavailable(failure_of())


def user(number: int, shard: str = "00") -> User:
    """A user of a shard; their ids are in the order of the numbers, and their looks not spread."""
    return User(
        f"{shard}{number:06x}-0000-4000-8000-000000000000", f"u{number}.{shard}@contoso.com"
    )


def users(count: int, shard: str = "00") -> list[User]:
    """So many users of a shard."""
    return [user(number, shard) for number in range(count)]


def ids(people: Iterable[User]) -> list[str]:
    """Their object ids."""
    return [one.id for one in people]


@cache
def picture(red: int = 200) -> bytes:
    """A small photo."""
    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (8, 8), (red, 30, 60)).save(buffer, "JPEG")
    return buffer.getvalue()


@cache
def digest(red: int = 200) -> str:
    """SHA-256 of a small photo."""
    import hashlib

    return hashlib.sha256(picture(red)).hexdigest()


def place(one: User, host: str = HOST) -> ThumbnailLocation:
    """Where the files of a user belong."""
    return ThumbnailLocation(host, FOLDER, one.id)


def kept(one: User, *, days: float = 1, **changes: Any) -> Record:
    """The record of a user whose picture SharePoint shows since an earlier run."""
    then = iso(NOW - days * DAY)
    photo = Photo(TAG, digest(), place(one))
    made = Record(one.upn, Outcome.UPDATED, then, "run-8", photo=photo, verified_at=then)
    return replace(made, **changes)


def scope_of(people: Iterable[User]) -> Scope:
    """A list of users that is complete."""
    shards: list[list[bytes]] = [[] for _ in range(SHARDS)]
    for one in people:
        entry = UUID(one.id).bytes + one.upn.encode()
        shards[entry[0]].append(entry)
    return Scope([Entries(sorted(entries)) for entries in shards])
