"""The lease on `run.json` that makes a run single, kept alive by a thread.

Blob Storage gives finite leases of 15 to 60 seconds (Azure Storage docs, "Lease Blob"). That they
end by themselves is the recovery from a crash: a killed run frees its lease within a minute. A
holder that slept past its lease must not write any more, so it judges by its own clock, without
asking: `check` is called before every write.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient, BlobLeaseClient

from shared.checkpoint.blobs import code_of
from shared.errors import LeaseLost, PhotoSyncError
from shared.log import InvocationLog

LEASE_SECONDS = 60
RENEW_EVERY_SECONDS = 10.0
RENEW_WITHIN_SECONDS = 8.0
"""A renewal that takes longer is not waited for: the next one starts on time. Five of them fit into
a lease, so that one that hangs costs nothing."""

_HELD = frozenset({"LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"})
"""Codes of a lease that cannot be taken now, because another run's has not ended yet."""

_WITHIN: dict[str, Any] = {
    "connection_timeout": RENEW_WITHIN_SECONDS,
    "read_timeout": RENEW_WITHIN_SECONDS,
}

_SAFETY_SECONDS = 5
"""A lease about to end is treated as lost: a write begun now could land after its end."""


def seconds() -> float:
    """A clock that goes on while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """A held lease; use as a context manager, which releases it.

    Args:
        client: holds the lease.
        since: when it was asked for, by `clock`.
        log: of the invocation.
        clock: seconds; the lease runs out in storage's time, so this is not the program's clock.
        renew_every: seconds.
    """

    def __init__(
        self,
        client: BlobLeaseClient,
        since: float,
        *,
        log: InvocationLog,
        clock: Callable[[], float] = seconds,
        renew_every: float = RENEW_EVERY_SECONDS,
    ) -> None:
        self.client = client
        self._log = log
        self._clock = clock
        self._renew_every = renew_every
        self._renewed = since
        self._lost = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="photo-sync-lease", daemon=True)

    @classmethod
    def acquire(
        cls,
        blob: BlobClient,
        *,
        log: InvocationLog,
        clock: Callable[[], float] = seconds,
        renew_every: float = RENEW_EVERY_SECONDS,
    ) -> Self | None:
        """Take the lease on a blob that exists; None when another run holds it.

        Raises:
            AzureError: storage failed.
        """
        before = clock()
        client = BlobLeaseClient(blob)
        try:
            client.acquire(lease_duration=LEASE_SECONDS)
        except HttpResponseError as error:
            if code_of(error) in _HELD:
                return None
            raise
        return cls(client, before, log=log, clock=clock, renew_every=renew_every)

    def check(self) -> None:
        """Make sure that the lease is still ours.

        Raises:
            LeaseLost: it is not, or may not be.
        """
        if self._clock() - self._renewed > LEASE_SECONDS - _SAFETY_SECONDS:
            # For good: what a late renewal might bring back, others may have used meanwhile.
            self._lost.set()
        if self._lost.is_set():
            raise LeaseLost(
                "another run took over, or storage could not be reached to keep it away. Nothing "
                "more is written; the next firing resumes the run"
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
            self.client.release(**_WITHIN)
        except (AzureError, ValueError, PhotoSyncError):
            self._log.add(
                logging.INFO,
                "the lease of the run could not be released. It ends by itself within a minute",
            )

    def _keep(self) -> None:
        pause = self._renew_every
        while not (self._end.wait(pause) or self._lost.is_set()):
            began = time.monotonic()
            # In a thread of its own: time-outs do not end everything that may hang in a request,
            # such as a name server or an answer that trickles.
            renewal = threading.Thread(target=self._renew, name="photo-sync-renewal", daemon=True)
            renewal.start()
            renewal.join(RENEW_WITHIN_SECONDS)
            pause = max(0.0, self._renew_every - (time.monotonic() - began))

    def _renew(self) -> None:
        # Before the request: storage counts from some moment after this one.
        before = self._clock()
        try:
            self.client.renew(retry_total=0, **_WITHIN)
        except HttpResponseError as error:
            if code_of(error).startswith("Lease") or error.status_code == 404:  # noqa: PLR2004
                self._lost.set()
                return
            self._say(code_of(error) or f"status {error.status_code}")
        except (AzureError, PhotoSyncError) as error:
            # A token that is not to be had, too, may be there ten seconds later.
            self._say(type(error).__name__)
        else:
            # An answer that was long on its way takes nothing back.
            self._renewed = max(self._renewed, before)

    def _say(self, why: str) -> None:
        self._log.add(
            logging.WARNING,
            f"the lease of the run could not be renewed ({why}). The app tries again in "
            f"{self._renew_every:.0f} seconds; after {LEASE_SECONDS} seconds without success the "
            "firing ends, and the next one resumes the run",
        )
