"""Schedules fire when the timer class of the Functions host fires."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Schedule

# Answers of the Functions host's own timer class, and what the app refuses beyond that.
VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("ncrontab_vectors.json").read_text("utf-8")
)
FIRES = [vector for vector in VECTORS if vector["right"] == "fires"]
REFUSED = [vector for vector in VECTORS if vector["right"] == "refused"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_every_vector_is_tried() -> None:
    """All 151 observed expressions are here, each as one that fires or one that is refused."""
    assert len(VECTORS) == len(FIRES) + len(REFUSED) == 151


@pytest.mark.parametrize(
    "vector", FIRES, ids=lambda vector: f"{vector['expression']} after {vector['after']}"
)
def test_expression_fires_as_the_host_fires(vector: dict[str, Any]) -> None:
    """The next firings are those of the host, one after the other."""
    schedule = Schedule.parse(vector["expression"])
    moment = at(vector["after"])

    found = []
    for _ in vector["next"]:
        moment = schedule.next_after(moment)
        found.append(moment)

    assert found == [at(text) for text in vector["next"]]


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: repr(vector["expression"]))
def test_expression_is_refused_with_the_right_form(vector: dict[str, Any]) -> None:
    """What the host does not read, or reads as nobody means it, is refused with a remedy."""
    with pytest.raises(ValueError, match=r"(?i)write |separate |too large|never fires"):
        Schedule.parse(vector["expression"])


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 22-2 * * *", "fires from 2 to 22. Write 22-23,0-2"),
        ("0 0 2 * * sat-sun", "Write 6,0"),
        ("0 0 2 * * fri-mon", "Write 5-6,0-1"),
        ("0 0 2 1 nov-feb *", "Write 11-12,1-2"),
        ("0 50-10/20 * * * *", "Write 50,10"),
        ("0 */0 * * * *", "takes every value. Write *"),
        ("0 5-9/0 * * * *", "takes every value. Write 5-9"),
        ("0 0 2 * * 7", "0 (Sunday) to 6 (Saturday)"),
        ("0 0 2 * * monkey", "a name such as mon"),
        ("0 0 2 ? * *", "does not know ?, L, W and #"),
        ("00:15:00", "App Service plan"),
        ("0 0 2 * * *\n", "a tab or a line end"),
        ("0 0 2 30 2 *", "never fires"),
        ("* * * *", "4 fields instead of 6"),
    ],
)
def test_refusal_says_why(expression: str, reason: str) -> None:
    """The reason is about this expression and names the form to write."""
    with pytest.raises(ValueError) as caught:
        Schedule.parse(expression)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "right", ["22-23,0-2", "50,10"], ids=["hours over midnight", "minutes with a step"]
)
def test_the_form_that_a_refusal_gives_is_accepted(right: str) -> None:
    """An administrator who follows the remedy gets a schedule."""
    assert Schedule.parse(f"0 {right} * * * *" if right == "50,10" else f"0 0 {right} * * *")


def test_next_firing_is_later_than_any_part_of_a_second() -> None:
    """A moment within a second does not fire that second again."""
    schedule = Schedule.parse("* * * * * *")
    moment = at("2026-01-01T00:00:00") + timedelta(microseconds=1)
    assert schedule.next_after(moment) == at("2026-01-01T00:00:01")


def test_end_of_the_calendar() -> None:
    """A firing after year 9999 is an error of the documented kind, never another one."""
    with pytest.raises(ValueError, match="does not fire again"):
        Schedule.parse("0 0 0 29 2 *").next_after(at("9999-01-01T00:00:00"))


@given(st.text(st.sampled_from("0123456789*/,-? monsatLW#%:\t\u0663"), max_size=24))
def test_any_text(text: str) -> None:
    """Any text is a schedule that fires, or a ValueError."""
    try:
        schedule = Schedule.parse(text)
    except ValueError:
        return
    moment = at("2026-01-01T00:00:00")
    assert schedule.next_after(moment) > moment
