"""Real files of every kind: each shows its picture, or is refused with a sentence to act on."""

import re

import pytest

from shared.errors import InvalidPhoto
from shared.photos import render
from tests.photos.case import Case
from tests.photos.pictures import MEAN_DISTANCE, distance, opened
from tests.photos.zoo import zoo

SIZES = (48, 96, 300)


@pytest.mark.parametrize("case", [case for case in zoo() if case.expected], ids=str)
def test_shown(case: Case) -> None:
    """The thumbnails show the picture of the file, upright and in its colors."""
    assert case.expected is not None
    made = render(case.data, SIZES)

    for data, size in zip((made.small, made.medium, made.large), SIZES, strict=True):
        thumbnail = opened(data)
        scale = min(1, size / max(case.expected.size))
        expected = tuple(max(1, round(side * scale)) for side in case.expected.size)
        assert (thumbnail.format, thumbnail.mode, thumbnail.size) == ("JPEG", "RGB", expected)
        assert not {"progressive", "icc_profile", "exif", "comment"} & set(thumbnail.info)
    assert distance(opened(made.large), case.expected) <= MEAN_DISTANCE
    assert made == render(case.data, SIZES)


@pytest.mark.parametrize("case", [case for case in zoo() if case.refusal], ids=str)
def test_refused(case: Case) -> None:
    """What cannot be shown is refused: what is wrong, and what to do."""
    with pytest.raises(InvalidPhoto, match=case.refusal) as refused:
        render(case.data, SIZES)

    assert re.fullmatch(
        r"(The|A part of the) photo .+\. (Save|Upload|Make) .+\.", str(refused.value)
    )


def test_the_zoo_is_large() -> None:
    """At least 120 files of at least 40 kinds, no two the same."""
    assert len({case.data for case in zoo()}) >= 120
    assert len({case.kind for case in zoo()}) >= 40
    assert len({str(case) for case in zoo()}) == len(zoo())
