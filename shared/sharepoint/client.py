"""SharePoint Online: the profiles and the thumbnails that they show.

Profiles are read in batches and written by one ProcessQuery that sets three properties. Protocol
facts are from the SharePoint documentation and from public clients where it is silent;
docs/architecture.md lists what is uncertain.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import NotFound, RequestRejected
from shared.http import Budget, Patience, Service
from shared.log import InvocationLog
from shared.model import ThumbnailLocation, User
from shared.sharepoint import profiles
from shared.sharepoint.folders import FolderCache, Folders
from shared.sharepoint.hosts import Hosts
from shared.sharepoint.photo_library import PhotoLibrary
from shared.sharepoint.profile_reader import Found, ProfileReader
from shared.sharepoint.profile_writer import ProfileWriter
from shared.sharepoint.profiles import Profile
from shared.sharepoint.site import Site

if TYPE_CHECKING:
    from shared.photos import Thumbnails


class SharePoint:
    """Reads and writes one tenant's profile pictures for one invocation; thread-safe.

    Args:
        service: the process's SharePoint service.
        mysite: origin of the My Site host of the central geo.
        admin: origin of the admin site of the central geo.
        budget: time, guard and meter of the invocation.
        satellites: My Site hosts of other geos that follow no rule.
        log: for what an operator should know; None to make one.
        folders: names of folders that the process knows; None to know none.
    """

    def __init__(
        self,
        service: Service,
        *,
        mysite: str,
        admin: str,
        budget: Budget,
        satellites: Collection[str] = (),
        log: InvocationLog | None = None,
        folders: FolderCache | None = None,
    ) -> None:
        self.hosts = Hosts(mysite, admin, satellites)
        self._service = service
        site = Site(service, budget, self.hosts.is_central)
        log = log or InvocationLog()
        self._cache = folders or FolderCache(service.clock)
        self._folders = Folders(site, self.hosts.is_central, self._cache)
        self._library = PhotoLibrary(site)
        self._reader = ProfileReader(site, self.hosts, log)
        self._writer = ProfileWriter(site, log)

    # -- profiles --

    def profiles(self, users: Sequence[User]) -> Found:
        """Profiles by user id, or the error of that user; at most `MAX_PARTS` users.

        The central geo knows where everybody's My Site is, but the properties of a user of another
        geo are held there, so they are read again there.

        Raises:
            Throttled, DeadlineExceeded: no time to hear all.
        """
        return self._reader.read(users)

    def show(self, upn: str, location: ThumbnailLocation, patience: Patience | None = None) -> None:
        """Make the profile show the files at this location.

        Args:
            upn: user principal name.
            location: of the files.
            patience: how long this user may take; None for as long as the budget allows.

        Raises:
            ProfileMissing: no profile.
            PropertyNotEditable: a property may not be edited.
            AccessDenied: the role is missing.
            ServiceError: SharePoint failed.
        """
        self._write(upn, location, profiles.shown(location, self._service.clock.time()), patience)

    def hide(self, upn: str, location: ThumbnailLocation, patience: Patience | None = None) -> None:
        """Make the profile show the placeholder and name no picture. Raises as `show`."""
        self._write(upn, location, profiles.hidden(self._service.clock.time()), patience)

    def _write(
        self,
        upn: str,
        location: ThumbnailLocation,
        properties: Sequence[tuple[str, str]],
        patience: Patience | None,
    ) -> None:
        admin = self.hosts.admin_of(location.host)
        self._writer.write(admin, upn, properties, subject=location.prefix, patience=patience)

    # -- locations --

    def location(self, profile: Profile, user_id: str) -> ThumbnailLocation:
        """Where a user's files belong: on their geo's host, named by their object id.

        Args:
            profile: of the user, as read now.
            user_id: Entra object id.

        Raises:
            RequestRejected: the profile names a host that gets no token.
            PermissionMissing, ConfigurationError: the central geo's library cannot be used.
            HostUnavailable: the host of another geo cannot be used.
            ServiceError: SharePoint failed.
        """
        host = self.host_of(profile)
        return ThumbnailLocation(host, self.folder(host, profile.picture_url), user_id)

    def host_of(self, profile: Profile) -> str:
        """The My Site host for a user's files: that of their geo.

        Raises:
            RequestRejected: the profile names a host that gets no token.
        """
        if not profile.host:
            return self.hosts.mysite
        self.require(ThumbnailLocation(profile.host, "", ""))
        return profile.host

    def folder(self, host: str, picture_url: str = "") -> str:
        """Name of the folder that holds the thumbnails of a host; kept for a while.

        Args:
            host: My Site host.
            picture_url: PictureURL of a user of this host; it may name the folder.

        Raises:
            PermissionMissing, ConfigurationError: the central geo's library cannot be used.
            HostUnavailable: the host of another geo cannot be used.
            ServiceError: SharePoint failed.
        """
        return self._folders.folder(host, picture_url)

    def accepts(self, location: ThumbnailLocation) -> bool:
        """Whether a recorded location is on one of this tenant's My Site hosts."""
        return self.hosts.is_mysite(location.host)

    def require(self, location: ThumbnailLocation) -> None:
        """Make sure that a location is on one of this tenant's My Site hosts.

        Raises:
            RequestRejected: it is on a host that gets no token.
        """
        if not self.accepts(location):
            evidence = self._service.evidence("GET", location.host)
            raise RequestRejected(
                replace(
                    evidence,
                    message="not a My Site host of this tenant; if it is one, name it in "
                    "SHAREPOINT_SATELLITES",
                )
            )

    # -- files --

    def thumbnail(
        self, location: ThumbnailLocation, size: str, patience: Patience | None = None
    ) -> bytes | None:
        """The bytes of one file; None when there is no such file.

        Raises:
            ServiceError: SharePoint failed.
        """
        return self._library.thumbnail(location, size, patience)

    def has_content(
        self,
        location: ThumbnailLocation,
        thumbnails: "Thumbnails",
        patience: Patience | None = None,
    ) -> bool:
        """Whether all three files hold exactly these bytes.

        Raises:
            ServiceError: SharePoint failed.
        """
        return self._library.has_content(location, thumbnails, patience)

    def upload(
        self,
        location: ThumbnailLocation,
        size: str,
        data: bytes,
        patience: Patience | None = None,
    ) -> None:
        """Write one file over whatever is there.

        M belongs last, because PictureURL names it; S and L may be written side by side before.

        Raises:
            RequestRejected: SharePoint stored another length, or refuses (checked out, locked).
            MalformedResponse: it does not say what it stored.
            AccessDenied, NotFound, Unavailable, Throttled, DeadlineExceeded: see `shared.errors`.
        """
        try:
            self._library.upload(location, size, data, patience)
        except NotFound:
            # The folder may have been renamed since its name was learned.
            self._cache.forget(location.host)
            raise

    def recycle(
        self, location: ThumbnailLocation, patience: Patience | None = None
    ) -> tuple[str, ...]:
        """Move the three files to the recycle bin; those that are gone are fine.

        Returns:
            Names of the files that SharePoint keeps: checked out, locked, under retention or hold.

        Raises:
            ServiceError: SharePoint failed.
        """
        return self._library.recycle(location, patience)


class ReadOnlySharePoint(SharePoint):
    """The same tenant for a dry run: everything is read, nothing is written."""

    def folder(self, host: str, picture_url: str = "") -> str:
        """As `SharePoint.folder`, but a missing folder is not created."""
        return self._folders.folder(host, picture_url, create=False)

    def upload(
        self,
        location: ThumbnailLocation,
        size: str,
        data: bytes,
        patience: Patience | None = None,
    ) -> None:
        """Write nothing."""

    def show(self, upn: str, location: ThumbnailLocation, patience: Patience | None = None) -> None:
        """Write nothing."""

    def hide(self, upn: str, location: ThumbnailLocation, patience: Patience | None = None) -> None:
        """Write nothing."""

    def recycle(
        self,
        location: ThumbnailLocation,  # noqa: ARG002
        patience: Patience | None = None,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Write nothing."""
        return ()
