"""The orientation tag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.photos.exif import orientation
from tests.photos.zoo_jpeg import tiff


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
def test_types(kind: int, order: str) -> None:
    """Any type of value in any byte order, with and without the prefix of JPEG."""
    for expected in range(1, 9):
        assert orientation(tiff(expected, kind, order)) == expected
        assert orientation(b"Exif\0\0" + tiff(expected, kind, order)) == expected


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"MM\0*\0\0\0\x08",
        b"II*\0\xff\xff\xff\xff",
        tiff(6)[:-8],
        tiff(0),
        tiff(9),
        tiff(6).replace(b"MM", b"XX"),
        tiff(6, 5)[:-4] + bytes(4),
    ],
)
def test_broken(block: bytes) -> None:
    """Without a valid tag a picture is upright."""
    assert orientation(block) == 1


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_any_bytes(tail: bytes, head: bytes) -> None:
    """Any bytes give an orientation."""
    assert 1 <= orientation(head + tail) <= 8
