"""NCRONTAB expressions of the timer trigger: check them, and find the next firing.

Sources: Microsoft Learn, "Timer trigger for Azure Functions": `{second} {minute} {hour} {day}
{month} {day-of-week}`, in UTC; five fields mean second 0. How the Functions host reads an
expression was observed with the host's own timer class; its answers are the data of the tests.
What the host reads in a way that nobody means is refused here, with the right form.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, tuple(name.lower() for name in calendar.month_name[1:])),
    _Field("day of week", 0, 6, _DAYS),
)
_PART = re.compile(
    r"(?:\*|(?P<first>[a-z]+|[0-9]+)(?:-(?P<last>[a-z]+|[0-9]+))?)(?:/(?P<step>-?[0-9]+))?"
)
_INTERVAL = re.compile(r"(?:[0-9]+\.)?[0-9]+:[0-9]{2}(?::[0-9]{2})?")
_LARGEST = 2**31 - 1  # the host reads 32-bit numbers
_LEAP_YEAR = 2024
_HORIZON_YEARS = 41  # 29 February falls on one day of the week every 28 years, 40 around 2100
_SIX_FIELDS = "write second minute hour day month day-of-week, such as 0 */15 1-5 * * *"


@dataclass(frozen=True)
class Schedule:
    """A parsed expression: the values that each field allows, ascending, in the order above."""

    fields: tuple[tuple[int, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Read an expression as the Functions host does.

        Raises:
            ValueError: the host does not read it, or reads it in a way that nobody means; the
                text gives the reason and the right form.
        """
        if set(text) & set("\t\r\n\v\f"):
            raise ValueError(
                f"{text!r} contains a tab or a line end, which the Functions host does not read; "
                "separate the fields with spaces"
            )
        if _INTERVAL.fullmatch(text.strip(" ")):
            raise ValueError(
                f"{text!r} is an interval, which works on an App Service plan only; {_SIX_FIELDS}"
            )
        parts = [part for part in text.split(" ") if part]
        if len(parts) == len(_FIELDS) - 1:
            parts.insert(0, "0")
        if len(parts) != len(_FIELDS):
            raise ValueError(f"{text!r} has {len(parts)} fields instead of 6; {_SIX_FIELDS}")
        schedule = cls(
            tuple(_values(part, field) for part, field in zip(parts, _FIELDS, strict=True))
        )
        if not schedule._has_dates():
            raise ValueError(f"{text!r} never fires: no month in it has such a day")
        return schedule

    def next_after(self, moment: datetime) -> datetime:
        """First firing later than the moment.

        Args:
            moment: with a time zone.

        Raises:
            ValueError: the calendar of the standard library ends before the next firing.
        """
        earliest = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        seconds, minutes, hours = self.fields[:3]
        for day in self._dates(earliest.date()):
            for hour in hours:
                for minute in minutes:
                    for second in seconds:
                        found = datetime(
                            day.year, day.month, day.day, hour, minute, second, tzinfo=UTC
                        )
                        if found >= earliest:
                            return found
        raise ValueError("this schedule does not fire again")

    def _dates(self, start: date) -> Iterator[date]:
        """Dates from this one on, ascending."""
        days, months, weekdays = self.fields[3:]
        for year in range(start.year, min(start.year + _HORIZON_YEARS, date.max.year + 1)):
            for month in months:
                length = calendar.monthrange(year, month)[1]
                for number in days:
                    if number <= length:
                        day = date(year, month, number)
                        if day >= start and day.isoweekday() % 7 in weekdays:
                            yield day

    def _has_dates(self) -> bool:
        days, months = self.fields[3:5]
        return any(days[0] <= calendar.monthrange(_LEAP_YEAR, month)[1] for month in months)


def _values(text: str, field: _Field) -> tuple[int, ...]:
    """The values that one field allows."""
    allowed: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.lower())
        if match is None:
            raise ValueError(f"{field.name} {text!r}: {_reason(part, field)}")
        first, last = match["first"], match["last"]
        step = int(match["step"] or 1)
        if step < 1:
            raise ValueError(
                f"{field.name} {text!r}: the step is below 1, so the Functions host takes every "
                f"value. Write {'*' if first is None else part.partition('/')[0]}"
            )
        if step > _LARGEST:
            raise ValueError(f"{field.name} {text!r}: the step is too large")
        start = field.low if first is None else _number(first, field)
        # "5/10" counts from 5 to the end of the range.
        open_end = first is None or (last is None and match["step"] is not None)
        end = field.high if open_end else _number(last or first, field)
        if start > end:
            raise ValueError(f"{field.name} {text!r}: {_backwards(start, end, step, field)}")
        allowed.update(range(start, end + 1, step))
    return tuple(sorted(allowed))


def _number(text: str, field: _Field) -> int:
    """A number, a name, or the beginning of a name; the first name that fits counts."""
    for index, name in enumerate(field.names):
        if name.startswith(text):
            return field.low + index
    if not text.isdecimal() or not field.low <= int(text) <= field.high:
        raise ValueError(f"{field.name} {text!r}: {_reason(text, field)}")
    return int(text)


def _reason(text: str, field: _Field) -> str:
    """Why a part is not accepted, and what to write instead."""
    if "%" in text:
        return "the name of a setting is not replaced here; write the schedule itself"
    if set(text.upper()) & set("?#") or re.fullmatch(r"[0-9]*[LW]", text.upper()):
        return "the Functions host does not know ?, L, W and #; write *, a number or a range"
    numbers = f"{field.low} to {field.high}"
    if field.names == _DAYS:
        numbers = "0 (Sunday) to 6 (Saturday)"
    names = f", or a name such as {field.names[1][:3]}" if field.names else ""
    return f"write *, a number from {numbers}{names}, a range 1-5, a step */15, or a list of these"


def _backwards(start: int, end: int, step: int, field: _Field) -> str:
    """Why a range that runs backwards is refused, and how its values are written."""
    if step == 1:
        runs = [(start, field.high), (field.low, end)]
        right = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    else:
        size = field.high - field.low + 1
        steps = range(start, end + size + 1, step)
        right = ",".join(str((value - field.low) % size + field.low) for value in steps)
    return (
        "the range runs backwards, so the Functions host swaps its ends and fires from "
        f"{end} to {start}. Write {right}"
    )
