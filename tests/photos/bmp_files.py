"""BMP files of every kind, written byte by byte."""

import struct
from collections.abc import Callable

from tests.photos.pictures import HEIGHT, WIDTH, Color

_FILE = 14


def bmp(
    depth: int,
    value: Callable[[int, int], int],
    *,
    palette: list[Color] | None = None,
    top_down: bool = False,
    masks: tuple[int, ...] = (),
    core: bool = False,
    profile: bytes = b"",
) -> bytes:
    """A file without compression.

    Args:
        depth: bits a pixel.
        value: of the pixel at a place: an index, or its bits.
        palette: colors of the indexes.
        top_down: the first row is the upper one.
        masks: of red, green, blue, and perhaps alpha.
        core: with OS/2's short header.
        profile: ICC profile, in the longest header.
    """
    lines = range(HEIGHT) if top_down else range(HEIGHT - 1, -1, -1)
    body = b"".join(_row([value(x, y) for x in range(WIDTH)], depth) for y in lines)
    height = -HEIGHT if top_down else HEIGHT
    return assemble(depth, body, palette or [], height, masks, core=core, profile=profile)


def assemble(
    depth: int,
    body: bytes,
    palette: list[Color],
    height: int = HEIGHT,
    masks: tuple[int, ...] = (),
    *,
    packing: int = 0,
    core: bool = False,
    profile: bytes = b"",
) -> bytes:
    """Headers, palette, and these bytes as pixels."""
    if core:
        info = struct.pack("<IHHHH", 12, WIDTH, height, 1, depth)
        colors = b"".join(bytes([b, g, r]) for r, g, b in palette)
    else:
        length = 124 if profile else 108 if len(masks) == 4 else 40
        info = struct.pack(
            "<IiiHHIIiiII",
            length,
            WIDTH,
            height,
            1,
            depth,
            3 if masks else packing,
            len(body),
            2835,
            2835,
            len(palette),
            0,
        )
        info += b"".join(struct.pack("<I", mask) for mask in masks)
        if length > 40:
            info = info.ljust(length, b"\0")
        colors = b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    offset = _FILE + len(info) + len(colors)
    if profile:
        info = info[:56] + b"DEBM" + info[60:112]
        info += struct.pack("<III", offset - _FILE + len(body), len(profile), 0)
    size = offset + len(body) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, offset) + info + colors + body + profile


def _row(values: list[int], depth: int) -> bytes:
    if depth >= 8:
        row = b"".join(value.to_bytes(depth // 8, "little") for value in values)
    else:
        bits = "".join(f"{value:0{depth}b}" for value in values)
        bits += "0" * (-len(bits) % 8)
        row = int(bits, 2).to_bytes(len(bits) // 8)
    return row + bytes(-len(row) % 4)


def runs(rows: list[list[int]], *, half: bool = False) -> bytes:
    """Indexes in run-length encoding: runs, then each row's last part as it is, with line ends.

    Args:
        rows: from the upper one down.
        half: 4 bits an index.
    """
    out = b""
    for row in reversed(rows):
        at = 0
        while at < len(row) - 8:
            length = 1
            while at + length < len(row) - 8 and row[at + length] == row[at] and length < 255:
                length += 1
            out += bytes([length, row[at] * 17 if half else row[at]])
            at += length
        rest = row[at:]
        content = bytes(rest)
        if half:
            content = bytes(a * 16 + b for a, b in zip(rest[::2], rest[1::2], strict=True))
        out += bytes([0, len(rest)]) + content + bytes(len(content) % 2) + b"\0\0"
    return out + b"\0\1"
