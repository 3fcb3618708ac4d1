"""How often one person may call, kept in a blob per person because instances share no memory.

`portal/limits/<object id>.json`: `{"schema": 1, "calls": {"<bucket>": [<epoch seconds>, …]},
"requests": [["<request id>", <epoch seconds>], …]}`. Only the newest calls that a limit looks at
are kept, so the blob stays below a few kilobytes.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from shared.clock import Clock
from shared.portal.core import Store
from shared.problem import Problem

SCHEMA = 1
ATTEMPTS = 5
"""How often the blob is written when the same person's other calls change it meanwhile."""

REQUESTS_KEPT_SECONDS = 3600.0
MAX_REQUESTS = 100


@dataclass(frozen=True)
class Limit:
    """At most so many calls in so many seconds."""

    calls: int
    seconds: float


@dataclass(frozen=True)
class Bucket:
    """Calls that are counted together.

    Attributes:
        name: in the blob.
        limits: all must allow a call.
    """

    name: str
    limits: tuple[Limit, ...]


OWN_SYNC = Bucket("own-sync", (Limit(1, 60), Limit(10, 3600)))
OWN_VIEW = Bucket("own-view", (Limit(30, 60),))
HELP_DESK = Bucket("helpdesk", (Limit(30, 60),))
SEARCH = Bucket("search", (Limit(60, 60),))
OVERVIEW = Bucket("overview", (Limit(20, 60),))


@dataclass(frozen=True)
class Calls:
    """What is remembered of one person's calls.

    Attributes:
        calls: times by bucket, oldest first, in seconds since the epoch.
        requests: ids of writes that were begun, with their times.
    """

    calls: Mapping[str, Sequence[float]] = field(default_factory=dict)
    requests: Sequence[tuple[str, float]] = ()


class Repeated(Exception):
    """A write with this id was begun already."""


def wait_seconds(times: Sequence[float], bucket: Bucket, now: float) -> float:
    """How long until one more call is allowed; 0 for now. Times in the future do not count."""
    wait = 0.0
    for limit in bucket.limits:
        recent = sorted(time for time in times if now - limit.seconds < time <= now)
        if len(recent) >= limit.calls:
            wait = max(wait, recent[-limit.calls] + limit.seconds - now)
    return wait


def take(known: Calls, bucket: Bucket, now: float, request_id: str = "") -> Calls | float:
    """The calls with one more, or how many seconds to wait.

    Args:
        known: of this person.
        bucket: of the call.
        now: seconds since the epoch.
        request_id: of a write; "" for a read.

    Raises:
        Repeated: a write with this id was begun already.
    """
    requests = [(i, t) for i, t in known.requests if now - REQUESTS_KEPT_SECONDS < t <= now]
    if request_id and any(request_id == other for other, _ in requests):
        raise Repeated
    times = list(known.calls.get(bucket.name, ()))
    wait = wait_seconds(times, bucket, now)
    if wait > 0:
        return wait
    keep = max(limit.calls for limit in bucket.limits)
    times = [*(time for time in times if time <= now), now][-keep:]
    if request_id:
        requests.append((request_id, now))
    return Calls({**known.calls, bucket.name: times}, requests[-MAX_REQUESTS:])


def parse(content: bytes) -> Calls:
    """The calls in a blob.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        document = json.loads(content)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError("no such schema")
        calls = {str(n): [_time(t) for t in times] for n, times in document["calls"].items()}
        requests = [(str(i), _time(t)) for i, t in document["requests"]]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not the calls of a person") from error
    return Calls(calls, requests)


def dump(known: Calls) -> bytes:
    """The calls as a blob."""
    document = {
        "schema": SCHEMA,
        "calls": {name: list(times) for name, times in known.calls.items()},
        "requests": [list(entry) for entry in known.requests],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("no time")
    return float(value)


class RateLimit:
    """Counts calls of people.

    Args:
        store: where the blobs are.
        clock: where time comes from.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def spend(self, person_id: str, bucket: Bucket, request_id: str = "") -> None:
        """Count one call.

        Args:
            person_id: object ID of the caller.
            bucket: of the call.
            request_id: of a write.

        Raises:
            Problem: 429 with `Retry-After`, or 409 for a write that was begun already.
            PhotoSyncError: storage fails; then nothing may be done.
        """
        name = f"portal/limits/{person_id}.json"
        for _ in range(ATTEMPTS):
            found = self._store.read(name)
            try:
                known = parse(found[0]) if found else Calls()
            except ValueError:
                # Nobody but this program writes here. Start over instead of locking a person out.
                known = Calls()
            try:
                taken = take(known, bucket, self._clock.time(), request_id)
            except Repeated:
                raise Problem(
                    HTTPStatus.CONFLICT,
                    "already-requested",
                    "This request was received before and is not carried out a second time.",
                ) from None
            if isinstance(taken, float):
                raise _too_many(taken)
            if self._store.write(name, dump(taken), found[1] if found else None):
                return
        # So many calls at once are no person's.
        raise _too_many(1.0)


def _too_many(wait: float) -> Problem:
    seconds = max(1, math.ceil(wait))
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too-many-requests",
        f"You reached the limit of calls. Try again in {seconds} seconds.",
        more={"retryAfter": seconds},
        headers={"Retry-After": str(seconds)},
    )
