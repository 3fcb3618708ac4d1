"""Whatever bytes arrive: thumbnails or `InvalidPhoto`, nothing else."""

import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.errors import InvalidPhoto
from shared.photos import render
from tests.photos.icc_files import cmyk, display_p3
from tests.photos.pictures import color_picture, distance, file, opened
from tests.photos.png_files import chunk
from tests.photos.zoo import zoo
from tests.photos.zoo_jpeg import tiff

SIZES = (48, 96, 300)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_every_prefix(kind: str) -> None:
    """A photo cut short anywhere is refused, or shown with no more than its last bit missing."""
    picture = color_picture().resize((60, 40))
    data = file(picture, kind)

    usable = 0
    for length in range(0, len(data), 1 if kind in {"JPEG", "GIF"} else 7):
        try:
            made = render(data[:length], SIZES)
        except InvalidPhoto:
            assert length < len(data) - 2
            continue
        usable += 1
        assert length > len(data) * 0.9
        if kind != "GIF":  # of 256 colors
            assert distance(opened(made.large), picture) < 8
    assert usable


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 4}, {"subsampling": 0}],
    ids=str,
)
def test_where_half_a_picture_begins(options: dict[str, Any]) -> None:
    """A JPEG may lack a hundred bytes of a hundred thousand; without 3% of them it is refused."""
    noise = Image.effect_noise((648, 648), 25).convert("RGB")
    picture = Image.blend(color_picture().resize(noise.size), noise, 0.3)
    data = file(picture, "JPEG", quality=85, **options)

    for missing in (2, 10, 100):
        made = render(data[:-missing], SIZES)
        assert distance(opened(made.large), picture) <= 3
    for percent in (3, 10, 25, 50):
        with pytest.raises(InvalidPhoto, match="ends too early"):
            render(data[: -len(data) * percent // 100], SIZES)


_SMALL = color_picture().resize((24, 12))
_SAMPLES = [
    file(_SMALL, "JPEG", exif=b"Exif\0\0" + tiff(6), icc_profile=display_p3()),
    file(_SMALL, "JPEG", progressive=True),
    file(_SMALL, "JPEG", restart_marker_blocks=1),
    file(_SMALL.convert("CMYK"), "JPEG", icc_profile=cmyk(3)),
    file(_SMALL, "PNG", exif=b"Exif\0\0" + tiff(3), icc_profile=display_p3()),
    file(_SMALL.quantize(16), "PNG", transparency=3),
    file(_SMALL.quantize(16), "GIF", transparency=3),
    file(_SMALL, "BMP"),
]


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(_SAMPLES), st.integers(0, 10_000), st.binary(max_size=8))
@example(_SAMPLES[4][:33] + chunk(b"acTL", bytes(8)) + _SAMPLES[4][33:], 0, b"")
def test_any_damage(sample: bytes, place: int, patch: bytes) -> None:
    """Whatever is damaged: thumbnails or a refusal."""
    place %= len(sample)
    try:
        made = render(sample[:place] + patch + sample[place + len(patch) :], SIZES)
    except InvalidPhoto:
        return
    assert max(opened(made.large).size) <= 300


@settings(deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]),
)
def test_any_bytes(tail: bytes, magic: bytes) -> None:
    """Random bytes are no photo, with the right first bytes neither."""
    with pytest.raises(InvalidPhoto):
        render(magic + tail, SIZES)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([case.data for case in zoo()]), st.data())
def test_any_cut_of_the_zoo(sample: bytes, draw: st.DataObject) -> None:
    """Any file of the zoo, cut anywhere and continued with anything."""
    cut = draw.draw(st.integers(0, len(sample)))
    try:
        render(sample[:cut] + draw.draw(st.binary(max_size=40)), SIZES)
    except InvalidPhoto:
        return


@pytest.mark.parametrize("length", [0, 1, 40])
def test_a_picture_of_one_block_needs_it(length: int) -> None:
    """That the last block may be missing is not for pictures that have no other."""
    data = file(Image.effect_noise((16, 16), 90).convert("RGB"), "JPEG")
    start = data.index(b"\xff\xda")
    start += 2 + struct.unpack_from(">H", data, start + 2)[0]

    with pytest.raises(InvalidPhoto, match="ends too early"):
        render(data[: start + length], SIZES)
