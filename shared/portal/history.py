"""What is recorded of users: lines of the runs' reports, and the audit."""

import json
from collections.abc import Iterator
from typing import Any

from shared.portal.blobs import Blobs
from shared.portal.core import Event

MAX_RUNS = 14
MAX_DAYS = 30
MAX_EVENTS = 40
MAX_PROBLEMS = 50

_PROBLEMS = frozenset({"failed", "invalid_photo"})


def problems(blobs: Blobs, started: str) -> tuple[list[dict[str, str]], bool]:
    """Users of a run who failed or whose photo cannot be used, and whether there are more.

    Args:
        blobs: of the container.
        started: when the run began, which names its report.

    Raises:
        StateError: storage fails.
    """
    last: dict[str, dict[str, str]] = {}
    for line in _lines(blobs.tail(f"runs/{started}.jsonl")):
        # A user may stand in it twice after a resumed slice: the last line counts.
        last[line.get("id", "")] = line
    found = [line for line in last.values() if line.get("outcome") in _PROBLEMS]
    return found[:MAX_PROBLEMS], len(found) > MAX_PROBLEMS


def of(blobs: Blobs, user_id: str) -> list[Event]:
    """Events of one user, newest first.

    Raises:
        StateError: storage fails.
    """
    runs = [name for name in blobs.names("runs/") if name.endswith(".jsonl")]
    days = blobs.names("audit/")
    events = [
        _nightly(line)
        for name in runs[-MAX_RUNS:]
        for line in _lines(blobs.tail(name), user_id)
        if line.get("id") == user_id
    ]
    actions: dict[tuple[str, str], Event] = {}
    for name in days[-MAX_DAYS:]:
        for line in _lines(blobs.tail(name), user_id):
            if line.get("targetId") == user_id:
                # The line after the effect replaces the one before it.
                key = line.get("actorId", ""), line.get("correlationId", "")
                actions[key] = _action(line)
    events += actions.values()
    return sorted(events, key=lambda event: event.at, reverse=True)[:MAX_EVENTS]


def _nightly(line: dict[str, str]) -> Event:
    return Event(
        at=line.get("at", ""),
        activity="nightly",
        outcome=line.get("outcome", ""),
        detail=line.get("detail", ""),
    )


def _action(line: dict[str, str]) -> Event:
    return Event(
        at=line.get("at", ""),
        activity=line.get("activity", ""),
        outcome=line.get("outcome", ""),
        detail=line.get("reason", ""),
        by=line.get("actorRole", ""),
    )


def _lines(data: bytes, wanted: str = "") -> Iterator[dict[str, str]]:
    """JSON objects of texts, one a line; what is none is passed over.

    Args:
        data: the end of a blob.
        wanted: only lines that hold this text are read at all.
    """
    needle = wanted.encode()
    for raw in data.splitlines():
        if needle not in raw:
            continue
        try:
            line: Any = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield {str(k): v for k, v in line.items() if isinstance(v, str)}
