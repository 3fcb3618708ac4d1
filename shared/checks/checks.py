"""Can the program do its work here? Each check says what is wrong and how to mend it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from shared import roles
from shared.app import App
from shared.checkpoint import iso, runs, seconds_of
from shared.checks import portal
from shared.config.schedule import Schedule
from shared.errors import (
    AccessDenied,
    ConfigurationError,
    DeadlineExceeded,
    PermissionMissing,
    PhotoSyncError,
    ProfileMissing,
    Throttled,
    Unavailable,
)
from shared.graph import Page
from shared.http import Budget
from shared.model import User
from shared.sharepoint import SharePoint

STORAGE_SECONDS = 20.0
PATIENCE_SECONDS = 30.0
"""How long storage and the services are waited for: callers are promised an answer in a minute."""

FRESH_SECONDS = 300.0
"""How long good results are given again without asking anybody."""

LATE_SECONDS = 7200.0
"""How long after it was due a firing is missed: longer than one works without a word."""

_NOBODY = User("00000000-0000-0000-0000-000000000000", "photo-sync-check@nobody.invalid")


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
    kept = _kept
    if kept and kept[0] is app and now - kept[1] < FRESH_SECONDS:
        services = kept[2]
    else:
        services = _services(app)
        _kept = (app, now, services) if all(check.ok for check in services) else None
    settings = Check("settings", ok=True, detail="complete")
    schedule = _schedule(app, run, known=storage.ok)
    signed_in = [Check(*row) for row in portal.rows(os.environ)]
    return run, [settings, storage, *services, schedule, *signed_in]


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
    graph = _Token(app, roles.GRAPH, settings.graph_url)
    # Without a token for the one there is none for the other, and asking takes its time.
    sharepoint = _Token(app, roles.SHAREPOINT, settings.mysite_url, unless=graph.problem)
    budget = Budget(app.clock.monotonic() + PATIENCE_SECONDS)
    site = app.sharepoint(budget, read_only=True)
    return [
        graph.check("Graph token and roles"),
        sharepoint.check("SharePoint token and roles"),
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
        graph.ask(
            "scope size",
            lambda: _scope_size(app, budget),
            "test USER_FILTER and SYNC_GROUP_ID in Graph Explorer: docs/operate.md, source-fault",
        ),
    ]


def _scope_size(app: App, budget: Budget) -> str:
    """How many users the settings select: one request for the filter, one for the group."""
    settings, graph = app.settings, app.graph(budget)
    users = _announced(graph.user_pages(settings.user_filter, page_size=1))
    found = f"{users:,} users match USER_FILTER"
    if settings.sync_group_id:
        members = _announced(graph.member_pages(settings.sync_group_id, page_size=1))
        found += f"; SYNC_GROUP_ID has {members:,}; in scope is who is among both"
    else:
        members = users
    if not users or not members:
        raise ConfigurationError([f"nobody is in scope: {found}"])
    return found


def _announced(pages: Iterator[Page]) -> int:
    """How long a listing is, by its first page."""
    first = next(pages)
    return len(first.users) if first.expected is None else first.expected


def _schedule(app: App, run: runs.Run | None, *, known: bool) -> Check:
    """Whether the timer has a schedule and keeps it.

    Args:
        app: the program.
        run: the last one.
        known: storage could be asked for it.
    """
    name, now = "function schedule", app.clock.time()
    remedy = "set SYNC_SCHEDULE, for example to 0 */15 1-5 * * *"
    if not app.settings.schedule:
        return Check(name, ok=False, detail="SYNC_SCHEDULE is not set", remedy=remedy)
    try:
        schedule = Schedule.parse(app.settings.schedule)
        following = _firing(schedule, now)
    except ValueError as error:
        return Check(name, ok=False, detail=f"SYNC_SCHEDULE: {error}", remedy=remedy)
    found = f"next firing {iso(following)}"
    if run is None:
        return Check(name, ok=True, detail=f"no run yet; {found}" if known else found)
    began, last = seconds_of(run.started), seconds_of(run.updated or run.started)
    found = f"last run {run.status}, begun {(now - began) / 3600:.1f} hours ago; {found}"
    interval = app.settings.run_interval.total_seconds()
    due = _firing(schedule, max(last, began + interval) if run.finished else last)
    if now - due < LATE_SECONDS:
        return Check(name, ok=True, detail=found)
    return Check(
        name,
        ok=False,
        detail=f"a firing was due {iso(due)} and took nothing up; {found}",
        remedy="is SyncTimer disabled or the app stopped: docs/operate.md, night-missing",
    )


def _firing(schedule: Schedule, after: float) -> float:
    return schedule.next_after(datetime.fromtimestamp(after, UTC)).timestamp()


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

    def check(self, name: str) -> Check:
        """Whether it carries the roles; a grant may be a day older than the token."""
        if self.problem:
            return self._no_token(name)
        wanted = roles.needed(self._resource, with_group=bool(self._settings.sync_group_id))
        held = self._roles()
        missing = [role for role in wanted if not roles.covers(held, self._resource, role)]
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
        except (PermissionMissing, AccessDenied) as error:
            return Check(name, ok=False, detail=str(error), remedy=self._grant())
        except (Throttled, DeadlineExceeded, Unavailable) as error:
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
        if roles.SELECTED_ROLE in self._roles():
            words += ["--narrow", "--my-site", str(urlsplit(self._settings.mysite_url).hostname)]
        if self._settings.cloud != "global":
            words += ["--graph", self._settings.graph_url]
        return " ".join(words)


def _read_nobody(app: App, site: SharePoint) -> str:
    """Read the profile of nobody: SharePoint must say that there is none."""
    found = site.profiles([_NOBODY])[_NOBODY.id]
    if isinstance(found, Exception) and not isinstance(found, ProfileMissing):
        raise found
    return f"{app.settings.admin_url} answers profile calls"
