"""Recognizes, parses, decodes, and writes: one photo from hostile bytes to three JPEG files."""

import io
import logging
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext

from PIL import Image, ImageCms

from shared.errors import InvalidPhoto
from shared.photos import bmp, exif, formats, gif, jpeg, limits, png
from shared.photos.color import to_srgb, transform_of
from shared.photos.decode import Picture, decode
from shared.photos.source import Source
from shared.photos.thumbnails import Thumbnails

# Pillow's remarks on broken input go to the log as lines nobody can act on; the limits that some
# of them are about are enforced here. Set once: warnings.catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")
# At DEBUG it logs the metadata it finds in a photo.
logging.getLogger("PIL").setLevel(logging.WARNING)

QUALITY = 90

_PARSERS = {"JPEG": jpeg.parse, "PNG": png.parse, "GIF": gif.parse, "BMP": bmp.parse}
_BIG_BYTES = 12_000_000
_one_big_at_a_time = threading.Lock()  # eight threads with 200 MB each would take 1.6 GB

_TURNS = {  # EXIF 2.3, tag Orientation: what to do for the picture to stand upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def parse(data: bytes) -> Source:
    """Recognize a photo, check its limits, and take its metadata off; nothing is decoded.

    Raises:
        InvalidPhoto: not a JPEG, PNG, GIF, or BMP file, broken, cut short, or too large.
    """
    if len(data) > limits.MAX_BYTES:
        raise InvalidPhoto(
            f"The photo has {len(data):,} bytes, and at most {limits.MAX_BYTES:,} are accepted. "
            f"{limits.SAVE_AGAIN}"
        )
    return _PARSERS[formats.recognize(data)](data)


def render(data: bytes, sizes: tuple[int, int, int]) -> Thumbnails:
    """Make the thumbnails of a photo; see `shared.photos.render`."""
    source = parse(data)
    upright = _TURNS.get(exif.orientation(source.exif))
    try:
        with _one_at_a_time(source, sizes):
            picture = decode(source, 2 * max(sizes))
        colors = transform_of(source.profile, picture.image.mode)
        small, medium, large = (
            _thumbnail(source, picture, size, colors, upright) for size in sizes
        )
    except InvalidPhoto:
        raise
    except Exception as error:
        # Pillow's decoders raise about every exception there is on malformed input.
        if "truncated" in str(error):
            raise limits.cut_short() from error
        raise limits.damaged("its pixels cannot be decoded") from error
    return Thumbnails(small, medium, large)


def _one_at_a_time(source: Source, sizes: tuple[int, int, int]) -> AbstractContextManager[object]:
    """The lock when the photo takes much memory."""
    reduced = min(source.width * source.height, (4 * max(sizes)) ** 2) * 4
    return _one_big_at_a_time if source.memory + reduced > _BIG_BYTES else nullcontext()


def _thumbnail(
    source: Source,
    picture: Picture,
    size: int,
    colors: ImageCms.ImageCmsTransform | None,
    upright: Image.Transpose | None,
) -> bytes:
    scale = min(1.0, size / max(source.width, source.height))
    target = max(1, round(source.width * scale)), max(1, round(source.height * scale))
    box = (0.0, 0.0, picture.width, picture.height)
    reduced = picture.image.resize(target, Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    reduced = to_srgb(reduced, colors)
    if upright is not None:
        reduced = reduced.transpose(upright)
    reduced.info = {}  # otherwise a comment or profile of the source would be copied
    out = io.BytesIO()
    reduced.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0", progressive=False)
    return out.getvalue()
