"""From what Exchange returned to three clean thumbnails, without trusting a byte of it.

Limits are checked on the header before anything is decoded. The output is baseline RGB JPEG
without any metadata, and the same bytes for the same input.
"""

import io
import logging
import struct
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from shared.errors import InvalidPhoto

# Pillow's remarks on broken input go to the log as lines nobody can act on; the limits that some
# of them are about are enforced here. Set once: warnings.catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")
# At DEBUG it logs the metadata it finds in a photo.
logging.getLogger("PIL").setLevel(logging.WARNING)

MAX_BYTES = 8 * 2**20
MAX_PIXELS = 24_000_000
MAX_JPEG_PIXELS = 64_000_000  # one scan only: decoded at reduced size, row by row
MAX_SCANNED_PIXELS = 400_000_000  # a few bytes a scan could otherwise keep the decoder busy
QUALITY = 90

_BIG_PIXELS = 2_000_000
_one_big_at_a_time = threading.Lock()  # eight threads with 24 megapixels each would take 2 GB

_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
_ORIENTATION = 0x0112
_TURNS = {  # EXIF 2.3, tag Orientation: what to do for the picture to stand upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Thumbnails:
    """Three JPEG files of the same picture."""

    small: bytes
    medium: bytes
    large: bytes


class _Jpeg(JpegImageFile):
    """A JPEG whose EXIF block Pillow leaves alone: it may be broken where the picture is fine."""

    def _read_dpi_from_exif(self) -> None:
        """Nobody asks for the resolution."""


_FORMATS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", _Jpeg),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
)


def render(data: bytes, sizes: tuple[int, int, int]) -> Thumbnails:
    """Make the thumbnails of a JPEG, PNG or GIF file; of an animation, of its first frame.

    Args:
        data: the file; what a header said about its type does not count.
        sizes: longest side of small, medium and large in pixels; nothing is enlarged.

    Raises:
        InvalidPhoto: not such a file, broken, cut short, or too large to decode safely.
    """
    if len(data) > MAX_BYTES:
        raise InvalidPhoto(f"{len(data)} bytes, more than {MAX_BYTES}")
    plugin = next((kind for magic, kind in _FORMATS if data.startswith(magic)), None)
    if plugin is None:
        raise InvalidPhoto("not a JPEG, PNG or GIF file")
    try:
        file = io.BytesIO(data)
        with plugin(file) as image:
            scans = _scans(data, file.tell()) if plugin is _Jpeg else 0
            _check_size(image.size, scans)
            with _turn_of(image):
                picture = _flat(image, 2 * max(sizes))
                upright = _TURNS.get(_orientation(image))  # a PNG may say so after the pixels
                small, medium, large = (_thumbnail(picture, size, upright) for size in sizes)
    except InvalidPhoto:
        raise
    except Exception as error:
        # Pillow's decoders raise about every exception there is on malformed input.
        raise InvalidPhoto(f"cannot be decoded: {type(error).__name__}") from error
    return Thumbnails(small, medium, large)


def _scans(data: bytes, first: int) -> int:
    """How often the decoder of a JPEG goes over the picture.

    With more than one scan (progressive, above all) the whole picture is held in full size.

    Args:
        data: the file.
        first: where the header of the first scan ends, which is as far as Pillow has read.
    """
    end = data.find(_END_OF_IMAGE, first)
    return 1 + data.count(_START_OF_SCAN, first, end if end >= 0 else len(data))


def _check_size(size: tuple[int, int], scans: int) -> None:
    """Refuse what would take too much memory or time, knowing the header only."""
    width, height = size
    pixels = width * height
    if pixels <= 1:
        raise InvalidPhoto(f"{width} x {height} pixel, a placeholder")
    limit = MAX_JPEG_PIXELS if scans == 1 else MAX_PIXELS
    if pixels > limit:
        raise InvalidPhoto(f"{width} x {height} pixels, more than {limit}")
    if pixels * scans > MAX_SCANNED_PIXELS:
        raise InvalidPhoto(f"{scans} scans of {width} x {height} pixels")


def _turn_of(image: ImageFile) -> AbstractContextManager[object]:
    width, height = image.size
    return _one_big_at_a_time if width * height > _BIG_PIXELS else nullcontext()


def _flat(image: ImageFile, longest: int) -> Image.Image:
    """Decode to RGB, transparent parts on white; a JPEG not much larger than `longest`."""
    image.draft(None, _fitted(image.size, longest))
    image.load()
    picture: Image.Image = image
    if picture.mode.startswith("I"):  # 16 bits a sample, which `convert` would clip, not scale
        picture = picture.point(lambda sample: sample * (1 / 256)).convert("L")
    elif picture.has_transparency_data:
        colours = _as(picture, "RGBA")
        picture = Image.new("RGB", colours.size, "white")
        picture.paste(colours, mask=colours.getchannel("A"))
    return _as(picture, "RGB")


def _as(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in that mode; `convert` would copy it even when it has it already."""
    return picture if picture.mode == mode else picture.convert(mode)


def _fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size that fits a square of that side: never larger than before, at least a pixel."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _thumbnail(picture: Image.Image, size: int, upright: Image.Transpose | None) -> bytes:
    target = _fitted(picture.size, size)
    reduced = picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if upright is not None:
        reduced = reduced.transpose(upright)
    reduced.info = {}  # otherwise a comment or profile of the source would be copied
    out = io.BytesIO()
    reduced.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0", progressive=False)
    return out.getvalue()


def _orientation(image: ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 also when the EXIF block is absent or broken.

    Reads the one tag it needs from the first directory (TIFF 6.0, section 2).
    """
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for index in range(count):
            tag, _type, _count, value = struct.unpack_from(
                order + "HHIH", tiff, start + 2 + 12 * index
            )
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:
        pass
    return 1
