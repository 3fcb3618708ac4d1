"""Pictures by formula, and how far a thumbnail is from one.

The expectations are computed here, pixel by pixel and without the renderer, from the same formulas
that the files are made of.
"""

import io
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageChops, ImageStat

Color = tuple[int, int, int]
Paint = Callable[[int, int], Color]

WIDTH, HEIGHT = 120, 80
MEAN_DISTANCE = 3.0


def scene(x: int, y: int) -> Color:
    """A color at that place: smooth, and different in each corner and channel."""
    return 40 + x * 200 // WIDTH, 220 - y * 180 // HEIGHT, 30 + (x + y) * 170 // (WIDTH + HEIGHT)


def gray_scene(x: int, y: int) -> int:
    """The gray of that place."""
    return 20 + x * 150 // WIDTH + y * 70 // HEIGHT


def paint(at: Paint, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """An RGB picture with that color at each place."""
    image = Image.new("RGB", (width, height))
    image.putdata([at(x, y) for y in range(height) for x in range(width)])
    return image


@cache
def color_picture() -> Image.Image:
    """The scene in color."""
    return paint(scene)


@cache
def gray_picture() -> Image.Image:
    """The scene in gray, as RGB."""
    return paint(lambda x, y: (gray_scene(x, y),) * 3)


def palette(count: int) -> list[Color]:
    """That many colors, from one end of a range to the other."""
    return [
        (60 + at * 150 // (count - 1), 210 - at * 120 // (count - 1), 90 + at * 70 // (count - 1))
        for at in range(count)
    ]


def index(count: int) -> Callable[[int, int], int]:
    """Which of so many colors is at a place: another in each corner, and few hard edges."""
    if count == 256:
        return lambda x, y: x + y
    return lambda x, y: (x * count // WIDTH + (y >= HEIGHT // 2)) % count


def indexed_picture(count: int) -> Image.Image:
    """What `index` and `palette` look like."""
    at, colors = index(count), palette(count)
    return paint(lambda x, y: colors[at(x, y)])


def on_white(color: Color, alpha: float) -> Color:
    """That color with that opacity, 0 to 1, over white."""
    red, green, blue = (round(255 + (part - 255) * alpha) for part in color)
    return red, green, blue


def file(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file that Pillow writes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """A file as a picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def distance(found: Image.Image, expected: Image.Image) -> float:
    """The mean difference of their samples, of 255."""
    assert found.mode == "RGB"
    smaller = expected.resize(found.size, Image.Resampling.BOX)
    return max(ImageStat.Stat(ImageChops.difference(found, smaller)).mean)
