"""What the portal needs of the program: values and one interface.

`shared.portal.program` implements it with Graph, SharePoint and the checkpoint; tests bring their
own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Source(StrEnum):
    """Where a photo is kept; also the last part of the photos' paths."""

    EXCHANGE = "exchange"
    SHAREPOINT = "sharepoint"


class State(StrEnum):
    """What is known of one of a user's two photos."""

    PHOTO = "photo"
    NONE = "none"
    NO_PROFILE = "no_profile"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


class Comparison(StrEnum):
    """Whether SharePoint stores the photo that Exchange holds."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class User:
    """A user of the directory.

    Attributes:
        id: Entra object ID, lower case.
        name: display name, may be empty.
        upn: user principal name.
        mail: address, "" when it is the user principal name or there is none.
        member: False for guests.
    """

    id: str
    name: str
    upn: str
    mail: str = ""
    member: bool = True


@dataclass(frozen=True)
class Picture:
    """One photo, ready to be shown.

    Attributes:
        jpeg: made by this program.
        etag: strong entity tag, with its quotes.
        width, height: in pixels.
    """

    jpeg: bytes = field(repr=False)
    etag: str
    width: int
    height: int


@dataclass(frozen=True)
class Photo:
    """What is known of one of a user's two photos.

    Attributes:
        state: whether there is one.
        picture: with state `photo` only.
        modified: when SharePoint's file was last written, ISO 8601; "" when unknown.
    """

    state: State
    picture: Picture | None = None
    modified: str = ""


@dataclass(frozen=True)
class Record:
    """What the checkpoint remembers of a user.

    Attributes:
        outcome: of the last attempt.
        detail: one English sentence for technicians, may be empty.
        checked_at: when that was, ISO 8601.
        verified_at: when SharePoint was last seen to show the photo; may be empty.
        failures: runs in a row that failed.
        retry_on: date of the next attempt, with failures; may be empty.
        missing_runs: runs in a row that found the photo gone.
    """

    outcome: str
    detail: str
    checked_at: str
    verified_at: str = ""
    failures: int = 0
    retry_on: str = ""
    missing_runs: int = 0


@dataclass(frozen=True)
class View:
    """Both photos of a user and what is remembered.

    Attributes:
        exchange, sharepoint: the photos.
        comparison: of the two.
        record: None when the checkpoint knows nothing.
        profile_url: the user's own profile page; "" when unknown.
    """

    exchange: Photo
    sharepoint: Photo
    comparison: Comparison
    record: Record | None
    profile_url: str = ""


@dataclass(frozen=True)
class Event:
    """One line of a user's history.

    Attributes:
        at: ISO 8601.
        activity: "nightly", "sync", "force", "dry_run" or "view".
        outcome: of the sync; "" where there is none.
        detail: one English sentence for technicians, may be empty.
        by: "nightly", "self" or "helpdesk".
    """

    at: str
    activity: str
    outcome: str
    detail: str = ""
    by: str = "nightly"


@dataclass(frozen=True)
class Synced:
    """How a sync ended.

    Attributes:
        outcome: of the contract's closed set.
        detail: one English sentence for technicians, may be empty.
        checked_at: ISO 8601.
        dry_run: nothing was written.
        retry_after: seconds to wait, with `deferred`; 0 when nobody knows.
        request_id: id of the failed request for Microsoft's support; may be empty.
    """

    outcome: str
    detail: str
    checked_at: str
    dry_run: bool
    retry_after: float = 0.0
    request_id: str = ""


@dataclass(frozen=True)
class Overview:
    """The last or current run, and the checks.

    Attributes:
        version: of the program.
        run: the run's document; None before the first run.
        lines: the run's users who did not end well, newest last: id, userPrincipalName, outcome,
            detail, at.
        more_lines: there are more of them than `lines` shows.
        checks: name, ok, detail, remedy.
        next_firing: when the timer fires next, ISO 8601; "" when unknown.
    """

    version: str
    run: Mapping[str, Any] | None
    lines: Sequence[Mapping[str, str]]
    more_lines: bool
    checks: Sequence[Mapping[str, Any]]
    next_firing: str = ""


class Store(Protocol):
    """Blobs of the checkpoint's container."""

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Content and ETag; None when there is no such blob.

        Raises:
            PhotoSyncError: storage fails.
        """
        ...

    def write(self, name: str, content: bytes, etag: str | None) -> bool:
        """Replace a blob that is still as it was read; with None create it.

        Returns:
            False when somebody else wrote it meanwhile.

        Raises:
            PhotoSyncError: storage fails.
        """
        ...

    def append(self, name: str, line: bytes) -> None:
        """Append to a blob, which is created when missing.

        Raises:
            PhotoSyncError: storage fails.
        """
        ...


class Core(Protocol):
    """The program as the portal sees it; opened for one request."""

    @property
    def store(self) -> Store:
        """Where limits and audit are kept."""
        ...

    def user(self, user_id: str) -> User:
        """The user with this object ID.

        Raises:
            UserUnknown: the directory has none.
            PhotoSyncError: it could not be asked.
        """
        ...

    def search(self, text: str, limit: int) -> Sequence[User]:
        """Users whose name or address begins with a text.

        Raises:
            PhotoSyncError: the directory could not be asked.
        """
        ...

    def view(self, user: User) -> View:
        """Both photos and what is remembered; what cannot be read is `unknown`.

        Raises:
            PhotoSyncError: nothing could be asked at all.
        """
        ...

    def at_hand(self, user_id: str, source: Source, version: str) -> Picture | None:
        """A photo that a view has just made; None when it must be read.

        Args:
            user_id: whose.
            source: which of the two.
            version: that the view named, which nobody can guess.
        """
        ...

    def picture(self, user_id: str, source: Source) -> Picture | None:
        """One photo, read now; None when there is none.

        Raises:
            PhotoSyncError: it could not be read.
        """
        ...

    def history(self, user_id: str) -> Sequence[Event]:
        """What is recorded of a user, newest first.

        Raises:
            PhotoSyncError: storage fails.
        """
        ...

    def sync(self, user_id: str, *, force: bool = False, dry_run: bool = False) -> Synced:
        """Synchronize one user now.

        Raises:
            PhotoSyncError: nothing can be done for anybody, or the user cannot be asked for.
        """
        ...

    def overview(self) -> Overview:
        """The last run and the checks.

        Raises:
            PhotoSyncError: storage fails.
        """
        ...
