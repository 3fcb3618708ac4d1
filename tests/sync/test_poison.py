"""Promise 9: whatever is wrong with one user, or with forty, everybody else is done."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from local.tenant import Fault
from shared.checkpoint import Run
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]

PATIENCE_SECONDS = 120.0
"""What one user's trouble may cost a run."""

HANG_SECONDS = 10.0
"""How long a request hangs; the real one ends with the patience, so this may be too much once."""

ITEMS: dict[str, dict[str, Any]] = {
    **{
        f"429, wait {seconds} s": {"kind": "item_status", "status": 429, "retry_after": seconds}
        for seconds in (10, 150, 300, 3600)
    },
    "429": {"kind": "item_status", "status": 429},
    "503, wait 300 s": {"kind": "item_status", "status": 503, "retry_after": 300},
    "500": {"kind": "item_status", "status": 500},
    "403": {"kind": "item_status", "status": 403},
    "404 of an unknown code": {"kind": "item_status", "status": 404, "code": "Mystery"},
    "404 without a code": {"kind": "item_status", "status": 404, "body": "empty"},
    "400": {"kind": "item_status", "status": 400},
    "423": {"kind": "item_status", "status": 423},
    "no answer": {"kind": "item_missing"},
    "an unknown id": {"kind": "item_unknown_id"},
}
"""Poison in one item of a Graph batch."""

HANGING = "hanging"

ENVELOPES: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "400": {"kind": "status", "status": 400},
    "cut": {"kind": "truncate"},
    "malformed": {"kind": "truncate_clean"},
    "reset": {"kind": "reset"},
    HANGING: {"kind": "timeout_before"},
}
"""Poison of every request about many users that names a certain one."""

SINGLE: dict[str, dict[str, Any]] = {
    **{
        f"429, wait {seconds} s": {"kind": "status", "status": 429, "retry_after": seconds}
        for seconds in (10, 150, 300, 3600)
    },
    "429": {"kind": "status", "status": 429},
    "503, wait 300 s": {"kind": "status", "status": 503, "retry_after": 300},
    "404 of an unknown code": {"kind": "status", "status": 404, "code": "Mystery"},
    "403": {"kind": "forbidden"},
    "423": {"kind": "status", "status": 423},
    **ENVELOPES,
}
"""Poison of the requests about one user."""

PLACES = {
    "photo version": ("photo.batch", ITEMS),
    "batch of photo versions": ("photo.batch", ENVELOPES),
    "name": ("user.batch", ITEMS),
    "batch of names": ("user.batch", ENVELOPES),
    "batch of profiles": ("profile.batch", ENVELOPES),
    "photo": ("photo.bytes", SINGLE),
    "upload": ("file.upload", SINGLE),
    "profile": ("profile.write", SINGLE),
}


def poison(here: World, operation: str, user_id: str | None, **kind: Any) -> Fault:
    """Spoil every request that is about a user; a hanging one takes its time."""
    fault = Fault(**kind, operation=operation, person=user_id, times=None)
    if kind["kind"] == "timeout_before":
        fault.action = lambda: here.clock.advance(HANG_SECONDS)
    return here.tenant.faults.add(fault)


def timed(here: World, fire: Callable[[], Run]) -> tuple[Run, float]:
    """A firing and how long it took."""
    began = here.clock.monotonic()
    run = fire()
    return run, here.clock.monotonic() - began


def few_with_photo(here: World, number: int) -> None:
    """Only so many keep their photo, spread over all: so a large tenant is quickly done."""
    ids = here.ids()
    kept = set(ids[:: max(1, len(ids) // number)])
    for user_id in ids:
        if user_id not in kept:
            here.tenant.directory.remove_photo(user_id)


@pytest.mark.parametrize("place", PLACES)
def test_one_user_with_any_poison(world: Make, place: str) -> None:
    """Others are done in the same firing, within two minutes; the user fails, and heals later."""
    operation, kinds = PLACES[place]
    kinds = dict(sample(kinds.items(), 5, list(PLACES).index(place)))
    here = world(users=len(kinds) + 4, shards=1, settings={"MAX_CONCURRENCY": "2"})
    here.tenant.quirks.sized_photo_missing = False
    oracle = Oracle(here)
    oracle.verify(here.fire())
    directory = here.tenant.directory
    healthy, victims = here.ids()[-4:], here.ids()[:-4]
    # SharePoint's profiles are read one by one where a batch of them fails.
    unharmed = place == "batch of profiles"
    wrong = {}
    for number, ((name, kind), victim) in enumerate(zip(kinds.items(), victims, strict=True)):
        for user_id in (*healthy, victim):
            directory.set_photo(user_id, jpeg((number * 9, 99, 9), 96))
        fault = poison(here, operation, victim, **kind)
        here.clock.advance(86_400)
        run, seconds = timed(here, here.fire)
        ended = {line["id"]: line["outcome"] for line in here.lines(run)}
        bad = "invalid_photo" if (place, name) == ("photo", "malformed") else "failed"
        expected = dict.fromkeys(healthy, "updated")
        expected[victim] = "updated" if unharmed else bad
        if number and not unharmed:
            expected[victims[number - 1]] = "updated"
        late = seconds > PATIENCE_SECONDS + HANG_SECONDS * (name == HANGING)
        if ended != expected or late or run.status != "completed":
            wrong[name] = (run.status, seconds, ended.get(victim), ended == expected)
        assert set(oracle.wrong()) <= {directory.people[victim].upn}, name
        assert oracle.false_claims() == oracle.orphans() == [], name
        fault.times = 0
    assert wrong == {}
    oracle.verify(here.night(2))


@pytest.mark.parametrize("users", [60, 200])
def test_a_batch_that_fails_because_of_one_user(world: Make, users: int) -> None:
    """B1: the batch is divided until the user is alone; all others are done the first night."""
    here = world(users=users, shards=4)
    few_with_photo(here, 10)
    victim = here.ids()[users // 3]
    here.tenant.directory.set_photo(victim, jpeg())
    oracle = Oracle(here)
    poison(here, "photo.batch", victim, kind="status", status=500)
    run, seconds = timed(here, here.fire)
    assert (run.status, outcomes(run)["failed"]) == ("completed", 1)
    assert set(oracle.wrong()) == {here.tenant.directory.people[victim].upn}
    assert seconds <= PATIENCE_SECONDS
    # Two requests for each division, some of them repeated.
    assert here.operations()["photo.batch"] <= users / 20 + 4 * 10
    assert outcomes(here.night(28))["failed"] == 1
    here.tenant.faults.clear()
    oracle.verify(here.night(28))


@pytest.mark.parametrize(
    ("operation", "seconds"),
    sample(product(["photo.bytes", "file.upload", "profile.write"], [10, 300]), 3),
)
def test_a_mailbox_that_is_always_throttled(world: Make, operation: str, seconds: int) -> None:
    """B2: everybody else is done in the first firing, wherever the user stands in the line."""
    here = world(users=60, shards=4)
    few_with_photo(here, 10)
    victim = here.ids()[0]
    oracle = Oracle(here)
    poison(here, operation, victim, kind="status", status=429, retry_after=seconds)
    run, spent = timed(here, here.fire)
    assert (run.status, outcomes(run)["failed"]) == ("completed", 1)
    assert set(oracle.wrong()) == {here.tenant.directory.people[victim].upn}
    assert spent <= PATIENCE_SECONDS


@pytest.mark.parametrize("operation", ["photo.bytes", "file.upload"])
def test_three_users_who_are_refused(world: Make, operation: str) -> None:
    """B3: on a quiet night, when nobody else needs anything, no permission is said to miss."""
    here = world(users=60, shards=4)
    few_with_photo(here, 10)
    oracle = Oracle(here)
    here.fire()
    sick = [user_id for user_id, record in sorted(here.records().items()) if record.photo][:3]
    for user_id in sick:
        here.tenant.directory.set_photo(user_id, jpeg())
        poison(here, operation, user_id, kind="forbidden")
    run = here.night()
    assert (run.status, outcomes(run)["failed"]) == ("completed", 3)
    here.tenant.faults.clear()
    oracle.verify(here.night())


@pytest.mark.parametrize("operation", ["photo.bytes", "file.upload"])
def test_the_first_three_users_are_refused(world: Make, operation: str) -> None:
    """B3 on a first night, when nobody was ever done: all others are done in the first firing."""
    here = world(users=60, shards=4)
    few_with_photo(here, 10)
    oracle = Oracle(here)
    directory = here.tenant.directory
    sick = [user_id for user_id in here.ids() if directory.people[user_id].photo][:3]
    for user_id in sick:
        poison(here, operation, user_id, kind="forbidden")
    run = here.fire(MAX_CONCURRENCY="1")
    assert (run.status, outcomes(run)["failed"]) == ("completed", 3)
    here.tenant.faults.clear()
    oracle.verify(here.night())


def test_one_batch_fails_four_times(world: Make) -> None:
    """B5: a batch that fails for a while, after users who were fine, is tried again."""
    here = world(users=60, shards=4)
    few_with_photo(here, 10)
    oracle = Oracle(here)
    fault = here.tenant.faults.add(
        Fault("status", status=503, operation="photo.batch", person=here.ids()[45], times=4)
    )
    oracle.verify(here.fire())
    assert fault.fired == 4


def test_sharepoint_answers_no_batch(world: Make) -> None:
    """B6: profiles are read one by one when SharePoint's batch endpoint always fails."""
    here = world(users=60, shards=4)
    here.tenant.quirks.batch_fails = True
    few_with_photo(here, 10)
    oracle = Oracle(here)
    oracle.verify(here.fire())


@pytest.mark.parametrize(
    ("operation", "kind"),
    sample(product(["photo.bytes", "file.upload"], ["403", "423", "500"]), 3, 2),
)
def test_forty_users_in_two_hundred(world: Make, operation: str, kind: str) -> None:
    """Forty who fail stop neither a first night nor a quiet one, and nobody gets false advice.

    A quarter of the tenant has photos, and of them as many are poisoned: ten of fifty.
    """
    here = world(users=200, shards=4)
    few_with_photo(here, 50)
    oracle = Oracle(here)
    directory = here.tenant.directory
    with_photo = [user_id for user_id in here.ids() if directory.people[user_id].photo]
    sick = with_photo[2::5]
    assert len(sick) == 10
    for user_id in sick:
        poison(here, operation, user_id, **SINGLE[kind])
    run = here.fire()
    assert run.status == "completed", run.reason
    assert outcomes(run)["failed"] == 10
    assert outcomes(run)["updated"] == 40
    assert set(oracle.wrong()) == {directory.people[user_id].upn for user_id in sick}
    run = here.night()
    assert run.status == "completed", run.reason
    assert outcomes(run)["failed"] == 10
    here.tenant.faults.clear()
    oracle.verify(here.night(2))


@pytest.mark.parametrize("operation", sample(["photo.bytes", "file.upload"], 2))
def test_forty_users_in_two_hundred_are_throttled(world: Make, operation: str) -> None:
    """Ten of fifty with a photo, each with five minutes: two minutes for each at most."""
    here = world(users=200, shards=4)
    few_with_photo(here, 50)
    directory = here.tenant.directory
    oracle = Oracle(here)
    with_photo = [user_id for user_id in here.ids() if directory.people[user_id].photo]
    sick = with_photo[2::5]
    for user_id in sick:
        poison(here, operation, user_id, **SINGLE["429, wait 300 s"])
    run, spent = timed(here, here.fire)
    assert (run.status, outcomes(run)["failed"]) == ("completed", len(sick))
    assert set(oracle.wrong()) == {directory.people[user_id].upn for user_id in sick}
    assert spent <= len(sick) * PATIENCE_SECONDS


def test_the_last_users_of_a_run_are_throttled(world: Make) -> None:
    """Nobody is answered after them, in neither try, who would prove that it is their own."""
    here = world(users=12, shards=1, settings={"MAX_CONCURRENCY": "1"})
    sick = here.ids()[-4:]
    for user_id in sick:
        poison(here, "photo.bytes", user_id, **SINGLE["429, wait 300 s"])
    run, spent = timed(here, here.fire)
    assert (run.status, outcomes(run)["failed"]) == ("completed", len(sick))
    assert spent <= len(sick) * 150, "two share a pause"


@pytest.mark.parametrize(
    ("operation", "status"),
    sample(product(["photo.batch", "photo.bytes", "profile.batch"], [429, 503]), 2),
)
def test_five_minutes_for_everybody(world: Make, operation: str, status: int) -> None:
    """Promise 10: what fails for everybody ends the run unharmed; the next firing heals it."""
    here = world(users=40, shards=4)
    few_with_photo(here, 10)
    oracle = Oracle(here)
    until = here.clock.monotonic() + 300
    fault = poison(here, operation, None, kind="status", status=status, retry_after=None)

    def over() -> None:
        if here.clock.monotonic() >= until:
            fault.times = 0

    fault.action = over
    try:
        run = here.fire()
    except Exception:  # noqa: BLE001 - however it ended
        run = here.kept_run()
    assert outcomes(run).get("failed", 0) == 0
    here.clock.advance(900)
    fault.times = 0
    if run.status != "completed":
        run = here.fire()
    oracle.verify(run)
