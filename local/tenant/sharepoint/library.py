"""The `User Photos` picture library of a My Site host: folders, files, versions, recycle bin.

Paths are server-relative and decoded, such as `/User Photos/Profile Pictures/x_MThumb.jpg`; they
are found in any case and keep the case they were created with, as in SharePoint. Sources:
Microsoft Learn, "Working with folders and files with REST" and "Restrictions and limitations in
OneDrive and SharePoint"; error numbers as seen in recorded answers.
"""

import threading
import uuid
from collections.abc import Iterator
from typing import Final

from local.tenant.http import Clock
from local.tenant.sharepoint.library_items import Folder, Recycled, StoredFile, Version
from local.tenant.sharepoint.odata import NOT_FOUND, ServiceError

LIBRARY: Final = "/User Photos"
#: Folders that every library has beside its content.
SYSTEM_FOLDERS: Final = ("Forms", "_t", "_w")
LIST_VIEW_THRESHOLD: Final = 5_000
MAX_PATH: Final = 400
_ILLEGAL: Final = frozenset('"*:<>?/\\|')
_NAMESPACE: Final = uuid.UUID("5c7c2d4e-0d0f-4f43-9d1c-1f9d3f2f8a10")


class Library:
    """All folders and files of one site; thread-safe.

    Args:
        clock: the tenant's.
        versioning: overwriting keeps the content before as a version.
    """

    def __init__(self, *, clock: Clock, versioning: bool = True) -> None:
        self.versioning = versioning
        self.recycle_bin: list[Recycled] = []
        self._clock = clock
        self._root = Folder("", clock.time())
        self._contents: dict[bytes, bytes] = {}
        self._ids = 0
        self._lock = threading.RLock()

    # -- folders ---------------------------------------------------------------------------

    def create_library(self) -> Folder:
        """Make `User Photos` with its system folders, as SharePoint does at the first photo."""
        library = self.create_folder(LIBRARY)
        for name in SYSTEM_FOLDERS:
            self.create_folder(f"{LIBRARY}/{name}")
        return library

    def folder(self, path: str) -> Folder:
        """The folder at a path. Raises ServiceError 404 when there is none."""
        found = self._find_folder(path)
        if found is None:
            raise ServiceError(404, NOT_FOUND, "File Not Found.")
        return found

    def has_folder(self, path: str) -> bool:
        """Whether there is a folder at a path."""
        return self._find_folder(path) is not None

    def create_folder(self, path: str) -> Folder:
        """Make a folder, or return the one that is there.

        Raises:
            ServiceError: 404 without parent folder, 400 for an illegal name.
        """
        with self._lock:
            parent_path, _, name = _clean(path).rpartition("/")
            _check_name(name, path)
            parent = self.folder(parent_path)
            return parent.folders.setdefault(
                name.lower(), Folder(f"{parent.path}/{name}", self._clock.time())
            )

    def delete_folder(self, path: str) -> None:
        """Delete a folder with all that is in it; nothing when there is none."""
        with self._lock:
            parent_path, _, name = _clean(path).rpartition("/")
            parent = self._find_folder(parent_path)
            if parent is not None:
                parent.folders.pop(name.lower(), None)

    def _find_folder(self, path: str) -> Folder | None:
        folder: Folder | None = self._root
        for name in filter(None, _clean(path).split("/")):
            folder = folder.folders.get(name.lower()) if folder is not None else None
        return folder

    # -- files -----------------------------------------------------------------------------

    def file(self, path: str) -> StoredFile:
        """The file at a path. Raises ServiceError 404 when there is none."""
        parent_path, _, name = _clean(path).rpartition("/")
        parent = self._find_folder(parent_path)
        found = parent.files.get(name.lower()) if parent is not None else None
        if found is None:
            raise ServiceError(404, NOT_FOUND, "File Not Found.")
        return found

    def file_by_id(self, unique_id: str) -> StoredFile:
        """The file with an id. Raises ServiceError 404 when there is none."""
        with self._lock:
            for stored in self._walk(self._root):
                if stored.unique_id == unique_id.lower():
                    return stored
        raise ServiceError(404, NOT_FOUND, "File Not Found.")

    def put(
        self, folder_path: str, name: str, content: bytes, *, overwrite: bool, by: str = ""
    ) -> StoredFile:
        """Add a file, or a new version of the one that is there.

        Args:
            folder_path: where.
            name: without path.
            content: raw bytes.
            overwrite: an existing file may be replaced.
            by: who does it; a file checked out by somebody else is refused.

        Raises:
            ServiceError: 404 no folder, 400 illegal name or existing file, 423 checked out or
                locked.
        """
        with self._lock:
            folder = self.folder(folder_path)
            path = f"{folder.path}/{name}"
            _check_name(name, path)
            content = self._contents.setdefault(content, content)
            now = self._clock.time()
            present = folder.files.get(name.lower())
            if present is None:
                stored = StoredFile(path, self._new_id(), content, now, now)
                folder.files[name.lower()] = stored
                return stored
            if not overwrite:
                raise ServiceError(
                    400,
                    "-2130575257, Microsoft.SharePoint.SPException",
                    f"A file with the name {present.path} already exists.",
                )
            _check_free(present, by)
            if self.versioning:
                label = f"{present.major}.0"
                present.versions.append(Version(label, present.content, present.modified))
                present.major += 1
            present.content, present.modified = content, now
            return present

    def recycle(self, path: str, by: str = "") -> str:
        """Move a file to the recycle bin; returns the id of its item there.

        Raises:
            ServiceError: 404 no file, 423 checked out, locked or retained.
        """
        with self._lock:
            stored = self.file(path)
            _check_free(stored, by)
            _check_deletable(stored)
            item = Recycled(self._new_id(), stored, self._clock.time())
            self.recycle_bin.append(item)
            self._forget(stored)
            return item.id

    def delete(self, path: str, by: str = "") -> None:
        """Delete a file for good. Raises ServiceError as `recycle`."""
        with self._lock:
            stored = self.file(path)
            _check_free(stored, by)
            _check_deletable(stored)
            self._forget(stored)

    def check_out(self, path: str, by: str) -> None:
        """Reserve a file. Raises ServiceError 404 no file, 423 reserved by another."""
        with self._lock:
            stored = self.file(path)
            _check_free(stored, by)
            stored.checked_out_by = by

    def check_in(self, path: str) -> None:
        """End a reservation, whoever made it. Raises ServiceError 404, 400 when there is none."""
        with self._lock:
            stored = self.file(path)
            if not stored.checked_out_by:
                raise ServiceError(
                    400,
                    "-2147024738, Microsoft.SharePoint.SPFileCheckOutException",
                    f'The file "{stored.path}" is not checked out.',
                )
            stored.checked_out_by = ""

    def listed(self, folder: Folder, top: int | None) -> list[StoredFile]:
        """The files of a folder by name, at most `top`.

        Raises:
            ServiceError: 500 when more than the list view threshold would be returned.
        """
        if top is None and len(folder.files) > LIST_VIEW_THRESHOLD:
            raise over_threshold()
        with self._lock:
            return [folder.files[name] for name in sorted(folder.files)][:top]

    def contents(self) -> dict[str, bytes]:
        """Every file's bytes by path, for tests."""
        with self._lock:
            return {stored.path: stored.content for stored in self._walk(self._root)}

    def _walk(self, folder: Folder) -> Iterator[StoredFile]:
        yield from folder.files.values()
        for child in folder.folders.values():
            yield from self._walk(child)

    def _forget(self, stored: StoredFile) -> None:
        self.folder(stored.path.rpartition("/")[0]).files.pop(stored.name.lower())

    def _new_id(self) -> str:
        self._ids += 1
        return str(uuid.uuid5(_NAMESPACE, str(self._ids)))


def over_threshold() -> ServiceError:
    """500 for a query that would go through more entries than the list view threshold."""
    return ServiceError(
        500,
        "-2147024860, Microsoft.SharePoint.SPQueryThrottledException",
        "The attempted operation is prohibited because it exceeds the list view threshold.",
    )


def _clean(path: str) -> str:
    """A path with one leading slash and none at the end; relative ones begin at the site."""
    return "/" + path.strip("/") if path.strip("/") else ""


def _check_name(name: str, path: str) -> None:
    illegal = not name or name != name.strip() or name.endswith(".") or set(name) & _ILLEGAL
    if illegal or name.startswith("~$") or "_vti_" in name or len(path.lstrip("/")) > MAX_PATH:
        raise ServiceError(
            400,
            "-2130575245, Microsoft.SharePoint.SPException",
            f'The file or folder name "{name}" is too long or contains characters that are not '
            "permitted. Please use a different name.",
        )


def _check_deletable(stored: StoredFile) -> None:
    """Refuse to delete what must be retained; the real service's number is not documented."""
    if stored.retained:
        raise ServiceError(
            423,
            "-1, Microsoft.SharePoint.SPException",
            "This item cannot be deleted because it is on hold or retention policy.",
        )


def _check_free(stored: StoredFile, by: str) -> None:
    if stored.checked_out_by and stored.checked_out_by != by:
        raise ServiceError(
            423,
            "-2130575306, Microsoft.SharePoint.SPFileCheckOutException",
            f'The file "{stored.path}" is checked out for editing by {stored.checked_out_by}.',
        )
    if stored.locked:
        raise ServiceError(
            423,
            "-2147018894, Microsoft.SharePoint.SPFileLockException",
            f'The file "{stored.path}" is locked for shared use.',
        )
