"""What one photo may cost, and the limits that see to it."""

import struct
import sys
from typing import Any

import pytest
from PIL import Image

from local.tools import photo_costs
from local.tools.photo_zoo import HOSTILE, empty_scans, scans_of
from shared.errors import InvalidPhoto
from shared.photos import MAX_BYTES, jpeg, limits, pipeline, png, render
from tests.photos import png_files
from tests.photos.pictures import file
from tests.photos.zoo_jpeg import segment

SIZES = (48, 96, 300)
LARGEST = (48, 96, 1_024)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("progressive-24-megapixels", LARGEST),
        ("png-rgba", LARGEST),
        ("gif-canvas", SIZES),
        ("png-profile-bomb", SIZES),
        ("png-long", SIZES),
    ],
)
def test_memory(name: str, sizes: tuple[int, int, int]) -> None:
    """The worst photos take at most 200 MB, at the largest thumbnails that can be set."""
    cost = photo_costs.measure(name, HOSTILE[name](), sizes)

    assert 0 < cost.memory <= photo_costs.MOST_BYTES
    assert (cost.result == "rendered") == (name != "png-long")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_the_measurement_sees_memory_that_is_freed() -> None:
    """The peak counts, also of memory that Pillow's own code takes."""
    small = photo_costs.measure("small", png_files.png(0, 1, lambda *_: (0,)))
    large = photo_costs.measure("large", file(Image.new("RGBA", (4_000, 4_000)), "PNG"))

    assert large.memory - small.memory > 50_000_000


@pytest.mark.parametrize("comment", [b"", b"\xff\xd9", b"\xff\xda\xff\xd9"])
def test_scans_are_counted_by_walking(comment: bytes) -> None:
    """A marker inside of a comment is no marker: all scans behind it are counted."""
    head, scans = scans_of(file(Image.new("L", (64, 64)), "JPEG", progressive=True))
    data = head + scans[0] + segment(0xFE, comment) + b"".join(scans[1:]) + b"\xff\xd9"

    assert jpeg.parse(data).scans == len(scans) == 6
    assert jpeg.parse(data + scans[-1] * 50).scans == 6  # behind the end


def test_too_many_scans() -> None:
    """A few bytes a scan cannot keep the decoder busy, wherever they are hidden."""
    with pytest.raises(InvalidPhoto, match="101 scans, and at most 100"):
        render(empty_scans((8, 8), 3_000), SIZES)
    with pytest.raises(InvalidPhoto, match="101 scans, and at most 100"):
        render(empty_scans((2_000, 2_000), 3_000), SIZES)
    with pytest.raises(InvalidPhoto, match="45 scans of 3000 x 3000 pixels, and at most 44"):
        render(empty_scans((3_000, 3_000), 60), SIZES)


def _claims(width: int, height: int, **options: Any) -> bytes:
    """A small JPEG whose header claims another size."""
    data = file(Image.new("RGB", (8, 8)), "JPEG", **options)
    frame = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (_claims(8_001, 8_000), "8001 x 8000 pixels. A JPEG can have at most 64 million"),
        (_claims(65_535, 65_535), "A side can have at most 30,000 pixels"),
        (_claims(6_401, 6_400, progressive=True), "A progressive JPEG can have at most 40 million"),
        (
            _claims(6_001, 4_032, progressive=True, subsampling=0),
            "A progressive JPEG with colors in full resolution can have at most 24 million",
        ),
        (b"\xff\xd8" + segment(0xFE, b"") * 2_001, "2,001 segments, and at most 2,000"),
        (b"\xff\xd8\xff" + bytes(MAX_BYTES), "bytes, and at most 8,388,608 are accepted"),
        (
            png_files.SIGNATURE + png_files.header(2, 8) + png_files.chunk(b"tEXt", b"") * 20_000,
            "20,001 chunks, and at most 20,000",
        ),
        (b"GIF89a" + bytes(7) + b"\x21\xfe\1a\0" * 100_001, "100,001 blocks, and at most 100,000"),
        (b"GIF89a" + bytes(1_000_000), "blocks of an unknown kind"),
    ],
)
def test_more_than_a_limit(data: bytes, refusal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes that claim much are refused before anything is decoded."""

    def decoded(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pipeline, "decode", decoded)

    with pytest.raises(InvalidPhoto, match=refusal) as refused:
        render(data, SIZES)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("size", "options", "memory"),
    [
        ((4_000, 3_000), {"subsampling": 0, "progressive": True}, 4_000 * 3_008 * 6),
        ((4_000, 3_000), {"subsampling": 2, "progressive": True}, 4_000 * 3_008 * 3),
        ((4_000, 3_000), {"subsampling": 0}, 0),
    ],
)
def test_memory_of_a_progressive_jpeg(
    size: tuple[int, int], options: dict[str, Any], memory: int
) -> None:
    """2 bytes for each coefficient of each block of each channel, where there are several scans."""
    found = jpeg.parse(_claims(*size, **options)).memory
    assert abs(found - memory) <= memory * 0.01


def test_a_profile_that_unpacks_without_end() -> None:
    """A compressed profile is read up to its limit and ignored beyond it."""
    assert png.parse(HOSTILE["png-profile-bomb"]()).profile == b""


@pytest.mark.parametrize(
    ("costs", "code"),
    [
        ((2.0, 200_000_000, 1_000_000_000), 0),
        ((2.1, 1, 1), 1),
        ((0.1, 200_000_001, 1), 1),
        ((0.1, 1, 1_000_000_001), 1),
    ],
)
def test_the_cost_tool_fails_when_a_photo_costs_too_much(
    costs: tuple[float, int, int],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The benchmark ends with an error when the promise is broken, for one photo or for eight."""
    cpu, memory, together = costs

    def measured(name: str, files: list[bytes], _sizes: object) -> photo_costs.Cost:
        at_once = "at once" in name
        length = sum(map(len, files))
        return photo_costs.Cost(name, length, "rendered", cpu, together if at_once else memory)

    monkeypatch.setattr(photo_costs, "_measure", measured)

    assert photo_costs.main(["png-column"]) == code
    assert "hostile photos" in capsys.readouterr().out


def test_limits_are_told_in_sentences() -> None:
    """Each limit says what was found and what to do."""
    with pytest.raises(InvalidPhoto) as refused:
        limits.check_size(6_001, 4_000, kind="PNG")
    assert str(refused.value) == (
        "The photo has 6001 x 4000 pixels. A PNG can have at most 24 million pixels. "
        "Make the photo smaller, for example 1000 x 1000 pixels, and upload it again."
    )
