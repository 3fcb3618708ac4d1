"""The portal's blobs: limits and audit, beside the checkpoint's in the same container."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient, ContentSettings

from shared.errors import StateError

MAX_TAIL_BYTES = 4 * 2**20
"""How much of the end of a long blob is looked at."""

_JSON = ContentSettings(content_type="application/json")
_LINES = ContentSettings(content_type="application/jsonl")
MAX_PARTS = 100
_FULL = "BlockCountExceedsLimit"
"""Code of an append blob that has 50,000 blocks (Azure Storage docs, "Append Block")."""

_CONFLICT, _FAILED_CONDITION, _BAD_RANGE = 409, 412, 416


class Blobs:
    """Reads, replaces, and appends to blobs of one container.

    Args:
        container: client of the container, which exists.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Content and ETag; None when there is no such blob.

        Raises:
            StateError: storage fails.
        """
        with _storage(f"read {name}"):
            try:
                stream = self._container.download_blob(name)
                return stream.readall(), str(stream.properties.etag)
            except ResourceNotFoundError:
                return None

    def tail(self, name: str) -> bytes:
        """The end of a blob, whole lines only; b"" when there is none.

        Raises:
            StateError: storage fails.
        """
        blob = self._container.get_blob_client(name)
        with _storage(f"read {name}"):
            try:
                size = blob.get_blob_properties().size
                start = max(0, size - MAX_TAIL_BYTES)
                data = blob.download_blob(offset=start).readall() if size else b""
            except ResourceNotFoundError:
                return b""
            except HttpResponseError as error:
                if error.status_code == _BAD_RANGE:
                    return b""
                raise
        return data.partition(b"\n")[2] if start else data

    def names(self, prefix: str) -> list[str]:
        """Names of blobs that begin so, in order.

        Raises:
            StateError: storage fails.
        """
        with _storage("list blobs"):
            return list(self._container.list_blob_names(name_starts_with=prefix))

    def write(self, name: str, content: bytes, etag: str | None) -> bool:
        """Replace a blob that is still as it was read; with None create it.

        Returns:
            False when somebody else wrote it meanwhile.

        Raises:
            StateError: storage fails.
        """
        held: dict[str, Any] = {}
        if etag is not None:
            held = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        with _storage(f"write {name}"):
            try:
                # Without `overwrite` the library asks for a blob that is not there yet.
                self._container.upload_blob(
                    name, content, overwrite=etag is not None, content_settings=_JSON, **held
                )
            except HttpResponseError as error:
                if error.status_code in {_CONFLICT, _FAILED_CONDITION}:
                    return False
                raise
        return True

    def append(self, name: str, line: bytes) -> None:
        """Append a line to a blob, which is created when missing.

        An append blob takes 50,000 blocks. Behind a full `a.jsonl` come `a.2.jsonl`, `a.3.jsonl`.

        Raises:
            StateError: storage fails.
        """
        stem, dot, ending = name.rpartition(".")
        parts = (f"{stem}.{number}{dot}{ending}" for number in range(2, MAX_PARTS))
        with _storage(f"append to {name}"):
            for part in (name, *parts):
                try:
                    self._append(part, line)
                except HttpResponseError as error:
                    if _code_of(error) != _FULL:
                        raise
                else:
                    return
        raise StateError(f"cannot append to {name}: it is full")

    def _append(self, name: str, line: bytes) -> None:
        blob = self._container.get_blob_client(name)
        try:
            blob.append_block(line)
        except ResourceNotFoundError:
            try:
                blob.create_append_blob(
                    content_settings=_LINES, match_condition=MatchConditions.IfMissing
                )
            except ResourceExistsError:
                pass  # another instance was faster
            except HttpResponseError as error:
                if error.status_code not in {_CONFLICT, _FAILED_CONDITION}:
                    raise
            blob.append_block(line)


@contextmanager
def _storage(what: str) -> Iterator[None]:
    """Turn the library's errors into ours; nothing of their text, which may hold a signed URL."""
    try:
        yield
    except AzureError as error:
        raise StateError(f"cannot {what}: {_code_of(error)}") from None


def _code_of(error: AzureError) -> str:
    code = getattr(error, "error_code", None) or type(error).__name__
    return str(getattr(code, "value", code))
