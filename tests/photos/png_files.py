"""PNG files of every kind, written byte by byte from W3C's specification."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from tests.photos.pictures import HEIGHT, WIDTH

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Samples = Callable[[int, int], tuple[int, ...]]
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    """A chunk; with a wrong checksum if asked for."""
    checksum = zlib.crc32(kind + body) ^ wrong
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def header(
    color: int, depth: int, width: int = WIDTH, height: int = HEIGHT, lace: int = 0
) -> bytes:
    """The first chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, lace))


def png(
    color: int,
    depth: int,
    samples: Samples,
    *,
    lace: bool = False,
    filters: tuple[int, ...] = (0,),
    before: bytes = b"",
    after: bytes = b"",
    parts: int = 1,
    wrong: bool = False,
) -> bytes:
    """A file.

    Args:
        color: color type.
        depth: bits a sample.
        samples: of the pixel at a place, each within the depth.
        lace: in seven passes.
        filters: filter type of the rows, in turn.
        before: chunks before the pixels.
        after: chunks after the pixels.
        parts: number of IDAT chunks.
        wrong: with a wrong checksum of the pixels.
    """
    raw = b""
    for left, top, across, down in _ADAM7 if lace else ((0, 0, 1, 1),):
        rows = [
            _packed([s for x in range(left, WIDTH, across) for s in samples(x, y)], depth)
            for y in range(top, HEIGHT, down)
        ]
        pixel = max(1, len(samples(0, 0)) * depth // 8)
        raw += b"".join(_filtered(rows, pixel, filters))
    packed = zlib.compress(raw)
    size = -(-len(packed) // parts)
    pixels = b"".join(
        chunk(b"IDAT", packed[at : at + size], wrong=wrong) for at in range(0, len(packed), size)
    )
    head = header(color, depth, lace=int(lace))
    return SIGNATURE + head + before + pixels + after + chunk(b"IEND", b"")


def _packed(samples: list[int], depth: int) -> bytes:
    if depth == 16:
        return struct.pack(f">{len(samples)}H", *samples)
    if depth == 8:
        return bytes(samples)
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _filtered(rows: list[bytes], pixel: int, filters: tuple[int, ...]) -> Iterator[bytes]:
    above = bytes(len(rows[0]))
    for number, row in enumerate(rows):
        kind = filters[number % len(filters)]
        yield bytes([kind]) + (_differences(kind, row, above, pixel) if kind else row)
        above = row


def _differences(kind: int, row: bytes, above: bytes, pixel: int) -> bytes:
    """Each byte less what the filter type guesses from its neighbors."""
    before = bytes(pixel)
    lefts, corners = before + row, before + above
    guesses: Iterable[int] = (
        lefts,
        above,
        ((left + up) // 2 for left, up in zip(lefts, above, strict=False)),
        map(_paeth, lefts, above, corners),
    )[kind - 1]
    return bytes((value - guess) & 255 for value, guess in zip(row, guesses, strict=False))


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    by = abs(guess - left), abs(guess - up), abs(guess - corner)
    return (left, up, corner)[by.index(min(by))]
