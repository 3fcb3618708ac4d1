"""In which portions a run takes its users: whole batches, in order of their id. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.graph import BATCH_SIZE
from shared.model import User
from shared.sync.scope import Scope

STEP_USERS = 5 * BATCH_SIZE
"""Users who are compared at once, and between two saves of the run's progress."""


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
    existing: Sequence[str],
    *,
    after_shard: str,
    after_user: str,
    size: Callable[[], int],
) -> Iterator[Step]:
    """Portions of the users who are still to be compared.

    Args:
        scope: of the run.
        existing: shards that hold records, also of people outside the scope.
        after_shard: the last shard that is complete; "" at the beginning.
        after_user: the last user who was compared; "" at the beginning.
        size: most users of the next portion.
    """
    users: list[User] = []
    shards: list[str] = []
    complete: list[str] = []
    for name in sorted(scope.shards().union(existing)):
        if name <= after_shard:
            continue
        rest = scope.of_shard(name, after_user)
        shards.append(name)
        while len(users) + len(rest) > (room := size()):
            taken, rest = rest[: room - len(users)], rest[room - len(users) :]
            yield Step([*users, *taken], shards, complete)
            users, shards, complete = [], [name], []
        users += rest
        complete.append(name)
    if shards:
        yield Step(users, shards, complete)


def steps_of(users: Sequence[User], size: int = STEP_USERS) -> Iterator[Step]:
    """Portions of single users, none of whose shards is known to be complete."""
    ordered = sorted(users, key=lambda user: user.id)
    for start in range(0, len(ordered), size):
        some = ordered[start : start + size]
        yield Step(some, sorted({user.id[:2] for user in some}), ())
