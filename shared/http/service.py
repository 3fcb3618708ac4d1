"""How Graph and SharePoint are asked: the only way to send to them.

One `Service` for each of the two: its session, its pace, its retries. What is retried, and how
long, is decided here and nowhere else:

* 429, and any answer with `Retry-After` that may pass, pause the whole service for as long as it
  asks. Throttled requests are sent `THROTTLES` times.
* 5xx, time-outs, broken connections and cut JSON are tried `ATTEMPTS` times with growing pauses.
  All our writes may be repeated without harm, so they are retried like reads.
* 401 asks once for a fresh token.
* Redirects are refused: a bearer token must not follow them.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Protocol
from urllib.parse import urlsplit

from shared.clock import Clock
from shared.errors import DeadlineExceeded, Evidence, MalformedResponse, Throttled, Unavailable
from shared.http.rate_limit import PauseTooLong, RateLimiter
from shared.http.response import TOO_MANY, UNAUTHORIZED, Response, number, retry_after
from shared.http.transport import Request, Transport

ATTEMPTS = 4
"""How often a request is sent that fails for the service's reasons."""

THROTTLES = 8
"""How often a request is sent that is throttled each time, although every wait was kept: minutes.
Beyond that it fails, so that one mailbox that is always throttled cannot hold up everybody."""

LONGEST_BACKOFF_SECONDS = 60.0

RETRIED = frozenset({408, 500, 502, 503, 504, 509})
"""Statuses that may pass by themselves. Source: Microsoft Graph docs, "Error responses"."""

_NEARLY_SPENT = 0.05
"""Share of SharePoint's quota at which we pause, before it has to answer 429."""


class Tokens(Protocol):
    """Where bearer tokens come from (`shared.http.managed_identity.ManagedIdentity`)."""

    def token(self, resource: str) -> str:
        """A token for this origin."""
        ...

    def forget(self, resource: str) -> None:
        """Drop what is cached for this origin."""
        ...


@dataclass
class Meter:
    """What was sent and received, for the report; thread-safe by `add`."""

    requests: dict[str, int] = field(default_factory=lambda: {"graph": 0, "sharepoint": 0})
    throttled: int = 0
    received: int = 0
    sent: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(
        self,
        service: str,
        *,
        requests: int = 0,
        throttled: int = 0,
        received: int = 0,
        sent: int = 0,
    ) -> None:
        """Count."""
        with self._lock:
            self.requests[service] = self.requests.get(service, 0) + requests
            self.throttled += throttled
            self.received += received
            self.sent += sent


def _always() -> None:
    """Allow every write."""


@dataclass(frozen=True)
class Budget:
    """What one invocation may spend.

    Attributes:
        deadline: monotonic seconds after which nothing is sent any more.
        guard: called before every write; raises when it must not happen (lease lost).
        meter: where requests are counted.
    """

    deadline: float
    guard: Callable[[], None] = _always
    meter: Meter = field(default_factory=Meter)


class Service:
    """One service: session, tokens, pace, retries. Shared by all threads of the process.

    Args:
        name: "graph" or "sharepoint".
        origins: decides whether an origin belongs to the service; a token goes nowhere else.
        tokens: where bearer tokens come from.
        concurrency: upper bound on requests in flight.
        user_agent: sent with every request.
        clock: where time comes from.
    """

    def __init__(
        self,
        name: str,
        *,
        origins: Callable[[str], bool],
        tokens: Tokens,
        concurrency: int,
        user_agent: str,
        clock: Clock = time,
    ) -> None:
        self.name = name
        self.pace = RateLimiter(concurrency, clock)
        self.clock = clock
        self._origins = origins
        self._tokens = tokens
        self._wire = Transport(connections=concurrency, user_agent=user_agent, clock=clock)

    def send(self, budget: Budget, call: Request) -> Response:
        """Send until there is an answer worth having.

        Raises:
            Throttled: the service asks to wait beyond the deadline.
            DeadlineExceeded: the deadline passed, or comes before the next attempt.
            Unavailable, MalformedResponse: still failing after the retries.
            NotFound, AccessDenied, RequestRejected: what the service says.
            ValueError: the URL leads outside the service; nothing was sent.
        """
        origin = self.pin(call.url)
        attempts = throttles = 0
        fresh_token = False
        while True:
            answer = self._attempt(budget, call, origin)
            if answer.status == UNAUTHORIZED and not fresh_token:
                fresh_token = True
                self._tokens.forget(origin)
                continue
            asked = retry_after(answer.headers, self.clock)
            if answer.status == TOO_MANY:
                throttles += 1
                self.hold(budget, answer, asked, throttles)
                if throttles >= THROTTLES:
                    raise Unavailable(answer.evidence)
                continue
            attempts += 1
            try:
                return _judged(answer, call)
            except (Unavailable, MalformedResponse):
                if asked is not None:
                    self.hold(budget, answer, asked, attempts)
                if attempts >= ATTEMPTS:
                    raise
            if asked is None:
                self.wait(budget, answer, backoff(attempts))

    def pin(self, url: str) -> str:
        """The origin of `url`, when it belongs to this service.

        Raises:
            ValueError: it does not, it carries credentials, or it is no completely encoded URL.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        encoded = url.isascii() and url.isprintable()
        if not encoded or "@" in parts.netloc or not self._origins(origin):
            raise ValueError(f"{self.name}: refusing to send a token to {origin!r}")
        return origin

    def evidence(self, method: str, url: str) -> Evidence:
        """Evidence for something that was noticed without an answer."""
        return Evidence(self.name, method, url.partition("?")[0])

    def hold(self, budget: Budget, answer: Response, asked: float | None, times: int) -> None:
        """Hold the whole service because this answer, or an item of it, was throttled.

        Args:
            budget: of the invocation.
            answer: what said so.
            asked: seconds of `Retry-After`; None gives an exponential pause.
            times: how often this request was throttled so far, this time included.

        Raises:
            Throttled: the pause outlasts the deadline.
        """
        wait = backoff(times) if asked is None else asked
        if times > 1:
            # A service that keeps saying "now" must not be hammered.
            wait = max(wait, backoff(times - 1))
        wait = max(wait, number(answer.headers.get("RateLimit-Reset")) or 0.0)
        budget.meter.add(self.name, throttled=1)
        self.pace.throttled(wait)
        if self.clock.monotonic() + wait >= budget.deadline:
            raise Throttled(answer.evidence, wait)

    def wait(self, budget: Budget, answer: Response, seconds: float) -> None:
        """Wait before asking again what this answer failed to give.

        Raises:
            DeadlineExceeded: the deadline comes first.
        """
        if self.clock.monotonic() + seconds >= budget.deadline:
            raise DeadlineExceeded(f"no time to try again: {answer.evidence}")
        self.clock.sleep(seconds)

    def _attempt(self, budget: Budget, call: Request, origin: str) -> Response:
        """Send once; a status of 0 means that no answer came."""
        asked = self.evidence(call.method, call.url)
        try:
            with self.pace.turn(budget.deadline):
                # Only now: a pause may outlast a token.
                token = self._tokens.token(origin)
                left = budget.deadline - self.clock.monotonic()
                if left <= 0:
                    raise DeadlineExceeded(f"no time left for {call.method} {asked.url}")
                if call.write:
                    budget.guard()
                budget.meter.add(self.name, requests=1, sent=len(call.body or b""))
                answer = self._wire.exchange(call, asked, token, budget.deadline)
        except PauseTooLong as pause:
            raise Throttled(replace(asked, status=TOO_MANY), pause.seconds) from None
        budget.meter.add(self.name, received=len(answer.body))
        if answer.ok:
            self.pace.succeeded()
            self._heed_rate_limit(answer)
        return answer

    def _heed_rate_limit(self, answer: Response) -> None:
        """Pause before SharePoint has to refuse: it announces what is left from 80 % on.

        Source: SharePoint documentation, "Avoid getting throttled or blocked", RateLimit headers.
        """
        left = number(answer.headers.get("RateLimit-Remaining"))
        reset = number(answer.headers.get("RateLimit-Reset"))
        limit = number(answer.headers.get("RateLimit-Limit"))
        if left is not None and reset and limit and left < limit * _NEARLY_SPENT:
            self.pace.pause(reset)


def _judged(answer: Response, call: Request) -> Response:
    if not answer.status or answer.status in RETRIED:
        raise Unavailable(answer.evidence)
    answer = answer.judged(call.accept)
    return answer.parsed() if call.want_json and answer.ok else answer


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: about 1, 2, 4, 8 …, with jitter, so that workers part."""
    base = min(LONGEST_BACKOFF_SECONDS, 2.0 ** (min(attempt, 10) - 1))
    return base * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret
