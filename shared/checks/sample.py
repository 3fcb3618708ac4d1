"""The first users in scope: how many there are, where their files are, and one of their photos."""

import threading

from shared.config import DEFAULT_FILTER, FILTER_OF_VERSION_1, Settings
from shared.errors import AccessDenied, ConfigurationError, FilterRefused, PhotoSyncError
from shared.graph import Graph, Page, Unknown, Version
from shared.model import User
from shared.sharepoint import Profile, SharePoint

SAMPLE_SIZE = 20
"""What one batch holds."""

_MAILBOX = (
    "accountEnabled eq true and "
    "(assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled') or "
    "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Warning'))"
)
"""Enabled users with a mailbox plan, whatever their type."""


class Sample:
    """What one page of the listing tells; it is read once, by whichever thread asks first.

    Args:
        settings: of the program.
        graph: for this look.
    """

    def __init__(self, settings: Settings, graph: Graph) -> None:
        self._settings = settings
        self._graph = graph
        self._lock = threading.Lock()
        self._page: Page | PhotoSyncError | None = None
        self._note = ""

    def users(self) -> list[User]:
        """The first users that match the filter.

        Raises:
            PhotoSyncError: the listing could not be read, as `shared.graph` says.
        """
        return list(self._first().users)

    def size(self) -> str:
        """How many users the settings select, in a sentence.

        Raises:
            ConfigurationError: nobody, or Graph refuses the filter or the group.
            PhotoSyncError: Graph failed.
        """
        matching = _size(self._first())
        found = f"{matching:,} users match USER_FILTER{self._note}"
        members = matching
        if group := self._settings.sync_group_id:
            members = _size(next(self._graph.member_pages(group, page_size=1)))
            found += f"; SYNC_GROUP_ID has {members:,}; in scope is who is among both"
        if not matching or not members:
            raise ConfigurationError([f"nobody is in scope: {found}"])
        return found + self._left_out()

    def hosts(self, site: SharePoint) -> tuple[str, ...]:
        """My Site hosts of the first users that belong to the tenant; none when unknown."""
        try:
            profiles = site.profiles(self.users())
        except PhotoSyncError:
            return ()
        found = {found.host for found in profiles.values() if isinstance(found, Profile)}
        return tuple(sorted(host for host in found if site.hosts.is_mysite(host)))

    def photo(self, users: list[User]) -> str:
        """Read one photo; a sentence about it.

        Raises:
            AccessDenied: Graph refuses the photos of all these users, or the bytes of one.
            PhotoSyncError: Graph failed.
        """
        seen = self._graph.photo_versions([user.id for user in users])
        for user_id, version in seen.items():
            if isinstance(version, Version):
                data = self._graph.photo(user_id)
                return f"a photo of {len(data or b''):,} bytes was read"
        errors = [found.error for found in seen.values() if isinstance(found, Unknown)]
        refused = [error for error in errors if isinstance(error, AccessDenied)]
        if errors and len(refused) == len(errors) == len(seen):
            raise refused[0]
        if len(errors) == len(seen) > 0:
            raise errors[0]
        return f"none of the first {len(users)} users has a photo; Graph answers for them"

    def _first(self) -> Page:
        with self._lock:
            if self._page is None:
                try:
                    self._page = self._list()
                except PhotoSyncError as error:
                    self._page = error
            if isinstance(self._page, PhotoSyncError):
                raise self._page
            return self._page

    def _list(self) -> Page:
        wanted = self._settings.user_filter
        try:
            return next(self._graph.user_pages(wanted, page_size=SAMPLE_SIZE))
        except FilterRefused:
            if wanted != DEFAULT_FILTER:
                raise
            page = next(self._graph.user_pages(FILTER_OF_VERSION_1, page_size=SAMPLE_SIZE))
            self._note = " in the form of version 1.0.0, because Graph refuses the default form"
            return page

    def _left_out(self) -> str:
        """Enabled users with a mailbox plan whom the filter leaves out; "" when unknown."""
        wanted = FILTER_OF_VERSION_1 if self._note else self._settings.user_filter
        try:
            everybody = _size(next(self._graph.user_pages(_MAILBOX, page_size=1)))
            both = f"{_MAILBOX} and ({wanted})"
            among = _size(next(self._graph.user_pages(both, page_size=1)))
        except PhotoSyncError:
            return ""
        left = max(0, everybody - among)
        return f"; the filter leaves out {left:,} enabled users with a mailbox plan"


def _size(page: Page) -> int:
    """The number of users in a listing, by its first page."""
    return len(page.users) if page.expected is None else page.expected
