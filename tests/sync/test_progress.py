"""The accounts of a run: counts, lines, and progress are of the same users at any time."""

from typing import Any

import pytest

from shared.checkpoint import iso
from shared.errors import StateError
from shared.model import Outcome, User
from shared.sync.user_sync import Result
from tests.support.people import NOW, RUN, ids, kept, user, users
from tests.support.run_desk import RunDesk, gone

ANN, BEN, CAM = users(3)


def result(one: User, outcome: Outcome = Outcome.UPDATED, record: Any = None) -> Result:
    return Result(one, outcome, "why", record)


def test_users_are_counted_and_noted_for_the_report() -> None:
    """Quiet outcomes have a count and no line."""
    desk = RunDesk()
    desk.clock.advance(5)
    desk.progress.account([result(ANN), result(BEN, Outcome.UNCHANGED)])
    assert (desk.counts(), desk.blobs.lines) == ({"updated": 1, "unchanged": 1}, [])
    desk.progress.save()
    assert desk.blobs.lines == [
        {
            "id": ANN.id,
            "userPrincipalName": ANN.upn,
            "outcome": "updated",
            "detail": "why",
            "at": iso(NOW + 5),
        }
    ]
    desk.progress.save()
    assert len(desk.blobs.lines) == 1


def test_lines_are_saved_before_the_counts() -> None:
    """Lines may fail; whoever is counted has a line."""
    desk = RunDesk()
    desk.progress.account([result(ANN)])
    desk.progress.save()
    assert desk.tape == [("lines", [ANN.id]), ("save run", "")]


def test_lines_that_could_not_be_saved_come_again() -> None:
    """They are forgotten only when they are saved."""
    desk = RunDesk()
    desk.progress.account([result(ANN)])
    real = desk.blobs.append_lines

    def fail(lines: list[dict[str, Any]]) -> None:  # noqa: ARG001
        raise StateError("storage failed")

    desk.blobs.append_lines = fail  # type: ignore[method-assign]
    with pytest.raises(StateError):
        desk.progress.save()
    assert desk.blobs.documents == []
    desk.blobs.append_lines = real  # type: ignore[method-assign]
    desk.progress.save()
    assert desk.lines() == {ANN.id: "updated"}


def test_a_candidate_for_removal_is_counted_later() -> None:
    """Its shard is noted once, and the shards are in order."""
    desk = RunDesk()
    for one in (user(1, "7f"), ANN, BEN):
        desk.progress.account([result(one, Outcome.REMOVAL_PENDING, gone(one, kept(one)))])
    assert (desk.run.removal_candidates, desk.run.clearing) == (3, ["00", "7f"])
    assert desk.counts() == {}
    other = gone(CAM, kept(CAM), runs=1)
    desk.progress.account([result(CAM, Outcome.REMOVAL_PENDING, other)])
    assert desk.counts() == {"removal_pending": 1}
    assert desk.run.removal_candidates == 3


@pytest.mark.parametrize(("mode", "noted"), [("dry-run", [ANN.id]), ("sync", [])])
def test_a_dry_run_notes_its_candidates(mode: str, noted: list[str]) -> None:
    """Its records are not saved, so its document has to tell."""
    desk = RunDesk(run={"mode": mode})
    desk.progress.account([result(ANN, Outcome.REMOVAL_PENDING, gone(ANN, kept(ANN)))])
    assert (desk.run.candidates, desk.run.removal_candidates) == (noted, 1)


def test_only_who_is_up_to_the_cursor_is_named() -> None:
    """Whoever is behind it comes by themselves, and nobody is named twice."""
    desk = RunDesk(run={"cursor": BEN.id})
    desk.progress.waiting = lambda: (ids([BEN, CAM]), ids([ANN, BEN, CAM]))
    desk.progress.save()
    assert (desk.run.deferred, desk.run.put_aside) == ([BEN.id], [ANN.id])


def test_who_was_named_stays_named_until_the_pass_begins() -> None:
    """Saving before anything was done forgets nobody."""
    desk = RunDesk(run={"cursor": CAM.id, "deferred": [ANN.id], "put_aside": [BEN.id]})
    desk.progress.save()
    assert (desk.run.deferred, desk.run.put_aside) == ([ANN.id], [BEN.id])


def test_in_other_phases_nobody_is_named() -> None:
    """What waits is of the pass over the users alone."""
    desk = RunDesk(run={"phase": "clearing", "cursor": CAM.id})
    desk.progress.waiting = lambda: ([ANN.id], [BEN.id])
    desk.progress.save()
    assert (desk.run.deferred, desk.run.put_aside) == ([], [])


def test_requests_add_up_over_firings() -> None:
    """Each request is counted once, however often the progress is saved."""
    desk = RunDesk(run={"requests": {"graph": 5}, "throttled": 1, "received": 10, "sent": 20})
    desk.meter.add("graph", requests=2, throttled=1, received=100, sent=7)
    desk.progress.save()
    desk.progress.save()
    desk.meter.add("graph", requests=1)
    desk.meter.add("sharepoint", requests=3, throttled=2, received=1, sent=1)
    desk.progress.save()
    run = desk.run
    assert run.requests == {"graph": 8, "sharepoint": 3}
    assert (run.throttled, run.received, run.sent) == (4, 111, 28)


@pytest.mark.parametrize(("status", "deleted"), [("completed", True), ("interrupted", False)])
def test_the_report_is_saved_before_the_run_ends(status: str, deleted: bool) -> None:
    """Whoever dies in between finds the run unfinished; the listing goes with its last firing."""
    desk = RunDesk(run={"phase": "done"})
    desk.meter.add("graph", requests=2)
    desk.clock.advance(3)
    desk.progress.finish(status, "because")
    names = ["save report", *(["delete pages"] if deleted else []), "lines", "save run"]
    assert desk.names() == names
    run = desk.run
    assert (run.status, run.reason, run.ended) == (status, "because", iso(NOW + 3))
    assert run.updated == run.ended
    assert run.requests["graph"] == 2
    assert desk.calls("save report") == [status]
    assert run.id == RUN


def test_a_run_that_is_complete_has_no_reason() -> None:
    """That of an earlier interruption is gone."""
    desk = RunDesk(run={"phase": "done", "reason": "earlier"})
    desk.progress.finish("completed")
    assert desk.run.reason == ""


def test_the_end_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The line by which the run is watched."""
    desk = RunDesk(run={"phase": "done"})
    with caplog.at_level("INFO"):
        desk.progress.finish("completed")
    (record,) = caplog.records
    assert record.getMessage().startswith("photo-sync run summary ")
    assert '"status": "completed"' in record.getMessage()


def test_lines_wait_together_until_they_are_saved() -> None:
    """Users of several windows have their lines in one block."""
    desk = RunDesk()
    desk.progress.account([result(ANN)])
    desk.progress.account([result(BEN)])
    desk.progress.save()
    assert desk.lines() == {ANN.id: "updated", BEN.id: "updated"}
