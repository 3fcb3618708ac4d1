"""Six-field cron expressions of the timer trigger: check them, and find the next firing.

Source: Microsoft Learn, "Timer trigger for Azure Functions": `{second} {minute} {hour} {day}
{month} {day-of-week}`, in UTC; five fields mean second 0.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_HORIZON_DAYS = 366 * 8  # longest gap between two leap days


@dataclass(frozen=True)
class Schedule:
    """A parsed expression: the values each field allows, ascending, in the order of `_FIELDS`."""

    fields: tuple[tuple[int, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Read an expression.

        Raises:
            ValueError: naming the field and what is accepted.
        """
        parts = text.split()
        if len(parts) == len(_FIELDS) - 1:
            parts.insert(0, "0")
        if len(parts) != len(_FIELDS):
            raise ValueError(f"{text!r} must have 6 fields: second minute hour day month weekday")
        return cls(tuple(_field(part, *_FIELDS[index]) for index, part in enumerate(parts)))

    def next_after(self, moment: datetime) -> datetime:
        """First firing later than the moment.

        Raises:
            ValueError: the expression names a date that never comes.
        """
        earliest = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        seconds, minutes, hours, days, months, weekdays = self.fields
        for offset in range(_HORIZON_DAYS):
            day = (earliest + timedelta(days=offset)).date()
            if day.month not in months or day.day not in days:
                continue
            if day.isoweekday() % 7 not in weekdays:
                continue
            for hour in hours:
                for minute in minutes:
                    for second in seconds:
                        found = datetime(
                            day.year, day.month, day.day, hour, minute, second, tzinfo=UTC
                        )
                        if found >= earliest:
                            return found
        raise ValueError("this schedule never fires")


def _field(text: str, name: str, low: int, high: int) -> tuple[int, ...]:
    allowed: set[int] = set()
    for part in text.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{name} {text!r}: write *, 5, 1-5, */15 or a list of these")
        first, last, step = match.groups()
        start = low if first is None else _number(first, name, low, high)
        # "5/10" counts from 5 to the end of the range
        open_end = first is None or (last is None and step is not None)
        end = high if open_end else _number(last or first, name, low, high)
        stride = int(step) if step else 1
        if start > end or stride < 1:
            raise ValueError(f"{name} {text!r}: range or step is empty")
        allowed.update(range(start, end + 1, stride))
    return tuple(sorted(allowed))


def _number(text: str, name: str, low: int, high: int) -> int:
    names = {"month": _MONTHS, "day of week": _DAYS}.get(name, [])
    value = names.index(text[:3]) + low if text[:3] in names else text
    if not str(value).isdecimal() or not low <= int(value) <= high:
        raise ValueError(f"{name} {text!r}: expected {low} to {high}")
    return int(value)
