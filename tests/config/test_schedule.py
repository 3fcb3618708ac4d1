"""Schedules fire when Azure's timer trigger would."""

from datetime import UTC, datetime

import pytest

from shared.config.schedule import Schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "now", "expected"),
    [
        ("0 */15 1-5 * * *", "2026-01-01T00:00:00", "2026-01-01T01:00:00"),
        ("0 */15 1-5 * * *", "2026-01-01T01:00:00", "2026-01-01T01:15:00"),
        ("0 */15 1-5 * * *", "2026-01-01T05:45:00", "2026-01-02T01:00:00"),
        ("*/15 1-5 * * *", "2026-01-01T01:00:01", "2026-01-01T01:15:00"),
        ("30 5/20 * * * *", "2026-01-01T00:05:30", "2026-01-01T00:25:30"),
        ("0 0 2 * * MON-FRI", "2026-01-02T03:00:00", "2026-01-05T02:00:00"),
        ("0 0 0 29 feb *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 1 1,7 *", "2026-01-01T00:00:00", "2026-07-01T00:00:00"),
        ("0 0 12 * * 0", "2026-01-04T11:59:59", "2026-01-04T12:00:00"),
    ],
)
def test_next_firing(expression: str, now: str, expected: str) -> None:
    assert Schedule.parse(expression).next_after(at(now)) == at(expected)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * * *", "0 0 24 * * *", "0 0 0 0 * *", "0 0 0 * 13 *", "0 0 0 * * 7",
     "0 5-1 * * * *", "0 */0 * * * *", "0 a * * * *", "0 0 0 * mon *", "01:00:00"],
)  # fmt: skip
def test_malformed_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"field|expected|empty|write"):
        Schedule.parse(expression)


def test_date_that_never_comes() -> None:
    with pytest.raises(ValueError, match="never fires"):
        Schedule.parse("0 0 0 31 2 *").next_after(at("2026-01-01T00:00:00"))
