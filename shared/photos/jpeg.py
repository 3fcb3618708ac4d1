"""JPEG (ITU-T T.81): walks the segments, checks the limits, and takes the metadata off.

Segments are walked, never searched for: a comment may hold any bytes, also those of a marker. The
clean file is put together from the segments that were counted, so the decoder finds no others.
"""

import re
import struct
from dataclasses import dataclass, field

from shared.photos import limits
from shared.photos.limits import check_size, cut_short, damaged, too_many, unusual
from shared.photos.source import Source

_EOI, _SOS, _DHT, _DQT, _DRI = 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
_STRAY = {0x00, *range(0xD0, 0xD9)}  # stuffed byte, restart markers, start of an image
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_OTHER_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical JPEG",
    0xC9: "a JPEG with arithmetic coding",
    0xCA: "a JPEG with arithmetic coding",
    0xCB: "a JPEG with arithmetic coding",
    0xCD: "a hierarchical JPEG",
    0xCE: "a hierarchical JPEG",
    0xCF: "a hierarchical JPEG",
    0xF7: "a lossless JPEG",
}
_RESERVED = range(0x01, 0xC0)
# A marker inside of entropy-coded data; FF 00 is a data byte and FF D0 to FF D7 restart it.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_END = b"\xff\xd9"
_COEFFICIENTS = 64
_MOST_COMPONENTS = 4


@dataclass(frozen=True)
class Component:
    """One color channel: its number, and how many of its blocks an MCU has in each direction."""

    number: int
    across: int
    down: int


@dataclass(frozen=True)
class Frame:
    """What a frame header says."""

    progressive: bool
    width: int
    height: int
    components: tuple[Component, ...]

    @property
    def mcu(self) -> tuple[int, int]:
        """Width and height of the smallest coded unit in pixels."""
        if len(self.components) == 1:
            return 8, 8
        return (
            8 * max(component.across for component in self.components),
            8 * max(component.down for component in self.components),
        )

    @property
    def coefficient_bytes(self) -> int:
        """What the coefficients of the whole picture take, 2 bytes each."""
        width, height = self.mcu
        blocks = 1
        if len(self.components) > 1:
            blocks = sum(component.across * component.down for component in self.components)
        units = -(-self.width // width) * -(-self.height // height)
        return units * blocks * _COEFFICIENTS * 2


@dataclass(frozen=True)
class Jpeg(Source):
    """A JPEG file.

    Attributes:
        mcu: width and height of the smallest coded unit in pixels.
        scans: how many there are.
        cut: the end of the picture is not marked: the file ends early, or is broken from there on.
    """

    mcu: tuple[int, int] = (8, 8)
    scans: int = 1
    cut: bool = False

    def prolonged(self) -> bytes:
        """The clean file with more entropy-coded data at its end.

        A decoder ignores what follows the last block. Where blocks are missing it takes these
        bytes for them, so that the two pictures differ from there on.
        """
        noise = bytes(at * at * 31 % 253 ^ at % 127 for at in range(2048)).replace(b"\xff", b"")
        # Where a restart is due the decoder skips to the marker with the right number.
        restarts = b"".join(bytes([0xFF, 0xD0 + at % 8]) + noise[:256] for at in range(16))
        return self.clean[: -len(_END)] + noise + restarts + _END


@dataclass
class _Walk:
    """What was found so far."""

    frame: Frame | None = None
    kept: list[bytes] = field(default_factory=list)
    scans: int = 0
    segments: int = 0
    cut: bool = True
    exif: bytes = b""
    profile: dict[int, bytes] = field(default_factory=dict)
    precision: dict[tuple[int, int], int] = field(default_factory=dict)
    """For each component and coefficient the lowest bit that a scan has brought."""


def parse(data: bytes) -> Jpeg:
    """Read the structure of a JPEG file.

    Raises:
        InvalidPhoto: broken, cut short before the last scan, too large, or of a kind that is not
            supported.
    """
    walk = _walk(data)
    if walk.frame is None or not walk.scans:
        raise cut_short() if walk.cut else damaged("it holds no picture")
    if not _complete(walk, walk.frame):
        raise cut_short()
    frame = walk.frame
    several = walk.scans > 1 or frame.progressive
    return Jpeg(
        "JPEG",
        frame.width,
        frame.height,
        b"\xff\xd8" + b"".join(walk.kept) + _END,
        frame.coefficient_bytes if several else 0,
        b"".join(walk.profile[number] for number in sorted(walk.profile)),
        walk.exif,
        frame.mcu,
        walk.scans,
        walk.cut,
    )


def _walk(data: bytes) -> _Walk:
    walk = _Walk()
    place = 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        marker = data[place + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill byte
            place += 1
            continue
        if marker == _EOI:
            walk.cut = False
            break
        if marker in _STRAY:
            place += 2
            continue
        walk.segments += 1
        if walk.segments > limits.MAX_SEGMENTS:
            raise too_many("segments", walk.segments, limits.MAX_SEGMENTS)
        body = _body(data, place)
        if body is None or marker in _RESERVED:
            break
        place += 4 + len(body)
        if marker == _SOS:
            place = _scan(walk, data, place, body)
        else:
            _segment(walk, marker, body)
    return walk


def _body(data: bytes, place: int) -> bytes | None:
    """The segment at that place without marker and length; None when it is not whole."""
    if place + 4 > len(data):
        return None
    (length,) = struct.unpack_from(">H", data, place + 2)
    end = place + 2 + length
    return data[place + 4 : end] if length >= 2 and end <= len(data) else None  # noqa: PLR2004


def _segment(walk: _Walk, marker: int, body: bytes) -> None:
    if marker in {_BASELINE, _EXTENDED, _PROGRESSIVE}:
        if walk.frame is not None:
            raise unusual("a JPEG with several frames")
        walk.frame = _frame(marker, body)
        _keep(walk, marker, body)
    elif marker in _OTHER_FRAMES:
        raise unusual(_OTHER_FRAMES[marker])
    elif marker in {_DHT, _DQT, _DRI} or (marker == _APP14 and body.startswith(b"Adobe")):
        _keep(walk, marker, body)
    elif marker == _APP0 and body.startswith(b"JFIF\0"):
        walk.kept.append(_JFIF)  # says that three components are YCbCr
    elif marker == _APP1 and body.startswith(b"Exif\0"):
        walk.exif = walk.exif or body[6:]
    elif marker == _APP2 and body.startswith(b"ICC_PROFILE\0"):
        # ICC.1:2022, annex B.4: number of this part and of all parts, then the part.
        walk.profile.setdefault(body[12] if len(body) > 12 else 0, body[14:])  # noqa: PLR2004


def _keep(walk: _Walk, marker: int, body: bytes) -> None:
    walk.kept.append(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)


def _frame(marker: int, body: bytes) -> Frame:
    """T.81, B.2.2."""
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:  # noqa: PLR2004
        raise damaged("its frame header is too short")
    bits, height, width, count = struct.unpack_from(">BHHB", body)
    if bits != 8:  # noqa: PLR2004
        raise unusual(f"a JPEG with {bits} bits a sample")
    if count not in {1, 3, _MOST_COMPONENTS}:
        raise unusual(f"a JPEG with {count} color channels")
    components = []
    for index in range(count):
        number, sampling, _table = body[6 + 3 * index : 9 + 3 * index]
        across, down = sampling >> 4, sampling & 15
        if not (1 <= across <= 4 and 1 <= down <= 4):  # noqa: PLR2004
            raise damaged("its frame header has impossible values")
        components.append(Component(number, across, down))
    frame = Frame(marker == _PROGRESSIVE, width, height, tuple(components))
    check_size(width, height, limits.MAX_JPEG_PIXELS, "JPEG")
    return frame


def _scan(walk: _Walk, data: bytes, place: int, header: bytes) -> int:
    """Count one scan, check the limits again, and return where its data ends."""
    frame = walk.frame
    if frame is None or not header or len(header) < 4 + 2 * header[0]:
        raise damaged("a scan has no valid header")
    walk.scans += 1
    _check_scans(walk, frame)
    count = header[0]
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    if not frame.progressive:
        first, last, approximation = 0, _COEFFICIENTS - 1, 0
    for index in range(count):
        for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
            walk.precision[header[1 + 2 * index], coefficient] = approximation & 15
    found = _MARKER.search(data, place)
    end = found.start() if found else len(data)
    _keep(walk, _SOS, header)
    # Half of a stuffed byte, or a fill byte, would change the marker that follows.
    walk.kept.append(data[place:end].rstrip(b"\xff"))
    return end


def _check_scans(walk: _Walk, frame: Frame) -> None:
    if walk.scans == 1 and not frame.progressive:
        return
    if walk.scans > limits.MAX_SCANS:
        raise too_many("scans", walk.scans, limits.MAX_SCANS)
    check_size(frame.width, frame.height, limits.MAX_PROGRESSIVE_PIXELS, "progressive JPEG")
    pixels = frame.width * frame.height
    if frame.coefficient_bytes > limits.MAX_COEFFICIENT_BYTES:
        most = pixels * limits.MAX_COEFFICIENT_BYTES // frame.coefficient_bytes
        kind = "progressive JPEG with colors in full resolution"
        check_size(frame.width, frame.height, min(most, pixels - 1), kind)
    if pixels * walk.scans > limits.MAX_SCANNED_PIXELS:
        most = limits.MAX_SCANNED_PIXELS // pixels
        raise too_many(f"scans of {frame.width} x {frame.height} pixels", walk.scans, most)


def _complete(walk: _Walk, frame: Frame) -> bool:
    """Whether scans brought every component; in a file without end mark, down to the last bit."""
    for component in frame.components:
        if walk.precision.get((component.number, 0)) is None:
            return False
        if walk.cut and any(
            walk.precision.get((component.number, coefficient)) != 0
            for coefficient in range(_COEFFICIENTS)
        ):
            return False
    return True
