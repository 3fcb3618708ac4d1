"""SharePoint Online of the emulated tenant: hosts, tokens, quotas, digest, routing.

Sources: Microsoft Learn, "Get to know the SharePoint REST service", "Complete basic operations
using SharePoint REST endpoints" (form digest), "Avoid getting throttled or blocked in SharePoint
Online"; [MS-CSOM]. Every host of a geo (My Site, tenant administration) is a site of its own.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from local.tenant import csom, multipart
from local.tenant.digest import Digests
from local.tenant.identity import Refused, Tokens
from local.tenant.library import LIBRARY, Library
from local.tenant.odata import (
    BadAddress,
    Result,
    ServiceError,
    content_type,
    invalid,
    metadata_level,
    no_resource,
    parse,
    write,
    write_error,
)
from local.tenant.people import Directory, Person
from local.tenant.profiles import PICTURE_URL, PLACEHOLDER_STATE, Profiles, geo_of
from local.tenant.quirks import Quirks, Quotas
from local.tenant.seeding import seed
from local.tenant.sharepoint_files import Web
from local.tenant.sharepoint_people import PEOPLE_MANAGER, PeopleManager
from local.tenant.sharepoint_quota import SharePointQuota, Verdict
from local.tenant.sharepoint_site import (
    GEO_OF_ORIGIN,
    MYSITE_OF_GEO,
    Caller,
    Order,
    Site,
    access_denied,
    method_not_allowed,
)
from local.tenant.wire import Clock, Request, Response

OK: Final = 200
_REST: Final = re.compile(r"/_api/|/_vti_bin/client\.svc/", re.IGNORECASE)
_PROCESS_QUERY: Final = re.compile(r"/_vti_bin/client\.svc/ProcessQuery", re.IGNORECASE)
_BATCH: Final = re.compile(r"/_api/(?:\$|%24)batch", re.IGNORECASE)
_UPLOAD: Final = re.compile(r"/files/add", re.IGNORECASE)
_NO_CONTENT_LENGTH: Final = "HTTP Error 411. The request must be chunked or have a content length."


class SharePoint:
    """Answers every request to a SharePoint host.

    Args:
        directory: who exists; new people get a profile, renamed ones keep theirs.
        tokens: checks bearer tokens.
        clock: the tenant's.
        origins: URL of an origin, called when the first request comes in and later.
        quirks: switches, read at every request.
        quotas: limits, read at every request.

    Attributes:
        profiles: the profile stores.
        library: the files of `mysite` and `mysite2`.
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
        self._directory = directory
        self._tokens = tokens
        self._origins = origins
        self._quirks = quirks
        self._clock = clock
        self._libraries = {origin: Library(clock=clock) for origin in GEO_OF_ORIGIN}
        self._profiles = Profiles(
            directory=directory, mysite=lambda geo: origins(MYSITE_OF_GEO[geo])
        )
        self._quota = SharePointQuota(clock=clock, quotas=quotas)
        self._digests = Digests(clock)
        self._seeded = False
        self._seeding = threading.Lock()
        directory.listeners.append(self._on_directory)

    # -- for tests -------------------------------------------------------------------------

    @property
    def profiles(self) -> Profiles:
        """The profile stores."""
        self.seed()
        return self._profiles

    @property
    def library(self) -> dict[str, Library]:
        """The files of each My Site host, by origin."""
        self.seed()
        return {origin: self._libraries[origin] for origin in MYSITE_OF_GEO.values()}

    def profile(self, person_id: str) -> dict[str, str]:
        """All profile properties of a person, in his own geo. Raises KeyError for nobody."""
        return self.profiles.properties(self._directory.people[person_id])

    def files(self, origin: str = "mysite") -> dict[str, bytes]:
        """Every file of a My Site host by its decoded, server-relative path."""
        return self.library[origin].contents()

    def shown_picture(self, person_id: str, size: str = "M") -> bytes | None:
        """What a page shows of a person: the S, M or L file behind `PictureURL`.

        None while the placeholder is shown, for a URL outside of the person's own My Site host,
        and when the file is missing. Raises KeyError for nobody.
        """
        person = self._directory.people[person_id]
        values = self.profile(person_id)
        origin = MYSITE_OF_GEO[geo_of(person)]
        url = urlsplit(values[PICTURE_URL])
        if values[PLACEHOLDER_STATE] != "0" or f"{url.scheme}://{url.netloc}" != self._origins(
            origin
        ):
            return None
        path = unquote(url.path).replace("_MThumb.", f"_{size}Thumb.")
        try:
            return self._libraries[origin].file(path).content
        except ServiceError:
            return None

    def seed(self) -> None:
        """Put into profiles and libraries what was there before; needs the URLs of the hosts.

        Happens by itself at the first request or look.
        """
        with self._seeding:
            if self._seeded:
                return
            for origin in MYSITE_OF_GEO.values():
                if self._quirks.library_exists:
                    self._libraries[origin].create_library()
                    if self._quirks.folder_exists:
                        folder = f"{LIBRARY}/{self._quirks.folder_name}"
                        self._libraries[origin].create_folder(folder)
            for person in list(self._directory.people.values()):
                self._seed_person(person)
            self._seeded = True

    def _seed_person(self, person: Person) -> None:
        origin = MYSITE_OF_GEO[geo_of(person)]
        seed(
            person,
            profiles=self._profiles,
            library=self._libraries[origin],
            mysite=self._origins(origin),
            folder=self._quirks.folder_name,
        )

    def _on_directory(self, event: str, person: Person) -> None:
        with self._seeding:
            if event == "removed":
                self._profiles.forget(person)
            elif event == "added" and self._seeded:
                self._seed_person(person)

    # -- requests --------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request to a SharePoint host."""
        self.seed()
        level = metadata_level(request.headers.get("accept", ""))
        try:
            response = self._authorised(request, self._caller(request))
        except Refused as refusal:
            response = _refused(refusal.status, refusal.why)
        except ServiceError as error:
            response = _error(error, level)
        response.headers |= {
            "SPRequestGuid": str(uuid.uuid4()),
            "MicrosoftSharePointTeamServices": "16.0.0.26512",
            "X-SharePointHealthScore": "1",
        }
        return response

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
        verdict = self._charge(caller, people_calls=_people_calls(request.target))
        return _charged(verdict, lambda: self._rest(request, caller))

    def _charge(self, caller: Caller, *, people_calls: int = 0) -> Verdict:
        return self._quota.charge(
            geo=caller.site.geo, app_id=caller.app_id, people_calls=people_calls
        )

    def _check_digest(self, request: Request, caller: Caller) -> None:
        if self._quirks.digest_required:
            self._digests.check(request.headers.get("x-requestdigest", ""), caller.site.url)

    def _rest(self, request: Request, caller: Caller) -> Response:
        """One REST request, alone or out of a batch."""
        level = metadata_level(request.headers.get("accept", ""))
        try:
            result = self._dispatch(request, caller)
        except ServiceError as error:
            return _error(error, level)
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
                body = [csom.header(error)]
            text = json.dumps(body, ensure_ascii=False).encode()
            return Response(OK, text, {"Content-Type": "application/json; charset=utf-8"})

        return _charged(self._charge(caller, people_calls=calls), answer)

    def _batch(self, request: Request, caller: Caller) -> Response:
        if not self._quirks.batch_supported:
            raise no_resource("$batch")
        if request.method != "POST":
            raise method_not_allowed(request.method, "$batch")
        self._check_digest(request, caller)
        inner = [
            _inner(request, part, caller.site)
            for part in multipart.parse(request.headers.get("content-type", ""), request.body)
        ]
        if sum(_UPLOAD.search(part.target) is not None for part in inner) > 1:
            raise invalid("Several uploads in one batch are not supported.")
        responses: list[Response] = []
        units = 0.0
        for part in inner:
            verdict = self._charge(caller, people_calls=_people_calls(part.target))
            units += verdict.units
            response = _charged(verdict, partial(self._rest, part, caller))
            if verdict.retry_after and not responses:
                return replace(response, units=units)  # throttled as a whole
            responses.append(response)
        kind, body = multipart.compose(responses)
        return Response(OK, body, {"Content-Type": kind}, units)


def _people_calls(target: str) -> int:
    return int(PEOPLE_MANAGER in target.lower())


def _inner(outer: Request, part: multipart.Part, site: Site) -> Request:
    """A part of a batch as a request of its own; it inherits `Accept` and digest."""
    if not part.url.startswith(f"{site.url}/"):
        raise invalid(f"The URL {part.url} does not belong to the site {site.url}.")
    inherited = {
        name: outer.headers[name] for name in ("accept", "x-requestdigest") if name in outer.headers
    }
    # Clients leave spaces and bars in the addresses of parts, unlike in a request line.
    target = quote(part.url[len(site.url) :], safe="%/:?#[]@!$&'()*+,;=")
    return Request(part.method, outer.origin, target, inherited | part.headers, part.body)


def _charged(verdict: Verdict, answer: Callable[[], Response]) -> Response:
    """The answer with the quota's headers, or 429 in its place."""
    if verdict.retry_after:
        response = Response(429, b"429 TOO MANY REQUESTS", {"Content-Type": "text/plain"})
    else:
        response = answer()
    response.headers |= verdict.headers
    response.units = verdict.units
    return response


def _error(error: ServiceError, level: str) -> Response:
    if isinstance(error, BadAddress):
        page = f"<html><body><h2>{error.message}</h2></body></html>"
        return Response(error.status, page.encode(), {"Content-Type": "text/html"})
    headers = {"Content-Type": content_type(level)}
    return Response(error.status, write_error(error, level), headers)


def _refused(status: int, why: str) -> Response:
    """401 as the token validation of SharePoint gives it."""
    return Response(
        status,
        json.dumps({"error": "invalid_token", "error_description": why}).encode(),
        {
            "Content-Type": "application/json; charset=utf-8",
            "WWW-Authenticate": f'Bearer error="invalid_token", error_description="{why}"',
            "x-ms-diagnostics": f'3000006;reason="{why}";category="invalid_client"',
        },
    )
