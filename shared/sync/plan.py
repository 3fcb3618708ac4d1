"""What to do with a user. Pure: no clock, no network, no storage.

There are two decisions. `on_version`: is the recorded photo the one that Exchange has? When only
the bytes can tell, `on_bytes` decides again with their digest.

A record whose photo has an empty digest claims nothing: the files are ours, but a write to them was
begun and not finished, so their content is unknown.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from shared.checkpoint import Failing, Missing, Photo, Record, iso, seconds_of
from shared.errors import InvalidPhoto, NotFound, UserUnknown
from shared.graph import NoPhoto, Seen, Unknown, Version
from shared.model import Outcome, ThumbnailLocation, User

LONGEST_RETRY_DAYS = 28

ON_DEMAND = "on-demand"
"""Takes the place of a run's id in records that a call for one user wrote."""

_FAILURES = frozenset({Outcome.FAILED, Outcome.INVALID_PHOTO})


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings and the run allow.

    Attributes:
        now: seconds since the epoch.
        run: id of the run, or `ON_DEMAND`.
        remove: REMOVE_PHOTOS.
        confirmations: REMOVAL_CONFIRMATIONS.
        trust_missing: False when the list of users is in doubt: then nothing counts as gone.
        reverify_days: REVERIFY_DAYS; 0 for never.
        leaver_days: LEAVER_DAYS; 0 for never.
        looks: whether there is time to look again at photos that did not change.
        force: write and remove whatever is recorded (a call for one user only).
        nights_agree: the last nightly run held no removals back (a call for one user only).
    """

    now: float
    run: str
    remove: bool = True
    confirmations: int = 2
    trust_missing: bool = True
    reverify_days: int = 30
    leaver_days: int = 30
    looks: bool = True
    force: bool = False
    nights_agree: bool = False

    @property
    def on_demand(self) -> bool:
        """Whether this is a call for one user."""
        return self.run == ON_DEMAND

    @property
    def today(self) -> date:
        """UTC date."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def day(self, days: int) -> str:
        """The UTC date so many days from today, as records write it."""
        return (self.today + timedelta(days=days)).isoformat()


@dataclass(frozen=True, slots=True)
class Settled:
    """The user is finished.

    Attributes:
        outcome: of the user.
        detail: one sentence, may be empty.
        record: to save; None leaves the checkpoint as it is.
        error: the reason of a failure.
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
        verify: look whether SharePoint still shows the photo, if it is the recorded one.
    """

    etag: str
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Clear SharePoint: the photo is gone from Exchange, confirmed."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the thumbnails and the profile.

    Attributes:
        outcome: of the user when that succeeds.
    """

    outcome: Outcome = Outcome.UPDATED


@dataclass(frozen=True, slots=True)
class Adopt:
    """Nothing is recorded: only note the picture if SharePoint already shows exactly it."""


@dataclass(frozen=True, slots=True)
class Check:
    """Look whether SharePoint still shows the recorded picture; write it again if not."""


type OnVersion = Settled | Fetch | Remove
type OnBytes = Settled | Write | Adopt | Check


def on_version(seen: Seen, record: Record | None, user: User, policy: Policy) -> OnVersion:
    """First decision, from the photo's version."""
    if isinstance(seen, Unknown):
        return _on_unknown(seen, record, user, policy)
    if isinstance(seen, NoPhoto):
        return _on_no_photo(record, user, policy)
    if record is None or policy.force:
        return Fetch(seen.etag)
    if record.photo and seen.etag and seen.etag == record.photo.etag:
        return _on_same_version(seen, record, user, policy)
    replaced = bool(seen.etag and record.failing and seen.etag != record.failing.etag)
    if not replaced and _must_wait(record, policy):
        return _waiting(record)
    return Fetch(seen.etag, verify=_is_due(record, user, policy))


def on_bytes(
    digest: str, fetch: Fetch, record: Record | None, user: User, policy: Policy
) -> OnBytes:
    """Second decision, from the digest of Exchange's bytes (SHA-256, hexadecimal)."""
    if policy.force:
        return Write()
    if record is None or record.photo is None:
        return Adopt()
    if digest != record.photo.sha256:
        return Write()
    if _is_named_after_a_person(record.photo.location, user):
        return Write(Outcome.REPAIRED)
    if fetch.verify:
        return Check()
    outcome = _written_in_this_run(record, policy) or Outcome.UNCHANGED
    if not fetch.etag and not record.failing and not record.missing:
        return Settled(outcome)
    photo = replace(record.photo, etag=fetch.etag)
    return Settled(outcome, record=done(record, user, policy, photo=photo, outcome=outcome))


def failed(
    record: Record | None,
    user: User,
    policy: Policy,
    detail: str,
    *,
    error: Exception | None = None,
    etag: str = "",
) -> Settled:
    """The user failed: note when to try again, later each time (1, 2, 4 … at most 28 days).

    Args:
        record: what is known so far.
        user: who.
        policy: of the run.
        detail: why, one sentence.
        error: the reason; `InvalidPhoto` has an outcome of its own and the same waiting times.
        etag: version of the photo that failed; another one is tried at once.
    """
    outcome = Outcome.INVALID_PHOTO if isinstance(error, InvalidPhoto) else Outcome.FAILED
    before = record.failing if record else None
    counted = record is not None and record.run == policy.run and record.outcome in _FAILURES
    if before and (counted or policy.on_demand):
        # Neither a resumed run nor an operator who keeps trying postpones the next attempt.
        count, retry_on = before.count, before.retry_on
    else:
        count = (before.count if before else 0) + 1
        retry_on = policy.day(min(LONGEST_RETRY_DAYS, 2 ** min(count - 1, 10)))
    noted = replace(
        record or Record(user.upn, outcome, "", ""),
        upn=user.upn,
        outcome=outcome,
        detail=detail,
        checked_at=iso(policy.now),
        run=policy.run,
        failing=Failing(count, retry_on, etag),
    )
    return Settled(outcome, detail, noted, error)


def done(
    record: Record | None,
    user: User,
    policy: Policy,
    *,
    photo: Photo | None,
    outcome: Outcome = Outcome.UNCHANGED,
    verified: bool = False,
) -> Record:
    """The record of a user with whom all is well now: no failure, nothing missing.

    Args:
        record: what was known.
        user: who.
        policy: of the run.
        photo: what SharePoint shows because of us.
        outcome: of this attempt.
        verified: SharePoint was seen to show it, or has just been written.
    """
    now = iso(policy.now)
    before, look = (record.verified_at, record.verify_on) if record else ("", "")
    if verified or not before:
        before = now
        # Whoever is written in one night is looked at again in many: a look keeps its distance.
        early = 0 if outcome is Outcome.UNCHANGED else _spread(user, policy.reverify_days)
        look = policy.day(policy.reverify_days - early) if policy.reverify_days else ""
    return Record(
        upn=user.upn,
        outcome=outcome,
        checked_at=now,
        run=policy.run,
        photo=photo,
        verified_at=before if photo else "",
        verify_on=look if photo else "",
    )


def withdrawn(
    record: Record | None, user: User, location: ThumbnailLocation, policy: Policy
) -> Record:
    """The record while files are being written: they are ours, and their content is unknown."""
    now = iso(policy.now)
    known = record or Record(user.upn, Outcome.DEFERRED, now, policy.run)
    return replace(
        known,
        upn=user.upn,
        checked_at=now,
        photo=Photo("", "", location),
        verified_at=known.verified_at or now,
    )


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


def look_on(record: Record, user: User, reverify_days: int) -> date:
    """The day on which SharePoint is looked at again.

    At the latest so many days after the last look, also when REVERIFY_DAYS was longer then.
    Records of version 1 have no date of their own and are spread here.
    """
    seen = datetime.fromtimestamp(seconds_of(record.verified_at), UTC).date()
    latest = seen + timedelta(days=reverify_days)
    if record.verify_on:
        return min(latest, date.fromisoformat(record.verify_on))
    return latest - timedelta(days=_spread(user, reverify_days))


def _spread(user: User, reverify_days: int) -> int:
    """Days by which this user's look comes early: up to half of the time, fixed by the id."""
    return int(user.id[-4:], 16) % (reverify_days // 2 + 1)


def _on_unknown(seen: Unknown, record: Record | None, user: User, policy: Policy) -> Settled:
    """Graph did not say whether there is a photo; a picture of ours stays in any case."""
    proves_nothing = isinstance(seen.error, NotFound | UserUnknown)
    if proves_nothing and (record is None or record.photo is None):
        return Settled(Outcome.NO_PHOTO)
    if record and _must_wait(record, policy):
        return _waiting(record)
    return failed(record, user, policy, str(seen.error), error=seen.error)


def _on_same_version(seen: Version, record: Record, user: User, policy: Policy) -> OnVersion:
    failing = record.failing
    looked = failing is not None and failing.etag == seen.etag
    if looked and _must_wait(record, policy):
        return _waiting(record)
    if record.photo and _is_named_after_a_person(record.photo.location, user):
        return Fetch(seen.etag)
    if record.missing or (failing and not looked):
        # Whatever went wrong meanwhile never touched SharePoint: the claim still stands.
        return Settled(Outcome.UNCHANGED, record=done(record, user, policy, photo=record.photo))
    if _is_due(record, user, policy):
        return Fetch(seen.etag, verify=True)
    if failing:
        return Settled(Outcome.UNCHANGED, record=done(record, user, policy, photo=record.photo))
    # Done earlier in this very run, before it was interrupted: it counts as what it was.
    return Settled(_written_in_this_run(record, policy) or Outcome.UNCHANGED)


def _on_no_photo(record: Record | None, user: User, policy: Policy) -> Settled | Remove:
    if record is None or record.photo is None:
        healed = None
        if record and record.failing:
            healed = done(record, user, policy, photo=None, outcome=Outcome.NO_PHOTO)
        return Settled(Outcome.NO_PHOTO, record=healed)
    if not policy.remove:
        return Settled(
            Outcome.REMOVAL_PENDING, "the photo is gone from Exchange; REMOVE_PHOTOS is false"
        )
    if policy.force:
        return Remove()
    if policy.on_demand:
        return _on_no_photo_in_a_call(record, policy)
    if not policy.trust_missing:
        return Settled(
            Outcome.REMOVAL_PENDING,
            "the photo is gone from Exchange; this run does not count it, because the list of "
            "users is in doubt",
        )
    return _count_missing(record, record.photo, user, policy)


def _on_no_photo_in_a_call(record: Record, policy: Policy) -> Settled | Remove:
    """What a call sees is no confirmation; it only carries out what the nights have confirmed."""
    runs = record.missing.runs if record.missing else 0
    if runs >= policy.confirmations and policy.nights_agree:
        return Remove()
    return Settled(
        Outcome.REMOVAL_PENDING,
        f"the photo is gone from Exchange; {runs} of {policy.confirmations} nightly runs have "
        "confirmed it. The picture stays until then; to remove it now, call with force=true",
    )


def _count_missing(record: Record, photo: Photo, user: User, policy: Policy) -> Settled:
    before = record.missing
    # Only a removal that was begun and failed is a failure that lasts while there is no photo.
    failing = record.failing if before and not photo.sha256 else None
    if failing and _must_wait(record, policy):
        return _waiting(record)
    if before and before.run == policy.run:
        runs = before.runs
    else:
        runs = min((before.runs if before else 0) + 1, policy.confirmations)
    detail = (
        f"the photo is gone from Exchange, confirmed by {runs} of {policy.confirmations} nightly "
        "runs"
    )
    noted = replace(
        record,
        upn=user.upn,
        outcome=Outcome.REMOVAL_PENDING,
        detail=detail,
        checked_at=iso(policy.now),
        run=policy.run,
        missing=Missing(runs, policy.run),
        failing=failing,
    )
    return Settled(Outcome.REMOVAL_PENDING, detail, noted if noted.missing != before else None)


def _is_due(record: Record, user: User, policy: Policy) -> bool:
    """Whether SharePoint was last looked at so long ago that it is time to look again."""
    if not record.claims or not policy.reverify_days or not policy.looks:
        return False
    return policy.today >= look_on(record, user, policy.reverify_days)


def _is_named_after_a_person(location: ThumbnailLocation, user: User) -> bool:
    """Whether version 1 named the files after the user: such names are not unique."""
    return location.prefix.lower() != user.id


def _must_wait(record: Record, policy: Policy) -> bool:
    """Whether it is too early to try again after a failure; a call for one user never waits."""
    failing = record.failing
    return bool(failing and policy.day(0) < failing.retry_on and not policy.on_demand)


def _waiting(record: Record) -> Settled:
    retry_on = record.failing.retry_on if record.failing else ""
    return Settled(record.outcome, f"{record.detail} (next attempt on {retry_on})")


def _written_in_this_run(record: Record, policy: Policy) -> Outcome | None:
    """What was done for the user earlier in this run, before it was interrupted."""
    written = record.outcome in {Outcome.UPDATED, Outcome.REPAIRED}
    return record.outcome if written and record.run == policy.run and not policy.on_demand else None
