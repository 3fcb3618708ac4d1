"""The result: three thumbnails of a photo."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thumbnails:
    """Three JPEG files of the same picture."""

    small: bytes
    medium: bytes
    large: bytes
