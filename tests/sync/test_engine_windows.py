"""Windows of the engine: when they are taken on, saved, finished, and how much waits."""

import logging

import pytest

from shared.errors import (
    StateError,
)
from shared.model import Outcome, User
from tests.support.engine_desk import ANN, BEN, CAM, Desk, outcome
from tests.support.memory_executors import Held
from tests.support.people import DOWN, ids, kept, user, users


def test_a_window_is_taken_on_when_it_is_full() -> None:
    """Sixty users, not fifty-nine."""
    desk = Desk()
    people = users(60)
    desk.give(people)
    desk.compare(*people[:59])
    desk.engine.advance(lambda _: True)
    assert len(desk.engine.unfinished()) == 59
    desk.compare(people[59])
    desk.engine.advance(lambda _: False)
    assert len(desk.results) == 60
    assert [len(changes) for changes in desk.saved()] == [60, 60]


def test_a_smaller_window_can_be_asked_for() -> None:
    """So that a short firing finishes somebody."""
    desk = Desk()
    desk.engine.window_users = 2
    desk.give([ANN, BEN])
    desk.compare(ANN)
    desk.engine.advance(lambda _: False)
    assert desk.results == {}
    desk.compare(BEN)
    desk.engine.advance(lambda _: False)
    assert desk.outcomes() == {ANN.id: "updated", BEN.id: "updated"}


def test_a_window_waits_a_minute_at_most() -> None:
    """However few users change, they do not wait for long."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.compare(ANN)
    desk.clock.advance(59)
    desk.engine.advance(lambda _: False)
    assert desk.results == {}
    desk.clock.advance(1)
    desk.engine.advance(lambda _: False)
    assert desk.outcomes() == {ANN.id: "updated"}
    desk.compare(BEN)
    desk.clock.advance(59)
    desk.engine.advance(lambda _: False)
    assert outcome(desk, BEN) is None


def test_after_many_quiet_users_only_complete_shards_are_taken_on() -> None:
    """A shard is written twice in a night, so it waits until all its users are compared."""
    desk = Desk()
    quiet = [*users(200), *users(198, "01")]
    desk.know(quiet)
    new = [user(500), user(500, "01")]
    desk.give(new)
    desk.compare(*quiet, new[0])
    desk.engine.advance(lambda name: name == "00")
    assert desk.engine.unfinished() == [new[0].id]
    desk.compare(new[1])
    desk.engine.advance(lambda name: name == "00")
    assert outcome(desk, new[0]) is Outcome.UPDATED
    assert desk.engine.unfinished() == [new[1].id]
    # Counted anew from here.
    desk.compare(*users(399, "02"))
    desk.engine.advance(lambda _: True)
    assert desk.engine.unfinished() == [new[1].id]
    desk.compare(user(400, "02"))
    desk.engine.advance(lambda name: name == "01")
    assert desk.engine.unfinished() == []


def test_a_full_window_counts_quiet_users_anew() -> None:
    """What was compared before it was taken on says nothing about the next one."""
    desk = Desk()
    desk.engine.window_users = 1
    desk.give(user(399))
    desk.compare(*users(400))
    desk.engine.advance(lambda _: True)
    assert len(desk.results) == 400
    desk.engine.window_users = 60
    desk.give(user(400))
    desk.compare(user(400))
    desk.engine.advance(lambda _: True)
    assert desk.engine.unfinished() == [user(400).id]


@pytest.mark.parametrize(("records", "taken"), [(19_998, False), (19_999, True)])
def test_memory_is_bounded_by_taking_a_window_on(records: int, taken: bool) -> None:
    """With twenty thousand records in memory shards must be let go."""
    desk = Desk()
    desk.know(ANN)
    del desk.graph.photos[ANN.id]
    record = kept(BEN)
    desk.checkpoint.records |= {f"00zz{number}": record for number in range(records)}
    desk.compare(ANN)
    desk.engine.advance(lambda _: False)
    assert bool(desk.results) is taken


def test_shards_are_let_go_when_nobody_needs_them(held: Held) -> None:
    """Those of the windows stay, those that are there are not read again."""
    desk = Desk(writers=held)
    waits, flies = user(1, "02"), user(1, "01")
    desk.give([waits, flies])
    desk.engine.load(["00", "01", "02"])
    assert desk.calls("load") == ["00", "01", "02"]
    desk.compare(flies)
    desk.clock.advance(60)
    desk.engine.advance(lambda _: False)
    desk.compare(waits)
    desk.engine.load(["03"])
    assert sorted(desk.engine.shards) == ["01", "02", "03"]
    desk.engine.load(["02", "04", "00"])
    assert desk.calls("load") == ["00", "01", "02", "02", "03", "00", "04"]
    assert sorted(desk.engine.shards) == ["00", "01", "02", "04"]
    held.go()
    desk.engine.drain()


def test_each_shard_of_a_window_is_saved_once_before_and_once_after() -> None:
    """However many users it has."""
    desk = Desk()
    people = [*users(3), *users(2, "01"), user(1, "02")]
    desk.give(people)
    desk.finish(*people)
    saves = [name for name in desk.names() if name.startswith("save")]
    assert saves == ["save 00", "save 01", "save 02"] * 2
    assert [sorted(changes) for changes in desk.saved()[:3]] == [
        ids(people[:3]),
        ids(people[3:5]),
        ids(people[5:]),
    ]


def test_notes_are_saved_with_the_window() -> None:
    """Records of others that the run changes, and one that it drops, and nobody is counted."""
    desk = Desk()
    desk.know([ANN, BEN])
    desk.engine.load(["00"])
    left = kept(ANN, left_on="2026-03-10")
    desk.engine.note({ANN.id: left, BEN.id: None})
    assert desk.engine.unfinished() == []
    desk.engine.drain()
    assert (desk.record(ANN), desk.record(BEN)) == (left, None)
    assert desk.results == {}


def test_an_empty_window_saves_nothing() -> None:
    """A quiet night writes no shard."""
    desk = Desk()
    desk.clock.advance(100)
    desk.engine.advance(lambda _: True)
    desk.engine.drain()
    assert desk.tape == []


def full_window(desk: Desk, first: int, count: int = 60) -> list[User]:
    people = [user(number) for number in range(first, first + count)]
    desk.give(people)
    desk.compare(*people)
    desk.engine.advance(lambda _: False)
    return people


def test_users_on_their_way_are_bounded(held: Held) -> None:
    """At most four hundred in windows: what a crash can cost."""
    desk = Desk(writers=held)
    for number in range(6):
        full_window(desk, number * 60)
    assert (len(desk.engine.unfinished()), held.waits, desk.results) == (360, 0, {})
    full_window(desk, 360)
    assert held.waits > 0
    assert len(desk.engine.unfinished()) <= 400
    assert set(ids(users(50))) <= desk.results.keys()


def test_windows_are_finished_as_their_writes_end(held: Held) -> None:
    """A slow user holds up their window, not the others."""
    desk = Desk(writers=held)
    slow, fast = full_window(desk, 0), full_window(desk, 60)
    ours, held.waiting = held.waiting[:60], held.waiting[60:]
    held.go()
    desk.engine.advance(lambda _: False)
    assert sorted(desk.results) == ids(fast)
    assert desk.engine.unfinished() == ids(slow)
    held.waiting = ours
    desk.engine.drain()
    assert desk.engine.unfinished() == []
    assert len(desk.results) == 120
    assert held.waits == 60


def test_what_is_being_written_is_unfinished(held: Held) -> None:
    """And is counted only when its record is saved."""
    desk = Desk(writers=held)
    full_window(desk, 0)
    held.go(59)
    desk.engine.advance(lambda _: False)
    assert (len(desk.engine.unfinished()), desk.results) == (60, {})


def test_what_a_worker_has_to_say_is_said_while_others_work(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread of the invocation writes what waits, step by step."""
    desk = Desk(writers=held)
    desk.log._waiting.append((logging.WARNING, "from a worker"))
    desk.engine.advance(lambda _: False)
    assert [record.getMessage() for record in caplog.records] == ["from a worker"]


@pytest.mark.parametrize("last", [False, True])
def test_patience_with_one_user_is_one_for_all_requests(last: bool) -> None:
    """Thirty seconds in the first try, ninety in the last."""
    desk = Desk()
    desk.give(ANN)
    if last:
        desk.engine.begin_last_try()
    desk.finish(ANN)
    seen = desk.patiences.seen[ANN.id]
    assert len(seen) == 5
    assert all(one is seen[0] for one in seen)
    assert seen[0].left == (90 if last else 30)


def test_unfinished_users_are_in_order_and_once() -> None:
    """Whoever is in two lists is one user."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.compare(BEN)
    desk.compare(ANN)
    desk.engine.deferred.append(BEN.id)
    assert desk.engine.unfinished() == [ANN.id, BEN.id]


def test_names_are_the_directorys() -> None:
    """Present names; None for whom it does not have; an error proves nothing."""
    desk = Desk()
    desk.graph.directory[BEN.id] = None
    desk.faults.always("user", CAM, DOWN)
    found = desk.engine.names([ANN, BEN, CAM])
    assert found == {
        ANN.id: User(ANN.id, f"now-{ANN.id[:8]}@contoso.com"),
        BEN.id: None,
        CAM.id: DOWN,
    }
    desk.faults.always("users", ANN, DOWN)
    people = users(21)
    found = desk.engine.names(people)
    assert [found[one.id] is DOWN for one in people] == [True] * 20 + [False]


def test_saving_that_fails_leaves_the_users_known() -> None:
    """The next firing begins with them."""
    desk = Desk()
    desk.give(ANN)
    desk.compare(ANN)
    desk.checkpoint.save_error = StateError("storage failed")
    with pytest.raises(StateError):
        desk.engine.drain()
    assert desk.engine.unfinished() == [ANN.id]


def test_notes_of_two_shards_wait_in_one_window() -> None:
    """The second adds to the first."""
    desk = Desk()
    other = user(0, "01")
    desk.know([ANN, other])
    desk.engine.load(["00", "01"])
    desk.engine.note({ANN.id: None})
    desk.engine.note({other.id: None})
    desk.engine.drain()
    assert desk.checkpoint.records == {}


@pytest.mark.parametrize("probing", [False, True])
def test_a_part_of_a_window_is_of_the_same_try(probing: bool) -> None:
    """Who fails in the last try is failed, also when only complete shards are taken on."""
    desk = Desk(probing=probing, healthy=True)
    desk.give(ANN)
    desk.engine.begin_last_try()
    desk.faults.always("photo", ANN, DOWN)
    desk.compare(ANN, *[user(number, "01") for number in range(399)])
    desk.engine.advance(lambda name: name == "00")
    assert outcome(desk, ANN) is Outcome.FAILED


def test_only_complete_shards_leave_a_window() -> None:
    """Users to read, users to save, and notes alike."""
    desk = Desk()
    gone = {shard: user(0, shard) for shard in ("00", "01")}
    new = {shard: user(1, shard) for shard in ("00", "01")}
    noted = {shard: user(2, shard) for shard in ("00", "01")}
    desk.know([*gone.values(), *noted.values()])
    for one in gone.values():
        del desk.graph.photos[one.id]
    desk.give(new.values())
    quiet = [user(number) for number in range(10, 406)]
    desk.compare(*gone.values(), *new.values(), *quiet)
    desk.engine.note({one.id: None for one in noted.values()})
    desk.engine.advance(lambda name: name == "00")
    assert outcome(desk, gone["00"]) is Outcome.REMOVAL_PENDING
    assert outcome(desk, new["00"]) is Outcome.UPDATED
    assert desk.record(noted["00"]) is None
    assert desk.engine.unfinished() == [gone["01"].id, new["01"].id]
    assert desk.record(noted["01"]) is not None
    desk.engine.drain()
    assert desk.record(noted["01"]) is None
    assert outcome(desk, gone["01"]) is Outcome.REMOVAL_PENDING


def test_looks_of_all_windows_are_counted() -> None:
    """Until they are asked for, and once."""
    desk = Desk()
    desk.engine.window_users = 1
    desk.know([ANN, BEN], days=40)
    desk.compare(ANN)
    desk.engine.advance(lambda _: False)
    desk.compare(BEN)
    desk.engine.drain()
    assert (desk.engine.take_reverified(), desk.engine.take_reverified()) == (2, 0)


def test_the_last_try_goes_on_in_every_window() -> None:
    """Whoever fails in a later one is failed, too."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.faults.always("photo", [ANN, BEN], DOWN)
    desk.engine.begin_last_try()
    desk.finish(ANN)
    desk.finish(BEN)
    assert desk.outcomes() == {ANN.id: "failed", BEN.id: "failed"}


@pytest.mark.parametrize(("late", "left"), [(6, True), (7, False)])
def test_a_few_late_writes_do_not_hold_up_their_window(held: Held, late: int, left: bool) -> None:
    """Up to a tenth of a window is left to the next one; more than that is waited for."""
    desk = Desk(writers=held)
    first = full_window(desk, 0)
    waiting = held.waiting[:late]
    held.waiting = held.waiting[late:]
    for number in range(1, 6):
        full_window(desk, number * 60)
    held.waiting += waiting
    held.go(60 - late)
    full_window(desk, 360)
    done = set(ids(first)) & desk.results.keys()
    assert (len(done) == 60 - late) is left
    desk.engine.drain()
    assert len(desk.results) == 420
