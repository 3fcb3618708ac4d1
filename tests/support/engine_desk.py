"""An engine, and small stand-ins for everything around it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from shared.errors import (
    PhotoSyncError,
    Unavailable,
)
from shared.log import InvocationLog
from shared.model import Outcome, User
from shared.sync.circuit_breaker import Canary
from shared.sync.engine import Engine
from shared.sync.health import Health
from shared.sync.plan import Policy
from shared.sync.user_sync import Result
from tests.support.memory_executors import Held, Inline
from tests.support.people import HOST, RUN, failure_of, ids, users
from tests.support.ports import Ports

ANN, BEN, CAM = users(3)
REJECTED = Unavailable(failure_of("sharepoint"))


class Desk(Ports):
    """An engine and everything around it."""

    def __init__(
        self,
        *,
        writers: Inline | Held | None = None,
        probing: bool = False,
        healthy: bool | None = None,
        policy: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.results: dict[str, Result] = {}
        self.looks = True
        self.asked_about: list[tuple[str, str]] = []
        self.health = Health(self._canary, home=HOST, probing=probing)
        self._healthy = healthy
        self.log = InvocationLog()
        self.engine = Engine(
            graph=self.graph,
            sharepoint=self.sharepoint,
            checkpoint=self.checkpoint,
            policy=replace(Policy(now=0, run=RUN), **(policy or {})),
            clock=self.clock,
            sizes=(48, 72, 240),
            readers=Inline(),
            windows=Inline(),
            writers=writers or Inline(),
            health=self.health,
            log=self.log,
            looks=lambda: self.looks,
            account=self._account,
        )

    def _canary(self, work: str, host: str) -> Canary:
        def sing(_: PhotoSyncError, __: Collection[str]) -> bool | None:
            self.asked_about.append((work, host))
            return self._healthy

        return sing

    def _account(self, results: Sequence[Result]) -> None:
        for result in results:
            assert result.user.id not in self.results, "counted twice"
            self.results[result.user.id] = result
        if results:
            self.tape.append(("count", ids(result.user for result in results)))

    def compare(self, *people: User) -> None:
        """Compare users whose shards are loaded before."""
        self.engine.load(sorted({one.id[:2] for one in people}))
        self.engine.compare(people, self.engine.ask_ahead(people))

    def finish(self, *people: User) -> None:
        """Compare users, and finish them."""
        self.compare(*people)
        self.engine.drain()

    def outcomes(self) -> dict[str, str]:
        """How users ended, by their name."""
        return {result.user.id: result.outcome.value for result in self.results.values()}

    def of(self, one: User) -> Result:
        """How a user ended."""
        return self.results[one.id]


def outcome(desk: Desk, one: User) -> Outcome | None:
    """How a user ended; None while they have not."""
    return desk.results[one.id].outcome if one.id in desk.results else None
