"""Do two photos show the same picture?

SharePoint stores a JPEG that was made from Exchange's photo, perhaps by an earlier version or by
Microsoft's own sync, so equal bytes are the exception. Both pictures are reduced to 32 x 32 pixels,
where the losses of JPEG and of different filters nearly vanish, and compared there.
"""

import io

from shared.portal.core import Comparison, Picture

SIDE_PIXELS = 32
MAX_MEAN_DIFFERENCE = 6.0
"""Mean difference of the color values, 0 to 255, up to which two pictures are the same."""

MAX_RATIO_DIFFERENCE = 0.05


def compare(exchange: Picture, sharepoint: Picture) -> Comparison:
    """Whether SharePoint stores the picture that Exchange holds.

    Args:
        exchange: Exchange's photo as this program would store it.
        sharepoint: what SharePoint stores.
    """
    if exchange.etag == sharepoint.etag:
        return Comparison.SAME
    ours, theirs = (p.width / p.height for p in (exchange, sharepoint))
    if abs(ours / theirs - 1) > MAX_RATIO_DIFFERENCE:
        return Comparison.DIFFERENT
    mean = _mean_difference(exchange.jpeg, sharepoint.jpeg)
    return Comparison.SAME if mean <= MAX_MEAN_DIFFERENCE else Comparison.DIFFERENT


def _mean_difference(first: bytes, second: bytes) -> float:
    from PIL import Image, ImageChops, ImageStat  # noqa: PLC0415 - only where photos are shown

    small = []
    for data in (first, second):
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            small.append(image.convert("RGB").resize((SIDE_PIXELS, SIDE_PIXELS)))
    return float(max(ImageStat.Stat(ImageChops.difference(small[0], small[1])).mean))


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG that this program made."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        return image.size
