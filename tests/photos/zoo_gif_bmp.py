"""GIF and BMP files."""

import struct
from collections.abc import Iterator

from PIL import Image

from tests.photos import icc_files
from tests.photos.bmp_files import assemble, bmp, runs
from tests.photos.case import Case
from tests.photos.pictures import (
    HEIGHT,
    WIDTH,
    color_picture,
    file,
    gray_picture,
    index,
    indexed_picture,
    paint,
    palette,
    scene,
)

_RED, _BLUE, _WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _gifs()
    yield from _bmps()
    yield from _run_lengths()


def _indexed(count: int) -> tuple[Image.Image, Image.Image]:
    """Blocks of that many colors: as indexes, and as they look."""
    at = index(count)
    image = Image.new("P", (WIDTH, HEIGHT))
    image.putdata([at(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    image.putpalette([part for color in palette(count) for part in color])
    return image, indexed_picture(count)


def _gifs() -> Iterator[Case]:
    for count in (2, 4, 16, 256):
        image, seen = _indexed(count)
        data = file(image, "GIF", interlace=False)
        yield Case("GIF", f"{count} colors", data, seen)
        yield Case("GIF interlaced", f"{count} colors", file(image, "GIF", interlace=True), seen)
    image, seen = _indexed(16)
    data = file(image, "GIF")
    yield Case("GIF", "87a", b"GIF87a" + data[6:], seen)
    yield Case("GIF", "gray", file(gray_picture().convert("L"), "GIF"), gray_picture())
    yield Case("GIF", "comment", file(image, "GIF", comment=b"\x2c\x3b\0" * 300), seen)
    at, colors = index(16), palette(16)
    clear = paint(lambda x, y: _WHITE if at(x, y) == 15 else colors[at(x, y)])
    yield Case("GIF transparent", "one color", file(image, "GIF", transparency=15), clear)
    gray = gray_picture().convert("L").point(lambda level: level // 16 * 16)
    clear = gray.convert("RGB")
    clear.paste(_WHITE, mask=gray.point([255 * (level == 48) for level in range(256)]))
    yield Case("GIF transparent", "gray", file(gray, "GIF", transparency=48), clear)
    frames = [image, *(Image.new("P", image.size, at) for at in (1, 2, 3))]
    data = file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    yield Case("animated GIF", "four frames", data, seen)
    yield Case("animated GIF", "broken after the first frame", data[: len(data) - 30], seen)
    yield Case(
        "GIF frame", "within its canvas", _offset_gif(60, 40, 30, 20), _inside(30, 20, 60, 40)
    )
    yield Case(
        "GIF frame",
        "beyond its canvas",
        _offset_gif(60, 40, 60, 40, (70, 50)),
        _inside(60, 40, 60, 40),
    )
    data = file(image, "GIF")
    for missing in (1, 2):
        yield Case("GIF without its last bytes", f"{missing}", data[:-missing], seen)
    for share in (0.5, 0.9):
        place = data.index(b"\x2c\0\0\0\0") + 10
        half = data[: place + round((len(data) - place) * share)]
        yield Case("half a GIF", f"{share}", half, refusal="too early")
    yield Case("GIF refused", "no frame", b"GIF89a" + bytes(7) + b"\x3b", refusal="no picture")
    yield Case("GIF refused", "only a header", b"GIF89a", refusal="too early")
    yield Case(
        "GIF refused", "unknown block", b"GIF89a" + bytes(7) + b"\x55" * 60, refusal="damaged"
    )
    for width, height, refusal in (
        (6_001, 4_000, "6001 x 4000"),
        (60_000, 1, "A side"),
        (1, 1, "placeholder"),
    ):
        yield Case(
            "GIF refused",
            f"frame of {width} x {height}",
            _offset_gif(width, height, 0, 0),
            refusal=refusal,
        )
    canvas = data[:6] + struct.pack("<HH", 60_000, 60_000) + data[10:]
    yield Case("GIF refused", "canvas of 60000 x 60000", canvas, refusal="A side")


def _offset_gif(
    width: int, height: int, left: int, top: int, canvas: tuple[int, int] = (WIDTH, HEIGHT)
) -> bytes:
    """One red frame of that size at that place of a canvas, with a palette of its own."""
    codes = [4, *([1, 4] * min(width * height, 10_000)), 5]
    bits = 0
    for at, code in enumerate(codes):
        bits |= code << (3 * at)
    packed = bits.to_bytes(-(-3 * len(codes) // 8), "little")
    if width * height == 1:
        canvas = 1, 1
    blocks = b"".join(
        bytes([len(packed[at : at + 255])]) + packed[at : at + 255]
        for at in range(0, len(packed), 255)
    )
    screen = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0, 0, 0)
    frame = struct.pack("<BHHHHB", 0x2C, left, top, width, height, 0x80)
    return screen + frame + bytes((*_BLUE, *_RED)) + b"\2" + blocks + b"\0\x3b"


def _inside(left: int, top: int, width: int, height: int) -> Image.Image:
    return paint(
        lambda x, y: _RED if left <= x < left + width and top <= y < top + height else _WHITE
    )


def _bmps() -> Iterator[Case]:
    for depth in (1, 4, 8):
        at, colors, seen = index(2**depth), palette(2**depth), indexed_picture(2**depth)
        kind = f"BMP {depth} bit"
        yield Case(kind, "bottom up", bmp(depth, at, palette=colors), seen)
        yield Case(kind, "top down", bmp(depth, at, palette=colors, top_down=True), seen)
        yield Case(kind, "OS/2", bmp(depth, at, palette=colors, core=True), seen)

    def bits(x: int, y: int, red: int, green: int, blue: int) -> int:
        r, g, b = scene(x, y)
        return (r >> (8 - red) << (green + blue)) | (g >> (8 - green) << blue) | (b >> (8 - blue))

    color = color_picture()
    half = paint(lambda x, y: tuple((part >> 3) * 255 // 31 for part in scene(x, y)))  # type: ignore[arg-type,return-value]
    yield Case("BMP 16 bit", "5-5-5", bmp(16, lambda x, y: bits(x, y, 5, 5, 5)), half)
    masks = (0xF800, 0x7E0, 0x1F)
    yield Case("BMP 16 bit", "5-6-5", bmp(16, lambda x, y: bits(x, y, 5, 6, 5), masks=masks), half)
    for core in (False, True):
        yield Case(
            "BMP 24 bit",
            f"OS/2: {core}",
            bmp(24, lambda x, y: bits(x, y, 8, 8, 8), core=core),
            color,
        )
    yield Case(
        "BMP 24 bit", "top down", bmp(24, lambda x, y: bits(x, y, 8, 8, 8), top_down=True), color
    )
    yield Case("BMP 32 bit", "no alpha", bmp(32, lambda x, y: bits(x, y, 8, 8, 8)), color)
    full = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    data = bmp(32, lambda x, y: bits(x, y, 8, 8, 8) | (x * 2) << 24, masks=full)
    seen = paint(lambda x, y: tuple(round(255 + (p - 255) * x * 2 / 255) for p in scene(x, y)))  # type: ignore[arg-type,return-value]
    yield Case("BMP 32 bit", "alpha", data, seen)
    data = bmp(32, lambda x, y: bits(x, y, 8, 8, 8), masks=full)
    yield Case("BMP 32 bit", "alpha of 0 everywhere", data, color)
    wide = paint(lambda x, y: icc_files.p3_as_srgb(scene(x, y)))
    data = bmp(24, lambda x, y: bits(x, y, 8, 8, 8), profile=icc_files.display_p3())
    yield Case("BMP 24 bit", "profile", data, wide)
    data = bmp(24, lambda x, y: bits(x, y, 8, 8, 8))
    yield Case("BMP 24 bit", "more after it", data + bytes(100), color)
    for missing in (1, 2, 100):
        yield Case("BMP without its last bytes", f"{missing}", data[:-missing], color)
    for share in (0.0, 0.5, 0.9):
        length = 54 + round((len(data) - 54) * share)
        yield Case("half a BMP", f"{share}", data[:length], refusal="too early")
    yield Case("BMP refused", "only a header", data[:20], refusal="too early")
    yield Case(
        "BMP refused",
        "holds a JPEG",
        data[:30] + struct.pack("<I", 4) + data[34:],
        refusal="holds a JPEG",
    )
    yield Case("BMP refused", "2 bit", data[:28] + b"\2\0" + data[30:], refusal="rare kind")
    for size, refusal in (
        ((6_001, 4_000), "6001 x 4000"),
        ((0, 9), "no pixels"),
        ((-5, 9), "no pixels"),
    ):
        other = data[:18] + struct.pack("<ii", *size) + data[26:]
        yield Case("BMP refused", f"{size[0]} x {size[1]}", other, refusal=refusal)


def _run_lengths() -> Iterator[Case]:
    for depth, packing in ((8, 1), (4, 2)):
        at = index(2**depth)
        rows = [[at(x, y) for x in range(WIDTH)] for y in range(HEIGHT)]
        body = runs(rows, half=depth == 4)
        seen = indexed_picture(2**depth)
        data = assemble(depth, body, palette(2**depth), packing=packing)
        yield Case(f"BMP RLE{depth}", "runs and others", data, seen)
        wrong = data[:28] + struct.pack("<H", 24) + data[30:]
        yield Case(f"BMP RLE{depth}", "24 bit", wrong, refusal="damaged")
        yield Case(f"BMP RLE{depth}", "half", data[: len(data) // 2], refusal="damaged|too early")
        large = data[:18] + struct.pack("<ii", 2_001, 2_000) + data[26:]
        yield Case(f"BMP RLE{depth}", "large", large, refusal="run-length")
