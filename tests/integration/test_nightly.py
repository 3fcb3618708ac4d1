"""The nightly run over an ordinary tenant."""

from collections.abc import Callable

from tests.world import World, outcomes

Make = Callable[..., World]


def test_a_second_run_without_change_writes_nothing(world: Make) -> None:
    """Promise 1: no write to SharePoint, no SharePoint request at all, the state untouched."""
    here = world(users=45)
    assert outcomes(here.fire()) == {"updated": 45}
    before = here.blobs("state/")

    run = here.night()

    assert outcomes(run) == {"unchanged": 45}
    assert here.operations() == {"users.list": 1, "photo.batch": 3, "token": 1}
    assert here.blobs("state/") == before
