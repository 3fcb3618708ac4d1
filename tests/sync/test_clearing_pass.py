"""The last pass of a run: all removals or none, in order, each counted once."""

from dataclasses import replace
from typing import Any

import pytest

from shared.checkpoint import Failing, Missing, Photo, Shard
from shared.config import FILTER_OF_VERSION_1
from shared.errors import DeadlineExceeded, TokenUnavailable, Unavailable
from shared.model import Outcome, User
from shared.sync.canary import Canaries
from shared.sync.clearing_pass import ClearingPass
from shared.sync.removals import (
    AT_ONCE,
    Limit,
    candidates,
    decide,
    due_leavers,
    uncounted,
)
from shared.sync.user_sync import Result
from tests.support.people import DAY, RUN, TAG, digest, failure_of, ids, kept, place, user, users
from tests.support.run_desk import RunDesk, a_run, gone

ANN, BEN, CAM = users(3)
REJECTED = Unavailable(failure_of("sharepoint"))


class Desk(RunDesk):
    """A run whose users have all been seen."""

    def __init__(self, *people: User, run: dict[str, Any] | None = None, **changes: Any) -> None:
        clearing = {"phase": "clearing", "clearing": ["00"], "photos": 100}
        super().__init__(run={**clearing, **(run or {})}, **changes)
        for one in people:
            self.know(one)
            self.checkpoint.records[one.id] = gone(one, kept(one))
            del self.graph.photos[one.id]
        self.run.removal_candidates = len(people)
        self.canaries = Canaries(
            self.graph, self.sharepoint, self.checkpoint, self.clock, (48, 72, 240)
        )

    def go(self) -> None:
        """Clear what is to be cleared."""
        self.clearing_pass().go()

    def clearing_pass(self) -> ClearingPass:
        """The pass."""
        return ClearingPass(
            run=self.run,
            progress=self.progress,
            settings=self.settings,
            graph=self.graph,
            sharepoint=self.sharepoint,
            checkpoint=self.checkpoint,
            clock=self.clock,
            health=self.health,
            canaries=self.canaries,
            pool=self.pool,  # type: ignore[arg-type]  # an executor without threads
            policy=self.policy,
            check_time=self.require_time,
        )


# ---- decisions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "remove", "note"),
    [
        ({"removal_candidates": 10}, True, ""),
        ({"removal_candidates": 6, "leaver_candidates": 4}, True, ""),
        (
            {"removal_candidates": 6, "leaver_candidates": 5},
            True,
            "held back: 11 removals are more than REMOVAL_LIMIT allows (10). If they are meant to "
            "go, raise REMOVAL_LIMIT for one run",
        ),
        ({}, False, "nothing is removed: REMOVE_PHOTOS is false"),
        ({"source_fault": "half is gone"}, True, "nothing is removed: half is gone"),
        (
            {"previous_listed": None},
            True,
            "held back: there is no earlier run to compare the list of users with",
        ),
        ({"previous_listed": 0}, True, ""),
    ],
)
def test_all_removals_or_none(run: dict[str, Any], remove: bool, note: str) -> None:
    """Leavers count, too; the reason says what to do."""
    assert decide(a_run(**run), 10, remove=remove) == Limit(10, note)


def test_candidates_are_those_behind_the_cursor() -> None:
    """In order; only whose removal this very run has confirmed."""
    records = {
        CAM.id: gone(CAM, kept(CAM)),
        ANN.id: gone(ANN, kept(ANN)),
        BEN.id: gone(BEN, kept(BEN)),
        user(3).id: gone(user(3), kept(user(3)), run="run-8"),
        user(4).id: gone(user(4), kept(user(4)), runs=1),
    }
    shard = Shard("00", "1", records)
    assert candidates(shard, a_run()) == [ANN, BEN, CAM]
    assert candidates(shard, a_run(cursor=ANN.id)) == [BEN, CAM]
    assert candidates(shard, a_run(confirmations=1)) == [ANN, BEN, CAM, user(4)]


def test_a_dry_run_knows_its_candidates_by_their_ids() -> None:
    """It saves no records that would tell."""
    shard = Shard("00", "1", {ANN.id: kept(ANN), BEN.id: kept(BEN), CAM.id: gone(CAM, kept(CAM))})
    run = a_run(mode="dry-run", candidates=[ANN.id, BEN.id], cursor=ANN.id)
    assert candidates(shard, run) == [BEN, CAM]


def test_removals_that_died_before_they_were_counted() -> None:
    """Removed, or failed with a record that claims nothing, by this run, behind the cursor."""
    nothing = Photo("", "", place(BEN))
    removed = replace(kept(ANN, photo=None), run=RUN, outcome=Outcome.REMOVED)
    failed = gone(BEN, kept(BEN, photo=nothing), outcome=Outcome.FAILED, detail="no luck")
    others = [
        replace(removed, run="run-8"),
        replace(removed, outcome=Outcome.UPDATED),
        replace(failed, missing=None),
        replace(failed, missing=Missing(2, "run-8")),
        replace(failed, photo=kept(BEN).photo),
        replace(failed, outcome=Outcome.REMOVAL_PENDING),
    ]
    records = {ANN.id: removed, BEN.id: failed}
    records |= {user(number).id: one for number, one in enumerate(others, 10)}
    found = uncounted(Shard("00", "1", records), a_run())
    assert [(one.user, one.outcome, one.detail, one.record) for one in found] == [
        (ANN, Outcome.REMOVED, "", removed),
        (BEN, Outcome.FAILED, "no luck", failed),
    ]
    assert [one.user for one in uncounted(Shard("00", "1", records), a_run(cursor=ANN.id))] == [BEN]


def test_leavers_are_due_on_their_day() -> None:
    """In order of their ids."""
    desk = RunDesk()
    records = {
        BEN.id: kept(BEN, left_on="2026-02-08"),
        ANN.id: kept(ANN, left_on="2026-02-01"),
        CAM.id: kept(CAM, left_on="2026-02-09"),
        user(3).id: kept(user(3)),
    }
    assert due_leavers(Shard("00", "1", records), desk.policy()) == ids([ANN, BEN])


# ---- the pass -----------------------------------------------------------------------------------


def test_removals_are_carried_out_counted_and_saved() -> None:
    """Lines before the document, the document after each step; then the shard is done."""
    desk = Desk(ANN, BEN)
    desk.go()
    assert desk.counts() == {"removed": 2}
    assert desk.lines() == {ANN.id: "removed", BEN.id: "removed"}
    run = desk.run
    assert (run.clearing, run.cursor, run.removal_limit, run.removal_note) == ([], "", 10, "")
    assert (run.removals_failed, run.removals_held_back) == (0, 0)
    documents = desk.blobs.documents
    assert [one["cursor"] for one in documents] == [None, BEN.id, None]
    assert [one["clearing"] for one in documents] == [["00"], ["00"], []]
    assert documents[0]["removals"]["limit"] == 10
    names = desk.names()
    assert names.index("lines") < names.index("save run") < names.index("hide")
    assert names[-4:] == ["lines", "save run", "lines", "save run"]


def test_without_removals_nothing_is_asked() -> None:
    """Most nights."""
    desk = Desk(run={"clearing": []})
    desk.go()
    assert desk.tape == []
    assert (desk.run.removal_limit, desk.run.removal_note) == (None, "")


def test_the_limit_is_a_share_of_the_photos_that_were_there() -> None:
    """Counted before this run removed any."""
    desk = Desk(ANN, run={"photos": 300}, settings={"REMOVAL_LIMIT": "10%"})
    desk.go()
    assert desk.run.removal_limit == 30


def test_more_than_the_limit_allows_is_held_back() -> None:
    """Nobody is cleared, everybody is told, and the records stay."""
    desk = Desk(ANN, BEN, settings={"REMOVAL_LIMIT": "1"})
    desk.go()
    assert desk.counts() == {"removal_pending": 2}
    run = desk.run
    assert (run.removals_held_back, run.removal_limit) == (2, 1)
    assert [line["detail"] for line in desk.blobs.lines] == [run.removal_note] * 2
    assert run.removal_note.startswith("held back: 2 removals are more than")
    assert (desk.calls("hide", "recycle"), desk.saved()) == ([], [])
    assert (run.clearing, run.cursor) == ([], "")


def test_whoever_lowers_the_limit_in_between_keeps_the_rest() -> None:
    """The decision is made again by a firing that goes on, unless it held back already."""
    desk = Desk(ANN, run={"removal_limit": 5}, settings={"REMOVAL_LIMIT": "0"})
    desk.go()
    assert desk.counts() == {"removal_pending": 1}
    assert desk.run.removal_limit == 0
    note = "held back: too many"
    desk = Desk(ANN, run={"removal_limit": 0, "removal_note": note})
    desk.go()
    assert desk.counts() == {"removal_pending": 1}
    assert (desk.run.removal_limit, desk.run.removal_note) == (0, note)


def test_a_setting_that_forbids_removals_holds() -> None:
    """Also when it changed since the run began."""
    desk = Desk(ANN, settings={"REMOVE_PHOTOS": "false"})
    desk.go()
    assert desk.counts() == {"removal_pending": 1}
    assert desk.run.removal_note == "nothing is removed: REMOVE_PHOTOS is false"


def test_a_list_in_doubt_is_told_also_without_candidates() -> None:
    """Whose photo is gone was not even counted."""
    desk = Desk(run={"source_fault": "half is gone", "clearing": []})
    desk.run.count(Outcome.REMOVAL_PENDING, 7)
    desk.go()
    assert desk.run.removals_held_back == 7
    assert desk.run.removal_note == "nothing is removed: half is gone"
    desk.run.removals_held_back = 5
    desk.go()
    assert desk.run.removals_held_back == 5


def test_users_are_asked_about_in_scope_of_the_run() -> None:
    """The filter and the group of the settings; that of version 1 where Graph refused the other."""
    group = "6ea91a8d-e32e-41a1-b7bd-d2d185ee0000"
    desk = Desk(ANN, settings={"SYNC_GROUP_ID": group, "USER_FILTER": "city eq 'Bern'"})
    desk.go()
    assert desk.graph.filters == [("city eq 'Bern'", group)]
    desk = Desk(ANN, run={"filter_refused": True})
    desk.go()
    assert desk.graph.filters == [(FILTER_OF_VERSION_1, None)]


def test_portions_are_saved_one_by_one() -> None:
    """A crash repeats a hundred users at most."""
    people = users(AT_ONCE + 1)
    desk = Desk(*people, settings={"REMOVAL_LIMIT": "500"})
    desk.go()
    cursors = [one["cursor"] for one in desk.blobs.documents]
    assert cursors == [None, people[AT_ONCE - 1].id, people[AT_ONCE].id, None]
    assert desk.counts() == {"removed": AT_ONCE + 1}


def test_the_time_is_checked_before_each_portion() -> None:
    """What is left is for the next firing, which goes on behind the cursor."""
    people = users(AT_ONCE + 1)
    desk = Desk(*people, settings={"REMOVAL_LIMIT": "500"})
    desk.ends = 1
    with pytest.raises(DeadlineExceeded):
        desk.go()
    run = desk.run
    assert (run.clearing, run.cursor) == (["00"], people[AT_ONCE - 1].id)
    assert desk.counts() == {"removed": AT_ONCE}
    desk.ends = None
    desk.go()
    assert desk.counts() == {"removed": AT_ONCE + 1}
    assert len(desk.calls("hide")) == AT_ONCE + 1


def test_a_removal_that_ends_the_run_is_not_counted() -> None:
    """Nor is anybody behind: the cursor tells who is counted, whatever happened to them."""
    desk = Desk(ANN, BEN, CAM)
    error = TokenUnavailable("no token")
    desk.faults.always("hide", BEN, error)
    with pytest.raises(TokenUnavailable) as raised:
        desk.go()
    assert raised.value is error
    assert desk.counts() == {"removed": 1}
    assert desk.run.cursor == ANN.id
    assert desk.blobs.documents[-1]["cursor"] == ANN.id
    desk.faults.clear()
    desk.go()
    assert desk.counts() == {"removed": 3}
    assert desk.calls("hide") == [ANN.id, BEN.id, CAM.id, BEN.id]
    assert desk.lines() == dict.fromkeys(ids([ANN, BEN, CAM]), "removed")
    assert len(desk.blobs.lines) == 3


def test_the_first_user_ends_the_run() -> None:
    """Then nobody is counted, and the cursor does not move."""
    desk = Desk(ANN, BEN)
    desk.faults.always("hide", ANN, DeadlineExceeded("no time left"))
    with pytest.raises(DeadlineExceeded):
        desk.go()
    assert (desk.counts(), desk.run.cursor) == ({}, "")
    assert desk.run.clearing == ["00"]


def test_a_removal_that_fails_is_counted_as_such() -> None:
    """And the run goes on."""
    desk = Desk(ANN, BEN)
    desk.faults.always("recycle", ANN, REJECTED)
    desk.go()
    assert desk.counts() == {"failed": 1, "removed": 1}
    assert desk.run.removals_failed == 1
    assert desk.run.clearing == []


def test_what_an_earlier_firing_did_is_counted_in_its_place() -> None:
    """It removed users and died: they are counted, not removed again, in order of their ids."""
    desk = Desk(ANN, BEN, CAM)
    desk.checkpoint.records[BEN.id] = replace(
        kept(BEN, photo=None), run=RUN, outcome=Outcome.REMOVED
    )
    desk.go()
    assert desk.counts() == {"removed": 3}
    assert desk.calls("hide") == [ANN.id, CAM.id]
    assert [line["id"] for line in desk.blobs.lines] == ids([ANN, BEN, CAM])


def test_held_back_users_do_not_include_those_who_are_done() -> None:
    """What is removed already stays counted as removed."""
    desk = Desk(ANN, BEN, run={"removal_limit": 1, "removal_note": "held back: too many"})
    desk.checkpoint.records[BEN.id] = replace(
        kept(BEN, photo=None), run=RUN, outcome=Outcome.REMOVED
    )
    desk.go()
    assert desk.counts() == {"removed": 1, "removal_pending": 1}
    assert desk.run.removals_held_back == 1


def test_shards_come_one_after_the_other() -> None:
    """Each is loaded when it is its turn, from its beginning."""
    other = user(0, "7f")
    desk = Desk(ANN, other, run={"clearing": ["00", "7f"], "cursor": ""})
    desk.go()
    assert desk.calls("load") == ["00", "7f"]
    assert desk.counts() == {"removed": 2}
    assert [one["clearing"] for one in desk.blobs.documents] == [
        ["00", "7f"],
        ["00", "7f"],
        ["7f"],
        ["7f"],
        [],
    ]


def test_the_healthy_user_is_looked_for_in_the_shard() -> None:
    """When writing fails, somebody of the same shard tells whether it works."""
    desk = Desk(ANN, run={"clearing": ["00"]})
    desk.know(BEN)
    desk.go()
    assert list(desk.canaries.shards()) == ["00"]
    assert BEN.id in desk.canaries.shards()["00"].records


def test_who_fails_has_the_patience_of_a_last_try() -> None:
    """Ninety seconds for each user."""
    desk = Desk(ANN)
    desk.go()
    assert {one.left for one in desk.patiences.seen[ANN.id]} == {90}
    with desk.patiences.seen[ANN.id][0].running():
        desk.clock.advance(1)
    assert desk.patiences.seen[ANN.id][0].left == 89


# ---- leavers ------------------------------------------------------------------------------------


def leaver(desk: Desk, one: User, left_on: str = "2026-02-01") -> None:
    desk.checkpoint.records[one.id] = kept(one, left_on=left_on)
    desk.graph.directory[one.id] = None
    desk.run.leaver_candidates += 1


def test_leavers_are_cleared_after_the_removals() -> None:
    """Counted in the report, not among the users of the run."""
    desk = Desk(ANN)
    leaver(desk, BEN)
    leaver(desk, CAM, "2026-03-01")
    desk.go()
    assert desk.run.leavers_cleared == 1
    assert sorted(desk.checkpoint.records) == ids([ANN, CAM])
    assert desk.counts() == {"removed": 1}
    assert desk.calls("recycle") == [ANN.id, BEN.id]


def test_leavers_are_held_back_with_the_removals() -> None:
    """All or none; those of other shards before them are counted, too."""
    desk = Desk(ANN, run={"leavers_held_back": 1}, settings={"REMOVAL_LIMIT": "1"})
    desk.run.leaver_candidates = 1
    leaver(desk, BEN)
    desk.go()
    assert (desk.run.leavers_cleared, desk.run.leavers_held_back) == (0, 2)
    assert desk.calls("recycle", "users") == []


@pytest.mark.parametrize(
    ("cleared", "held_back", "expected"), [(0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 5, 0)]
)
def test_no_more_leavers_than_the_limit_has_seen(
    cleared: int, held_back: int, expected: int
) -> None:
    """Midnight may let more be due than were candidates: the first go, the rest waits."""
    desk = Desk(run={"leavers_cleared": cleared, "leavers_held_back": held_back})
    leaver(desk, ANN)
    leaver(desk, BEN)
    desk.run.leaver_candidates = 1
    desk.go()
    assert desk.run.leavers_cleared == cleared + expected
    assert desk.calls("recycle") == [ANN.id][:expected]


def test_leavers_add_up_over_shards() -> None:
    """One number for the run."""
    desk = Desk(run={"clearing": ["00", "7f"]})
    leaver(desk, ANN)
    leaver(desk, user(0, "7f"))
    desk.go()
    assert desk.run.leavers_cleared == 2


def test_leavers_need_time() -> None:
    """And nothing is asked where nobody is due."""
    desk = Desk()
    leaver(desk, ANN)
    desk.ends = 0
    with pytest.raises(DeadlineExceeded):
        desk.go()
    assert sorted(desk.checkpoint.records) == [ANN.id]
    desk = Desk()
    desk.ends = 0
    desk.go()
    assert desk.calls("users", "time") == []


def test_the_policy_is_that_of_the_moment() -> None:
    """Records tell when a user was removed."""
    desk = Desk(ANN)
    desk.clock.advance(DAY)
    desk.go()
    record = desk.record(ANN)
    assert record is not None
    assert record.checked_at.startswith("2026-03-11")


def test_a_user_who_is_deferred_without_a_reason_ends_the_run() -> None:
    """The next firing goes on with them."""
    desk = Desk(ANN)
    clearing = desk.clearing_pass()
    result = Result(ANN, Outcome.DEFERRED, "", None)
    with pytest.raises(DeadlineExceeded, match=r"^no time left$"):
        clearing._count([result])
    assert desk.counts() == {}


def test_removals_that_fail_or_are_held_back_add_up_over_shards() -> None:
    """One number for the run."""
    other = user(0, "7f")
    desk = Desk(ANN, other, run={"clearing": ["00", "7f"]})
    desk.faults.always("recycle", [ANN, other], REJECTED)
    desk.go()
    assert (desk.counts(), desk.run.removals_failed) == ({"failed": 2}, 2)

    desk = Desk(
        ANN,
        other,
        run={"clearing": ["00", "7f"], "removal_limit": 1, "removal_note": "held back: too many"},
    )
    desk.go()
    assert (desk.counts(), desk.run.removals_held_back) == ({"removal_pending": 2}, 2)


def test_a_geo_that_clears_nobody_is_judged_by_itself() -> None:
    """Its users fail; a user of the central geo is cleared, and the run goes on."""
    geo = "https://contosoeur-my.sharepoint.com"
    *abroad, home = people = users(31)
    desk = Desk(*people, healthy=False, run={"previous_listed": 100, "photos": 1000})
    for one in abroad:
        desk.sharepoint.host_of_user[one.id] = geo
        desk.sharepoint.pictures[one.id] = place(one, geo).picture_url
        photo = Photo(TAG, digest(), place(one, geo))
        desk.checkpoint.records[one.id] = gone(one, kept(one, photo=photo))
    desk.faults.always("hide", abroad, REJECTED)
    desk.go()
    assert desk.counts() == {"failed": 30, "removed": 1}
    assert desk.calls("hide")[-1] == home.id
    # Whoever was not even tried keeps all that is known, and waits like anybody who failed.
    record = desk.record(abroad[-1])
    assert record is not None
    assert (record.failing, record.missing) == (Failing(1, "2026-03-11", ""), Missing(2, RUN))
    assert geo in record.detail
    assert desk.asked_about == [("writing to SharePoint", geo)]
