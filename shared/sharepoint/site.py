"""One tenant's SharePoint hosts: how requests are sent to them."""

from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import quote

from shared.errors import AccessDenied, HostUnavailable, RequestRejected, TokenUnavailable
from shared.http import Budget, Patience, Request, Response, Service
from shared.sharepoint.error_codes import is_final, lasting_error, wants_digest

JSON = "application/json;odata=nometadata"


def literal(value: str) -> str:
    """A value inside an OData string literal of a URL path: quotes doubled, then encoded."""
    return quote(value.replace("'", "''"), safe="/")


def _any_host(origin: str) -> bool:  # noqa: ARG001
    """Take every host for one of the central geo."""
    return True


def _accept(response: Response) -> None:
    """Take every successful HTTP status for success."""


class Site:
    """Sends to SharePoint for one invocation; thread-safe.

    Args:
        service: the process's SharePoint service.
        budget: time, guard and meter of the invocation.
        is_central: whether an origin belongs to the central geo, without which nothing works;
            trouble with the token of any other host is that host's alone.
    """

    def __init__(
        self,
        service: Service,
        budget: Budget,
        is_central: Callable[[str], bool] = _any_host,
    ) -> None:
        self.service = service
        self.budget = budget
        self._is_central = is_central
        self._digests: dict[str, str] = {}

    def get(
        self,
        url: str,
        *,
        accept: Collection[int] = (),
        want_json: bool = True,
        attempts: int | None = None,
        subject: str = "",
        patience: Patience | None = None,
    ) -> Response:
        """Read.

        Args:
            url: on one of the tenant's hosts.
            accept: statuses that are returned instead of raised.
            want_json: the response must be JSON.
            attempts: how often it is sent when it fails; None as usual.
            subject: object id of the one user whom the request is about.
            patience: how long that user may take.

        Raises:
            ProfileMissing, PropertyNotEditable: by SharePoint's error code.
            HostUnavailable: there is no token for the host of a satellite geo.
            ServiceError, Throttled, DeadlineExceeded: what `Service.send` raises.
        """
        request = Request(
            "GET",
            url,
            headers={"Accept": JSON},
            accept=accept,
            want_json=want_json,
            attempts=attempts,
            subject=subject,
            final=is_final,
        )
        return self._send(request, patience)

    def post(
        self,
        url: str,
        body: bytes,
        content_type: str,
        *,
        accept: Collection[int] = (),
        want_json: bool = True,
        write: bool = True,
        parts: int = 1,
        attempts: int | None = None,
        subject: str = "",
        patience: Patience | None = None,
        check: Callable[[Response], None] = _accept,
    ) -> Response:
        """Send; with a form digest once SharePoint has asked for one.

        SharePoint's documentation says both that OAuth needs none and that it does. A digest is
        good for half an hour or so; then SharePoint asks again.

        Args:
            url: on one of the tenant's hosts.
            body: sent as it is.
            content_type: of the body.
            accept: statuses that are returned instead of raised.
            want_json: the response must be JSON.
            write: it changes something.
            parts: how many requests SharePoint counts it as.
            attempts: how often it is sent when it fails; None as usual.
            subject: object id of the one user whom the request is about.
            patience: how long that user may take.
            check: raises when a response that looks like a success is none.

        Raises:
            ProfileMissing, PropertyNotEditable: by SharePoint's error code.
            HostUnavailable: there is no token for the host of a satellite geo.
            ServiceError, Throttled, DeadlineExceeded: what `Service.send` raises.
        """
        origin = self.service.pin(url)
        request = Request(
            "POST",
            url,
            headers={"Accept": JSON, "Content-Type": content_type},
            body=body,
            write=write,
            accept=accept,
            want_json=want_json,
            parts=parts,
            attempts=attempts,
            subject=subject,
            final=is_final,
        )
        renewed = False
        while True:
            try:
                response = self._send(self._signed(request, origin), patience)
                check(response)
                return response
            except (AccessDenied, RequestRejected) as refused:
                if renewed or not wants_digest(refused.evidence):
                    raise
            renewed = True
            self._digests[origin] = self._new_digest(origin, patience)

    def _send(self, request: Request, patience: Patience | None) -> Response:
        try:
            response = self.service.send(self.budget.with_patience(patience), request)
        except TokenUnavailable as missing:
            raise self._no_token(request, missing) from None
        if not response.ok and response.status not in request.accept:
            raise lasting_error(response.evidence) or RequestRejected(response.evidence)
        return response

    def _no_token(
        self, request: Request, missing: TokenUnavailable
    ) -> TokenUnavailable | HostUnavailable:
        origin = self.service.pin(request.url)
        if self._is_central(origin):
            return missing
        evidence = self.service.evidence(request.method, request.url)
        return HostUnavailable(
            replace(evidence, message=str(missing)),
            origin,
            "gets no token",
            "Check that this host belongs to the tenant and that SHAREPOINT_SATELLITES is right",
        )

    def _signed(self, request: Request, origin: str) -> Request:
        digest = self._digests.get(origin)
        if not digest:
            return request
        return replace(request, headers={**request.headers, "X-RequestDigest": digest})

    def _new_digest(self, origin: str, patience: Patience | None) -> str:
        url = f"{origin}/_api/contextinfo"
        response = self._send(Request("POST", url, headers={"Accept": JSON}, body=b""), patience)
        value = response.value.get("FormDigestValue") if isinstance(response.value, dict) else None
        # It becomes a header, so nothing in it may end one.
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise response.malformed("no form digest")
        return value
