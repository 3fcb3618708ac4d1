"""`POST /api/sync/{user}` while services fail: right status, in time, true record."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from local.tenant import Fault
from shared.config.settings import load
from shared.model import Outcome
from tests.support.blob_faults import BlobFaults
from tests.support.sampling import sample
from tests.support.served_world import Reply, Served
from tests.support.world import World, jpeg

Make = Callable[..., Served]

ANSWER_SECONDS = 60

OPERATIONS = [
    "token",
    "user.photo.batch",
    "photo.bytes",
    "profile.read",
    "folder.read",
    "file.upload",
    "profile.write",
]

FAULTS: dict[str, dict[str, Any]] = {
    "429 with seconds": {"kind": "status", "status": 429, "retry_after": 7},
    "429 with a date": {
        "kind": "status",
        "status": 429,
        "retry_after": 7,
        "retry_after_date": True,
    },
    "429": {"kind": "status", "status": 429},
    "429 for ten minutes": {"kind": "status", "status": 429, "retry_after": 600},
    "503 with seconds": {"kind": "status", "status": 503, "retry_after": 7},
    "500": {"kind": "status", "status": 500},
    "502 HTML": {"kind": "status", "status": 502, "body": "html"},
    "503 empty": {"kind": "status", "status": 503, "body": "empty"},
    "504": {"kind": "status", "status": 504},
    "400": {"kind": "status", "status": 400},
    "404": {"kind": "status", "status": 404},
    "409": {"kind": "status", "status": 409},
    "302": {"kind": "status", "status": 302},
    "200 empty": {"kind": "status", "status": 200, "body": "empty"},
    "200 HTML": {"kind": "status", "status": 200, "body": "html"},
    "time-out before": {"kind": "timeout_before"},
    "time-out after": {"kind": "timeout_after"},
    "reset": {"kind": "reset"},
    "cut": {"kind": "truncate"},
    "cut, complete as HTTP": {"kind": "truncate_clean"},
    "401": {"kind": "token_rejected"},
    "403": {"kind": "forbidden"},
    "item 429": {"kind": "item_status", "status": 429},
    "item 503": {"kind": "item_status", "status": 503},
    "item 403": {"kind": "item_status", "status": 403},
    "item missing": {"kind": "item_missing"},
    "item unknown": {"kind": "item_unknown_id"},
    "ErrorInfo": {"kind": "error_info"},
}

PASSING = {
    "429 with seconds", "429 with a date", "429", "503 with seconds", "500", "502 HTML",
    "503 empty", "504", "time-out before", "time-out after", "reset", "cut", "401", "item 429",
    "item 503", "item missing", "item unknown",
}  # fmt: skip
"""Faults that are over when they have happened once."""


def assert_answer(reply: Reply, what: str) -> None:
    """One of the contract's statuses, complete, whatever happened."""
    assert reply.status in {200, 404, 500, 502, 503}, (what, reply)
    if reply.status == 200:
        assert reply.json["outcome"] in {o.value for o in Outcome} - {"failed", "deferred"}, what
        return
    assert reply.type == "application/problem+json", what
    assert reply.json["status"] == reply.status, what
    assert reply.json["detail"], what
    assert reply.json["type"] != "urn:photo-sync:problem:internal-error", (what, reply)
    assert (reply.status == 503) == ("retry-after" in reply.headers), what
    if reply.json.get("outcome"):
        expected = {"failed": {502, 500, 404}, "deferred": {503}}[reply.json["outcome"]]
        assert reply.status in expected, what


def applies(name: str, operation: str) -> bool:
    """Whether such an answer can come from this operation."""
    if name.startswith("item"):
        return operation == "user.photo.batch"
    return name != "ErrorInfo" or operation == "profile.write"


def planned(operation: str, names: Iterable[str], every: int) -> list[str]:
    """Faults for an operation: some of those that all have, and all those that only it has.

    The operations begin at different faults, so that together they have every fault.
    """
    possible = [name for name in names if applies(name, operation)]
    common = [name for name in possible if all(applies(name, other) for other in OPERATIONS)]
    own = [name for name in possible if name not in common]
    return sample(common, every, OPERATIONS.index(operation)) + own


def people(here: Served) -> Iterator[str]:
    """Ids, one for each fault."""
    return iter(list(here.world.tenant.directory.people))


def fresh(here: Served, number: int) -> None:
    """A process that has no token, no pause and no folder yet, an hour later."""
    here.settings(COMPANY=f"Process{number}")
    here.world.clock.advance(3600)
    here.world.tenant.faults.clear()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_for_ever_is_answered_in_time(served: Make, operation: str) -> None:
    """The call answers within 60 s with the right status; after the fault one call corrects all."""
    names = planned(operation, FAULTS, 6)
    here = served(users=len(names))
    tenant, clock = here.world.tenant, here.world.clock
    for number, (name, user) in enumerate(zip(names, people(here), strict=True)):
        fields = FAULTS[name]
        fresh(here, number)
        fault = tenant.faults.add(Fault(operation=operation, times=None, **fields))
        began = clock.monotonic()

        reply = here.post(user)

        assert fault.fired, fields
        assert clock.monotonic() - began <= ANSWER_SECONDS, fields
        assert_answer(reply, str(fields))
        tenant.faults.clear()
        known = here.get(user)
        if known.status == 200 and known.json["photo"]:
            assert tenant.sharepoint.shown_picture(user), f"{fields}: claims what is not there"
        if reply.json.get("outcome") != "updated":
            fresh(here, number + 1000)
            assert here.post(user).status == 200, fields
        assert tenant.sharepoint.shown_picture(user), fields


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_that_passes_is_not_even_noticed(served: Make, operation: str) -> None:
    """Retried within the call: 200, as if nothing had happened."""
    names = planned(operation, sorted(PASSING), 4)
    here = served(users=len(names))
    for number, (name, user) in enumerate(zip(names, people(here), strict=True)):
        fresh(here, number)
        here.world.tenant.faults.add(Fault(operation=operation, times=1, **FAULTS[name]))
        reply = here.post(user)
        assert (reply.status, reply.json.get("outcome")) == (200, "updated"), (name, reply)
        assert here.world.tenant.sharepoint.shown_picture(user), name


@pytest.mark.parametrize("operation", [None, "photo.bytes", "file.upload"])
def test_a_failed_service_is_502_with_its_request_id(served: Make, operation: str | None) -> None:
    """What Microsoft's support asks for, and the service's own words."""
    here = served(users=1)
    (user,) = people(here)
    fault = Fault(
        "status",
        status=500,
        service=None if operation else "graph",
        operation=operation,
        times=None,
        message="Out of order.",
    )
    here.world.tenant.faults.add(fault)
    reply = here.post(user)
    assert reply.status == 502
    assert "Out of order." in reply.json["detail"]
    assert reply.json["requestId"] in reply.json["detail"]


@pytest.mark.parametrize(
    ("operation", "everybody"),
    [("user.photo.batch", True), ("photo.bytes", False), ("file.upload", False)],
)
def test_throttled_past_patience_is_503_with_the_wait(
    served: Make, operation: str, everybody: bool
) -> None:
    """At once, not after waiting; the service is left alone until then, or this one user."""
    here = served(users=1)
    (user,) = people(here)
    fault = Fault("status", status=429, retry_after=600, operation=operation, times=None)
    here.world.tenant.faults.add(fault)
    reply = here.post(user)
    assert reply.status == 503
    assert 595 <= int(reply.headers["retry-after"]) <= 605
    assert here.world.clock.monotonic() < 5
    sent = len(here.world.tenant.tape.entries(operation=operation))
    assert here.post(user).status == 503
    again = len(here.world.tenant.tape.entries(operation=operation)) - sent
    assert (again == 0) == everybody


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"status": 500}, 502, "service-failed"),
        ({"status": 429, "retry_after": 600}, 503, "throttled"),
    ],
)
def test_reading_by_name_while_graph_fails(
    served: Make, fields: dict[str, Any], status: int, kind: str
) -> None:
    """Graph has to say who that is, so its trouble is the answer."""
    here = served(users=1)
    here.world.tenant.faults.add(Fault("status", operation="users.get", times=None, **fields))
    reply = here.get(here.world.tenant.directory.people[here.world.ids()[0]].upn)
    assert (reply.status, reply.json["type"]) == (status, f"urn:photo-sync:problem:{kind}")


def test_reading_while_storage_refuses(served: Make, azurite_faults: BlobFaults) -> None:
    """Only the checkpoint can answer, so its failure is the answer."""
    here = served(users=1)
    code = "AuthorizationPermissionMismatch"
    azurite_faults.add("status", times=10**6, status=403, code=code)
    reply = here.get(here.world.ids()[0])
    assert (reply.status, reply.json["type"]) == (502, "urn:photo-sync:problem:storage-failed")


def test_an_unfinished_user_is_named_in_the_problem(served: Make) -> None:
    """The members of a success come with a failure too."""
    here = served(users=1)
    (user,) = people(here)
    here.world.tenant.faults.add(Fault("status", operation="photo.bytes", status=500, times=None))
    body = here.post(user).json
    assert (body["user"]["id"], body["outcome"], body["dryRun"]) == (user, "failed", False)
    assert body["photo"] is None
    assert body["checkedAt"]


@pytest.mark.parametrize("service", ["graph", "sharepoint"])
def test_reading_what_is_known_needs_no_service(served: Make, service: str) -> None:
    """`GET` by object id is answered from the checkpoint alone."""
    here = served(users=1)
    (user,) = people(here)
    here.post(user)
    here.world.tenant.faults.add(Fault("reset", service=service, times=None))
    assert here.get(user).status == 200


STORAGE_FAULTS: dict[str, dict[str, Any]] = {
    "busy": {"kind": "status", "status": 503, "code": "ServerBusy"},
    "broken": {"kind": "status", "status": 500, "code": "InternalError"},
    "refuses": {"kind": "status", "status": 403, "code": "AuthorizationPermissionMismatch"},
    "time-out": {"kind": "timeout_before"},
    "unreachable": {"kind": "refused"},
    "always changed": {"kind": "status", "status": 412, "code": "ConditionNotMet"},
    "conflict": {"kind": "status", "status": 409, "code": "ContainerBeingDeleted"},
}


@pytest.mark.parametrize(
    ("method", "name"), sample(product(["GET", "POST", "PUT"], STORAGE_FAULTS), 2)
)
def test_storage_that_fails_is_answered_in_time(
    served: Make, azurite_faults: BlobFaults, method: str, name: str
) -> None:
    """Reading the state, or saving it after SharePoint was written; then one call mends it."""
    here = served(users=1)
    (user,) = people(here)
    here.get(user)
    clock = here.world.clock
    began = clock.monotonic()
    fields = dict(STORAGE_FAULTS[name])
    azurite_faults.add(fields.pop("kind"), method=method, part="state/", times=10**6, **fields)

    reply = here.post(user)

    assert_answer(reply, name)
    assert clock.monotonic() - began <= ANSWER_SECONDS
    azurite_faults.clear()
    assert here.post(user).status == 200
    assert here.get(user).json["photo"]
    assert here.world.tenant.sharepoint.shown_picture(user)


@pytest.fixture
def azurite_faults(monkeypatch: pytest.MonkeyPatch, azurite: Any) -> BlobFaults:
    """Faults between the program and storage."""
    return BlobFaults(monkeypatch, azurite)


@pytest.mark.parametrize("name", ["busy", "time-out", "unreachable"])
def test_storage_that_is_gone_is_answered_in_time(
    served: Make, azurite_faults: BlobFaults, name: str
) -> None:
    """Every way to ask: 502 or 503, within 60 s, without a write to SharePoint."""
    here = served(users=1)
    (user,) = people(here)
    fields = dict(STORAGE_FAULTS[name])
    azurite_faults.add(fields.pop("kind"), times=10**6, **fields)
    for ask in (here.post, here.get):
        began = here.world.clock.monotonic()
        reply = ask(user)
        assert reply.status in {502, 503}
        assert here.world.clock.monotonic() - began <= ANSWER_SECONDS
    began = here.world.clock.monotonic()
    overview = here.get()
    assert overview.status == 200
    assert here.world.clock.monotonic() - began <= ANSWER_SECONDS
    assert {c["name"]: c["ok"] for c in overview.json["checks"]}["storage"] is False
    assert here.world.tenant.tape.writes() == []


def test_slow_services_leave_time_to_save(served: Make, azurite_faults: BlobFaults) -> None:
    """Uploads that fill the patience, then busy storage: still an answer within 60 s."""
    here = served(users=1)
    (user,) = people(here)
    clock = here.world.clock
    slow = Fault("call", operation="profile.write", times=None, action=lambda: clock.advance(44))
    here.world.tenant.faults.add(slow)
    azurite_faults.add("status", method="PUT", part="state/", times=10**6, status=503)
    began = clock.monotonic()
    reply = here.post(user)
    assert_answer(reply, "slow")
    assert reply.status in {502, 503}
    assert clock.monotonic() - began <= ANSWER_SECONDS


def test_a_call_that_runs_out_of_time_is_503(served: Make) -> None:
    """The record of an unfinished write claims nothing, and the next call finishes it."""
    here = served(users=1)
    (user,) = people(here)
    late = Fault(
        "call",
        operation="file.upload",
        nth=1,
        when="after",
        action=lambda: here.world.clock.advance(46),
    )
    here.world.tenant.faults.add(late)
    reply = here.post(user)
    assert (reply.status, reply.json["outcome"]) == (503, "deferred")
    assert int(reply.headers["retry-after"]) >= 1
    assert here.get(user).status == 404 or here.get(user).json["photo"] is None
    assert here.post(user).json["outcome"] == "updated"


def test_a_call_that_comes_too_late_to_save_claims_nothing(served: Make) -> None:
    """SharePoint was written, the record not finished: 503; it claims nothing until it is."""
    here = served(users=1)
    (user,) = people(here)
    late = Fault(
        "call",
        operation="profile.write",
        when="after",
        action=lambda: here.world.clock.advance(56),
    )
    here.world.tenant.faults.add(late)
    reply = here.post(user)
    assert reply.status == 503
    assert reply.json["type"] == "urn:photo-sync:problem:out-of-time"
    assert here.world.tenant.sharepoint.shown_picture(user)
    assert here.get(user).json["photo"] is None
    assert here.post(user).json["outcome"] == "updated"
    assert here.get(user).json["photo"]
    assert agrees(here.world, user)


def test_calls_for_one_user_at_the_same_time_end_with_one_truth(served: Make) -> None:
    """A second call inside the first, in another process, with a newer photo: they agree."""
    here = served(users=1)
    (user,) = people(here)
    inner: list[str] = []

    def meanwhile() -> None:
        here.world.tenant.directory.set_photo(user, jpeg((0, 0, 255)))
        here.world.clock.advance(1)
        inner.append(here.world.call(user).outcome)

    here.world.tenant.faults.add(Fault("call", operation="file.upload", nth=2, action=meanwhile))
    assert here.post(user).status == 200
    assert inner == ["updated"]
    assert here.post(user).status == 200
    assert agrees(here.world, user)


def agrees(world: World, user: str) -> bool:
    """Whether SharePoint shows what a fresh tenant would get from Exchange's photo."""
    from shared import photos

    photo = world.tenant.directory.people[user].photo
    sizes = load(world.settings).thumbnail_sizes
    return bool(
        photo
        and world.tenant.sharepoint.shown_picture(user) == photos.render(photo.data, sizes).medium
    )
