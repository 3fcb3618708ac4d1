"""The thumbnails: files of the User Photos library on a My Site host."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.answers import NOT_FOUND, number
from shared.errors import ConfigurationError, NotFound, PermissionMissing, Refused, Rejected
from shared.places import DEFAULT_FOLDER, LIBRARY, SIZES, Place, is_folder_name
from shared.site import JSON, Site, literal

if TYPE_CHECKING:
    from shared.thumbnails import Thumbnails

FILES_ROLE = "Sites.FullControl.All"

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
            raise _no_library(host, missing) from None
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
        try:
            self._create_folder(host)
        except NotFound as missing:
            # Some sites answer with an empty list for a library that is not there.
            raise _no_library(host, missing) from None
        return DEFAULT_FOLDER

    def _create_folder(self, host: str) -> None:
        path = literal(f"/{LIBRARY}/{DEFAULT_FOLDER}")
        url = f"{host}/_api/web/folders/AddUsingPath(decodedUrl='{path}')"
        self._site.post(url, b"", JSON, want_json=False)


def _no_library(host: str, missing: NotFound) -> ConfigurationError:
    return ConfigurationError(
        [
            f"{host} has no library '{LIBRARY}' ({missing}): SharePoint makes it when the first "
            "user opens his own profile photo in SharePoint or OneDrive"
        ]
    )


def _file_url(place: Place, size: str, rest: str) -> str:
    path = literal(place.path(size))
    return f"{place.host}/_api/web/GetFileByServerRelativePath(decodedUrl='{path}'){rest}"
