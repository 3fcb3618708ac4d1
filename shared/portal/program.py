"""The portal's `Core` on the program: Graph, SharePoint, and the checkpoint.

Everything is read with the app's own identity. Photos are made anew from what Exchange and
SharePoint return, so that no byte from outside reaches a browser.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from shared import __version__
from shared.app import App
from shared.checkpoint import iso
from shared.checks import overview
from shared.config import Schedule
from shared.errors import InvalidPhoto, PhotoSyncError, ProfileMissing, ServiceError, Throttled
from shared.graph import Directory, NoPhoto, Person, Version
from shared.http import Budget
from shared.log import InvocationLog
from shared.model import User as DirectoryUser
from shared.photos import render
from shared.portal import history
from shared.portal.blobs import Blobs
from shared.portal.comparison import compare, size_of
from shared.portal.core import (
    Comparison,
    Event,
    Overview,
    Photo,
    Picture,
    Record,
    Source,
    State,
    Synced,
    User,
    View,
)
from shared.sharepoint import SHOW_PLACEHOLDER, read_picture_url
from shared.sync import PATIENCE_SECONDS, SAVING_SECONDS, known, sync_user

READ_SECONDS = 20.0
KEPT_SECONDS = 60.0
MAX_KEPT = 64
"""Photos that a view has just made, so that the browser's two requests for them cost nothing."""


@dataclass(frozen=True)
class _Kept:
    picture: Picture
    until: float


_kept: dict[tuple[str, Source, str], _Kept] = {}
_kept_lock = Lock()


class Program:
    """The program for one request of the portal.

    Args:
        app: the process's.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._log = InvocationLog()
        now = app.clock.monotonic()
        self._budget = Budget(now + READ_SECONDS)
        # Also for what is noted after a sync, which may take its own time.
        deadline = now + PATIENCE_SECONDS + SAVING_SECONDS
        checkpoint = app.checkpoint(read_only=True, deadline=deadline)
        checkpoint.prepare()
        self._blobs = Blobs(app.blobs(deadline))

    @property
    def store(self) -> Blobs:
        """Where limits and audit are kept."""
        return self._blobs

    def user(self, user_id: str) -> User:
        """The user with this object ID. Raises as `Core.user`."""
        return _user(self._directory().person(user_id))

    def search(self, text: str, limit: int) -> Sequence[User]:
        """Members whose name or address begins with a text. Raises as `Core.search`."""
        return [_user(person) for person in self._directory().search(text, limit)]

    def view(self, user: User) -> View:
        """Both photos, read at the same time, and what is remembered."""
        with ThreadPoolExecutor(2, "photo-sync-portal") as pool:
            exchange = pool.submit(self._guarded, lambda: self._exchange(user.id))
            sharepoint = pool.submit(self._guarded, lambda: self._sharepoint(user))
            record = self._record(user.id)
            sides = exchange.result(), sharepoint.result()
        self._log.write()
        for source, side in zip((Source.EXCHANGE, Source.SHAREPOINT), sides, strict=True):
            if side.picture:
                self._keep(user.id, source, side.picture)
        comparison = Comparison.UNKNOWN
        if sides[0].picture and sides[1].picture:
            comparison = compare(sides[0].picture, sides[1].picture)
        return View(sides[0], sides[1], comparison, record, self._profile_url())

    def at_hand(self, user_id: str, source: Source, version: str) -> Picture | None:
        """A photo that a view of this process has just made."""
        with _kept_lock:
            kept = _kept.get((user_id, source, version))
        return kept.picture if kept and self._app.clock.monotonic() < kept.until else None

    def picture(self, user_id: str, source: Source) -> Picture | None:
        """One photo, read now. Raises as `Core.picture`."""
        if source is Source.EXCHANGE:
            return self._exchange(user_id).picture
        return self._sharepoint(self.user(user_id)).picture

    def history(self, user_id: str) -> Sequence[Event]:
        """What is recorded, newest first. Raises as `Core.history`."""
        return history.of(self._blobs, user_id)

    def sync(self, user_id: str, *, force: bool = False, dry_run: bool = False) -> Synced:
        """The same call as `POST /api/sync/{user}`. Raises as `Core.sync`."""
        result = sync_user(self._app, user_id, force=force, dry_run=dry_run)
        error = result.error
        return Synced(
            outcome=result.outcome.value,
            detail=result.detail,
            checked_at=iso(self._app.clock.time()),
            dry_run=dry_run or self._app.settings.dry_run,
            retry_after=error.retry_after if isinstance(error, Throttled) else 0.0,
            request_id=error.evidence.request_id if isinstance(error, ServiceError) else "",
        )

    def overview(self) -> Overview:
        """The last run and the checks, as `GET /api/sync` has them."""
        run, checks = overview(self._app)
        lines, more = history.problems(self._blobs, run.started) if run else ([], False)
        return Overview(
            version=__version__,
            run=run.to_json() if run else None,
            lines=lines,
            more_lines=more,
            checks=[check.to_json() for check in checks],
            next_firing=self._next_firing(),
        )

    def _directory(self) -> Directory:
        settings = self._app.settings
        return Directory(self._app.graph_service, settings.graph_url, self._budget)

    def _exchange(self, user_id: str) -> Photo:
        graph = self._app.graph(self._budget)
        seen = graph.photo_versions([user_id])[user_id]
        if isinstance(seen, NoPhoto):
            return Photo(State.NONE)
        if not isinstance(seen, Version):
            raise seen.error
        data = graph.photo(user_id)
        # The version was there a moment ago, so no bytes prove nothing.
        return Photo(State.UNKNOWN) if data is None else self._photo(data)

    def _sharepoint(self, user: User) -> Photo:
        site = self._app.sharepoint(self._budget, log=self._log, read_only=True)
        asked = DirectoryUser(user.id, user.upn)
        profile = site.profiles([asked])[user.id]
        if isinstance(profile, ProfileMissing):
            return Photo(State.NO_PROFILE)
        if isinstance(profile, PhotoSyncError):
            raise profile
        location = read_picture_url(profile.picture_url)
        if location is None or profile.placeholder == SHOW_PLACEHOLDER:
            return Photo(State.NONE)
        site.require(location)
        data = site.thumbnail(location, "L")
        return Photo(State.NONE) if data is None else self._photo(data)

    def _photo(self, data: bytes) -> Photo:
        try:
            jpeg = render(data, self._app.settings.thumbnail_sizes).large
        except InvalidPhoto:
            return Photo(State.UNUSABLE)
        width, height = size_of(jpeg)
        etag = f'"{hashlib.sha256(jpeg).hexdigest()[:32]}"'
        return Photo(State.PHOTO, Picture(jpeg, etag, width, height))

    def _record(self, user_id: str) -> Record | None:
        found = known(self._app, user_id)
        if found is None:
            return None
        record = found.record
        return Record(
            outcome=record.outcome.value,
            detail=record.detail,
            checked_at=record.checked_at,
            verified_at=record.verified_at,
            failures=record.failing.count if record.failing else 0,
            retry_on=record.failing.retry_on if record.failing else "",
            missing_runs=record.missing.runs if record.missing else 0,
        )

    def _guarded(self, read: Callable[[], Photo]) -> Photo:
        """One side of a view; what cannot be read is unknown, and the other side is shown."""
        try:
            return read()
        except PhotoSyncError as error:
            self._log.add(logging.WARNING, f"A photo cannot be shown in the portal: {error}")
            return Photo(State.UNKNOWN)

    def _keep(self, user_id: str, source: Source, picture: Picture) -> None:
        until = self._app.clock.monotonic() + KEPT_SECONDS
        with _kept_lock:
            while len(_kept) >= MAX_KEPT:
                del _kept[next(iter(_kept))]
            _kept[user_id, source, picture.etag.strip('"')] = _Kept(picture, until)

    def _profile_url(self) -> str:
        """The user's own page in the My Site host, which everybody may open."""
        return f"{self._app.settings.mysite_url}/person.aspx"

    def _next_firing(self) -> str:
        schedule = self._app.settings.schedule
        if not schedule:
            return ""
        try:
            now = datetime.fromtimestamp(self._app.clock.time(), UTC)
            return Schedule.parse(schedule).next_after(now).isoformat()
        except ValueError:
            return ""


def _user(person: Person) -> User:
    mail = "" if person.mail.lower() == person.upn.lower() else person.mail
    return User(person.id, person.name, person.upn, mail, member=not person.guest)
