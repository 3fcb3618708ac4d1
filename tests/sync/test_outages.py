"""Failures: of one user, who must harm nobody else; of a service, which must stop the run."""

from collections.abc import Callable
from typing import Any

import pytest

from local.tenant import Fault
from shared.sync.engine import WINDOW_USERS
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]


def lock(here: World, person: str | None = None, **fault: Any) -> Fault:
    """Uploads fail: one person's, or everybody's."""
    wanted = {"status": 423, "operation": "file.upload", "times": None, **fault}
    return here.tenant.faults.add(Fault("status", person=person, **wanted))


def test_one_user_fails(world: Make) -> None:
    """Promise 9: tried after 1, 2, 4, 8, 16 days, then every 28; nobody else notices.

    Most days on which nothing is tried pass without a night.
    """
    here = world(users=6, shards=1, settings={"REVERIFY_DAYS": "0"})
    oracle = Oracle(here)
    poisoned = here.ids()[0]
    locked = lock(here, poisoned)
    run = here.fire()
    assert outcomes(run) == {"updated": 5, "failed": 1}
    (line,) = [line for line in here.lines(run) if line["outcome"] == "failed"]
    assert "423" in line["detail"]
    waits: list[int] = []
    waited = 0
    while len(waits) < 6:
        waited += 1
        run = here.night()
        assert outcomes(run) == {"unchanged": 5, "failed": 1}
        if here.writes():
            waits.append(waited)
            waited = max(0, 2 ** min(len(waits), 4) - 3)
            here.clock.advance(waited * 86_400)
        else:
            (line,) = here.lines(run)
            assert "next attempt on" in line["detail"]
            assert here.tenant.tape.count(service="sharepoint") == 0
            assert here.operations()["photo.bytes"] == 0
    assert waits == [1, 2, 4, 8, 16, 28]
    assert oracle.false_claims() == oracle.orphans() == []

    locked.times = 0
    run = here.night(28)
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 5, "updated": 1}
    # Success clears it: the next failure is the first again.
    lock(here, poisoned)
    here.tenant.directory.set_photo(poisoned, jpeg())
    here.night()
    failing = here.records()[poisoned].failing
    assert failing
    assert failing.count == 1


def test_a_new_photo_is_tried_at_once(world: Make) -> None:
    """Whoever replaces a photo that could not be used does not wait for the next attempt."""
    here = world(users=6, shards=1)
    oracle = Oracle(here)
    someone = here.ids()[2]
    here.tenant.directory.set_photo(someone, b"\xff\xd8\xff no picture")
    assert outcomes(here.fire()) == {"updated": 5, "invalid_photo": 1}
    here.night()
    assert outcomes(here.night()) == {"unchanged": 5, "invalid_photo": 1}
    assert here.operations()["photo.bytes"] == 0
    here.tenant.directory.set_photo(someone, jpeg())
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 5, "updated": 1}


def test_a_failure_keeps_what_is_shown(world: Make) -> None:
    """Promise 8: an unusable photo leaves SharePoint as it was, and the claim with it."""
    here = world(users=6, shards=1, settled=True)
    oracle = Oracle(here)
    someone = here.ids()[2]
    before = oracle.shown(someone)
    here.tenant.directory.set_photo(someone, b"\xff\xd8\xff no picture")
    assert outcomes(here.night()) == {"unchanged": 5, "invalid_photo": 1}
    assert oracle.shown(someone) == before
    assert here.writes() == []
    here.tenant.directory.remove_photo(someone)
    assert outcomes(here.night()) == {"unchanged": 5, "removal_pending": 1}


@pytest.mark.parametrize(
    "fault",
    sample(
        [
            {"kind": "item_status", "operation": "photo.batch", "status": 503},
            {"kind": "item_status", "operation": "photo.batch", "status": 403},
            {"kind": "item_missing", "operation": "photo.batch"},
            {"kind": "item_unknown_id", "operation": "photo.batch"},
            {"kind": "status", "operation": "photo.bytes", "status": 500},
            {"kind": "truncate", "operation": "photo.bytes"},
            {"kind": "truncate_clean", "operation": "photo.bytes"},
            {"kind": "status", "operation": "file.upload", "status": 503},
            {"kind": "forbidden", "operation": "file.upload"},
            {"kind": "timeout_after", "operation": "file.upload"},
            {"kind": "error_info", "operation": "profile.write"},
            {"kind": "timeout_after", "operation": "profile.write"},
            {"kind": "timeout_before", "operation": "profile.write"},
        ],
        2,
    ),
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_poisoned_user_harms_only_themselves(world: Make, fault: dict[str, Any]) -> None:
    """Promises 8 and 9: whatever is wrong with one user, all others end as they should."""
    here = world(users=6, shards=1)
    oracle = Oracle(here)
    poisoned = here.ids()[0]
    poison = here.tenant.faults.add(Fault(**fault, person=poisoned, times=None))
    run = here.fire()
    assert run.status == "completed"
    bad = "invalid_photo" if fault["kind"] == "truncate_clean" else "failed"
    assert outcomes(run) == {"updated": 5, bad: 1}
    assert set(oracle.wrong()) <= {here.tenant.directory.people[poisoned].upn}
    assert oracle.false_claims() == oracle.orphans() == []
    poison.times = 0
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 5, "updated": 1}


@pytest.mark.parametrize(
    "operation", sample(["photo.batch", "photo.bytes", "file.upload", "profile.write"], 2, 1)
)
def test_nearly_all_fail(world: Make, operation: str) -> None:
    """Promise 10: stopped after a bounded number of requests, the cause named, nobody blamed."""
    here = world(users=30, shards=1)
    down = here.tenant.faults.add(
        Fault("status", status=503, operation=operation, times=None, message="Out of order.")
    )
    run, message = here.stopped()
    assert run.status == "stopped"
    assert run.reason == message
    assert "fails for everybody" in message
    # The last of many at once may have met a connection that was closed meanwhile.
    assert "503" in message or "no answer" in message
    assert outcomes(run) == {"deferred": 30}
    # The users of one window are read at once, each with four tries.
    assert here.operations()[operation] <= 4 * WINDOW_USERS
    assert here.records() == {} or all(r.failing is None for r in here.records().values())

    # The next firing tries one, and stops again.
    here.clock.advance(900)
    here.tenant.tape.clear()
    here.stopped()
    # Where users are compared one by one, those already asked about are a few more.
    assert 1 <= here.operations()[operation] <= 4 * (8 if operation == "photo.batch" else 1)

    # And by itself all is well again when the service is.
    down.times = 0
    here.clock.advance(900)
    here.tenant.tape.clear()
    run = here.fire()
    assert run.status == "completed"
    assert sum(outcomes(run).values()) == run.listed == 30


@pytest.mark.parametrize(
    ("service", "role", "operation"),
    [
        ("graph", "User.Read.All", "users.list"),
        ("sharepoint", "User.ReadWrite.All", "profile.batch"),
        ("sharepoint", "Sites.FullControl.All", "folder.read"),
    ],
)
def test_a_missing_permission(world: Make, service: str, role: str, operation: str) -> None:
    """Stopped at once with the role that is missing; granted, the next firing goes on."""
    here = world(users=30, shards=2)
    oracle = Oracle(here)
    here.tenant.roles[service] -= {role}
    # Without any role at all SharePoint answers 401 and names nothing.
    here.tenant.roles[service] |= {"Unrelated.Read"}
    run, message = here.stopped()
    assert role in message
    assert "infra/permissions/grant.sh" in message
    assert here.operations()[operation] <= 8
    assert here.tenant.tape.writes() == []
    assert outcomes(run).get("failed", 0) == 0
    here.tenant.roles[service] |= {role}
    here.clock.advance(900)
    oracle.verify(here.fire())


def test_a_poisoned_user_first_in_line_after_an_outage(world: Make) -> None:
    """The probe fails for reasons of its own: the next firing tries another user, and recovers."""
    here = world(users=40, shards=2)
    oracle = Oracle(here)
    down = here.tenant.faults.add(Fault("status", operation="file.upload", times=None))
    here.stopped()
    down.times = 0
    poisoned = here.ids()[:2]
    poison = [
        here.tenant.faults.add(Fault("status", operation="file.upload", person=user_id, times=None))
        for user_id in poisoned
    ]
    for _ in poisoned:
        here.clock.advance(900)
        here.stopped()
    here.clock.advance(900)
    run = here.fire()
    assert outcomes(run) == {"updated": 38, "failed": 2}
    for fault in poison:
        fault.times = 0
    oracle.verify(here.night())


def test_a_poisoned_user_beside_good_ones_is_no_outage(world: Make) -> None:
    """Versions that come for others prove that Graph works, also for the probe after a stop."""
    here = world(users=40, shards=2)
    down = here.tenant.faults.add(Fault("status", operation="photo.batch", times=None))
    here.stopped()
    down.times = 0
    here.tenant.faults.add(
        Fault("item_status", operation="photo.batch", person=here.ids()[0], times=None)
    )
    here.clock.advance(900)
    assert outcomes(here.fire()) == {"updated": 39, "failed": 1}


def test_a_few_users_refused_are_no_missing_permission(world: Make) -> None:
    """B3: on a quiet night only the refused users need a write; they fail, and nobody else."""
    here = world(users=40, shards=2, settled=True)
    refused = here.ids()[:3]
    for user_id in refused:
        here.tenant.directory.set_photo(user_id, jpeg())
        here.tenant.faults.add(
            Fault("forbidden", operation="file.upload", person=user_id, times=None)
        )
    run = here.night()
    assert (run.status, outcomes(run)) == ("completed", {"unchanged": 37, "failed": 3})


def test_an_internal_error(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug met by one user is their failure; one in the run itself is reported and stops it."""
    here = world(users=5, shards=1)
    poisoned = here.ids()[0]
    real = here.app().graph

    def spoiled(self: Any, user_id: str, patience: Any = None) -> bytes | None:
        if user_id == poisoned:
            raise RuntimeError("secret text")
        return photo(self, user_id, patience)

    kind = type(real(None))  # type: ignore[arg-type]  # only its class is wanted
    photo = kind.photo
    monkeypatch.setattr(kind, "photo", spoiled)
    run = here.fire()
    assert outcomes(run) == {"updated": 4, "failed": 1}
    assert here.lines(run)[0]["detail"] == "internal error: RuntimeError"

    def broken(*_: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr("shared.sync.firing.compare", broken)
    here.clock.advance(86_400)
    run, message = here.stopped()
    assert (run.status, message) == ("stopped", "internal error: RuntimeError")
    assert "secret" not in str(here.report(run))


def test_a_quiet_night_after_an_outage_is_as_cheap_as_ever(world: Make) -> None:
    """One answer of Graph is enough to compare twenty a request again, also without any write."""
    here = world(users=120, shards=1, settled=True)
    down = here.tenant.faults.add(Fault("status", operation="photo.batch", times=None))
    here.clock.advance(86_400)
    here.stopped()
    down.times = 0
    here.clock.advance(900)
    here.tenant.tape.clear()
    assert outcomes(here.fire()) == {"unchanged": 120}
    assert here.operations()["photo.batch"] <= 3 + 120 / 20


def test_after_an_outage_of_sharepoint_one_user_is_written_alone(world: Make) -> None:
    """The first user shows that writing works again; then everybody is taken together."""
    here = world(users=60, shards=1)
    down = here.tenant.faults.add(Fault("status", operation="file.upload", times=None))
    here.stopped()
    down.times = 0
    here.clock.advance(900)
    here.tenant.tape.clear()
    assert here.fire().status == "completed"
    written = [entry.operation for entry in here.tenant.tape.writes()]
    assert written[:4] == ["file.upload"] * 3 + ["profile.write"]
