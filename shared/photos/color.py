"""Converts the colors of a photo to sRGB, which browsers assume for a JPEG without profile."""

import io
from functools import cache

from PIL import Image, ImageCms

from shared.photos import icc

_SPACES = {"L": icc.GRAY, "RGB": icc.RGB, "CMYK": icc.CMYK}
_WHITE_AND_BLACK: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "L": ((255,), (0,)),
    "RGB": ((255, 255, 255), (0, 0, 0)),
    "CMYK": ((0, 0, 0, 0), (255, 255, 255, 255)),
}
_PLAUSIBLE = 100
"""How many of 255 levels white must be above black for a profile to be a usable one."""


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def transform_of(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion to sRGB; None when there is no profile, or one that cannot be used.

    Args:
        profile: ICC profile, may be empty or broken.
        mode: Pillow's name of the color space: L, RGB, or CMYK.
    """
    usable = icc.reduced(profile, _SPACES[mode])
    if not usable:
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(usable)),
            _srgb(),
            mode,
            "RGB",
            ImageCms.Intent.PERCEPTUAL,
        )
        return transform if _is_plausible(transform, mode) else None
    except Exception:  # noqa: BLE001 - littleCMS refuses a profile in many ways; all mean the same
        return None


def _is_plausible(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    white, black = (
        sum(list(transform.apply(Image.new(mode, (1, 1), color)).tobytes()))
        for color in _WHITE_AND_BLACK[mode]
    )
    return white - black >= 3 * _PLAUSIBLE


def to_srgb(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """The picture in sRGB; without a profile, gray and RGB as they are and CMYK by subtraction."""
    if transform is not None:
        return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")
