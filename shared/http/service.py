"""How Graph and SharePoint are asked: the only way to send to them.

One `Service` for each of the two: its session, its rate limit, its retries. What is retried, and
how long, is decided here and nowhere else:

* 429, and any failing response with `Retry-After`, pause the whole service for as long as it asks,
  or only the one user that the request is about (`shared.http.throttling`). Throttled requests are
  sent `THROTTLES` times, once where a request allows one attempt only.
* 5xx, time-outs, broken connections and cut JSON are tried `ATTEMPTS` times with growing pauses.
  All our writes may be repeated without harm, so they are retried like reads.
* A kept connection that gives no byte costs one quick retry on a new one.
* 401 asks once for a fresh token.
* Redirects are refused: a bearer token must not follow them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit

from shared.clock import Clock
from shared.errors import (
    DeadlineExceeded,
    Evidence,
    MalformedResponse,
    PatienceExceeded,
    Throttled,
    Unavailable,
)
from shared.http.quota import UNITS_PER_REQUEST
from shared.http.rate_limit import NoFreeSlot, PauseTooLong, RateLimiter, Slot
from shared.http.request import ATTEMPTS, Budget, Request
from shared.http.response import (
    TOO_MANY,
    UNAUTHORIZED,
    Response,
    announced_reset,
    number,
    retry_after,
)
from shared.http.retry import RETRIED, THROTTLES, backoff, judged, pause_seconds
from shared.http.throttling import Throttling, kind_of
from shared.http.transport import Transport


class Tokens(Protocol):
    """Where bearer tokens come from (`shared.http.ManagedIdentity`)."""

    def token(self, resource: str, deadline: float = ...) -> str:
        """A token for this origin, before this moment in monotonic seconds."""
        ...

    def forget(self, resource: str, refused: str = ...) -> None:
        """Drop what is cached for this origin, if it is the token that was refused."""
        ...


@dataclass(frozen=True)
class _Pause:
    """What a throttled response asks for, in seconds; `own`: only for the subject."""

    seconds: float
    own: bool


@dataclass(frozen=True)
class _Attempt:
    """A response (status 0: none came), the token that was sent, and the pause it asks for."""

    response: Response
    token: str
    pause: _Pause | None = None


class Service:
    """One service: session, tokens, rate limit, retries. Shared by all threads of the process.

    Args:
        name: "graph" or "sharepoint".
        origins: decides whether an origin belongs to the service; a token goes nowhere else.
        tokens: where bearer tokens come from.
        concurrency: upper bound on requests in flight.
        user_agent: sent with every request.
        clock: where time comes from.
        limiter: of another `Service` for the same service; a new one when omitted.
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
        limiter: RateLimiter | None = None,
    ) -> None:
        self.name = name
        self.limiter = limiter or RateLimiter(concurrency, clock)
        self.clock = clock
        self._origins = origins
        self._tokens = tokens
        self._throttling = Throttling()
        self._transport = Transport(connections=concurrency, user_agent=user_agent, clock=clock)

    def send(self, budget: Budget, request: Request) -> Response:
        """Send until there is a response worth having.

        Raises:
            Throttled: the service asks to wait beyond the deadline, or the user's own pause is
                longer than the patience for them.
            PatienceExceeded: the patience of the budget is spent.
            DeadlineExceeded: the deadline passed, or comes before the next attempt.
            Unavailable, MalformedResponse: still failing after the retries.
            NotFound, AccessDenied, RequestRejected: what the service says.
            TokenUnavailable: there is no token.
            ValueError: the URL leads outside the service; nothing was sent.
        """
        origin = self.pin(request.url)
        failures = throttles = 0
        fresh_token = False
        while True:
            attempt = self._attempt(budget, request, origin, failures, throttles)
            response = attempt.response
            if response.status == UNAUTHORIZED and not fresh_token:
                fresh_token = True
                self._tokens.forget(origin, attempt.token)
                continue
            self._refuse_long_pause(budget, attempt)
            if response.status == TOO_MANY:
                throttles += 1
                if throttles >= (1 if request.attempts == 1 else THROTTLES):
                    raise _throttled_for_ever(attempt)
            else:
                failures += 1
                try:
                    return judged(response, request)
                except (Unavailable, MalformedResponse):
                    if response.oversize or failures >= (request.attempts or ATTEMPTS):
                        raise
            if attempt.pause is None:
                self.wait(budget, response, backoff(failures))
            elif attempt.pause.own:  # the limiter keeps that of the whole service
                self.wait(budget, response, attempt.pause.seconds)

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
        """Evidence for something that was noticed without a response."""
        return Evidence(self.name, method, url.partition("?")[0])

    def pause(
        self, budget: Budget, response: Response, asked: float | None, times: int = 1
    ) -> None:
        """Pause the whole service because this response, or an item of it, was throttled.

        Args:
            budget: of the invocation.
            response: what said so.
            asked: seconds of `Retry-After`; None gives an exponential pause.
            times: how often this request was throttled so far, this time included.

        Raises:
            Throttled: the pause outlasts the deadline.
        """
        seconds = pause_seconds(response, asked, times)
        budget.meter.add(self.name, throttled=1)
        self.limiter.throttled(seconds, response.started_at)
        if self.clock.monotonic() + seconds >= budget.deadline:
            raise Throttled(response.evidence, seconds)

    def wait(self, budget: Budget, response: Response, seconds: float) -> None:
        """Wait before asking again what this response failed to give.

        Raises:
            DeadlineExceeded: the deadline comes first.
            PatienceExceeded: the patience does not last so long.
        """
        if self.clock.monotonic() + seconds >= budget.deadline:
            raise DeadlineExceeded(f"no time is left to try again: {response.evidence}")
        if budget.patience is not None:
            if seconds >= budget.patience.left:
                raise PatienceExceeded(response.evidence)
            budget.patience.spend(seconds)
        self.clock.sleep(seconds)

    def _refuse_long_pause(self, budget: Budget, attempt: _Attempt) -> None:
        """Do not wait for a pause that outlasts the deadline or, if it is own, the patience.

        Raises:
            Throttled: with the seconds of the pause.
        """
        pause = attempt.pause
        if pause is None:
            return
        left = budget.deadline - self.clock.monotonic()
        if pause.own and budget.patience is not None:
            left = min(left, budget.patience.left)
        if pause.seconds >= left:
            raise Throttled(attempt.response.evidence, pause.seconds, own=pause.own)

    def _attempt(
        self, budget: Budget, request: Request, origin: str, failures: int, throttles: int
    ) -> _Attempt:
        """Send once, and tell the limiter before anybody else gets this slot."""
        asked = self.evidence(request.method, request.url)
        with self._slot(budget, request, asked) as slot:
            response, token = self._exchange(budget, request, origin, asked)
            if response.stale:
                response, token = self._exchange(budget, request, origin, asked, fresh=True)
            response = replace(response, started_at=slot.started_at)
            self._note_announcement(response, slot)
            if response.ok:
                self._throttling.answered(
                    kind_of(request.method, request.url),
                    budget.subject_of(request),
                    self.clock.monotonic(),
                )
                self.limiter.succeeded()
                return _Attempt(response, token)
            seconds = retry_after(response.headers, self.clock)
            if response.status == TOO_MANY:
                times = throttles + 1
            elif response.status in RETRIED and seconds is not None:
                times = failures + 1
            else:
                return _Attempt(response, token)
            seconds = pause_seconds(response, seconds, times)
            own = not _quota_is_spent(response) and self._throttling.is_own(
                kind_of(request.method, request.url),
                budget.subject_of(request),
                self.clock.monotonic(),
                seconds,
            )
            pause = _Pause(seconds, own)
            budget.meter.add(self.name, throttled=1)
            if not pause.own:
                self.limiter.throttled(pause.seconds, slot.started_at)
            return _Attempt(response, token, pause)

    @contextmanager
    def _slot(self, budget: Budget, request: Request, asked: Evidence) -> Iterator[Slot]:
        try:
            with self.limiter.slot(budget.deadline, UNITS_PER_REQUEST * request.parts) as slot:
                yield slot
        except PauseTooLong as pause:
            raise Throttled(replace(asked, status=TOO_MANY), pause.seconds) from None
        except NoFreeSlot:
            raise DeadlineExceeded(
                f"the time was used up while {request.method} {asked.url} waited for its turn; "
                "other requests to the service took too long"
            ) from None

    def _exchange(
        self,
        budget: Budget,
        request: Request,
        origin: str,
        asked: Evidence,
        *,
        fresh: bool = False,
    ) -> tuple[Response, str]:
        # Only now: a pause may outlast a token.
        token = self._tokens.token(origin, budget.deadline)
        return self._exchange_with(token, budget, request, asked, fresh=fresh), token

    def _exchange_with(
        self, token: str, budget: Budget, request: Request, asked: Evidence, *, fresh: bool
    ) -> Response:
        now = self.clock.monotonic()
        if now >= budget.deadline:
            raise DeadlineExceeded(f"no time is left to send {request.method} {asked.url}")
        patience = budget.patience
        if patience is not None and not patience.left:
            raise PatienceExceeded(replace(asked, message="the time for this user is used up"))
        if request.write:
            budget.guard()
        budget.meter.add(self.name, requests=1, sent=len(request.body or b""))
        deadline = min(budget.deadline, now + patience.left) if patience else budget.deadline
        with patience.running() if patience else nullcontext():
            response = self._transport.exchange(request, asked, token, deadline, fresh=fresh)
        budget.meter.add(self.name, received=len(response.body))
        if not response.status and patience is not None and not patience.left:
            raise PatienceExceeded(response.evidence)
        return response

    def _note_announcement(self, response: Response, slot: Slot) -> None:
        """Space out the requests before SharePoint has to refuse them."""
        remaining = number(response.headers.get("RateLimit-Remaining"))
        reset = announced_reset(response.headers)
        if remaining is not None and reset:
            self.limiter.announced(slot, remaining, reset)


def _throttled_for_ever(attempt: _Attempt) -> Throttled | Unavailable:
    """The error of a request that stays throttled although every pause was kept."""
    pause = attempt.pause
    if pause is not None and pause.own:
        return Throttled(attempt.response.evidence, pause.seconds, own=True)
    return Unavailable(attempt.response.evidence)


def _quota_is_spent(response: Response) -> bool:
    """Whether the response says that the application's quota is why it was refused."""
    return number(response.headers.get("RateLimit-Remaining")) == 0
