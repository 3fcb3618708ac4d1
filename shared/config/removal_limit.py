"""How many photos one run may remove."""

from dataclasses import dataclass
from decimal import Decimal

from shared.config import parsers


@dataclass(frozen=True)
class RemovalLimit:
    """How many photos one run may remove: a number, or a percentage of those the app wrote.

    Attributes:
        count: the number, or None.
        percent: 0 to 100, or None.
    """

    count: int | None
    percent: float | None

    LEAST_OF_PERCENTAGE = 10

    @classmethod
    def parse(cls, text: str) -> "RemovalLimit":
        """Read a number or a percentage.

        Raises:
            ValueError: neither.
        """
        if text.endswith("%"):
            return cls(None, parsers.number(0, 100)(text[:-1].rstrip()))
        return cls(parsers.whole(0, 999_999_999)(text), None)

    def of(self, written: int) -> int:
        """The limit for this many photos of ours; a percentage is rounded down, and at least 10."""
        if self.percent is None:
            return self.count or 0
        # Decimal, because 0.57 * 100 is below 57 in binary.
        share = int(Decimal(str(self.percent)) * written / 100)
        return max(self.LEAST_OF_PERCENTAGE, share)
