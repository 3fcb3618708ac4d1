"""Promises 3 to 5: killed at any request, before or after its effect, nothing is lost or wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from local.support.azurite import Azurite
from local.tenant import Fault
from shared.checkpoint import iso
from shared.checkpoint.records import dump_shard, parse_shard
from shared.checkpoint.runs import Run
from tests.support.oracle import Oracle
from tests.support.past import Past
from tests.support.process_death import STRIDE, Death, free_lease
from tests.support.sampling import sample
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]
LOST_USERS = 500
"""Users of repeated work that a crash may cost."""

SETTINGS = {"REMOVAL_CONFIRMATIONS": "1", "MAX_CONCURRENCY": "1"}


@dataclass(frozen=True)
class Day:
    """A tenant of all kinds on the day when everything happens, and how its night should end.

    Attributes:
        world: it.
        oracle: judges it.
        past: to begin again.
        requests: of the night's run, when nobody kills it.
        counts: its outcomes.
        uploads: files that it writes.
        edited: name of somebody whose profile was edited by hand, which the run finds.
    """

    world: World
    oracle: Oracle
    past: Past
    requests: int
    counts: dict[str, int]
    uploads: int
    edited: str

    def at_death(self) -> None:
        """No record claims what SharePoint lacks."""
        assert set(self.oracle.false_claims()) <= {self.edited}

    def verify(self, run: Run) -> None:
        """The run ended as it would have without the death, and repeated one slice at most."""
        self.oracle.verify(run)
        assert self.world.report(run) == self.world.kept_run().report()
        assert _shown_alike(outcomes(run)) == _shown_alike(self.counts)
        repeated = self.world.operations()["file.upload"] - self.uploads
        assert 0 <= repeated <= 3 * LOST_USERS


def _shown_alike(counts: dict[str, int]) -> dict[str, int]:
    """Counts in which it does not matter who wrote what is shown, the dead firing or this one.

    A picture that was written by a firing that died before it could note it is found, not written
    again; and of one that was being repaired nobody knows any more that the photo was the same.
    """
    alike = {"updated", "repaired", "unchanged"}
    rest = {name: number for name, number in counts.items() if name not in alike}
    return {**rest, "shown": sum(counts.get(name, 0) for name in alike)}


@pytest.fixture(scope="module")
def day(azurite: Azurite) -> Iterator[Day]:
    """The day, with a run that nobody killed as its measure."""
    with World(azurite, users=60, plain=False, shards=2, settings=SETTINGS) as world:
        oracle = Oracle(world)
        oracle.verify(world.fire())
        edited = make_eventful(world, oracle)
        past = Past(world)
        past.restore(world)
        with Death() as nobody:
            run = world.fire()
        oracle.verify(run)
        counts = outcomes(run)
        assert set(counts) >= {"updated", "unchanged", "repaired", "removed", "invalid_photo"}
        uploads = world.operations()["file.upload"]
        yield Day(world, oracle, past, nobody.sent, counts, uploads, edited)


def make_eventful(world: World, oracle: Oracle) -> str:
    """Everything that can happen to a user happens to somebody; who was edited by hand."""
    directory = world.tenant.directory
    kept = world.records()
    people = [p for p in oracle.people() if p.id in kept and kept[p.id].photo]
    chosen = iter(sorted(people, key=lambda person: person.id)[::3])
    for colour in ((1, 2, 3), (4, 5, 6)):
        directory.set_photo(next(chosen).id, jpeg(colour))
    for _ in range(2):
        directory.remove_photo(next(chosen).id)
    same = next(chosen)
    assert same.photo
    directory.show(same.id, same.photo.picture)
    renamed = next(chosen)
    directory.rename(renamed.id, "new.name@contoso.com")
    directory.set_photo(renamed.id, jpeg((7, 8, 9)))
    directory.set_photo(next(chosen).id, b"no picture")
    without = next(p for p in oracle.people() if p.photo is None and p.has_profile)
    directory.set_photo(without.id, jpeg((9, 8, 7)))
    edited, looked_at, forgotten = next(chosen), next(chosen), next(chosen)
    world.tenant.sharepoint.profiles.put(edited, {"SPS-PicturePlaceholderState": "1"})
    long_ago = iso(world.clock.time() - 40 * 86_400)
    for name, data in world.blobs("state/").items():
        records = parse_shard(data)
        records.pop(forgotten.id, None)
        for user_id in {edited.id, looked_at.id} & records.keys():
            records[user_id] = replace(records[user_id], verified_at=long_ago)
        world.app().container.upload_blob(name, dump_shard(records), overwrite=True)
    world.clock.advance(86_400)
    return edited.upn


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
def test_killed_at_every_request(day: Day, after: bool) -> None:
    """At death no record claims what SharePoint lacks; the next firing ends correct and exact."""
    world = day.world
    for number in range(2 * after % STRIDE, day.requests, STRIDE):
        day.past.restore(world)
        with Death(number, after=after) as death:
            world.fire()
        assert death.dead, number
        try:
            day.at_death()
            free_lease(world)
            world.clock.advance(900)
            day.verify(world.fire())
        except AssertionError as error:
            raise AssertionError(f"killed at request {number}") from error


def test_killed_twice(day: Day) -> None:
    """Killed, and killed again while it takes up what was left: the third firing ends correct."""
    world = day.world
    for number in range(day.requests // 4, day.requests, day.requests // 6):
        day.past.restore(world)
        for _ in range(2):
            with Death(number // 2, after=True):
                world.fire()
            day.at_death()
            free_lease(world)
            world.clock.advance(900)
        run = world.fire()
        day.oracle.verify(run)
        assert _shown_alike(outcomes(run)) == _shown_alike(day.counts)


@pytest.mark.parametrize("share", sample([0.1, 0.3, 0.5, 0.7, 0.9], 2))
def test_killed_on_the_first_run(world: Make, share: float) -> None:
    """A crash costs one slice at most, also when everything is new and many work at once."""
    here = world(users=40, plain=False, shards=2)
    oracle = Oracle(here)
    with Death(int(share * 150), after=True) as death:
        here.fire()
    assert death.dead
    assert oracle.false_claims() == []
    free_lease(here)
    here.clock.advance(900)
    run = here.fire()
    oracle.verify(run)
    repeated = here.operations()["file.upload"] - 3 * outcomes(run)["updated"]
    assert 0 <= repeated <= 3 * LOST_USERS


def test_killed_while_a_removal_fails(world: Make) -> None:
    """Whatever was counted before the death: afterwards each user is in exactly one count."""
    here = world(users=6, shards=1, settings=SETTINGS, settled=True)
    oracle = Oracle(here)
    gone = here.ids()[:3]
    for user_id in gone:
        here.tenant.directory.remove_photo(user_id)
    here.tenant.faults.add(
        Fault("status", status=500, operation="file.recycle", person=gone[1], times=None)
    )
    here.clock.advance(86_400)
    past = Past(here)
    expected = {"unchanged": 3, "removed": 2, "failed": 1}
    with Death() as nobody:
        assert outcomes(here.fire()) == expected
    for number in range(0, nobody.sent, STRIDE):
        past.restore(here)
        with Death(number, after=True):
            here.fire()
        assert oracle.false_claims() == []
        free_lease(here)
        here.clock.advance(900)
        run = here.fire()
        assert outcomes(run) == expected, number
        assert here.report(run)["removals"]["failed"] == 1
        assert oracle.orphans() == []
