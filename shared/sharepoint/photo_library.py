"""The thumbnails: files of the User Photos library on a My Site host."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import (
    AccessDenied,
    ConfigurationError,
    NotFound,
    PermissionMissing,
    RequestRejected,
)
from shared.http.response import NOT_FOUND, number
from shared.model import LIBRARY, SIZES, ThumbnailLocation
from shared.roles import FILES_ROLE
from shared.sharepoint.locations import DEFAULT_FOLDER, is_folder_name
from shared.sharepoint.site import JSON, Site, literal

if TYPE_CHECKING:
    from shared.photos.thumbnails import Thumbnails

_SYSTEM_FOLDERS = frozenset({"forms", "_t", "_w"})


class Library:
    """The picture libraries of one tenant, for one invocation; thread-safe.

    Args:
        site: sends to SharePoint.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folders: dict[str, str] = {}
        self._lock = threading.Lock()

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
                try:
                    self._folders[host] = self._find_folder(host)
                except NotFound as missing:
                    raise ConfigurationError(
                        [
                            f"{host} has no library '{LIBRARY}' ({missing}): SharePoint makes it "
                            "when the first user opens his own profile photo in SharePoint or "
                            "OneDrive"
                        ]
                    ) from None
            return self._folders[host]

    def thumbnail(self, place: ThumbnailLocation, size: str) -> bytes | None:
        """The bytes of one file; None when there is none."""
        url = file_url(place, size, "/$value")
        answer = self._site.get(url, accept={NOT_FOUND}, want_json=False)
        return answer.body if answer.ok else None

    def has_files(self, place: ThumbnailLocation, thumbnails: "Thumbnails") -> bool:
        """Whether all three files are there with the lengths that they should have."""
        for size, data in _by_size(thumbnails).items():
            url = file_url(place, size, "?$select=Exists,Length")
            answer = self._site.get(url, accept={NOT_FOUND})
            value = answer.value if answer.ok else {}
            if not isinstance(value, dict) or number(value.get("Length")) != len(data):
                return False
        return True

    def upload(self, place: ThumbnailLocation, thumbnails: "Thumbnails") -> None:
        """Write the three files over whatever is there: L, S, then M, which PictureURL names.

        Raises:
            RequestRejected: SharePoint stored another length, or refuses (checked out, locked).
            MalformedResponse: it does not say what it stored.
            AccessDenied, NotFound, Unavailable, Throttled, DeadlineExceeded: see `shared.errors`.
        """
        for size, data in _by_size(thumbnails).items():
            url = upload_url(place, size)
            answer = self._site.post(url, data, "application/octet-stream")
            if not isinstance(answer.value, dict):
                raise answer.malformed("no file in the answer")
            stored = answer.value.get("Length")
            if stored is not None and number(stored) != len(data):
                raise RequestRejected(replace(answer.evidence, message="stored another length"))

    def recycle(self, place: ThumbnailLocation) -> None:
        """Move the three files to the recycle bin; those that are gone are fine."""
        for size in SIZES:
            url = file_url(place, size, "/recycle()")
            self._site.post(url, b"", JSON, accept={NOT_FOUND}, want_json=False)

    def _find_folder(self, host: str) -> str:
        library = literal(f"/{LIBRARY}")
        url = f"{host}/_api/web/GetFolderByServerRelativePath(decodedUrl='{library}')"
        try:
            answer = self._site.get(f"{url}/Folders?$select=Name,ItemCount")
        except AccessDenied as refused:
            raise PermissionMissing("SharePoint", FILES_ROLE, refused.evidence) from None
        value = answer.value.get("value") if isinstance(answer.value, dict) else None
        if not isinstance(value, list):
            raise answer.malformed("no list of folders")
        counts = {
            entry["Name"]: number(entry.get("ItemCount")) or 0
            for entry in value
            if isinstance(entry, dict) and is_folder_name(entry.get("Name"))
        }
        usable = {n: c for n, c in counts.items() if n.lower() not in _SYSTEM_FOLDERS}
        if usable:
            return str(max(usable, key=lambda name: (usable[name], name == DEFAULT_FOLDER, name)))
        # A library that is not there may list no folders instead of answering 404.
        answer = self._site.get(f"{url}?$select=Exists")
        if not isinstance(answer.value, dict) or answer.value.get("Exists") is False:
            raise NotFound(answer.evidence)
        self._create_folder(host)
        return DEFAULT_FOLDER

    def _create_folder(self, host: str) -> None:
        path = literal(f"/{LIBRARY}/{DEFAULT_FOLDER}")
        url = f"{host}/_api/web/folders/AddUsingPath(decodedUrl='{path}')"
        self._site.post(url, b"", JSON, want_json=False)


def _by_size(thumbnails: "Thumbnails") -> dict[str, bytes]:
    """The files in the order of `SIZES`."""
    return dict(zip(SIZES, (thumbnails.large, thumbnails.small, thumbnails.medium), strict=True))


def upload_url(place: ThumbnailLocation, size: str) -> str:
    """URL that writes one file, over whatever is there."""
    folder, name = literal(f"/{LIBRARY}/{place.folder}"), literal(place.file_name(size))
    return (
        f"{place.host}/_api/web/GetFolderByServerRelativePath(decodedUrl='{folder}')"
        f"/Files/AddUsingPath(decodedUrl='{name}',overwrite=true)"
    )


def file_url(place: ThumbnailLocation, size: str, rest: str) -> str:
    """URL of one file, or with `rest` of something about it."""
    path = literal(place.path(size))
    return f"{place.host}/_api/web/GetFileByServerRelativePath(decodedUrl='{path}'){rest}"
