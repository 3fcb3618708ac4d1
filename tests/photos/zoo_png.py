"""PNG files: every depth and kind, transparency, and chunks that do not matter."""

import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.photos import icc_files
from tests.photos.case import Case
from tests.photos.pictures import (
    HEIGHT,
    WIDTH,
    Color,
    color_picture,
    file,
    gray_scene,
    index,
    indexed_picture,
    on_white,
    paint,
    palette,
    scene,
)
from tests.photos.png_files import SIGNATURE, Samples, chunk, header, png
from tests.photos.zoo_jpeg import tiff


def _alpha(x: int, y: int) -> int:
    return min(255, x * 2 + y // 8)


def _samples(depth: int, *channels: int) -> tuple[int, ...]:
    """Channels of 8 bits in another depth."""
    if depth == 16:
        return tuple(channel * 257 for channel in channels)
    return tuple(channel >> (8 - depth) for channel in channels)


def _at_depth(depth: int, *parts: Callable[[int, int], int | Color]) -> Samples:
    """The channels of these formulas, of 8 bits, in another depth."""

    def samples(x: int, y: int) -> tuple[int, ...]:
        values = [part(x, y) for part in parts]
        flat = [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
        return _samples(depth, *flat)

    return samples


def _gray(depth: int) -> tuple[Samples, Image.Image]:
    most = 2 ** min(depth, 8) - 1
    seen = paint(lambda x, y: ((gray_scene(x, y) >> (8 - min(depth, 8))) * 255 // most,) * 3)
    return lambda x, y: _samples(depth, gray_scene(x, y)), seen


def _palette(depth: int) -> tuple[Samples, Image.Image, bytes]:
    at = index(2**depth)
    chunks = chunk(b"PLTE", b"".join(map(bytes, palette(2**depth))))
    return lambda x, y: (at(x, y),), indexed_picture(2**depth), chunks


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _kinds()
    yield from _keys()
    yield from _chunks()
    yield from _profiles()
    yield from _damage()


def _kinds() -> Iterator[Case]:
    for lace in (False, True):
        how = "interlaced" if lace else "plain"
        for depth in (1, 2, 4, 8, 16):
            samples, seen = _gray(depth)
            yield Case(f"PNG gray {depth} bit", how, png(0, depth, samples, lace=lace), seen)
        for depth in (1, 2, 4, 8):
            samples, seen, chunks = _palette(depth)
            data = png(3, depth, samples, lace=lace, before=chunks)
            yield Case(f"PNG palette {depth} bit", how, data, seen)
        for depth in (8, 16):
            data = png(2, depth, _at_depth(depth, scene), lace=lace)
            yield Case(f"PNG color {depth} bit", how, data, color_picture())
            data = png(4, depth, _at_depth(depth, gray_scene, _alpha), lace=lace)
            seen = paint(lambda x, y: on_white((gray_scene(x, y),) * 3, _alpha(x, y) / 255))
            yield Case(f"PNG gray with alpha {depth} bit", how, data, seen)
            data = png(6, depth, _at_depth(depth, scene, _alpha), lace=lace)
            seen = paint(lambda x, y: on_white(scene(x, y), _alpha(x, y) / 255))
            yield Case(f"PNG color with alpha {depth} bit", how, data, seen)
    for kind in range(5):
        data = png(2, 8, scene, filters=(kind,))
        yield Case("PNG filters", f"type {kind}", data, color_picture())
    yield Case(
        "PNG filters", "all in turn", png(2, 8, scene, filters=(0, 1, 2, 3, 4)), color_picture()
    )
    white = paint(lambda _x, _y: (255, 255, 255))
    yield Case(
        "PNG color with alpha 8 bit",
        "nothing but transparency",
        png(6, 8, lambda x, y: (*scene(x, y), 0)),
        white,
    )
    large = color_picture().resize((1800, 1200), Image.Resampling.BILINEAR)
    large.putalpha(Image.linear_gradient("L").resize(large.size))
    seen = Image.new("RGB", large.size, "white")
    seen.paste(large, mask=large.getchannel("A"))
    yield Case("PNG large", "color with alpha", file(large, "PNG"), seen)


def _keys() -> Iterator[Case]:
    """One color, or entries of the palette, stand for transparent."""
    for depth in (1, 2, 4, 8, 16):
        samples, picture = _gray(depth)
        (key,) = samples(WIDTH // 2, HEIGHT // 2)
        shown = picture.copy()
        hidden = [(x, y) for x in range(WIDTH) for y in range(HEIGHT) if samples(x, y) == (key,)]
        for place in hidden:
            shown.putpixel(place, (255, 255, 255))
        data = png(0, depth, samples, before=chunk(b"tRNS", key.to_bytes(2)))
        yield Case("PNG gray with a key", f"{depth} bit", data, shown)
    blocks = [(200, 30, 40), (30, 200, 40), (30, 40, 200)]

    def block(x: int, y: int) -> Color:
        return blocks[(x // 40 + y // 40) % 3]

    shown = paint(lambda x, y: (255, 255, 255) if block(x, y) == blocks[1] else block(x, y))
    for depth in (8, 16):
        wide = b"".join(sample.to_bytes(2) for sample in _samples(depth, *blocks[1]))
        data = png(2, depth, _at_depth(depth, block), before=chunk(b"tRNS", wide))
        yield Case("PNG color with a key", f"{depth} bit", data, shown)
    for depth in (1, 2, 4, 8):
        samples, _seen, chunks = _palette(depth)
        last = b"\xff" * (2**depth - 1) + b"\0"
        for name, alphas in (("last", last), ("some", b"\x80\x20\xff"), ("first", b"\0")):
            given = alphas[: 2**depth]
            looks = [
                on_white(color, given[at] / 255 if at < len(given) else 1.0)
                for at, color in enumerate(palette(2**depth))
            ]
            data = png(3, depth, samples, before=chunks + chunk(b"tRNS", given))
            yield Case(
                "PNG palette with transparency", f"{depth} bit, {name}", data, _seen_as(looks)
            )


def _seen_as(colors: list[Color]) -> Image.Image:
    """What `index` looks like in these colors."""
    at = index(len(colors))
    return paint(lambda x, y: colors[at(x, y)])


def _chunks() -> Iterator[Case]:
    color = color_picture()
    text = b"Comment\0\0" + zlib.compress(b"long text " * 200_000)
    for where in ("before", "after"):
        data = png(2, 8, scene, **{where: chunk(b"zTXt", text)})  # type: ignore[arg-type]
        yield Case("PNG long text", f"compressed, {where}", data, color)
    international = b"Comment\0\1\0\0\0" + zlib.compress(b"long text " * 200_000)
    yield Case(
        "PNG long text", "iTXt", png(2, 8, scene, before=chunk(b"iTXt", international)), color
    )
    many = chunk(b"tEXt", b"a\0" + b"b" * 1000) * 2000
    yield Case("PNG long text", "many", png(2, 8, scene, before=many), color)
    for kind in (b"tEXt", b"tIME", b"pHYs", b"gAMA", b"iCCP", b"eXIf", b"bKGD", b"prVt"):
        body = {b"iCCP": b"a\0\0" + zlib.compress(icc_files.display_p3()), b"eXIf": tiff(6)}.get(
            kind, b"x\0y"
        )
        for where in ("before", "after"):
            data = png(2, 8, scene, **{where: chunk(kind, body, wrong=True)})  # type: ignore[arg-type]
            yield Case("PNG wrong checksum", f"{kind.decode()} {where}", data, color)
    for count in (2, 50):
        yield Case("PNG in parts", f"{count}", png(2, 8, scene, parts=count), color)
    yield Case(
        "PNG in parts", "with an empty one", png(2, 8, scene, before=chunk(b"IDAT", b"")), color
    )
    frames = [color, Image.new("RGB", (WIDTH, HEIGHT))]
    data = file(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert b"acTL" in data
    yield Case("animated PNG", "two frames", data, color)
    turned = color.transpose(Image.Transpose.ROTATE_270)
    for order in "<>":
        for value_type in (1, 3, 4):
            for where in ("before", "after"):
                data = png(2, 8, scene, **{where: chunk(b"eXIf", tiff(6, value_type, order))})  # type: ignore[arg-type]
                yield Case("PNG with EXIF", f"type {value_type} {order} {where}", data, turned)
    yield Case("PNG end", "more after it", png(2, 8, scene) + b"junk" * 100, color)


def _profiles() -> Iterator[Case]:
    def packed(profile: bytes) -> bytes:
        return chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))

    wide = paint(lambda x, y: icc_files.p3_as_srgb(scene(x, y)))
    yield Case(
        "PNG with a profile", "P3", png(2, 8, scene, before=packed(icc_files.display_p3())), wide
    )
    for size in (1_500_000, 4_000_000):
        data = png(2, 8, scene, before=packed(icc_files.display_p3(size)))
        yield Case("PNG with a large profile", f"{size} bytes", data, wide)
    samples, _seen, chunks = _palette(8)
    seen = paint(lambda x, y: icc_files.p3_as_srgb(palette(256)[x + y]))
    data = png(3, 8, samples, before=packed(icc_files.display_p3()) + chunks)
    yield Case("PNG with a profile", "palette", data, seen)
    for depth in (8, 16):
        samples, _seen = _gray(depth)
        seen = paint(lambda x, y: icc_files.gray_as_srgb(gray_scene(x, y), 1.4))
        data = png(0, depth, samples, before=packed(icc_files.gray(1.4)))
        yield Case("PNG with a profile", f"gray {depth} bit", data, seen)
    for name, broken in icc_files.spoiled().items():
        data = png(2, 8, scene, before=packed(broken))
        yield Case("PNG with a broken profile", name, data, color_picture())
    for name, body in {
        "not compressed": b"name\0\0secret",
        "another method": b"name\0\7" + zlib.compress(icc_files.display_p3()),
        "no name": b"x" * 30,
        "too large": b"name\0\0" + zlib.compress(icc_files.display_p3(9_000_000)),
    }.items():
        data = png(2, 8, scene, before=chunk(b"iCCP", body))
        yield Case("PNG with a broken profile", name, data, color_picture())


def _damage() -> Iterator[Case]:
    color, data = color_picture(), png(2, 8, scene)
    for missing in (1, 2, 4, 12, 14):
        yield Case("PNG without its last bytes", f"{missing}", data[:-missing], color)
    laced = png(2, 8, scene, lace=True)
    for share in (0.1, 0.5, 0.9):
        cut = laced[: round(len(laced) * share)]
        yield Case("half a PNG", f"{share}, interlaced", cut, refusal="too early")
        yield Case("half a PNG", f"{share}", data[: round(len(data) * share)], refusal="too early")
    shorter = zlib.compress((b"\0" + bytes(3 * WIDTH)) * (HEIGHT // 2))
    half = SIGNATURE + header(2, 8) + chunk(b"IDAT", shorter) + chunk(b"IEND", b"")
    yield Case("half a PNG", "with an end", half, refusal="too early")
    yield Case(
        "PNG refused", "checksum of pixels", png(2, 8, scene, wrong=True), refusal="checksum"
    )
    head = SIGNATURE + chunk(b"IHDR", header(2, 8)[8:21], wrong=True) + data[33:]
    yield Case("PNG refused", "checksum of header", head, refusal="checksum")
    samples, _seen, chunks = _palette(4)
    yield Case("PNG refused", "no palette", png(3, 4, samples), refusal="palette")
    wrong = chunks[:-4] + bytes(4)
    yield Case(
        "PNG refused", "checksum of palette", png(3, 4, samples, before=wrong), refusal="checksum"
    )
    yield Case(
        "PNG refused",
        "no pixels",
        SIGNATURE + header(2, 8) + chunk(b"IEND", b""),
        refusal="no picture",
    )
    yield Case("PNG refused", "only a signature", SIGNATURE, refusal="no header")
    yield Case("PNG refused", "iOS", SIGNATURE + chunk(b"CgBI", bytes(4)) + data[8:], refusal="iOS")
    for color_type, depth in ((1, 8), (2, 4), (3, 16), (6, 1), (0, 3), (9, 8)):
        other = SIGNATURE + header(color_type, depth) + data[33:]
        yield Case(
            "PNG refused", f"color type {color_type}, {depth} bit", other, refusal="impossible"
        )
    for size, refusal in (
        ((0, 5), "no pixels"),
        ((1, 1), "placeholder"),
        ((6_001, 4_000), "6001 x 4000 pixels"),
        ((30_001, 1), "A side can have at most 30,000"),
        ((2**31 - 1, 2**31 - 1), "A side"),
    ):
        other = SIGNATURE + header(2, 8, *size) + data[33:]
        yield Case("PNG refused", f"{size[0]} x {size[1]}", other, refusal=refusal)
    other = SIGNATURE + header(6, 16, 4_000, 4_000) + data[33:]
    yield Case("PNG refused", "16 bit and large", other, refusal="PNG with 16 bits a sample")
