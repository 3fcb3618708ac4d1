"""ICC profiles (ICC.1:2022): takes the parts that describe colors and drops all others.

What is dropped cannot cost anything: text, curves for proofs, and pipelines of any length (tag type
`mpet`), whose evaluation has no bound.
"""

import struct

GRAY, RGB, CMYK = b"GRAY", b"RGB ", b"CMYK"
_HEADER_LENGTH = 128
_MOST_TAGS = 100
_CLASSES = {b"mntr", b"scnr", b"prtr", b"spac"}
_CONNECTIONS = {b"XYZ ", b"Lab "}
_TAGS = {
    b"A2B0",
    b"A2B1",
    b"A2B2",
    b"bTRC",
    b"bXYZ",
    b"chad",
    b"gTRC",
    b"gXYZ",
    b"kTRC",
    b"rTRC",
    b"rXYZ",
    b"wtpt",
}
_TYPES = {b"XYZ ", b"curv", b"mAB ", b"mft1", b"mft2", b"para", b"sf32"}


def reduced(profile: bytes, space: bytes) -> bytes:
    """The profile with the tags that convert colors into the connection space.

    Args:
        profile: the whole profile.
        space: color space of the picture, as the header spells it.

    Returns:
        A profile; empty when the given one is broken or is about another color space.
    """
    if len(profile) < _HEADER_LENGTH + 4 or profile[36:40] != b"acsp":
        return b""
    kind, colors, connection = profile[12:16], profile[16:20], profile[20:24]
    if kind not in _CLASSES or colors != space or connection not in _CONNECTIONS:
        return b""
    (count,) = struct.unpack_from(">I", profile, _HEADER_LENGTH)
    table_end = _HEADER_LENGTH + 4 + 12 * count
    if count > _MOST_TAGS or table_end > len(profile):
        return b""
    tags: dict[bytes, bytes] = {}
    for index in range(count):
        place = _HEADER_LENGTH + 4 + 12 * index
        entry = profile[place : place + 12]
        name, start, length = struct.unpack(">4sII", entry)
        if start < table_end or start + length > len(profile):
            continue
        if name in _TAGS and profile[start : start + 4] in _TYPES:
            tags.setdefault(name, entry)
    # The entries keep their offsets: the table only becomes shorter.
    table = struct.pack(">I", len(tags)) + b"".join(tags.values())
    table = table.ljust(table_end - _HEADER_LENGTH, b"\0")
    return struct.pack(">I", len(profile)) + profile[4:_HEADER_LENGTH] + table + profile[table_end:]
