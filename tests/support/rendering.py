"""Thumbnails of each photo made once in a process.

Tests of whole runs have the same few photos again and again, and the same photo gives the same
thumbnails, which tests of photos prove. Rendering would be a third of the time of a first night.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from shared.photos import pipeline

_render = pipeline.render
_render_once = lru_cache(maxsize=512)(_render)


@contextmanager
def rendered_once() -> Iterator[None]:
    """Inside, a photo that was rendered before is not rendered again."""
    before = pipeline.render
    pipeline.render = _render_once
    try:
        yield
    finally:
        pipeline.render = before
