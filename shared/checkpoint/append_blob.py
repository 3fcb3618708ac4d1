"""An append blob of one firing: each write says which version it expects."""

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContentSettings

from shared.checkpoint.blobs import (
    CHANGED_MEANWHILE,
    CHANGED_OR_GONE,
    NO_BLOB,
    Version,
    code_of,
    only_if,
    storage_errors,
    version_of,
)
from shared.errors import LeaseLost

BLOCK_LIMIT_BYTES = 4 * 1024 * 1024
"""Most bytes of one block."""


class AppendBlob:
    """An append blob that only this firing writes; created when it is missing.

    Every write has the condition that the blob is as this firing left it. When a response is lost,
    the library sends the write again and the condition fails; then the bytes that were added tell
    whose they are. Their number does not: another firing's block may be as long.

    Args:
        client: of the blob.
        version: of the blob when the firing began.
        settings: content settings of a new blob.
    """

    def __init__(self, client: BlobClient, version: Version, settings: ContentSettings) -> None:
        self._client = client
        self._settings = settings
        self._version = version
        self._sent = b""

    @property
    def exists(self) -> bool:
        """Whether there is such a blob, as far as this firing knows."""
        return self._version.etag is not None

    def append(self, block: bytes) -> None:
        """Add a block.

        Args:
            block: at most `BLOCK_LIMIT_BYTES`, not empty.

        Raises:
            LeaseLost: another firing changed the blob.
            StateError: storage failed.
        """
        earlier, self._sent = self._sent, block
        with storage_errors(f"append to {self._client.blob_name}"):
            if not self.exists:
                self._create()
            if self._add(block):
                return
            behind, version = self._behind()
            # Our own bytes are a block whose response was lost, of this call or of an earlier one.
            if behind and behind in {block, earlier}:
                self._version = version
                if behind == block or self._add(block):
                    return
        raise self._changed("append to")

    def delete(self) -> None:
        """Delete the blob, if there is one.

        Raises:
            LeaseLost: another firing changed the blob.
            StateError: storage failed.
        """
        if not self.exists:
            return
        with storage_errors(f"delete {self._client.blob_name}"):
            if not (self._remove() or self._gone_or_ours()):
                raise self._changed("delete")
        self._version, self._sent = NO_BLOB, b""

    def _create(self) -> None:
        try:
            created = self._client.create_append_blob(
                content_settings=self._settings, match_condition=MatchConditions.IfMissing
            )
            self._version = Version(str(created["etag"]), 0)
        except HttpResponseError as error:
            if code_of(error) not in CHANGED_MEANWHILE:
                raise
            # Ours, whose response was lost; or another firing's: then it does not stay empty.
            found = version_of(self._client)
            if found.size:
                raise self._changed("append to") from None
            self._version = found

    def _add(self, block: bytes) -> bool:
        """Append a block to the version that is known; False when there is another one."""
        try:
            response = self._client.append_block(block, **only_if(self._version.etag))
        except HttpResponseError as error:
            if code_of(error) not in CHANGED_OR_GONE:
                raise
            return False
        self._version = Version(str(response["etag"]), self._version.size + len(block))
        return True

    def _remove(self) -> bool:
        try:
            self._client.delete_blob(**only_if(self._version.etag))
        except HttpResponseError as error:
            if code_of(error) not in CHANGED_OR_GONE:
                raise
            return False
        return True

    def _gone_or_ours(self) -> bool:
        """Whether there is nothing to delete any more, or only a block of ours was added."""
        behind, version = self._behind()
        if version.etag is None:
            return True
        if not behind or behind != self._sent:
            return False
        self._version = version
        return self._remove()

    def _behind(self) -> tuple[bytes, Version]:
        """What was added to the version that is known, and the version that there is now."""
        found = version_of(self._client)
        added = found.size - self._version.size
        if found.etag is None or not 0 < added <= BLOCK_LIMIT_BYTES:
            return b"", found
        stream = self._client.download_blob(offset=self._version.size, length=added)
        return bytes(stream.readall()), found

    def _changed(self, what: str) -> LeaseLost:
        return LeaseLost(f"cannot {what} {self._client.blob_name}: another firing changed it")
