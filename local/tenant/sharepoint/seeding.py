"""What SharePoint shows of each person before anybody syncs: the traces of earlier uploads."""

import io
from functools import cache
from typing import Final
from urllib.parse import quote

from PIL import Image, ImageDraw

from local.tenant.directory import Person
from local.tenant.sharepoint.library import LIBRARY, Library
from local.tenant.sharepoint.profiles import (
    EXCHANGE_SYNC_STATE,
    PICTURE_URL,
    PLACEHOLDER_STATE,
    TIMESTAMP,
    Profiles,
)

#: Seconds between 0001-01-01, where SharePoint's timestamps start, and 1970-01-01.
YEAR_ONE: Final = 62_135_596_800
OLD_PICTURE_TIME: Final = 1_647_514_169 + YEAR_ONE  # 2022-03-17
OLD_SIZES: Final = {"S": 48, "M": 72, "L": 200}
_OLD_VARIETIES: Final = 8
FOREIGN_URL: Final = "https://intranet.example.com/photos/{}.jpg"


@cache
def old_picture(variety: int, size: int) -> bytes:
    """A JPEG of a former photo: a grey face, `size` pixels wide."""
    shade = 90 + 15 * (variety % _OLD_VARIETIES)
    image = Image.new("RGB", (size, size), (shade, shade, shade + 10))
    draw = ImageDraw.Draw(image)
    draw.ellipse((size * 0.1, size * 0.65, size * 0.9, size * 1.4), fill=(60, 60, 70))
    draw.ellipse((size * 0.3, size * 0.15, size * 0.7, size * 0.65), fill=(200, 195, 190))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=80)
    return written.getvalue()


def prefix_of_upn(upn: str) -> str:
    """The older prefix of thumbnail names: the UPN with `@` and `.` as underscores."""
    return upn.lower().replace("@", "_").replace(".", "_")


def picture_url(mysite: str, folder: str, prefix: str) -> str:
    """The URL of the M file as SharePoint stores it: absolute, percent-encoded, no query."""
    return f"{mysite}{quote(f'{LIBRARY}/{folder}/{prefix}_MThumb.jpg')}"


def seed(person: Person, *, profiles: Profiles, library: Library, mysite: str, folder: str) -> None:
    """Store what `person.existing` says: files in the library, properties in the profile.

    The library may be missing; then nobody has files, as in a tenant that never synced.
    """
    if not person.has_profile:
        return
    variety = int(person.id[:8], 16)
    values = {EXCHANGE_SYNC_STATE: "1", PLACEHOLDER_STATE: "1"}
    path = f"{LIBRARY}/{folder}"
    match person.existing:
        case "upn-prefix" | "id-prefix" if library.has_folder(path):
            by_upn = person.existing == "upn-prefix"
            prefix = prefix_of_upn(person.upn) if by_upn else person.id
            for letter, size in OLD_SIZES.items():
                content = old_picture(variety % _OLD_VARIETIES, size)
                library.put(path, f"{prefix}_{letter}Thumb.jpg", content, overwrite=True)
            values |= {
                PICTURE_URL: picture_url(mysite, folder, prefix),
                PLACEHOLDER_STATE: "0",
                TIMESTAMP: str(OLD_PICTURE_TIME),
            }
        case "foreign-url":
            values |= {
                PICTURE_URL: FOREIGN_URL.format(person.id),
                PLACEHOLDER_STATE: "0",
                EXCHANGE_SYNC_STATE: "0",
            }
        case "placeholder":
            values |= {
                PICTURE_URL: picture_url(mysite, folder, person.id),
                TIMESTAMP: str(OLD_PICTURE_TIME),
            }
        case _ if variety % 2:
            return  # nobody has asked for this person's picture yet: nothing is stored
    profiles.put(person, values)
