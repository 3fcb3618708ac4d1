"""Finds the request that spoils a batch: a batch that fails as a whole is divided.

A batch fails as a whole because the service is down, or because of one of its requests. Which of
the two it is shows when parts of the batch are sent again.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import batched

from shared.errors import HostUnavailable, ServiceError, Throttled

FIRST_ATTEMPTS = 2
"""How often the undivided batch is sent: a failure that passes costs one retry."""

UNANSWERED_REQUESTS = 6
"""Failed requests without any answer after which the service counts as down: three of them are
about one user each."""

type Send[K, V] = Callable[[Sequence[K], int | None], Mapping[K, V]]
"""Sends one batch, at most so often (None as usual), and returns the result of each key."""


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
        Throttled, DeadlineExceeded: there is no time to ask for all.
        ConfigurationError, TokenUnavailable: nothing can be asked.
    """
    found: dict[K, V | ServiceError] = {}
    first = FIRST_ATTEMPTS if len(keys) > 1 else None
    waiting: list[tuple[Sequence[K], int | None]] = [
        (batch, first) for batch in batched(keys, largest or max(len(keys), 1), strict=False)
    ]
    waiting.reverse()
    answered = False
    failures = 0
    while waiting:
        batch, attempts = waiting.pop()
        try:
            found |= send(batch, attempts)
            answered = True
        except Throttled:
            raise
        except ServiceError as error:
            failures += 1
            if not answered and failures >= UNANSWERED_REQUESTS:
                rest = [key for some in (batch, *(some for some, _ in waiting)) for key in some]
                return found | dict.fromkeys(rest, error)
            if len(batch) == 1 or isinstance(error, HostUnavailable):
                found |= dict.fromkeys(batch, error)
            else:
                middle = len(batch) // 2 if answered else 1
                waiting += [(batch[middle:], 1), (batch[:middle], 1)]
    return found
