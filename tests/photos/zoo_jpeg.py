"""JPEG files: variants, colors, orientations, profiles, and the ways they can end."""

import struct
from collections.abc import Iterator
from functools import cache

from PIL import Image

from tests.photos import icc_files
from tests.photos.case import Case
from tests.photos.pictures import (
    HEIGHT,
    WIDTH,
    color_picture,
    distance,
    file,
    gray_picture,
    gray_scene,
    opened,
    paint,
    scene,
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TYPES = {  # name and struct format of the types that a tag may have
    1: ("BYTE", "Bxxx"),
    2: ("ASCII", "4s"),
    3: ("SHORT", "Hxx"),
    4: ("LONG", "I"),
    6: ("SBYTE", "bxxx"),
    7: ("UNDEFINED", "Bxxx"),
    8: ("SSHORT", "hxx"),
    9: ("SLONG", "i"),
    11: ("FLOAT", "f"),
}


def segment(marker: int, body: bytes) -> bytes:
    """A segment with its length."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def after_start(data: bytes, *segments: bytes) -> bytes:
    """The file with these segments before all others."""
    return data[:2] + b"".join(segments) + data[2:]


def without(data: bytes, marker: int) -> bytes:
    """The file without the segments of that marker before its first scan."""
    out, place = data[:2], 2
    while data[place + 1] != 0xDA:
        end = place + 2 + struct.unpack_from(">H", data, place + 2)[0]
        if data[place + 1] != marker:
            out += data[place:end]
        place = end
    return out + data[place:]


def tiff(orientation: int, kind: int = 3, order: str = ">") -> bytes:
    """A TIFF structure whose second tag is the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    other = struct.pack(order + "HHII", 0x0110, 2, 4, 0)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1)
    if kind in {5, 10}:
        entry += struct.pack(order + "I", 38)
        return (
            head
            + struct.pack(order + "H", 2)
            + other
            + entry
            + bytes(4)
            + struct.pack(order + "II", orientation * 3, 3)
        )
    value: int | bytes = f"{orientation}\0\0\0".encode() if kind == 2 else orientation
    entry += struct.pack(order + _TYPES[kind][1], value)
    return head + struct.pack(order + "H", 2) + other + entry + bytes(4)


@cache
def plain(**options: object) -> bytes:
    """The scene as a JPEG file."""
    return file(color_picture(), "JPEG", quality=95, **options)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _variants()
    yield from _inks()
    yield from _orientations()
    yield from _profiles()
    yield from _segments()
    yield from _ends()


def _variants() -> Iterator[Case]:
    color, gray = color_picture(), gray_picture()
    for subsampling in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        yield Case("JPEG baseline", subsampling, plain(subsampling=subsampling), color)
        data = plain(subsampling=subsampling, progressive=True)
        yield Case("JPEG progressive", subsampling, data, color)
    yield Case("JPEG optimized", "own tables", plain(optimize=True), color)
    yield Case("JPEG with restarts", "every 3 blocks", plain(restart_marker_blocks=3), color)
    data = plain(restart_marker_rows=1, progressive=True)
    yield Case("JPEG with restarts", "progressive", data, color)
    yield Case("JPEG coded as RGB", "Adobe marker", plain(keep_rgb=True), color)
    # Without any marker, components called R, G, and B are what they are called.
    yield Case("JPEG coded as RGB", "names", without(plain(keep_rgb=True), 0xEE), color)
    for progressive in (False, True):
        data = file(gray.convert("L"), "JPEG", quality=95, progressive=progressive)
        yield Case("JPEG gray", f"progressive: {progressive}", data, gray)
    yield Case("JPEG without JFIF", "no marker", without(plain(), 0xE0), color)
    yield Case("JPEG with metadata", "XMP", plain(xmp=b"<x/>" * 1000), color)
    other = paint(lambda x, y: scene(y, x))
    data = file(color, "MPO", quality=95, save_all=True, append_images=[other, other])
    yield Case("MPO", "three pictures", data, color)
    for size in ((1, 2), (2, 1), (7, 9), (17, 33), (299, 3)):
        picture = paint(lambda x, y: (90 + x % 50, 120, 60 + y), *size)
        data = file(picture, "JPEG", quality=95, subsampling="4:4:4")
        yield Case("JPEG of odd size", f"{size}", data, picture)
    large = color.resize((2400, 1600), Image.Resampling.BILINEAR)
    for progressive in (False, True):
        data = file(large, "JPEG", progressive=progressive)
        yield Case("JPEG large", f"progressive: {progressive}", data, large)


def _inks() -> Iterator[Case]:
    """CMYK as Adobe writes it, inverted; every viewer takes it so with and without its marker."""
    color = color_picture()
    inverted = [255 - part for part in range(256)] * 3
    inks = Image.merge("CMYK", (*color.point(inverted).split(), Image.new("L", color.size, 40)))
    seen = color.point([part * (255 - 40) // 255 for part in range(256)] * 3)
    data = file(inks, "JPEG", quality=98, subsampling="4:4:4")
    assert b"Adobe" in data
    yield Case("JPEG CMYK", "Adobe marker", data, seen)
    yield Case("JPEG CMYK", "no marker", without(data, 0xEE), seen)
    progressive = file(inks, "JPEG", quality=98, progressive=True)
    yield Case("JPEG CMYK", "progressive", progressive, seen)
    # YCCK: Y, Cb, and Cr of what the inks leave, and black. Pillow stores 255 minus each.
    parts = color.point(inverted).convert("YCbCr").point(inverted).split()
    ycck = file(Image.merge("CMYK", (*parts, inks.getchannel("K"))), "JPEG", quality=98)
    place = ycck.index(b"Adobe") + 11
    yield Case("JPEG YCCK", "Adobe marker", ycck[:place] + b"\2" + ycck[place + 1 :], seen)
    profile = icc_files.cmyk()
    looks = paint(lambda x, y: icc_files.cmyk_as_srgb(_ink(x, y)))
    picture = Image.new("CMYK", (WIDTH, HEIGHT))
    picture.putdata([_ink(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    for name, options in (("", {}), (", progressive", {"progressive": True})):
        data = file(picture, "JPEG", quality=98, icc_profile=profile, **options)
        yield Case("JPEG CMYK with a profile", f"table{name}", data, looks)
    data = file(inks, "JPEG", quality=98, icc_profile=icc_files.display_p3())
    yield Case("JPEG CMYK with a profile", "of RGB, ignored", data, seen)


def _ink(x: int, y: int) -> tuple[int, int, int, int]:
    return x * 2, y * 2, (x + y) // 2, y


def _orientations() -> Iterator[Case]:
    color = color_picture()
    for orientation in range(10):
        turn = _TURNS.get(orientation)
        expected = color if turn is None else color.transpose(turn)
        for order in "<>":
            data = plain(exif=b"Exif\0\0" + tiff(orientation, 3, order))
            yield Case("JPEG with EXIF", f"orientation {orientation} {order}", data, expected)
    upright = color.transpose(_TURNS[6])
    for kind in (*_TYPES, 5, 10):
        for order in "<>":
            data = plain(exif=b"Exif\0\0" + tiff(6, kind, order))
            yield Case("JPEG with EXIF", f"of type {kind} {order}", data, upright)
    for name, spoiled in {
        "empty": b"",
        "short": b"II*\0",
        "directory outside": b"II*\0\xff\xff\xff\xff",
        "not TIFF": b"garbage" * 10,
        "cut": tiff(6)[:30],
        "orientation 66": tiff(66),
    }.items():
        yield Case("JPEG with broken EXIF", name, plain(exif=b"Exif\0\0" + spoiled), color)
    data = file(
        color, "MPO", quality=95, exif=b"Exif\0\0" + tiff(6), save_all=True, append_images=[color]
    )
    yield Case("MPO", "turned", data, upright)


def _profiles() -> Iterator[Case]:
    color = color_picture()
    wide = paint(lambda x, y: icc_files.p3_as_srgb(scene(x, y)))
    yield Case("JPEG with a profile", "P3", plain(icc_profile=icc_files.display_p3()), wide)
    data = plain(icc_profile=icc_files.display_p3(), progressive=True)
    yield Case("JPEG with a profile", "P3, progressive", data, wide)
    for size in (100_000, 2_000_000):
        data = plain(icc_profile=icc_files.display_p3(size))
        yield Case("JPEG with a large profile", f"{size} bytes", data, wide)
    gray = gray_picture().convert("L")
    for gamma in (1.0, 1.8):
        data = file(gray, "JPEG", quality=95, icc_profile=icc_files.gray(gamma))
        looks = paint(lambda x, y, g=gamma: icc_files.gray_as_srgb(gray_scene(x, y), g))  # type: ignore[misc]
        yield Case("JPEG gray with a profile", f"gamma {gamma}", data, looks)
    data = file(gray, "JPEG", quality=95, icc_profile=icc_files.display_p3())
    yield Case("JPEG gray with a profile", "of RGB, ignored", data, gray_picture())
    for name, spoiled in icc_files.spoiled().items():
        yield Case("JPEG with a broken profile", name, plain(icc_profile=spoiled), color)


def _segments() -> Iterator[Case]:
    color, data = color_picture(), plain()
    for name, comment in {
        "end": b"\xff\xd9",
        "scan": b"\xff\xda\0\4",
        "frame": b"\xff\xc0" * 99,
    }.items():
        yield Case(
            "JPEG comment",
            f"holds a {name} marker",
            after_start(data, segment(0xFE, comment)),
            color,
        )
    yield Case("JPEG padding", "fill bytes", data[:2] + b"\xff" * 50 + data[2:], color)
    place = data.index(b"\xff\xda")
    yield Case("JPEG padding", "before the scan", data[:place] + b"\xff" * 9 + data[place:], color)
    yield Case("JPEG padding", "after the end", data + bytes(1000), color)
    yield Case("JPEG padding", "another file after the end", data + data, color)
    thumbnail = segment(0xE1, b"Exif\0\0" + tiff(1) + file(paint(scene, 16, 16), "JPEG"))
    yield Case("JPEG with metadata", "picture in EXIF", after_start(data, thumbnail), color)
    frame = data.index(b"\xff\xc0")
    again = data[: frame + 19] + data[frame : frame + 19] + data[frame + 19 :]
    yield Case("JPEG refused", "two frames", again, refusal="several frames")
    for marker, what in ((0xC3, "lossless"), (0xC9, "arithmetic"), (0xC5, "hierarchical")):
        other = data[: frame + 1] + bytes([marker]) + data[frame + 2 :]
        yield Case("JPEG refused", what, other, refusal=what)
    other = data[: frame + 4] + b"\x0c" + data[frame + 5 :]
    yield Case("JPEG refused", "12 bits", other, refusal="12 bits a sample")
    for size in ((0, 0), (0, 80), (65_535, 10), (8_001, 8_000), (1, 1)):
        other = data[: frame + 5] + struct.pack(">HH", *size) + data[frame + 9 :]
        refusal = {0: "damaged", 1: "placeholder"}.get(size[0], "pixels")
        yield Case("JPEG refused", f"{size[0]} x {size[1]}", other, refusal=refusal)
    yield Case("JPEG refused", "no tables", without(data, 0xDB), refusal="damaged")


def _ends() -> Iterator[Case]:
    color = color_picture()
    for name, data in (
        ("baseline", plain()),
        ("progressive", plain(progressive=True)),
        ("gray", file(gray_picture().convert("L"), "JPEG", quality=95)),
        ("restarts", plain(restart_marker_blocks=3)),
    ):
        expected = gray_picture() if name == "gray" else color
        for missing in (1, 2, 3, 5, 8):
            yield Case(
                "JPEG without its last bytes", f"{name}, {missing}", data[:-missing], expected
            )
        start = data.index(b"\xff\xda")
        for share in (0.0, 0.1, 0.5, 0.8, 0.9):
            half = data[: start + round((len(data) - start) * share)]
            if name == "progressive" and share > 0.5:
                continue  # the last scan, which adds the finest details, may be there in part
            yield Case("half a JPEG", f"{name}, {share}", half, refusal="ends too early")
            if share and name != "progressive":
                ended = half.rstrip(b"\xff") + b"\xff\xd9"
                yield Case(
                    "half a JPEG",
                    f"{name}, {share}, with an end mark",
                    ended,
                    refusal="ends too early",
                )
    flat = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    whole = file(flat, "JPEG")
    assert distance(opened(whole), flat) < 1
    yield Case("JPEG gray to its end", "whole", whole, flat)
    yield Case("JPEG gray to its end", "without its end", whole[:-2], flat)
