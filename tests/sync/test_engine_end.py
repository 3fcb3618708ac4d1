"""The end of a run: who is deferred, and what a service has to do with it."""

import pytest

from shared.checkpoint import Failing
from shared.errors import (
    AccessDenied,
    ConfigurationError,
    DeadlineExceeded,
    HostUnavailable,
    InvalidPhoto,
    PhotoSyncError,
    RunStopped,
    StateError,
    Throttled,
    TokenUnavailable,
)
from tests.support.engine_desk import ANN, BEN, REJECTED, Desk
from tests.support.memory_executors import Held
from tests.support.people import DOWN, HOST, failure_of, ids, kept, user, users

THE_END = [
    DeadlineExceeded("no time left"),
    TokenUnavailable("no token"),
    ConfigurationError(["a role is missing"]),
    StateError("storage failed"),
    Throttled(failure_of(status=429), 300),
]


@pytest.mark.parametrize(
    "operation", ["versions", "users", "photo", "profiles", "location", "show"]
)
@pytest.mark.parametrize("error", THE_END, ids=lambda error: type(error).__name__)
def test_what_ends_the_run_defers_whoever_is_left(operation: str, error: PhotoSyncError) -> None:
    """Nothing is wrong with them, so they are nobody's failure and are taken first next time."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.faults.always(operation, ANN, error)
    desk.compare(ANN, BEN)
    desk.engine.drain()
    assert desk.engine.ended is error
    assert ANN.id in desk.engine.unfinished()
    assert ANN.id not in desk.results
    assert desk.engine.put_aside == []
    assert {*desk.engine.unfinished(), *desk.results} == {ANN.id, BEN.id}
    record = desk.record(ANN)
    assert record is None or record.failing is None


def test_the_first_reason_is_the_one_that_is_told() -> None:
    """Everything that fails after it is a consequence."""
    desk = Desk()
    first, second = DeadlineExceeded("first"), DeadlineExceeded("second")
    desk.engine.end(first)
    desk.engine.end(second)
    assert desk.engine.ended is first


def test_after_the_end_nothing_is_asked() -> None:
    """Neither versions, names, profiles, nor photos; all are deferred."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.compare(ANN)
    desk.tape.clear()
    desk.engine.end(DeadlineExceeded("no time left"))
    desk.compare(BEN)
    desk.engine.drain()
    assert desk.tape == []
    assert desk.engine.names([ANN]) != {ANN.id: ANN}
    assert desk.tape == []
    assert (desk.results, desk.engine.unfinished()) == ({}, [ANN.id, BEN.id])


def test_what_was_settled_before_the_end_is_saved_and_counted() -> None:
    """Only what needs requests is deferred."""
    desk = Desk()
    desk.know(ANN)
    del desk.graph.photos[ANN.id]
    desk.give(BEN)
    desk.compare(ANN, BEN)
    desk.engine.end(DeadlineExceeded("no time left"))
    desk.engine.drain()
    assert desk.outcomes() == {ANN.id: "removal_pending"}
    assert desk.engine.deferred == [BEN.id]


def test_a_write_that_never_began_restores_the_record(held: Held) -> None:
    """As if nothing had happened: the claim stands, and the user is deferred."""
    desk = Desk(writers=held)
    desk.know(ANN)
    desk.give(ANN, '"B"', red=10)
    desk.compare(ANN)
    desk.clock.advance(60)
    desk.engine.advance(lambda _: False)
    withdrawn = desk.record(ANN)
    assert withdrawn is not None
    assert not withdrawn.claims
    desk.engine.end(DeadlineExceeded("no time left"))
    held.go()
    desk.engine.drain()
    assert desk.record(ANN) == kept(ANN)
    assert not [name for name in desk.names() if name.startswith("upload")]
    assert (desk.results, desk.engine.unfinished()) == ({}, [ANN.id])


def test_a_first_write_that_never_began_leaves_no_record(held: Held) -> None:
    """Nothing is known of a user of whom nothing is written."""
    desk = Desk(writers=held)
    desk.give(ANN)
    desk.compare(ANN)
    desk.clock.advance(60)
    desk.engine.advance(lambda _: False)
    assert desk.record(ANN) is not None
    desk.engine.end(DeadlineExceeded("no time left"))
    held.go()
    desk.engine.drain()
    assert desk.record(ANN) is None


def test_a_host_that_works_for_nobody_is_not_written_to() -> None:
    """Its users are put aside with their records as they were; users of other hosts are done."""
    desk = Desk()
    other = "https://contosoeur-my.sharepoint.com"
    desk.give([ANN, BEN])
    desk.sharepoint.host_of_user[BEN.id] = other
    desk.health.writing(HOST).succeeded()
    for number in range(20):
        desk.health.writing(other).failed(REJECTED, [f"user {number}"])
    desk.finish(ANN, BEN)
    assert desk.outcomes() == {ANN.id: "updated"}
    assert (desk.engine.put_aside, desk.engine.ended) == ([BEN.id], None)
    assert desk.record(BEN) is None
    desk.engine.begin_last_try()
    desk.finish(BEN)
    assert isinstance(desk.of(BEN).error, HostUnavailable)


def test_a_host_that_fails_between_reading_and_writing(held: Held) -> None:
    """The write does not begin, and the record is as before."""
    desk = Desk(writers=held)
    other = "https://contosoeur-my.sharepoint.com"
    desk.health.writing("").succeeded()
    desk.give(BEN)
    desk.sharepoint.host_of_user[BEN.id] = other
    desk.compare(BEN)
    desk.clock.advance(60)
    desk.engine.advance(lambda _: False)
    for number in range(20):
        desk.health.writing(other).failed(REJECTED, [f"user {number}"])
    held.go()
    desk.engine.drain()
    assert not [name for name in desk.names() if name.startswith("upload")]
    assert (desk.record(BEN), desk.engine.put_aside) == (None, [BEN.id])


@pytest.mark.parametrize("operation", ["versions", "photo", "profiles", "upload L"])
def test_a_service_that_answers_nobody_stops_the_run(operation: str) -> None:
    """Twenty requests about twenty users fail, nobody succeeds: no further users are asked."""
    desk = Desk()
    people = users(400 if operation in {"versions", "profiles"} else 20)
    if operation == "photo":
        desk.know(people)
        desk.give(people, '"B"', red=10)
    else:
        desk.give(people)
    desk.faults.always(operation, people, DOWN)
    desk.finish(*people)
    assert isinstance(desk.engine.ended, RunStopped)
    assert len(desk.asked_about) == 1
    desk.tape.clear()
    desk.compare(user(1000))
    assert desk.calls("versions") == []
    assert desk.engine.unfinished()[-1] == user(1000).id


def test_a_missing_permission_is_named_after_three_users() -> None:
    """Nobody waits for twenty users who are refused, a healthy one among them."""
    desk = Desk(healthy=False)
    people = users(3)
    desk.give(people)
    desk.faults.always("show", people, AccessDenied(failure_of("sharepoint", 403)))
    desk.finish(*people)
    assert isinstance(desk.engine.ended, ConfigurationError)
    assert not desk.results


def test_after_a_stop_users_are_tried_one_by_one() -> None:
    """Who fails there is noted, so that the next firing tries another; the rest is deferred."""
    desk = Desk(probing=True)
    desk.give([ANN, BEN])
    desk.faults.always("upload L", ANN, REJECTED)
    before = desk.engine.must_prove_versions
    desk.compare(ANN, BEN)
    assert (before, desk.engine.must_prove_versions) == (True, False)
    desk.engine.advance(lambda _: False)
    assert desk.outcomes() == {ANN.id: "failed"}
    assert isinstance(desk.engine.ended, RunStopped)
    record = desk.record(ANN)
    assert record is not None
    assert record.failing == Failing(1, "2026-03-11", '"A"')
    desk.engine.drain()
    assert desk.calls("photo") == [ANN.id]
    assert desk.engine.unfinished() == [BEN.id]


def test_after_a_stop_one_success_ends_the_probing() -> None:
    """From then on users wait for a full window again."""
    desk = Desk(probing=True)
    desk.give([ANN, BEN])
    desk.compare(ANN, BEN)
    desk.engine.advance(lambda _: False)
    assert desk.outcomes() == {ANN.id: "updated"}
    assert desk.engine.unfinished() == [BEN.id]
    desk.engine.advance(lambda _: False)
    assert desk.engine.unfinished() == [BEN.id]


def test_the_user_who_is_tried_first_is_finished_before_the_next(held: Held) -> None:
    """So that one failure stops the run before anybody else is written."""
    desk = Desk(writers=held, probing=True)
    desk.give([ANN, BEN])
    desk.faults.always("upload L", ANN, InvalidPhoto("not the service's"))
    desk.compare(ANN, BEN)
    desk.engine.advance(lambda _: False)
    assert desk.outcomes() == {ANN.id: "invalid_photo", BEN.id: "updated"}
    writes = [what for name, what in desk.tape if name in {"upload L", "count"}]
    assert writes == [ANN.id, [ANN.id], BEN.id, [BEN.id]]


def test_who_is_left_when_one_answer_ends_the_run() -> None:
    """Nothing is written for the others: they are deferred, not failed."""
    desk = Desk()
    desk.give([ANN, BEN])
    desk.faults.always("user", ANN, DeadlineExceeded("no time left"))
    desk.finish(ANN, BEN)
    assert desk.saved() == []
    assert (desk.results, desk.engine.deferred) == ({}, [ANN.id, BEN.id])


@pytest.mark.parametrize(
    ("operation", "work"),
    [
        ("upload L", "writing to SharePoint"),
        ("location", "reading pictures from SharePoint"),
    ],
)
def test_each_host_is_judged_by_its_own_users(operation: str, work: str) -> None:
    """Twenty users of another geo fail: theirs is not worth asking, the central one is."""
    desk = Desk()
    other = "https://contosoeur-my.sharepoint.com"
    people = users(21)
    desk.give(people)
    desk.sharepoint.host_of_user |= dict.fromkeys(ids(people[1:]), other)
    desk.faults.always(operation, people[1:], REJECTED)
    desk.finish(*people)
    assert desk.outcomes() == {people[0].id: "updated"}
    assert desk.health.writing("").cause is None
    assert desk.asked_about == [(work, other)]
    with pytest.raises(HostUnavailable):
        desk.health.require(other)
    assert desk.engine.ended is None


def test_users_are_tried_one_by_one_twenty_times_at_most() -> None:
    """On a night on which nobody needs to be written, the rest must not wait for a proof."""
    desk = Desk(probing=True)
    people = users(40)
    desk.know(people)
    desk.give(people, '"B"')
    desk.compare(*people)
    desk.engine.advance(lambda _: False)
    assert desk.results.keys() == set(ids(people[:20]))
    desk.engine.advance(lambda _: False)
    assert len(desk.results) == 20
    desk.engine.drain()
    assert set(desk.outcomes().values()) == {"unchanged"}
    assert len(desk.results) == 40
