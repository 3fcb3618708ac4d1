"""Hostile photos: legal and nearly legal files made to cost as much as possible.

Each is a function without arguments, named for what it attacks. What they have in common: they are
at most 8 MB long, which is all that reaches the renderer.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from shared.photos import limits

_EOI, _SOS = 0xD9, 0xDA  # JPEG markers
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    size: tuple[int, int],
    color: int,
    depth: int,
    *,
    filter_type: int = 4,
    interlaced: bool = False,
    extra: bytes = b"",
    fill: bytes = b"\x55",
) -> bytes:
    """A PNG file whose rows all hold the same byte, compressed as far as zlib can.

    Args:
        size: width and height in pixels.
        color: color type of the header.
        depth: bits a sample.
        filter_type: of every row; 4 (Paeth) costs the decoder most.
        interlaced: in seven passes.
        extra: chunks between header and pixels.
        fill: the byte.
    """
    width, height = size
    bits = _CHANNELS[color] * depth
    packer = zlib.compressobj(9)
    pixels = []
    for row_width, rows in _passes(width, height) if interlaced else ((width, height),):
        row = bytes([filter_type]) + fill * ((row_width * bits + 7) // 8)
        pixels += [packer.compress(row * min(64, rows - done)) for done in range(0, rows, 64)]
    pixels.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return (
        _SIGNATURE
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", b"".join(pixels))
        + chunk(b"IEND", b"")
    )


def _passes(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Width and height of the passes of Adam7."""
    for left, top, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            yield columns, rows


def jpeg(mode: str, size: tuple[int, int], noise: int = 90, **options: object) -> bytes:
    """A JPEG file of noise of that strength that repeats, as Pillow writes it."""
    tile = Image.effect_noise((64, 64), noise)
    image = Image.new("L", size)
    for left in range(0, size[0], 64):
        image.paste(tile, (left, 0))
    strip = image.crop((0, 0, size[0], 64))
    for top in range(64, size[1], 64):
        image.paste(strip, (0, top))
    out = io.BytesIO()
    image.convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


def scans_of(data: bytes) -> tuple[bytes, list[bytes]]:
    """A JPEG's bytes before its first scan, and its scans, each with the tables before it."""
    place, begin = 2, 0
    head, scans = b"", []
    while data[place + 1] != _EOI:
        marker = data[place + 1]
        (length,) = struct.unpack_from(">H", data, place + 2)
        if not begin and marker == _SOS:
            head, begin = data[:place], place
        place += 2 + length
        if marker == _SOS:
            found = _MARKER.search(data, place)
            place = found.start() if found else len(data)
            scans.append(data[begin:place])
            begin = place
    return head, scans


def repeated_scans(
    mode: str, size: tuple[int, int], which: int, count: int, quality: int = 30
) -> bytes:
    """A progressive JPEG in which one of its scans comes `count` times."""
    head, scans = scans_of(jpeg(mode, size, progressive=True, quality=quality))
    return head + b"".join(scans) + scans[which] * count + b"\xff\xd9"


def empty_scans(size: tuple[int, int], count: int) -> bytes:
    """A progressive JPEG of one color with scans of a few bytes that go over the whole picture."""
    out = io.BytesIO()
    Image.new("L", size, 90).save(out, "JPEG", progressive=True, quality=50)
    head, scans = scans_of(out.getvalue())
    comment = b"\xff\xfe\0\4\xff\xd9"
    return head + scans[0] + comment + b"".join(scans[1:]) + scans[-1] * count + b"\xff\xd9"


def _allowed_scans(size: tuple[int, int], base: int) -> int:
    return min(limits.MAX_SCANS, limits.MAX_SCANNED_PIXELS // (size[0] * size[1])) - base


def gif(size: tuple[int, int], *, canvas: tuple[int, int] | None = None, sub: int = 255) -> bytes:
    """A GIF of one color whose codes grow as fast as LZW allows.

    Args:
        size: of the frame.
        canvas: of the screen.
        sub: length of the data blocks.
    """
    out = io.BytesIO()
    Image.new("P", size, 0).save(out, "GIF")
    data = out.getvalue()
    if canvas:
        data = data[:6] + struct.pack("<HH", *canvas) + data[10:]
    if sub == 255:  # noqa: PLR2004 - as written
        return data
    place = data.index(b"\x2c" + bytes(4)) + 10
    begin = place + 1
    packed = b""
    while data[begin]:
        packed += data[begin + 1 : begin + 1 + data[begin]]
        begin += 1 + data[begin]
    blocks = (packed[at : at + sub] for at in range(0, len(packed), sub))
    return data[: place + 1] + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0;"


def gif_clears(size: tuple[int, int]) -> bytes:
    """A GIF that clears its table before every pixel, so that each takes two codes."""
    bits = "".join(f"{code:03b}"[::-1] for code in (4, 1) * 8)
    codes = int(bits[::-1], 2).to_bytes(6, "little")
    data = codes * (size[0] * size[1] // 8 + 1)
    blocks = b"".join(
        bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)
    )
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes(6)
    return head + struct.pack("<BHHHHB", 0x2C, 0, 0, *size, 0) + b"\2" + blocks + b"\0;"


def bmp_rle(size: tuple[int, int], packing: int, body: bytes) -> bytes:
    """A BMP with run-length encoding of 8 (packing 1) or 4 bits (packing 2)."""
    depth = 8 if packing == 1 else 4
    colors = 2**depth
    offset = 54 + 4 * colors
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, depth, packing, len(body), 0, 0, colors, 0)
    palette = b"".join(bytes([at, 255 - at, at, 0]) for at in range(colors))
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + palette + body


def bmp(size: tuple[int, int], depth: int) -> bytes:
    """A BMP without compression."""
    colors = 2**depth if depth <= 8 else 0  # noqa: PLR2004 - palettes
    offset = 54 + 4 * colors
    body = bytes((size[0] * depth + 31) // 32 * 4 * size[1])
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, depth, 0, len(body), 0, 0, colors, 0)
    return (
        b"BM"
        + struct.pack("<IHHI", offset + len(body), 0, 0, offset)
        + info
        + bytes(4 * colors)
        + body
    )


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 with these tags."""
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    connection = b"Lab " if b"A2B0" in tags else b"XYZ "
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        place + len(body),
        b"",
        0x02400000,
        kind,
        space,
        connection,
        bytes(12),
        b"acsp",
    )
    illuminant = struct.pack(">iii", 63190, 65536, 54061)
    head = head.ljust(68, b"\0") + illuminant
    return head.ljust(128, b"\0") + table + body


def lut16(inputs: int, grid: int, table: bytes, entries: int = 4096) -> bytes:
    """A `mft2` tag with curves that change nothing and this table, three samples a node."""
    head = b"mft2" + bytes(4) + bytes([inputs, 3, grid, 0])
    head += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    curve = b"".join(struct.pack(">H", at * 65535 // (entries - 1)) for at in range(entries))
    return head + struct.pack(">HH", entries, entries) + curve * inputs + table + curve * 3


def _large_clut(grid: int) -> bytes:
    nodes = grid**4
    table = struct.pack(">3H", 0xFFFF, 0x8000, 0x8000) + bytes(
        at * at * 31 % 251 for at in range(6000)
    ) * (nodes * 6 // 6000 + 1)
    return profile(
        b"CMYK",
        {b"A2B0": lut16(4, grid, table[: nodes * 6 - 6] + struct.pack(">3H", 0, 0x8000, 0x8000))},
    )


def _endless(length: int) -> bytes:
    """Zeros as zlib writes them, of at least that length, without an end."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    return parts[0] + parts[1] * (length // 2**24)


def _text_bomb() -> bytes:
    texts = chunk(b"zTXt", b"Comment\0\0" + _endless(2**28)) * 20
    return png((600, 600), 2, 8, extra=texts)


def _profile_bomb() -> bytes:
    return png((600, 600), 2, 8, extra=chunk(b"iCCP", b"a\0\0" + _endless(2**30)))


def _palette(alpha: bytes) -> bytes:
    return chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", alpha)


_BIG = (4_898, 4_899)  # just below 24 million
_DEEP = (3_535, 3_535)  # RGBA with 16 bits
_DEEP_RGB = (4_082, 4_082)
_KEY = chunk(b"tRNS", b"\0\x55\0\x55\0\x55")
_GRAY_KEY = chunk(b"tRNS", b"\x55\x55")

HOSTILE: dict[str, Callable[[], bytes]] = {
    "png-rgba": lambda: png(_BIG, 6, 8),
    "png-black-interlaced": lambda: png(_BIG, 6, 8, fill=b"\0", interlaced=True),
    "png-rgba-16": lambda: png(_DEEP, 6, 16),
    "png-rgba-16-interlaced": lambda: png(_DEEP, 6, 16, interlaced=True),
    "png-rgba-interlaced": lambda: png(_BIG, 6, 8, interlaced=True),
    "png-rgb-key": lambda: png(_BIG, 2, 8, extra=_KEY),
    "png-rgb-16": lambda: png(_DEEP_RGB, 2, 16),
    "png-rgb-16-key": lambda: png(_DEEP_RGB, 2, 16, extra=_KEY),
    "png-gray-alpha-16": lambda: png(_BIG, 4, 16),
    "png-gray-16-key": lambda: png(_BIG, 0, 16, extra=_GRAY_KEY),
    "png-palette-alpha": lambda: png(_BIG, 3, 8, extra=_palette(bytes(range(256)))),
    "png-palette-1-interlaced": lambda: png(
        _BIG, 3, 1, interlaced=True, extra=_palette(b"\x80\x90")
    ),
    "png-2047-unreduced": lambda: png((2_047, 2_047), 6, 8),
    "png-long": lambda: png((1, 24_000_000), 3, 8, extra=_palette(bytes(range(256)))),
    "png-tall": lambda: png((800, 30_000), 6, 8),
    "png-wide": lambda: png((30_000, 800), 6, 8, interlaced=True),
    "png-column": lambda: png((1, 30_000), 6, 16),
    "png-text-bomb": _text_bomb,
    "png-profile-bomb": _profile_bomb,
    "png-chunks": lambda: png((100, 100), 2, 8, extra=chunk(b"tEXt", b"") * 690_000),
    "png-surplus": lambda: png((64, 64), 2, 8)[:-12] + chunk(b"IDAT", _endless(2**30)),
    "jpeg-64-megapixels": lambda: jpeg("L", (8_000, 8_000), 25, quality=25),
    "jpeg-64-megapixels-color": lambda: jpeg("RGB", (8_000, 8_000), 30, quality=12, subsampling=0),
    "jpeg-64-megapixels-cmyk": lambda: jpeg("CMYK", (8_000, 8_000), 12, quality=12),
    "jpeg-optimal-noise": lambda: jpeg("RGB", (2_047, 2_047), quality=95, subsampling=0),
    "jpeg-cut": lambda: jpeg("RGB", (8_000, 8_000), 30, quality=12, subsampling=0)[:-2],
    "progressive-24-megapixels": lambda: jpeg(
        "RGB", (6_000, 4_000), quality=20, subsampling=0, progressive=True
    ),
    "progressive-40-megapixels": lambda: jpeg(
        "RGB", (7_296, 5_472), quality=15, subsampling=2, progressive=True
    ),
    "progressive-cmyk": lambda: jpeg("CMYK", (4_240, 4_240), quality=20, progressive=True),
    "progressive-cut": lambda: jpeg(
        "RGB", (6_000, 4_000), quality=20, subsampling=0, progressive=True
    )[:-2],
    "scans-empty": lambda: empty_scans((2_000, 2_000), _allowed_scans((2_000, 2_000), 6)),
    "scans-empty-cut": lambda: empty_scans((2_000, 2_000), _allowed_scans((2_000, 2_000), 6))[:-2],
    "scans-empty-large": lambda: empty_scans((6_320, 6_320), 4),
    "scans-hidden": lambda: empty_scans((8_000, 8_000), 3_000),
    "scans-refined": lambda: repeated_scans("L", (1_000, 1_000), -1, 45),
    "scans-refined-cut": lambda: repeated_scans("L", (1_000, 1_000), -1, 45)[:-2],
    "scans-dense": lambda: repeated_scans("RGB", (800, 800), -1, 50, 60),
    "scans-first": lambda: repeated_scans("RGB", (1_300, 1_300), 1, 85, 60),
    "jpeg-segments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000 + b"\xff\xd9",
    "jpeg-stuffing": lambda: jpeg("RGB", (64, 64))[:-2] + b"\xff\0" * 4_000_000 + b"\xff\xd9",
    "jpeg-restarts": lambda: jpeg("RGB", (64, 64))[:-2] + b"\xff\xd0" * 4_000_000 + b"\xff\xd9",
    "jpeg-fill-bytes": lambda: jpeg("RGB", (64, 64))[:-2] + b"\xff" * 8_000_000 + b"\xd9",
    "jpeg-wide": lambda: jpeg("RGB", (30_000, 2_100), 30, quality=12, subsampling=0),
    "jpeg-large-clut": lambda: jpeg("CMYK", (1_000, 1_000), icc_profile=_large_clut(25)),
    "gif": lambda: gif(_BIG),
    "gif-canvas": lambda: gif((4_890, 4_890), canvas=_BIG),
    "gif-clears": lambda: gif_clears((3_300, 3_000)),
    "gif-tiny-blocks": lambda: gif(_BIG, sub=1),
    "gif-extensions": lambda: b"GIF89a" + bytes(7) + b"\x21\xfe\1a\0" * 1_600_000,
    "gif-extension-blocks": lambda: b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1a" * 4_000_000,
    "gif-padding": lambda: b"GIF89a" + bytes(7 + 8_000_000),
    "bmp-rle8": lambda: bmp_rle((2_000, 2_000), 1, b"\1\1" * 1_000_000),
    "bmp-rle4": lambda: bmp_rle((2_000, 2_000), 2, b"\xff\x12" * 1_000_000),
    "bmp-rle-lines": lambda: bmp_rle((2_000, 2_000), 1, b"\1\1\0\0" * 490_000),
    "bmp-rle-deltas": lambda: bmp_rle((2_000, 2_000), 1, b"\0\2\1\0" * 490_000),
    "bmp-rle-empty": lambda: bmp_rle((2_000, 2_000), 1, b"\0\0" * 990_000),
    "bmp-1": lambda: bmp(_BIG, 1),
    "bmp-24": lambda: bmp((1_670, 1_670), 24),
    "exif-entries": lambda: jpeg(
        "L", (64, 64), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1" * 60_000
    ),
}
"""Names and makers of the files."""
