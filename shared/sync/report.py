"""What operators read: the summary line of a firing and the users' lines of a run's report."""

import json
import logging
from collections.abc import Iterable
from typing import Any

from shared.checkpoint import STOPPED, Run, iso, seconds_of
from shared.model import QUIET, Outcome
from shared.sync.user_sync import Result

SUMMARY_PREFIX = "photo-sync run summary "
"""Starts the message that alerts and the workbook read; the rest is JSON."""

NOTHING_PREFIX = "photo-sync nothing to do "
"""Starts the message of a firing that found the run finished, or another one working on it."""

SUMMARY_FIELDS = frozenset(
    {
        "run",
        "version",
        "trigger",
        "mode",
        "status",
        "reason",
        "started",
        "ended",
        "durationSeconds",
        "firings",
        "inScope",
        "listed",
        "outcomes",
        "requests",
        "throttled",
        "bytesReceived",
        "bytesSent",
        "removalsHeldBack",
        "leaversCleared",
        "removalLimit",
        "sourceFault",
    }
)
"""Names in the summary; deployed alert queries rely on them."""

_log = logging.getLogger("photo_sync.summary")


def summary(run: Run) -> dict[str, Any]:
    """The figures of a run, as they are logged."""
    document = run.to_json()
    ended = run.ended or run.updated or run.started
    return {
        "run": run.id,
        "version": run.version,
        "trigger": run.trigger,
        "mode": run.mode,
        "status": run.status,
        "reason": run.reason,
        "started": run.started,
        "ended": ended,
        "durationSeconds": round(seconds_of(ended) - seconds_of(run.started), 1),
        "firings": run.firings,
        "inScope": run.listed,
        "listed": run.listed,
        "outcomes": document["counts"],
        "requests": document["requests"],
        "throttled": run.throttled,
        "bytesReceived": run.received,
        "bytesSent": run.sent,
        "removalsHeldBack": run.removals_held_back,
        "leaversCleared": run.leavers_cleared,
        "removalLimit": run.removal_limit,
        "sourceFault": run.source_fault,
    }


def log_summary(run: Run) -> None:
    """Log the one line by which the run is watched."""
    level = logging.ERROR if run.status == STOPPED else logging.INFO
    _log.log(level, "%s%s", SUMMARY_PREFIX, json.dumps(summary(run)))


def log_nothing(run: Run | None, why: str) -> None:
    """Log that a firing had nothing to do."""
    fields = {
        "why": why,
        "run": run.id if run else None,
        "status": run.status if run else None,
        "started": run.started if run else None,
    }
    _log.info("%s%s", NOTHING_PREFIX, json.dumps(fields))


def lines(results: Iterable[Result], now: float) -> list[dict[str, Any]]:
    """Lines of the report for the users whose outcome somebody might want to know.

    Args:
        results: any.
        now: seconds since the epoch.
    """
    return [
        {
            "id": result.user.id,
            "userPrincipalName": result.user.upn,
            "outcome": result.outcome.value,
            "detail": result.detail,
            "at": iso(now),
        }
        for result in results
        if result.outcome not in QUIET and result.outcome is not Outcome.DEFERRED
    ]
