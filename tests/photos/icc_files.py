"""ICC profiles made from formulas, and what the colors they are about look like in sRGB."""

import struct
from typing import TYPE_CHECKING

from tests.photos.pictures import Color

if TYPE_CHECKING:
    from collections.abc import Callable

# Columns of Display P3 (SMPTE EG 432-1 primaries) and the inverse of sRGB, both for D50.
_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
_TO_SRGB = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_D50 = (0.9642, 1.0, 0.8249)
GAMMA = 2.2


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes) -> bytes:
    """A profile of version 2.4 with these tags."""
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI", place + len(body), bytes(4), 0x02400000) + kind + space + connection
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + table + body


def display_p3(padding: int = 0, gamma: float = GAMMA) -> bytes:
    """Display P3's primaries with a simple curve; `padding` bytes of text make it large."""
    red, green, blue = map(_xyz, _P3)
    curve = _gamma(gamma)
    text = bytes(at * at * 7 % 251 for at in range(min(padding, 4096)))
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 3) + b"P3\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + text * (padding // 4096),
        b"wtpt": _xyz(_D50),
        b"rXYZ": red,
        b"gXYZ": green,
        b"bXYZ": blue,
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return profile(b"RGB ", b"XYZ ", tags, b"mntr")


def p3_as_srgb(color: Color) -> Color:
    """What a color of `display_p3` is in sRGB."""
    linear = [(part / 255) ** GAMMA for part in color]
    xyz = [sum(linear[c] * _P3[c][axis] for c in range(3)) for axis in range(3)]
    return srgb(xyz[0], xyz[1], xyz[2])


def srgb(x: float, y: float, z: float) -> Color:
    """A color given relative to D50, in sRGB (IEC 61966-2-1)."""
    red, green, blue = (_encoded(row[0] * x + row[1] * y + row[2] * z) for row in _TO_SRGB)
    return red, green, blue


def _encoded(linear: float) -> int:
    linear = min(1.0, max(0.0, linear))
    small = linear <= 0.0031308
    return round(255 * (12.92 * linear if small else 1.055 * linear ** (1 / 2.4) - 0.055))


def gray(gamma: float) -> bytes:
    """Gray with that gamma."""
    tags = {b"wtpt": _xyz(_D50), b"kTRC": _gamma(gamma)}
    return profile(b"GRAY", b"XYZ ", tags, b"mntr")


def gray_as_srgb(value: int, gamma: float) -> Color:
    """What a gray of such a profile is in sRGB."""
    return (_encoded((value / 255) ** gamma),) * 3


def _ink_lab(c: float, m: float, y: float, k: float) -> tuple[float, float, float]:
    """Lab of inks, 0 to 1: not what a press does, but unlike subtraction."""
    return 100 * (1 - k) * (1 - (c + m + y) / 4), 60 * (m - c), 60 * (y - m)


def cmyk(grid: int = 9) -> bytes:
    """Four inks by a table."""
    nodes = b""
    steps = [at / (grid - 1) for at in range(grid)]
    for c in steps:
        for m in steps:
            for y in steps:
                for k in steps:
                    lightness, a, b = _ink_lab(c, m, y, k)
                    # ICC.1:2001, annex A: 16 bits of Lab in version 2.
                    nodes += struct.pack(
                        ">3H",
                        *(
                            min(65535, round(v))
                            for v in (lightness * 652.8, (a + 128) * 256, (b + 128) * 256)
                        ),
                    )
    line = struct.pack(">2H", 0, 65535)
    head = b"mft2" + bytes(4) + bytes([4, 3, grid, 0])
    head += b"".join(map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = head + struct.pack(">HH", 2, 2) + line * 4 + nodes + line * 3
    return profile(b"CMYK", b"Lab ", {b"wtpt": _xyz(_D50), b"A2B0": table}, b"prtr")


def cmyk_as_srgb(inks: tuple[int, int, int, int]) -> Color:
    """What inks of that profile, 0 to 255, look like in sRGB."""
    c, m, y, k = (ink / 255 for ink in inks)
    lightness, a, b = _ink_lab(c, m, y, k)
    f_y = (lightness + 16) / 116
    x, y_, z = (
        white * _cubed(f)
        for white, f in zip(_D50, (f_y + a / 500, f_y, f_y - b / 200), strict=True)
    )
    return srgb(x, y_, z)


def _cubed(f: float) -> float:
    return f**3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29)


def spoiled() -> dict[str, bytes]:
    """Broken profiles; each is ignored."""
    whole = display_p3()
    damage: dict[str, Callable[[bytes], bytes]] = {
        "garbage": lambda _: b"secret" * 50,
        "empty": lambda _: b"",
        "short": lambda data: data[:100],
        "header only": lambda data: data[:128],
        "cut": lambda data: data[:300],
        "no signature": lambda data: data[:36] + b"nope" + data[40:],
        "of another color space": lambda data: data[:16] + b"CMYK" + data[20:],
        "tag count": lambda data: data[:128] + b"\xff\xff\xff\xff" + data[132:],
        "link": lambda data: data[:12] + b"link" + data[16:],
        "no primaries": lambda data: data.replace(b"XYZ \0\0\0\0", b"ZYX \0\0\0\0"),
        "no curves": lambda data: data.replace(b"curv", b"vruc"),
        "black": lambda data: (
            data.replace(_xyz(_P3[0])[8:], bytes(12))
            .replace(_xyz(_P3[1])[8:], bytes(12))
            .replace(_xyz(_P3[2])[8:], bytes(12))
        ),
    }
    return {name: spoil(whole) for name, spoil in damage.items()}
