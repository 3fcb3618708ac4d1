"""BMP (Windows bitmap, Microsoft's Win32 reference): checks the header.

https://learn.microsoft.com/windows/win32/gdi/bitmap-header-types
"""

import struct
from dataclasses import dataclass

from shared.photos import limits
from shared.photos.limits import check_size, cut_short, damaged, too_many, unusual
from shared.photos.source import Source

_FILE_HEADER = 14
_ALIGNMENT = 4  # bytes that a row is a multiple of
_CORE, _INFO, _V5 = 12, 40, 124
_RGB, _RLE8, _RLE4, _FIELDS = 0, 1, 2, 3
_DEPTHS = {1, 4, 8, 16, 24, 32}
_NAMES = {4: "a BMP that holds a JPEG", 5: "a BMP that holds a PNG"}
_EMBEDDED = b"DEBM"  # PROFILE_EMBEDDED, little-endian


@dataclass(frozen=True)
class _Header:
    length: int
    width: int
    height: int
    depth: int
    packing: int


def parse(data: bytes) -> Source:
    """Read the header of a BMP file.

    Raises:
        InvalidPhoto: broken, cut short, too large, or of a kind that is not supported.
    """
    header = _header(data)
    (offset,) = struct.unpack_from("<I", data, 10)
    width, height = header.width, header.height
    check_size(width, height, kind="BMP")
    if header.packing in {_RLE4, _RLE8}:
        check_size(width, height, limits.MAX_RLE_PIXELS, "BMP with run-length encoding")
        if len(data) - offset > limits.MAX_RLE_BYTES:
            raise too_many("bytes in run-length encoding", len(data), limits.MAX_RLE_BYTES)
        clean = data
    else:
        clean = _whole(data, header, offset)
    pixel = 1 if header.depth <= 8 else 4  # noqa: PLR2004 - as Pillow keeps them
    return Source("BMP", width, height, clean, width * height * pixel, _profile(data, header))


def _header(data: bytes) -> _Header:
    if len(data) < _FILE_HEADER + _CORE:
        raise cut_short()
    (length,) = struct.unpack_from("<I", data, _FILE_HEADER)
    if len(data) < _FILE_HEADER + length:
        raise cut_short()
    if length == _CORE:
        width, height, _planes, depth = struct.unpack_from("<HHHH", data, _FILE_HEADER + 4)
        packing = _RGB
    elif length >= _INFO:
        width, height, _planes, depth, packing = struct.unpack_from(
            "<iiHHI", data, _FILE_HEADER + 4
        )
    else:
        raise unusual("a BMP of an old kind")
    if depth not in _DEPTHS or packing not in {_RGB, _RLE4, _RLE8, _FIELDS}:
        raise unusual(_NAMES.get(packing, "a BMP of a rare kind"))
    if {_RLE8: 8, _RLE4: 4}.get(packing, depth) != depth:
        raise damaged("its header has impossible values")
    return _Header(length, width, abs(height), depth, packing)


def _whole(data: bytes, header: _Header, offset: int) -> bytes:
    """The file with all its rows; bytes that are missing at the end become white."""
    row = (header.width * header.depth + 31) // 32 * _ALIGNMENT
    missing = offset + row * header.height - len(data)
    if missing <= 0:
        return data
    if missing > max(_ALIGNMENT, limits.MAX_MISSING * row * header.height):
        raise cut_short()
    return data + b"\xff" * missing


def _profile(data: bytes, header: _Header) -> bytes:
    """The ICC profile that BITMAPV5HEADER may point to."""
    if header.length != _V5 or data[_FILE_HEADER + 56 : _FILE_HEADER + 60] != _EMBEDDED:
        return b""
    start, length = struct.unpack_from("<II", data, _FILE_HEADER + 112)
    return data[_FILE_HEADER + start : _FILE_HEADER + start + length]
