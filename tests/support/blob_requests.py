"""Reads and writes blobs as a test does: over HTTP, without the client library.

Tests look at all blobs after every night. The library needs three times as long for that as this,
and what is planned against the program's requests would strike the test's own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import quote
from xml.etree import ElementTree as ET

from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from urllib3 import BaseHTTPResponse, PoolManager, Timeout

from local.support.azurite import ACCOUNT, KEY

_pool = PoolManager(timeout=Timeout(60), retries=False)
_NOT_FOUND = 404


def read_blobs(account_url: str, container: str, prefix: str = "") -> dict[str, bytes]:
    """Content of a container's blobs by name, in order; none when there is no container.

    Args:
        account_url: of Azurite.
        container: name.
        prefix: of the blobs' names.
    """
    url = f"{account_url}/{container}"
    names: list[str] = []
    marker = ""
    while True:
        page = _get(f"{url}?restype=container&comp=list&prefix={quote(prefix)}&marker={marker}&")
        if page is None:
            return {}
        root = ET.fromstring(page)  # noqa: S314 - from our own Azurite
        names += [str(name.text) for name in root.iter("Name")]
        marker = quote(root.findtext("NextMarker") or "")
        if not marker:
            break
    found = {name: _get(f"{url}/{quote(name)}?") for name in names}
    return {name: content for name, content in found.items() if content is not None}


def write_blobs(account_url: str, container: str, blobs: Mapping[str, bytes]) -> None:
    """Make a container and the blobs in it.

    Args:
        account_url: of Azurite.
        container: name; it does not exist.
        blobs: content by name.
    """
    url = f"{account_url}/{container}"
    _request("PUT", f"{url}?restype=container&")
    for name, content in blobs.items():
        _request("PUT", f"{url}/{quote(name)}?", content)


def _get(url: str) -> bytes | None:
    answer = _request("GET", url)
    return answer.data if answer.status != _NOT_FOUND else None


def _request(method: str, url: str, body: bytes = b"") -> BaseHTTPResponse:
    headers = {"x-ms-blob-type": "BlockBlob"} if body else {}
    answer = _pool.request(method, url + _signature(), body=body or None, headers=headers)
    assert answer.status < 300 or answer.status == _NOT_FOUND, (url, answer.status, answer.data)
    return answer


@cache
def _signature() -> str:
    return generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True),
        expiry=datetime.now(UTC) + timedelta(days=1),
    )
