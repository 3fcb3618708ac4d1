"""Profile photos in Microsoft Graph: metadata, sizes, bytes.

Sources: Microsoft Graph docs "Get profilePhoto"; public reports of what recent tenants answer.
"""

import itertools
import re
from typing import Any

from local.tenant.directory import Directory, Person, Photo, PhotoError
from local.tenant.graph.answers import Answer, Call, GraphError, bad_request
from local.tenant.quirks import Quirks

READ_PHOTOS = (
    "ProfilePhoto.Read.All",
    "ProfilePhoto.ReadWrite.All",
    "User.ReadBasic.All",
    "User.Read.All",
    "User.ReadWrite.All",
)
SIZES = (48, 64, 96, 120, 240, 360, 432, 504, 648)
_SIZE = re.compile(r"(\d{1,5})[xX](\d{1,5})")
_NOT_FOUND = (
    "Exception of type 'Microsoft.People.Image.Common.Exceptions.ImageNotFoundException' was"
    " thrown."
)


class Photos:
    """Answers calls below `/users/{id}/photo` and `/users/{id}/photos`."""

    def __init__(self, *, directory: Directory, quirks: Quirks) -> None:
        self._directory = directory
        self._quirks = quirks
        self._reads = itertools.count(1)

    def get(self, call: Call, key: str, rest: tuple[str, ...]) -> Answer:
        """Answer `photo`, `photo/$value`, `photos`, `photos/{size}`, `photos/{size}/$value`."""
        allowed = READ_PHOTOS[:2] if self._quirks.photos_need_own_role else READ_PHOTOS
        call.allow(*allowed, code=self._quirks.photo_denied_code)
        if call.query.keys() - {"$select"}:
            raise bad_request("The query parameter is not supported on a photo.")
        person = self._directory.find(key)
        if person is not None and person.photo_error is not None:
            return _in_place_of_photo(person.photo_error)
        context = f"{call.root}/$metadata#users('{key}')/{'/'.join(rest)}"
        match rest:
            case ("photo",):
                return self._metadata(context, person, None)
            case ("photo", "$value"):
                return self._bytes(person, None)
            case ("photos",):
                return self._sizes(context, person)
            case ("photos", size):
                return self._metadata(context, person, self._parse(size))
            case ("photos", size, "$value"):
                return self._bytes(person, self._parse(size))
        raise bad_request(f"Resource not found for the segment '{rest[-1]}'.")

    def _parse(self, text: str) -> int:
        match = _SIZE.fullmatch(text)
        if match is None:
            raise bad_request(f"Invalid photo size '{text}'.")
        size = int(match[1])
        if size not in SIZES or match[1] != match[2]:
            raise self._missing()
        return size

    def _missing(self) -> GraphError:
        return GraphError(404, self._quirks.no_photo_code, _NOT_FOUND)

    def _photo(self, person: Person | None) -> Photo:
        """The photo; an unknown user answers the same as one without a photo."""
        if person is None or person.photo is None:
            raise self._missing()
        return person.photo

    def _available(self, photo: Photo, size: int) -> int | None:
        """The size to answer with; None is the photo itself."""
        if size <= max(photo.width, photo.height):
            return size
        if self._quirks.sized_photo_missing:
            raise self._missing()
        return None

    def _metadata(self, context: str, person: Person | None, size: int | None) -> Answer:
        if self._quirks.no_photo == "1x1" and (person is None or person.photo is None):
            body = {
                "@odata.context": f"{context}/$entity",
                "@odata.mediaContentType": "image/gif",
                "@odata.mediaEtag": "",
                "id": "1x1",
                "width": 1,
                "height": 1,
            }
            return Answer(200, body)
        photo = self._photo(person)
        if size is not None:
            size = self._available(photo, size)
        body = {"@odata.context": f"{context}/$entity"} | self._describe(photo, size)
        return Answer(200, body)

    def _describe(self, photo: Photo, size: int | None) -> dict[str, Any]:
        width, height = photo.picture.scaled(size)
        return {
            "@odata.mediaContentType": photo.content_type,
            "@odata.mediaEtag": self._etag(photo),
            "height": height,
            "id": "default" if size is None else f"{size}X{size}",
            "width": width,
        }

    def _sizes(self, context: str, person: Person | None) -> Answer:
        photo = self._photo(person)
        longest = max(photo.width, photo.height)
        value = [self._describe(photo, size) for size in SIZES if size <= longest]
        return Answer(200, {"@odata.context": context, "value": value})

    def _bytes(self, person: Person | None, size: int | None) -> Answer:
        photo = self._photo(person)
        if size is not None:
            size = self._available(photo, size)
        headers = {"Content-Type": photo.content_type, "ETag": self._etag(photo)}
        return Answer(200, photo.picture.rendition(size), headers)

    def _etag(self, photo: Photo) -> str:
        if self._quirks.etag_unstable:
            return f'"{photo.etag.strip(chr(34))}-{next(self._reads):X}"'
        return photo.etag


def _in_place_of_photo(error: PhotoError) -> Answer:
    """What the mailbox service, or a proxy in front of it, answers in place of a photo."""
    match error.body:
        case "html":
            page = f"<!DOCTYPE html><html><body><h2>{error.status}</h2></body></html>"
            return Answer(error.status, page.encode(), {"Content-Type": "text/html"})
        case "empty":
            return Answer(error.status, b"", {"Content-Type": "text/plain"})
    raise GraphError(error.status, error.code, "The mailbox cannot be reached.")
