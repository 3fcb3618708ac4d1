"""All files of the zoo."""

from functools import cache

from tests.photos import zoo_gif_bmp, zoo_jpeg, zoo_other, zoo_png
from tests.photos.case import Case


@cache
def zoo() -> tuple[Case, ...]:
    """Every file, made once."""
    makers = (zoo_jpeg, zoo_png, zoo_gif_bmp, zoo_other)
    return tuple(case for maker in makers for case in maker.cases())
