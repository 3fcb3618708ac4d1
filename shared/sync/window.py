"""A window: users who need more than a comparison, on their way together."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from shared.checkpoint import Record, shard_of
from shared.clock import Clock
from shared.http import Patience
from shared.model import User
from shared.sync.plan import Fetch, Settled
from shared.sync.user_sync import Prepared

FIRST_PATIENCE_SECONDS = 30.0
LAST_PATIENCE_SECONDS = 90.0
"""Own time of the requests about one user, in the first try and in the last: two minutes in all."""


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """A write that did not succeed.

    Attributes:
        error: why.
        begun: something may have been written; False when nothing was sent.
        probe: this user's failure alone stops the run, which was trying them alone.
    """

    error: Exception
    begun: bool = True
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading the photos of a window came to; each user is in exactly one of these.

    Attributes:
        prepared: whose picture is to be written, with everything for it.
        settled: who needs nothing written.
        failed: who could not be read, why, and the version of the photo as far as it was seen.
    """

    prepared: list[Prepared] = field(default_factory=list)
    settled: list[tuple[User, Settled]] = field(default_factory=list)
    failed: list[tuple[User, Exception, str]] = field(default_factory=list)


@dataclass(eq=False)
class Window:
    """Users on their way together.

    Attributes:
        clock: of the program.
        last_try: who fails is `failed`; else they are put aside.
        fetches: users whose photo is to be read, or is being read.
        reading: what is being read; None before and after.
        seen: records from which those to be saved are made, by user id.
        settled: users who are finished as soon as their record is saved.
        changes: records to save that finish nobody; None drops one.
        writes: what is being written.
        looks: users at whom it looks because of their age.
        opened: monotonic seconds.
    """

    clock: Clock
    last_try: bool = False
    fetches: dict[str, tuple[User, Fetch]] = field(default_factory=dict)
    reading: Future[Reading] | None = None
    seen: dict[str, Record | None] = field(default_factory=dict)
    settled: dict[str, tuple[User, Settled]] = field(default_factory=dict)
    changes: dict[str, Record | None] = field(default_factory=dict)
    writes: dict[str, tuple[Prepared, Future[Settled | WriteFailed]]] = field(default_factory=dict)
    looks: set[str] = field(default_factory=set)
    opened: float = field(init=False)
    _patience: dict[str, Patience] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.opened = self.clock.monotonic()

    def __len__(self) -> int:
        return len(self.fetches) + len(self.settled) + len(self.writes)

    def __bool__(self) -> bool:
        return bool(len(self) or self.changes)

    def patience(self, user_id: str) -> Patience:
        """The patience with a user: one for all requests about them in this try."""
        seconds = LAST_PATIENCE_SECONDS if self.last_try else FIRST_PATIENCE_SECONDS
        return self._patience.setdefault(user_id, Patience(seconds, self.clock, user_id))

    def ids(self) -> list[str]:
        """Users who are not counted yet."""
        return [*self.fetches, *self.settled, *self.writes]

    def shards(self) -> set[str]:
        """Names of the shards that hold the records of this window."""
        return {shard_of(user_id) for user_id in (*self.ids(), *self.changes)}

    @property
    def read(self) -> bool:
        """Whether reading has ended, and what came of it waits to be written."""
        return self.reading is not None and self.reading.done()

    @property
    def written(self) -> bool:
        """Whether all writes have ended."""
        return self.reading is None and not self.late()

    def late(self) -> list[str]:
        """Users whose write has not ended."""
        return [key for key, (_, future) in self.writes.items() if not future.done()]

    def futures(self) -> list[Future[Any]]:
        """What has not ended."""
        futures: list[Future[Any]] = [future for _, future in self.writes.values()]
        if self.reading is not None:
            futures.append(self.reading)
        return [future for future in futures if not future.done()]

    def hand_over(self, user_ids: Iterable[str], other: "Window") -> None:
        """Leave the writes of some users to another window of the same try."""
        for user_id in user_ids:
            other.writes[user_id] = self.writes.pop(user_id)
            other.seen[user_id] = self.seen[user_id]
            if user_id in self.looks:
                other.looks.add(user_id)

    def split_first(self, number: int) -> "Window":
        """A window with the first users whose photo is to be read, who leave this one."""
        taken = Window(self.clock, self.last_try)
        for user_id in list(self.fetches)[:number]:
            taken.fetches[user_id] = self.fetches.pop(user_id)
        return taken

    def split(self, belongs: Callable[[str], bool]) -> "Window":
        """A window with the users of some shards, who leave this one.

        If there are any, the others came later: they wait for another minute at most.

        Args:
            belongs: tells by the name of a shard.
        """
        taken = Window(self.clock, self.last_try)
        _move(self.fetches, taken.fetches, belongs)
        _move(self.settled, taken.settled, belongs)
        _move(self.changes, taken.changes, belongs)
        _move(self.seen, taken.seen, belongs)
        if taken:
            self.opened = taken.opened
        return taken


def _move[T](source: dict[str, T], target: dict[str, T], belongs: Callable[[str], bool]) -> None:
    for user_id in [key for key in source if belongs(shard_of(key))]:
        target[user_id] = source.pop(user_id)
