"""What is written for a healthy user, to learn whether a service works for anybody."""

from collections.abc import Callable

import pytest

from local.tenant import Fault
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]


def twelve_fail(here: World, operation: str) -> str:
    """Twelve users with a new photo whose writes fail for ever; the healthy user before them."""
    healthy, *sick = here.ids()[:13]
    for user_id in sick:
        here.tenant.directory.set_photo(user_id, jpeg())
        here.tenant.faults.add(
            Fault("status", operation=operation, status=503, person=user_id, times=None)
        )
    return healthy


@pytest.mark.parametrize("operation", ["file.upload", "profile.write"])
@pytest.mark.parametrize("meanwhile", ["new photo", "removed"])
def test_a_call_for_the_healthy_user_meanwhile(world: Make, operation: str, meanwhile: str) -> None:
    """Promise 6: what a call has just written for that user is not written over for good."""
    here = world(users=16, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"}, settled=True)
    oracle = Oracle(here)
    healthy = twelve_fail(here, operation)

    def act() -> None:
        if meanwhile == "removed":
            here.tenant.directory.remove_photo(healthy)
        else:
            here.tenant.directory.set_photo(healthy, jpeg((1, 2, 3)))
        called.append(here.call(healthy, force=True).outcome.value)

    called: list[str] = []
    here.tenant.faults.add(Fault("call", operation=operation, person=healthy, action=act))
    run = here.night()
    assert called in (["updated"], ["removed"])
    assert outcomes(run) == {"unchanged": 4, "failed": 12}
    assert oracle.false_claims() == []
    here.tenant.faults.clear()
    oracle.verify(here.night(2))


def test_a_damaged_answer_is_not_written_back(world: Make) -> None:
    """What SharePoint answers for the healthy user's file is never uploaded: it may be cut off."""
    here = world(users=16, shards=1, settled=True)
    oracle = Oracle(here)
    healthy = twelve_fail(here, "file.upload")
    here.tenant.faults.add(Fault("truncate_clean", operation="file.read", times=None))
    run = here.night()
    assert outcomes(run) == {"unchanged": 4, "failed": 12}
    uploads = here.tenant.tape.entries(operation="file.upload")
    assert any(healthy in entry.target and entry.status == 200 for entry in uploads)
    assert oracle.false_claims() == []
    here.tenant.faults.clear()
    oracle.verify(here.night(2))


def test_a_shard_that_somebody_saved_meanwhile_is_left_as_it_is(world: Make) -> None:
    """The claim comes back only while nobody else can have seen the withdrawn record."""
    here = world(users=16, shards=1, settled=True)
    oracle = Oracle(here)
    healthy = twelve_fail(here, "file.upload")
    bystander = here.ids()[14]

    def act() -> None:
        here.tenant.directory.set_photo(bystander, jpeg((1, 2, 3)))
        assert here.call(bystander).outcome.value == "updated"

    call = Fault("call", operation="file.upload", person=healthy, action=act)
    here.tenant.faults.add(call)
    here.night()
    assert call.fired == 1
    record = here.records()[healthy]
    assert record.photo is not None
    assert not record.claims
    here.tenant.faults.clear()
    oracle.verify(here.night(2))
    assert here.records()[healthy].claims


def test_a_photo_that_cannot_be_read_tells_nothing_about_sharepoint(world: Make) -> None:
    """Three are refused, and Graph gives no healthy user's photo: no permission is said to miss."""
    here = world(users=40, shards=1, settings={"MAX_CONCURRENCY": "1"}, settled=True)
    fine, *sick = here.ids()[:4]
    for user_id in (fine, *sick):
        here.tenant.directory.set_photo(user_id, jpeg())
    for user_id in sick:
        here.tenant.faults.add(
            Fault("forbidden", operation="file.upload", person=user_id, times=None)
        )
    for user_id in here.ids()[4:]:
        here.tenant.faults.add(
            Fault("status", operation="photo.bytes", status=500, person=user_id, times=None)
        )
    run = here.night()
    assert (run.status, outcomes(run)) == (
        "completed",
        {"unchanged": 36, "updated": 1, "failed": 3},
    )
