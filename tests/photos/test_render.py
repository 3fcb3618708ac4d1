"""Three clean thumbnails: their sizes, what is not in them, and how good they look."""

import subprocess
import sys
from typing import Any

import pytest
from PIL import Image, ImageChops

from shared.errors import InvalidPhoto
from shared.photos import pipeline, render
from tests.photos.icc_files import display_p3
from tests.photos.pictures import color_picture, distance, file, opened
from tests.photos.png_files import chunk
from tests.photos.zoo_jpeg import tiff

SIZES = (48, 96, 300)
RED = (255, 0, 0)


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
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_sizes(kind: str, size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    """The longest side is the size asked for, the aspect is kept, nothing is enlarged."""
    made = render(file(Image.new("RGB", size, RED), kind), SIZES)

    for data, wanted in zip((made.small, made.medium, made.large), expected, strict=True):
        image = opened(data)
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", wanted)
        assert distance(image, Image.new("RGB", size, RED)) < 3


@pytest.mark.parametrize("side", [300, 599, 601, 1199, 1201, 1801])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_sides_around_the_steps_of_reduction(kind: str, side: int) -> None:
    """A picture of any size keeps its place: nothing is shifted or cut off at its edges."""
    picture = color_picture().resize((side, side), Image.Resampling.BICUBIC)

    for data in vars(render(file(picture, kind), SIZES)).values():
        found = opened(data)
        wanted = picture.resize(found.size, Image.Resampling.BOX)
        difference = ImageChops.difference(found, wanted)
        assert max(high for _, high in difference.getextrema()) <= 12  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_no_metadata(kind: str) -> None:
    """Nothing but the picture gets through: no place, profile, comment, or other block."""
    options: dict[str, Any] = {"comment": b"secret"} if kind != "PNG" else {}
    if kind != "GIF":
        options |= {"exif": b"Exif\0\0" + tiff(1) + b"secret", "dpi": (72, 72)}
        options |= {"icc_profile": display_p3().replace(b"P3\0", b"secret\0")}
    if kind == "JPEG":
        options |= {"xmp": b"<x>secret</x>"}
    data = file(color_picture(), kind, **options)
    if kind == "PNG":
        data = data[:33] + chunk(b"tEXt", b"Comment\0secret") + data[33:]
    assert b"secret" in data

    made = render(data, SIZES)
    for thumbnail in (made.small, made.medium, made.large):
        assert b"secret" not in thumbnail
        assert b"ICC" not in thumbnail
        names = set(opened(thumbnail).info)
        assert names <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_quality() -> None:
    """The large thumbnail of a smooth photo looks like a careful reduction of it."""
    source = Image.linear_gradient("L").resize((1296, 1296)).convert("RGB")
    wanted = source.resize((300, 300), Image.Resampling.LANCZOS)

    large = opened(render(file(source, "JPEG", quality=95), SIZES).large)
    difference = ImageChops.difference(large, wanted)
    assert max(high for _, high in difference.getextrema()) <= 6  # type: ignore[misc] # pairs


class _Turnstile:
    """Counts how often it is passed."""

    def __init__(self) -> None:
        self.passed = 0

    def __enter__(self) -> None:
        self.passed += 1

    def __exit__(self, *_: object) -> None:
        """Nothing to undo."""


@pytest.mark.parametrize(
    ("data", "is_big"),
    [
        (file(Image.new("RGB", (648, 648)), "JPEG"), False),
        (file(Image.new("RGB", (648, 648)), "JPEG", progressive=True), False),
        (file(Image.new("RGB", (1_000, 1_000)), "PNG"), False),
        (file(Image.new("RGB", (5_000, 5_000)), "JPEG"), False),
        (file(Image.new("RGB", (2_000, 2_000)), "PNG"), True),
        (file(Image.new("RGB", (2_000, 2_000)), "JPEG", progressive=True), True),
        (file(Image.new("P", (3_000, 3_000)), "GIF"), True),
    ],
)
def test_big_ones_in_turn(data: bytes, is_big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos that take much memory are decoded one at a time; others never wait for them."""
    turnstile = _Turnstile()
    monkeypatch.setattr(pipeline, "_one_big_at_a_time", turnstile)

    render(data, SIZES)

    assert turnstile.passed == int(is_big)


def test_a_refused_photo_lets_the_next_one_in() -> None:
    """A big photo that cannot be decoded does not block the others."""
    whole = file(Image.new("RGB", (2_000, 2_000)), "PNG")
    for _ in range(2):
        with pytest.raises(InvalidPhoto):
            render(whole[:2_000] + whole[-12:], SIZES)
    assert render(whole, SIZES)


def test_pillow_is_imported_for_the_first_photo_only() -> None:
    """Importing the package costs nothing; Pillow is loaded when a photo is rendered."""
    program = "import sys, shared.photos; print(sorted(set(sys.modules) & {'PIL', 'requests'}))"
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
