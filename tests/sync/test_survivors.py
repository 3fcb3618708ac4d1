"""Changes of the program that no test of version 1 noticed; each would fail one of these."""

from collections.abc import Callable

import pytest

from local.tenant import Fault
from shared.checkpoint import RunBlobs
from shared.model import Outcome
from shared.sync import nightly
from tests.support.oracle import Oracle
from tests.support.world import World, outcomes, void

Make = Callable[..., World]
ONCE = {"REMOVAL_CONFIRMATIONS": "1"}
SLOW = {**ONCE, "TIME_BUDGET_SECONDS": "60", "MAX_CONCURRENCY": "1"}


def without_photo(here: World, number: int) -> None:
    """Take the photos of the first so many people away."""
    for user_id in here.ids()[:number]:
        here.tenant.directory.remove_photo(user_id)


def test_lines_are_saved_before_they_are_counted(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two saves, a counted user has a line; a line may come twice, never be lost."""
    here = world(users=40, shards=1)
    for user_id in here.ids():
        here.tenant.directory.set_photo(user_id, b"no image", "image/jpeg")
    save, deaths = RunBlobs.save, 0

    def look(blobs: RunBlobs) -> None:
        nonlocal deaths
        save(blobs)
        run = here.kept_run()
        lines = {line["id"] for line in here.lines(run)}
        counted = sum(run.counts.values())
        deaths += counted > 0
        assert len(lines) >= counted

    monkeypatch.setattr(RunBlobs, "save", look)
    run = here.fire()
    assert outcomes(run) == {"invalid_photo": 40}
    assert deaths > 0


def test_the_limit_is_of_the_photos_before_the_first_removal(world: Make) -> None:
    """Removals that an earlier firing of the run made count in what the percentage is of."""
    here = world(
        users=24,
        shards=1,
        settings={**ONCE, "REMOVAL_LIMIT": "50%", "MAX_CONCURRENCY": "1"},
        settled=True,
    )
    without_photo(here, 12)
    throttled = Fault("status", operation="profile.write", status=429, retry_after=3000, times=None)
    here.tenant.faults.add(
        Fault(
            "call",
            operation="profile.write",
            nth=5,
            action=lambda: void(here.tenant.faults.add(throttled)),
        )
    )
    run = here.night()
    assert run.status == "interrupted"
    assert 0 < run.count_of(Outcome.REMOVED) < 12
    throttled.times = 0
    here.clock.advance(3600)
    run = here.fire()
    assert outcomes(run) == {"unchanged": 12, "removed": 12}
    removals = here.report(run)["removals"]
    assert (removals["photos"], removals["limit"]) == (24, 12)
    assert removals["candidates"] == removals["removed"] == 12


def test_removals_end_with_the_time_budget(world: Make) -> None:
    """Thirty removals of five seconds each: the firing ends in time, the next ones go on."""
    here = world(users=40, shards=1, settings={**ONCE, "REMOVAL_LIMIT": "100%"}, settled=True)
    oracle = Oracle(here)
    without_photo(here, 30)
    here.tenant.faults.add(
        Fault(
            "call",
            operation="profile.write",
            times=None,
            action=lambda: here.clock.advance(5),
        )
    )
    here.clock.advance(86_400)
    firings = 0
    while True:
        began = here.clock.monotonic()
        run = here.fire(**SLOW)
        assert here.clock.monotonic() - began <= 60
        assert sum(outcomes(run).values()) == 40
        assert oracle.false_claims() == []
        firings += 1
        if run.status == "completed":
            break
        assert firings < 20
        here.clock.advance(900)
    assert firings > 2
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 10, "removed": 30}


def test_half_of_the_time_is_for_looks(world: Make) -> None:
    """Up to half of the budget photos that did not change are looked at, and no longer."""
    here = world(users=60, shards=1, settled=True)
    here.clock.advance(60 * 86_400)
    fault = here.tenant.faults.add(
        Fault("call", operation="photo.batch", nth=1, action=lambda: here.clock.advance(0.45 * 600))
    )
    run = here.fire(TIME_BUDGET_SECONDS="600", MAX_CONCURRENCY="1")
    assert fault.fired == 1
    assert run.reverified == 60


def test_a_broken_run_is_not_taken_for_none(world: Make) -> None:
    """It is kept for people to look at, and nothing is removed in the run that replaces it."""
    here = world(users=12, shards=1, settings=ONCE, settled=True)
    without_photo(here, 2)
    here.app().container.upload_blob("run.json", b'{"schema":1,"counts":', overwrite=True)
    run = here.night()
    assert outcomes(run) == {"unchanged": 10, "removal_pending": 2}
    assert "no earlier run" in here.report(run)["removals"]["note"]
    (kept,) = here.blobs("broken/").values()
    assert kept == b'{"schema":1,"counts":'
    assert here.writes() == []


def test_the_oracle_sees_a_profile_that_names_a_file_which_is_gone(world: Make) -> None:
    """Also of a user whose photo is gone: a browser would show a broken image."""
    here = world(users=4, shards=1, settled=True)
    oracle = Oracle(here)
    user_id = here.ids()[0]
    person = here.tenant.directory.people[user_id]
    here.tenant.directory.remove_photo(user_id)
    library = here.tenant.sharepoint.library["mysite"]
    for path in [path for path in library.contents() if user_id in path]:
        library.recycle(path)
    assert oracle.wrong() == {person.upn: "names a file that is gone"}
    assert person.upn in oracle.false_claims()


def test_a_property_that_may_not_be_edited(world: Make) -> None:
    """C3: the run stops and names the property Picture, where it is set, and the role."""
    here = world(users=12, shards=1)
    here.tenant.quirks.picture_editable = False
    run, message = here.stopped()
    assert run.status == "stopped"
    for part in ("Picture", "PropertyNotEditable", "admin", "User.ReadWrite.All"):
        assert part in message
    assert "service health" not in message.lower()
    here.tenant.quirks.picture_editable = True
    here.clock.advance(900)
    assert outcomes(here.fire()) == {"updated": 12}


def test_a_listing_of_slow_pages_goes_on_where_it_was(world: Make) -> None:
    """B9: a listing that does not fit into one firing is complete after two, each page once."""
    here = world(users=2500, shards=1)
    for operation in ("users.list", "photo.batch"):
        here.tenant.faults.add(
            Fault("call", operation=operation, times=None, action=lambda: here.clock.advance(35))
        )
    firings, listed = 0, 0
    while not listed and firings < 8:
        firings += 1
        run = here.fire(TIME_BUDGET_SECONDS="60")
        assert run.status == "interrupted"
        listed = run.listed
        assert listed or outcomes(run) == {}
        here.clock.advance(900)
    assert 1 < firings <= 4
    assert listed == 2500
    assert run.firings == firings
    answered = here.tenant.tape.entries(operation="users.list")
    # A page whose answer came too late is asked for once more, a saved one never.
    assert len({entry.target for entry in answered}) == 3
    assert len(answered) <= 3 + firings


def test_a_pause_of_years_is_kept_for_an_hour(world: Make) -> None:
    """B13: `Retry-After: 999999999` of one answer costs an hour, not the following nights."""
    here = world(users=6, shards=1)
    here.tenant.faults.add(
        Fault("status", operation="photo.batch", status=429, retry_after=999_999_999)
    )
    app = here.app()  # one process, which remembers the pause
    first = nightly.fire(app)
    assert first is not None
    assert first.status == "interrupted"
    here.clock.advance(3601)
    second = nightly.fire(app)
    assert second is not None
    assert outcomes(second) == {"updated": 6}
