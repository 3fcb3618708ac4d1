"""The checkpoint in memory: shards that merge as in storage, and the blobs of a run."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.checkpoint import Checkpoint, Record, Run, RunBlobs, Shard, shard_of
from shared.checkpoint.records import merge
from shared.checkpoint.store import SAVE_ATTEMPTS
from shared.errors import PhotoSyncError, StateConflict
from tests.support.memory_services import Tape


class MemoryCheckpoint(Checkpoint):
    """Shards in memory; two writers merge as in storage.

    Attributes:
        records: as they are stored, by user id.
        meddle: called with the name of a shard before it is saved, as another writer would be.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.records: dict[str, Record] = {}
        self.meddle: Callable[[str, Mapping[str, Record | None]], None] = lambda _, __: None
        self.save_error: PhotoSyncError | None = None

    def shards(self) -> dict[str, int]:
        return {name: len(self._shard(name).records) * 500 for name in self._names()}

    def _names(self) -> list[str]:
        return sorted(set(map(shard_of, self.records)))

    def load(self, name: str) -> Shard:
        self.tape.append(("load", name))
        return self._shard(name)

    def save(
        self,
        shard: Shard,
        changes: Mapping[str, Record | None],
        seen: Mapping[str, Record | None] | None = None,
        *,
        attempts: int = SAVE_ATTEMPTS,
    ) -> tuple[Shard, set[str]]:
        if self.save_error:
            raise self.save_error
        self.tape.append((f"save {shard.name}", dict(changes)))
        self.meddle(shard.name, changes)
        if attempts == 1 and self._shard(shard.name).records != shard.records:
            raise StateConflict(shard.name)
        disputed = set()
        for user_id, ours in changes.items():
            base = {**shard.records, **(seen or {})}.get(user_id)
            merged, is_disputed = merge(base, ours, self.records.get(user_id))
            if is_disputed:
                disputed.add(user_id)
            if merged is None:
                self.records.pop(user_id, None)
            else:
                self.records[user_id] = merged
        return self._shard(shard.name), disputed

    def _shard(self, name: str) -> Shard:
        return Shard(name, "1", {k: r for k, r in self.records.items() if shard_of(k) == name})


class MemoryRunBlobs(RunBlobs):
    """The blobs of a run: the document after each save, and the lines before it."""

    def __init__(self, run: Run, tape: Tape) -> None:
        self.of = run
        self.tape = tape
        self.lines: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []

    def save(self) -> None:
        self.tape.append(("save run", self.of.cursor))
        self.documents.append(self.of.to_json())

    def save_report(self) -> None:
        self.tape.append(("save report", self.of.status))

    def append_lines(self, lines: list[dict[str, Any]]) -> None:
        self.tape.append(("lines", [line["id"] for line in lines]))
        self.lines += lines

    def delete_pages(self) -> None:
        self.tape.append(("delete pages", None))
