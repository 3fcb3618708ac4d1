"""Small stand-ins in memory for Graph, SharePoint, storage, and threads.

They answer as the real parts do, so that tests of the engine need no sockets: each call is noted on
one tape, in order, and each can be told to fail for a user.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any

from local.support.clock import VirtualClock
from shared.checkpoint import Checkpoint, Photo, Record, Run, RunBlobs, Shard, iso, shard_of
from shared.checkpoint.records import merge
from shared.errors import Evidence, PhotoSyncError, ProfileMissing, ServiceError, Unavailable
from shared.graph import Graph, NoPhoto, Seen, Unknown, Version
from shared.http import Patience
from shared.model import Outcome, ThumbnailLocation, User
from shared.photos import Thumbnails
from shared.sharepoint import Profile, SharePoint

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC).timestamp()
DAY = 86_400.0
HOST = "https://contoso-my.sharepoint.com"
FOLDER = "Profile Pictures"
RUN = "run-9"
TAG = '"A"'

type Entry = tuple[str, Any]
type Tape = list[Entry]


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


class Faults:
    """Errors to raise, or to return, by operation and user; a list is used up."""

    def __init__(self) -> None:
        self._planned: dict[tuple[str, str], list[Exception]] = {}
        self._always: dict[tuple[str, str], Exception] = {}

    def add(self, operation: str, whose: Iterable[User] | User, *errors: Exception) -> None:
        """Let an operation fail for users once with each error; see `always`."""
        for one in [whose] if isinstance(whose, User) else whose:
            self._planned.setdefault((operation, one.id), []).extend(errors)

    def always(self, operation: str, whose: Iterable[User] | User, error: Exception) -> None:
        """Let an operation fail for users whenever it is asked."""
        for one in [whose] if isinstance(whose, User) else whose:
            self._always[operation, one.id] = error

    def next(self, operation: str, user_id: str) -> Exception | None:
        """The error of this call, if there is one."""
        planned = self._planned.get((operation, user_id))
        return planned.pop(0) if planned else self._always.get((operation, user_id))

    def clear(self) -> None:
        """From now on everything works."""
        self._planned.clear()
        self._always.clear()

    def check(self, operation: str, user_ids: Iterable[str]) -> None:
        """Raise the error of this call, if there is one."""
        for user_id in user_ids:
            error = self.next(operation, user_id)
            if error:
                raise error


class Patiences:
    """Notes how patient the program is with each user."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Patience]] = {}

    def note(self, user_id: str, patience: Patience | None) -> None:
        """A request about one user has a patience of its own."""
        assert patience is not None
        assert patience.subject == user_id
        self.seen.setdefault(user_id, []).append(patience)


class MemoryGraph(Graph):
    """Microsoft Graph in memory.

    Attributes:
        photos: photo and version by user id.
        directory: present users by id; whoever is asked about is there unless told otherwise.
        scope: who is in scope; those of the directory unless told otherwise.
    """

    def __init__(self, tape: Tape, faults: Faults, patiences: Patiences) -> None:
        self.tape = tape
        self.patiences = patiences
        self.faults = faults
        self.photos: dict[str, tuple[str, bytes]] = {}
        self.directory: dict[str, User | None] = {}
        self.outside: set[str] = set()
        self.filters: list[tuple[str, str | None]] = []

    def photo_versions(self, ids: Sequence[str]) -> dict[str, Seen]:
        self.tape.append(("versions", list(ids)))
        self.faults.check("versions", ids)
        return {user_id: self._version(user_id) for user_id in ids}

    def _version(self, user_id: str) -> Seen:
        error = self.faults.next("version", user_id)
        if isinstance(error, PhotoSyncError):
            return Unknown(error)
        photo = self.photos.get(user_id)
        return Version(photo[0]) if photo else NoPhoto()

    def photo(self, user_id: str, patience: Patience | None = None) -> bytes | None:
        self.patiences.note(user_id, patience)
        self.tape.append(("photo", user_id))
        self.faults.check("photo", [user_id])
        photo = self.photos.get(user_id)
        return photo[1] if photo else None

    def users(self, ids: Sequence[str]) -> dict[str, User | PhotoSyncError | None]:
        self.tape.append(("users", list(ids)))
        self.faults.check("users", ids)
        return {user_id: self._present("user", user_id) for user_id in ids}

    def in_scope(
        self, ids: Sequence[str], user_filter: str, group_id: str | None = None
    ) -> dict[str, User | PhotoSyncError | None]:
        self.tape.append(("in scope", list(ids)))
        self.filters.append((user_filter, group_id))
        self.faults.check("in scope", ids)
        found = {user_id: self._present("member", user_id) for user_id in ids}
        return {key: None if key in self.outside else one for key, one in found.items()}

    def _present(self, operation: str, user_id: str) -> User | PhotoSyncError | None:
        error = self.faults.next(operation, user_id)
        if isinstance(error, PhotoSyncError):
            return error
        return self.directory.get(user_id, User(user_id, f"now-{user_id[:8]}@contoso.com"))


class MemorySharePoint(SharePoint):
    """SharePoint in memory: profiles by user id, files by their path."""

    def __init__(self, tape: Tape, faults: Faults, patiences: Patiences) -> None:
        self.tape = tape
        self.patiences = patiences
        self.faults = faults
        self.files: dict[str, bytes] = {}
        self.pictures: dict[str, str] = {}
        self.host_of_user: dict[str, str] = {}
        self.upn_of: dict[str, str] = {}
        self.locked: set[str] = set()
        self.foreign: set[str] = set()

    def profiles(self, users: Sequence[User]) -> dict[str, Profile | ProfileMissing | ServiceError]:
        self.tape.append(("profiles", ids(users)))
        self.faults.check("profiles", ids(users))
        return {one.id: self._profile(one.id) for one in users}

    def _profile(self, user_id: str) -> Profile | ProfileMissing | ServiceError:
        error = self.faults.next("profile", user_id)
        if isinstance(error, ProfileMissing | ServiceError):
            return error
        host = self.host_of_user.get(user_id, HOST)
        return Profile(host, self.pictures.get(user_id, ""), "0")

    def location(self, profile: Profile, user_id: str) -> ThumbnailLocation:
        self.faults.check("location", [user_id])
        return ThumbnailLocation(profile.host, FOLDER, user_id)

    def accepts(self, location: ThumbnailLocation) -> bool:
        return location.host not in self.foreign

    def has_content(
        self,
        location: ThumbnailLocation,
        thumbnails: Thumbnails,
        patience: Patience | None = None,
    ) -> bool:
        self.patiences.note(location.prefix, patience)
        self.tape.append(("read", location.prefix))
        self.faults.check("read", [location.prefix])
        return (
            self._file(location, "L") == thumbnails.large
            and self._file(location, "S") == thumbnails.small
            and self._file(location, "M") == thumbnails.medium
        )

    def thumbnail(
        self, location: ThumbnailLocation, size: str, patience: Patience | None = None
    ) -> bytes | None:
        self.patiences.note(location.prefix, patience)
        return self._file(location, size)

    def _file(self, location: ThumbnailLocation, size: str) -> bytes | None:
        return self.files.get(location.host + location.path(size))

    def upload(
        self,
        location: ThumbnailLocation,
        size: str,
        data: bytes,
        patience: Patience | None = None,
    ) -> None:
        self.patiences.note(location.prefix, patience)
        self.tape.append((f"upload {size}", location.prefix))
        self.faults.check(f"upload {size}", [location.prefix])
        self.files[location.host + location.path(size)] = data

    def show(self, upn: str, location: ThumbnailLocation, patience: Patience | None = None) -> None:
        self.patiences.note(location.prefix, patience)
        self.tape.append(("show", location.prefix))
        self.faults.check("show", [location.prefix])
        self.upn_of[location.prefix] = upn
        self.pictures[location.prefix] = location.picture_url

    def hide(self, upn: str, location: ThumbnailLocation, patience: Patience | None = None) -> None:
        self.patiences.note(location.prefix, patience)
        self.tape.append(("hide", location.prefix))
        self.faults.check("hide", [location.prefix])
        self.upn_of[location.prefix] = upn
        self.pictures[location.prefix] = ""

    def recycle(
        self, location: ThumbnailLocation, patience: Patience | None = None
    ) -> tuple[str, ...]:
        self.patiences.note(location.prefix, patience)
        self.tape.append(("recycle", location.prefix))
        self.faults.check("recycle", [location.prefix])
        if location.prefix in self.locked:
            return (location.file_name("M"),)
        for size in "LSM":
            self.files.pop(location.host + location.path(size), None)
        return ()


class MemoryCheckpoint(Checkpoint):
    """Shards in memory; two writers merge as in storage.

    Attributes:
        records: as they are stored, by user id.
        meddle: called with the name of a shard before it is saved, as another writer would be.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.records: dict[str, Record] = {}
        self.extra: list[str] = []
        self.meddle: Callable[[str, Mapping[str, Record | None]], None] = lambda _, __: None
        self.save_error: PhotoSyncError | None = None

    def shards(self) -> list[str]:
        return sorted({*map(shard_of, self.records), *self.extra})

    def load(self, name: str) -> Shard:
        self.tape.append(("load", name))
        return self._shard(name)

    def save(self, shard: Shard, changes: Mapping[str, Record | None]) -> tuple[Shard, set[str]]:
        if self.save_error:
            raise self.save_error
        self.tape.append((f"save {shard.name}", dict(changes)))
        self.meddle(shard.name, changes)
        disputed = set()
        for user_id, ours in changes.items():
            merged, is_disputed = merge(shard.records.get(user_id), ours, self.records.get(user_id))
            if is_disputed:
                disputed.add(user_id)
            if merged is None:
                self.records.pop(user_id, None)
            else:
                self.records[user_id] = merged
        return self._shard(shard.name), disputed

    def _shard(self, name: str) -> Shard:
        return Shard(name, "1", {k: r for k, r in self.records.items() if shard_of(k) == name})


class MemoryRunBlobs(RunBlobs):
    """The blobs of a run: the document after each save, and the lines before it."""

    def __init__(self, run: Run, tape: Tape) -> None:
        self.of = run
        self.tape = tape
        self.lines: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []

    def save(self) -> None:
        self.tape.append(("save run", self.of.cursor))
        self.documents.append(self.of.to_json())

    def save_report(self) -> None:
        self.tape.append(("save report", self.of.status))

    def append_lines(self, lines: list[dict[str, Any]]) -> None:
        self.tape.append(("lines", [line["id"] for line in lines]))
        self.lines += lines

    def delete_pages(self) -> None:
        self.tape.append(("delete pages", None))


class Inline(Executor):
    """Does everything at once, in the thread that asks."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        _run(future, lambda: fn(*args, **kwargs))
        return future


class Held(Executor):
    """Does nothing until it is told to, or until somebody waits."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.waits = 0

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def go(self, count: int = 1_000_000) -> None:
        """Do the first of what is waiting."""
        some, self.waiting = self.waiting[:count], self.waiting[count:]
        for future, work in some:
            _run(future, work)

    def wait(self, futures: Sequence[Future[Any]], return_when: str) -> None:
        """Stands in for `concurrent.futures.wait`: one of these is done."""
        assert return_when == "FIRST_COMPLETED"
        assert not any(future.done() for future in futures)
        self.waits += 1
        first = next(pair for pair in self.waiting if pair[0] in futures)
        self.waiting.remove(first)
        _run(*first)


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - as every executor does
        future.set_exception(error)


class Ports:
    """All stand-ins of one test, on one tape.

    Attributes:
        tape: every call, in order.
        healthy: what the healthy user answers when a service is suspected.
    """

    def __init__(self) -> None:
        self.tape: Tape = []
        self.faults = Faults()
        self.patiences = Patiences()
        self.clock = VirtualClock(NOW)
        self.graph = MemoryGraph(self.tape, self.faults, self.patiences)
        self.sharepoint = MemorySharePoint(self.tape, self.faults, self.patiences)
        self.checkpoint = MemoryCheckpoint(self.tape)

    def give(self, whose: Iterable[User] | User, tag: str = TAG, red: int = 200) -> None:
        """Photos in Exchange."""
        for one in [whose] if isinstance(whose, User) else whose:
            self.graph.photos[one.id] = (tag, picture(red))

    def know(self, whose: Iterable[User] | User, **changes: Any) -> None:
        """Photos in Exchange that an earlier run has written."""
        for one in [whose] if isinstance(whose, User) else whose:
            self.give(one)
            self.checkpoint.records[one.id] = kept(one, **changes)
            self.sharepoint.pictures[one.id] = place(one).picture_url

    def record(self, one: User) -> Record | None:
        """What is stored of a user."""
        return self.checkpoint.records.get(one.id)

    def calls(self, *names: str) -> list[Any]:
        """What was said in the calls of these names (all when none is given), in order."""
        return [what for name, what in self.tape if not names or name in names]

    def names(self, *without: str) -> list[str]:
        """Names of the calls, in order."""
        return [name for name, _ in self.tape if name not in without]

    def saved(self) -> list[dict[str, Record | None]]:
        """Changes of records, save by save."""
        return [what for name, what in self.tape if name.startswith("save ") and name != "save run"]
