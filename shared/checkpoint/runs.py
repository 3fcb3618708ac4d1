"""The run as a document: `run.json` while it goes on, `runs/<started>.json` when it ends. Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any

from shared.checkpoint.records import (
    SCHEMA,
    as_count,
    as_moment,
    as_place,
    as_text,
    iso,
    seconds_of,
)
from shared.errors import BrokenState
from shared.model import Outcome, ThumbnailLocation, is_object_id

RUNNING = "running"
COMPLETED = "completed"
INTERRUPTED = "interrupted"
STOPPED = "stopped"
_STATUSES = frozenset({RUNNING, COMPLETED, INTERRUPTED, STOPPED})

SYNC = "sync"
DRY_RUN = "dry-run"

STALE_SECONDS = 48 * 3600
"""An unfinished run older than this is closed, and a new one started."""


@dataclass
class Run:
    """One run, from its first firing to its last.

    Attributes:
        id: unique.
        version: of the program that started it.
        trigger: "timer".
        mode: "sync" or "dry-run".
        scope: fingerprint of the settings that decide who is in scope.
        started: when the first firing began; names the report's blobs.
        updated: when this document was last written.
        ended: when the last firing ended; "" while one is going on.
        status: "running", "completed", "interrupted" (to be resumed), "stopped" (see reason).
        reason: why it is stopped or interrupted.
        firings: how many firings worked on it.
        cursor: id of the last user of the last finished slice.
        listed: users that the last listing gave.
        previous_listed: the same of the run before, None when there is none to compare with.
        in_scope: users of this run; the sum of `counts` once it has ended.
        counts: users per outcome.
        requests: HTTP requests per service, retries included.
        throttled: answers 429, or 503 that asked to wait; throttled batch items are one.
        received, sent: bytes of bodies.
        source_fault: why the list of users is not trusted; then nothing is removed.
        removal_candidates: users whose photo is confirmed gone in this run.
        removals_failed: of them, those whose removal was tried and failed.
        removals_held_back: of them, those not carried out because of the limit or a doubt.
        removal_limit: most removals allowed; None before the end.
        removal_note: why removals were held back.
        reverified: users looked at because of REVERIFY_DAYS.
        writing: where files of users without a record may be, because their first write was begun
            and not yet recorded; whoever finds the run dead knows by it what is ours.
    """

    id: str
    version: str
    trigger: str
    mode: str
    scope: str
    started: str
    updated: str = ""
    ended: str = ""
    status: str = RUNNING
    reason: str = ""
    firings: int = 1
    cursor: str = ""
    listed: int = 0
    previous_listed: int | None = None
    in_scope: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=lambda: {"graph": 0, "sharepoint": 0})
    throttled: int = 0
    received: int = 0
    sent: int = 0
    source_fault: str = ""
    removal_candidates: int = 0
    removals_failed: int = 0
    removals_held_back: int = 0
    removal_limit: int | None = None
    removal_note: str = ""
    reverified: int = 0
    writing: dict[str, ThumbnailLocation] = field(default_factory=dict)

    def count(self, outcome: Outcome, number: int = 1) -> None:
        """Add users to an outcome."""
        self.counts[outcome.value] = self.counts.get(outcome.value, 0) + number

    def done(self) -> int:
        """Users that have an outcome other than `deferred`."""
        return sum(n for name, n in self.counts.items() if name != Outcome.DEFERRED.value)

    def end(self, moment: str) -> None:
        """Close the accounts: whoever was not reached is `deferred`, so that the counts add up."""
        self.counts[Outcome.DEFERRED.value] = max(0, self.in_scope - self.done())
        self.ended = moment

    @property
    def finished(self) -> bool:
        """Whether no firing needs to take it up again."""
        return self.status == COMPLETED

    def to_json(self) -> dict[str, Any]:
        """The document, as the contract names its fields."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "version": self.version,
            "trigger": self.trigger,
            "mode": self.mode,
            "scope": self.scope,
            "started": self.started,
            "updated": self.updated,
            "ended": self.ended or None,
            "status": self.status,
            "reason": self.reason or None,
            "firings": self.firings,
            "cursor": self.cursor or None,
            "listed": self.listed,
            "previousListed": self.previous_listed,
            "inScope": self.in_scope,
            "counts": {o.value: self.counts.get(o.value, 0) for o in Outcome},
            "requests": dict(self.requests),
            "throttled": self.throttled,
            "bytes": {"received": self.received, "sent": self.sent},
            "sourceFault": self.source_fault or None,
            "removals": {
                "candidates": self.removal_candidates,
                "removed": self.counts.get(Outcome.REMOVED.value, 0),
                "failed": self.removals_failed,
                "heldBack": self.removals_held_back,
                "limit": self.removal_limit,
                "note": self.removal_note or None,
            },
            "reverified": self.reverified,
            "writing": {user_id: asdict(place) for user_id, place in self.writing.items()},
        }


def from_json(document: dict[str, Any]) -> Run | None:
    """The run in a document; None for the empty document that only carries the lease.

    Raises:
        BrokenState: it is no run.
    """
    if document.get("status") == "none":
        return None
    try:
        removals = document["removals"]
        run = Run(
            id=as_text(document["id"]),
            version=as_text(document["version"]),
            trigger=as_text(document["trigger"]),
            mode=as_text(document["mode"]),
            scope=as_text(document["scope"]),
            started=as_moment(document["started"]),
            updated=_maybe_moment(document["updated"]),
            ended=_maybe_moment(document["ended"]),
            status=as_text(document["status"]),
            reason=as_text(document["reason"] or ""),
            firings=as_count(document["firings"]),
            cursor=_cursor(document["cursor"] or ""),
            listed=as_count(document["listed"]),
            previous_listed=_maybe(document["previousListed"]),
            in_scope=as_count(document["inScope"]),
            counts={Outcome(k).value: as_count(v) for k, v in document["counts"].items()},
            requests={as_text(k): as_count(v) for k, v in document["requests"].items()},
            throttled=as_count(document["throttled"]),
            received=as_count(document["bytes"]["received"]),
            sent=as_count(document["bytes"]["sent"]),
            source_fault=as_text(document["sourceFault"] or ""),
            removal_candidates=as_count(removals["candidates"]),
            removals_failed=as_count(removals.get("failed", 0)),
            removals_held_back=as_count(removals["heldBack"]),
            removal_limit=_maybe(removals["limit"]),
            removal_note=as_text(removals["note"] or ""),
            reverified=as_count(document["reverified"]),
            writing={_cursor(k): as_place(v) for k, v in document["writing"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise BrokenState("no run in it") from None
    if run.status not in _STATUSES or run.mode not in {SYNC, DRY_RUN}:
        raise BrokenState("no run in it")
    return run


def next_run(
    previous: Run | None,
    *,
    run_id: str,
    version: str,
    mode: str,
    scope: str,
    now: float,
    interval: float,
) -> tuple[Run | None, Run | None]:
    """Which run a firing works on, and which one it closes.

    A finished run keeps the next one waiting until `interval` seconds after its start; an
    unfinished one is taken up again, unless it is older than `STALE_SECONDS` or was made in
    another mode or for another scope: then it is closed and a new one started. A dry run never
    keeps a real one waiting.

    Returns:
        The run to work on, or None when there is nothing to do; the run to close as interrupted,
        or None.
    """
    if previous:
        same = previous.mode == mode and previous.scope == scope
        age = now - seconds_of(previous.started)
        # A start in the future was written by a clock that was wrong: it must not block for ever.
        if previous.finished and previous.mode == mode and abs(age) < interval:
            return None, None
        if not previous.finished and same and abs(age) <= STALE_SECONDS:
            previous.firings += 1
            return previous, None
    started = iso(now)
    if previous and started == previous.started:
        # Two runs in one millisecond would share their report.
        started = iso(seconds_of(previous.started) + 0.0015)
    run = Run(
        id=run_id,
        version=version,
        trigger="timer",
        mode=mode,
        scope=scope,
        started=started,
        previous_listed=(previous.listed or previous.previous_listed) if previous else None,
    )
    if previous:
        run.writing = dict(previous.writing)
    if previous and previous.scope != scope:
        run.source_fault = "the scope settings changed since the last run"
    return run, None if previous is None or previous.finished else previous


def _maybe_moment(value: Any) -> str:
    return as_moment(value) if value else ""


def _cursor(value: Any) -> str:
    cursor = as_text(value)
    if cursor and not is_object_id(cursor):
        raise ValueError("no object id")
    return cursor


def _maybe(value: Any) -> int | None:
    return None if value is None else as_count(value)
