"""One user's trouble is theirs: put aside, tried once more, failed, disputed."""

import logging

import pytest

from shared.checkpoint import Failing, Photo, Record, iso
from shared.errors import (
    InvalidPhoto,
    NotFound,
    ProfileMissing,
    Throttled,
    Unavailable,
)
from shared.model import Outcome, User
from tests.support.engine_desk import ANN, BEN, CAM, REJECTED, Desk, outcome
from tests.support.memory_executors import Held
from tests.support.people import DOWN, NOW, digest, failure_of, kept, place

STAGES = {
    "version": Unavailable(failure_of()),
    "photo": Unavailable(failure_of()),
    "user": Unavailable(failure_of()),
    "profile": REJECTED,
    "location": REJECTED,
    "upload L": REJECTED,
    "upload S": REJECTED,
    "upload M": REJECTED,
    "show": REJECTED,
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("known", [False, True])
def test_whoever_fails_is_put_aside_and_tried_once_more(stage: str, known: bool) -> None:
    """The others are done; the second failure is the user's outcome, with its reason."""
    desk = Desk()
    people = [ANN, BEN, CAM]
    desk.give(people)
    if known:
        desk.know(BEN)
        desk.give(BEN, '"B"', red=10)
    before = desk.record(BEN)
    desk.faults.always(stage, BEN, STAGES[stage])
    desk.finish(*people)
    assert desk.outcomes() == {ANN.id: "updated", CAM.id: "updated"}
    assert (desk.engine.put_aside, desk.engine.unfinished()) == ([BEN.id], [])
    begun = stage.startswith(("upload", "show"))
    between = desk.record(BEN)
    if begun:
        assert between is not None
        assert between.photo == Photo("", "", place(BEN))
        assert between.failing is None
    else:
        assert between == before
    assert desk.engine.begin_last_try() == [BEN.id]
    desk.finish(BEN)
    result = desk.of(BEN)
    assert (result.outcome, result.detail) == (Outcome.FAILED, str(STAGES[stage]))
    assert result.error is STAGES[stage]
    assert result.record == desk.record(BEN)
    assert result.record is not None
    tag = "" if stage in {"version", "user", "profile"} else ('"B"' if known else '"A"')
    assert result.record.failing == Failing(1, "2026-03-11", tag)
    assert result.record.claims is (known and not begun)
    assert (desk.engine.put_aside, desk.engine.ended) == ([], None)


def test_who_recovers_is_done_by_the_last_try() -> None:
    """What failed once is no failure."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.faults.add("upload M", BEN, REJECTED)
    desk.faults.add("photo", ANN, DOWN)
    desk.finish(ANN, BEN)
    assert desk.results == {}
    assert desk.engine.begin_last_try() == [ANN.id, BEN.id]
    desk.finish(ANN, BEN)
    assert desk.outcomes() == {ANN.id: "updated", BEN.id: "updated"}


def test_put_aside_users_are_taken_in_order() -> None:
    """Whatever the order in which they failed; and what was begun is finished before."""
    desk = Desk()
    desk.give([ANN, BEN, CAM])
    desk.faults.add("show", ANN, REJECTED)
    desk.faults.add("version", CAM, DOWN)
    desk.compare(ANN, BEN, CAM)
    assert desk.engine.put_aside == [CAM.id]
    assert desk.engine.begin_last_try() == [ANN.id, CAM.id]
    assert desk.outcomes() == {BEN.id: "updated"}


@pytest.mark.parametrize(
    ("operation", "error", "expected"),
    [
        ("photo", InvalidPhoto("no image"), "invalid_photo"),
        ("profile", ProfileMissing("no profile"), "no_profile"),
        ("show", ProfileMissing("no profile"), "no_profile"),
        ("photo", ValueError("a bug"), "failed"),
        ("location", ValueError("a bug"), "failed"),
        ("upload M", ValueError("a bug"), "failed"),
    ],
)
def test_what_trying_again_cannot_help_is_decided_at_once(
    caplog: pytest.LogCaptureFixture, operation: str, error: Exception, expected: str
) -> None:
    """A bad photo, a missing profile, a bug of ours: the user ends so, everybody else is done."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.faults.always(operation, ANN, error)
    with caplog.at_level(logging.ERROR):
        desk.finish(ANN, BEN)
    assert desk.outcomes() == {ANN.id: expected, BEN.id: "updated"}
    assert (desk.engine.put_aside, desk.engine.ended) == ([], None)
    result = desk.of(ANN)
    assert result.error is error
    bug = isinstance(error, ValueError)
    assert result.detail == ("internal error: ValueError" if bug else str(error))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == bug
    if bug:
        assert said[0].startswith(f"user {ANN.id}: internal error\n")
        assert said[0].endswith("ValueError: a bug")


def test_a_bad_photo_waits_for_another_one() -> None:
    """The version that failed is noted, so that a new photo is tried at once."""
    desk = Desk()
    desk.give(ANN, '"bad"')
    desk.graph.photos[ANN.id] = ('"bad"', b"no image")
    desk.finish(ANN)
    record = desk.record(ANN)
    assert record is not None
    assert record.failing == Failing(1, "2026-03-11", '"bad"')
    assert record.outcome is Outcome.INVALID_PHOTO


def test_a_profile_that_is_gone_withdraws_the_claim() -> None:
    """Where there is no profile nothing is shown, whatever was written once."""
    desk = Desk()
    desk.know(ANN)
    desk.give(ANN, '"B"', red=10)
    desk.faults.always("profile", ANN, ProfileMissing("no profile"))
    desk.finish(ANN)
    assert outcome(desk, ANN) is Outcome.NO_PROFILE
    record = desk.record(ANN)
    assert record is not None
    assert record.photo == Photo("", "", place(ANN))


@pytest.mark.parametrize(("known", "expected"), [(True, "unchanged"), (False, "no_photo")])
def test_a_user_who_leaves_during_the_run(known: bool, expected: str) -> None:
    """Nothing is written, and whatever is shown stays for now."""
    desk = Desk()
    if known:
        desk.know(ANN)
    desk.give(ANN, '"B"', red=10)
    before = desk.record(ANN)
    desk.graph.directory[ANN.id] = None
    desk.finish(ANN)
    assert desk.outcomes() == {ANN.id: expected}
    assert desk.of(ANN).detail == "the user left the directory during this run"
    assert desk.record(ANN) == before
    assert not [name for name in desk.names() if name.startswith(("upload", "save"))]


def test_a_failure_that_waits_is_counted_at_once() -> None:
    """Nobody is tried again before their day, and nothing is saved."""
    desk = Desk()
    desk.checkpoint.records[ANN.id] = Record(
        ANN.upn, Outcome.FAILED, iso(NOW), "run-8", "no luck", failing=Failing(2, "2026-03-12", "")
    )
    desk.faults.always("version", ANN, DOWN)
    desk.compare(ANN)
    assert desk.of(ANN).outcome is Outcome.FAILED
    assert desk.of(ANN).detail == "no luck (next attempt on 2026-03-12)"
    assert desk.engine.put_aside == []


def test_a_404_that_proves_nothing_about_nobody_is_no_trouble() -> None:
    """Where no picture is ours, nothing can be lost."""
    desk = Desk()
    desk.faults.always("version", ANN, NotFound(failure_of(status=404)))
    desk.compare(ANN)
    assert outcome(desk, ANN) is Outcome.NO_PHOTO
    assert desk.engine.put_aside == []


def test_a_pause_of_one_user_is_that_users_own() -> None:
    """The run goes on, and the user is tried again at its end."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.faults.always("photo", ANN, Throttled(failure_of(status=429), 300, own=True))
    desk.finish(ANN, BEN)
    assert (desk.engine.put_aside, desk.engine.ended) == ([ANN.id], None)
    assert desk.outcomes() == {BEN.id: "updated"}


def call_for(desk: Desk, one: User, *, red: int = 77, when: int = 1) -> None:
    """Another call writes the user's picture right before the n-th save."""
    saves = iter(range(1, 100))

    def meddle(_: str, __: object) -> None:
        if next(saves) == when:
            desk.checkpoint.records[one.id] = kept(
                one, checked_at=iso(NOW + 1), photo=Photo('"C"', digest(red), place(one))
            )

    desk.checkpoint.meddle = meddle


def test_a_user_whom_a_call_changes_before_the_write_is_not_written() -> None:
    """What was read may be older than what is shown now: tried once more at the end."""
    desk = Desk()
    desk.know([ANN, BEN])
    desk.give([ANN, BEN], '"B"', red=10)
    call_for(desk, ANN)
    desk.finish(ANN, BEN)
    assert desk.outcomes() == {BEN.id: "updated"}
    assert desk.engine.put_aside == [ANN.id]
    assert desk.calls("upload M") == [BEN.id]
    desk.engine.begin_last_try()
    call_for(desk, ANN, red=78)
    desk.finish(ANN)
    assert outcome(desk, ANN) is Outcome.FAILED
    assert desk.of(ANN).detail.startswith("another call kept changing this user's picture")
    assert desk.calls("upload M") == [BEN.id]


@pytest.mark.parametrize("last", [False, True])
def test_a_user_whom_a_call_changes_during_the_write_is_not_counted(last: bool) -> None:
    """Nobody knows what the files hold: the record says so."""
    desk = Desk()
    desk.know(ANN)
    desk.give(ANN, '"B"', red=10)
    if last:
        desk.engine.begin_last_try()
    call_for(desk, ANN, when=2)
    desk.finish(ANN)
    record = desk.record(ANN)
    assert record is not None
    assert not record.claims
    if last:
        assert outcome(desk, ANN) is Outcome.FAILED
        assert desk.of(ANN).record == record
        assert desk.of(ANN).error is None
        assert desk.engine.put_aside == []
    else:
        assert (desk.results, desk.engine.put_aside) == ({}, [ANN.id])


def test_a_failed_write_beside_a_call_leaves_no_false_claim() -> None:
    """The call claimed what the failed write may have overwritten since."""
    desk = Desk()
    desk.know(ANN)
    desk.give(ANN, '"B"', red=10)
    desk.faults.always("upload M", ANN, REJECTED)
    call_for(desk, ANN, when=2)
    desk.finish(ANN)
    record = desk.record(ANN)
    assert record is not None
    assert not record.claims


def test_a_call_during_the_write_is_noticed_although_the_shard_was_read_again(held: Held) -> None:
    """Another window saved the same shard in between, so the call's record is in memory already."""
    desk = Desk(writers=held)
    desk.engine.window_users = 1
    desk.know([ANN, BEN])
    desk.give([ANN, BEN], '"B"', red=10)
    desk.compare(ANN)
    desk.engine.advance(lambda _: False)
    desk.checkpoint.records[ANN.id] = kept(
        ANN, checked_at=iso(NOW + 1), photo=Photo('"C"', digest(77), place(ANN))
    )
    desk.compare(BEN)
    desk.engine.advance(lambda _: False)
    desk.engine.drain()
    assert desk.outcomes() == {BEN.id: "updated"}
    assert desk.engine.put_aside == [ANN.id]
    record = desk.record(ANN)
    assert record is not None
    assert not record.claims


def test_a_batch_that_fails_is_put_aside_whole() -> None:
    """One request about many users that fails proves nothing about any of them."""
    desk = Desk()
    desk.know([ANN, BEN])
    desk.faults.add("versions", ANN, DOWN)
    desk.finish(ANN, BEN)
    assert (desk.results, desk.engine.put_aside) == ({}, [ANN.id, BEN.id])
    desk.engine.begin_last_try()
    desk.finish(ANN, BEN)
    assert desk.outcomes() == {ANN.id: "unchanged", BEN.id: "unchanged"}


def test_what_is_only_noted_does_not_dispute_a_call() -> None:
    """A user whose photo was gone, and whom a call wrote since: the call's picture stays known."""
    desk = Desk()
    desk.know(ANN)
    del desk.graph.photos[ANN.id]
    desk.give(BEN)
    desk.compare(ANN, BEN)
    photo = Photo('"C"', digest(77), place(ANN))
    desk.checkpoint.records[ANN.id] = kept(ANN, checked_at=iso(NOW + 1), photo=photo)
    desk.engine.drain()
    record = desk.record(ANN)
    assert record is not None
    assert record.photo == photo
    assert desk.engine.put_aside == []


def test_a_write_that_fails_again_waits_longer() -> None:
    """That the record was withdrawn meanwhile forgets no earlier failure."""
    desk = Desk()
    desk.know(ANN, failing=Failing(2, "2026-03-09", '"A"'))
    desk.give(ANN, '"B"', red=10)
    desk.faults.always("upload M", ANN, REJECTED)
    desk.finish(ANN)
    desk.engine.begin_last_try()
    desk.finish(ANN)
    record = desk.record(ANN)
    assert record is not None
    assert record.failing == Failing(3, "2026-03-14", '"B"')
