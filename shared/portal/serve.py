"""One request to the portal, from the first doubt to the answer.

The order is the guard: is there a portal (404); is sign-in in front of it (503); which route (404,
405); who calls (401, 403, or the way to sign-in); does the request come from our pages (403); may
this person (403); does the platform refuse forged identities (503). Only then a handler runs.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from shared import sign_in
from shared.clock import Clock
from shared.portal import cross_site, failures, message, pages, texts
from shared.portal.core import Core
from shared.portal.handlers import Call
from shared.portal.message import Answer, Request
from shared.portal.pages import Reader
from shared.portal.routes import ROUTES, Route, Who
from shared.problem import Problem
from shared.sign_in import HELP_DESK, Closed, Person, Proof, Refusal, Verdict

_log = logging.getLogger("photo_sync.portal")

_OPEN = Closed(
    "the platform lets forged identities through",
    "Turn App Service authentication off and on again, and look at the check 'portal sign-in' in "
    "GET /api/sync. The portal opens by itself when a forged identity is refused.",
)


@dataclass(frozen=True)
class Portal:
    """The portal of one process.

    Attributes:
        open_core: opens the program for one request.
        proof: whether the platform refuses forged identities.
        environ: settings, and what the platform says of its sign-in layer.
        clock: where time comes from.
    """

    open_core: Callable[[], Core]
    proof: Proof
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = time

    def answer(self, request: Request) -> Answer:
        """Answer one request; never raises."""
        expected = sign_in.expected(self.environ)
        if expected is None:
            return message.nothing()
        wanted = request.query.get("lang")
        language = texts.choose(wanted, request.header("Accept-Language"))
        reader = Reader(language, chosen=wanted == language)
        route: Route | None = None
        person: Person | None = None
        try:
            if isinstance(expected, Closed):
                return _closed(request, reader, expected)
            found = sign_in.read(request.headers, expected, self.clock.time())
            if found is Refusal.FORGED:
                self.proof.forged()
                _log.error("A forged identity reached the portal, which is closed now")
                return message.data({"forged": True})
            if isinstance(found, Person):
                person = found
                reader = Reader(language, reader.chosen, found.help_desk, signed_in=True)
            route, variables = _route(request)
            if route.who is not Who.ANYONE:
                if isinstance(found, Refusal):
                    return _refused(request, route, reader, found)
                _check(request, route, found)
                if self.proof.finding(self.environ, expected).verdict is Verdict.OPEN:
                    return _closed(request, reader, _OPEN)
            open_core = self.open_core if route.uses_core else None
            call = Call(request, reader, self.clock, variables, person, open_core)
            return route.handler(call)
        except Exception as error:  # noqa: BLE001 - a caller gets an answer in any case
            failures.log(error)
            return _failed(request, route, reader, failures.problem_of(error))


def _route(request: Request) -> tuple[Route, dict[str, str]]:
    """The route of a request, and its variables.

    Raises:
        Problem: 404, or 405 with the methods that the path has.
    """
    path = request.path.removesuffix("/")
    method = "GET" if request.method == "HEAD" else request.method
    allowed = []
    for route in ROUTES:
        variables = route.match(path)
        if variables is not None:
            if route.method == method:
                return route, variables
            allowed.append("GET, HEAD" if route.method == "GET" else route.method)
    if allowed:
        raise Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "This path has other methods.",
            headers={"Allow": ", ".join(allowed)},
        )
    raise Problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such page.")


def _check(request: Request, route: Route, person: Person) -> None:
    """Where the request comes from, and whether the person may.

    Raises:
        Problem: 403.
    """
    own = route.page
    if not own:
        check = cross_site.is_own_write if route.method == "POST" else cross_site.is_own_read
        own = check(request)
    if not own:
        raise Problem(
            HTTPStatus.FORBIDDEN, "cross-site", "The request does not come from the portal's pages."
        )
    if route.who is Who.HELP_DESK and not person.help_desk:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "help-desk-only",
            f"Only holders of the app role {HELP_DESK} may do this.",
        )


def _refused(request: Request, route: Route, reader: Reader, refusal: Refusal) -> Answer:
    if route.page:
        path = _page_path(request)
        if refusal is Refusal.NOT_SIGNED_IN:
            return message.redirect(pages.sign_in_path(path, reader))
        return pages.refusal(reader, refusal.value, refusal.status, path=path)
    return message.problem(Problem(refusal.status, refusal.value, refusal.detail))


def _failed(request: Request, route: Route | None, reader: Reader, problem: Problem) -> Answer:
    page = route.page if route else not request.path.startswith(("api/", "assets/"))
    if page and request.method != "POST":
        path = _page_path(request) if route else "/api/portal"
        answer = pages.refusal(reader, problem.kind, problem.status, path=path)
        return Answer(
            answer.status, answer.body, answer.mimetype, {**answer.headers, **problem.headers}
        )
    technical = route is not None and route.who is Who.HELP_DESK
    return message.problem(problem if technical else failures.for_everybody(problem))


def _closed(request: Request, reader: Reader, closed: Closed) -> Answer:
    if request.path.startswith(("api/", "assets/")) or request.method == "POST":
        return message.problem(
            Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "sign-in-not-enforced",
                f"The portal is closed: {closed.reason}. {closed.remedy}",
            )
        )
    return pages.closed(reader, closed.reason, closed.remedy)


def _page_path(request: Request) -> str:
    """Absolute path of a page of the table, so that it holds nothing from outside."""
    path = request.path.removesuffix("/")
    return f"/api/portal/{path}" if path else "/api/portal"
