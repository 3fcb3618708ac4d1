"""Everybody in scope through a run: who comes first and last, and what each save says."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Any

import pytest

from shared.checkpoint import Failing
from shared.errors import DeadlineExceeded, RunStopped, StateError, Unavailable
from shared.graph import Seen
from shared.log import InvocationLog
from shared.model import Outcome, User
from shared.sync.engine import Engine
from shared.sync.users_pass import UsersPass
from tests.support.memory_executors import Late
from tests.support.people import DAY, DOWN, NOW, RUN, failure_of, ids, kept, scope_of, user, users
from tests.support.run_desk import RunDesk

ANN, BEN, CAM = users(3)
REJECTED = Unavailable(failure_of("sharepoint"))


class Desk(RunDesk):
    """A run whose listing is complete, with an engine."""

    def __init__(
        self,
        people: Iterable[User],
        *,
        width: int = 4,
        readers: Executor | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(**changes)
        listed = sorted(people, key=lambda one: one.id)
        self.scope = scope_of(listed)
        self.run.listed = len(listed)
        self.width = width
        self.engine = Engine(
            graph=self.graph,
            sharepoint=self.sharepoint,
            checkpoint=self.checkpoint,
            policy=self.policy(),
            clock=self.clock,
            sizes=(48, 72, 240),
            readers=readers or self.pool,
            windows=self.pool,
            writers=self.pool,
            health=self.health,
            log=InvocationLog(),
            looks=lambda: True,
            account=self.progress.account,
        )

    def go(self) -> None:
        """Synchronize everybody."""
        UsersPass(
            engine=self.engine,
            scope=self.scope,
            checkpoint=self.checkpoint,
            progress=self.progress,
            health=self.health,
            width=self.width,
            policy=self.policy,
            check_time=self.time_is_up,
        ).go()

    def compared(self) -> list[str]:
        """Users who were asked about, in order."""
        return [user_id for batch in self.calls("versions") for user_id in batch]

    def document(self, number: int = -1) -> dict[str, Any]:
        """What a save says."""
        return self.blobs.documents[number]


def test_everybody_is_compared_once_in_order_of_their_id() -> None:
    """And ends with exactly one outcome."""
    people = [*users(130), *users(3, "01"), *users(1, "ff")]
    desk = Desk(people)
    desk.know(people)
    desk.go()
    assert desk.compared() == ids(people)
    assert desk.counts() == {"unchanged": 134}
    assert (desk.run.cursor, desk.run.shard, desk.run.photos) == (people[-1].id, "ff", 134)
    assert (desk.run.deferred, desk.run.put_aside) == ([], [])


def test_progress_is_saved_after_each_hundred_users() -> None:
    """The cursor tells up to whom everybody is counted or named."""
    people = users(250)
    desk = Desk(people)
    desk.know(people)
    desk.go()
    saved = [(one["cursor"], one["shard"]) for one in desk.blobs.documents]
    assert saved[:3] == [(people[99].id, None), (people[199].id, None), (people[249].id, "00")]
    assert [one["counts"]["unchanged"] for one in desk.blobs.documents][:3] == [100, 200, 250]


def test_the_next_users_are_asked_about_ahead() -> None:
    """While the first hundred are compared, the second hundred are on their way."""
    people = users(250)
    desk = Desk(people)
    desk.know(people)
    desk.go()
    order = [name for name in desk.names() if name in {"versions", "save run"}]
    assert order[:16] == [*["versions"] * 10, "save run", *["versions"] * 3, *["save run"] * 2]


def test_users_in_a_window_are_named_until_they_are_counted() -> None:
    """Whoever is behind the cursor is counted, or is in the document."""
    people = users(200)
    desk = Desk(people)
    desk.know(people)
    desk.give(people[5], '"B"', red=10)
    desk.go()
    first, second = desk.document(0), desk.document(1)
    assert (first["deferredUsers"], first["cursor"]) == ([people[5].id], people[99].id)
    assert first["counts"]["unchanged"] == 99
    assert second["deferredUsers"] == [people[5].id]
    last = desk.document()
    assert (last["deferredUsers"], last["counts"]["updated"]) == ([], 1)
    lines = [what for name, what in desk.tape if name == "lines"]
    assert [people[5].id] in lines


def test_a_deferred_user_comes_first() -> None:
    """In whole batches and small windows, so that a short firing finishes somebody."""
    people = users(30)
    desk = Desk(people, width=2, run={"deferred": ids(people[:25]), "cursor": people[24].id})
    desk.give(people)
    desk.go()
    assert desk.compared() == ids(people)
    assert [len(batch) for batch in desk.calls("versions")] == [20, 5, 5]
    assert [len(batch) for batch in desk.calls("profiles")] == [*[2] * 8, 4, 2, 3, 5]
    assert [one["deferredUsers"] for one in desk.blobs.documents][:2] == [
        ids(people[20:25]),
        [],
    ]
    assert desk.document(0)["counts"]["updated"] == 20
    assert desk.counts() == {"updated": 30}
    assert desk.engine.window_users == 60


def test_a_width_beyond_a_window_changes_nothing() -> None:
    """Sixty-four writers do not make windows larger."""
    people = users(70)
    desk = Desk(people, width=64, run={"deferred": ids(people), "cursor": people[-1].id})
    desk.know(people)
    desk.go()
    assert [len(batch) for batch in desk.calls("versions")] == [20, 20, 20, 10]
    assert desk.counts() == {"unchanged": 70}


def test_whoever_left_the_scope_is_not_deferred_for_ever() -> None:
    """The list of the run decides who is taken."""
    desk = Desk([BEN], run={"deferred": [ANN.id], "put_aside": [CAM.id], "cursor": CAM.id})
    desk.go()
    assert desk.compared() == []
    assert (desk.run.deferred, desk.run.put_aside) == ([], [])


def test_put_aside_users_come_last() -> None:
    """Those of an earlier firing and those of this one, once and in order."""
    desk = Desk([ANN, BEN, CAM], run={"put_aside": [BEN.id], "cursor": BEN.id})
    desk.give([ANN, BEN, CAM])
    desk.faults.add("photo", CAM, DOWN)
    desk.go()
    assert desk.compared() == ids([CAM, BEN, CAM])
    assert desk.counts() == {"updated": 2}
    assert desk.document(0)["putAside"] == [BEN.id]
    assert [one["putAside"] for one in desk.blobs.documents][1] == ids([BEN, CAM])
    assert desk.document()["putAside"] == []


def test_a_second_failure_counts() -> None:
    """The user is failed, and the run is complete."""
    desk = Desk([ANN, BEN])
    desk.give([ANN, BEN])
    desk.faults.always("photo", ANN, DOWN)
    desk.go()
    assert desk.counts() == {"failed": 1, "updated": 1}
    assert desk.lines() == {ANN.id: "failed", BEN.id: "updated"}
    assert desk.run.put_aside == []


def test_a_resumed_run_goes_on_behind_its_cursor() -> None:
    """Nobody is compared twice, and complete shards are not loaded."""
    people = [*users(3), *users(3, "01"), *users(2, "02")]
    desk = Desk(people, run={"cursor": people[3].id, "shard": "00"})
    desk.know(people)
    desk.go()
    assert desk.compared() == ids(people[4:])
    assert desk.calls("load") == ["01", "02"]
    assert desk.run.photos == 5


def test_photos_are_counted_before_the_run_writes() -> None:
    """So a dry run counts the same, and what was removed before does not count."""
    desk = Desk([ANN, BEN, CAM])
    desk.know([ANN, BEN])
    desk.give(CAM)
    desk.checkpoint.records[user(9).id] = kept(user(9))
    desk.checkpoint.records[user(10).id] = kept(user(10), photo=None)
    desk.go()
    assert desk.run.photos == 3


def test_shards_of_people_outside_the_scope_count_their_photos() -> None:
    """The limit is a share of all photos that we wrote."""
    desk = Desk([ANN], policy={"leaver_days": 0})
    desk.know(ANN)
    desk.checkpoint.records[user(1, "7f").id] = kept(user(1, "7f"))
    desk.go()
    assert (desk.run.photos, desk.run.shard) == (2, "7f")


def test_candidates_are_not_counted_yet() -> None:
    """Whose photo is confirmed gone is counted when that is decided; their shard is noted."""
    desk = Desk([ANN, BEN], run={"confirmations": 1}, policy={"confirmations": 1})
    desk.know([ANN, BEN])
    del desk.graph.photos[ANN.id]
    desk.go()
    assert desk.counts() == {"unchanged": 1}
    assert (desk.run.removal_candidates, desk.run.clearing) == (1, ["00"])
    assert desk.lines() == {}


def test_leavers_are_noticed_when_their_shard_is_complete() -> None:
    """The directory is asked, the record notes the day, and who is due is for the last pass."""
    desk = Desk([ANN])
    desk.know(ANN)
    new, due, back = user(5), user(6), user(7)
    desk.checkpoint.records[new.id] = kept(new, left_on="2026-03-01")
    desk.checkpoint.records[due.id] = kept(due, left_on="2026-02-01")
    desk.checkpoint.records[back.id] = kept(back, left_on="2026-03-01")
    desk.graph.directory |= {new.id: None, due.id: None}
    desk.go()
    assert desk.calls("users") == [ids([new, due, back])]
    assert (desk.run.leaver_candidates, desk.run.clearing) == (1, ["00"])
    record = desk.record(back)
    assert record is not None
    assert record.left_on == ""
    assert desk.counts() == {"unchanged": 1}


def test_nobody_due_needs_no_last_pass() -> None:
    """The shard is not looked at again."""
    desk = Desk([ANN])
    desk.checkpoint.records[BEN.id] = kept(BEN, left_on="2026-03-01")
    desk.graph.directory[BEN.id] = None
    desk.go()
    assert (desk.run.leaver_candidates, desk.run.clearing) == (0, [])


def test_leavers_are_asked_about_in_batches() -> None:
    """However many left, and the answers are put together."""
    desk = Desk([ANN])
    left = [user(number) for number in range(10, 140)]
    for one in left:
        desk.checkpoint.records[one.id] = kept(one, left_on="2026-02-01")
        desk.graph.directory[one.id] = None
    desk.go()
    assert [len(batch) for batch in desk.calls("users")] == [*[20] * 6, 10]
    assert desk.run.leaver_candidates == 130


def test_looks_are_counted() -> None:
    """Over the whole run."""
    desk = Desk([ANN, BEN], run={"reverified": 3})
    desk.know([ANN, BEN], days=40)
    desk.go()
    assert desk.run.reverified == 5


# ---- the end ------------------------------------------------------------------------------------


def test_when_the_time_is_up_all_is_saved_and_named() -> None:
    """Who was compared and needs more is deferred; the next firing begins with them."""
    people = users(250)
    desk = Desk(people)
    desk.know(people)
    desk.give(people[7], '"B"', red=10)
    desk.ends = 1
    with pytest.raises(DeadlineExceeded):
        desk.go()
    run = desk.run
    assert (run.cursor, run.deferred) == (people[199].id, [people[7].id])
    assert desk.counts() == {"unchanged": 199}
    assert desk.document()["deferredUsers"] == [people[7].id]
    assert desk.names()[-1] == "save run"


def test_when_the_time_is_up_from_the_start_the_rest_stays_deferred() -> None:
    """Nobody is lost who was waiting."""
    people = users(26)
    desk = Desk(people, width=2, run={"deferred": ids(people), "cursor": people[-1].id})
    desk.give(people)
    desk.ends = 0
    with pytest.raises(DeadlineExceeded):
        desk.go()
    assert desk.counts() == {"updated": 20}
    assert desk.run.deferred == ids(people[20:])


def test_when_the_time_is_up_in_the_last_try_the_rest_stays_put_aside() -> None:
    """They keep their second try."""
    people = users(120)
    desk = Desk(people, run={"put_aside": ids(people), "cursor": people[-1].id, "shard": "00"})
    desk.know(people)
    desk.ends = 2
    with pytest.raises(DeadlineExceeded):
        desk.go()
    assert desk.counts() == {"unchanged": 100}
    assert desk.run.put_aside == ids(people[100:])
    assert desk.run.deferred == []


def test_whatever_was_begun_is_finished_before_the_end() -> None:
    """No write goes on while the run ends."""
    people = users(120)
    desk = Desk(people)
    desk.give(people)
    desk.ends = 0
    with pytest.raises(DeadlineExceeded):
        desk.go()
    assert desk.counts() == {"updated": 100}
    assert desk.run.deferred == []


def test_a_failing_save_of_records_leaves_its_users_named() -> None:
    """As the next save of the progress says."""
    desk = Desk([ANN])
    desk.give(ANN)
    desk.checkpoint.save_error = StateError("storage failed")
    with pytest.raises(StateError):
        desk.go()
    desk.progress.save()
    assert desk.document()["deferredUsers"] == [ANN.id]


def test_a_small_tenant_is_judged_at_the_end() -> None:
    """Three users, none of whom could be written: nobody is failed, and the reason is told."""
    desk = Desk([ANN, BEN, CAM])
    desk.give([ANN, BEN, CAM])
    desk.faults.always("upload L", [ANN, BEN, CAM], REJECTED)
    with pytest.raises(RunStopped):
        desk.go()
    assert desk.counts() == {}
    assert desk.document()["putAside"] == ids([ANN, BEN, CAM])


def test_a_stop_in_between_defers_the_rest() -> None:
    """Users who failed before are tried again by the next firing."""
    people = users(100)
    desk = Desk(people)
    desk.give(people)
    desk.faults.always("upload L", people, REJECTED)
    with pytest.raises(RunStopped):
        desk.go()
    assert desk.counts() == {}
    assert {*desk.run.deferred, *desk.run.put_aside} == set(ids(people))


def test_after_a_stop_one_batch_is_tried_first() -> None:
    """Nobody else is asked about; and one poisoned user among twenty does not look like all."""
    people = users(30)
    desk = Desk(people, probing=True)
    desk.give(people)
    desk.faults.always("versions", people, DOWN)
    with pytest.raises(RunStopped):
        desk.go()
    assert desk.compared() == ids(people[:20])
    assert desk.calls("load") == ["00"]


def test_after_a_stop_nobody_is_asked_about_before_the_first_answer() -> None:
    """However late that comes: twenty users in one request, then all others."""
    people = users(150)
    late = Late()
    desk = Desk(people, probing=True, readers=late)
    desk.know(people)
    submitted: list[int] = []
    real = desk.graph.photo_versions

    def photo_versions(user_ids: Sequence[str]) -> dict[str, Seen]:
        submitted.append(late.submitted)
        return real(user_ids)

    desk.graph.photo_versions = photo_versions  # type: ignore[method-assign, assignment]
    desk.go()
    # To load the shard, and to ask about one batch.
    assert submitted[0] == 2
    assert len(desk.compared()) == 150
    assert desk.counts() == {"unchanged": 150}


def test_after_a_stop_one_answer_is_enough_to_compare_all() -> None:
    """The first batch is compared alone, and all others together again."""
    people = users(150)
    desk = Desk(people, probing=True)
    desk.know(people)
    desk.go()
    assert [len(batch) for batch in desk.calls("versions")] == [20] * 7 + [10]
    assert desk.counts() == {"unchanged": 150}


def test_after_a_stop_one_write_that_fails_is_noted() -> None:
    """So the next firing tries somebody else."""
    desk = Desk([ANN, BEN], probing=True)
    desk.give([ANN, BEN])
    desk.faults.always("upload L", [ANN, BEN], REJECTED)
    with pytest.raises(RunStopped):
        desk.go()
    record = desk.record(ANN)
    assert record is not None
    assert record.failing == Failing(1, "2026-03-11", '"A"')
    assert desk.counts() == {"failed": 1}
    assert (desk.run.cursor, desk.run.deferred, desk.run.put_aside) == (BEN.id, [BEN.id], [])


def test_records_are_of_the_run_and_the_moment() -> None:
    """A day later they say so."""
    desk = Desk([ANN])
    desk.give(ANN)
    desk.clock.advance(DAY)
    desk.go()
    record = desk.record(ANN)
    assert record is not None
    assert (record.run, record.checked_at[:10], NOW) == (RUN, "2026-03-11", NOW)
    assert record.outcome is Outcome.UPDATED


def test_a_shard_that_is_complete_is_saved_while_the_run_goes_on() -> None:
    """After four hundred users the window of a complete shard is taken on, the last one's, too."""
    people = [*users(400), *users(150, "01")]
    desk = Desk(people)
    desk.know(people)
    desk.give(people[5], '"B"', red=10)
    desk.go()
    documents = desk.blobs.documents
    assert [one["shard"] for one in documents[:4]] == [None, None, None, "00"]
    assert [one["deferredUsers"] for one in documents[:4]] == [[people[5].id]] * 3 + [[]]
    assert documents[3]["counts"]["updated"] == 1


def test_leavers_add_up_over_shards() -> None:
    """One number decides whether they are cleared."""
    desk = Desk([ANN])
    desk.know(ANN)
    for one in (BEN, user(0, "7f")):
        desk.checkpoint.records[one.id] = kept(one, left_on="2026-02-01")
        desk.graph.directory[one.id] = None
    desk.go()
    assert (desk.run.leaver_candidates, desk.run.clearing) == (2, ["00", "7f"])
