"""Ends the host when its storage is gone, as the Functions host ends itself.

Observed with host 4.1037: it holds locks in its storage and ends when it cannot renew them, which
is after about 30 seconds in which storage refuses; an outage of 26 seconds leaves no trace.
"""

import socket
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

_LIMIT_SECONDS = 30
_INTERVAL_SECONDS = 2
_CONNECT_SECONDS = 5
_NAME = "AzureWebJobsStorage"
_SUFFIX = "core.windows.net"


def storage_url(settings: Mapping[str, str]) -> str | None:
    """Blob service URL of the host's storage; None when no setting names it."""
    if text := settings.get(_NAME):
        parts = dict(part.partition("=")[::2] for part in text.split(";"))
        suffix = parts.get("EndpointSuffix", _SUFFIX)
        return parts.get("BlobEndpoint") or f"https://{parts.get('AccountName')}.blob.{suffix}"
    if url := settings.get(f"{_NAME}__blobServiceUri"):
        return url
    if account := settings.get(f"{_NAME}__accountName"):
        return f"https://{account}.blob.{_SUFFIX}"
    return None


def accepts_connections(url: str) -> bool:
    """Whether somebody listens at the URL's port."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def watch(
    answers: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when storage has refused for half a minute.

    Args:
        answers: whether storage can be reached now.
        clock: seconds.
        sleep: waits that many seconds.
    """
    heard = clock()
    while True:
        if answers():
            heard = clock()
        elif clock() - heard >= _LIMIT_SECONDS:
            return
        sleep(_INTERVAL_SECONDS)
