"""Can the program do its work here? Each check says what is wrong and how to mend it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from shared import runs
from shared.app import App
from shared.errors import (
    ConfigurationError,
    OutOfTime,
    PermissionMissing,
    PhotoSyncError,
    ProfileMissing,
    Refused,
    Throttled,
    Unavailable,
)
from shared.graph import User
from shared.sharepoint import FILES_ROLE, PROFILES_ROLE, SharePoint
from shared.transport import Budget

STORAGE_SECONDS = 20.0
PATIENCE_SECONDS = 30.0
"""How long storage and the services are waited for: callers are promised an answer in a minute."""

FRESH_SECONDS = 300.0
"""How long good results are given again without asking anybody."""

_NOBODY = User("00000000-0000-0000-0000-000000000000", "photo-sync-check@nobody.invalid")
_LARGER_ROLES = {"User.Read.All": {"User.ReadWrite.All", "Directory.Read.All"}}


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        name: short and stable.
        ok: whether all is well.
        detail: what was found.
        remedy: what to do; "" when all is well.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `GET /api/sync` shows it."""
        return asdict(self)


_kept: tuple[App, float, list[Check]] | None = None


def run_and_checks(
    app: App | None, settings_problem: ConfigurationError | None
) -> tuple[runs.Run | None, list[Check]]:
    """The last or current run, and all checks.

    Good results are kept for `FRESH_SECONDS`, so that a page that polls costs no requests; bad ones
    are looked at again each time.

    Args:
        app: None when the settings are wrong.
        settings_problem: what is wrong with them.
    """
    global _kept  # noqa: PLW0603 - one per process is the point
    if app is None:
        remedy = "correct these settings; nothing else is checked before: docs/operate.md, settings"
        return None, [Check("settings", ok=False, detail=str(settings_problem), remedy=remedy)]
    run, storage = _storage(app)
    now = app.clock.monotonic()
    if storage.ok and _kept and _kept[0] is app and now - _kept[1] < FRESH_SECONDS:
        return run, _kept[2]
    checks = [Check("settings", ok=True, detail="complete"), storage, *_services(app)]
    _kept = (app, now, checks) if all(check.ok for check in checks) else None
    return run, checks


def _storage(app: App) -> tuple[runs.Run | None, Check]:
    checkpoint = app.checkpoint(deadline=app.clock.monotonic() + STORAGE_SECONDS)
    try:
        checkpoint.prepare()
        run = checkpoint.run()
        checkpoint.probe()
    except PhotoSyncError as error:
        remedy = "see docs/operate.md, storage"
        return None, Check("storage", ok=False, detail=str(error), remedy=remedy)
    return run, Check("storage", ok=True, detail="container can be read and written")


def _services(app: App) -> list[Check]:
    settings = app.settings
    graph_roles = ["User.Read.All"]
    if settings.sync_group_id:
        graph_roles.append("GroupMember.Read.All")
    graph = _Token(app, "Microsoft Graph", settings.graph_url)
    # Without a token for the one there is none for the other, and asking takes its time.
    sharepoint = _Token(app, "SharePoint", settings.mysite_url, unless=graph.problem)
    budget = Budget(app.clock.monotonic() + PATIENCE_SECONDS)
    site = app.sharepoint(budget, read_only=True)
    return [
        graph.check("Graph token and roles", graph_roles),
        sharepoint.check("SharePoint token and roles", [PROFILES_ROLE, FILES_ROLE]),
        sharepoint.ask(
            "My Site photo folder",
            lambda: f"'{site.folder(settings.mysite_url)}' on {settings.mysite_url}",
            "let one user open his own profile photo in SharePoint, then check again",
        ),
        sharepoint.ask(
            "admin site",
            lambda: _read_nobody(app, site),
            f"SHAREPOINT_ADMIN_URL must be the tenant's admin site (now {settings.admin_url})",
        ),
    ]


class _Token:
    """The identity's token for a service, and what it opens.

    Args:
        app: the program.
        resource: "Microsoft Graph" or "SharePoint".
        origin: of the service.
        unless: why not to ask for a token at all; "" to ask.
    """

    def __init__(self, app: App, resource: str, origin: str, *, unless: str = "") -> None:
        self._settings = app.settings
        self._resource = resource
        self._claims: dict[str, Any] = {}
        self.problem = unless
        if not unless:
            try:
                self._claims = app.identity.claims(origin)
            except PhotoSyncError as error:
                self.problem = str(error)

    def check(self, name: str, wanted: list[str]) -> Check:
        """Whether it carries the roles; a grant may be a day older than the token."""
        if self.problem:
            return self._no_token(name)
        missing = [role for role in wanted if not _covers(self._roles(), role)]
        if not missing:
            carries = f"the token for {self._resource} carries {', '.join(wanted)}"
            return Check(name, ok=True, detail=carries)
        return Check(
            name,
            ok=False,
            detail=(
                f"the token for {self._resource} lacks {', '.join(missing)}. Granted already? "
                "Azure keeps tokens of managed identities for up to 24 hours"
            ),
            remedy=self._grant(),
        )

    def ask(self, name: str, ask: Callable[[], str], remedy: str) -> Check:
        """Whether the service answers a question; its answer is the detail."""
        if self.problem:
            return self._no_token(name)
        try:
            return Check(name, ok=True, detail=ask())
        except (PermissionMissing, Refused) as error:
            return Check(name, ok=False, detail=str(error), remedy=self._grant())
        except (Throttled, OutOfTime, Unavailable) as error:
            return Check(name, ok=False, detail=str(error), remedy="check again in a few minutes")
        except PhotoSyncError as error:
            return Check(name, ok=False, detail=str(error), remedy=remedy)

    def _no_token(self, name: str) -> Check:
        return Check(name, ok=False, detail=self.problem, remedy="see docs/operate.md, tokens")

    def _roles(self) -> set[str]:
        held = self._claims.get("roles")
        return {str(role) for role in held} if isinstance(held, list) else set()

    def _grant(self) -> str:
        """The command that grants what is missing."""
        principal = self._claims.get("oid") or "<object id of the identity>"
        words = ["infra/permissions/grant.sh", "--principal-id", str(principal)]
        if self._settings.sync_group_id:
            words.append("--with-group")
        if "Sites.Selected" in self._roles():
            words += ["--narrow", "--my-site", str(urlsplit(self._settings.mysite_url).hostname)]
        if self._settings.cloud != "global":
            words += ["--graph", self._settings.graph_url]
        return " ".join(words)


def _covers(roles: set[str], wanted: str) -> bool:
    if wanted == FILES_ROLE and "Sites.Selected" in roles:
        return True
    return wanted in roles or bool(roles & _LARGER_ROLES.get(wanted, set()))


def _read_nobody(app: App, site: SharePoint) -> str:
    """Read the profile of nobody: SharePoint must say that there is none."""
    found = site.profiles([_NOBODY])[_NOBODY.id]
    if isinstance(found, Exception) and not isinstance(found, ProfileMissing):
        raise found
    return f"{app.settings.admin_url} answers profile calls"
