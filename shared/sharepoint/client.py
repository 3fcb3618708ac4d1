"""SharePoint Online: the profiles and what they show; `photo_library` has the files.

Profiles are read in batches and written by one ProcessQuery that sets three properties. Protocol
facts are from the SharePoint documentation and from public clients where it is silent;
docs/architecture.md lists what is uncertain.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import (
    AccessDenied,
    NotFound,
    PermissionMissing,
    PhotoSyncError,
    ProfileMissing,
    RequestRejected,
    ServiceError,
)
from shared.http.response import retry_after
from shared.http.service import Budget, Service
from shared.model import ThumbnailLocation, User
from shared.roles import PROFILES_ROLE
from shared.sharepoint import batch, csom, profiles
from shared.sharepoint.locations import admin_of, is_trusted_host
from shared.sharepoint.photo_library import Library
from shared.sharepoint.profiles import Profile
from shared.sharepoint.site import JSON, Site, owns

if TYPE_CHECKING:
    from shared.photos.thumbnails import Thumbnails

__all__ = ["ReadOnlySharePoint", "SharePoint", "owns"]

_THROTTLED = frozenset({429, 503})

type Found = dict[str, Profile | PhotoSyncError]


class SharePoint(Library):
    """Reads and writes one tenant's profile pictures for one invocation; thread-safe.

    Args:
        service: the process's SharePoint service.
        mysite: origin of the My Site host of the central geo.
        admin: origin of the admin site of the central geo.
        budget: time, guard and meter of the invocation.
    """

    def __init__(self, service: Service, *, mysite: str, admin: str, budget: Budget) -> None:
        super().__init__(Site(service, budget))
        self._service = service
        self._mysite = mysite
        self._admin = admin
        self._budget = budget
        self._batches = True
        self._queries = True

    def accepts(self, place: ThumbnailLocation) -> bool:
        """Whether a recorded place still belongs to this tenant's My Site hosts."""
        return is_trusted_host(place.host, self._mysite)

    def require(self, place: ThumbnailLocation) -> None:
        """Make sure that a recorded place is this tenant's.

        Raises:
            RequestRejected: it is on a host that gets no token.
        """
        if not self.accepts(place):
            evidence = self._service.evidence("GET", place.host)
            raise RequestRejected(replace(evidence, message="not a My Site host of this tenant"))

    def host_of(self, profile: Profile) -> str:
        """The My Site host for a user's files: his geo's, when it is this tenant's.

        Raises:
            RequestRejected: the profile names a host that gets no token.
        """
        if not profile.host:
            return self._mysite
        self.require(ThumbnailLocation(profile.host, "", ""))
        return profile.host

    def profiles(self, users: Sequence[User]) -> Found:
        """Profiles by user id, or the error of that user; at most `batch.MAX_PARTS` users.

        The central geo knows where everybody's My Site is, but the properties of a user of another
        geo are held there, so he is read again there.

        Raises:
            PermissionMissing: SharePoint refuses to read profiles at all.
            Throttled, DeadlineExceeded, Unavailable: the request failed as a whole.
        """
        found = self._read(self._admin, users)
        abroad: dict[str, list[User]] = {}
        for user in users:
            profile = found[user.id]
            if isinstance(profile, Profile) and is_trusted_host(profile.host, self._mysite):
                abroad.setdefault(self._admin_of(profile.host), []).append(user)
        abroad.pop(self._admin, None)
        for admin, some in abroad.items():
            found |= self._read(admin, some)
        return found

    def show(self, upn: str, place: ThumbnailLocation) -> None:
        """Make the profile show the files at this place.

        Raises:
            ProfileMissing: no profile.
            AccessDenied: the role is missing.
            ServiceError: SharePoint failed.
        """
        self._set(upn, place, profiles.shown(place, self._service.clock.time()))

    def hide(self, upn: str, place: ThumbnailLocation) -> None:
        """Make the profile show the placeholder and name no picture. Raises as `show`."""
        self._set(upn, place, profiles.hidden(self._service.clock.time()))

    def _admin_of(self, host: str) -> str:
        return admin_of(host, mysite=self._mysite, admin=self._admin)

    def _read(self, admin: str, users: Sequence[User]) -> Found:
        found = self._read_batch(admin, users) if self._batches else {}
        for user in users:
            if user.id not in found:
                try:
                    found[user.id] = self._read_one(admin, user)
                except (ServiceError, ProfileMissing) as error:
                    found[user.id] = error
        return found

    def _read_batch(self, admin: str, users: Sequence[User]) -> Found:
        """What a batch says for sure; whoever is not in it is read alone."""
        urls = [profiles.read_url(admin, user.upn) for user in users]
        body, content_type = batch.build(urls)
        try:
            answer = self._site.post(
                f"{admin}/_api/$batch", body, content_type, want_json=False, write=False
            )
        except AccessDenied as refused:
            raise PermissionMissing("SharePoint", PROFILES_ROLE, refused.evidence) from None
        except (RequestRejected, NotFound) as error:
            # 400 may be about one of these users; anything else is about batches.
            if error.evidence.status != 400:  # noqa: PLR2004
                self._batches = False
            return {}
        parts = batch.parse(answer.body, answer.headers.get("Content-Type", ""))
        if len(parts) != len(users):
            # Parts come in order; a wrong number of them proves nothing about any.
            return {}
        throttled = [part.headers for part in parts if part.status in _THROTTLED]
        if throttled:
            waits = [retry_after(headers, self._service.clock) or 0.0 for headers in throttled]
            self._service.hold(self._budget, answer, max(waits) or None, 1)
        found: Found = {}
        for user, part in zip(users, parts, strict=True):
            try:
                profile = profiles.parse(part.status, part.value)
            except ProfileMissing as missing:
                found[user.id] = missing
            else:
                if profile:
                    found[user.id] = profile
        return found

    def _read_one(self, admin: str, user: User) -> Profile:
        with _profile_errors():
            answer = self._site.get(profiles.read_url(admin, user.upn))
        profile = profiles.parse(answer.status, answer.value)
        if profile is None:
            raise answer.malformed("no profile in the answer")
        return profile

    def _set(
        self, upn: str, place: ThumbnailLocation, properties: Sequence[tuple[str, str]]
    ) -> None:
        admin = self._admin_of(place.host)
        account = profiles.account_name(upn)
        if self._queries:
            query = csom.set_properties(account, properties)
            try:
                self._site.post(admin + csom.PATH, query, "text/xml", judge=csom.check)
                return
            except (AccessDenied, RequestRejected, NotFound) as error:
                if error.evidence.status == 200:  # noqa: PLR2004 - the query's own error
                    raise
        # The endpoint itself is refused, so the properties go one by one.
        for name, value in properties:
            body = {"accountName": account, "propertyName": name, "propertyValue": value}
            self._set_one(admin, body)
        self._queries = False

    def _set_one(self, admin: str, body: Mapping[str, str]) -> None:
        data = json.dumps(body).encode()
        with _profile_errors():
            self._site.post(profiles.write_url(admin), data, JSON, want_json=False)


@contextmanager
def _profile_errors() -> Iterator[None]:
    """Tell "no profile", which SharePoint reports as a failure, from failures.

    Raises:
        ProfileMissing: that is what the error said.
    """
    try:
        yield
    except ServiceError as error:
        if csom.says_no_profile(error.evidence.message):
            raise ProfileMissing(csom.NO_PROFILE) from None
        raise


class ReadOnlySharePoint(SharePoint):
    """The same tenant for a dry run: everything is read, nothing is written."""

    def upload(self, place: ThumbnailLocation, thumbnails: "Thumbnails") -> None:
        """Write nothing."""

    def show(self, upn: str, place: ThumbnailLocation) -> None:
        """Write nothing."""

    def hide(self, upn: str, place: ThumbnailLocation) -> None:
        """Write nothing."""

    def recycle(self, place: ThumbnailLocation) -> None:
        """Write nothing."""

    def _create_folder(self, host: str) -> None:
        """Write nothing."""
