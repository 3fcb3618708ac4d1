"""EXIF: the one tag that matters to a picture.

EXIF 2.3 stores tags as TIFF 6.0 does (section 2): a header with the byte order, then directories of
12-byte entries.
"""

import struct

_ORIENTATION = 0x0112
_UPRIGHT = 1
_LAST = 8
_FORMATS = {  # TIFF 6.0, section 2, types: how one value of a type is read
    1: "B",  # BYTE
    3: "H",  # SHORT
    4: "I",  # LONG
    6: "b",  # SBYTE
    7: "B",  # UNDEFINED
    8: "h",  # SSHORT
    9: "i",  # SLONG
    11: "f",  # FLOAT
}
_RATIONALS = {5: "II", 10: "ii"}
_DOUBLE = 12
_ASCII = 2


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8; 1 (upright) also when it is absent, unknown, or broken.

    Cameras write it as SHORT, as the standard says; some phones and programs use other types.

    Args:
        exif: the TIFF structure, with or without the `Exif` prefix that JPEG demands.
    """
    if exif[:4] == b"Exif":
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return _UPRIGHT
    try:
        found = _find(exif, order)
    except (struct.error, ZeroDivisionError, OverflowError, ValueError):
        return _UPRIGHT
    return found if _UPRIGHT <= found <= _LAST else _UPRIGHT


def _find(exif: bytes, order: str) -> int:
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    for index in range(count):
        place = start + 2 + 12 * index
        tag, kind = struct.unpack_from(order + "HH", exif, place)
        if tag == _ORIENTATION:
            return _value(exif, order, kind, place + 8)
    return _UPRIGHT


def _value(exif: bytes, order: str, kind: int, place: int) -> int:
    """The first value of an entry; what is longer than 4 bytes stands elsewhere."""
    if kind in _FORMATS:
        return int(struct.unpack_from(order + _FORMATS[kind], exif, place)[0])
    if kind == _ASCII:
        return int(exif[place : place + 1])
    (elsewhere,) = struct.unpack_from(order + "I", exif, place)
    if kind in _RATIONALS:
        above, below = struct.unpack_from(order + _RATIONALS[kind], exif, elsewhere)
        return int(above / below)
    if kind == _DOUBLE:
        return int(struct.unpack_from(order + "d", exif, elsewhere)[0])
    return _UPRIGHT
