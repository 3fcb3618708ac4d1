"""A death in a user's very first write, and then the photo is gone."""

from collections.abc import Callable
from itertools import count

from tests.support.history_oracle import Death, Judge
from tests.support.process_death import STRIDE
from tests.support.world import World


def test_a_picture_written_just_before_a_death_can_still_be_removed(
    world: Callable[..., World],
) -> None:
    """Promise 3, wherever the first run died: what it wrote is known as ours, shown or not."""
    written = 0
    # Before the ninth are tokens, container, lease and the list of users.
    for at in count(9, STRIDE):
        here = world(users=2, shards=1, settings={"MAX_CONCURRENCY": "1"})
        judge = Judge(here)
        death = Death(at, after=True)
        with death.awaits(here):
            here.night()
        if not death.came:
            break
        written += judge.orphans() == [] and bool(here.writes())
        for user_id in here.ids():
            here.tenant.directory.remove_photo(user_id)
        for _ in range(3):
            run = here.night(31)
        judge.converged(run)
    assert written > 0
