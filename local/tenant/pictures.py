"""Pictures of every kind that a photo service may hold, generated."""

from collections.abc import Callable
from functools import cached_property


class Picture:
    """Image bytes, made when first asked for.

    Attributes:
        name: kind of picture, such as `portrait` or `bomb`.
        content_type: what the service claims.
        width, height: pixels, as the service claims.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], bytes],
        size: tuple[int, int],
        content_type: str = "image/jpeg",
    ) -> None:
        self.name = name
        self.content_type = content_type
        self.width, self.height = size
        self._make = make

    @cached_property
    def data(self) -> bytes:
        """The bytes as uploaded."""
        return self._make()

    @classmethod
    def of(cls, data: bytes, content_type: str = "image/jpeg") -> "Picture":
        """A picture of given bytes, whatever they are."""
        return cls("given", lambda: data, (648, 648), content_type)
