"""A program for the portal's tests: users with photos, and blobs in memory."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from PIL import Image, ImageDraw

from shared.errors import PhotoSyncError, UserUnknown
from shared.portal.core import (
    Comparison,
    Event,
    Overview,
    Photo,
    Picture,
    Record,
    Source,
    State,
    Store,
    Synced,
    User,
    View,
)

EMPLOYEE_ID = "11111111-1111-4111-8111-111111111111"
HELP_DESK_ID = "22222222-2222-4222-8222-222222222222"
PEOPLE = (
    (EMPLOYEE_ID, "Adele Vance", "adele@contoso.example"),
    (HELP_DESK_ID, "Henrik Desk", "henrik@contoso.example"),
)
NIGHT = "2026-11-26T01:00:00.000Z"


class Blobs:
    """Blobs with ETags, in memory.

    Attributes:
        content: by name.
        fails: an error that every call raises.
        disturb: other writers that win before the next writes succeed.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        self.fails: PhotoSyncError | None = None
        self.disturb = 0

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Content and ETag."""
        self._trouble()
        if name not in self.content:
            return None
        return self.content[name], str(self.versions[name])

    def write(self, name: str, content: bytes, etag: str | None) -> bool:
        """Replace what is still as it was read."""
        self._trouble()
        if self.disturb:
            self.disturb -= 1
            return False
        current = str(self.versions[name]) if name in self.content else None
        if etag != current:
            return False
        self.content[name] = content
        self.versions[name] = self.versions.get(name, 0) + 1
        return True

    def append(self, name: str, line: bytes) -> None:
        """Append."""
        self._trouble()
        self.content[name] = self.content.get(name, b"") + line

    def _trouble(self) -> None:
        if self.fails:
            raise self.fails


def picture(color: str, letters: str) -> Picture:
    """A photo of one color with letters on it."""
    image = Image.new("RGB", (300, 300), color)
    ImageDraw.Draw(image).text((150, 150), letters, fill="white", anchor="mm", font_size=120)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return Picture(buffer.getvalue(), f'"{color.strip("#")}-{letters}"', 300, 300)


@dataclass
class FakeUser:
    """One user and their two photos.

    Attributes:
        user: of the directory.
        exchange, sharepoint: their photos.
        outcome: how the next sync ends; "" for what follows from the photos.
        record: what is remembered.
    """

    user: User
    exchange: Photo
    sharepoint: Photo
    outcome: str = ""
    record: Record | None = None


def _run() -> dict[str, Any]:
    counts = {"updated": 42, "unchanged": 4_310, "repaired": 3, "removed": 2, "no_photo": 611}
    counts |= {"removal_pending": 14, "no_profile": 9, "invalid_photo": 2, "failed": 3}
    return {
        "id": "run-1",
        "version": "2.0.0",
        "mode": "sync",
        "status": "completed",
        "started": NIGHT,
        "ended": "2026-11-26T01:11:40.000Z",
        "inScope": sum(counts.values()),
        "counts": {**counts, "deferred": 0},
        "requests": {"graph": 262, "sharepoint": 241},
        "throttled": 1,
        "reason": None,
        "removals": {
            "candidates": 14,
            "removed": 0,
            "failed": 0,
            "heldBack": 14,
            "limit": 10,
            "note": "14 of 4,357 photos are gone, the limit is 10",
        },
    }


def _lines() -> list[dict[str, str]]:
    return [
        {
            "id": EMPLOYEE_ID,
            "userPrincipalName": "adele@contoso.example",
            "outcome": "failed",
            "detail": "sharepoint: POST https://contoso-my.sharepoint.com: 423 locked",
            "at": NIGHT,
        },
        {
            "id": "33333333-3333-4333-8333-333333333333",
            "userPrincipalName": "zoe@contoso.example",
            "outcome": "invalid_photo",
            "detail": "the JPEG ends too early",
            "at": NIGHT,
        },
    ]


@dataclass
class FakeCore:
    """The portal's program without Microsoft 365.

    Attributes:
        users: by object ID.
        store: blobs.
        fails: an error that every question about a user raises.
        overview_: what `overview` answers.
        synced: calls of `sync`.
    """

    users: dict[str, FakeUser] = field(default_factory=dict)
    store: Store = field(default_factory=Blobs)
    fails: Exception | None = None
    overview_: Overview = field(
        default_factory=lambda: Overview(
            version="2.0.0",
            run=_run(),
            lines=_lines(),
            more_lines=False,
            checks=[
                {"name": "settings", "ok": True, "detail": "complete", "remedy": ""},
                {
                    "name": "admin site",
                    "ok": False,
                    "detail": "403 Access denied",
                    "remedy": "infra/permissions/grant.sh --principal-id …",
                },
            ],
            next_firing="2026-11-27T01:00:00Z",
        )
    )
    synced: list[tuple[str, bool, bool]] = field(default_factory=list)
    events: list[Event] = field(
        default_factory=lambda: [
            Event("2026-11-26T01:04:00Z", "nightly", "failed", "423 locked"),
            Event("2026-11-25T10:20:00Z", "view", "", by="helpdesk"),
            Event("2026-11-25T10:19:00Z", "sync", "updated", by="self"),
        ]
    )

    @classmethod
    def with_people(cls) -> "FakeCore":
        """The employee (whose photos differ) and the help desk (whose are the same)."""
        core = cls()
        new, old = picture("#0f6460", "AV"), picture("#b9722b", "AV")
        core.add(PEOPLE[0], Photo(State.PHOTO, new), Photo(State.PHOTO, old))
        same = picture("#5b4a9e", "HD")
        core.add(PEOPLE[1], Photo(State.PHOTO, same), Photo(State.PHOTO, same))
        return core

    def add(self, person: tuple[str, str, str], exchange: Photo, sharepoint: Photo) -> FakeUser:
        """One more user."""
        user = User(person[0], person[1], person[2])
        self.users[user.id] = found = FakeUser(user, exchange, sharepoint)
        found.record = Record("updated", "", "2026-11-25T10:19:00.000Z", "2026-11-25T10:19:00.000Z")
        return found

    def user(self, user_id: str) -> User:
        """The user with this object ID."""
        return self._find(user_id).user

    def search(self, text: str, limit: int) -> Sequence[User]:
        """Users whose name or address begins with a text."""
        if self.fails:
            raise self.fails
        wanted = text.lower()
        found = [
            fake.user
            for fake in self.users.values()
            if fake.user.name.lower().startswith(wanted) or fake.user.upn.startswith(wanted)
        ]
        return found[:limit]

    def view(self, user: User) -> View:
        """Both photos and what is remembered."""
        fake = self._find(user.id)
        here, there = fake.exchange.picture, fake.sharepoint.picture
        comparison = Comparison.UNKNOWN
        if here and there:
            comparison = Comparison.SAME if here == there else Comparison.DIFFERENT
        return View(fake.exchange, fake.sharepoint, comparison, fake.record)

    def at_hand(self, user_id: str, source: Source, version: str) -> Picture | None:
        """A photo of the version that a view named."""
        found = self.picture(user_id, source)
        return found if found and found.etag.strip('"') == version else None

    def picture(self, user_id: str, source: Source) -> Picture | None:
        """One photo."""
        fake = self._find(user_id)
        side = fake.exchange if source is Source.EXCHANGE else fake.sharepoint
        return side.picture

    def history(self, user_id: str) -> Sequence[Event]:
        """What is recorded."""
        self._find(user_id)
        return self.events

    def sync(self, user_id: str, *, force: bool = False, dry_run: bool = False) -> Synced:
        """Copy the photo from the one side to the other."""
        fake = self._find(user_id)
        self.synced.append((user_id, force, dry_run))
        outcome = fake.outcome or ("updated" if fake.exchange.picture else "no_photo")
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if not dry_run:
            if outcome == "updated":
                fake.sharepoint = fake.exchange
            fake.record = replace(
                fake.record or Record(outcome, "", now), outcome=outcome, checked_at=now
            )
        wait = 90.0 if outcome == "deferred" else 0.0
        detail = "sharepoint: 423 locked" if outcome == "failed" else ""
        return Synced(outcome, detail, now, dry_run, wait)

    def overview(self) -> Overview:
        """The last run and the checks."""
        if self.fails:
            raise self.fails
        return self.overview_

    def _find(self, user_id: str) -> FakeUser:
        if self.fails:
            raise self.fails
        if user_id not in self.users:
            raise UserUnknown(f"the directory has no user {user_id}")
        return self.users[user_id]
