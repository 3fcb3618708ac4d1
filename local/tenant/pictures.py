"""Pictures of every kind that a photo service may hold, generated from a seed."""

import io
import random
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Self

from PIL import Image, ImageDraw, ImageFont

#: Longest side of the largest photo size that Exchange offers.
FULL = 648
_MEGABYTES_4 = 4 * 2**20
_lock = threading.Lock()


class Picture:
    """Image bytes, made when first asked for, and their smaller renditions.

    Attributes:
        name: kind of picture, such as `portrait` or `bomb`.
        content_type: what the service claims.
        width: pixels, as the service claims.
        height: pixels, as the service claims.
        usable: a client can make a thumbnail of it.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], bytes],
        size: tuple[int, int],
        content_type: str = "image/jpeg",
        *,
        usable: bool = True,
    ) -> None:
        self.name = name
        self.content_type = content_type
        self.width, self.height = size
        self.usable = usable
        self._make = make
        self._renditions: dict[int, bytes] = {}

    @classmethod
    def of(cls, data: bytes, content_type: str = "image/jpeg") -> Self:
        """A picture of given bytes, whatever they are; of no image it claims full size."""
        size, usable = (FULL, FULL), True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a large picture is no concern of a store
                with Image.open(io.BytesIO(data)) as image:
                    size = image.size
        except (OSError, Image.DecompressionBombError):
            usable = False
        return cls("given", lambda: data, size, content_type, usable=usable)

    @cached_property
    def data(self) -> bytes:
        """The bytes as uploaded."""
        return self._make()

    def scaled(self, size: int | None) -> tuple[int, int]:
        """Width and height of a rendition whose longest side is `size`, aspect kept."""
        longest = max(self.width, self.height)
        if size is None or size >= longest:
            return self.width, self.height
        return (
            max(1, round(self.width * size / longest)),
            max(1, round(self.height * size / longest)),
        )

    def rendition(self, size: int | None) -> bytes:
        """The bytes with `size` as longest side: the original unless it is larger.

        Mode, format and orientation tag stay as uploaded; what is no image stays as it is.
        """
        if size is None or not self.usable or size >= max(self.width, self.height):
            return self.data
        with _lock:
            if size not in self._renditions:
                self._renditions[size] = _resize(self.data, self.scaled(size))
            return self._renditions[size]


class Gallery:
    """All pictures of one tenant: portraits by number, and one of each odd kind.

    Args:
        seed: of the drawing.
        pool: number of different portraits.
    """

    def __init__(self, seed: int, pool: int) -> None:
        self._seed = seed
        self._pool = pool
        self._portraits: dict[int, Picture] = {}
        self.odd = _odd_kinds(seed)

    def portrait(self, number: int, initials: str = "") -> Picture:
        """A square JPEG of full size; numbers a pool apart share one."""
        key = number % self._pool
        return self._portraits.setdefault(key, _portrait(self._seed, key, initials))


@lru_cache(maxsize=1024)
def _portrait(seed: int, number: int, initials: str) -> Picture:
    """One for all tenants of a process: drawing takes longer than a request."""
    return Picture("portrait", lambda: _jpeg(_draw(f"{seed}/{number}", initials)), (FULL, FULL))


@lru_cache(maxsize=4)
def _odd_kinds(seed: int) -> Mapping[str, Picture]:
    """One picture of each kind, by its name; the same for all tenants of a process."""

    def drawn(name: str, width: int = FULL, height: int = FULL) -> Image.Image:
        return _cut(_draw(f"{seed}/{name}", name[:2].upper()), width, height)

    kinds = [
        Picture("wide", lambda: _jpeg(drawn("wide", FULL, 432)), (FULL, 432)),
        Picture("tall", lambda: _jpeg(drawn("tall", 432, FULL)), (432, FULL)),
        Picture("large", lambda: _large(drawn("large", 2400, 1800)), (2400, 1800)),
        Picture("cmyk", lambda: _jpeg(drawn("cmyk").convert("CMYK")), (FULL, FULL)),
        Picture("grey", lambda: _jpeg(drawn("grey").convert("L")), (FULL, FULL)),
        Picture("palette", lambda: _palette(drawn("palette")), (FULL, FULL), "image/png"),
        Picture("alpha", lambda: _alpha(drawn("alpha")), (FULL, FULL), "image/png"),
        Picture("deep", lambda: _deep(seed), (FULL, FULL), "image/png"),
        Picture("tiny", lambda: _jpeg(drawn("tiny", 16, 16)), (16, 16)),
        Picture("dot", lambda: _jpeg(drawn("dot", 1, 1)), (1, 1)),
        Picture("medium", lambda: _jpeg(drawn("medium", 240, 240)), (240, 240)),
        Picture("broken", lambda: _noise(seed, 5000), (FULL, FULL), usable=False),
        Picture("truncated", lambda: _jpeg(drawn("truncated"))[:-4000], (FULL, FULL), usable=False),
        Picture("bomb", _bomb, (30000, 30000), "image/png", usable=False),
        Picture("html", _html, (FULL, FULL), usable=False),
    ]
    for tag in range(1, 9):
        size = (432, FULL) if tag > 4 else (FULL, 432)  # noqa: PLR2004 - EXIF: 5 to 8 lie on a side
        kinds.append(_oriented(tag, lambda: drawn("upright", FULL, 432), size))
    return {picture.name: picture for picture in kinds}


def _oriented(tag: int, draw: Callable[[], Image.Image], size: tuple[int, int]) -> Picture:
    """A JPEG whose EXIF orientation makes the same upright picture of it for every tag."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }

    def make() -> bytes:
        image = draw()
        if tag in undo:
            image = image.transpose(undo[tag])
        exif = Image.Exif()
        exif[0x0112] = tag
        exif[0x010F] = "Emulated camera"
        return _jpeg(image, exif=exif.tobytes())

    return Picture(f"orientation-{tag}", make, size)


def _draw(key: str, initials: str) -> Image.Image:
    """A simple portrait that a person can tell from others."""
    rng = random.Random(key)
    image = Image.new("RGB", (FULL, FULL), _colour(rng, 120, 235))
    draw = ImageDraw.Draw(image)
    skin = rng.choice([(255, 219, 187), (232, 184, 140), (198, 134, 92), (141, 85, 54)])
    hair = rng.choice([(40, 26, 13), (92, 60, 32), (190, 140, 70), (120, 120, 125), (150, 60, 30)])
    shirt = _colour(rng, 20, 180)
    width = rng.randint(120, 160)
    draw.ellipse((64, 470, 584, 900), fill=shirt)
    draw.rectangle((274, 400, 374, 520), fill=skin)
    if rng.randrange(2):
        draw.ellipse((324 - width - 40, 110, 324 + width + 40, 540), fill=hair)
        draw.rectangle((274, 420, 374, 520), fill=skin)
    draw.ellipse((324 - width, 150, 324 + width, 480), fill=skin)
    top = rng.randint(210, 270)
    draw.chord((324 - width - 6, 130, 324 + width + 6, 2 * top - 130), 180, 360, fill=hair)
    for x in (324 - 58, 324 + 58):
        draw.ellipse((x - 14, 300, x + 14, 328), fill=(255, 255, 255))
        draw.ellipse((x - 7, 306, x + 7, 322), fill=_colour(rng, 20, 110))
    if not rng.randrange(3):
        for x in (324 - 58, 324 + 58):
            draw.ellipse((x - 44, 272, x + 44, 356), outline=(30, 30, 30), width=7)
        draw.line((310, 312, 338, 312), fill=(30, 30, 30), width=7)
    draw.arc((264, 350, 384, 350 + rng.randint(60, 100)), 20, 160, fill=(150, 50, 50), width=9)
    if initials:
        font = ImageFont.load_default(96)
        draw.text((324, 575), initials, font=font, fill=(255, 255, 255), anchor="mm")
    return image


def _colour(rng: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


def _jpeg(image: Image.Image, *, quality: int = 88, exif: bytes = b"") -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _cut(face: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of a portrait, of another shape and size, not distorted."""
    scale = FULL / max(width, height)
    wide, high = width * scale, height * scale
    box = ((FULL - wide) / 2, (FULL - high) * 0.6, (FULL + wide) / 2, FULL - (FULL - high) * 0.4)
    return face.resize((width, height), box=box)


def _large(face: Image.Image) -> bytes:
    """Just below the 4 MB that an upload may have: noise compresses badly."""
    noise = Image.effect_noise(face.size, 60).convert("RGB")
    image = Image.blend(face, noise, 0.3)
    for quality in range(97, 40, -2):
        data = _jpeg(image, quality=quality)
        if len(data) < _MEGABYTES_4:
            return data
    raise AssertionError("noise got too large")


def _palette(face: Image.Image) -> bytes:
    out = io.BytesIO()
    face.quantize(32).save(out, "PNG", transparency=0)
    return out.getvalue()


def _alpha(face: Image.Image) -> bytes:
    mask = Image.new("L", face.size, 0)
    ImageDraw.Draw(mask).ellipse((20, 20, FULL - 20, FULL - 20), fill=255)
    face = face.convert("RGBA")
    face.putalpha(mask)
    return _png(face)


def _deep(seed: int) -> bytes:
    """16 bits a channel, greyscale."""
    row = struct.pack(f">{FULL}H", *((x * 65535 // FULL) ^ (seed & 0xFF) for x in range(FULL)))
    return _raw_png(FULL, FULL, 16, 0, zlib.compress((b"\0" + row) * FULL))


def _bomb() -> bytes:
    """A PNG of a few kilobytes that unpacks to gigabytes."""
    return _raw_png(30000, 30000, 1, 0, zlib.compress(b"\0" * 3751 * 200, 9))


def _raw_png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def _noise(seed: int, length: int) -> bytes:
    """Begins like a JPEG, so that only decoding shows that it is none."""
    return b"\xff\xd8\xff\xe0" + random.Random(seed).randbytes(length)


def _html() -> bytes:
    return b"<!DOCTYPE html><html><body><h1>Sign in to your account</h1></body></html>"


def _resize(data: bytes, size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        form = image.format or "JPEG"
        exif = image.getexif().tobytes() if image.getexif() else b""
        options = {"exif": exif} if exif else {}
        image.resize(size).save(out, form, **options)
    return out.getvalue()
