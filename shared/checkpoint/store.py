"""The shards of records in blob storage, and the lease of the run. Layout: docs/architecture.md.

Every write is conditional. A shard is written only over the version that was read (ETag); when
another writer was faster, the two are merged user by user (`records.merge`).
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from shared.checkpoint.blobs import (
    CHANGED_MEANWHILE,
    JSON,
    code_of,
    download,
    dump,
    parse_or_set_aside,
    storage_errors,
)
from shared.checkpoint.documents import SCHEMA, parse_document
from shared.checkpoint.lease import Lease, seconds
from shared.checkpoint.records import Record, dump_shard, merge, parse_shard
from shared.checkpoint.runs import Run, from_json
from shared.clock import Clock
from shared.errors import StateConflict
from shared.log import InvocationLog

RUN = "run.json"

SHARDS = 256
"""Shards of the records: one for each pair of digits with which object ids begin."""

SAVE_ATTEMPTS = 12
"""Each lost one is another writer's success, so that this many mean something else is wrong."""

TURN_SECONDS = 4.0
"""How long an attempt waits for other saves of the same shard in this process. A call that saves at
its deadline still answers within a minute."""

_SHARD = re.compile(r"state/([0-9a-f]{2})\.json")
_turns = tuple(threading.RLock() for _ in range(SHARDS))


@dataclass(frozen=True)
class Shard:
    """The records of all users whose object id begins with the same two digits.

    Attributes:
        name: the two hexadecimal digits.
        etag: version that was read; None when there was no blob.
        records: by user id.
    """

    name: str
    etag: str | None
    records: dict[str, Record]


def shard_of(user_id: str) -> str:
    """Name of the shard that holds a user."""
    return user_id[:2]


class Checkpoint:
    """State in one container, for one invocation; thread-safe.

    Args:
        container: client of the container, which is created when missing.
        clock: of the program.
        log: of the invocation.
        read_only: a dry run: records are never written. What a run must remember of its own
            decisions (photos that are missing, users who left) is kept in memory instead, so that
            a dry run decides what a real one would.
        lease_clock: seconds by which the lease runs out.
    """

    def __init__(
        self,
        container: ContainerClient,
        *,
        clock: Clock,
        log: InvocationLog,
        read_only: bool = False,
        lease_clock: Callable[[], float] = seconds,
    ) -> None:
        self.container = container
        self.clock = clock
        self.log = log
        self._read_only = read_only
        self._lease_clock = lease_clock
        self._remembered: dict[str, dict[str, Record]] = {}

    def prepare(self) -> None:
        """Create the container when it is missing.

        Raises:
            StateError: storage cannot be used.
        """
        with storage_errors("create the container"):
            if not self.container.exists():
                try:
                    self.container.create_container()
                except HttpResponseError as error:
                    if code_of(error) != "ContainerAlreadyExists":
                        raise

    def probe(self) -> None:
        """Make sure that blobs may be written, without writing one: the condition never holds.

        Raises:
            StateError: they may not.
        """
        with storage_errors("write to the container"):
            try:
                self.container.get_blob_client(RUN).upload_blob(
                    b"",
                    overwrite=True,
                    etag='"0x0"',
                    match_condition=MatchConditions.IfNotModified,
                )
            except HttpResponseError as error:
                if error.status_code != 412 and code_of(error) != "BlobNotFound":  # noqa: PLR2004
                    raise

    def shards(self) -> dict[str, int]:
        """The shards that there are, in order: their bytes by name.

        Raises:
            StateError: storage failed.
        """
        with storage_errors("list the shards"):
            blobs = list(self.container.list_blobs(name_starts_with="state/"))
        return {found[1]: blob.size for blob in blobs if (found := _SHARD.fullmatch(blob.name))}

    def load(self, name: str) -> Shard:
        """Read a shard; one that is missing is empty, one that is broken is set aside first.

        Raises:
            NewerSchema: a newer version wrote it.
            StateError: storage failed.
        """
        blob = f"state/{name}.json"
        data, etag = download(self.container, blob)
        records: dict[str, Record] = {}
        if data is not None:
            # A broken one is not removed: the next save replaces it, if it is still the same.
            records = parse_or_set_aside(self.container, blob, data, parse_shard, self.log) or {}
        return Shard(name, etag, records | self._remembered.get(name, {}))

    def save(
        self,
        shard: Shard,
        changes: Mapping[str, Record | None],
        seen: Mapping[str, Record | None] | None = None,
        *,
        attempts: int = SAVE_ATTEMPTS,
    ) -> tuple[Shard, set[str]]:
        """Write changed records into a shard.

        Args:
            shard: as it was read; its version is the condition.
            changes: records by user id; None drops one.
            seen: the records from which the changes were made, where that is longer ago than the
                shard was read.
            attempts: how often the shard is read again and written, where others wrote meanwhile.

        Returns:
            The shard as it is now, and the ids of users whose picture somebody else changed
            meanwhile: what SharePoint shows of them is not certain, and their records say so.

        Raises:
            StateConflict: other writers kept winning.
            StateError: storage failed.
        """
        if self._read_only:
            return self._remember(shard, changes), set()
        with _Turn(shard.name) as turn:
            return self._save(shard, changes, seen or {}, turn, attempts)

    def _save(
        self,
        shard: Shard,
        changes: Mapping[str, Record | None],
        seen: Mapping[str, Record | None],
        turn: "_Turn",
        attempts: int,
    ) -> tuple[Shard, set[str]]:
        base = {**shard.records, **seen}
        for attempt in range(attempts):
            turn.wait()
            merged = {
                user_id: merge(base.get(user_id), ours, shard.records.get(user_id))
                for user_id, ours in changes.items()
            }
            disputed = {user_id for user_id, (_, is_disputed) in merged.items() if is_disputed}
            records = _changed(shard.records, {k: record for k, (record, _) in merged.items()})
            if attempt and records == shard.records:
                # Our own write, whose response was lost; or the other writer's says it all.
                return shard, disputed
            etag = self._put(shard, dump_shard(records))
            if etag is not None:
                return Shard(shard.name, etag, records), disputed
            shard = self.load(shard.name)
        raise StateConflict(
            f"state/{shard.name}.json keeps changing under this run: give each app a container of "
            "its own (CHECKPOINT_CONTAINER)"
        )

    def run(self) -> Run | None:
        """The current or last run; None when there is none, or when its document is broken.

        Raises:
            NewerSchema: a newer version wrote it.
            StateError: storage failed.
        """
        data, _ = download(self.container, RUN)
        if data is None:
            return None
        return parse_or_set_aside(
            self.container, RUN, data, lambda text: from_json(parse_document(text)), self.log
        )

    @contextmanager
    def lease(self) -> Iterator[Lease | None]:
        """Hold the lease of the run; None when another run holds it.

        Raises:
            StateError: storage failed.
        """
        blob = self.container.get_blob_client(RUN)
        with storage_errors("take the lease of the run"):
            try:
                lease = Lease.acquire(blob, log=self.log, clock=self._lease_clock)
            except ResourceNotFoundError as error:
                if code_of(error) != "BlobNotFound":
                    raise
                self._create_run(blob)
                lease = Lease.acquire(blob, log=self.log, clock=self._lease_clock)
        if lease is None:
            yield None
        else:
            with lease:
                yield lease

    def _create_run(self, blob: BlobClient) -> None:
        """A document to take the lease of, unless somebody else just made one."""
        empty = dump({"schema": SCHEMA, "status": "none"})
        try:
            blob.upload_blob(empty, overwrite=False, content_settings=JSON)
        except HttpResponseError as error:
            if code_of(error) not in {"BlobAlreadyExists", "LeaseIdMissing"}:
                raise

    def _remember(self, shard: Shard, changes: Mapping[str, Record | None]) -> Shard:
        kept = self._remembered.setdefault(shard.name, {})
        kept |= {k: r for k, r in changes.items() if r and (r.missing or r.left_on)}
        return Shard(shard.name, shard.etag, shard.records | kept)

    def _put(self, shard: Shard, data: bytes) -> str | None:
        """Write a shard over the version that was read; None when that is gone."""
        blob = self.container.get_blob_client(f"state/{shard.name}.json")
        with storage_errors(f"write state/{shard.name}.json"):
            try:
                if shard.etag is None:
                    response = blob.upload_blob(data, overwrite=False, content_settings=JSON)
                else:
                    response = blob.upload_blob(
                        data,
                        overwrite=True,
                        etag=shard.etag,
                        match_condition=MatchConditions.IfNotModified,
                        content_settings=JSON,
                    )
            except HttpResponseError as error:
                if code_of(error) in CHANGED_MEANWHILE:
                    return None
                raise
        return str(response["etag"])


class _Turn:
    """Lets the threads of this process save a shard one after the other; a context manager.

    Otherwise many calls at once lose to each other until their attempts are used up. Only a
    courtesy: whoever waited long enough tries without it, because the version of the blob decides.
    """

    def __init__(self, name: str) -> None:
        self._lock = _turns[int(name, 16)]
        self._taken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._lock.release()

    def wait(self) -> None:
        """Before each attempt: take the turn, unless it is taken already."""
        self._taken = self._taken or self._lock.acquire(timeout=TURN_SECONDS)


def _changed(
    records: Mapping[str, Record], changes: Mapping[str, Record | None]
) -> dict[str, Record]:
    """Records with these changes; None drops one."""
    merged: dict[str, Record | None] = {**records, **changes}
    return {user_id: record for user_id, record in merged.items() if record is not None}
