"""What a parser of one format hands to the decoder."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A photo whose headers were read, its limits checked, and its metadata taken off.

    Attributes:
        format: "JPEG", "PNG", "GIF", or "BMP".
        width: of the whole picture, in pixels.
        height: of the whole picture, in pixels.
        clean: a file that holds only what the decoder needs. What the decoder reads is what the
            parser counted.
        memory: bytes that the decoder takes for the whole picture; 0 for a JPEG with one scan,
            which it reduces row by row.
        profile: ICC profile, empty when there is none.
        exif: TIFF structure with EXIF tags, empty when there is none.
    """

    format: str
    width: int
    height: int
    clean: bytes
    memory: int
    profile: bytes = b""
    exif: bytes = b""
