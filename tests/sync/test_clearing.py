"""Removals of one shard: whoever is not certain is left alone, and nothing is claimed too long."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.checkpoint import Failing, Photo, Record, Shard, iso
from shared.config import DEFAULT_FILTER
from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    NotFound,
    PhotoSyncError,
    ProfileMissing,
    RunStopped,
    StateError,
    Throttled,
    TokenUnavailable,
    Unavailable,
    UserUnknown,
)
from shared.http import Patience
from shared.model import Outcome, User
from shared.sync.removals import Clearing
from shared.sync.user_sync import Result, UserSync
from tests.support.people import DOWN, HOST, NOW, RUN, digest, failure_of, ids, kept, place, users
from tests.support.run_desk import RunDesk, gone

ANN, BEN, CAM = users(3)
REJECTED = Unavailable(failure_of("sharepoint"))
LATER = "not removed in this run: "


class Desk(RunDesk):
    """What is needed to clear users whose photo is gone."""

    def __init__(self, *people: User, **changes: Any) -> None:
        super().__init__(**changes)
        self.people = list(people) or [ANN, BEN]
        for one in self.people:
            self.know(one)
            for size in "LSM":
                self.sharepoint.files[HOST + place(one).path(size)] = b"jpeg"
            self.checkpoint.records[one.id] = gone(one, kept(one))
            del self.graph.photos[one.id]
        self.clearing = Clearing(
            graph=self.graph,
            sharepoint=self.sharepoint,
            checkpoint=self.checkpoint,
            user_sync=UserSync(self.graph, self.sharepoint, (48, 72, 240)),
            health=self.health,
            pool=self.pool,
            in_scope=self._in_scope,
            patience=lambda user_id: Patience(90, self.clock, user_id),
        )

    def _in_scope(self, user_ids: Sequence[str]) -> Mapping[str, User | PhotoSyncError | None]:
        return self.graph.in_scope(user_ids, DEFAULT_FILTER)

    def shard(self) -> Shard:
        """As it is stored now."""
        return self.checkpoint.load("00")

    def remove(self, *people: User) -> dict[str, Result]:
        """Remove users; how each ended."""
        some = list(people) or self.people
        shard, results = self.clearing.remove(self.shard(), some, self.policy())
        assert shard.records == self.checkpoint.records
        assert [result.user.id for result in results] == ids(some)
        assert [result.record for result in results] == [self.record(one) for one in some]
        return {result.user.id: result for result in results}


def claims(desk: Desk, one: User) -> bool:
    record = desk.record(one)
    return record is not None and record.claims


def test_a_removal_looks_again_and_withdraws_before_it_clears() -> None:
    """Photo, scope, profile; then the claim, the profile, the files, and the record."""
    desk = Desk(ANN)
    result = desk.remove()[ANN.id]
    assert desk.names("load") == [
        "versions",
        "in scope",
        "profiles",
        "save 00",
        "hide",
        "recycle",
        "save 00",
    ]
    assert (result.outcome, result.detail, result.error) == (Outcome.REMOVED, "", None)
    withdrawn = desk.saved()[0][ANN.id]
    assert withdrawn is not None
    assert withdrawn.photo == Photo("", "", place(ANN))
    assert desk.record(ANN) == Record(
        f"now-{ANN.id[:8]}@contoso.com", Outcome.REMOVED, iso(NOW), RUN
    )
    assert desk.sharepoint.files == {}
    assert desk.sharepoint.pictures == {ANN.id: ""}


def test_the_present_name_is_cleared() -> None:
    """The name of the record may be somebody else's by now."""
    desk = Desk(ANN)
    desk.graph.directory[ANN.id] = User(ANN.id, "married@contoso.com")
    result = desk.remove()[ANN.id]
    assert desk.sharepoint.upn_of == {ANN.id: "married@contoso.com"}
    assert result.user.upn == "married@contoso.com"


def test_files_that_sharepoint_keeps_are_told() -> None:
    """The profile shows nothing, so the user is removed."""
    desk = Desk(ANN)
    desk.sharepoint.locked.add(ANN.id)
    result = desk.remove()[ANN.id]
    assert result.outcome is Outcome.REMOVED
    assert result.detail == (
        f"SharePoint keeps these files, which no profile shows: {place(ANN).file_name('M')}"
    )


def test_a_picture_that_is_not_ours_stays() -> None:
    """The profile names another one: only our files go."""
    desk = Desk(ANN)
    desk.sharepoint.pictures[ANN.id] = HOST + "/own.jpg"
    assert desk.remove()[ANN.id].outcome is Outcome.REMOVED
    assert desk.calls("hide") == []
    assert desk.calls("recycle") == [ANN.id]


def test_a_photo_that_is_back_stays() -> None:
    """Nothing else is asked about the user, and the record is as it was."""
    desk = Desk()
    desk.give(ANN)
    before = desk.record(ANN)
    results = desk.remove()
    assert results[ANN.id].outcome is Outcome.REMOVAL_PENDING
    assert results[ANN.id].detail == LATER + "the photo may be back"
    assert (results[ANN.id].user, results[ANN.id].error) == (ANN, None)
    assert desk.record(ANN) == before
    assert desk.calls("in scope") == [[BEN.id]]
    assert results[BEN.id].outcome is Outcome.REMOVED


@pytest.mark.parametrize(
    ("operation", "error", "why"),
    [
        ("version", DOWN, "the photo may be back"),
        ("versions", DOWN, "the photo may be back"),
        ("member", DOWN, "the user is not known to be in scope any more"),
        ("in scope", DOWN, "the user is not known to be in scope any more"),
        ("profile", REJECTED, "the profile cannot be read"),
    ],
)
def test_an_error_proves_nothing(operation: str, error: PhotoSyncError, why: str) -> None:
    """The picture stays, and a later run decides again."""
    desk = Desk(ANN)
    before = desk.record(ANN)
    desk.faults.always(operation, ANN, error)
    result = desk.remove()[ANN.id]
    assert (result.outcome, result.error) == (Outcome.REMOVAL_PENDING, None)
    assert result.detail == f"{LATER}{why} ({error})"
    assert desk.record(ANN) == before
    assert desk.calls("hide", "recycle") == []


def test_a_batch_of_profiles_that_fails_leaves_all_alone() -> None:
    """An error of a request about many is the error of each."""
    desk = Desk()
    desk.faults.always("profiles", ANN, REJECTED)
    results = desk.remove()
    assert {result.detail for result in results.values()} == {
        f"{LATER}the profile cannot be read ({REJECTED})"
    }


def test_whoever_left_the_scope_is_left_alone() -> None:
    """Also whom the directory does not have any more: they may be leavers."""
    desk = Desk()
    desk.graph.outside.add(ANN.id)
    desk.graph.directory[BEN.id] = None
    results = desk.remove()
    assert {result.detail for result in results.values()} == {
        LATER + "the user is not known to be in scope any more"
    }
    assert desk.calls("profiles") == []
    assert (claims(desk, ANN), claims(desk, BEN)) == (True, True)


def test_without_a_profile_the_picture_waits() -> None:
    """It is removed when the profile is back."""
    desk = Desk(ANN)
    before = desk.record(ANN)
    desk.faults.always("profile", ANN, ProfileMissing("no profile"))
    result = desk.remove()[ANN.id]
    assert result.outcome is Outcome.NO_PROFILE
    assert result.detail == (
        "the photo is gone from Exchange, but SharePoint has no profile for this user at the "
        "moment. The picture is removed when the profile is back"
    )
    assert desk.record(ANN) == before


def test_a_profile_that_goes_while_it_is_cleared() -> None:
    """The record claims nothing, and the next run decides again."""
    desk = Desk(ANN)
    error = ProfileMissing("no profile")
    desk.faults.always("hide", ANN, error)
    result = desk.remove()[ANN.id]
    assert result.outcome is Outcome.REMOVAL_PENDING
    assert result.detail == f"{LATER}SharePoint has no profile for this user any more ({error})"
    assert not claims(desk, ANN)


def test_a_request_that_fails_once_is_tried_once_more() -> None:
    """After all others."""
    desk = Desk()
    desk.faults.add("hide", ANN, REJECTED)
    assert {r.outcome for r in desk.remove().values()} == {Outcome.REMOVED}
    assert desk.calls("hide") == [ANN.id, BEN.id, ANN.id]


def test_a_removal_that_fails_twice_is_noted() -> None:
    """The files are ours with content unknown, and the next attempt has its day."""
    desk = Desk()
    desk.faults.always("recycle", ANN, REJECTED)
    results = desk.remove()
    assert results[ANN.id].outcome is Outcome.FAILED
    assert (results[ANN.id].detail, results[ANN.id].error) == (str(REJECTED), REJECTED)
    record = desk.record(ANN)
    assert record is not None
    assert record.photo == Photo("", "", place(ANN))
    assert record.failing == Failing(1, "2026-03-11", "")
    assert results[BEN.id].outcome is Outcome.REMOVED
    assert desk.calls("recycle") == [ANN.id, BEN.id, ANN.id]


THE_END = [
    DeadlineExceeded("no time left"),
    TokenUnavailable("no token"),
    ConfigurationError(["a role is missing"]),
    StateError("storage failed"),
    Throttled(failure_of(status=429), 300),
]


@pytest.mark.parametrize("operation", ["versions", "in scope", "profiles", "hide"])
@pytest.mark.parametrize("error", THE_END, ids=lambda error: type(error).__name__)
def test_what_ends_the_run_defers(operation: str, error: PhotoSyncError) -> None:
    """Nothing is wrong with the user; the reason comes with them."""
    desk = Desk(ANN)
    desk.faults.always(operation, ANN, error)
    result = desk.remove()[ANN.id]
    assert (result.outcome, result.detail) == (Outcome.DEFERRED, str(error))
    assert result.error is error
    assert desk.health.cause is None


@pytest.mark.parametrize("operation", ["versions", "hide"])
def test_a_pause_of_one_user_ends_no_run(operation: str) -> None:
    """It is that user's own."""
    desk = Desk(ANN)
    desk.faults.always(operation, ANN, Throttled(failure_of(status=429), 300, own=True))
    assert desk.remove()[ANN.id].outcome is not Outcome.DEFERRED


def test_a_service_that_clears_nobody_defers_the_rest() -> None:
    """Nobody fails by an outage, and after it shows nobody else is touched."""
    people = users(40)
    desk = Desk(*people)
    desk.faults.always("hide", people, REJECTED)
    results = desk.remove()
    assert isinstance(desk.health.cause, RunStopped)
    assert len(desk.calls("hide")) == 20
    assert {result.outcome for result in results.values()} == {Outcome.DEFERRED}
    last = results[people[-1].id]
    assert (last.detail, last.error) == (str(desk.health.cause), desk.health.cause)
    assert results[people[19].id].error is desk.health.cause
    assert results[people[19].id].detail == str(desk.health.cause)


def test_whoever_is_cleared_proves_that_the_service_works() -> None:
    """So the trouble of the others is their own; in a row they are, when they are tried again."""
    people = users(40)
    desk = Desk(*people, healthy=True)
    desk.faults.always("hide", people[1::2], REJECTED)
    results = desk.remove()
    assert desk.health.cause is None
    assert desk.asked_about == [("writing to SharePoint", HOST)]
    assert [r.outcome for r in results.values()] == [Outcome.REMOVED, Outcome.FAILED] * 20


def call_for(desk: Desk, one: User, when: int) -> None:
    """Another call writes the user's picture right before the n-th save."""
    saves = iter(range(1, 100))

    def meddle(_: str, __: object) -> None:
        if next(saves) == when:
            photo = Photo('"C"', digest(77), place(one))
            desk.checkpoint.records[one.id] = kept(one, checked_at=iso(NOW + 1), photo=photo)

    desk.checkpoint.meddle = meddle


@pytest.mark.parametrize("when", [1, 2])
def test_a_user_whom_a_call_changes_meanwhile_is_left_alone(when: int) -> None:
    """Before anything is cleared, or with a record that claims nothing."""
    desk = Desk()
    call_for(desk, ANN, when)
    results = desk.remove()
    assert results[ANN.id].outcome is Outcome.REMOVAL_PENDING
    assert results[ANN.id].detail == LATER + "another call changed the picture meanwhile"
    assert not claims(desk, ANN)
    assert (ANN.id in desk.calls("hide")) is (when == 2)
    assert results[BEN.id].outcome is Outcome.REMOVED


def test_twenty_to_a_batch() -> None:
    """Fresh looks cost four requests for twenty users, not for each."""
    people = users(41)
    desk = Desk(*people)
    desk.remove()
    for operation in ("versions", "in scope", "profiles"):
        assert [len(batch) for batch in desk.calls(operation)] == [20, 20, 1]


def test_a_patience_for_each_user() -> None:
    """One user who hangs does not take the time of another."""
    desk = Desk()
    desk.remove()
    assert {key: len(seen) for key, seen in desk.patiences.seen.items()} == {ANN.id: 2, BEN.id: 2}


# ---- leavers ------------------------------------------------------------------------------------


def test_leavers_lose_their_files_and_their_record() -> None:
    """The profile is Microsoft's to delete."""
    desk = Desk()
    desk.graph.directory |= {ANN.id: None, BEN.id: None}
    assert desk.clearing.clear_leavers(desk.shard(), [ANN.id, BEN.id]) == 2
    assert desk.names("load") == ["users", "recycle", "recycle", "save 00"]
    assert desk.checkpoint.records == {}
    assert desk.sharepoint.files == {}


def test_who_is_back_or_not_known_is_no_leaver() -> None:
    """The directory is asked again right before."""
    desk = Desk(ANN, BEN, CAM)
    desk.graph.directory[CAM.id] = None
    desk.faults.always("user", BEN, DOWN)
    assert desk.clearing.clear_leavers(desk.shard(), ids([ANN, BEN, CAM])) == 1
    assert desk.calls("recycle") == [CAM.id]
    assert sorted(desk.checkpoint.records) == [ANN.id, BEN.id]


def test_files_that_may_be_somebody_elses_stay() -> None:
    """Named after a person by version 1, or on a host that is not ours: the record goes alone."""
    from dataclasses import replace

    desk = Desk(ANN, BEN, CAM)
    desk.graph.directory |= {ANN.id: None, BEN.id: None, CAM.id: None}
    old = replace(place(ANN), prefix="ann_contoso_com")
    desk.checkpoint.records[ANN.id] = kept(ANN, photo=Photo("", "", old))
    foreign = "https://else-my.sharepoint.com"
    desk.sharepoint.foreign.add(foreign)
    desk.checkpoint.records[BEN.id] = kept(BEN, photo=Photo("", "", place(BEN, foreign)))
    desk.checkpoint.records[CAM.id] = kept(CAM, photo=None)
    assert desk.clearing.clear_leavers(desk.shard(), ids([ANN, BEN, CAM])) == 3
    assert desk.calls("recycle") == []
    assert desk.checkpoint.records == {}


def test_a_leaver_whose_files_cannot_be_recycled_is_kept() -> None:
    """The next run tries again; the others go."""
    desk = Desk()
    desk.graph.directory |= {ANN.id: None, BEN.id: None}
    desk.faults.always("recycle", ANN, REJECTED)
    assert desk.clearing.clear_leavers(desk.shard(), [ANN.id, BEN.id]) == 1
    assert sorted(desk.checkpoint.records) == [ANN.id]


@pytest.mark.parametrize(
    "error", [TokenUnavailable("no token"), ConfigurationError(["x"]), StateError("x")]
)
def test_what_ends_the_run_ends_the_leavers(error: PhotoSyncError) -> None:
    """Nothing is dropped."""
    desk = Desk(ANN)
    desk.graph.directory[ANN.id] = None
    desk.faults.always("recycle", ANN, error)
    with pytest.raises(type(error)):
        desk.clearing.clear_leavers(desk.shard(), [ANN.id])
    assert sorted(desk.checkpoint.records) == [ANN.id]


def test_a_leaver_whom_a_call_changes_meanwhile_is_not_counted() -> None:
    """The record of the call stays."""
    desk = Desk()
    desk.graph.directory |= {ANN.id: None, BEN.id: None}
    call_for(desk, ANN, 1)
    assert desk.clearing.clear_leavers(desk.shard(), [ANN.id, BEN.id]) == 1
    assert sorted(desk.checkpoint.records) == [ANN.id]


def test_a_404_or_an_unknown_user_is_no_proof_that_the_photo_is_gone() -> None:
    """Only Graph's own code says so."""
    desk = Desk()
    desk.faults.always("version", ANN, NotFound(failure_of(status=404)))
    desk.faults.always("version", BEN, UserUnknown("no such user"))
    results = desk.remove()
    assert {result.outcome for result in results.values()} == {Outcome.REMOVAL_PENDING}
