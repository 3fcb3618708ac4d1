"""What to do with a user: both decisions as tables."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.checkpoint import Failing, Missing, Photo, Record, iso
from shared.errors import Evidence, InvalidPhoto, NotFound, Unavailable, UserUnknown
from shared.graph import NoPhoto, Seen, Unknown, Version
from shared.model import Outcome, ThumbnailLocation, User
from shared.sync import plan
from shared.sync.plan import ON_DEMAND, Adopt, Check, Fetch, Policy, Remove, Settled, Write

UPN = "adele@contoso.com"
ID = "6ea91a8d-e32e-41a1-b7bd-d2d185ee0000"
USER = User(ID, UPN)
"""Their looks are spread by 0 days: the id ends in 0000."""
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC).timestamp()
DAY = 86_400.0
PLACE = ThumbnailLocation("https://contoso-my.sharepoint.com", "Profile Pictures", ID)
OLD_PLACE = ThumbnailLocation(PLACE.host, PLACE.folder, "adele_contoso_com")
PHOTO = Photo('"A"', "aa", PLACE)
WITHDRAWN = Photo("", "", PLACE)
OLD_PHOTO = Photo('"A"', "aa", OLD_PLACE)
DOWN = Unavailable(Evidence("graph", "GET", "https://graph.microsoft.com/v1.0/x", 503))


def policy(**changes: Any) -> Policy:
    return replace(Policy(now=NOW, run="run-9"), **changes)


def record(photo: Photo | None = PHOTO, *, days: float = 1, **changes: Any) -> Record:
    """A record as an earlier run left it, `days` ago."""
    then = iso(NOW - days * DAY)
    made = Record(UPN, Outcome.UPDATED, then, "run-8", photo=photo)
    return replace(made, **{"verified_at": then if photo else "", **changes})


def failing(*, count: int = 1, days: int = 1, etag: str = "", **changes: Any) -> Record:
    """A record of a failure whose next attempt is `days` from now."""
    day = (datetime.fromtimestamp(NOW, UTC).date() + timedelta(days=days)).isoformat()
    noted = {"outcome": Outcome.FAILED, "detail": "no luck", "failing": Failing(count, day, etag)}
    return record(**{"photo": None, **noted, **changes})


def gone(runs: int, run: str = "run-8", **changes: Any) -> Record:
    """A record of a user whose photo was found gone by so many runs."""
    noted = {"outcome": Outcome.REMOVAL_PENDING, "missing": Missing(runs, run), "run": run}
    return record(**{**noted, **changes})


def short(decision: object) -> object:
    """A decision as tables write it: an outcome, with a star when the record changes; or a step."""
    if isinstance(decision, Settled):
        return decision.outcome + ("*" if decision.record else "")
    return decision


A, B, NO_TAG, NONE = Version('"A"'), Version('"B"'), Version(""), NoPhoto()
LOST = Unknown(NotFound(Evidence("graph", "GET", "https://graph.microsoft.com/v1.0/x", 404)))
LEFT = Unknown(UserUnknown("the directory has no such user"))
UNKNOWN = Unknown(DOWN)
FETCH_A, FETCH_B = Fetch('"A"'), Fetch('"B"')
LOOK_A, LOOK_B = Fetch('"A"', verify=True), Fetch('"B"', verify=True)
CALL = {"run": ON_DEMAND}


@pytest.mark.parametrize(
    ("seen", "kept", "changes", "expected"),
    [
        # A photo, and nothing or something else recorded: the bytes decide.
        (A, None, {}, FETCH_A),
        (NO_TAG, None, {}, Fetch("")),
        (B, record(), {}, FETCH_B),
        (A, record(None), {}, FETCH_A),
        (A, record(WITHDRAWN), {}, FETCH_A),
        (NO_TAG, record(), {}, Fetch("")),
        # The recorded photo: nothing is done and nothing saved.
        (A, record(), {}, "unchanged"),
        (A, record(run="run-9"), {}, "updated"),
        (A, record(run="run-9", outcome=Outcome.REPAIRED), {}, "repaired"),
        (A, record(run="run-9", outcome=Outcome.UNCHANGED), {}, "unchanged"),
        (A, record(run=ON_DEMAND), CALL, "unchanged"),
        (A, record(), {"force": True}, FETCH_A),
        # Time to look again, whether the version tells a change or cannot.
        (A, record(days=29), {}, "unchanged"),
        (A, record(days=30), {}, LOOK_A),
        (A, record(days=400), {"reverify_days": 0}, "unchanged"),
        (B, record(days=30), {}, LOOK_B),
        (NO_TAG, record(days=30), {}, Fetch("", verify=True)),
        (A, record(WITHDRAWN, days=30), {}, FETCH_A),
        (A, record(days=30), {"looks": False}, "unchanged"),
        (A, record(days=5, verify_on="2026-03-10"), {}, LOOK_A),
        (A, record(days=5, verify_on="2026-03-11"), {}, "unchanged"),
        (A, record(days=30, verify_on="2026-12-31"), {}, LOOK_A),
        # Files that version 1 named after a person are written again under the object id.
        (A, record(OLD_PHOTO), {}, FETCH_A),
        (B, record(OLD_PHOTO), {}, FETCH_B),
        (A, failing(photo=OLD_PHOTO, etag='"A"'), {}, "failed"),
        # No photo, and none of ours: nothing to do, whatever is not known.
        (NONE, None, {}, "no_photo"),
        (LOST, None, {}, "no_photo"),
        (LOST, record(None), {}, "no_photo"),
        (LEFT, None, {}, "no_photo"),
        (LEFT, record(), {}, "failed*"),
        (NONE, record(None), {}, "no_photo"),
        (NONE, failing(days=9), {}, "no_photo*"),
        # Not knowing is a failure, never "no photo".
        (UNKNOWN, None, {}, "failed*"),
        (UNKNOWN, record(), {}, "failed*"),
        (UNKNOWN, gone(2), {}, "failed*"),
        (LOST, record(), {}, "failed*"),
        (LOST, gone(2), {}, "failed*"),
        # A failure waits for its date, but not a new photo and not an operator.
        (A, failing(etag='"A"'), {}, "failed"),
        (A, failing(etag='"A"', days=0), {}, FETCH_A),
        (A, failing(etag='"A"', days=-5), {}, FETCH_A),
        (B, failing(etag='"A"'), {}, FETCH_B),
        (A, failing(etag='"A"'), CALL, FETCH_A),
        (A, failing(etag='"A"', outcome=Outcome.INVALID_PHOTO), {}, "invalid_photo"),
        (NO_TAG, failing(), {}, "failed"),
        (A, failing(), {}, FETCH_A),
        (UNKNOWN, failing(), {}, "failed"),
        (UNKNOWN, failing(days=0), {}, "failed*"),
        (UNKNOWN, failing(), CALL, "failed*"),
        (LOST, failing(photo=PHOTO), {}, "failed"),
        # The recorded photo after a failure of something else: the claim still stands.
        (A, failing(photo=PHOTO), {}, "unchanged*"),
        (A, failing(photo=PHOTO, etag='"B"'), {}, "unchanged*"),
        (A, gone(1), {}, "unchanged*"),
        # The recorded photo after a failed look at it: the look waits, and then is repeated.
        (A, failing(photo=PHOTO, etag='"A"', verified_at=iso(NOW - 31 * DAY)), {}, "failed"),
        (A, failing(photo=PHOTO, etag='"A"', verified_at=iso(NOW - 31 * DAY)), CALL, LOOK_A),
        (A, failing(photo=PHOTO, etag='"A"', days=0, verified_at=iso(NOW - 31 * DAY)), {}, LOOK_A),
        (A, failing(photo=PHOTO, etag='"A"', days=0), {"reverify_days": 0}, "unchanged*"),
        # Gone: counted once a run, never beyond what is needed.
        (NONE, record(), {}, "removal_pending*"),
        (NONE, record(WITHDRAWN), {}, "removal_pending*"),
        (NONE, gone(1), {}, "removal_pending*"),
        (NONE, gone(2), {}, "removal_pending*"),
        (NONE, gone(1, "run-9"), {}, "removal_pending"),
        (NONE, failing(photo=PHOTO), {}, "removal_pending*"),
        # Gone, but not to be believed, or not to be removed: nothing is counted.
        (NONE, gone(1), {"trust_missing": False}, "removal_pending"),
        (NONE, gone(2), {"remove": False}, "removal_pending"),
        (NONE, gone(2), {"remove": False, "force": True, **CALL}, "removal_pending"),
        # A call for one user confirms nothing: it removes what the nights agree on, or when forced.
        (NONE, record(), CALL, "removal_pending"),
        (NONE, record(), {"confirmations": 1, "nights_agree": True, **CALL}, "removal_pending"),
        (NONE, gone(1), {"nights_agree": True, **CALL}, "removal_pending"),
        (NONE, gone(2), CALL, "removal_pending"),
        (NONE, gone(2), {"nights_agree": True, **CALL}, Remove()),
        (NONE, gone(1), {"confirmations": 1, "nights_agree": True, **CALL}, Remove()),
        (NONE, gone(2), {"nights_agree": True, "trust_missing": False, **CALL}, Remove()),
        (NONE, record(), {"force": True, **CALL}, Remove()),
        (LOST, record(), {"force": True, **CALL}, "failed*"),
        # A removal that was begun and failed waits like any failure; a new photo does not.
        (NONE, failing(photo=WITHDRAWN, missing=Missing(2, "run-8")), {}, "failed"),
        (
            NONE,
            failing(photo=WITHDRAWN, missing=Missing(2, "run-8")),
            {"nights_agree": True, **CALL},
            Remove(),
        ),
        (NONE, failing(photo=WITHDRAWN, missing=Missing(2, "x"), days=0), {}, "removal_pending*"),
        (A, failing(photo=WITHDRAWN, missing=Missing(2, "run-8")), {}, FETCH_A),
    ],
)
def test_first_decision(
    seen: Seen, kept: Record | None, changes: Mapping[str, Any], expected: object
) -> None:
    """From the version: settled, or the bytes are wanted, or SharePoint is to be cleared."""
    assert short(plan.on_version(seen, kept, USER, policy(**changes))) == expected


@pytest.mark.parametrize(
    ("digest", "fetch", "kept", "changes", "expected"),
    [
        ("aa", FETCH_A, None, {}, Adopt()),
        ("aa", FETCH_A, record(None), {}, Adopt()),
        ("aa", FETCH_A, failing(etag='"A"'), {}, Adopt()),
        ("bb", FETCH_B, record(), {}, Write()),
        ("aa", FETCH_A, record(OLD_PHOTO), {}, Write(Outcome.REPAIRED)),
        ("aa", LOOK_A, record(OLD_PHOTO), {}, Write(Outcome.REPAIRED)),
        ("bb", FETCH_A, record(OLD_PHOTO), {}, Write()),
        ("bb", LOOK_A, record(), {}, Write()),
        ("aa", FETCH_A, record(WITHDRAWN), {}, Write()),
        ("aa", LOOK_A, record(), {}, Check()),
        ("aa", LOOK_B, record(), {}, Check()),
        ("aa", FETCH_A, record(), {"force": True}, Write()),
        ("aa", FETCH_A, None, {"force": True}, Write()),
        ("aa", FETCH_B, record(), {}, "unchanged*"),
        ("aa", FETCH_B, record(run="run-9"), {}, "updated*"),
        ("aa", FETCH_B, record(run="run-9", outcome=Outcome.REPAIRED), {}, "repaired*"),
        ("aa", FETCH_B, record(run=ON_DEMAND), CALL, "unchanged*"),
        ("aa", Fetch(""), record(), {}, "unchanged"),
        ("aa", Fetch(""), record(run="run-9"), {}, "updated"),
        ("aa", Fetch(""), gone(1), {}, "unchanged*"),
        ("aa", Fetch(""), failing(photo=PHOTO, days=0), {}, "unchanged*"),
    ],
)
def test_second_decision(
    digest: str, fetch: Fetch, kept: Record | None, changes: Mapping[str, Any], expected: object
) -> None:
    """From the bytes: settled, or written, or compared with what SharePoint shows."""
    assert short(plan.on_bytes(digest, fetch, kept, USER, policy(**changes))) == expected


def test_a_new_version_of_the_same_bytes_is_only_noted() -> None:
    """The record learns the version and keeps the day of the last look at SharePoint."""
    kept = gone(1, days=3)
    decision = plan.on_bytes("aa", FETCH_B, kept, USER, policy())
    assert isinstance(decision, Settled)
    assert decision.record == Record(
        UPN,
        Outcome.UNCHANGED,
        iso(NOW),
        "run-9",
        photo=replace(PHOTO, etag='"B"'),
        verified_at=kept.verified_at,
    )


def test_failures_are_retried_ever_less_often() -> None:
    """1, 2, 4, 8, 16 days, then every 28."""
    kept, now, waits = None, NOW, []
    for run in range(8):
        settled = plan.failed(kept, USER, policy(now=now, run=f"run-{run}"), "no luck")
        kept = settled.record
        assert kept is not None
        assert kept.failing is not None
        retry = datetime.fromisoformat(f"{kept.failing.retry_on}T01:00:00Z").timestamp()
        waits.append((retry - now) / DAY)
        now = retry
    assert waits == [1, 2, 4, 8, 16, 28, 28, 28]


@pytest.mark.parametrize(
    ("kept", "run", "count", "days"),
    [
        (failing(count=3, days=5, run="run-9"), "run-9", 3, 5),
        (failing(count=3, days=5), ON_DEMAND, 3, 5),
        (failing(count=3, days=0), "run-9", 4, 8),
        (record(), ON_DEMAND, 1, 1),
        (failing(count=10**5, days=0), "run-9", 10**5 + 1, 28),
    ],
)
def test_what_counts_as_another_failure(kept: Record, run: str, count: int, days: int) -> None:
    """Neither a resumed run nor an operator who keeps trying postpones the next attempt."""
    settled = plan.failed(kept, USER, policy(run=run), "again", etag='"A"')
    day = (datetime.fromtimestamp(NOW, UTC).date() + timedelta(days=days)).isoformat()
    assert settled.record is not None
    assert settled.record.failing == Failing(count, day, '"A"')


def test_a_failure_says_why() -> None:
    """A photo that cannot be used has an outcome of its own; what SharePoint shows is kept."""
    settled = plan.failed(gone(1), USER, policy(), "no image", error=InvalidPhoto("no image"))
    assert (settled.outcome, settled.detail) == (Outcome.INVALID_PHOTO, "no image")
    assert settled.record is not None
    assert (settled.record.photo, settled.record.missing) == (PHOTO, Missing(1, "run-8"))


@pytest.mark.parametrize(
    ("kept", "confirmations", "expected"),
    [
        (gone(2, "run-9"), 2, True),
        (gone(3, "run-9"), 2, True),
        (gone(1, "run-9"), 2, False),
        (gone(1, "run-9"), 1, True),
        (gone(2, "run-8"), 2, False),
        (gone(2, "run-9", photo=WITHDRAWN), 2, True),
        (gone(2, "run-9", photo=None), 2, False),
        (gone(2, "run-9", outcome=Outcome.FAILED), 2, False),
        (record(run="run-9"), 1, False),
    ],
)
def test_confirmed_removals(kept: Record, confirmations: int, expected: bool) -> None:
    """Only what this very run found gone, often enough, and did not fail to remove."""
    assert plan.is_confirmed(kept, "run-9", confirmations) is expected


def test_a_withdrawn_claim_still_knows_its_files() -> None:
    """While files are overwritten, the record says that they are ours and nothing more."""
    before = record(days=3)
    kept = plan.withdrawn(before, USER, PLACE, policy())
    assert kept == replace(before, photo=WITHDRAWN, checked_at=iso(NOW))
    moved = plan.withdrawn(record(OLD_PHOTO), USER, PLACE, policy())
    assert moved.photo == WITHDRAWN


def test_a_first_write_is_noted_like_any_other() -> None:
    """Also of a user without a record it is known, before the write, that the files are ours."""
    assert plan.withdrawn(None, USER, PLACE, policy()) == Record(
        UPN, Outcome.DEFERRED, iso(NOW), "run-9", photo=WITHDRAWN, verified_at=iso(NOW)
    )


@pytest.mark.parametrize(
    ("outcome", "ending", "expected"),
    [
        (Outcome.UPDATED, "0000", "2026-04-09"),
        (Outcome.UPDATED, "0001", "2026-04-08"),
        (Outcome.REPAIRED, "000f", "2026-03-25"),
        (Outcome.UPDATED, "0010", "2026-04-09"),
        (Outcome.UNCHANGED, "000f", "2026-04-09"),
    ],
)
def test_looks_after_a_write_are_spread_over_half_of_the_time(
    outcome: Outcome, ending: str, expected: str
) -> None:
    """People written in one night come up again in many nights; a look keeps its distance."""
    user = User(ID[:-4] + ending, UPN)
    kept = plan.done(None, user, policy(), photo=PHOTO, outcome=outcome, verified=True)
    assert kept.verify_on == expected
    assert (
        plan.done(None, user, policy(reverify_days=0), photo=PHOTO, verified=True).verify_on == ""
    )


def test_a_look_that_was_not_made_keeps_its_date() -> None:
    """What is noted without looking at SharePoint does not postpone the next look."""
    kept = record(days=3, verify_on="2026-03-20")
    noted = plan.done(kept, USER, policy(), photo=PHOTO)
    assert (noted.verified_at, noted.verify_on) == (kept.verified_at, "2026-03-20")


@pytest.mark.parametrize(("ending", "expected"), [("0000", 30), ("0001", 29), ("000f", 15)])
def test_records_of_version_1_are_spread_when_they_are_read(ending: str, expected: int) -> None:
    """Version 1 noted no date for the next look: it is derived from the last one."""
    kept, user = record(days=0), User(ID[:-4] + ending, UPN)
    assert (plan.look_on(kept, user, 30) - datetime.fromtimestamp(NOW, UTC).date()).days == expected
