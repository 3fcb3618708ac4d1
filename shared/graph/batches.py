"""Sends JSON batches to Microsoft Graph and asks again for what failed in them.

A batch is one HTTP request, but each item of it is throttled and fails on its own. Items that were
throttled or failed are asked again without those that were answered; a batch that fails as a whole
is divided until the item that spoils it is alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.errors import Evidence, ServiceError, Throttled
from shared.graph.json_batch import PASSING, Item, ItemRequest, build, items
from shared.http import THROTTLES, Budget, Request, Service, backoff
from shared.http.division import divide
from shared.http.response import TOO_MANY, Response, retry_after

ITEM_ATTEMPTS = 3
"""How often an item is asked that fails by itself while others are answered."""

OWN_WAIT_SECONDS = 30.0
"""How long a throttled item is waited for while most others are answered: then the pause was asked
for this one user, and nobody else has to wait for it."""


@dataclass
class _Round:
    """What one round of a batch has brought.

    Attributes:
        pending: items to ask again, by key.
        answered: how many items have their final answer in this round.
        waits: seconds that the items of `pending` ask for.
    """

    pending: dict[str, Item]
    answered: int
    waits: dict[str, float]

    @property
    def alone(self) -> bool:
        """Whether most were answered, so that the trouble is that of the few."""
        return self.answered >= len(self.pending)

    @property
    def throttled(self) -> bool:
        """Whether an item was throttled."""
        return any(item.status == TOO_MANY for item in self.pending.values())


class Batches:
    """Asks Microsoft Graph many questions in one request.

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

    def ask(self, requests: Mapping[str, ItemRequest]) -> dict[str, Item | ServiceError]:
        """The answer to each request, or the error because of which there is none.

        Args:
            requests: at most `BATCH_SIZE`, by a key of the caller's.

        Returns:
            An entry for every key. An item whose status is in `PASSING` failed to the last.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """

        def send(keys: Sequence[str], attempts: int | None) -> dict[str, Item]:
            response = self._send([requests[key] for key in keys], attempts)
            return dict(zip(keys, items(response, len(keys)), strict=True))

        answers: dict[str, Item | ServiceError] = {}
        pending = list(requests)
        failures = throttles = 0
        waited = 0.0
        while True:
            found = divide(pending, send)
            answers |= found
            this = self._round(found)
            if not this.pending:
                return answers
            if this.alone:
                failures += 1
                wait = max(this.waits.values(), default=backoff(failures))
                if this.throttled or this.waits:
                    waited += wait
                    done = waited > OWN_WAIT_SECONDS
                else:
                    done = failures >= ITEM_ATTEMPTS
                if done:
                    return answers | self._own_errors(requests, this)
                self._service.wait(self._budget, self._evidence_of_pause(), wait)
            else:
                # Progress, however slow, is no failure.
                throttles = throttles + 1 if not this.answered else 0
                failures += not (this.throttled or this.waits)
                if throttles >= THROTTLES or failures >= ITEM_ATTEMPTS:
                    return answers
                self._pause(this, max(throttles, failures, 1))
            pending = list(this.pending)

    def _round(self, found: Mapping[str, Item | ServiceError]) -> _Round:
        heard = {key: item for key, item in found.items() if isinstance(item, Item)}
        pending = {key: item for key, item in heard.items() if item.status in PASSING}
        asked = {
            key: retry_after(item.headers, self._service.clock) for key, item in pending.items()
        }
        waits = {key: seconds for key, seconds in asked.items() if seconds is not None}
        return _Round(pending, len(heard) - len(pending), waits)

    def _pause(self, this: _Round, times: int) -> None:
        response = self._evidence_of_pause()
        if this.throttled or this.waits:
            wait = max(this.waits.values(), default=None)
            self._service.pause(self._budget, response, wait, times)
        else:
            self._service.wait(self._budget, response, backoff(times))

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

    def _send(self, requests: Sequence[ItemRequest], attempts: int | None) -> Response:
        response = self._service.send(
            self._budget,
            Request(
                "POST",
                f"{self._root}/$batch",
                headers={"Content-Type": "application/json", "x-ms-throttle-priority": "low"},
                body=build(requests),
                # 424 with answers in it: older documentation says so when an item was throttled.
                accept={424},
                attempts=attempts,
            ),
        )
        return response if response.ok else response.parsed()

    def _evidence_of_pause(self) -> Response:
        evidence = self._service.evidence("POST", f"{self._root}/$batch")
        return Response(TOO_MANY, {}, b"", replace(evidence, status=TOO_MANY))
