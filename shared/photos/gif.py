"""GIF 89a: finds the first frame and drops the others."""

import struct
from dataclasses import dataclass

from shared.photos import limits
from shared.photos.limits import check_size, cut_short, damaged, too_many
from shared.photos.source import Source

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL = 0xF9
_HEADER_LENGTH = 13
_CONTROL_LENGTH = 4


@dataclass(frozen=True)
class Gif(Source):
    """The first frame of a GIF file.

    Attributes:
        left: where the frame begins on the canvas, in pixels.
        top: where the frame begins on the canvas, in pixels.
    """

    left: int = 0
    top: int = 0


def parse(data: bytes) -> Gif:
    """Read a GIF file up to the end of its first frame.

    The clean file holds that frame alone, on a canvas of its own size.

    Raises:
        InvalidPhoto: broken, cut short, or too large.
    """
    if len(data) < _HEADER_LENGTH:
        raise cut_short()
    canvas_width, canvas_height, flags = struct.unpack_from("<HHB", data, 6)
    place = _HEADER_LENGTH + _table_length(flags)
    colors = data[_HEADER_LENGTH:place]
    control = b""
    blocks = 0
    while place < len(data):
        if data[place] == _EXTENSION:
            label = data[place + 1 : place + 2]
            content, place, blocks = _blocks(data, place + 2, blocks)
            if label == bytes([_CONTROL]) and content[:1] == bytes([_CONTROL_LENGTH]):
                control = b"\x21\xf9" + content[:5] + b"\0"
        elif data[place] == _IMAGE:
            break
        elif data[place] == _TRAILER:
            raise damaged("it holds no picture")
        elif data[place] == 0 and blocks < limits.MAX_BLOCKS:
            place, blocks = place + 1, blocks + 1  # some encoders end an empty extension twice
        else:
            raise damaged("it has blocks of an unknown kind")
    if place + 10 > len(data):
        raise cut_short()
    left, top, width, height, own = struct.unpack_from("<HHHHB", data, place + 1)
    check_size(width, height, kind="GIF")
    canvas = max(canvas_width, left + width), max(canvas_height, top + height)
    check_size(*canvas, kind="GIF")
    begin = place + 10 + _table_length(own)
    packed, _end, blocks = _blocks(data, begin + 1, blocks)
    clean = (
        b"GIF89a"
        + struct.pack("<HHB", width, height, flags)
        + data[11:13]
        + colors
        + control
        + struct.pack("<BHHHHB", _IMAGE, 0, 0, width, height, own)
        + data[place + 10 : begin + 1]
        + packed
        + b"\x3b"
    )
    return Gif("GIF", *canvas, clean, 4 * canvas[0] * canvas[1], left=left, top=top)


def _table_length(flags: int) -> int:
    """Bytes of the color table that a flags byte announces."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(data: bytes, place: int, count: int) -> tuple[bytes, int, int]:
    """Data blocks with their terminator, where they end, and how many there were so far.

    A file that ends inside them gives what is there.
    """
    begin = place
    while place < len(data) and data[place]:
        place += 1 + data[place]
        count += 1
        if count > limits.MAX_BLOCKS:
            raise too_many("blocks", count, limits.MAX_BLOCKS)
    content = data[begin:place]
    whole = place <= len(data)
    return content + b"\0" if whole else content, place + 1, count
