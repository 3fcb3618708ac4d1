"""Blob storage for tests: the program on a container of its own, and faults of the service."""

import io
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import requests
from azure.storage.blob import BlobLeaseClient, ContainerClient
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from local.support.azurite import Azurite
from local.support.clock import VirtualClock
from shared.app import App
from shared.checkpoint import Photo, Record, iso
from shared.clock import Clock
from shared.config import load
from shared.model import Outcome, ThumbnailLocation

ID = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"
OTHER = "6e000000-0000-4000-8000-000000000000"
"""In the same shard as `ID`."""


def program(azurite: Azurite, *, clock: Clock | None = None, **changed: str) -> App:
    """The program with storage only: a container of its own, which does not exist yet.

    The clock of its leases stands still; a test may give `lease_clock` another one.
    """
    environ = {
        "AzureWebJobsStorage": azurite.connection_string,
        "CHECKPOINT_CONTAINER": f"test-{uuid.uuid4().hex}",
        "SHAREPOINT_TENANT": "contoso",
        **changed,
    }
    return App(load(environ), clock or VirtualClock(), lease_clock=lambda: 1000.0)


def put(container: ContainerClient, name: str, data: bytes) -> None:
    """Write a blob as somebody who knows no conditions."""
    container.upload_blob(name, data, overwrite=True)


def read(container: ContainerClient, name: str) -> bytes:
    """A blob's content."""
    return container.download_blob(name).readall()


def names(container: ContainerClient, prefix: str = "") -> list[str]:
    """The blobs that there are."""
    return sorted(blob.name for blob in container.list_blobs(name_starts_with=prefix))


def end_lease(container: ContainerClient, name: str = "run.json") -> None:
    """End a lease as its time would, but now."""
    BlobLeaseClient(container.get_blob_client(name)).break_lease(lease_break_period=0)


def record(
    at: float, digest: str | None = None, *, prefix: str = ID, outcome: str = "updated"
) -> Record:
    """A record made at a second, of a photo with that digest; "" is a claim withdrawn."""
    photo = None
    if digest is not None:
        place = ThumbnailLocation("https://contoso-my.sharepoint.com", "Profile Pictures", prefix)
        photo = Photo(f'"{digest}"' if digest else "", digest, place)
    verified = iso(at) if photo else ""
    return Record(
        "a@contoso.com", Outcome(outcome), iso(at), "r", photo=photo, verified_at=verified
    )


@dataclass
class BlobFault:
    """One planned fault of blob storage.

    Attributes:
        kind: `status` answers `status` with error `code` instead of storage; `timeout_before` and
            `timeout_after` answer nothing, without and with effect; `refused` does not connect;
            `call` runs `action` before the request.
        method: HTTP method; any when empty.
        part: of the URL.
        nth: the first request that it meets, of those that match.
        times: how often it fires.
        action: of `call`.
        fired: how often it has fired.
    """

    kind: Literal["status", "timeout_before", "timeout_after", "refused", "call"]
    method: str = ""
    part: str = ""
    nth: int = 0
    times: int = 1
    status: int = 503
    code: str = ""
    action: Callable[[], Any] | None = None
    fired: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)

    def takes(self, request: requests.PreparedRequest) -> bool:
        """Whether it fires at this request; counts it."""
        if self.method not in ("", request.method) or self.part not in str(request.url):
            return False
        self.seen += 1
        if self.seen <= self.nth or self.fired >= self.times:
            return False
        self.fired += 1
        return True


class BlobFaults:
    """What goes wrong between the program and storage, and a record of all requests.

    Args:
        patch: undone at the end of the test.
        azurite: the storage that is meant.

    Attributes:
        sent: method and URL of all requests, faulted ones included.
    """

    def __init__(self, patch: pytest.MonkeyPatch, azurite: Azurite) -> None:
        self.sent: list[tuple[str, str]] = []
        self._plan: list[BlobFault] = []
        self._lock = threading.Lock()
        real = HTTPAdapter.send

        def send(
            adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
        ) -> requests.Response:
            if not str(request.url).startswith(azurite.blob_url):
                return real(adapter, request, **options)
            with self._lock:
                self.sent.append((str(request.method), str(request.url)))
                fault = next((f for f in self._plan if f.takes(request)), None)
            return _act(fault, request, lambda: real(adapter, request, **options))

        patch.setattr(HTTPAdapter, "send", send)

    def add(self, kind: Any, **fields: Any) -> BlobFault:
        """Plan a fault."""
        fault = BlobFault(kind, **fields)
        with self._lock:
            self._plan.append(fault)
        return fault

    def clear(self) -> None:
        """Plan none and forget what was sent."""
        with self._lock:
            self._plan.clear()
            self.sent.clear()

    def count(self, method: str, part: str) -> int:
        """How many requests of a method went to such a URL."""
        with self._lock:
            return sum(method == sent and part in url for sent, url in self.sent)


def _act(
    fault: BlobFault | None,
    request: requests.PreparedRequest,
    send: Callable[[], requests.Response],
) -> requests.Response:
    match fault.kind if fault else "":
        case "timeout_before":
            raise requests.ReadTimeout("injected")
        case "timeout_after":
            send().close()
            raise requests.ReadTimeout("injected")
        case "refused":
            raise requests.ConnectionError(f"injected: {request.url}?sig=SECRET")
        case "status":
            assert fault
            return _answer(fault, request)
        case "call":
            assert fault
            assert fault.action
            fault.action()
    return send()


def _answer(fault: BlobFault, request: requests.PreparedRequest) -> requests.Response:
    headers = {"x-ms-error-code": fault.code} if fault.code else {}
    body = f"<Error><Code>{fault.code}</Code><Message>sig=SECRET</Message></Error>".encode()
    answer = requests.Response()
    answer.status_code = fault.status
    answer.reason = "injected"
    answer.headers.update({"Content-Type": "application/xml", **headers})
    answer.raw = HTTPResponse(
        body=io.BytesIO(b"" if request.method == "HEAD" else body),
        headers=headers,
        status=fault.status,
        preload_content=False,
    )
    answer.url = str(request.url)
    answer.request = request
    return answer
