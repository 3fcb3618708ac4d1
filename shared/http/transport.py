"""One request over HTTP, and nothing remembered: no redirect, no cookie, no other credentials."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter

from shared.clock import Clock
from shared.errors import Evidence
from shared.http.response import Response, evidence_of

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
"""Longest silence of a service in the middle of an answer."""

ANSWER_LIMIT_BYTES = 64 * 1024 * 1024

_CHUNK_BYTES = 65536


@dataclass(frozen=True)
class Request:
    """One request, complete but for the token.

    Attributes:
        method: HTTP method.
        url: absolute, completely encoded.
        headers: beside User-Agent and Authorization.
        body: sent as it is.
        write: it changes something: the guard is asked before every attempt.
        accept: statuses beside 2xx that are returned instead of raised.
        want_json: a 2xx whose body is no JSON counts as a failed attempt.
        limit: most bytes read of the body; more gives an `oversize` answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    write: bool = False
    accept: Collection[int] = ()
    want_json: bool = True
    limit: int = ANSWER_LIMIT_BYTES


class Transport:
    """Kept connections to one service; thread-safe.

    Args:
        connections: most of them to one host.
        user_agent: sent with every request.
        clock: where time comes from.
    """

    def __init__(self, *, connections: int, user_agent: str, clock: Clock) -> None:
        self._clock = clock
        self._session = _Session()
        self._session.headers["User-Agent"] = user_agent
        adapter = HTTPAdapter(pool_connections=8, pool_maxsize=connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def exchange(self, call: Request, asked: Evidence, token: str, deadline: float) -> Response:
        """Send once; a status of 0 means that no complete answer came.

        Args:
            call: what to send.
            asked: the same, for errors.
            token: bearer token.
            deadline: monotonic seconds, in the future; after it the answer is given up.
        """
        left = max(0.001, deadline - self._clock.monotonic())
        try:
            with self._session.request(
                call.method,
                call.url,
                headers=dict(call.headers),
                data=call.body,
                auth=_Bearer(token),
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                data = b"".join(self._read(response, call.limit, deadline))
                status, headers = response.status_code, response.headers
        except requests.RequestException as error:
            # The library's text may quote the URL with its query, so only the kind is kept.
            return Response(0, {}, b"", replace(asked, message=type(error).__name__))
        if len(data) > call.limit:
            evidence = replace(asked, status=status, message="answer too large")
            return Response(status, headers, b"", evidence, oversize=True)
        return Response(status, headers, data, evidence_of(asked, status, headers, data))

    def _read(self, response: requests.Response, limit: int, deadline: float) -> Iterator[bytes]:
        size = 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            yield chunk
            if size > limit:
                return
            if self._clock.monotonic() >= deadline:
                raise requests.Timeout


class _Session(requests.Session):
    """A session that takes nothing from an answer into the next request."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Nowhere: requests looks for the next URL even when told not to follow it."""
        return None


class _Bearer(requests.auth.AuthBase):
    """Sets the token; as `auth`, so that no .netrc entry can take its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
