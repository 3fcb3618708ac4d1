"""What is tried again, how often, and after which pause."""

import random

from shared.errors import MalformedResponse, Unavailable
from shared.http.request import Request
from shared.http.response import Response, announced_reset

THROTTLES = 8
"""How often a request is sent that is throttled each time, although every wait was kept: minutes.
Beyond that it fails, so that one mailbox that is always throttled cannot hold up everybody."""

LONGEST_BACKOFF_SECONDS = 60.0

RETRIED = frozenset({408, 500, 502, 503, 504, 509})
"""Statuses that may pass by themselves. Source: Microsoft Graph docs, "Error responses"."""


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: about 1, 2, 4, 8 …, with jitter, so that workers part."""
    base = min(LONGEST_BACKOFF_SECONDS, 2.0 ** (min(attempt, 10) - 1))
    return base * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret


def pause_seconds(response: Response, asked: float | None, times: int) -> float:
    """Seconds that a throttled response asks for.

    Args:
        response: what said so.
        asked: seconds of `Retry-After`; None gives an exponential pause.
        times: how often this request was throttled so far, this time included.
    """
    seconds = backoff(times) if asked is None else asked
    if times > 1:
        # A service that keeps saying "now" must not be hammered.
        seconds = max(seconds, backoff(times - 1))
    return max(seconds, announced_reset(response.headers))


def judged(response: Response, request: Request) -> Response:
    """The response, if it is what the request asks for; JSON is parsed.

    Raises:
        Unavailable, MalformedResponse: it may be another one next time.
        NotFound, AccessDenied, RequestRejected: what the service says.
    """
    failed = bool(response.status) and not response.ok
    if failed and request.final is not None and request.final(response):
        return response
    if not response.status or response.status in RETRIED:
        raise Unavailable(response.evidence)
    response = response.judged(request.accept)
    if response.oversize and request.want_json and response.ok:
        raise MalformedResponse(response.evidence)
    return response.parsed() if request.want_json and response.ok else response
