"""In which portions a run takes its users."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import User
from shared.sync.scope import Scope
from shared.sync.steps import STEP_BYTES, STEP_USERS, Step, steps, steps_of
from tests.support.people import scope_of, user

STEADY = settings(derandomize=True, deadline=None, max_examples=60)


def scope(*sizes: tuple[str, int]) -> Scope:
    """A scope with so many users in each shard."""
    ids = [
        f"{shard}{n:06x}-0000-0000-0000-000000000000" for shard, size in sizes for n in range(size)
    ]
    return scope_of(User(user_id, "a@b.c") for user_id in ids)


def taken(
    one: Scope,
    existing: Sequence[str],
    *,
    after_shard: str = "",
    after_user: str = "",
    size: int = 100,
    each: int = 2,
) -> list[Step]:
    there = dict.fromkeys(existing, each)
    return list(
        steps(one, there, after_shard=after_shard, after_user=after_user, size=lambda: size)
    )


def test_small_shards_share_a_portion_and_large_ones_are_cut() -> None:
    """Portions are whole batches, whatever the shards: so no request is half empty."""
    found = taken(scope(("00", 30), ("01", 250), ("ff", 45)), [])
    assert [len(step.users) for step in found] == [100, 100, 100, 25]
    assert [(list(step.shards), list(step.complete)) for step in found] == [
        (["00", "01"], ["00"]),
        (["01"], []),
        (["01", "ff"], ["01"]),
        (["ff"], ["ff"]),
    ]


def test_shards_without_anybody_in_scope_are_seen_too() -> None:
    """They hold the records of people who left."""
    found = taken(scope(("10", 3)), ["00", "10", "ee"])
    assert [list(step.complete) for step in found] == [["00", "10", "ee"]]
    assert [list(step.complete) for step in taken(scope(), ["00", "ee"])] == [["00", "ee"]]
    assert taken(scope(), []) == []


def test_a_resumed_run_goes_on_behind_its_cursor() -> None:
    """Complete shards are skipped, and the rest of one is taken from the cursor on."""
    one = scope(("00", 5), ("01", 150), ("02", 5))
    first = taken(one, [])[0]
    rest = taken(one, [], after_shard="00", after_user=first.users[-1].id)
    assert [len(step.users) for step in rest] == [60]
    assert [list(step.complete) for step in rest] == [["01", "02"]]
    assert taken(one, [], after_shard="02", after_user="") == []


def test_users_are_tried_one_by_one_while_that_is_asked() -> None:
    """After a stop the first portion is one user; later ones are full again."""
    sizes = iter([1, 1, 100, 100, 100, 100])
    one = scope(("00", 10))
    found = list(steps(one, {}, after_shard="", after_user="", size=lambda: next(sizes)))
    assert [len(step.users) for step in found][:2] == [1, 1]
    assert sum(len(step.users) for step in found) == 10


@STEADY
@given(
    st.lists(st.tuples(st.sampled_from(["00", "01", "7f", "fe", "ff"]), st.integers(0, 260))),
    st.sampled_from([1, 20, 100]),
)
def test_everybody_is_taken_once_and_every_shard_is_completed_once(
    sizes: list[tuple[str, int]], size: int
) -> None:
    """Nobody is forgotten and nobody comes twice, however users are spread over shards."""
    one = scope(*dict(sizes).items())
    found = taken(one, ["33"], size=size)
    users = [user.id for step in found for user in step.users]
    assert users == sorted(set(users))
    assert len(users) == len(one)
    complete = [name for step in found for name in step.complete]
    assert complete == sorted({*one.shards(), "33"})
    for step in found:
        assert len(step.users) <= size
        assert {user.id[:2] for user in step.users} <= set(step.shards)
        assert set(step.complete) <= set(step.shards)


@pytest.mark.parametrize("number", [0, 1, STEP_USERS, STEP_USERS + 1])
def test_single_users_come_in_order_of_their_id(number: int) -> None:
    """Who was deferred or put aside is taken in portions too, and completes no shard."""
    users = [User(f"{n:08x}-0000-0000-0000-000000000000", "a@b.c") for n in range(number)]
    found = list(steps_of(users[::-1], {}))
    assert [user for step in found for user in step.users] == users
    assert all(not step.complete and len(step.users) <= STEP_USERS for step in found)


ALL = [f"{n:02x}" for n in range(256)]
LARGE = 2 * 2**20
"""Bytes of a shard of a million users."""


def test_few_users_do_not_load_all_records_of_a_large_tenant() -> None:
    """Whatever the scope is, a portion holds no more records than memory bears."""
    found = taken(scope(("10", 3), ("ee", 1)), ALL, each=LARGE)
    assert [name for step in found for name in step.complete] == ALL
    assert sum(len(step.users) for step in found) == 4
    assert max(len(step.shards) for step in found) * LARGE <= STEP_BYTES


def test_the_users_of_a_last_try_do_not_load_all_records_of_a_large_tenant() -> None:
    """A hundred users who failed may be spread over a hundred shards."""
    users = [
        User(f"{name}000000-0000-0000-0000-00000000000{n}", "") for name in ALL for n in (0, 1)
    ]
    found = list(steps_of(users, dict.fromkeys(ALL, LARGE)))
    assert [user for step in found for user in step.users] == users
    assert all({user.id[:2] for user in step.users} == set(step.shards) for step in found)
    assert max(len(step.shards) for step in found) * LARGE <= STEP_BYTES


def test_a_shard_that_is_too_large_alone_is_a_portion() -> None:
    """It is taken all the same."""
    found = taken(scope(("00", 3), ("01", 3)), ["00", "01"], each=STEP_BYTES + 1)
    assert [(len(step.users), list(step.complete)) for step in found] == [(3, ["00"]), (3, ["01"])]


def test_single_users_complete_no_shard() -> None:
    """Others of their shard may be waiting."""
    (step,) = steps_of([user(3), user(1)], {})
    assert (list(step.shards), list(step.complete)) == (["00"], [])
