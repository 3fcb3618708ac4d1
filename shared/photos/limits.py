"""How large a photo may be, and the sentences that refuse a photo.

Every limit is checked on the headers, before anything is decoded. Together they keep the cost of
one photo below 200 MB of memory and 2 s of CPU time; `python -m local.tools.photo_costs` measures
the worst files that they let through.
"""

from shared.errors import InvalidPhoto

MAX_BYTES = 8 * 2**20
MAX_SIDE = 30_000
"""Pixels. Pillow keeps a pointer for each row, which for many short rows costs more than they."""
MAX_PIXELS = 24_000_000
"""PNG, GIF, and BMP: decoded in full size, up to 4 bytes a pixel."""
MAX_PNG_BYTES = 100_000_000
"""PNG: rows as they are unpacked, so 12.5 million pixels of four channels with 16 bits."""
MAX_JPEG_PIXELS = 64_000_000
"""JPEG with one scan: decoded row by row at reduced size."""
MAX_PROGRESSIVE_PIXELS = 40_000_000
"""JPEG with several scans."""
MAX_COEFFICIENT_BYTES = 145_000_000
"""JPEG with several scans: the decoder keeps 2 bytes for each coefficient of the whole picture."""
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 400_000_000
"""Pixels times scans: each scan goes over the picture, and may need only a few bytes to do so."""
MAX_SEGMENTS = 2_000
"""JPEG: tables, metadata, and scans."""
MAX_CHUNKS = 20_000
"""PNG. Encoders write up to a few thousand."""
MAX_BLOCKS = 100_000
"""GIF: data blocks of at most 255 bytes up to the end of the first frame."""
MAX_RLE_PIXELS = 4_000_000
MAX_RLE_BYTES = 2_000_000
"""BMP with run-length encoding, which Pillow decodes in Python."""
MAX_PROFILE_BYTES = 8 * 2**20
"""Of a color profile after decompression. A larger one is ignored."""
MAX_MISSING = 0.02
"""Share of the picture that may be missing at its end, or the last block of a JPEG."""
MIN_BLOCKS = 4
"""A JPEG of fewer blocks must have all of them."""

SAVE_AGAIN = "Save it as JPEG or PNG and upload it again."
UPLOAD_AGAIN = "Upload the original photo again."
_SMALLER = "Make the photo smaller, for example 1000 x 1000 pixels, and upload it again."


def check_size(width: int, height: int, limit: int = MAX_PIXELS, kind: str = "photo") -> None:
    """Refuse a placeholder and what has too many pixels.

    Args:
        width: in pixels.
        height: in pixels.
        limit: how many pixels are accepted.
        kind: names the kind of file that the limit is about.

    Raises:
        InvalidPhoto: no pixels, one pixel, or too many.
    """
    if width <= 0 or height <= 0:
        raise damaged("it has no pixels")
    if width * height == 1:
        raise InvalidPhoto(f"The photo is a placeholder of 1 x 1 pixel. {UPLOAD_AGAIN}")
    size = f"The photo has {width} x {height} pixels"
    if max(width, height) > MAX_SIDE:
        raise InvalidPhoto(f"{size}. A side can have at most {MAX_SIDE:,} pixels. {_SMALLER}")
    if width * height > limit:
        most = f"{limit // 1_000_000} million"
        raise InvalidPhoto(f"{size}. A {kind} can have at most {most} pixels. {_SMALLER}")


def damaged(why: str) -> InvalidPhoto:
    """The refusal of a file that is not what its format promises; `why` completes "damaged:"."""
    return InvalidPhoto(f"The photo is damaged: {why}. {UPLOAD_AGAIN}")


def cut_short() -> InvalidPhoto:
    """The refusal of a file that ends before its picture does."""
    return InvalidPhoto(
        f"A part of the photo is missing because the file ends too early. {UPLOAD_AGAIN}"
    )


def too_many(what: str, found: int, limit: int) -> InvalidPhoto:
    """The refusal of a file with too many parts of one kind."""
    return InvalidPhoto(
        f"The photo consists of {found:,} {what}, and at most {limit:,} are accepted. {SAVE_AGAIN}"
    )


def unusual(what: str) -> InvalidPhoto:
    """The refusal of a variant of a format that is not supported."""
    return InvalidPhoto(f"The photo is {what}, which is not supported. {SAVE_AGAIN}")
