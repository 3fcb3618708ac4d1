"""The blobs of one run: its document, who is in scope, the report and the report's lines.

Only the holder of the lease writes them, and each write is conditional as well: `run.json` by the
lease, the others by version or length. So a firing that slept past its lease changes nothing.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings

from shared.checkpoint.blobs import (
    CHANGED_MEANWHILE,
    JSON,
    code_of,
    download,
    dump,
    storage_errors,
)
from shared.checkpoint.documents import SCHEMA, iso, parse_document
from shared.checkpoint.lease import Lease
from shared.checkpoint.runs import Run
from shared.checkpoint.store import RUN, Checkpoint
from shared.errors import BrokenState, LeaseLost

APPEND_LIMIT_BYTES = 4 * 1024 * 1024

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
        base = f"runs/{run.started}"
        self._report = base + ".json"
        self._lines = _AppendBlob(self._container.get_blob_client(base + ".jsonl"), _LINES)
        self._users = _AppendBlob(self._container.get_blob_client(base + ".users"), _USERS)
        self._users_name = base + ".users"
        # Read before any work: whoever writes a report after this moment is another firing.
        self._report_etag = _etag_of(self._container.get_blob_client(self._report), self._report)

    def save(self) -> None:
        """Write the run's document.

        Raises:
            LeaseLost: the lease is another's.
            StateError: storage failed.
        """
        self._lease.check()
        self._run.updated = iso(self._clock.time())
        with storage_errors(f"write {RUN}"):
            self._container.get_blob_client(RUN).upload_blob(
                dump(self._run.to_json()),
                overwrite=True,
                lease=self._lease.client,
                content_settings=JSON,
            )

    def save_report(self) -> None:
        """Write the report of the run, unless another firing wrote it meanwhile.

        Raises:
            LeaseLost: another firing did.
            StateError: storage failed.
        """
        self._lease.check()
        data = dump(self._run.report())
        condition: dict[str, Any] = {"overwrite": False}
        if self._report_etag:
            condition = {
                "overwrite": True,
                "etag": self._report_etag,
                "match_condition": MatchConditions.IfNotModified,
            }
        with storage_errors("write the report"):
            try:
                response = self._container.get_blob_client(self._report).upload_blob(
                    data, content_settings=JSON, **condition
                )
                self._report_etag = str(response["etag"])
            except HttpResponseError as error:
                if code_of(error) not in CHANGED_MEANWHILE:
                    raise
                written, self._report_etag = download(self._container, self._report)
                if written != data:
                    # Equal bytes are our own write, whose response was lost.
                    raise LeaseLost("cannot write the report: another firing wrote it") from None

    def append_lines(self, lines: list[dict[str, Any]]) -> None:
        """Add users to the report's lines, in blocks of at most 4 MiB.

        Raises:
            LeaseLost: another firing appended meanwhile.
            StateError: storage failed.
        """
        self._lease.check()
        block = b""
        for line in lines:
            data = dump(line) + b"\n"
            if len(block) + len(data) > APPEND_LIMIT_BYTES:
                self._lines.append(block)
                block = b""
            block += data
        if block:
            self._lines.append(block)

    def append_page(self, page: dict[str, Any]) -> None:
        """Add a page of the listing to `runs/<started>.users`.

        The blob is JSON lines, one a page, each compressed for itself: `gzip -d` reads the whole.

        Raises:
            LeaseLost: another firing appended meanwhile.
            StateError: storage failed.
        """
        self._lease.check()
        self._users.append(gzip.compress(dump({"schema": SCHEMA, **page}) + b"\n", 6))

    def pages(self) -> Iterator[dict[str, Any]]:
        """The pages of the listing, in the order they came.

        Raises:
            BrokenState: the blob cannot be read as such pages.
            StateError: storage failed.
        """
        data, _ = download(self._container, self._users_name)
        if data is None:
            return
        # Line by line: a million users unpack to some sixty megabytes.
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as lines:
            try:
                for line in lines:
                    yield parse_document(line)
            except (OSError, EOFError, zlib.error):
                raise BrokenState(f"{self._users_name} is no gzip file") from None

    def delete_pages(self) -> None:
        """Delete the listing, when the run ends or the listing starts again."""
        self._lease.check()
        self._users.delete()


class _AppendBlob:
    """An append blob that only we append to, created when missing."""

    def __init__(self, client: BlobClient, settings: ContentSettings) -> None:
        self._client = client
        self._settings = settings
        self._length: int | None = None

    def append(self, block: bytes) -> None:
        name = self._client.blob_name
        with storage_errors(f"append to {name}"):
            if self._length is None:
                self._length = self._create()
            try:
                self._client.append_block(block, appendpos_condition=self._length)
            except HttpResponseError as error:
                if code_of(error) not in CHANGED_MEANWHILE:
                    raise
                if self._size() != self._length + len(block):
                    raise LeaseLost(
                        f"cannot append to {name}: another firing appended to it"
                    ) from None
                # Our own block, whose response was lost.
            self._length += len(block)

    def delete(self) -> None:
        with storage_errors(f"delete {self._client.blob_name}"):
            try:
                self._client.delete_blob()
            except ResourceNotFoundError as error:
                if code_of(error) == "ContainerNotFound":
                    raise
        self._length = None

    def _create(self) -> int:
        try:
            self._client.create_append_blob(
                content_settings=self._settings, match_condition=MatchConditions.IfMissing
            )
        except HttpResponseError as error:
            if code_of(error) not in CHANGED_MEANWHILE:
                raise
            return self._size()
        return 0

    def _size(self) -> int:
        return int(self._client.get_blob_properties().size)


def _etag_of(client: BlobClient, name: str) -> str | None:
    with storage_errors(f"look at {name}"):
        try:
            return str(client.get_blob_properties().etag)
        except ResourceNotFoundError as error:
            if code_of(error) == "ContainerNotFound":
                raise
            return None


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
