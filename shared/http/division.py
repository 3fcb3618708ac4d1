"""Finds the request that spoils a batch: a batch that fails as a whole is divided.

A batch fails as a whole because the service is down, or because of one of its requests. Which of
the two it is shows when parts of the batch are sent again.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import batched
from typing import NamedTuple

from shared.errors import HostUnavailable, ServiceError, Throttled


class Allowance(NamedTuple):
    """What one batch may cost.

    Attributes:
        attempts: how often it is sent when it fails; None as usual.
        seconds: how long its attempts may take together.
    """

    attempts: int | None
    seconds: float


WHOLE = Allowance(2, 20.0)
"""For the undivided batch: a failure that passes costs one retry."""

PART = Allowance(1, 10.0)
"""For a part of a batch that failed."""

ALONE = Allowance(None, 30.0)
"""For a single key that was never part of a batch."""

UNANSWERED_REQUESTS = 8
"""Failed requests without any response after which the service counts as down: four of them are
about one key each, so up to three poisoned keys are always told from an outage."""

type Send[K, V] = Callable[[Sequence[K], Allowance], Mapping[K, V]]
"""Sends one batch within an allowance and returns the result of each key."""


def divide[K, V](
    keys: Sequence[K], send: Send[K, V], *, largest: int | None = None
) -> dict[K, V | ServiceError]:
    """The result of each key, or the error of the smallest batch that still failed.

    While nothing at all was answered, single keys are asked in between, so that an outage costs
    only `UNANSWERED_REQUESTS` requests.

    Args:
        keys: what to ask for.
        send: sends one batch.
        largest: most keys of a batch; None for all at once.

    Raises:
        Throttled, DeadlineExceeded: there is no time to ask for all; not for a pause that one key
            was asked for alone, which is the error of that key.
        ConfigurationError, TokenUnavailable: nothing can be asked.
    """
    found: dict[K, V | ServiceError] = {}
    first = WHOLE if len(keys) > 1 else ALONE
    waiting: list[tuple[Sequence[K], Allowance]] = [
        (batch, first) for batch in batched(keys, largest or max(len(keys), 1), strict=False)
    ]
    waiting.reverse()
    answered = False
    failures = 0
    while waiting:
        batch, allowance = waiting.pop()
        try:
            found |= send(batch, allowance)
            answered = True
        except ServiceError as error:
            # The pause of a single key is its own: the others are not asked to keep it.
            if isinstance(error, Throttled) and not (error.own and len(batch) == 1):
                raise
            failures += 1
            if not answered and failures >= UNANSWERED_REQUESTS:
                rest = [key for some in (batch, *(some for some, _ in waiting)) for key in some]
                return found | dict.fromkeys(rest, error)
            if len(batch) == 1 or isinstance(error, HostUnavailable):
                found |= dict.fromkeys(batch, error)
            else:
                middle = len(batch) // 2 if answered else 1
                waiting += [(batch[middle:], PART), (batch[:middle], PART)]
    return found
