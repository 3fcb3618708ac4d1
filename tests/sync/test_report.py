"""What operators read of a run: the summary line, and the lines of users."""

import json
import logging

import pytest

from shared.checkpoint import Run, runs, seconds_of
from shared.model import Outcome, User
from shared.sync import report
from shared.sync.user_sync import Result

MOMENT = "2026-03-01T02:00:00.000Z"


def a_run(**changed: object) -> Run:
    """A run of ten users that took ninety seconds and a half."""
    fields: dict[str, object] = {
        "id": "abc",
        "version": "1.0.0",
        "trigger": "timer",
        "mode": runs.SYNC,
        "scope": "fingerprint",
        "started": "2026-03-01T01:00:00.000Z",
        "updated": "2026-03-01T01:01:00.000Z",
        "ended": "2026-03-01T01:01:30.500Z",
        "status": runs.COMPLETED,
        "firings": 2,
        "listed": 10,
        "counts": {Outcome.UPDATED: 3, Outcome.UNCHANGED: 7},
        "requests": {"graph": 4, "sharepoint": 15},
        "throttled": 1,
        "received": 1000,
        "sent": 2000,
        "removals_held_back": 5,
        "leavers_cleared": 2,
        "removal_limit": 4,
        "source_fault": "",
    }
    return Run(**{**fields, **changed})  # type: ignore[arg-type]  # names are those of Run


def logged(caplog: pytest.LogCaptureFixture, prefix: str) -> tuple[int, dict[str, object]]:
    """Level and JSON of the one message that was logged."""
    (record,) = caplog.records
    text = record.getMessage()
    assert record.name == "photo_sync.summary"
    assert text.startswith(prefix)
    assert "\n" not in text
    return record.levelno, json.loads(text.removeprefix(prefix))


def test_the_summary_tells_the_figures_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """One line of JSON after a fixed prefix, with exactly the fields that alerts rely on."""
    with caplog.at_level(logging.INFO):
        report.log_summary(a_run())
    level, fields = logged(caplog, "photo-sync run summary ")
    assert level == logging.INFO
    assert fields.keys() == report.SUMMARY_FIELDS
    assert fields == {
        "run": "abc",
        "version": "1.0.0",
        "trigger": "timer",
        "mode": "sync",
        "status": "completed",
        "reason": "",
        "started": "2026-03-01T01:00:00.000Z",
        "ended": "2026-03-01T01:01:30.500Z",
        "durationSeconds": 90.5,
        "firings": 2,
        "inScope": 10,
        "listed": 10,
        "outcomes": {o.value: 0 for o in Outcome} | {"updated": 3, "unchanged": 7},
        "requests": {"graph": 4, "sharepoint": 15},
        "throttled": 1,
        "bytesReceived": 1000,
        "bytesSent": 2000,
        "removalsHeldBack": 5,
        "leaversCleared": 2,
        "removalLimit": 4,
        "sourceFault": "",
    }


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (runs.COMPLETED, logging.INFO),
        (runs.INTERRUPTED, logging.INFO),
        (runs.STOPPED, logging.ERROR),
    ],
)
def test_a_stopped_run_is_an_error(
    caplog: pytest.LogCaptureFixture, status: str, level: int
) -> None:
    """Cause and remedy come with it, on one line whatever they hold."""
    with caplog.at_level(logging.INFO):
        report.log_summary(a_run(status=status, reason='no "role"\nhere'))
    found, fields = logged(caplog, report.SUMMARY_PREFIX)
    assert found == level
    assert (fields["status"], fields["reason"]) == (status, 'no "role"\nhere')


@pytest.mark.parametrize(
    ("changed", "ended", "seconds"),
    [
        ({}, "2026-03-01T01:01:30.500Z", 90.5),
        ({"ended": ""}, "2026-03-01T01:01:00.000Z", 60.0),
        ({"ended": "", "updated": ""}, "2026-03-01T01:00:00.000Z", 0.0),
    ],
)
def test_a_run_without_an_end_lasted_until_it_was_last_saved(
    changed: dict[str, object], ended: str, seconds: float
) -> None:
    fields = report.summary(a_run(**changed))
    assert (fields["ended"], fields["durationSeconds"]) == (ended, seconds)


def test_a_firing_with_nothing_to_do_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        report.log_nothing(a_run(), "finished and recent")
    level, fields = logged(caplog, "photo-sync nothing to do ")
    assert level == logging.INFO
    assert fields == {
        "why": "finished and recent",
        "run": "abc",
        "status": "completed",
        "started": "2026-03-01T01:00:00.000Z",
    }


def test_a_firing_beside_another_one_knows_no_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        report.log_nothing(None, "another firing is at work")
    _, fields = logged(caplog, report.NOTHING_PREFIX)
    assert fields == {
        "why": "another firing is at work",
        "run": None,
        "status": None,
        "started": None,
    }


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.UPDATED, True),
        (Outcome.UNCHANGED, False),
        (Outcome.REPAIRED, True),
        (Outcome.REMOVED, True),
        (Outcome.REMOVAL_PENDING, True),
        (Outcome.NO_PHOTO, False),
        (Outcome.NO_PROFILE, True),
        (Outcome.INVALID_PHOTO, True),
        (Outcome.FAILED, True),
        (Outcome.DEFERRED, False),
    ],
)
def test_a_line_for_each_user_somebody_might_ask_about(outcome: Outcome, told: bool) -> None:
    """Not for those with whom all is as it was, nor for those whose turn is still to come."""
    result = Result(User("1", "o'neil@contoso.com"), outcome, "why", None)
    expected = {
        "id": "1",
        "userPrincipalName": "o'neil@contoso.com",
        "outcome": outcome.value,
        "detail": "why",
        "at": MOMENT,
    }
    lines = report.lines([result], seconds_of(MOMENT))
    assert lines == ([expected] if told else [])


def test_lines_are_in_the_order_of_the_users() -> None:
    results = [Result(User(str(n), ""), Outcome.FAILED, "", None) for n in (3, 1, 2)]
    assert [line["id"] for line in report.lines(results, 0)] == ["3", "1", "2"]
