"""SharePoint Online: profiles, thumbnails in the User Photos library, and what a profile shows.

All calls are REST but the profile write, which sets three properties in one ProcessQuery. Protocol
facts are from the SharePoint documentation and from public clients where it is silent;
docs/architecture.md lists what is uncertain.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from shared import csom, multipart, profiles
from shared.answers import NOT_FOUND, Answer, number
from shared.errors import (
    ConfigurationError,
    MalformedAnswer,
    NotFound,
    PermissionMissing,
    PhotoSyncError,
    ProfileMissing,
    Refused,
    Rejected,
    ServiceError,
)
from shared.graph import User
from shared.places import DEFAULT_FOLDER, LIBRARY, SIZES, Place, admin_of, is_trusted_host
from shared.profiles import Profile
from shared.transport import Budget, Service
from shared.wire import Call

if TYPE_CHECKING:
    from shared.thumbnails import Thumbnails

FILES_ROLE = "Sites.FullControl.All"
PROFILES_ROLE = "User.ReadWrite.All"

_SHAREPOINT = "SharePoint"
_DIGEST_WANTED = "-2130575251"
_SYSTEM_FOLDERS = frozenset({"forms", "_t", "_w"})
_JSON = "application/json;odata=nometadata"


def owns(origin: str, *, mysite: str, admin: str) -> bool:
    """Whether an origin is SharePoint of this tenant, in any of its geos."""
    return (
        origin == admin
        or is_trusted_host(origin, mysite)
        or is_trusted_host(origin.replace("-admin.", "-my.", 1), mysite)
    )


class SharePoint:
    """Reads and writes one tenant's profile pictures for one invocation; thread-safe.

    Args:
        service: the process's SharePoint service.
        mysite: origin of the My Site host of the central geo.
        admin: origin of the admin site of the central geo.
        budget: time, guard and meter of the invocation.
    """

    def __init__(self, service: Service, *, mysite: str, admin: str, budget: Budget) -> None:
        self._service = service
        self._mysite = mysite
        self._admin = admin
        self._budget = budget
        self._folders: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._lock = threading.Lock()
        self._batches = True
        self._queries = True

    def accepts(self, place: Place) -> bool:
        """Whether a recorded place still belongs to this tenant's My Site hosts."""
        return is_trusted_host(place.host, self._mysite)

    def require(self, place: Place) -> None:
        """Make sure that a recorded place is this tenant's.

        Raises:
            Rejected: it is on a host that gets no token.
        """
        if not self.accepts(place):
            evidence = self._service.evidence("GET", place.host)
            raise Rejected(replace(evidence, message="not a My Site host of this tenant"))

    def host_of(self, profile: Profile) -> str:
        """The My Site host for a user's files: his geo's, when it is this tenant's.

        Raises:
            Rejected: the profile names a host that gets no token.
        """
        if not profile.host:
            return self._mysite
        self.require(Place(profile.host, "", ""))
        return profile.host

    def folder(self, host: str) -> str:
        """Name of the folder that holds the thumbnails; looked up once for each host.

        The folder is named in the language of the site, so the library is listed and the fullest
        folder taken; an empty library gets the English one.

        Raises:
            PermissionMissing: the identity may not read the library.
            ConfigurationError: there is no such library.
            ServiceError: SharePoint failed.
        """
        with self._lock:
            if host not in self._folders:
                self._folders[host] = self._find_folder(host)
            return self._folders[host]

    def profiles(self, users: Sequence[User]) -> dict[str, Profile | PhotoSyncError]:
        """Profiles by user id, or the error of that user; at most `multipart.MAX_PARTS` users.

        Raises:
            PermissionMissing: SharePoint refuses to read profiles at all.
            Throttled, OutOfTime, Unavailable: the request failed as a whole.
        """
        parts = self._read_batch(users) if self._batches else {}
        found: dict[str, Profile | PhotoSyncError] = {}
        for user in users:
            try:
                found[user.id] = parts.get(user.id) or self._read_one(user)
            except (ServiceError, ProfileMissing) as error:
                found[user.id] = error
        return found

    def thumbnail(self, place: Place, size: str) -> bytes | None:
        """The bytes of one file; None when there is none."""
        url = self._file_url(place, size, "/$value")
        answer = self._service.send(
            self._budget, Call("GET", url, accept={NOT_FOUND}, want_json=False)
        )
        return answer.body if answer.ok else None

    def has_files(self, place: Place) -> bool:
        """Whether all three files are there and none is empty."""
        for size in SIZES:
            url = self._file_url(place, size, "?$select=Exists,Length")
            answer = self._get(url, accept={NOT_FOUND})
            value = answer.value if answer.ok else {}
            if not isinstance(value, dict) or not number(value.get("Length")):
                return False
        return True

    def upload(self, place: Place, thumbnails: "Thumbnails") -> None:
        """Write the three files over whatever is there: L, S, then M, which PictureURL names.

        Raises:
            Rejected: SharePoint stored another number of bytes, or refuses (checked out, locked).
            Refused, NotFound, Unavailable, Throttled, OutOfTime: see `shared.errors`.
        """
        folder = _literal(f"/{LIBRARY}/{place.folder}")
        data = {"L": thumbnails.large, "S": thumbnails.small, "M": thumbnails.medium}
        for size in SIZES:
            name = _literal(place.file_name(size))
            url = (
                f"{place.host}/_api/web/GetFolderByServerRelativePath(decodedUrl='{folder}')"
                f"/Files/AddUsingPath(decodedUrl='{name}',overwrite=true)"
            )
            answer = self._post(url, data[size], "application/octet-stream")
            stored = answer.value.get("Length") if isinstance(answer.value, dict) else None
            if stored is not None and str(stored) != str(len(data[size])):
                raise Rejected(replace(answer.evidence, message="stored another length"))

    def show(self, upn: str, place: Place) -> None:
        """Make the profile show the files at this place.

        Raises:
            ProfileMissing: no profile.
            Refused: the role is missing.
            ServiceError: SharePoint failed.
        """
        self._set(upn, place, profiles.shown(place, self._service.clock.time()))

    def hide(self, upn: str, place: Place) -> None:
        """Make the profile show the placeholder and name no picture. Raises as `show`."""
        self._set(upn, place, profiles.hidden(self._service.clock.time()))

    def recycle(self, place: Place) -> None:
        """Move the three files to the recycle bin; those that are gone are fine."""
        for size in SIZES:
            url = self._file_url(place, size, "/recycle()")
            self._post(url, b"", _JSON, accept={NOT_FOUND})

    def _find_folder(self, host: str) -> str:
        library = _literal(f"/{LIBRARY}")
        url = (
            f"{host}/_api/web/GetFolderByServerRelativePath(decodedUrl='{library}')"
            "/Folders?$select=Name,ItemCount"
        )
        try:
            answer = self._get(url)
        except Refused as refused:
            raise PermissionMissing(_SHAREPOINT, FILES_ROLE, refused.evidence) from None
        except NotFound as missing:
            raise ConfigurationError(
                [
                    f"{host} has no library '{LIBRARY}' ({missing}): SharePoint makes it when the "
                    "first user opens his own profile photo in SharePoint or OneDrive"
                ]
            ) from None
        value = answer.value.get("value") if isinstance(answer.value, dict) else None
        if not isinstance(value, list):
            raise answer.malformed("no list of folders")
        counts = {
            str(entry["Name"]): number(entry.get("ItemCount")) or 0
            for entry in value
            if isinstance(entry, dict) and entry.get("Name")
        }
        usable = {n: c for n, c in counts.items() if n.lower() not in _SYSTEM_FOLDERS}
        if usable:
            return max(usable, key=lambda name: (usable[name], name == DEFAULT_FOLDER, name))
        self._create_folder(host)
        return DEFAULT_FOLDER

    def _create_folder(self, host: str) -> None:
        path = _literal(f"/{LIBRARY}/{DEFAULT_FOLDER}")
        self._post(f"{host}/_api/web/folders/AddUsingPath(decodedUrl='{path}')", b"", _JSON)

    def _read_batch(self, users: Sequence[User]) -> dict[str, Profile | PhotoSyncError]:
        """What a batch says for sure; whoever is not in it is read alone."""
        urls = [profiles.read_url(self._admin, user.upn) for user in users]
        body, content_type = multipart.build(urls)
        headers = {"Accept": _JSON, "Content-Type": content_type}
        call = Call(
            "POST", f"{self._admin}/_api/$batch", headers=headers, body=body, want_json=False
        )
        try:
            answer = self._service.send(self._budget, call)
        except Refused as refused:
            raise PermissionMissing(_SHAREPOINT, PROFILES_ROLE, refused.evidence) from None
        except (Rejected, NotFound):
            self._batches = False
            return {}
        parts = multipart.parse(answer.body, answer.headers.get("Content-Type", ""))
        found: dict[str, Profile | PhotoSyncError] = {}
        for user, (status, value) in zip(users, parts, strict=False):
            # Parts come in order; a wrong number of them proves nothing about any.
            if len(parts) != len(users):
                break
            try:
                profile = profiles.parse(status, value, answer.evidence)
            except ProfileMissing as missing:
                found[user.id] = missing
            except ServiceError:
                continue
            else:
                if profile:
                    found[user.id] = profile
        return found

    def _read_one(self, user: User) -> Profile:
        try:
            answer = self._get(
                profiles.read_url(self._admin, user.upn), accept={NOT_FOUND, 401, 403}
            )
        except ServiceError as error:
            if csom.says_no_profile(error.evidence.message):
                raise ProfileMissing("SharePoint has no profile for this user yet") from None
            raise
        value = answer.value if answer.ok else answer.error_value()
        profile = profiles.parse(answer.status, value, answer.evidence)
        if profile is None:
            raise MalformedAnswer(replace(answer.evidence, message="no profile in the answer"))
        return profile

    def _set(self, upn: str, place: Place, properties: list[tuple[str, str]]) -> None:
        admin = admin_of(place.host, mysite=self._mysite, admin=self._admin)
        account = profiles.account_name(upn)
        if self._queries:
            try:
                answer = self._post(
                    admin + csom.PATH, csom.set_properties(account, properties), "text/xml"
                )
            except (Rejected, NotFound):
                # The endpoint itself is refused, so the properties go one by one.
                self._queries = False
            else:
                csom.check(answer)
                return
        for name, value in properties:
            body = {"accountName": account, "propertyName": name, "propertyValue": value}
            try:
                self._post(profiles.write_url(admin), json.dumps(body).encode(), _JSON)
            except ServiceError as error:
                if csom.says_no_profile(error.evidence.message):
                    raise ProfileMissing("SharePoint has no profile for this user yet") from None
                raise

    def _file_url(self, place: Place, size: str, rest: str) -> str:
        path = _literal(place.path(size))
        return f"{place.host}/_api/web/GetFileByServerRelativePath(decodedUrl='{path}'){rest}"

    def _get(self, url: str, accept: set[int] | None = None) -> Answer:
        call = Call("GET", url, headers={"Accept": _JSON}, accept=accept or ())
        return self._service.send(self._budget, call)

    def _post(
        self, url: str, body: bytes, content_type: str, accept: set[int] | None = None
    ) -> Answer:
        """Send a write; with a form digest once SharePoint has asked for one.

        SharePoint's documentation says both that OAuth needs none and that it does.
        """
        origin = self._service.pin(url)
        headers = {"Accept": _JSON, "Content-Type": content_type}
        call = Call(
            "POST", url, headers=headers, body=body, write=True, accept=accept or (), want_json=True
        )
        for fresh in (False, True):
            digest = self._digest(origin, fresh=fresh)
            sent = replace(call, headers={**headers, **digest})
            try:
                return self._service.send(self._budget, sent)
            except Refused as refused:
                if fresh or not refused.evidence.code.startswith(_DIGEST_WANTED):
                    raise
        raise AssertionError("unreachable")

    def _digest(self, origin: str, *, fresh: bool) -> dict[str, str]:
        if fresh:
            url = f"{origin}/_api/contextinfo"
            call = Call("POST", url, headers={"Accept": _JSON}, body=b"")
            answer = self._service.send(self._budget, call)
            value = answer.value.get("FormDigestValue") if isinstance(answer.value, dict) else None
            if not isinstance(value, str):
                raise answer.malformed("no form digest")
            self._digests[origin] = value
        return {"X-RequestDigest": self._digests[origin]} if origin in self._digests else {}


class ReadOnlySharePoint(SharePoint):
    """The same tenant for a dry run: everything is read, nothing is written."""

    def upload(self, place: Place, thumbnails: "Thumbnails") -> None:
        """Write nothing."""

    def show(self, upn: str, place: Place) -> None:
        """Write nothing."""

    def hide(self, upn: str, place: Place) -> None:
        """Write nothing."""

    def recycle(self, place: Place) -> None:
        """Write nothing."""

    def _create_folder(self, host: str) -> None:
        """Write nothing."""


def _literal(value: str) -> str:
    """A value inside an OData string literal of a URL path: quotes doubled, then encoded."""
    return quote(value.replace("'", "''"), safe="/")
