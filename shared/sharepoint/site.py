"""One tenant's SharePoint hosts: how they are asked and written to."""

from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import quote

from shared.errors import AccessDenied, RequestRejected
from shared.http.response import Response
from shared.http.service import Budget, Service
from shared.http.transport import Request
from shared.sharepoint.locations import is_trusted_host

JSON = "application/json;odata=nometadata"

DIGEST_WANTED = ("-2130575251", "-2130575252")
"""Codes of a missing and of an expired form digest, with HTTP 403 or in a query's ErrorInfo."""


def owns(origin: str, *, mysite: str, admin: str) -> bool:
    """Whether an origin is SharePoint of this tenant, in any of its geos."""
    return (
        origin == admin
        or is_trusted_host(origin, mysite)
        or is_trusted_host(origin.replace("-admin.", "-my.", 1), mysite)
    )


def literal(value: str) -> str:
    """A value inside an OData string literal of a URL path: quotes doubled, then encoded."""
    return quote(value.replace("'", "''"), safe="/")


def _no_more(answer: Response) -> None:
    """HTTP has said it all."""


class Site:
    """Sends to SharePoint for one invocation; thread-safe.

    Args:
        service: the process's SharePoint service.
        budget: time, guard and meter of the invocation.
    """

    def __init__(self, service: Service, budget: Budget) -> None:
        self.service = service
        self.budget = budget
        self._digests: dict[str, str] = {}

    def get(self, url: str, *, accept: Collection[int] = (), want_json: bool = True) -> Response:
        """Read. Raises what `Service.send` raises."""
        call = Request("GET", url, headers={"Accept": JSON}, accept=accept, want_json=want_json)
        return self.service.send(self.budget, call)

    def post(
        self,
        url: str,
        body: bytes,
        content_type: str,
        *,
        accept: Collection[int] = (),
        want_json: bool = True,
        write: bool = True,
        judge: Callable[[Response], None] = _no_more,
    ) -> Response:
        """Send; with a form digest once SharePoint has asked for one.

        SharePoint's documentation says both that OAuth needs none and that it does. A digest is
        good for half an hour or so; then SharePoint asks again.

        Args:
            url: on one of the tenant's hosts.
            body: sent as it is.
            content_type: of the body.
            accept: statuses that are returned instead of raised.
            want_json: the answer must be JSON.
            write: it changes something.
            judge: raises when an answer that looks like a success is none.

        Raises:
            ServiceError, Throttled, DeadlineExceeded: what `Service.send` raises.
        """
        origin = self.service.pin(url)
        headers = {"Accept": JSON, "Content-Type": content_type}
        call = Request(
            "POST", url, body=body, write=write, accept=accept, want_json=want_json, headers=headers
        )
        renewed = False
        while True:
            try:
                answer = self.service.send(self.budget, self._signed(call, origin))
                judge(answer)
                return answer
            except (AccessDenied, RequestRejected) as refused:
                if renewed or not refused.evidence.code.startswith(DIGEST_WANTED):
                    raise
            renewed = True
            self._digests[origin] = self._new_digest(origin)

    def _signed(self, call: Request, origin: str) -> Request:
        digest = self._digests.get(origin)
        return (
            replace(call, headers={**call.headers, "X-RequestDigest": digest}) if digest else call
        )

    def _new_digest(self, origin: str) -> str:
        url = f"{origin}/_api/contextinfo"
        answer = self.service.send(
            self.budget, Request("POST", url, headers={"Accept": JSON}, body=b"")
        )
        value = answer.value.get("FormDigestValue") if isinstance(answer.value, dict) else None
        # It becomes a header, so nothing in it may end one.
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise answer.malformed("no form digest")
        return value
