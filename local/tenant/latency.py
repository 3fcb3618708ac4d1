"""How long the emulated services take to answer, when a measurement asks for times of real size."""

import random
import threading
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Latency:
    """Seconds that answers take, by operation (`Entry.operation`); thread-safe.

    Attributes:
        seconds: by operation.
        other: of every other operation.
        slow_share: share of requests that take `slow_seconds`.
        slow_seconds: seconds.
        seed: of the choice.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    other: float = 0.0
    slow_share: float = 0.0
    slow_seconds: float = 5.0
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    @classmethod
    def real(cls) -> Self:
        """Times of real size.

        Reading a profile took about 100 ms and writing a property 25 to 39 ms in recorded answers;
        the other figures are of ordinary size, without a source.
        """
        return cls(
            seconds={
                "users.list": 0.5,
                "photo.batch": 0.25,
                "user.batch": 0.25,
                "user.photo.batch": 0.25,
                "scope.batch": 0.25,
                "members.batch": 0.25,
                "photo.bytes": 0.15,
                "profile.batch": 0.4,
                "profile.read": 0.1,
                "profile.write": 0.1,
                "file.upload": 0.3,
                "file.read": 0.1,
                "file.recycle": 0.2,
            },
            other=0.1,
            slow_share=0.005,
        )

    def of(self, operation: str) -> float:
        """Seconds that the next answer takes."""
        with self._lock:
            if self.slow_share and self._random.random() < self.slow_share:
                return self.slow_seconds
        return self.seconds.get(operation, self.other)
