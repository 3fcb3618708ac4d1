"""Small things that every blob of the checkpoint needs: errors in our words, reading, setting aside."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import ContainerClient, ContentSettings

from shared.errors import BrokenState, LeaseLost, NewerSchema, StateError
from shared.log import InvocationLog

JSON = ContentSettings(content_type="application/json")

CHANGED_MEANWHILE = frozenset(
    {
        "AppendPositionConditionNotMet",
        "BlobAlreadyExists",
        "ConditionNotMet",
        "TargetConditionNotMet",
    }
)
"""Codes of a condition that another writer broke."""

_NO_ROLE = frozenset(
    {"AuthorizationFailure", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions"}
)


def code_of(error: Exception) -> str:
    """Storage's error code; the library gives it as text or as a member of an enumeration."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the library's errors into ours.

    Nothing of the library's text is kept, because it may hold a signed URL.

    Args:
        what: completes "cannot …".

    Raises:
        LeaseLost: the lease is another run's.
        StateError: anything else; names cause and remedy.
    """
    try:
        yield
    except AzureError as error:
        code = code_of(error) or type(error).__name__
        if code.startswith("Lease"):
            raise LeaseLost(f"cannot {what}: {code}: another run took over") from None
        raise StateError(f"cannot {what}: {code}. {_remedy(error, code)}") from None


def _remedy(error: AzureError, code: str) -> str:
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return (
            "The storage account of CHECKPOINT_CONNECTION cannot be reached: is its name right, "
            "is it running, and do its network rules let the app in?"
        )
    if code in _NO_ROLE:
        return (
            "The identity needs the role Storage Blob Data Owner on the storage account of "
            "CHECKPOINT_CONNECTION, and the network rules of the account must let the app in"
        )
    if isinstance(error, ClientAuthenticationError):
        return (
            "The storage account refuses the credential: correct the key in the connection string "
            "that CHECKPOINT_CONNECTION names, or use the managed identity"
        )
    return (
        "The storage account of CHECKPOINT_CONNECTION does not do its part: see its metrics and "
        "Azure service health"
    )


def download(container: ContainerClient, name: str) -> tuple[bytes | None, str | None]:
    """A blob's content and version; (None, None) when there is no such blob.

    Raises:
        StateError: storage failed, or there is no container.
    """
    with storage_errors(f"read {name}"):
        try:
            stream = container.get_blob_client(name).download_blob()
            return stream.readall(), str(stream.properties.etag)
        except ResourceNotFoundError as error:
            if code_of(error) == "ContainerNotFound":
                raise
            return None, None


def parse_or_set_aside[T](
    container: ContainerClient,
    name: str,
    data: bytes,
    parse: Callable[[bytes], T],
    log: InvocationLog,
) -> T | None:
    """What a document says; None when it is broken, and then a copy is kept under `broken/`.

    Raises:
        NewerSchema: a newer version of the program wrote it.
        StateError: the copy cannot be written.
    """
    try:
        return parse(data)
    except NewerSchema as newer:
        raise NewerSchema(f"{name}: {newer}") from None
    except BrokenState as broken:
        # Named by content, so that what stays broken is kept once and not every night.
        kept = f"broken/{name.replace('/', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
        with storage_errors(f"keep {kept}"):
            container.get_blob_client(kept).upload_blob(data, overwrite=True)
        log.add(
            logging.ERROR,
            f"{name} cannot be read ({broken}). A copy is kept as {kept}, and the app builds it "
            "again by reading. Nothing to do; keep the copy for the maintainers",
        )
        return None


def dump(value: dict[str, Any]) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()
