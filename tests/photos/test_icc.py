"""Profiles before a color engine sees them."""

import struct
import zlib

import pytest
from PIL import Image

from shared.photos import color, icc
from tests.photos import icc_files


def _tags(profile: bytes) -> set[bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    return {profile[132 + 12 * at :][:4] for at in range(count)}


def test_only_tags_that_convert_are_kept() -> None:
    """Text and whatever has no bound is dropped; the others stay where they are."""
    whole = icc_files.display_p3(5_000)
    reduced = icc.reduced(whole, icc.RGB)

    assert _tags(reduced) == _tags(whole) - {b"cprt", b"desc"}
    assert len(reduced) == len(whole)
    assert struct.unpack_from(">I", reduced)[0] == len(reduced)


def test_pipelines_of_any_length_are_dropped() -> None:
    """A table of type `mpet` may have thousands of stages."""
    tags = {
        b"A2B0": b"mpet" + bytes(60),
        b"D2B0": b"mpet" + bytes(60),
        b"wtpt": b"XYZ " + bytes(16),
    }
    profile = icc_files.profile(b"RGB ", b"Lab ", tags, b"mntr")

    assert _tags(icc.reduced(profile, icc.RGB)) == {b"wtpt"}
    assert color.transform_of(profile, "RGB") is None


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_profile_is_for_its_own_color_space(mode: str) -> None:
    """A profile of another color space is ignored."""
    profiles = {"L": icc_files.gray(1.8), "RGB": icc_files.display_p3(), "CMYK": icc_files.cmyk(3)}
    for space, profile in profiles.items():
        assert (color.transform_of(profile, mode) is not None) == (space == mode)


@pytest.mark.parametrize("name", icc_files.spoiled())
def test_broken_profiles_are_ignored(name: str) -> None:
    """What is broken changes nothing."""
    assert color.transform_of(icc_files.spoiled()[name], "RGB") is None


def test_any_byte_of_a_profile_may_be_wrong() -> None:
    """Bytes of a profile changed in turn: a usable conversion or none."""
    whole = icc_files.display_p3()
    for place in (*range(132), *range(132, len(whole), 5)):
        spoiled = whole[:place] + bytes([zlib.crc32(whole[:place]) & 255]) + whole[place + 1 :]
        transform = color.transform_of(spoiled, "RGB")
        assert color.to_srgb(Image.new("RGB", (2, 2)), transform).size == (2, 2)
