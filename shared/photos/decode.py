"""Decodes the clean file of a photo and reduces it, in strips where the whole would cost too much.

What comes out is not much larger than the thumbnails, in the colors of the file: gray, RGB, or
CMYK, transparent parts on white.
"""

import io
import math
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageChops
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from shared.photos import limits
from shared.photos.gif import Gif
from shared.photos.jpeg import Jpeg
from shared.photos.limits import cut_short
from shared.photos.png import Png, is_whole
from shared.photos.source import Source

_PLUGINS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
}
_STRIP_PIXELS = 1_000_000
_VISIBLE = 8
"""Difference of two samples, of 255, above which two decodings of a pixel are not the same."""
_UNDECODED = {127, 128}
"""Samples of a block that a JPEG decoder has no data for."""
_16_TO_8_BITS = 1 / 257


@dataclass(frozen=True)
class Picture:
    """Pixels in mode L, RGB, or CMYK.

    Attributes:
        image: the pixels.
        width: of the part of `image` that the picture covers; its last column may be cut.
        height: of that part; its last row may be cut.
    """

    image: Image.Image
    width: float
    height: float


def decode(source: Source, longest: int) -> Picture:
    """Decode to a picture whose longest side is one to four times `longest`, if it is that large.

    Args:
        source: the photo.
        longest: pixels that the longest side must keep.

    Raises:
        InvalidPhoto: more than the last bit of the picture is missing.
        Exception: whatever Pillow raises on damaged files.
    """
    scale = min(1.0, longest / max(source.width, source.height))
    draft = max(1, round(source.width * scale)), max(1, round(source.height * scale))
    if isinstance(source, Jpeg):
        image, box = _jpeg(source, draft)
    else:
        image = _opened(source, source.clean)
        image.load()
        if isinstance(source, Png) and _may_end_early(image) and not is_whole(source):
            raise cut_short()
        box = 0.0, 0.0, float(image.width), float(image.height)
    if isinstance(source, Gif) and image.size != (source.width, source.height):
        image = _on_canvas(source, image)
        box = 0.0, 0.0, float(image.width), float(image.height)
    return _reduced(source, image, box[2:], longest)


def _opened(source: Source, data: bytes) -> ImageFile:
    return _PLUGINS[source.format](io.BytesIO(data))


def _jpeg(
    source: Jpeg, draft: tuple[int, int]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The decoded picture and the part of it that is the photo."""
    if source.cut:
        _check_whole(source, draft)
    image, box = _drafted(source, source.clean, draft)
    if not source.cut:
        last = image.getpixel((image.width - 1, image.height - 1))
        samples = set(last) if isinstance(last, tuple) else {last}
        if samples <= _UNDECODED:
            _check_whole(source, draft)
    return image, box


def _drafted(
    source: Jpeg, data: bytes, draft: tuple[int, int]
) -> tuple[ImageFile, tuple[float, float, float, float]]:
    image = _opened(source, data)
    chosen = image.draft(None, draft)
    image.load()
    return image, chosen[1] if chosen else (0, 0, image.width, image.height)


def _check_whole(source: Jpeg, draft: tuple[int, int]) -> None:
    """Refuse a picture of which more than the last block or `MAX_MISSING` is not in the file."""
    half = max(1, draft[0] // 2), max(1, draft[1] // 2)
    image, _box = _drafted(source, source.clean, half)
    other, _box = _drafted(source, source.prolonged(), half)
    visible = [0] * _VISIBLE + [255] * (256 - _VISIBLE)
    difference = ImageChops.difference(image, other).point(visible * len(image.getbands()))
    box = difference.getbbox()
    if box is None:
        return
    width, height = image.size
    # Where colors have half the resolution, a missing block changes its neighbors' last pixel.
    across, down = (
        max(1.0, source.mcu[0] * width / source.width),
        max(1.0, source.mcu[1] * height / source.height),
    )
    row = int((box[1] + 1) / down)
    band = difference.crop((0, int(row * down), width, min(height, round((row + 1) * down))))
    begin = band.getbbox()
    column = int((begin[0] + 1) / across) if begin else 0
    columns, rows = math.ceil(width / across), math.ceil(height / down)
    missing = rows * columns - row * columns - column
    most = 1 if columns * rows >= limits.MIN_BLOCKS else 0
    if missing > max(most, limits.MAX_MISSING * columns * rows):
        raise cut_short()


def _may_end_early(image: Image.Image) -> bool:
    """Whether one of the last two rows is as it was before decoding.

    In an interlaced picture these two are of different passes.
    """
    rows = range(max(0, image.height - 2), image.height)
    return any(image.crop((0, row, image.width, row + 1)).getbbox() is None for row in rows)


def _on_canvas(source: Gif, frame: Image.Image) -> Image.Image:
    """The frame at its place; the rest of the canvas is transparent, so white."""
    canvas = Image.new("RGB", (source.width, source.height), "white")
    for top, bottom in _strips(frame.size, 1):
        strip = _flat(source, frame.crop((0, top, frame.width, bottom)))
        canvas.paste(strip, (source.left, source.top + top))
    return canvas


def _strips(size: tuple[int, int], step: int) -> list[tuple[int, int]]:
    """Top and bottom of strips whose height is a multiple of `step`, the last one's excepted."""
    rows = max(1, _STRIP_PIXELS // size[0] // step) * step
    return list(pairwise([*range(0, size[1], rows), size[1]]))


def _reduced(
    source: Source, image: Image.Image, covered: tuple[float, float], longest: int
) -> Picture:
    factor = max(1, max(image.size) // longest)
    if factor == 1 and _is_flat(source, image):
        return Picture(image, *covered)
    across, down = min(factor, image.width), min(factor, image.height)
    strips = _strips(image.size, down)
    reduced: Image.Image | None = None
    for top, bottom in strips:
        strip = _flat(source, image.crop((0, top, image.width, bottom)))
        strip = strip.reduce((across, down))
        if reduced is None:
            size = -(-image.width // across), -(-image.height // down)
            reduced = Image.new(strip.mode, size)
        reduced.paste(strip, (0, top // down))
    assert reduced is not None  # noqa: S101 - a picture has rows
    return Picture(reduced, covered[0] / across, covered[1] / down)


def _is_flat(source: Source, image: Image.Image) -> bool:
    """Whether it is in one of the modes that a picture may have, and nothing is transparent."""
    usual = image.mode in {"L", "RGB", "CMYK"} and not image.has_transparency_data
    return usual and _key(source) is None


def _key(source: Source) -> tuple[int, ...] | None:
    return source.key if isinstance(source, Png) else None


def _flat(source: Source, strip: Image.Image) -> Image.Image:
    """The strip in mode L, RGB, or CMYK, transparent parts on white."""
    key = _key(source)
    if strip.mode.startswith("I"):
        gray = strip.point(lambda sample: sample * _16_TO_8_BITS + 0.5).convert("L")
        if key is None:
            return gray
        opaque = [255] * 2**16
        opaque[key[0]] = 0
        return _on_white(gray, strip.convert("I").point(opaque, "L"))
    if key is not None:
        colors = strip.convert("L") if len(key) == 1 else strip
        return _on_white(colors, _opaque(colors, key))
    if _is_flat(source, strip):
        return strip
    if not strip.has_transparency_data:
        return strip.convert("L" if strip.mode == "1" else "RGB")
    if strip.mode not in {"LA", "RGBA"}:
        strip = strip.convert("RGBA")
    alpha = strip.getchannel("A")
    if source.format == "BMP" and alpha.getextrema() == (0, 0):
        return strip.convert("RGB")  # programs that do not know of the fourth byte leave it 0
    return _on_white(strip.convert("L" if strip.mode == "LA" else "RGB"), alpha)


def _opaque(colors: Image.Image, key: tuple[int, ...]) -> Image.Image:
    """0 where all samples are those of the key, else 255."""
    mask: Image.Image | None = None
    for channel, sample in zip(colors.split(), key, strict=True):
        differs = channel.point([255 * (value != sample) for value in range(256)])
        mask = differs if mask is None else ImageChops.lighter(mask, differs)
    assert mask is not None  # noqa: S101 - a picture has channels
    return mask


def _on_white(colors: Image.Image, alpha: Image.Image) -> Image.Image:
    flat = Image.new(colors.mode, colors.size, "white")
    flat.paste(colors, mask=alpha)
    return flat
