"""Graph and SharePoint in memory; they answer as the real parts do."""

from collections.abc import Iterable, Sequence
from typing import Any

from shared.errors import Evidence, PhotoSyncError, ProfileMissing, RequestRejected, ServiceError
from shared.graph import Graph, NoPhoto, Seen, Unknown, Version
from shared.http import Patience
from shared.model import ThumbnailLocation, User
from shared.photos import Thumbnails
from shared.sharepoint import Profile, SharePoint
from tests.support.people import FOLDER, HOST, ids

type Entry = tuple[str, Any]
type Tape = list[Entry]


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

    def require(self, location: ThumbnailLocation) -> None:
        if not self.accepts(location):
            raise RequestRejected(Evidence("sharepoint", "GET", location.host))

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
