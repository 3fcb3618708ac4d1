"""The checkpoint in blob storage: shards of records, the run's document, the report's lines.

Every write is conditional. A shard is written only over the version that was read (ETag); when
another writer was faster, the two are merged user by user (`shared.checkpoint.records.merge`).
The run's documents are written only under the run's lease. Layout: see docs/architecture.md.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings

from shared.checkpoint import runs
from shared.checkpoint.lease import Lease, code_of
from shared.checkpoint.records import (
    SCHEMA,
    Record,
    dump_shard,
    iso,
    merge,
    parse_document,
    parse_shard,
)
from shared.clock import Clock
from shared.errors import BrokenState, LeaseLost, NewerSchema, StateConflict, StateError

RUN = "run.json"
SAVE_ATTEMPTS = 12
"""Each lost one is another writer's success, so that this many mean something else is wrong."""
_APPEND_LIMIT_BYTES = 4 * 1024 * 1024
_JSON = ContentSettings(content_type="application/json")
_LINES = ContentSettings(content_type="application/jsonl")
_CHANGED_MEANWHILE = frozenset({"ConditionNotMet", "BlobAlreadyExists", "TargetConditionNotMet"})

_SHARD = re.compile(r"state/([0-9a-f]{2})\.json")

_log = logging.getLogger("photo_sync.checkpoint")


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
    """State in one container; thread-safe.

    Args:
        container: client of the container, which is created when missing.
        clock: names what is set aside.
        read_only: a dry run: records are never written.
    """

    def __init__(
        self, container: ContainerClient, *, clock: Clock, read_only: bool = False
    ) -> None:
        self._container = container
        self._clock = clock
        self._read_only = read_only

    def prepare(self) -> None:
        """Create the container when it is missing.

        Raises:
            StateError: storage cannot be used.
        """
        with _storage("create the container"):
            if not self._container.exists():
                try:
                    self._container.create_container()
                except HttpResponseError as error:
                    if code_of(error) != "ContainerAlreadyExists":
                        raise

    def probe(self) -> None:
        """Make sure that blobs may be written, without writing one: the condition never holds.

        Raises:
            StateError: they may not.
        """
        with _storage("write to the container"):
            try:
                self._container.get_blob_client(RUN).upload_blob(
                    b"",
                    overwrite=True,
                    etag='"0x0"',
                    match_condition=MatchConditions.IfNotModified,
                )
            except HttpResponseError as error:
                if error.status_code != 412 and code_of(error) != "BlobNotFound":  # noqa: PLR2004
                    raise

    def shards(self) -> list[str]:
        """Names of the shards that there are.

        Raises:
            StateError: storage failed.
        """
        with _storage("list the shards"):
            blobs = list(self._container.list_blob_names(name_starts_with="state/"))
        return [found[1] for blob in blobs if (found := _SHARD.fullmatch(blob))]

    def load(self, name: str) -> Shard:
        """Read a shard; one that is missing is empty, one that is broken is set aside first.

        Raises:
            NewerSchema: a newer version wrote it.
            StateError: storage failed.
        """
        blob = f"state/{name}.json"
        data, etag = self._download(blob)
        if data is None:
            return Shard(name, None, {})
        # A broken one is not removed: the next save replaces it, and only if it is still the same.
        return Shard(name, etag, self._parse(blob, data, parse_shard) or {})

    def save(self, shard: Shard, changes: Mapping[str, Record]) -> tuple[Shard, set[str]]:
        """Write changed records into a shard.

        Args:
            shard: as it was read; its version is the condition.
            changes: records by user id.

        Returns:
            The shard as it is now, and the ids of users whose picture somebody else changed
            meanwhile: what SharePoint shows of them is not certain, and their records say so.

        Raises:
            StateConflict: other writers kept winning.
            StateError: storage failed.
        """
        if self._read_only:
            return shard, set()
        base = shard.records
        for attempt in range(SAVE_ATTEMPTS):
            merged = {
                user_id: merge(base.get(user_id), ours, shard.records.get(user_id))
                for user_id, ours in changes.items()
            }
            disputed = {user_id for user_id, (_, is_disputed) in merged.items() if is_disputed}
            records = shard.records | {user_id: record for user_id, (record, _) in merged.items()}
            if attempt and records == shard.records:
                # Our own write, of which no answer came back; or theirs says it all.
                return shard, disputed
            etag = self._put(shard, dump_shard(records))
            if etag is not None:
                return Shard(shard.name, etag, records), disputed
            shard = self.load(shard.name)
        raise StateConflict(f"state/{shard.name}.json keeps changing under this run")

    @contextmanager
    def lease(self) -> Iterator[Lease | None]:
        """Hold the lease of the run; None when another run holds it.

        Raises:
            StateError: storage failed.
        """
        blob = self._container.get_blob_client(RUN)
        with _storage("take the lease of the run"):
            try:
                empty = json.dumps({"schema": SCHEMA, "status": "none"}).encode()
                if not blob.exists():
                    blob.upload_blob(empty, overwrite=False, content_settings=_JSON)
            except HttpResponseError as error:
                if code_of(error) not in {"BlobAlreadyExists", "LeaseIdMissing"}:
                    raise
            lease = Lease.acquire(blob)
        if lease is None:
            yield None
        else:
            with lease:
                yield lease

    def run(self) -> runs.Run | None:
        """The current or last run; None when there is none, or when its document is broken.

        Raises:
            NewerSchema: a newer version wrote it.
            StateError: storage failed.
        """
        data, _ = self._download(RUN)
        if data is None:
            return None
        return self._parse(RUN, data, lambda data: runs.from_json(parse_document(data)))

    def save_run(self, run: runs.Run, lease: Lease) -> None:
        """Write the run's document; only the holder of the lease can.

        Raises:
            LeaseLost: the lease is another's.
            StateError: storage failed.
        """
        lease.check()
        run.updated = iso(self._clock.time())
        with _storage("write run.json"):
            self._container.get_blob_client(RUN).upload_blob(
                _dump(run.to_json()), overwrite=True, lease=lease.client, content_settings=_JSON
            )

    def save_report(self, run: runs.Run) -> None:
        """Write the report of a run beside those of the others.

        Raises:
            StateError: storage failed.
        """
        with _storage("write the report"):
            self._container.get_blob_client(f"runs/{run.started}.json").upload_blob(
                _dump(run.to_json()), overwrite=True, content_settings=_JSON
            )

    def append_lines(self, run: runs.Run, lines: list[dict[str, Any]]) -> None:
        """Add users to the report's lines, in blocks of at most 4 MiB.

        Raises:
            StateError: storage failed.
        """
        if not lines:
            return
        blob = self._container.get_blob_client(f"runs/{run.started}.jsonl")
        with _storage("append to the report"):
            try:
                blob.create_append_blob(
                    content_settings=_LINES, match_condition=MatchConditions.IfMissing
                )
            except HttpResponseError as error:
                if code_of(error) not in {"BlobAlreadyExists", "ConditionNotMet"}:
                    raise
            block = b""
            for line in lines:
                data = _dump(line) + b"\n"
                if len(block) + len(data) > _APPEND_LIMIT_BYTES:
                    blob.append_block(block)
                    block = b""
                block += data
            blob.append_block(block)

    def _put(self, shard: Shard, data: bytes) -> str | None:
        """Write a shard over the version that was read; None when that is gone."""
        blob = self._container.get_blob_client(f"state/{shard.name}.json")
        with _storage(f"write state/{shard.name}.json"):
            try:
                if shard.etag is None:
                    answer = blob.upload_blob(data, overwrite=False, content_settings=_JSON)
                else:
                    answer = blob.upload_blob(
                        data,
                        overwrite=True,
                        etag=shard.etag,
                        match_condition=MatchConditions.IfNotModified,
                        content_settings=_JSON,
                    )
            except HttpResponseError as error:
                if code_of(error) in _CHANGED_MEANWHILE:
                    return None
                raise
        return str(answer["etag"])

    def _download(self, name: str) -> tuple[bytes | None, str | None]:
        with _storage(f"read {name}"):
            try:
                stream = self._container.get_blob_client(name).download_blob()
                return stream.readall(), str(stream.properties.etag)
            except ResourceNotFoundError as error:
                if code_of(error) == "ContainerNotFound":
                    raise
                return None, None

    def _parse[T](self, name: str, data: bytes, parse: Callable[[bytes], T]) -> T | None:
        """What a document says; None when it is broken, and then a copy is kept."""
        try:
            return parse(data)
        except NewerSchema as newer:
            raise NewerSchema(f"{name}: {newer}") from None
        except BrokenState as broken:
            # Named by content, so that what stays broken is kept once and not every night.
            kept = f"broken/{name.replace('/', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
            _log.error(
                "%s is broken (%s); kept as %s and built anew by reading", name, broken, kept
            )
            with _storage(f"keep {kept}"):
                self._container.get_blob_client(kept).upload_blob(data, overwrite=True)
            return None


@contextmanager
def _storage(what: str) -> Iterator[None]:
    """Turn the library's errors into ours; nothing of theirs, whose text may hold a signed URL."""
    try:
        yield
    except AzureError as error:
        code = code_of(error) or type(error).__name__
        if code.startswith("Lease"):
            raise LeaseLost(f"cannot {what}: {code}: another run took over") from None
        raise StateError(
            f"cannot {what}: {code}. The identity needs the role Storage Blob Data Owner on the "
            "storage account of CHECKPOINT_CONNECTION, and the account must be reachable"
        ) from None


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
