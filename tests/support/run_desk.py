"""The accounts of a run, and small stand-ins for everything around its passes."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from shared.checkpoint import Record, Run, iso
from shared.config import Settings, load
from shared.errors import DeadlineExceeded, PhotoSyncError
from shared.http import Meter
from shared.model import Outcome, User
from shared.sync.circuit_breaker import Canary
from shared.sync.health import Health
from shared.sync.plan import Policy
from shared.sync.progress import Progress
from tests.support.memory_executors import Inline
from tests.support.memory_storage import MemoryRunBlobs
from tests.support.people import HOST, NOW, RUN
from tests.support.ports import Ports

SETTINGS = {"SHAREPOINT_TENANT": "contoso", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}


def a_run(**changes: Any) -> Run:
    """A run whose listing is complete."""
    started = iso(NOW - 60)
    run = Run(
        RUN,
        "2.0.0",
        "timer",
        "sync",
        "scope",
        started,
        listed=100,
        previous_listed=100,
        confirmations=2,
    )
    return replace(run, **{"phase": "users", **changes})


class RunDesk(Ports):
    """A run with its accounts.

    Attributes:
        ends: how often the time may be asked for before it is up; None for always.
    """

    def __init__(
        self,
        *,
        run: dict[str, Any] | None = None,
        policy: dict[str, Any] | None = None,
        settings: dict[str, str] | None = None,
        probing: bool = False,
        healthy: bool | None = None,
    ) -> None:
        super().__init__()
        self.run = a_run(**(run or {}))
        self.blobs = MemoryRunBlobs(self.run, self.tape)
        self.meter = Meter()
        self.settings: Settings = load({**SETTINGS, **(settings or {})})
        self.progress = Progress(self.run, self.blobs, self.meter, self.clock)
        self.health = Health(self._canary, home=HOST, probing=probing)
        self.healthy = healthy
        self.asked_about: list[tuple[str, str]] = []
        self.changes = policy or {}
        self.pool = Inline()
        self.ends: int | None = None

    def policy(self) -> Policy:
        """The policy at this moment."""
        trusted = not self.run.source_fault
        policy = Policy(now=self.clock.time(), run=self.run.id, trust_missing=trusted)
        return replace(policy, **self.changes)

    def time_is_up(self) -> DeadlineExceeded | None:
        """Whether the firing has to end."""
        self.tape.append(("time", None))
        if self.ends is None:
            return None
        self.ends -= 1
        return DeadlineExceeded("the time budget is spent") if self.ends < 0 else None

    def require_time(self) -> None:
        """Raise when the firing has to end."""
        if error := self.time_is_up():
            raise error

    def counts(self) -> dict[str, int]:
        """Counted users, without the zeros."""
        return {outcome.value: number for outcome, number in self.run.counts.items() if number}

    def lines(self) -> dict[str, str]:
        """Users in the report, with their outcome."""
        return {line["id"]: line["outcome"] for line in self.blobs.lines}

    def _canary(self, work: str, host: str) -> Canary:
        def sing(_: PhotoSyncError, __: Collection[str]) -> bool | None:
            self.asked_about.append((work, host))
            return self.healthy

        return sing


def gone(one: User, kept: Record, *, runs: int = 2, run: str = RUN, **changes: Any) -> Record:
    """The record of a user whose photo was found gone by so many runs."""
    from shared.checkpoint import Missing

    noted = {"outcome": Outcome.REMOVAL_PENDING, "missing": Missing(runs, run), "run": run}
    return replace(kept, upn=one.upn, **{**noted, **changes})
