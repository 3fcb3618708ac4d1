"""What to do with a user. Pure: no clock, no network, no storage.

A user's turn has two decisions. `on_version`: is the recorded photo the one Exchange has? When only
the bytes can tell, `on_bytes` decides again with their digest.

A record's photo with an empty digest is a claim withdrawn: its files are ours, but a write to them
was begun and not finished, so nothing is known of what they hold.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from shared.checkpoint.records import Failing, Missing, Photo, Record, iso, seconds_of
from shared.errors import InvalidPhoto
from shared.graph.photo_versions import NoPhoto, Seen, Unknown, Version
from shared.model import Outcome

LONGEST_RETRY_DAYS = 28

ON_DEMAND = "on-demand"
"""Takes the place of a run's id in records that a call for one user wrote."""

_DAY_SECONDS = 86_400
_FAILURES = frozenset({Outcome.FAILED, Outcome.INVALID_PHOTO})


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings and the run allow.

    Attributes:
        now: seconds since the epoch.
        run: id of the run, or `ON_DEMAND`.
        remove: REMOVE_PHOTOS.
        confirmations: REMOVAL_CONFIRMATIONS.
        trust_missing: False when the source is in doubt: then nothing counts as gone.
        reverify_days: REVERIFY_DAYS; 0 for never, or for no more in this run.
        force: write and remove whatever is recorded (a call for one user only).
    """

    now: float
    run: str
    remove: bool = True
    confirmations: int = 2
    trust_missing: bool = True
    reverify_days: int = 30
    force: bool = False

    @property
    def on_demand(self) -> bool:
        """Whether this is a call for one user."""
        return self.run == ON_DEMAND

    @property
    def today(self) -> date:
        """UTC date."""
        return datetime.fromtimestamp(self.now, UTC).date()


@dataclass(frozen=True, slots=True)
class Settle:
    """The turn ends here.

    Attributes:
        outcome: of the user.
        detail: one sentence, may be empty.
        record: to save; None leaves the checkpoint as it is.
        error: the reason of a failure, for the judgement of the run.
    """

    outcome: Outcome
    detail: str = ""
    record: Record | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read the bytes, then ask `on_bytes`.

    Attributes:
        etag: the version that was seen.
        verify: it is time to look whether SharePoint still shows it, if it is the recorded one.
    """

    etag: str
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Clear SharePoint: the photo is gone from Exchange, confirmed."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the thumbnails and the profile."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Nothing is recorded: only note the picture if SharePoint already shows exactly it."""


@dataclass(frozen=True, slots=True)
class Check:
    """Look whether SharePoint still shows the recorded picture; write it again if not."""


type OnVersion = Settle | Fetch | Remove
type OnBytes = Settle | Write | Adopt | Check


def on_version(seen: Seen, record: Record | None, upn: str, policy: Policy) -> OnVersion:
    """First decision, from the photo's version."""
    if isinstance(seen, Unknown):
        if record and _must_wait(record, policy):
            return _waiting(record)
        return failed(record, upn, policy, str(seen.error), error=seen.error)
    if isinstance(seen, NoPhoto):
        return _on_no_photo(seen, record, upn, policy)
    if record is None or policy.force:
        return Fetch(seen.etag)
    if record.photo and seen.etag and seen.etag == record.photo.etag:
        return _on_same_version(seen, record, upn, policy)
    replaced = bool(seen.etag and record.failing and seen.etag != record.failing.etag)
    if not replaced and _must_wait(record, policy):
        return _waiting(record)
    return Fetch(seen.etag, verify=_is_due(record, policy))


def on_bytes(digest: str, fetch: Fetch, record: Record | None, policy: Policy) -> OnBytes:
    """Second decision, from the digest of Exchange's bytes (SHA-256, hexadecimal)."""
    if policy.force:
        return Write()
    if record is None or record.photo is None:
        return Adopt()
    if digest != record.photo.sha256:
        return Write()
    if fetch.verify:
        return Check()
    outcome = _written_in_this_run(record, policy) or Outcome.UNCHANGED
    if not fetch.etag and not record.failing and not record.missing:
        return Settle(outcome)
    photo = replace(record.photo, etag=fetch.etag)
    return Settle(outcome, record=done(record, record.upn, policy, photo=photo, outcome=outcome))


def failed(
    record: Record | None,
    upn: str,
    policy: Policy,
    detail: str,
    *,
    error: Exception | None = None,
    etag: str = "",
) -> Settle:
    """The user failed: note when to try again, later each time (1, 2, 4 … at most 28 days).

    Args:
        record: what is known so far.
        upn: user principal name.
        policy: of the run.
        detail: why, one sentence.
        error: the reason; `InvalidPhoto` has an outcome of its own and the same patience.
        etag: version of the photo that failed; a newer one is tried at once.
    """
    outcome = Outcome.INVALID_PHOTO if isinstance(error, InvalidPhoto) else Outcome.FAILED
    before = record.failing if record else None
    counted = record is not None and record.run == policy.run and record.outcome in _FAILURES
    if before and (counted or policy.on_demand):
        # Neither a resumed run nor an operator who keeps trying postpones the next attempt.
        count, retry_on = before.count, before.retry_on
    else:
        count = (before.count if before else 0) + 1
        days = min(LONGEST_RETRY_DAYS, 2 ** min(count - 1, 10))
        retry_on = (policy.today + timedelta(days=days)).isoformat()
    noted = replace(
        record or Record(upn, outcome, "", ""),
        upn=upn,
        outcome=outcome,
        detail=detail,
        checked_at=iso(policy.now),
        run=policy.run,
        failing=Failing(count, retry_on, etag),
    )
    return Settle(outcome, detail, noted, error)


def done(
    record: Record | None,
    upn: str,
    policy: Policy,
    *,
    photo: Photo | None,
    outcome: Outcome = Outcome.UNCHANGED,
    verified: bool = False,
) -> Record:
    """The record of a user with whom all is well now: no failure, nothing missing.

    Args:
        record: what was known.
        upn: user principal name.
        policy: of the run.
        photo: what SharePoint shows because of us.
        outcome: of this turn.
        verified: SharePoint was seen to show it, or has just been written.
    """
    now = iso(policy.now)
    before = record.verified_at if record else ""
    return Record(
        upn=upn,
        outcome=outcome,
        checked_at=now,
        run=policy.run,
        photo=photo,
        verified_at=(now if verified or not before else before) if photo else "",
    )


def withdrawn(record: Record, policy: Policy) -> Record:
    """The record while its files are being overwritten: they are ours, and claim nothing."""
    photo = record.photo.withdrawn() if record.photo else None
    return replace(record, photo=photo, checked_at=iso(policy.now))


def is_confirmed(record: Record, run: str, confirmations: int) -> bool:
    """Whether this run found the user's photo gone for as many runs as removal needs."""
    missing = record.missing
    return (
        record.photo is not None
        and record.outcome is Outcome.REMOVAL_PENDING
        and missing is not None
        and missing.run == run
        and missing.runs >= confirmations
    )


def _on_same_version(seen: Version, record: Record, upn: str, policy: Policy) -> OnVersion:
    failing = record.failing
    looked = failing is not None and failing.etag == seen.etag
    if looked and _must_wait(record, policy):
        return _waiting(record)
    if record.missing or (failing and not looked):
        # Whatever went wrong meanwhile never touched SharePoint: the claim still stands.
        return Settle(Outcome.UNCHANGED, record=done(record, upn, policy, photo=record.photo))
    if _is_due(record, policy):
        return Fetch(seen.etag, verify=True)
    if failing:
        return Settle(Outcome.UNCHANGED, record=done(record, upn, policy, photo=record.photo))
    # Done earlier in this very run, before it was interrupted: it counts as what it was.
    return Settle(_written_in_this_run(record, policy) or Outcome.UNCHANGED)


def _on_no_photo(seen: NoPhoto, record: Record | None, upn: str, policy: Policy) -> Settle | Remove:
    if record is None or record.photo is None:
        healed = None
        if record and record.failing:
            healed = done(record, upn, policy, photo=None, outcome=Outcome.NO_PHOTO)
        return Settle(Outcome.NO_PHOTO, record=healed)
    if not seen.certain:
        if _must_wait(record, policy):
            return _waiting(record)
        return failed(record, upn, policy, "the mailbox cannot be reached through Graph")
    if not policy.remove:
        return Settle(Outcome.REMOVAL_PENDING, "gone from Exchange; REMOVE_PHOTOS is false")
    if policy.force:
        return Remove()
    if not policy.trust_missing:
        return Settle(Outcome.REMOVAL_PENDING, "gone from Exchange; not counted in this run")
    return _count_missing(record, record.photo, upn, policy)


def _count_missing(record: Record, photo: Photo, upn: str, policy: Policy) -> Settle | Remove:
    before = record.missing
    # Only a removal that was begun and failed is a failure that lasts while there is no photo.
    failing = record.failing if before and not photo.sha256 else None
    if failing and _must_wait(record, policy):
        return _waiting(record)
    if before and before.run == policy.run:
        runs = before.runs
    else:
        runs = min((before.runs if before else 0) + 1, policy.confirmations)
    if policy.on_demand and before and runs >= policy.confirmations:
        return Remove()
    detail = f"gone from Exchange, found so by {runs} of {policy.confirmations} runs"
    noted = replace(
        record,
        upn=upn,
        outcome=Outcome.REMOVAL_PENDING,
        detail=detail,
        checked_at=iso(policy.now),
        run=policy.run,
        missing=Missing(runs, policy.run),
        failing=failing,
    )
    return Settle(Outcome.REMOVAL_PENDING, detail, noted if noted.missing != before else None)


def _is_due(record: Record, policy: Policy) -> bool:
    """Whether SharePoint was last looked at so long ago that it is time to look again."""
    if not record.photo or not record.photo.sha256 or not policy.reverify_days:
        return False
    age = policy.now - seconds_of(record.verified_at)
    return age >= policy.reverify_days * _DAY_SECONDS


def _must_wait(record: Record, policy: Policy) -> bool:
    """Whether it is too early to try again after a failure; a call for one user never waits."""
    failing = record.failing
    return bool(failing and policy.today.isoformat() < failing.retry_on and not policy.on_demand)


def _waiting(record: Record) -> Settle:
    retry_on = record.failing.retry_on if record.failing else ""
    return Settle(record.outcome, f"{record.detail} (next attempt on {retry_on})")


def _written_in_this_run(record: Record, policy: Policy) -> Outcome | None:
    """What was done for the user earlier in this run, before it was interrupted."""
    written = record.outcome in {Outcome.UPDATED, Outcome.REPAIRED}
    return record.outcome if written and record.run == policy.run and not policy.on_demand else None
