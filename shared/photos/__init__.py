"""Turns the bytes that Exchange returned into three clean thumbnails, and trusts none of them.

Importing this package does not import Pillow: a firing that finds no changed photo, and a call
that is refused, never need it.
"""

from shared.photos.limits import MAX_BYTES
from shared.photos.thumbnails import Thumbnails

__all__ = ["MAX_BYTES", "Thumbnails", "render"]


def render(data: bytes, sizes: tuple[int, int, int]) -> Thumbnails:
    """Make three thumbnails of a JPEG, PNG, GIF, or BMP file; of an animation, of its first frame.

    The output is baseline RGB JPEG in sRGB without metadata, and the same bytes for the same
    input. One photo costs at most 200 MB of memory and 2 s of CPU time.

    Args:
        data: the file; its content decides what it is, not what a header said about it.
        sizes: longest side of small, medium, and large in pixels; nothing is enlarged.

    Raises:
        InvalidPhoto: the photo cannot be used; the message says why and what to do.
    """
    from shared.photos import pipeline  # noqa: PLC0415 - imports Pillow

    return pipeline.render(data, sizes)
