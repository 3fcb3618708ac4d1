"""In which portions a run takes its users: whole batches, in order of their id. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.checkpoint import shard_of
from shared.graph import BATCH_SIZE
from shared.model import User
from shared.sync.scope import Scope

STEP_USERS = 5 * BATCH_SIZE
"""Users who are compared at once, and between two saves of the run's progress."""

STEP_BYTES = 4 * 2**20
"""Most bytes of the shards of one portion, unless one alone has more: some 8,000 records. Otherwise
a few users who are spread over a large tenant's shards would bring all its records into memory."""


@dataclass(frozen=True)
class Step:
    """Some users, and the shards that hold their records.

    Attributes:
        users: in order of their id; may be empty where shards have nobody in scope.
        shards: names of all shards that are needed, in order.
        complete: those of them whose last user is in this step or was in an earlier one.
    """

    users: Sequence[User]
    shards: Sequence[str]
    complete: Sequence[str]


def steps(
    scope: Scope,
    existing: Mapping[str, int],
    *,
    after_shard: str,
    after_user: str,
    size: Callable[[], int],
) -> Iterator[Step]:
    """Portions of the users who are still to be compared.

    Args:
        scope: of the run.
        existing: bytes of the shards that hold records, also of people outside the scope.
        after_shard: the last shard that is complete; "" at the beginning.
        after_user: the last user who was compared; "" at the beginning.
        size: most users of the next portion.
    """
    users: list[User] = []
    shards: list[str] = []
    complete: list[str] = []
    loaded = 0
    for name in sorted(scope.shards().union(existing)):
        if name <= after_shard:
            continue
        if shards and loaded + existing.get(name, 0) > STEP_BYTES:
            yield Step(users, shards, complete)
            users, shards, complete, loaded = [], [], [], 0
        rest = scope.of_shard(name, after_user)
        shards.append(name)
        loaded += existing.get(name, 0)
        while len(users) + len(rest) > (room := size()):
            taken, rest = rest[: room - len(users)], rest[room - len(users) :]
            yield Step([*users, *taken], shards, complete)
            users, shards, complete, loaded = [], [name], [], existing.get(name, 0)
        users += rest
        complete.append(name)
    if shards:
        yield Step(users, shards, complete)


def steps_of(
    users: Sequence[User],
    existing: Mapping[str, int],
    size: Callable[[], int] = lambda: STEP_USERS,
) -> Iterator[Step]:
    """Portions of single users, none of whose shards is known to be complete.

    Args:
        users: in any order.
        existing: bytes of the shards that hold records.
        size: most users of the next portion.
    """
    some: list[User] = []
    shards: list[str] = []
    loaded = 0
    for user in sorted(users, key=lambda user: user.id):
        name = shard_of(user.id)
        more = 0 if name in shards else existing.get(name, 0)
        if some and (len(some) >= size() or loaded + more > STEP_BYTES):
            yield Step(some, shards, ())
            some, shards, loaded, more = [], [], 0, existing.get(name, 0)
        if name not in shards:
            shards.append(name)
        some.append(user)
        loaded += more
    if some:
        yield Step(some, shards, ())
