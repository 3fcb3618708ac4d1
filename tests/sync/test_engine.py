"""Who is finished by the comparison, and who is written: the engine alone."""

import pytest

from shared.checkpoint import Missing, Photo, iso
from shared.errors import (
    ProfileMissing,
)
from shared.model import Outcome, User
from shared.sync.user_sync import Result
from tests.support.engine_desk import ANN, BEN, Desk, outcome
from tests.support.memory_executors import Held
from tests.support.people import HOST, NOW, RUN, digest, kept, place, users


def test_unchanged_users_cost_one_request_a_batch_and_no_write() -> None:
    """Twenty to a batch; nothing is read beside, nothing saved, and all are counted at once."""
    desk = Desk()
    people = users(41)
    desk.know(people)
    desk.compare(*people)
    assert [len(batch) for batch in desk.calls("versions")] == [20, 20, 1]
    assert desk.names("load") == ["versions"] * 3 + ["count"]
    assert {result.outcome for result in desk.results.values()} == {Outcome.UNCHANGED}
    assert desk.of(people[0]).record == kept(people[0])
    assert desk.engine.unfinished() == []


def test_users_without_a_photo_are_finished_at_once() -> None:
    """And nothing is kept of them."""
    desk = Desk()
    desk.finish(ANN)
    assert desk.of(ANN) == Result(ANN, Outcome.NO_PHOTO, "", None)
    assert desk.checkpoint.records == {}


def test_a_photo_that_is_gone_is_counted_after_it_is_noted() -> None:
    """A user whose record changes is counted when the record is saved, not before."""
    desk = Desk()
    desk.know(ANN)
    del desk.graph.photos[ANN.id]
    desk.compare(ANN)
    assert (desk.results, desk.engine.unfinished()) == ({}, [ANN.id])
    desk.engine.drain()
    assert desk.names("load", "versions") == ["save 00", "count"]
    result = desk.of(ANN)
    assert result.outcome is Outcome.REMOVAL_PENDING
    assert result.detail == "the photo is gone from Exchange, confirmed by 1 of 2 nightly runs"
    assert result.record == desk.record(ANN)
    assert result.record is not None
    assert result.record.missing == Missing(1, RUN)
    assert desk.engine.unfinished() == []


def test_a_new_photo_is_withdrawn_before_it_is_written_and_claimed_after() -> None:
    """Whenever the process dies, no record claims what SharePoint does not hold."""
    desk = Desk()
    desk.give(ANN)
    desk.compare(ANN)
    assert desk.results == {}
    desk.engine.drain()
    assert desk.names("load", "versions") == [
        "users",
        "profiles",
        "photo",
        "save 00",
        "upload L",
        "upload S",
        "upload M",
        "show",
        "save 00",
        "count",
    ]
    before, after = (changes[ANN.id] for changes in desk.saved())
    assert before is not None
    assert (before.photo, before.outcome) == (Photo("", "", place(ANN)), Outcome.DEFERRED)
    assert after is not None
    assert after.photo == Photo('"A"', digest(), place(ANN))
    assert (after.outcome, after.run, after.checked_at) == (Outcome.UPDATED, RUN, iso(NOW))
    assert desk.of(ANN).record == after == desk.record(ANN)


def test_the_present_name_is_written_to() -> None:
    """The name of the listing may be a night old, and somebody else's by now."""
    desk = Desk()
    desk.give(ANN)
    desk.graph.directory[ANN.id] = User(ANN.id, "married@contoso.com")
    desk.finish(ANN)
    assert desk.sharepoint.upn_of == {ANN.id: "married@contoso.com"}
    assert desk.of(ANN).user.upn == "married@contoso.com"
    record = desk.record(ANN)
    assert record is not None
    assert record.upn == "married@contoso.com"


def test_another_version_of_the_same_photo_is_only_noted() -> None:
    """Where our picture is shown the bytes tell, and SharePoint is not asked."""
    desk = Desk()
    desk.know(ANN)
    desk.give(ANN, '"B"')
    desk.finish(ANN)
    assert desk.names("load", "versions") == ["photo", "save 00", "count"]
    assert outcome(desk, ANN) is Outcome.UNCHANGED
    record = desk.record(ANN)
    assert record is not None
    assert record.photo == Photo('"B"', digest(), place(ANN))


def test_another_photo_is_read_once_and_written() -> None:
    """Bytes first, then names and profiles only of those who are to be written."""
    desk = Desk()
    desk.know([ANN, BEN])
    desk.give(ANN, '"B"', red=10)
    desk.give(BEN, '"B"')
    desk.finish(ANN, BEN)
    assert desk.calls("photo") == [ANN.id, BEN.id]
    assert desk.calls("users", "profiles") == [[ANN.id], [ANN.id]]
    assert desk.outcomes() == {ANN.id: "updated", BEN.id: "unchanged"}


def test_without_a_profile_the_photo_is_not_read() -> None:
    """Where nothing of ours is shown, the profile is asked for first."""
    desk = Desk()
    desk.give(ANN)
    desk.faults.always("profile", ANN, ProfileMissing("no profile"))
    desk.finish(ANN)
    assert desk.calls("photo") == []
    assert outcome(desk, ANN) is Outcome.NO_PROFILE
    assert desk.record(ANN) is None


def test_the_same_picture_is_found_and_noted() -> None:
    """A new app in a tenant that shows all pictures already writes none of them."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.finish(ANN, BEN)
    desk.checkpoint.records.clear()
    again = Desk()
    again.give([ANN, BEN])
    again.sharepoint.files = desk.sharepoint.files
    again.sharepoint.pictures = desk.sharepoint.pictures
    again.finish(ANN, BEN)
    assert again.outcomes() == {ANN.id: "unchanged", BEN.id: "unchanged"}
    assert not [name for name in again.names() if name.startswith(("upload", "show"))]
    assert again.calls("read") == [ANN.id, BEN.id]


@pytest.mark.parametrize(("broken", "expected"), [(False, "unchanged"), (True, "repaired")])
def test_a_look_at_a_photo_that_did_not_change(broken: bool, expected: str) -> None:
    """After REVERIFY_DAYS the files are compared, written again when they differ, and counted."""
    desk = Desk()
    desk.give(ANN)
    desk.finish(ANN)
    later = Desk()
    later.know(ANN, days=30)
    later.sharepoint.files = desk.sharepoint.files
    later.sharepoint.pictures = desk.sharepoint.pictures
    if broken:
        del later.sharepoint.files[HOST + place(ANN).path("S")]
    later.finish(ANN)
    assert later.outcomes() == {ANN.id: expected}
    assert (later.engine.take_reverified(), later.engine.take_reverified()) == (1, 0)
    record = later.record(ANN)
    assert record is not None
    assert record.verified_at == iso(NOW)


def test_looks_give_way_when_time_is_short() -> None:
    """It is asked anew with every step whether there is time to look."""
    desk = Desk()
    desk.know([ANN, BEN], days=30)
    desk.looks = False
    desk.finish(ANN)
    assert outcome(desk, ANN) is Outcome.UNCHANGED
    desk.looks = True
    desk.compare(BEN)
    assert desk.engine.unfinished() == [BEN.id]


def test_what_is_not_looked_at_is_not_counted_as_a_look() -> None:
    """Changed photos are no looks."""
    desk = Desk()
    desk.give(ANN)
    desk.finish(ANN)
    assert desk.engine.take_reverified() == 0


def test_records_tell_when_and_not_when_the_run_began(held: Held) -> None:
    """The policy's moment goes on with the clock, before and after a write."""
    desk = Desk(writers=held)
    desk.give(ANN)
    desk.compare(ANN)
    desk.clock.advance(70)
    desk.engine.advance(lambda _: False)
    withdrawn = desk.record(ANN)
    assert withdrawn is not None
    assert withdrawn.checked_at == iso(NOW + 70)
    desk.clock.advance(30)
    held.go()
    desk.engine.drain()
    claimed = desk.record(ANN)
    assert claimed is not None
    assert claimed.checked_at == iso(NOW + 100)
