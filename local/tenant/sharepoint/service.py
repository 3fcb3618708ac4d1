"""SharePoint Online of the emulated tenant: hosts, tokens, quotas, digest, routing.

Sources: Microsoft Learn, "Get to know the SharePoint REST service", "Complete basic operations
using SharePoint REST endpoints" (form digest), "Avoid getting throttled or blocked in SharePoint
Online"; [MS-CSOM]. Every host of a geo (My Site, tenant administration) is a site of its own.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from local.tenant.directory import Directory
from local.tenant.http import Clock, Request, Response
from local.tenant.identity.tokens import Refused, Tokens
from local.tenant.quirks import Quirks, Quotas
from local.tenant.sharepoint import csom, multipart
from local.tenant.sharepoint.answers import (
    charged,
    error_response,
    part_request,
    people_calls_of,
    refused,
)
from local.tenant.sharepoint.content import Estate
from local.tenant.sharepoint.digest import Digests
from local.tenant.sharepoint.files import Web
from local.tenant.sharepoint.odata import ServiceError, no_resource, parse
from local.tenant.sharepoint.odata_answers import Result, content_type, metadata_level, write
from local.tenant.sharepoint.people_manager import PEOPLE_MANAGER, PeopleManager
from local.tenant.sharepoint.quota import SharePointQuota, Verdict
from local.tenant.sharepoint.site import (
    GEO_OF_ORIGIN,
    MYSITE_OF_GEO,
    Caller,
    Order,
    Site,
    access_denied,
    method_not_allowed,
)
from local.tenant.sharepoint.texts import localized

OK: Final = 200
_REST: Final = re.compile(r"/_api/|/_vti_bin/client\.svc/", re.IGNORECASE)
_PROCESS_QUERY: Final = re.compile(r"/_vti_bin/client\.svc/ProcessQuery", re.IGNORECASE)
_BATCH: Final = re.compile(r"/_api/(?:\$|%24)batch", re.IGNORECASE)
_UPLOAD: Final = re.compile(r"/files/add", re.IGNORECASE)
_NO_CONTENT_LENGTH: Final = "HTTP Error 411. The request must be chunked or have a content length."


class SharePoint(Estate):
    """Answers every request to a SharePoint host.

    Args:
        directory: who exists; new people get a profile, renamed ones keep theirs.
        tokens: checks bearer tokens.
        clock: the tenant's.
        origins: URL of an origin, called when the first request comes in and later.
        quirks: switches, read at every request.
        quotas: limits, read at every request.

    Attributes:
        grants: what Sites.Selected was granted, by origin: "read", "write" or "fullcontrol".
    """

    def __init__(
        self,
        *,
        directory: Directory,
        tokens: Tokens,
        clock: Clock,
        origins: Callable[[str], str],
        quirks: Quirks,
        quotas: Quotas,
    ) -> None:
        self.grants: dict[str, str] = dict.fromkeys(MYSITE_OF_GEO.values(), "write")
        super().__init__(directory=directory, clock=clock, origins=origins, quirks=quirks)
        self._tokens = tokens
        self._quota = SharePointQuota(clock=clock, quotas=quotas)
        self._digests = Digests(clock)

    def handle(self, request: Request) -> Response:
        """Answer a request to a SharePoint host."""
        self.seed()
        level = metadata_level(request.headers.get("accept", ""))
        try:
            response = self._authorised(request, self._caller(request))
        except Refused as refusal:
            response = refused(refusal.status, refusal.why)
        except ServiceError as error:
            response = self._error(error, level)
        response.headers |= {
            "SPRequestGuid": str(uuid.uuid4()),
            "MicrosoftSharePointTeamServices": "16.0.0.26512",
            "X-SharePointHealthScore": "1",
        }
        return response

    def _error(self, error: ServiceError, level: str) -> Response:
        language = self._quirks.language
        return error_response(localized(error, language), level, language)

    def _caller(self, request: Request) -> Caller:
        origin = request.origin
        url = self._origins(origin)
        claims = self._tokens.check(request, [url])
        if not claims.roles:
            raise Refused(401, "The token has no application role for this service.")
        site = Site(origin, GEO_OF_ORIGIN[origin], url, self._libraries[origin])
        grant = self.grants.get(origin, "")
        return Caller(claims.app_id, claims.roles, grant, site, self._quirks)

    def _authorised(self, request: Request, caller: Caller) -> Response:
        path = request.path()
        lengths = {"content-length", "transfer-encoding"}
        if request.method == "POST" and not lengths & set(request.headers):
            return Response(411, _NO_CONTENT_LENGTH.encode(), {"Content-Type": "text/html"})
        if _PROCESS_QUERY.fullmatch(path):
            return self._process_query(request, caller)
        if _BATCH.fullmatch(path):
            return self._batch(request, caller)
        verdict = self._charge(caller, people_calls=people_calls_of(request.target))
        return charged(verdict, lambda: self._rest(request, caller))

    def _charge(self, caller: Caller, *, people_calls: int = 0) -> Verdict:
        return self._quota.charge(
            geo=caller.site.geo, app_id=caller.app_id, people_calls=people_calls
        )

    def _check_digest(self, request: Request, caller: Caller) -> None:
        if self._quirks.digest_required:
            value = request.headers.get("x-requestdigest", "")
            self._digests.check(value, caller.site.url, self._quirks.digest_expired_code)

    def _rest(self, request: Request, caller: Caller) -> Response:
        """One REST request, alone or out of a batch."""
        level = metadata_level(request.headers.get("accept", ""))
        try:
            result = self._dispatch(request, caller)
        except ServiceError as error:
            return self._error(error, level)
        if isinstance(result.value, bytes):
            return Response(OK, result.value, {"Content-Type": "application/octet-stream"})
        return Response(OK, write(result, level), {"Content-Type": content_type(level)})

    def _dispatch(self, request: Request, caller: Caller) -> Result:
        match = _REST.match(request.target)
        if match is None:
            raise ServiceError(404, "-1, System.Web.HttpException", "404 FILE NOT FOUND")
        call = parse(request.target[match.end() :])
        method = request.method
        if method == "POST":
            method = request.headers.get("x-http-method", method).upper()
        order = Order(call, method, request.body, dict(request.headers))
        if call.names == ("contextinfo",):
            order.need("POST")
            issued = self._digests.issue(caller.site.url)
            return Result(issued, "GetContextWebInformation", function=True)
        if method != "GET":
            self._check_digest(request, caller)
        match call.names[:1]:
            case (name,) if name == PEOPLE_MANAGER:
                return PeopleManager(self._profiles, caller).handle(order)
            case ("web",):
                return Web(caller).handle(order)
            case _:
                raise no_resource("/".join(call.names))

    def _process_query(self, request: Request, caller: Caller) -> Response:
        if not self._quirks.process_query_supported:
            raise access_denied()
        if request.method != "POST":
            raise method_not_allowed(request.method, "ProcessQuery")
        if not request.headers.get("content-type", "").lower().startswith("text/xml"):
            why = "Cannot process the message because the content type was not text/xml."
            return Response(415, why.encode(), {"Content-Type": "text/plain"})
        try:
            query: csom.Query | ServiceError = csom.parse(request.body)
        except ServiceError as error:
            query = error
        calls = 0 if isinstance(query, ServiceError) else query.people_calls
        if self._quirks.set_calls_counted == "query":
            calls = min(calls, 1)

        def answer() -> Response:
            self._check_digest(request, caller)
            try:
                if isinstance(query, ServiceError):
                    raise query
                body = csom.run(query, PeopleManager(self._profiles, caller))
            except ServiceError as error:
                body = [csom.header(localized(error, self._quirks.language))]
            text = json.dumps(body, ensure_ascii=False).encode()
            return Response(OK, text, {"Content-Type": "application/json; charset=utf-8"})

        return charged(self._charge(caller, people_calls=calls), answer)

    def _part(self, request: Request, caller: Caller) -> Response:
        """One part of a batch; uploads are not supported there and fail on the server."""
        if _UPLOAD.search(request.target):
            failure = ServiceError(500, "-1, System.IO.IOException", "I/O error occurred.")
            return self._error(failure, metadata_level(request.headers.get("accept", "")))
        return self._rest(request, caller)

    def _batch(self, request: Request, caller: Caller) -> Response:
        if not self._quirks.batch_supported:
            raise no_resource("$batch")
        if self._quirks.batch_fails:
            raise ServiceError(500, "-1, System.Exception", "Internal error.")
        if request.method != "POST":
            raise method_not_allowed(request.method, "$batch")
        self._check_digest(request, caller)
        inner = [
            part_request(request, part, caller.site)
            for part in multipart.parse(request.headers.get("content-type", ""), request.body)
        ]
        responses: list[Response] = []
        units = 0.0
        for part in inner:
            verdict = self._charge(caller, people_calls=people_calls_of(part.target))
            units += verdict.units
            response = charged(verdict, partial(self._part, part, caller))
            if verdict.retry_after and not responses:
                return replace(response, units=units)  # throttled as a whole
            responses.append(response)
        kind, body = multipart.compose(responses)
        return Response(OK, body, {"Content-Type": kind}, units)
