"""Can the program do its work here? Each check says what is wrong and how to mend it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from shared import runs
from shared.app import App
from shared.errors import ConfigurationError, PhotoSyncError, ProfileMissing
from shared.graph import User
from shared.sharepoint import FILES_ROLE, PROFILES_ROLE
from shared.transport import Budget

PATIENCE_SECONDS = 30.0

FRESH_SECONDS = 300.0
"""How long good results are given again without asking anybody."""

GRANT = "infra/permissions/grant.sh --principal-id {principal}"

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
        detail = str(settings_problem)
        return None, [Check("settings", ok=False, detail=detail, remedy="see docs/operate.md")]
    run, storage = _storage(app)
    now = app.clock.monotonic()
    if storage.ok and _kept and _kept[0] is app and now - _kept[1] < FRESH_SECONDS:
        return run, _kept[2]
    checks = [Check("settings", ok=True, detail="complete"), storage, *_services(app)]
    _kept = (app, now, checks) if all(check.ok for check in checks) else None
    return run, checks


def _storage(app: App) -> tuple[runs.Run | None, Check]:
    try:
        checkpoint = app.checkpoint()
        checkpoint.prepare()
        run = checkpoint.run()
    except PhotoSyncError as error:
        remedy = "give the identity the role Storage Blob Data Owner on the storage account"
        return None, Check("storage", ok=False, detail=str(error), remedy=remedy)
    return run, Check("storage", ok=True, detail="container can be read and written")


def _services(app: App) -> list[Check]:
    settings = app.settings
    budget = Budget(app.clock.monotonic() + PATIENCE_SECONDS)
    graph_roles = ["User.Read.All"]
    if settings.sync_group_id:
        graph_roles.append("GroupMember.Read.All")
    sharepoint = app.sharepoint(budget, read_only=True)
    return [
        _roles(app, "Graph roles", "Microsoft Graph", settings.graph_url, graph_roles),
        _roles(
            app,
            "SharePoint roles",
            "SharePoint",
            settings.mysite_url,
            [PROFILES_ROLE, FILES_ROLE],
        ),
        _asked(
            "My Site photo folder",
            lambda: f"'{sharepoint.folder(settings.mysite_url)}' on {settings.mysite_url}",
            "let one user open his own profile photo in SharePoint, then check again",
        ),
        _asked(
            "admin site",
            lambda: _read_nobody(app, budget),
            f"SHAREPOINT_ADMIN_URL must be the tenant's admin site (now {settings.admin_url})",
        ),
    ]


def _roles(app: App, name: str, resource: str, origin: str, wanted: list[str]) -> Check:
    """Whether the token carries the roles; a grant may be a day older than the token."""
    try:
        claims = app.identity.claims(origin)
    except PhotoSyncError as error:
        return Check(name, ok=False, detail=str(error), remedy="see docs/operate.md, tokens")
    held = claims.get("roles") or []
    roles = {str(role) for role in held} if isinstance(held, list) else set()
    missing = [role for role in wanted if not _covers(roles, role)]
    if not missing:
        return Check(name, ok=True, detail=f"the token for {resource} carries {', '.join(wanted)}")
    principal = str(claims.get("oid") or "<object id of the identity>")
    return Check(
        name,
        ok=False,
        detail=(
            f"the token for {resource} lacks {', '.join(missing)}. Granted already? Azure keeps "
            "tokens of managed identities for up to 24 hours"
        ),
        remedy=GRANT.format(principal=principal),
    )


def _covers(roles: set[str], wanted: str) -> bool:
    if wanted == FILES_ROLE and "Sites.Selected" in roles:
        return True
    return wanted in roles or bool(roles & _LARGER_ROLES.get(wanted, set()))


def _asked(name: str, ask: Callable[[], str], remedy: str) -> Check:
    try:
        return Check(name, ok=True, detail=ask())
    except PhotoSyncError as error:
        return Check(name, ok=False, detail=str(error), remedy=remedy)


def _read_nobody(app: App, budget: Budget) -> str:
    """Read the profile of nobody: SharePoint must say that there is none."""
    sharepoint = app.sharepoint(budget, read_only=True)
    found = sharepoint.profiles([_NOBODY])[_NOBODY.id]
    if isinstance(found, Exception) and not isinstance(found, ProfileMissing):
        raise found
    return f"{app.settings.admin_url} answers profile calls"
