"""The folder of the User Photos library that holds everybody's thumbnails, for each host.

The folder is named in the language of the site, so the library is listed and the fullest folder
taken; an empty library gets the English one. A library with more entries than SharePoint goes
through (list view threshold, 5,000) is not listed: then folders that may be there are asked for by
their path.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from shared.clock import Clock
from shared.errors import (
    AccessDenied,
    ConfigurationError,
    DeadlineExceeded,
    Evidence,
    HostUnavailable,
    NotFound,
    PatienceExceeded,
    PermissionMissing,
    PhotoSyncError,
    RequestRejected,
    Unavailable,
)
from shared.http import NOT_FOUND, Patience, Response, number
from shared.model import LIBRARY
from shared.roles import FILES_ROLE, SHAREPOINT
from shared.sharepoint.error_codes import is_over_threshold
from shared.sharepoint.locations import DEFAULT_FOLDER, is_folder_name, read_picture_url
from shared.sharepoint.site import JSON, Site, literal

KEPT_SECONDS = 3600.0
"""How long a folder's name is used before SharePoint is asked again."""

FAILED_SECONDS = 300.0
"""How long the host of a satellite geo is not asked again after it failed."""

LOOKUP_SECONDS = 30.0
"""How long one request of a look-up may take, retries included."""

_SYSTEM_FOLDERS = frozenset({"forms", "_t", "_w"})


class FolderCache:
    """Names of folders by host, kept between the invocations of one process; thread-safe.

    Args:
        clock: where time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def get(self, host: str) -> str | None:
        """The folder's name; None when it is not known or was learned too long ago."""
        with self._lock:
            name, until = self._kept.get(host, ("", 0.0))
        return name if name and self._clock.monotonic() < until else None

    def put(self, host: str, name: str) -> None:
        """Keep a name."""
        with self._lock:
            self._kept[host] = name, self._clock.monotonic() + KEPT_SECONDS

    def forget(self, host: str) -> None:
        """Ask again at the next occasion."""
        with self._lock:
            self._kept.pop(host, None)


class Folders:
    """Finds the folder of each host for one invocation; thread-safe.

    Args:
        site: sends to SharePoint.
        is_central: whether a host belongs to the central geo.
        cache: of the process.
    """

    def __init__(self, site: Site, is_central: Callable[[str], bool], cache: FolderCache) -> None:
        self._site = site
        self._is_central = is_central
        self._cache = cache
        self._failed: dict[str, tuple[PhotoSyncError, float]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def folder(self, host: str, picture_url: str = "", *, create: bool = True) -> str:
        """Name of the folder that holds the thumbnails.

        Args:
            host: My Site host.
            picture_url: PictureURL of a user of this host; it may name the folder.
            create: make the folder when the library is empty.

        Raises:
            PermissionMissing: the identity may not read the central geo's library.
            ConfigurationError: the central geo has no such library.
            HostUnavailable: the same on the host of another geo, or the folder cannot be found.
            ServiceError: SharePoint failed.
        """
        known = self._cache.get(host)
        if known:
            return known
        with self._one_at_a_time(host):
            return self._cache.get(host) or self._look_up(host, picture_url, create=create)

    @contextmanager
    def _one_at_a_time(self, host: str) -> Iterator[None]:
        """Let one thread ask; the others find its result in the cache."""
        with self._guard:
            lock = self._locks.setdefault(host, threading.Lock())
        left = self._site.budget.deadline - self._site.service.clock.monotonic()
        if not lock.acquire(timeout=min(max(0.0, left), threading.TIMEOUT_MAX)):
            raise DeadlineExceeded(f"no time left to look up the photo folder of {host}")
        try:
            yield
        finally:
            lock.release()

    def _look_up(self, host: str, picture_url: str, *, create: bool) -> str:
        error, until = self._failed.get(host, (None, 0.0))
        if error is not None and self._site.service.clock.monotonic() < until:
            raise error
        try:
            name = self._find(host, picture_url)
            if not name:
                return self._create(host) if create else DEFAULT_FOLDER
        except NotFound as missing:
            raise self._no_library(host, missing.evidence) from None
        except AccessDenied as refused:
            if self._is_central(host):
                missing_role = PermissionMissing(SHAREPOINT, FILES_ROLE, refused.evidence)
                raise self._keep(host, missing_role) from None
            raise self._keep(
                host,
                HostUnavailable(
                    refused.evidence,
                    host,
                    "refuses to read the library",
                    f"Grant the app role {FILES_ROLE} on SharePoint, or with Sites.Selected a "
                    "write grant on this host too",
                ),
            ) from None
        except (Unavailable, PatienceExceeded) as error:
            # One user finds out; the others of this geo do not wait as long again.
            raise error if self._is_central(host) else self._keep(host, error) from None
        self._cache.put(host, name)
        return name

    def _no_library(self, host: str, evidence: Evidence) -> ConfigurationError | HostUnavailable:
        remedy = (
            "SharePoint creates the library when someone first opens their profile photo in "
            "SharePoint or OneDrive"
        )
        if self._is_central(host):
            text = f"{host} has no library '{LIBRARY}' ({evidence}). {remedy}"
            return self._keep(host, ConfigurationError([text]))
        return self._keep(
            host, HostUnavailable(evidence, host, f"has no library '{LIBRARY}'", remedy)
        )

    def _keep[E: PhotoSyncError](self, host: str, error: E) -> E:
        """Do not ask again for a while."""
        self._failed[host] = error, self._site.service.clock.monotonic() + FAILED_SECONDS
        return error

    def _find(self, host: str, picture_url: str) -> str:
        """Name of the folder; "" when the library has none yet."""
        url = _folder_url(host, f"/{LIBRARY}")
        try:
            response = self._get(f"{url}/Folders?$select=Name,ItemCount")
        except RequestRejected as refused:
            if not is_over_threshold(refused.evidence):
                raise
            return self._find_by_path(host, picture_url, refused.evidence)
        value = response.value.get("value") if isinstance(response.value, dict) else None
        if not isinstance(value, list):
            raise response.malformed("no list of folders")
        counts = {
            entry["Name"]: number(entry.get("ItemCount")) or 0
            for entry in value
            if isinstance(entry, dict) and is_folder_name(entry.get("Name"))
        }
        usable = {n: c for n, c in counts.items() if n.lower() not in _SYSTEM_FOLDERS}
        if usable:
            return str(max(usable, key=lambda name: (usable[name], name == DEFAULT_FOLDER, name)))
        # A library that is not there may list no folders instead of returning 404.
        response = self._get(f"{url}?$select=Exists")
        if not isinstance(response.value, dict) or response.value.get("Exists") is False:
            raise NotFound(response.evidence)
        return ""

    def _create(self, host: str) -> str:
        path = literal(f"/{LIBRARY}/{DEFAULT_FOLDER}")
        url = f"{host}/_api/web/folders/AddUsingPath(decodedUrl='{path}')"
        self._site.post(url, b"", JSON, want_json=False)
        self._cache.put(host, DEFAULT_FOLDER)
        return DEFAULT_FOLDER

    def _find_by_path(self, host: str, picture_url: str, evidence: Evidence) -> str:
        """The first folder that exists among those that may hold the thumbnails."""
        used = read_picture_url(picture_url)
        names = [used.folder] if used and used.host == host else []
        for name in dict.fromkeys([DEFAULT_FOLDER, *names]):
            if name.lower() in _SYSTEM_FOLDERS:
                continue
            url = _folder_url(host, f"/{LIBRARY}/{name}")
            response = self._get(f"{url}?$select=Exists", accept={NOT_FOUND})
            value = response.value if response.ok else None
            if isinstance(value, dict) and value.get("Exists") is True:
                return name
        raise HostUnavailable(
            evidence,
            host,
            f"does not list the folders of '{LIBRARY}', because the library exceeds the list view "
            "threshold",
            "Let a user of this host whose profile shows a picture be synchronized first: their "
            "PictureURL names the folder",
        )

    def _get(self, url: str, *, accept: Collection[int] = ()) -> Response:
        patience = Patience(LOOKUP_SECONDS, self._site.service.clock)
        return self._site.get(url, accept=accept, patience=patience)


def _folder_url(host: str, path: str) -> str:
    return f"{host}/_api/web/GetFolderByServerRelativePath(decodedUrl='{literal(path)}')"
