"""The blobs of one run: its document, who is in scope, the report and the report's lines.

Only the holder of the lease writes them, and each write is conditional as well: `run.json` by the
lease, the others by the version that was there when the firing began. So a firing that slept past
its lease changes nothing of what another firing wrote meanwhile.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, ContentSettings

from shared.checkpoint.append_blob import BLOCK_LIMIT_BYTES, AppendBlob
from shared.checkpoint.blobs import (
    CHANGED_OR_GONE,
    JSON,
    NO_BLOB,
    code_of,
    download,
    dump,
    only_if,
    storage_errors,
    version_of,
)
from shared.checkpoint.documents import SCHEMA, iso, parse_document
from shared.checkpoint.lease import Lease
from shared.checkpoint.runs import Run
from shared.checkpoint.store import RUN, Checkpoint
from shared.errors import BrokenState, LeaseLost

PAGE_LIMIT_BYTES = 4 * 1024 * 1024
"""Most bytes of one page of the listing; 999 users of the longest names take a fifth of it."""

_LINES = ContentSettings(content_type="application/jsonl")
# No content encoding: clients would unpack it on the way, each in its own manner.
_USERS = ContentSettings(content_type="application/gzip")


class RunBlobs:
    """What one firing reads and writes of its run.

    Args:
        checkpoint: container, clock and log of the invocation.
        run: whose blobs.
        lease: held by this firing.
    """

    def __init__(self, checkpoint: Checkpoint, run: Run, lease: Lease) -> None:
        self._container = checkpoint.container
        self._clock = checkpoint.clock
        self._run = run
        self._lease = lease
        self._saved = b""
        base = f"runs/{run.started}"
        # The versions are read before any work: whoever writes after this moment is another firing.
        # A run that was never saved has no blobs yet.
        saved = bool(run.updated)
        self._document = _Document(self._container, RUN, RUN)
        self._report = _Document(self._container, base + ".json", "the report", exists=saved)
        self._lines = self._append_blob(base + ".jsonl", _LINES, exists=saved)
        self._users = self._append_blob(base + ".users", _USERS, exists=saved)
        self._users_name = base + ".users"

    def _append_blob(self, name: str, settings: ContentSettings, *, exists: bool) -> AppendBlob:
        client = self._container.get_blob_client(name)
        return AppendBlob(client, version_of(client) if exists else NO_BLOB, settings)

    def save(self) -> None:
        """Write the run's document, unless nothing but the time is new in it.

        Raises:
            LeaseLost: the lease is another's.
            StateError: storage failed.
        """
        self._lease.check()
        state = dump({**self._run.to_json(), "updated": ""})
        if state == self._saved:
            return
        self._run.updated = iso(self._clock.time())
        # By version, too: a request that was given up and arrives late must not undo a later one.
        self._document.write(dump(self._run.to_json()), lease=self._lease.client)
        self._saved = state

    def save_report(self) -> None:
        """Write the report of the run, unless another firing wrote it meanwhile.

        Raises:
            LeaseLost: another firing did.
            StateError: storage failed.
        """
        self._lease.check()
        self._report.write(dump(self._run.report()))

    def append_lines(self, lines: list[dict[str, Any]]) -> None:
        """Add users to the report's lines, in blocks of at most 4 MiB.

        Raises:
            LeaseLost: another firing appended meanwhile.
            StateError: storage failed.
        """
        self._lease.check()
        block = bytearray()
        for line in lines:
            data = dump(line) + b"\n"
            if block and len(block) + len(data) > BLOCK_LIMIT_BYTES:
                self._lines.append(bytes(block))
                block.clear()
            block += data
        if block:
            self._lines.append(bytes(block))

    def append_page(self, page: dict[str, Any]) -> None:
        """Add a page of the listing to `runs/<started>.users`.

        The blob is JSON lines, one a page, each compressed for itself: `gzip -d` reads the whole.

        Raises:
            LeaseLost: another firing appended meanwhile.
            StateError: storage failed.
        """
        self._lease.check()
        self._users.append(gzip.compress(dump({"schema": SCHEMA, **page}) + b"\n", 6, mtime=0))

    def pages(self) -> Iterator[dict[str, Any]]:
        """The pages of the listing, in the order they came.

        Raises:
            BrokenState: the blob cannot be read as such pages.
            StateError: storage failed.
        """
        if not self._users.exists:
            return
        data, _ = download(self._container, self._users_name)
        if data is None:
            return
        # Line by line: a million users unpack to some sixty megabytes.
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as lines:
            while line := self._read_line(lines):
                yield parse_document(line)

    def _read_line(self, lines: gzip.GzipFile) -> bytes:
        try:
            line = lines.readline(PAGE_LIMIT_BYTES)
        except (OSError, EOFError, zlib.error):
            raise BrokenState(f"{self._users_name} is no gzip file") from None
        if line and not line.endswith(b"\n"):
            raise BrokenState(f"{self._users_name} has a page that is cut or too long")
        return line

    def delete_pages(self) -> None:
        """Delete the listing, when the run ends or the listing starts again.

        Raises:
            LeaseLost: another firing changed it meanwhile.
            StateError: storage failed.
        """
        self._lease.check()
        self._users.delete()


class _Document:
    """A JSON blob that only this firing writes; each write says which version it expects."""

    def __init__(
        self, container: ContainerClient, name: str, what: str, *, exists: bool = True
    ) -> None:
        self._container = container
        self._name = name
        self._client = container.get_blob_client(name)
        self._what = what
        self._etag = version_of(self._client).etag if exists else None
        self._sent = b""

    def write(self, data: bytes, **options: Any) -> None:
        earlier, self._sent = self._sent, data
        with storage_errors(f"write {self._what}"):
            if self._put(data, options):
                return
            written, etag = download(self._container, self._name)
            # Our own bytes are a write whose response was lost, of this call or of an earlier one.
            if written is not None and written in {data, earlier}:
                self._etag = etag
                if written == data or self._put(data, options):
                    return
        raise LeaseLost(f"cannot write {self._what}: another firing wrote it")

    def _put(self, data: bytes, options: dict[str, Any]) -> bool:
        """Write over the version that is known; False when there is another one."""
        try:
            response = self._client.upload_blob(
                data, content_settings=JSON, overwrite=True, **only_if(self._etag), **options
            )
        except HttpResponseError as error:
            if code_of(error) not in CHANGED_OR_GONE:
                raise
            return False
        self._etag = str(response["etag"])
        return True


def close_run(checkpoint: Checkpoint, run: Run, lease: Lease) -> None:
    """Write the last report of a run that nobody will finish, and delete its listing.

    Raises:
        LeaseLost, StateError: as `RunBlobs`.
    """
    blobs = RunBlobs(checkpoint, run, lease)
    blobs.save_report()
    blobs.delete_pages()


def read_users(line: dict[str, Any]) -> list[tuple[str, str]]:
    """Object ids and names of one page of the listing.

    Raises:
        BrokenState: the page holds something else.
    """
    users = line.get("users")
    if not isinstance(users, list):
        raise BrokenState("a page of the listing has no users")
    pairs = [tuple(entry) for entry in users if isinstance(entry, list)]
    if len(pairs) != len(users) or not all(
        len(pair) == 2 and all(isinstance(part, str) for part in pair)  # noqa: PLR2004
        for pair in pairs
    ):
        raise BrokenState("a page of the listing has users without id or name")
    return [(pair[0], pair[1]) for pair in pairs]
