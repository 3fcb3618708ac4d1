"""Many calls at the same moment in one process, under the worker library."""

import threading
from collections.abc import Callable, Sequence

import pytest

from local.host import HttpAnswer
from tests.support.oracle import Oracle
from tests.support.served_world import Served
from tests.support.world import jpeg

Make = Callable[..., Served]

CALLS = 50
LONG = 120.0
"""Seconds after which a call that has not returned fails the test."""


def call_at_once(here: Served, user_ids: Sequence[str]) -> list[HttpAnswer]:
    """Invoke SyncHttp with `force=true` for each of these users, all at the same moment."""
    start = threading.Barrier(len(user_ids))
    answers: dict[int, HttpAnswer] = {}

    def call(number: int, user_id: str) -> None:
        start.wait(LONG)
        answers[number] = here.worker.invoke_http(
            "SyncHttp",
            method="POST",
            url=f"http://localhost/api/sync/{user_id}?force=true",
            route_params={"user": user_id},
            query={"force": "true"},
        )

    threads = [threading.Thread(target=call, args=one, daemon=True) for one in enumerate(user_ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads)
    return [answers[number] for number in range(len(user_ids))]


def all_is_right(here: Served, written: Sequence[str], answers: Sequence[HttpAnswer]) -> None:
    """Every call succeeded; picture and record of each user are those of the photo."""
    assert [answer.status for answer in answers] == [200] * len(answers), {
        answer.body for answer in answers if answer.status != 200
    }
    world = here.world
    oracle = Oracle(world)
    assert {k: v for k, v in oracle.wrong().items() if k in written} == {}
    assert oracle.false_claims() == []
    assert oracle.orphans() == []
    records = world.records()
    assert sorted(records) == sorted(written)
    assert all(record.claims for record in records.values())


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_for_one_user(served: Make, known: bool) -> None:
    """G6: 50 forced calls for one user are all 200, and end with the newest picture, once."""
    here = served(users=2, shards=1)
    user_id = here.world.ids()[0]
    if known:
        assert here.post(user_id).status == 200
        here.world.tenant.directory.set_photo(user_id, jpeg((10, 200, 10)))
    answers = call_at_once(here, [user_id] * CALLS)
    all_is_right(here, [user_id], answers)


def test_for_many_users(served: Make) -> None:
    """G6: 50 forced calls for 50 users whose records are in one blob: none is lost."""
    here = served(users=CALLS, shards=1)
    user_ids = here.world.ids()
    all_is_right(here, user_ids, call_at_once(here, user_ids))
