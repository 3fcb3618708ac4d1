"""The clock as the program sees it, so that tests can drive it."""

from typing import Protocol


class Clock(Protocol):
    """What the program needs of time; the module `time` is the real one."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that is never set back."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...
