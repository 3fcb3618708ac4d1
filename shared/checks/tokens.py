"""The identity's tokens for the two services, and what they open."""

from typing import Any
from urllib.parse import urlsplit

from shared import roles
from shared.app import App
from shared.checks.check import Check, bad, good, late, not_checked
from shared.config import CLOUDS, Settings
from shared.errors import PhotoSyncError

GRAPH_CHECK = "Graph token and roles"
SHAREPOINT_CHECK = "SharePoint token and roles"

_NO_IDENTITY = "IDENTITY_ENDPOINT is not set"


class Token:
    """The token for one service.

    Args:
        settings: of the program.
        resource: `roles.GRAPH` or `roles.SHAREPOINT`.
        name: of its check.
        claims: what the token says.
        problem: why there is no token, and what to do; None when there is one.
    """

    def __init__(
        self,
        settings: Settings,
        resource: str,
        name: str,
        *,
        claims: dict[str, Any] | None = None,
        problem: Check | None = None,
    ) -> None:
        self._settings = settings
        self.resource = resource
        self._claims = claims or {}
        self.name = name
        self.problem = problem

    def check(self) -> Check:
        """Whether it carries the roles; a token can be a day older than a grant."""
        if self.problem:
            return self.problem
        wanted = roles.needed(self.resource, with_group=bool(self._settings.sync_group_id))
        held = self._roles()
        missing = [role for role in wanted if not roles.covers(held, self.resource, role)]
        if not missing:
            return good(self.name, f"the token for {self.resource} carries {', '.join(wanted)}")
        return bad(
            self.name,
            f"the token for {self.resource} lacks {', '.join(missing)}. If it is granted already: "
            "Azure keeps tokens of managed identities for up to 24 hours",
            self.grant(),
        )

    def failing(self, problem: Check | None) -> "Token":
        """The same token with another problem."""
        return Token(self._settings, self.resource, self.name, claims=self._claims, problem=problem)

    def grant(self, *, photos: bool = False) -> str:
        """The command that grants what is missing.

        Args:
            photos: the role for photos as well.
        """
        words = ["infra/permissions/grant.sh"]
        if client := self._settings.target_client_id:
            words += ["--client-id", client]
        else:
            principal = self._claims.get("oid") or "<object id of the identity>"
            words += ["--principal-id", str(principal)]
        if self._settings.sync_group_id:
            words.append("--with-group")
        if photos:
            words.append("--with-photos")
        if roles.SELECTED_ROLE in self._roles():
            words += ["--narrow", "--my-site", str(urlsplit(self._settings.mysite_url).hostname)]
        if self._settings.cloud != "global":
            words += ["--graph", self._settings.graph_url]
        return " ".join(words)

    def _roles(self) -> set[str]:
        held = self._claims.get("roles")
        return {str(role) for role in held} if isinstance(held, list) else set()


def graph(app: App) -> Token:
    """The token for Microsoft Graph."""
    return _ask(app, roles.GRAPH, GRAPH_CHECK, app.settings.graph_url)


def sharepoint(app: App) -> Token:
    """The token for SharePoint."""
    return _ask(app, roles.SHAREPOINT, SHAREPOINT_CHECK, app.settings.mysite_url)


def judged(settings: Settings, first: Token | None, second: Token | None) -> tuple[Token, Token]:
    """Both tokens; a cause that they share is reported once.

    Args:
        settings: of the program.
        first: for Graph; None when the identity did not answer in time.
        second: for SharePoint; None as above.
    """
    if first is None:
        problem = late(GRAPH_CHECK, "the identity endpoint of the platform")
        first = Token(settings, roles.GRAPH, GRAPH_CHECK, problem=problem)
    if second is None:
        problem = late(SHAREPOINT_CHECK, "the identity endpoint of the platform")
        second = Token(settings, roles.SHAREPOINT, SHAREPOINT_CHECK, problem=problem)
    if first.problem and second.problem:
        # The identity serves neither: what is wrong is said once.
        skipped = not_checked(SHAREPOINT_CHECK, "the token for SharePoint", GRAPH_CHECK)
        return first, second.failing(skipped)
    return (
        first.failing(_only(settings, first, settings.graph_url)),
        second.failing(_only(settings, second, settings.mysite_url)),
    )


def _only(settings: Settings, token: Token, origin: str) -> Check | None:
    """The problem of one token when the other one was issued, so the identity works."""
    if token.problem is None:
        return None
    detail = f"the identity works, but it gets no token for {origin}: {token.problem.detail}"
    return bad(token.name, detail, wrong_origin(settings, origin))


def _ask(app: App, resource: str, name: str, origin: str) -> Token:
    try:
        claims = app.identity.claims(origin)
    except PhotoSyncError as error:
        return Token(app.settings, resource, name, problem=_no_token(name, str(error)))
    return Token(app.settings, resource, name, claims=claims)


def _no_token(name: str, text: str) -> Check:
    if _NO_IDENTITY not in text:
        return bad(name, text, "see docs/reference.md, tokens")
    return bad(
        name,
        f"this app has no managed identity: {_NO_IDENTITY}",
        "assign a managed identity to the function app (in the Azure portal: Identity), and set "
        "MANAGED_IDENTITY_CLIENT_ID when it is a user-assigned one",
    )


def wrong_origin(settings: Settings, origin: str) -> str:
    """What to do when something else than the service answers at its address."""
    if origin == settings.graph_url:
        right = CLOUDS[settings.cloud].graph_url
        return (
            f"remove GRAPH_URL, so that CLOUD={settings.cloud} gives {right}"
            if origin != right
            else "check that CLOUD names the cloud of the tenant"
        )
    return "check SHAREPOINT_TENANT, SHAREPOINT_MYSITE_URL and CLOUD"
