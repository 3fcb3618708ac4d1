"""The shards in memory: loaded when their users come, let go when nobody needs them."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor

from shared.checkpoint import Checkpoint, Record, Shard, shard_of


class Shards:
    """Records by user id, and how they are saved.

    Only the main thread of a firing loads and saves; workers may read.

    Args:
        checkpoint: where shards are kept; a read-only one for a dry run.
        pool: threads that load and save several shards at once.
    """

    def __init__(self, checkpoint: Checkpoint, pool: Executor) -> None:
        self._checkpoint = checkpoint
        self._pool = pool
        self._loaded: dict[str, Shard] = {}

    def loaded(self) -> Mapping[str, Shard]:
        """The shards in memory, by name."""
        return self._loaded

    def records_of(self, names: Iterable[str]) -> int:
        """How many records some of the shards in memory have."""
        return sum(len(self._loaded[name].records) for name in set(names))

    def load(self, names: Iterable[str], *, keep: Iterable[str]) -> None:
        """Load shards, and let go of all others but those to keep.

        Raises:
            StateError: storage failed.
        """
        wanted = set(names)
        used = wanted.union(keep)
        self._loaded = {name: shard for name, shard in self._loaded.items() if name in used}
        missing = sorted(wanted - self._loaded.keys())
        for shard in self._pool.map(self._checkpoint.load, missing):
            self._loaded[shard.name] = shard

    def record(self, user_id: str) -> Record | None:
        """What is known of a user whose shard is loaded."""
        return self._loaded[shard_of(user_id)].records.get(user_id)

    def save(
        self, changes: Mapping[str, Record | None], seen: Mapping[str, Record | None]
    ) -> set[str]:
        """Save records, one write for each shard; None drops one.

        Args:
            changes: records by user id.
            seen: the records from which the changes were made, by user id. The shards may have
                been saved since then, and changed by another writer before.

        Returns:
            Ids of users whose picture another writer changed meanwhile.

        Raises:
            StateConflict: other writers kept winning.
            StateError: storage failed.
        """
        by_shard: dict[str, dict[str, Record | None]] = {}
        for user_id, record in changes.items():
            by_shard.setdefault(shard_of(user_id), {})[user_id] = record

        def save(name: str) -> tuple[Shard, set[str]]:
            return self._checkpoint.save(self._loaded[name], by_shard[name], seen)

        disputed: set[str] = set()
        for shard, ids in self._pool.map(save, sorted(by_shard)):
            self._loaded[shard.name] = shard
            disputed |= ids
        return disputed
