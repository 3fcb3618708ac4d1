"""Shards in memory: one save for each, made from the records that were seen."""

from shared.checkpoint import Photo, Record
from shared.model import User
from shared.sync.shards import Shards
from tests.support.memory_executors import Inline
from tests.support.people import digest, kept, place, user
from tests.support.ports import Ports

ANN, BEN = user(0), user(0, "01")


def shows(one: User, red: int) -> Record:
    """A record that claims another photo."""
    return kept(one, photo=Photo('"B"', digest(red), place(one)))


def loaded(desk: Ports) -> Shards:
    """The shards of two users, in memory."""
    desk.know([ANN, BEN])
    shards = Shards(desk.checkpoint, Inline())
    shards.load(["00", "01"], keep=())
    return shards


def test_disputes_of_all_shards_are_told() -> None:
    """Whoever is disputed in one shard is not forgotten because of the next one."""
    desk = Ports()
    shards = loaded(desk)
    before = {one.id: shards.record(one.id) for one in (ANN, BEN)}
    for one in (ANN, BEN):
        desk.checkpoint.records[one.id] = shows(one, 77)
    assert shards.save({one.id: shows(one, 10) for one in (ANN, BEN)}, before) == set(before)


def test_what_was_seen_counts_and_not_what_was_loaded_since() -> None:
    """A shard that was read again has the other writer's record already: that is no agreement."""
    desk = Ports()
    shards = loaded(desk)
    seen = {ANN.id: shards.record(ANN.id)}
    desk.checkpoint.records[ANN.id] = shows(ANN, 77)
    shards.load([], keep=())
    shards.load(["00"], keep=())
    assert shards.save({ANN.id: shows(ANN, 10)}, seen) == {ANN.id}
