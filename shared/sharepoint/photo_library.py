"""The thumbnails: files of the User Photos library on a My Site host."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import AccessDenied, RequestRejected
from shared.http import NOT_FOUND, Patience, number
from shared.model import LIBRARY, SIZES, ThumbnailLocation
from shared.sharepoint.error_codes import number_of
from shared.sharepoint.site import JSON, Site, literal

if TYPE_CHECKING:
    from shared.photos import Thumbnails

_ROLE_MISSING = "-2147024891"


class PhotoLibrary:
    """Reads and writes thumbnail files for one invocation; thread-safe.

    Args:
        site: sends to SharePoint.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def thumbnail(
        self, location: ThumbnailLocation, size: str, patience: Patience | None = None
    ) -> bytes | None:
        """See `SharePoint.thumbnail`."""
        url = file_url(location, size, "/$value")
        response = self._site.get(
            url,
            accept={NOT_FOUND},
            want_json=False,
            subject=location.prefix,
            patience=patience,
        )
        return response.body if response.ok else None

    def has_content(
        self,
        location: ThumbnailLocation,
        thumbnails: "Thumbnails",
        patience: Patience | None = None,
    ) -> bool:
        """See `SharePoint.has_content`."""
        return all(
            self.thumbnail(location, size, patience) == data
            for size, data in files_of(thumbnails).items()
        )

    def upload(
        self,
        location: ThumbnailLocation,
        size: str,
        data: bytes,
        patience: Patience | None = None,
    ) -> None:
        """See `SharePoint.upload`."""
        url = upload_url(location, size)
        response = self._site.post(
            url, data, "application/octet-stream", subject=location.prefix, patience=patience
        )
        if not isinstance(response.value, dict):
            raise response.malformed("no file in the response")
        stored = response.value.get("Length")
        if stored is not None and number(stored) != len(data):
            raise RequestRejected(replace(response.evidence, message="stored another length"))

    def recycle(
        self, location: ThumbnailLocation, patience: Patience | None = None
    ) -> tuple[str, ...]:
        """See `SharePoint.recycle`."""
        kept = []
        for size in SIZES:
            url = file_url(location, size, "/recycle()")
            try:
                self._site.post(
                    url,
                    b"",
                    JSON,
                    accept={NOT_FOUND},
                    want_json=False,
                    subject=location.prefix,
                    patience=patience,
                )
            except RequestRejected:
                kept.append(location.file_name(size))
            except AccessDenied as refused:
                # A missing role has its own number; any other refusal is about this file.
                if number_of(refused.evidence.code) in {"", _ROLE_MISSING}:
                    raise
                kept.append(location.file_name(size))
        return tuple(kept)


def files_of(thumbnails: "Thumbnails") -> Mapping[str, bytes]:
    """The three files by size, in upload order: M is last, because PictureURL names it."""
    return dict(zip(SIZES, (thumbnails.large, thumbnails.small, thumbnails.medium), strict=True))


def upload_url(location: ThumbnailLocation, size: str) -> str:
    """URL that writes one file, over whatever is there."""
    folder, name = literal(f"/{LIBRARY}/{location.folder}"), literal(location.file_name(size))
    return (
        f"{location.host}/_api/web/GetFolderByServerRelativePath(decodedUrl='{folder}')"
        f"/Files/AddUsingPath(decodedUrl='{name}',overwrite=true)"
    )


def file_url(location: ThumbnailLocation, size: str, rest: str) -> str:
    """URL of one file, or with `rest` of something about it."""
    path = literal(location.path(size))
    return f"{location.host}/_api/web/GetFileByServerRelativePath(decodedUrl='{path}'){rest}"
