"""PNG (W3C Portable Network Graphics, third edition): reads chunks and keeps four kinds of them.

Texts, times, and animation never reach the decoder. As decoders are told to (section 13.2), a wrong
checksum is an error in a critical chunk only, and any other chunk is skipped for it.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from shared.photos import limits
from shared.photos.limits import check_size, cut_short, damaged, too_many, unusual
from shared.photos.source import Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {
    GRAY: {1, 2, 4, 8, 16},
    RGB: {8, 16},
    PALETTE: {1, 2, 4, 8},
    GRAY_ALPHA: {8, 16},
    RGBA: {8, 16},
}
_CRITICAL = 0x20  # bit of the first letter that says "ancillary"
_HEADER_LENGTH = 13
_BYTES_PER_PIXEL = {GRAY: 2, RGB: 4, PALETTE: 1, GRAY_ALPHA: 4, RGBA: 4}  # as Pillow keeps them
_ADAM7 = (  # section 8.1: first column and row of each pass, and the steps to the next
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_UNPACKED_AT_ONCE = 2**20
_KEY_LENGTH = {GRAY: 2, RGB: 6}


@dataclass(frozen=True)
class Png(Source):
    """A PNG file.

    Attributes:
        key: the color that stands for transparent, as gray or RGB samples of 8 bits (of 16 bits
            in gray with 16 bits); None when there is none or transparency is kept otherwise.
        length: bytes of all rows before compression.
    """

    key: tuple[int, ...] | None = None
    length: int = 0


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    color: int
    interlaced: bool

    @property
    def length(self) -> int:
        """Bytes of all rows before compression, each with its filter type (section 7.2, 8.1)."""
        total = 0
        for left, top, across, down in _ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            columns, rows = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if columns > 0 and rows > 0:
                total += rows * (1 + (columns * _CHANNELS[self.color] * self.depth + 7) // 8)
        return total


def parse(data: bytes) -> Png:
    """Read the structure of a PNG file.

    Raises:
        InvalidPhoto: broken, cut short, or too large.
    """
    chunks: dict[bytes, bytes] = {}
    pixels: list[bytes] = []
    for kind, body in _chunks(data):
        if kind == b"IDAT":
            pixels.append(body)
        else:
            chunks.setdefault(kind, body)
        if kind == b"IHDR":
            _header(body)  # refuse early what is too large
    if b"IHDR" not in chunks:
        raise damaged("it has no header")
    if b"CgBI" in chunks:
        raise unusual("an iOS variant of PNG")
    if not pixels:
        raise cut_short() if b"IEND" not in chunks else damaged("it holds no picture")
    header = _header(chunks[b"IHDR"])
    return Png(
        "PNG",
        header.width,
        header.height,
        SIGNATURE + b"".join(_kept(header, chunks, pixels)),
        header.width * header.height * _BYTES_PER_PIXEL[header.color],
        _profile(chunks.get(b"iCCP", b"")),
        chunks.get(b"eXIf", b""),
        _key(header, chunks.get(b"tRNS", b"")),
        header.length,
    )


def is_whole(source: Png) -> bool:
    """Whether all rows are in the file; unpacks them all.

    A decoder may take the end of the compressed data for the end of the picture.
    """
    unpack = zlib.decompressobj()
    rest = b"".join(body for kind, body in _chunks(source.clean) if kind == b"IDAT")
    length = 0
    try:
        while length < source.length and not unpack.eof:
            length += len(out := unpack.decompress(rest, _UNPACKED_AT_ONCE))
            rest = unpack.unconsumed_tail
            if not out and not rest:
                break
    except zlib.error:
        return False
    return length >= source.length


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each usable chunk, up to IEND or the end of the file.

    IDAT comes also when the file ends inside it: whether all pixels are there, the decoder knows.
    """
    place, count = len(SIGNATURE), 0
    while place + 8 <= len(data):
        count += 1
        if count > limits.MAX_CHUNKS:
            raise too_many("chunks", count, limits.MAX_CHUNKS)
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        checksum = data[place + 8 + length : place + 12 + length]
        place += 12 + length
        if len(checksum) < 4:  # noqa: PLR2004 - the file ends inside this chunk
            if kind == b"IDAT":
                yield kind, body
            return
        if int.from_bytes(checksum) != zlib.crc32(body, zlib.crc32(kind)):
            if kind == b"IEND":
                return
            if not kind[0] & _CRITICAL:
                raise damaged("a checksum does not match")
            continue
        yield kind, body
        if kind == b"IEND":
            return


def _header(body: bytes) -> _Header:
    if len(body) != _HEADER_LENGTH:
        raise damaged("its header has the wrong length")
    width, height, depth, color, packing, filters, interlace = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(color, set()) or packing or filters or interlace > 1:
        raise damaged("its header has impossible values")
    check_size(width, height, kind="PNG")
    most = limits.MAX_PNG_BYTES * 8 // (_CHANNELS[color] * depth)
    check_size(width, height, most, "PNG with 16 bits a sample")
    return _Header(width, height, depth, color, interlace == 1)


def _kept(header: _Header, chunks: dict[bytes, bytes], pixels: list[bytes]) -> Iterator[bytes]:
    yield _chunk(b"IHDR", chunks[b"IHDR"])
    if header.color == PALETTE:
        palette = chunks.get(b"PLTE", b"")
        if not palette or len(palette) % 3 or len(palette) > 3 * 256:
            raise damaged("it has no valid palette")
        yield _chunk(b"PLTE", palette)
        if chunks.get(b"tRNS"):
            yield _chunk(b"tRNS", chunks[b"tRNS"][: len(palette) // 3])
    yield _chunk(b"IDAT", b"".join(pixels))
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _key(header: _Header, transparency: bytes) -> tuple[int, ...] | None:
    """Section 11.3.1.1: one sample for each channel, in 16 bits whatever the depth.

    Pillow compares the samples of the file with those it has widened to 8 bits, so it is done here.
    """
    if len(transparency) != _KEY_LENGTH.get(header.color, -1):
        return None
    samples = struct.unpack(f">{len(transparency) // 2}H", transparency)
    if header.color == GRAY:
        (sample,) = samples
        if header.depth == 16:  # noqa: PLR2004 - kept by the decoder as it is
            return (sample,)
        return ((sample % 2**header.depth) * 255 // (2**header.depth - 1),)
    if header.depth == 16:  # noqa: PLR2004 - the decoder keeps the upper half
        return tuple(sample >> 8 for sample in samples)
    return tuple(sample & 0xFF for sample in samples)


def _profile(body: bytes) -> bytes:
    """Section 11.3.2.3: a name, the compression method 0, the compressed profile."""
    _name, separator, rest = body.partition(b"\0")
    if not separator or rest[:1] != b"\0":
        return b""
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(rest[1:], limits.MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= limits.MAX_PROFILE_BYTES else b""
