"""The lease on `run.json` that makes a run single, kept alive by a thread.

Blob Storage gives finite leases of 15 to 60 seconds (Azure Storage docs, "Lease Blob"). That they
end by themselves is the recovery from a crash: a killed run frees its lease within a minute. A
holder that slept past its lease must not write any more, so it judges by its own clock, without
asking: `check` is called before every write.
"""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient, BlobLeaseClient

from shared.errors import LeaseLost

LEASE_SECONDS = 60
RENEW_EVERY_SECONDS = 15
_SAFETY_SECONDS = 5
"""A lease about to end is treated as lost: a write begun now could land after its end."""


def seconds() -> float:
    """A clock that goes on while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def code_of(error: Exception) -> str:
    """Storage's error code; the library gives it as text or as a member of an enumeration."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


_log = logging.getLogger("photo_sync.lease")


class Lease:
    """A held lease; use as a context manager, which releases it.

    The clock here is always the real one: the lease runs out in storage's time.

    Args:
        client: holds the lease.
        since: `seconds()` before it was asked for.
        renew_every: seconds.
    """

    def __init__(
        self,
        client: BlobLeaseClient,
        since: float,
        *,
        renew_every: float = RENEW_EVERY_SECONDS,
    ) -> None:
        self.client = client
        self._renew_every = renew_every
        self._renewed = since
        self._lost = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="photo-sync-lease", daemon=True)

    @classmethod
    def acquire(cls, blob: BlobClient, *, renew_every: float = RENEW_EVERY_SECONDS) -> Self | None:
        """Take the lease on a blob that exists; None when another run holds it.

        Args:
            blob: to lease.
            renew_every: seconds.

        Raises:
            AzureError: storage failed.
        """
        before = seconds()
        client = BlobLeaseClient(blob)
        try:
            client.acquire(lease_duration=LEASE_SECONDS)
        except HttpResponseError as error:
            if code_of(error) == "LeaseAlreadyPresent":
                return None
            raise
        return cls(client, before, renew_every=renew_every)

    def check(self) -> None:
        """Make sure that the lease is still ours.

        Raises:
            LeaseLost: it is not, or may not be.
        """
        if seconds() - self._renewed > LEASE_SECONDS - _SAFETY_SECONDS:
            # For good: what a late renewal might bring back, others may have used meanwhile.
            self._lost.set()
        if self._lost.is_set():
            raise LeaseLost(
                "another run took over, or storage could not be reached to keep it away"
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        try:
            self.client.release()
        except (AzureError, ValueError):
            # It ends by itself, or is another's already.
            _log.info("the lease could not be released")

    def _keep(self) -> None:
        while not self._end.wait(self._renew_every):
            before = seconds()
            try:
                self.client.renew()
            except HttpResponseError as error:
                if code_of(error).startswith("Lease") or error.status_code == 404:  # noqa: PLR2004
                    self._lost.set()
                    return
                _log.warning("the lease could not be renewed: %s", code_of(error))
            except AzureError as error:
                _log.warning("the lease could not be renewed: %s", type(error).__name__)
            else:
                self._renewed = before
