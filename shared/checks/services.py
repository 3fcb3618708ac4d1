"""Whether Microsoft Graph and SharePoint answer what the nightly run asks them."""

from collections.abc import Callable
from functools import partial

from shared import roles
from shared.app import App
from shared.checks.check import CHECK_SECONDS, Check, bad, good, late, not_checked
from shared.checks.parallel import result_of, started, wait_for
from shared.checks.sample import Sample
from shared.checks.tokens import GRAPH_CHECK, SHAREPOINT_CHECK, Token, wrong_origin
from shared.config import Settings
from shared.errors import (
    AccessDenied,
    DeadlineExceeded,
    PermissionMissing,
    PhotoSyncError,
    ProfileMissing,
    ServiceError,
    Throttled,
    TokenUnavailable,
    Unavailable,
)
from shared.http import Budget
from shared.log import InvocationLog
from shared.model import User
from shared.sharepoint import SharePoint

FOLDER_CHECK = "My Site photo folder"
ADMIN_CHECK = "admin site"
SCOPE_CHECK = "scope size"
PHOTO_CHECK = "one photo"

_NOBODY = User("00000000-0000-0000-0000-000000000000", "photo-sync-check@nobody.invalid")
_AGAIN = "check again in a few minutes"
_SCOPE_REMEDY = (
    "test USER_FILTER and SYNC_GROUP_ID in Graph Explorer: docs/operate.md, source-fault"
)
_LIBRARY_REMEDY = (
    "let one user of that host open their own profile photo in SharePoint, which creates the "
    "library, then check again"
)


def checks(app: App, graph: Token, sharepoint: Token, log: InvocationLog) -> list[Check]:
    """All checks of the two services, in the order in which they are shown."""
    budget = Budget(app.clock.monotonic() + CHECK_SECONDS)
    site = app.sharepoint(budget, log=log, read_only=True)
    asked = _Asked(app.settings, graph, sharepoint, site, Sample(app.settings, app.graph(budget)))
    found = [graph.check(), sharepoint.check()]
    jobs: dict[str, Callable[[], Check]] = {}
    if sharepoint.problem is None:
        jobs[FOLDER_CHECK] = asked.folders
        jobs[ADMIN_CHECK] = asked.admin_site
    if graph.problem is None:
        jobs[SCOPE_CHECK] = asked.scope_size
        jobs[PHOTO_CHECK] = asked.photo
    results = {name: started(name, job) for name, job in jobs.items()}
    wait_for(results.values(), CHECK_SECONDS)
    questions = (
        (FOLDER_CHECK, "the library of thumbnails", SHAREPOINT_CHECK),
        (ADMIN_CHECK, "the admin site", SHAREPOINT_CHECK),
        (SCOPE_CHECK, "the number of users", GRAPH_CHECK),
        (PHOTO_CHECK, "the access to photos", GRAPH_CHECK),
    )
    for name, what, token in questions:
        if name in results:
            service = roles.SHAREPOINT if token == SHAREPOINT_CHECK else roles.GRAPH
            found.append(result_of(results[name]) or late(name, service))
        else:
            found.append(not_checked(name, what, token))
    return found


class _Asked:
    """The questions to both services; each is asked in a thread of its own.

    Args:
        settings: of the program.
        graph: token for Graph.
        sharepoint: token for SharePoint.
        site: SharePoint, for reading.
        sample: the first users, for several questions.
    """

    def __init__(
        self,
        settings: Settings,
        graph: Token,
        sharepoint: Token,
        site: SharePoint,
        sample: Sample,
    ) -> None:
        self._settings = settings
        self._graph = graph
        self._sharepoint = sharepoint
        self._site = site
        self._sample = sample

    def admin_site(self) -> Check:
        """Does the admin site answer profile calls?"""
        url = self._settings.admin_url
        remedy = f"SHAREPOINT_ADMIN_URL must be the tenant's admin site (now {url})"
        ask = partial(_read_nobody, self._site)
        return self._answer(ADMIN_CHECK, self._sharepoint, url, ask, remedy)

    def folders(self) -> Check:
        """Is there a library of thumbnails on every My Site host?"""
        central = self._settings.mysite_url
        hosts = dict.fromkeys((central, *self._settings.sharepoint_satellites))
        results = [self._folder(host) for host in hosts]
        # Hosts of other geos are seen in the profiles of the first users, where these can be read.
        others = self._sample.hosts(self._site) if results[0].ok and not self._graph.problem else ()
        results += [self._folder(host) for host in others if host not in hosts]
        wrong = [result for result in results if not result.ok]
        details = "; ".join(result.detail for result in wrong or results)
        remedies = "; ".join(dict.fromkeys(result.remedy for result in wrong))
        return Check(FOLDER_CHECK, ok=not wrong, detail=details, remedy=remedies)

    def _folder(self, host: str) -> Check:
        def ask() -> str:
            return f"'{self._site.folder(host)}' on {host}"

        found = self._answer(FOLDER_CHECK, self._sharepoint, host, ask, _LIBRARY_REMEDY)
        if found.ok or host in found.detail:
            return found
        return bad(FOLDER_CHECK, f"{host}: {found.detail}", found.remedy)

    def scope_size(self) -> Check:
        """How many users do the settings select, and whom does the filter leave out?"""
        url = self._settings.graph_url
        return self._answer(SCOPE_CHECK, self._graph, url, self._sample.size, _SCOPE_REMEDY)

    def photo(self) -> Check:
        """May the identity read photos? Listing users needs another role in some tenants."""
        try:
            users = self._sample.users()
        except PhotoSyncError:
            users = []
        if not users:
            return not_checked(PHOTO_CHECK, "the access to photos", SCOPE_CHECK)
        try:
            return good(PHOTO_CHECK, self._sample.photo(users))
        except (PermissionMissing, AccessDenied) as error:
            evidence = error.evidence
            return bad(
                PHOTO_CHECK,
                f"Microsoft Graph lists users but refuses their photos ({evidence}). Grant the "
                f"app role {roles.PHOTOS_ROLE} on Microsoft Graph",
                self._graph.grant(photos=True),
            )
        except PhotoSyncError as error:
            return bad(PHOTO_CHECK, str(error), _AGAIN)

    def _answer(
        self, name: str, token: Token, origin: str, ask: Callable[[], str], remedy: str
    ) -> Check:
        """Whether a service answers a question; its answer is the detail."""
        try:
            return good(name, ask())
        except (PermissionMissing, AccessDenied) as error:
            return bad(name, str(error), token.grant())
        except TokenUnavailable as error:
            return bad(name, str(error), "see docs/reference.md, tokens")
        except (Throttled, DeadlineExceeded) as error:
            return bad(name, str(error), _AGAIN)
        except PhotoSyncError as error:
            # SharePoint's 404 for a missing library has no code either.
            if token is self._graph and (strange := _strange(error)):
                detail = f"{origin} does not answer as {token.resource} does: {strange}"
                return bad(name, detail, wrong_origin(self._settings, origin))
            if isinstance(error, Unavailable):
                where = wrong_origin(self._settings, origin)
                return bad(name, str(error), f"{_AGAIN}; if this lasts, {where}")
            return bad(name, str(error), remedy)


def _strange(error: BaseException | None) -> str:
    """The response, if the service did not send it: a refusal without the service's error code."""
    while error is not None:
        if isinstance(error, ServiceError) and not isinstance(error, Unavailable):
            evidence = error.evidence
            redirected = evidence.status // 100 == 3  # noqa: PLR2004 - no service redirects us
            refused = evidence.status and not evidence.code
            return str(evidence) if redirected or refused else ""
        error = error.__cause__ or error.__context__
    return ""


def _read_nobody(site: SharePoint) -> str:
    """Read the profile of nobody: SharePoint must say that there is none."""
    found = site.profiles([_NOBODY])[_NOBODY.id]
    if isinstance(found, Exception) and not isinstance(found, ProfileMissing):
        raise found
    return "the admin site answers profile calls"
