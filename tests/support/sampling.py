"""Which cases of a large matrix `make test` runs; `make thorough` runs all of them."""

import os
from collections.abc import Iterable

THOROUGH = bool(os.environ.get("THOROUGH"))
"""Every case, and a kill at every request."""


def sample[T](cases: Iterable[T], every: int, start: int = 0) -> list[T]:
    """Every n-th case, or all of them.

    Args:
        cases: the whole matrix.
        every: one out of so many is taken.
        start: where to begin, so that several matrices take different ones.
    """
    found = list(cases)
    return found if THOROUGH else found[start % every :: every] or found[:1]
