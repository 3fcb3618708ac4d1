"""One request over HTTP, within a limit of time and size."""

from dataclasses import replace

import requests
from urllib3.exceptions import HTTPError

from shared.clock import Clock
from shared.errors import Evidence
from shared.http.connecting import CONNECT_SECONDS
from shared.http.connections import mount, read_body
from shared.http.exchange import exchange, within
from shared.http.request import Request
from shared.http.response import Response, evidence_of
from shared.http.session import Session

READ_SECONDS = 30.0
"""Longest silence of a service in the middle of an exchange."""

ATTEMPT_SECONDS = 60.0
"""Longest exchange, from name resolution to the last byte."""


class Transport:
    """Kept connections to one service; thread-safe.

    Args:
        connections: most that are kept for one host.
        user_agent: sent with every request.
        clock: where time comes from.
    """

    def __init__(self, *, connections: int, user_agent: str, clock: Clock) -> None:
        self._clock = clock
        self._session = Session()
        self._session.headers["User-Agent"] = user_agent
        # What is not named here is not understood: unpacking must be bounded for each of them.
        self._session.headers["Accept-Encoding"] = "gzip, deflate"
        mount(self._session, connections)

    def exchange(
        self,
        request: Request,
        asked: Evidence,
        token: str,
        deadline: float,
        *,
        fresh: bool = False,
    ) -> Response:
        """Send once; a status of 0 means that no complete response came.

        Args:
            request: what to send.
            asked: the same, for errors.
            token: bearer token.
            deadline: monotonic seconds, in the future; the exchange ends with it, or after
                `ATTEMPT_SECONDS`, whatever the other side does.
            fresh: do not use a kept connection.
        """
        now = self._clock.monotonic()
        deadline = min(deadline, now + ATTEMPT_SECONDS)
        real = within(deadline - now)

        def left() -> float:
            # A clock that tests drive may stand still while a server trickles.
            return min(deadline - self._clock.monotonic(), real())

        with exchange(left, fresh=fresh) as running:
            try:
                return self._send(request, asked, token)
            except (requests.RequestException, HTTPError, OSError) as error:
                # The library's text may quote the URL with its query, so only the kind is kept.
                evidence = replace(asked, message=type(error).__name__)
                return Response(0, {}, b"", evidence, stale=running.stale)

    def _send(self, request: Request, asked: Evidence, token: str) -> Response:
        with self._session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body,
            auth=_Bearer(token),
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = read_body(answer, request.limit)
            status, headers = answer.status_code, answer.headers
        if len(body) > request.limit:
            evidence = replace(asked, status=status, message="response too large")
            return Response(status, headers, b"", evidence, oversize=True)
        return Response(status, headers, body, evidence_of(asked, status, headers, body))


class _Bearer(requests.auth.AuthBase):
    """Sets the token; as `auth`, so that no .netrc entry can take its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Authorization"] = f"Bearer {self._token}"
        return prepared
