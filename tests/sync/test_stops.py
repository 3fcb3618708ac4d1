"""How a run ends when a service answers nobody, and how the next firing goes on."""

from collections.abc import Callable

import pytest

from local.tenant import Fault
from tests.support.world import NIGHT_SECONDS, World, jpeg, outcomes

Make = Callable[..., World]


@pytest.mark.parametrize("operation", ["photo.batch", "photo.bytes", "file.upload"])
def test_the_cause_is_named(world: Make, operation: str) -> None:
    """Promise 10: stopped and named, also where many others were waiting for their turn."""
    here = world(users=30, shards=1)
    here.tenant.faults.add(
        Fault("status", status=503, operation=operation, times=None, message="Out of order.")
    )
    run, message = here.stopped()
    assert run.status == "stopped"
    assert "fails for everybody" in message
    assert "503" in message
    assert outcomes(run) == {"deferred": 30}


def stopped_night(world: Make) -> tuple[World, Fault]:
    """A tenant that was synchronized, and a night in which Graph answers nobody."""
    here = world(users=120, shards=1, settled=True)
    down = here.tenant.faults.add(Fault("status", operation="photo.batch", times=None))
    here.clock.advance(NIGHT_SECONDS)
    here.stopped()
    here.clock.advance(900)
    here.tenant.tape.clear()
    return here, down


def test_a_quiet_night_after_an_outage(world: Make) -> None:
    """Where nobody needs to be written, users are not asked about one by one all night."""
    here, down = stopped_night(world)
    down.times = 0
    run = here.fire()
    assert outcomes(run) == {"unchanged": 120}
    assert here.operations()["photo.batch"] <= 5 + 120 / 20


def test_users_are_written_one_by_one_after_an_outage(world: Make) -> None:
    """Promise 10: while SharePoint still refuses everybody, one user's requests show it."""
    here, down = stopped_night(world)
    down.times = 0
    for user_id in here.ids():
        here.tenant.directory.set_photo(user_id, jpeg())
    here.tenant.faults.add(Fault("status", operation="file.upload", times=None))
    _, message = here.stopped()
    assert "writing to SharePoint fails for everybody" in message
    # Four attempts for the user, and as many for each of three healthy ones.
    assert here.operations()["file.upload"] <= 4 * (1 + 3)
