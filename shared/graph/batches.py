"""Sends JSON batches to Microsoft Graph and asks again for what failed in them.

A batch is one HTTP request, but each item of it is throttled and fails on its own. Items that were
throttled or failed are asked again without those that were answered; a batch that fails as a whole
is divided until the item that spoils it is alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.errors import Evidence, ServiceError, Throttled
from shared.graph.json_batch import PASSING, Item, ItemRequest, build, items
from shared.http import (
    THROTTLES,
    TOO_MANY,
    Allowance,
    Budget,
    Patience,
    Request,
    Response,
    Service,
    backoff,
    divide,
    retry_after,
)

ITEM_ATTEMPTS = 3
"""How often an item is asked that fails by itself while others are answered."""

OWN_WAIT_SECONDS = 30.0
"""How long a throttled item is waited for when most others were answered: then the pause was asked
for this one user, and the service is not paused for it."""


@dataclass
class _Round:
    """What one round of a batch has brought.

    Attributes:
        pending: items to ask again, by key.
        answered: how many items have their final response in this round.
        waits: seconds that the items of `pending` ask for.
    """

    pending: dict[str, Item]
    answered: int
    waits: dict[str, float]

    @property
    def throttled(self) -> bool:
        """Whether an item was throttled, or asks for a pause."""
        return bool(self.waits) or any(item.status == TOO_MANY for item in self.pending.values())

    @property
    def longest(self) -> float | None:
        """The longest pause that an item asks for; None when none says how long."""
        return max(self.waits.values(), default=None)


class Batches:
    """Sends many requests to Microsoft Graph in one.

    Args:
        service: the process's Graph service.
        root: with version, for example `https://graph.microsoft.com/v1.0`.
        budget: time, guard and meter of the invocation.
    """

    def __init__(self, service: Service, root: str, budget: Budget) -> None:
        self._service = service
        self._root = root
        self._budget = budget

    def evidence(self, request: ItemRequest) -> Evidence:
        """What an item asks, for errors."""
        method = "GET" if request.body is None else "POST"
        return self._service.evidence(method, f"{self._root}{request.url}")

    def send(self, requests: Mapping[str, ItemRequest]) -> dict[str, Item | ServiceError]:
        """The response to each request, or the error because of which there is none.

        Args:
            requests: at most `BATCH_SIZE`, by a key of the caller's.

        Returns:
            An entry for every key. An item whose status is in `PASSING` failed to the last. One
            that was throttled while most others were answered is `Throttled`, with `own` set.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """

        def send_some(keys: Sequence[str], allowance: Allowance) -> dict[str, Item]:
            response = self._send([requests[key] for key in keys], allowance)
            return dict(zip(keys, items(response, len(keys)), strict=True))

        responses: dict[str, Item | ServiceError] = {}
        pending = list(requests)
        tries, waited = 0, 0.0
        while True:
            found = divide(pending, send_some)
            responses |= found
            this = self._round(found)
            if not this.pending:
                return responses
            if this.answered:
                # Progress, however slow, is no failure.
                tries, waited = 0, 0.0
            tries += 1
            if len(requests) - len(this.pending) >= len(this.pending) or len(requests) == 1:
                wait = backoff(tries) if this.longest is None else this.longest
                waited += wait
                if this.throttled:
                    self._budget.meter.add(self._service.name, throttled=len(this.pending))
                if waited > OWN_WAIT_SECONDS or (tries >= ITEM_ATTEMPTS and not this.throttled):
                    return responses | self._own_errors(requests, this)
                self._service.wait(self._budget, self._evidence_of_pause(), wait)
            elif tries >= (THROTTLES if this.throttled else ITEM_ATTEMPTS):
                return responses
            elif this.throttled:
                self._service.pause(self._budget, self._evidence_of_pause(), this.longest, tries)
            else:
                self._service.wait(self._budget, self._evidence_of_pause(), backoff(tries))
            pending = list(this.pending)

    def _round(self, found: Mapping[str, Item | ServiceError]) -> _Round:
        heard = {key: item for key, item in found.items() if isinstance(item, Item)}
        pending = {key: item for key, item in heard.items() if item.status in PASSING}
        asked = {
            key: retry_after(item.headers, self._service.clock) for key, item in pending.items()
        }
        waits = {key: seconds for key, seconds in asked.items() if seconds is not None}
        return _Round(pending, len(heard) - len(pending), waits)

    def _own_errors(
        self, requests: Mapping[str, ItemRequest], this: _Round
    ) -> dict[str, ServiceError]:
        """Errors of items that asked for a pause of their own which is too long."""
        errors: dict[str, ServiceError] = {}
        for key, item in this.pending.items():
            if item.status == TOO_MANY or key in this.waits:
                evidence = item.evidence(self.evidence(requests[key]))
                errors[key] = Throttled(evidence, this.waits.get(key, OWN_WAIT_SECONDS), own=True)
        return errors

    def _send(self, requests: Sequence[ItemRequest], allowance: Allowance) -> Response:
        patience = Patience(allowance.seconds, self._service.clock)
        response = self._service.send(
            self._budget.with_patience(patience),
            Request(
                "POST",
                f"{self._root}/$batch",
                headers={"Content-Type": "application/json", "x-ms-throttle-priority": "low"},
                body=build(requests),
                # 424 with responses in it: older documentation says so when an item was throttled.
                accept={424},
                attempts=allowance.attempts,
                parts=len(requests),
            ),
        )
        return response if response.ok else response.parsed()

    def _evidence_of_pause(self) -> Response:
        evidence = self._service.evidence("POST", f"{self._root}/$batch")
        return Response(TOO_MANY, {}, b"", replace(evidence, status=TOO_MANY))
