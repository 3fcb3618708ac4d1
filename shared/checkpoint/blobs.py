"""What every blob of the checkpoint needs: errors in our words, versions, reading, keeping."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings

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

CHANGED_OR_GONE = CHANGED_MEANWHILE | {"BlobNotFound"}
"""The same, where the blob may have been deleted, too."""

_NO_CONTAINER = frozenset({"ContainerBeingDeleted", "ContainerNotFound"})
_REFUSED = "AuthorizationFailure"
"""Without a role, behind network rules, and (Azurite) with a wrong key."""
_NO_ROLE = frozenset(
    {_REFUSED, "AuthorizationPermissionMismatch", "InsufficientAccountPermissions"}
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
    if code in _NO_CONTAINER:
        return (
            "The container that CHECKPOINT_CONTAINER names was deleted. The next firing creates it "
            "again and reads everything anew; restore the container first if you need its records"
        )
    if code in _NO_ROLE and (code != _REFUSED or _by_identity(error)):
        return (
            "The identity needs the role Storage Blob Data Owner on the storage account of "
            "CHECKPOINT_CONNECTION, and the network rules of the account must let the app in"
        )
    if code == _REFUSED or isinstance(error, ClientAuthenticationError):
        return (
            "The storage account refuses the credential. With a connection string in "
            "CHECKPOINT_CONNECTION: correct its key, or use the managed identity. With the managed "
            "identity: the storage account must be in the identity's own tenant. The network rules "
            "of the account must let the app in"
        )
    return (
        "The storage account of CHECKPOINT_CONNECTION does not do its part: see its metrics and "
        "Azure service health"
    )


def _by_identity(error: AzureError) -> bool:
    """Whether the request that failed carried a token, and no account key."""
    request = getattr(getattr(error, "response", None), "request", None)
    return str(getattr(request, "headers", {}).get("Authorization", "")).startswith("Bearer ")


class Version(NamedTuple):
    """What a blob is at a moment; no ETag when there is none."""

    etag: str | None
    size: int


NO_BLOB = Version(None, 0)


def only_if(etag: str | None) -> dict[str, Any]:
    """The condition that a blob still has this version; None: that there is none."""
    if etag is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def version_of(client: BlobClient) -> Version:
    """The present version of a blob.

    Raises:
        StateError: storage failed, or there is no container.
    """
    with storage_errors(f"look at {client.blob_name}"):
        try:
            found = client.get_blob_properties()
        except ResourceNotFoundError as error:
            if code_of(error) == "ContainerNotFound":
                raise
            return NO_BLOB
        return Version(str(found.etag), int(found.size))


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
