"""The run as a document: `run.json` while it goes on, `runs/<started>.json` when it ends. Pure."""

from dataclasses import dataclass, field
from typing import Any

from shared.checkpoint.documents import (
    SCHEMA,
    UNREADABLE,
    as_count,
    as_moment,
    as_text,
    as_user_id,
    iso,
    seconds_of,
)
from shared.checkpoint.records import as_location
from shared.errors import BrokenState
from shared.model import Outcome, ThumbnailLocation

RUNNING = "running"
COMPLETED = "completed"
INTERRUPTED = "interrupted"
STOPPED = "stopped"
_STATUSES = frozenset({RUNNING, COMPLETED, INTERRUPTED, STOPPED})

SYNC = "sync"
DRY_RUN = "dry-run"
_MODES = frozenset({SYNC, DRY_RUN})

LISTING = "listing"
USERS = "users"
CLEARING = "clearing"
DONE = "done"
_PHASES = ("", LISTING, USERS, CLEARING, DONE)
"""In this order: list who is in scope, synchronize them, remove what is to be removed. A run
without a phase cannot be resumed."""

STALE_SECONDS = 48 * 3600
"""An unfinished run older than this is closed, and a new one started."""

_WORKING_STATE = frozenset(
    {"phase", "cursor", "shard", "deferredUsers", "putAside", "clearing", "writing"}
    | {"confirmations", "candidates"}
)
"""Fields that only the program needs, to resume the run."""


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
        phase: "listing", "users", "clearing", "done"; "" in documents of version 1.
        cursor: object id up to which every user is counted, deferred, put aside or a candidate for
            removal.
        shard: name of the last shard whose users and records were all seen.
        deferred: ids of users up to the cursor who were not finished; they come first.
        put_aside: ids of users up to the cursor whose request failed; they are tried again last.
        clearing: names of the shards with removals or leavers that are still to be carried out.
        confirmations: REMOVAL_CONFIRMATIONS when the run began, so that who is counted as a
            candidate stays one; 0 in documents that do not say.
        candidates: ids of the candidates for removal, in a dry run only: it saves no records that
            would tell.
        listed: users in the complete listing; 0 while it is not complete.
        previous_listed: the same of the run before, None when there is none to compare with.
        filter_refused: Graph refuses the default filter; that of version 1 is used.
        counts: users per outcome; they only grow. `deferred` is derived, see `count_of`.
        requests: HTTP requests per service, retries included.
        throttled: responses 429, or 503 that asked to wait; throttled batch items are one.
        received, sent: bytes of bodies.
        source_fault: why the list of users is not trusted; then nothing is removed.
        photos: records with files of ours, in the shards seen so far.
        removal_candidates: users whose photo is confirmed gone in this run.
        removals_failed: of them, those whose removal was tried and failed.
        removals_held_back: of them, those not removed because of the limit or a doubt.
        removal_limit: most removals allowed, leavers included; None before that is decided.
        removal_note: why removals were held back.
        leaver_candidates: users who left the directory LEAVER_DAYS ago.
        leavers_cleared: of them, those whose thumbnails and record are gone.
        leavers_held_back: of them, those left alone because of the limit or a doubt.
        reverified: users looked at because of REVERIFY_DAYS.
        writing: where version 1 was writing for the first time when it died.
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
    phase: str = LISTING
    cursor: str = ""
    shard: str = ""
    deferred: list[str] = field(default_factory=list)
    put_aside: list[str] = field(default_factory=list)
    clearing: list[str] = field(default_factory=list)
    confirmations: int = 0
    candidates: list[str] = field(default_factory=list)
    listed: int = 0
    previous_listed: int | None = None
    filter_refused: bool = False
    counts: dict[Outcome, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=lambda: {"graph": 0, "sharepoint": 0})
    throttled: int = 0
    received: int = 0
    sent: int = 0
    source_fault: str = ""
    photos: int = 0
    removal_candidates: int = 0
    removals_failed: int = 0
    removals_held_back: int = 0
    removal_limit: int | None = None
    removal_note: str = ""
    leaver_candidates: int = 0
    leavers_cleared: int = 0
    leavers_held_back: int = 0
    reverified: int = 0
    writing: dict[str, ThumbnailLocation] = field(default_factory=dict)

    def count(self, outcome: Outcome, number: int = 1) -> None:
        """Add users to an outcome."""
        self.counts[outcome] = self.counts.get(outcome, 0) + number

    def count_of(self, outcome: Outcome) -> int:
        """Users with an outcome; whoever has none yet is `deferred`."""
        if outcome is Outcome.DEFERRED:
            return max(0, self.listed - sum(self.counts.values()))
        return self.counts.get(outcome, 0)

    @property
    def finished(self) -> bool:
        """Whether no firing needs to take it up again."""
        return self.status == COMPLETED

    def to_json(self) -> dict[str, Any]:
        """The whole document."""
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
            "phase": self.phase,
            "cursor": self.cursor or None,
            "shard": self.shard or None,
            "deferredUsers": self.deferred,
            "putAside": self.put_aside,
            "clearing": self.clearing,
            "confirmations": self.confirmations,
            "candidates": self.candidates,
            "listed": self.listed,
            "previousListed": self.previous_listed,
            "filterRefused": self.filter_refused,
            "inScope": self.listed,
            "counts": {outcome.value: self.count_of(outcome) for outcome in Outcome},
            "requests": dict(self.requests),
            "throttled": self.throttled,
            "bytes": {"received": self.received, "sent": self.sent},
            "sourceFault": self.source_fault or None,
            "removals": {
                "photos": self.photos,
                "candidates": self.removal_candidates,
                "removed": self.count_of(Outcome.REMOVED),
                "failed": self.removals_failed,
                "heldBack": self.removals_held_back,
                "limit": self.removal_limit,
                "note": self.removal_note or None,
            },
            "leavers": {
                "candidates": self.leaver_candidates,
                "cleared": self.leavers_cleared,
                "heldBack": self.leavers_held_back,
            },
            "reverified": self.reverified,
            # Version 1 reads this field: so its way back stays open.
            "writing": {},
        }

    def report(self) -> dict[str, Any]:
        """The document without what only the program needs to resume the run."""
        return {k: v for k, v in self.to_json().items() if k not in _WORKING_STATE}


def from_json(document: dict[str, Any]) -> Run | None:
    """The run in a document; None for the empty document that only carries the lease.

    Raises:
        BrokenState: it is no run.
    """
    if document.get("status") == "none":
        return None
    try:
        removals, leavers = document["removals"], document.get("leavers", {})
        counts = {Outcome(k): as_count(v) for k, v in document["counts"].items()}
        counts.pop(Outcome.DEFERRED, None)
        run = Run(
            id=as_text(document["id"]),
            version=as_text(document["version"]),
            trigger=as_text(document["trigger"]),
            mode=_one_of(_MODES, document["mode"]),
            scope=as_text(document["scope"]),
            started=as_moment(document["started"]),
            updated=_moment_or_none(document["updated"]),
            ended=_moment_or_none(document["ended"]),
            status=_one_of(_STATUSES, document["status"]),
            reason=as_text(document["reason"] or ""),
            firings=as_count(document["firings"]),
            phase=_one_of(_PHASES, document["phase"]) if "phase" in document else "",
            cursor=as_user_id(document["cursor"]) if document["cursor"] else "",
            shard=as_text(document.get("shard") or ""),
            deferred=[as_user_id(value) for value in document.get("deferredUsers", ())],
            put_aside=[as_user_id(value) for value in document.get("putAside", ())],
            clearing=[as_text(value) for value in document.get("clearing", ())],
            confirmations=as_count(document.get("confirmations", 0)),
            candidates=[as_user_id(value) for value in document.get("candidates", ())],
            # Version 1 counted all users of a run, also those who left its list between firings.
            listed=as_count(document["listed" if "phase" in document else "inScope"]),
            previous_listed=_count_or_none(document["previousListed"]),
            filter_refused=document.get("filterRefused", False) is True,
            counts=counts,
            requests={as_text(k): as_count(v) for k, v in document["requests"].items()},
            throttled=as_count(document["throttled"]),
            received=as_count(document["bytes"]["received"]),
            sent=as_count(document["bytes"]["sent"]),
            source_fault=as_text(document["sourceFault"] or ""),
            photos=as_count(removals.get("photos", 0)),
            removal_candidates=as_count(removals["candidates"]),
            removals_failed=as_count(removals.get("failed", 0)),
            removals_held_back=as_count(removals["heldBack"]),
            removal_limit=_count_or_none(removals["limit"]),
            removal_note=as_text(removals["note"] or ""),
            leaver_candidates=as_count(leavers.get("candidates", 0)),
            leavers_cleared=as_count(leavers.get("cleared", 0)),
            leavers_held_back=as_count(leavers.get("heldBack", 0)),
            reverified=as_count(document["reverified"]),
            writing={as_user_id(k): as_location(v) for k, v in document.get("writing", {}).items()},
        )
    except UNREADABLE:
        raise BrokenState("it is no run") from None
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
    unfinished one is resumed, unless it is older than `STALE_SECONDS`, has another mode or another
    scope, or comes from version 1: then it is closed and a new one started. A dry run never keeps
    a real one waiting.

    Returns:
        The run to work on, or None when there is nothing to do; the run to close as interrupted,
        or None.
    """
    if previous:
        age = now - seconds_of(previous.started)
        # A start in the future was written by a clock that was wrong: it must not block for ever.
        if previous.finished and previous.mode == mode and abs(age) < interval:
            return None, None
        same = previous.mode == mode and previous.scope == scope and bool(previous.phase)
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
        writing=dict(previous.writing) if previous else {},
    )
    if previous and previous.scope != scope:
        run.source_fault = "the scope settings changed since the last run"
    return run, None if previous is None or previous.finished else previous


def _one_of(accepted: frozenset[str] | tuple[str, ...], value: Any) -> str:
    if value not in accepted:
        raise ValueError("no such value")
    return str(value)


def _moment_or_none(value: Any) -> str:
    return as_moment(value) if value else ""


def _count_or_none(value: Any) -> int | None:
    return None if value is None else as_count(value)
