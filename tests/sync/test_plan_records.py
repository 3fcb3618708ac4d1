"""What decisions save and say: whole records, and the sentences that people read."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.checkpoint import Failing, Missing, Photo, Record, iso
from shared.graph import NoPhoto, Unknown, Version
from shared.model import Outcome, User
from shared.sync import plan
from shared.sync.plan import ON_DEMAND, Policy, Settled
from tests.support.people import DAY, DOWN, NOW, RUN, kept, place, users

ANN, BEN = users(2)
RENAMED = User(ANN.id, "married@contoso.com")
WITHDRAWN = Photo("", "", place(ANN))
TODAY = iso(NOW)


def policy(**changes: Any) -> Policy:
    return replace(Policy(now=NOW, run=RUN), **changes)


def settled(decision: object) -> Settled:
    assert isinstance(decision, Settled)
    return decision


def test_a_first_failure_makes_a_record() -> None:
    """It knows nothing but the failure."""
    decision = plan.failed(None, ANN, policy(), "no luck", error=DOWN)
    assert decision == Settled(
        Outcome.FAILED,
        "no luck",
        Record(
            ANN.upn, Outcome.FAILED, TODAY, RUN, "no luck", failing=Failing(1, "2026-03-11", "")
        ),
        DOWN,
    )


def test_a_failure_keeps_what_is_known() -> None:
    """The picture, the last look, what is missing; the name and the moment are new."""
    before = kept(ANN, missing=Missing(1, "run-8"), verify_on="2026-04-01", left_on="2026-03-01")
    decision = plan.failed(before, RENAMED, policy(), "no luck", etag='"B"')
    assert decision.record == replace(
        before,
        upn=RENAMED.upn,
        outcome=Outcome.FAILED,
        detail="no luck",
        checked_at=TODAY,
        run=RUN,
        failing=Failing(1, "2026-03-11", '"B"'),
    )


def test_not_knowing_says_why_and_keeps_the_picture() -> None:
    """The error's own sentence."""
    decision = settled(plan.on_version(Unknown(DOWN), kept(ANN), ANN, policy()))
    assert (decision.detail, decision.error) == (str(DOWN), DOWN)
    assert decision.record is not None
    assert decision.record.photo == kept(ANN).photo
    assert decision.record.detail == str(DOWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"missing": Missing(1, "run-8"), "outcome": Outcome.REMOVAL_PENDING},
        {"failing": Failing(1, "2026-03-11", '"B"'), "outcome": Outcome.FAILED},
        {"failing": Failing(1, "2026-03-10", '"A"'), "outcome": Outcome.FAILED},
    ],
)
def test_trouble_that_is_over_leaves_the_claim_as_it_was(changes: dict[str, Any]) -> None:
    """Photo, day of the last look and of the next one; nothing was looked at now."""
    before = kept(ANN, verify_on="2026-04-01", detail="no luck", **changes)
    decision = settled(plan.on_version(Version('"A"'), before, RENAMED, policy()))
    assert decision == Settled(
        Outcome.UNCHANGED,
        record=Record(
            RENAMED.upn,
            Outcome.UNCHANGED,
            TODAY,
            RUN,
            photo=before.photo,
            verified_at=before.verified_at,
            verify_on="2026-04-01",
        ),
    )


def test_trouble_of_somebody_without_a_photo_is_over() -> None:
    """The record says so, and claims nothing."""
    before = Record(ANN.upn, Outcome.FAILED, TODAY, "run-8", failing=Failing(2, "2026-03-12", ""))
    decision = settled(plan.on_version(NoPhoto(), before, RENAMED, policy()))
    assert decision == Settled(
        Outcome.NO_PHOTO, record=Record(RENAMED.upn, Outcome.NO_PHOTO, TODAY, RUN)
    )


def test_a_photo_that_is_gone_is_counted_and_told() -> None:
    """What is known of the picture stays until it is removed."""
    before = kept(ANN, missing=Missing(1, "run-8"), verify_on="2026-04-01")
    decision = settled(plan.on_version(NoPhoto(), before, RENAMED, policy(confirmations=3)))
    detail = "the photo is gone from Exchange, confirmed by 2 of 3 nightly runs"
    assert decision == Settled(
        Outcome.REMOVAL_PENDING,
        detail,
        replace(
            before,
            upn=RENAMED.upn,
            outcome=Outcome.REMOVAL_PENDING,
            detail=detail,
            checked_at=TODAY,
            run=RUN,
            missing=Missing(2, RUN),
        ),
    )


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({"missing": Missing(2, "run-8"), "photo": WITHDRAWN}, True),
        ({"missing": None, "photo": WITHDRAWN}, False),
        ({"missing": Missing(1, "run-8")}, False),
        ({"missing": None}, False),
    ],
)
def test_only_the_failure_of_a_removal_lasts_while_there_is_no_photo(
    changes: dict[str, Any], stays: bool
) -> None:
    """Another failure was about a photo that is gone."""
    failing = Failing(3, "2026-03-10", '"A"')
    before = kept(ANN, outcome=Outcome.FAILED, failing=failing, **changes)
    record = settled(plan.on_version(NoPhoto(), before, ANN, policy())).record
    assert record is not None
    assert record.failing == (failing if stays else None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"remove": False}, "the photo is gone from Exchange; REMOVE_PHOTOS is false"),
        (
            {"trust_missing": False},
            "the photo is gone from Exchange; this run does not count it, because the list of "
            "users is in doubt",
        ),
        (
            {"run": ON_DEMAND},
            "the photo is gone from Exchange; 1 of 2 nightly runs have confirmed it. The picture "
            "stays until then; to remove it now, call with force=true",
        ),
    ],
)
def test_why_a_picture_stays_though_its_photo_is_gone(
    changes: dict[str, Any], expected: str
) -> None:
    """What happened, why, and what to do; and nothing is saved."""
    before = kept(ANN, missing=Missing(1, "run-8"))
    decision = settled(plan.on_version(NoPhoto(), before, ANN, policy(**changes)))
    assert decision == Settled(Outcome.REMOVAL_PENDING, expected)


def test_a_call_tells_of_no_confirmation_where_there_is_none() -> None:
    """Nothing was found missing before."""
    decision = settled(plan.on_version(NoPhoto(), kept(ANN), ANN, policy(run=ON_DEMAND)))
    assert "; 0 of 2 nightly runs have confirmed it" in decision.detail


@pytest.fixture
def _far_west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock on the wall is hours behind."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system has one time zone for all processes")
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_far_west")
def test_days_are_days_of_utc() -> None:
    """Wherever the program runs: at one o'clock in UTC it is still yesterday in the west."""
    assert policy().today == date(2026, 3, 10)
    assert plan.look_on(kept(ANN, days=0), ANN, 30) == date(2026, 4, 9)


def test_a_look_that_is_due_waits_for_the_failure_of_the_last_one() -> None:
    """The sentence tells the day."""
    failing = Failing(1, "2026-03-12", '"A"')
    before = kept(ANN, days=40, outcome=Outcome.FAILED, detail="no luck", failing=failing)
    decision = settled(plan.on_version(Version('"A"'), before, ANN, policy(now=NOW + DAY)))
    assert decision == Settled(Outcome.FAILED, "no luck (next attempt on 2026-03-12)")


def test_while_files_are_written_the_record_has_the_present_name() -> None:
    """It is the name whose profile may show the files."""
    noted = plan.withdrawn(kept(ANN), RENAMED, place(ANN), policy())
    assert (noted.upn, noted.photo) == (RENAMED.upn, WITHDRAWN)


def test_what_was_done_in_this_run_stays_its_outcome() -> None:
    """A resumed run that finds a newer version of the same photo does not undo its count."""
    before = kept(ANN, run=RUN, outcome=Outcome.UPDATED)
    assert before.photo is not None
    decision = plan.on_bytes(before.photo.sha256, plan.Fetch('"B"'), before, ANN, policy())
    noted = settled(decision).record
    assert noted is not None
    assert (settled(decision).outcome, noted.outcome) == (Outcome.UPDATED, Outcome.UPDATED)


def test_a_first_record_is_as_fresh_as_its_moment() -> None:
    """Nothing was known, so SharePoint was looked at just now."""
    noted = plan.done(None, ANN, policy(), photo=kept(ANN).photo)
    assert noted.verified_at == TODAY
