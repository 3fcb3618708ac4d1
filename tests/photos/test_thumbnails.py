import io
import resource
import struct
import threading
import time
import zlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from shared.errors import InvalidPhoto
from shared.photos import thumbnails
from shared.photos.thumbnails import Thumbnails, render

SIZES = (48, 96, 300)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
Colour = tuple[int, int, int]


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def large(data: bytes) -> Image.Image:
    return opened(render(data, SIZES).large)


def near(found: object, expected: Colour, tolerance: int = 12) -> bool:
    assert isinstance(found, tuple)
    return all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=True))


def corners() -> Image.Image:
    """200 x 100: red top left, green top right, blue bottom left, white bottom right."""
    image = Image.new("RGB", (200, 100), WHITE)
    image.paste(RED, (0, 0, 100, 50))
    image.paste(GREEN, (100, 0, 200, 50))
    image.paste(BLUE, (0, 50, 100, 100))
    return image


def exif(orientation: int, order: str = "<") -> bytes:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    other = struct.pack(order + "HHII", 0x0110, 2, 4, 0)
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + head + struct.pack(order + "H", 2) + other + entry + b"\0\0\0\0"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that claims that size, of one bit a pixel."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((648, 648), [(48, 48), (96, 96), (300, 300)]),
        ((600, 400), [(48, 32), (96, 64), (300, 200)]),
        ((400, 600), [(32, 48), (64, 96), (200, 300)]),
        ((96, 96), [(48, 48), (96, 96), (96, 96)]),
        ((20, 10), [(20, 10)] * 3),
        ((2, 1), [(2, 1)] * 3),
        ((10_000, 1), [(48, 1), (96, 1), (300, 1)]),
        ((1, 10_000), [(1, 48), (1, 96), (1, 300)]),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_sizes(kind: str, size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    """The longest side is the size asked for, the aspect is kept, nothing is enlarged."""
    made = render(file(Image.new("RGB", size, RED), kind), SIZES)

    for data, wanted in zip((made.small, made.medium, made.large), expected, strict=True):
        image = opened(data)
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", wanted)
        assert near(image.getpixel((0, 0)), RED)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [  # colours clockwise from top left of the upright picture
        (1, (RED, GREEN, WHITE, BLUE)),
        (2, (GREEN, RED, BLUE, WHITE)),
        (3, (WHITE, BLUE, RED, GREEN)),
        (4, (BLUE, WHITE, GREEN, RED)),
        (5, (RED, BLUE, WHITE, GREEN)),
        (6, (BLUE, RED, GREEN, WHITE)),
        (7, (WHITE, GREEN, RED, BLUE)),
        (8, (GREEN, WHITE, BLUE, RED)),
        (0, (RED, GREEN, WHITE, BLUE)),
        (9, (RED, GREEN, WHITE, BLUE)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_orientation(kind: str, order: str, orientation: int, expected: tuple[Colour, ...]) -> None:
    """A photo that its EXIF block calls rotated or mirrored stands upright."""
    image = large(file(corners(), kind, exif=exif(orientation, order)))

    width, height = image.size
    assert (width < height) == (orientation in {5, 6, 7, 8})
    right, bottom = width - 10, height - 10
    for place, colour in zip(
        [(10, 10), (right, 10), (right, bottom), (10, bottom)], expected, strict=True
    ):
        assert near(image.getpixel(place), colour), place


_NO_TAGS = b"II*\0" + struct.pack("<IH", 8, 0)


@pytest.mark.parametrize("block", [b"", b"II*\0", _NO_TAGS, b"II*\0\xff\xff\xff\xff", b"garbage"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_broken_exif(kind: str, block: bytes) -> None:
    """A broken EXIF block means nothing, and never costs a user his photo."""
    whole = exif(6)
    for data in (block, whole[: len(whole) // 2]):
        assert large(file(corners(), kind, exif=b"Exif\0\0" + data)).size == (200, 100)


def _palette(alpha: bytes | None = None) -> Image.Image:
    image = Image.new("P", (60, 40), 1)
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.info.update({"transparency": alpha} if alpha else {})
    return image


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (file(Image.new("L", (60, 40), 100)), (100, 100, 100)),
        (file(Image.new("L", (60, 40), 100), "JPEG"), (100, 100, 100)),
        (file(Image.new("1", (60, 40), 1)), WHITE),
        (file(Image.new("I;16", (60, 40), 100 * 256)), (100, 100, 100)),
        (file(Image.new("CMYK", (60, 40), (0, 255, 255, 0)), "JPEG"), RED),
        (file(Image.new("CMYK", (60, 40), (255, 0, 0, 0)), "JPEG"), (0, 255, 255)),
        (file(Image.new("CMYK", (60, 40), (0, 0, 0, 255)), "JPEG"), (0, 0, 0)),
        (file(Image.new("LA", (60, 40), (0, 0))), WHITE),
        (file(Image.new("RGBA", (60, 40), (255, 0, 0, 0))), WHITE),
        (file(Image.new("RGBA", (60, 40), (255, 0, 0, 255))), RED),
        (file(Image.new("RGBA", (60, 40), (255, 0, 0, 128))), (255, 127, 127)),
        (file(_palette()), BLUE),
        (file(_palette(b"\xff\0"), transparency=b"\xff\0"), WHITE),
        (file(_palette(), "GIF"), BLUE),
        (file(_palette(), "GIF", transparency=1), WHITE),
        (file(Image.new("RGB", (60, 40), RED), transparency=RED), WHITE),
    ],
)
def test_every_kind_becomes_rgb(data: bytes, expected: Colour) -> None:
    """Grey, 16 bits, CMYK and palette come out in their colours, transparency as white."""
    image = large(data)

    assert (image.mode, image.size) == ("RGB", (60, 40))
    for place in [(0, 0), (30, 20), (59, 39)]:
        assert near(image.getpixel(place), expected)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in (RED, GREEN, BLUE)]

    data = file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert near(large(data).getpixel((30, 20)), RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_no_metadata(kind: str) -> None:
    """Nothing but the picture gets through: no place, profile, comment or other block."""
    options: dict[str, Any] = {"comment": b"secret"} if kind != "PNG" else {}
    if kind != "GIF":
        options |= {"exif": exif(1) + b"secret", "icc_profile": b"secret" * 30, "dpi": (72, 72)}
    if kind == "JPEG":
        options |= {"xmp": b"<x>secret</x>"}
    data = file(corners(), kind, **options)
    if kind == "PNG":
        data = data[:33] + chunk(b"tEXt", b"Comment\0secret") + data[33:]
    assert b"secret" in data or kind == "PNG"

    made = render(data, SIZES)
    for thumbnail in (made.small, made.medium, made.large):
        assert b"secret" not in thumbnail
        names = set(opened(thumbnail).info)
        assert names <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_baseline_and_deterministic() -> None:
    """Also of a progressive source the thumbnails are baseline, and the same bytes each time."""
    data = file(corners().resize((800, 400)), "JPEG", progressive=True)

    assert render(data, SIZES) == render(data, SIZES)
    assert "progressive" not in large(data).info


def test_quality() -> None:
    """The large thumbnail of a smooth photo looks like a careful reduction of it."""
    source = Image.linear_gradient("L").resize((1296, 1296)).convert("RGB")
    wanted = source.resize((300, 300), Image.Resampling.LANCZOS)

    difference = ImageChops.difference(large(file(source, "JPEG", quality=95)), wanted)
    assert max(high for _, high in difference.getextrema()) <= 6  # type: ignore[misc] # pairs


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a JPEG"),
        (b"<html>Sign in</html>", "not a JPEG"),
        (b"BM" + bytes(100), "not a JPEG"),
        (b"\xff\xd8\xff" + bytes(100), "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (b"GIF89a", "cannot be decoded"),
        (file(Image.new("RGB", (1, 1), RED)), "placeholder"),
        (file(Image.new("RGB", (1, 1), RED), "GIF"), "placeholder"),
        (b"\xff\xd8\xff" + bytes(thumbnails.MAX_BYTES), "bytes, more than"),
        (png(6_001, 4_000), "6001 x 4000 pixels, more than"),
        (png(2**31 - 1, 2**31 - 1), "pixels, more than"),
        (png(100, 100, chunk(b"IDAT", b"junk")), "cannot be decoded"),
        (png(100, 100), "cannot be decoded"),
        (png(100, 100, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24)))), "decoded"),
    ],
)
def test_refused(data: bytes, why: str) -> None:
    """What is no usable photo is refused with the reason."""
    with pytest.raises(InvalidPhoto, match=why):
        render(data, SIZES)


def _gif_frame(width: int, height: int) -> bytes:
    """A GIF of 9 x 9 pixels whose first frame claims more."""
    screen = struct.pack("<HHBBB", 9, 9, 0, 0, 0)
    return (
        b"GIF89a" + screen + struct.pack("<cHHHHBB", b",", 0, 0, width, height, 0, 2) + b"\1\0\0;"
    )


def _header_only(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A valid small JPEG whose header claims another size."""
    data = file(Image.new("L", (8, 8)), "JPEG", progressive=progressive)
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_header_only(8_001, 8_000), "8001 x 8000 pixels"),
        (_header_only(65_535, 65_535), "65535 x 65535 pixels"),
        (_header_only(6_001, 4_000, progressive=True), "6001 x 4000 pixels"),
        (png(50_000, 50_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))), "50000 x 50000"),
        (b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + b";", "decoded"),
        (_gif_frame(60_000, 60_000), "decoded"),
        (_gif_frame(12_000, 10_000), "12000 x 10000|decoded"),
        (_gif_frame(6_001, 4_000), "6001 x 4000"),
    ],
)
def test_bombs(data: bytes, why: str) -> None:
    """A few bytes that claim many pixels cost neither time nor memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()

    with pytest.raises(InvalidPhoto, match=why):
        render(data, SIZES)

    assert time.perf_counter() - begun < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB


def test_endless_scans() -> None:
    """A progressive JPEG that repeats its last scan without end is refused before decoding."""
    data = file(Image.new("L", (2_000, 2_000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")

    with pytest.raises(InvalidPhoto, match="scans of 2000 x 2000"):
        render(data[:-2] + data[last:-2] * 200 + data[-2:], SIZES)
    assert render(data + data[last:] * 200, SIZES)  # behind the end it does not count


def test_large_photo() -> None:
    """45 megapixels of a good camera become thumbnails, decoded at reduced size."""
    data = file(Image.radial_gradient("L").resize((7_744, 5_808)), "JPEG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert large(data).size == (300, 225)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_big_ones_in_turn() -> None:
    """While one big picture is decoded another waits, and small ones go on."""
    big = file(Image.new("1", (2_000, 1_001)))
    small = file(Image.new("RGB", (60, 40)))
    done: list[Thumbnails] = []
    waiting = threading.Thread(target=lambda: done.append(render(big, SIZES)))

    with thumbnails._one_big_at_a_time:
        waiting.start()
        render(small, SIZES)
        waiting.join(0.05)
        assert not done
    waiting.join(10)
    assert done


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_every_prefix(kind: str) -> None:
    """A photo cut short anywhere in its pixels is refused, never shown in part."""
    data = file(corners().resize((40, 20)), kind)

    usable = []
    for length in range(len(data)):
        try:
            assert render(data[:length], SIZES).large
            usable.append(length)
        except InvalidPhoto:
            pass
    # A PNG's last 20 bytes are a check sum and the end mark: all pixels are there without them.
    assert min(usable, default=len(data)) >= len(data) - 20


_SAMPLES = [
    file(corners().resize((24, 12)), kind, **options)
    for kind, options in (
        ("JPEG", {"exif": exif(6)}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"exif": exif(3)}),
        ("GIF", {}),
    )
]


@settings(max_examples=300, deadline=1000)
@given(st.sampled_from(_SAMPLES), st.integers(0, 10_000), st.binary(max_size=8))
@example(_SAMPLES[2][:33] + chunk(b"acTL", bytes(8)) + _SAMPLES[2][33:], 0, b"")
def test_any_damage(sample: bytes, place: int, patch: bytes) -> None:
    """Whatever is damaged: thumbnails or InvalidPhoto, within a second, nothing else."""
    place %= len(sample)
    try:
        made = render(sample[:place] + patch + sample[place + len(patch) :], SIZES)
    except InvalidPhoto:
        return
    assert max(opened(made.large).size) <= 300


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"]),
)
def test_any_bytes(tail: bytes, magic: bytes) -> None:
    """Random bytes are no photo, with the right first bytes neither."""
    with pytest.raises(InvalidPhoto):
        render(magic + tail, SIZES)
