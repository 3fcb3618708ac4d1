"""The context of the pilot's probes: one user, their profile as found, their hosts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from shared.app import App
from shared.errors import PhotoSyncError, ServiceError
from shared.http import NOT_FOUND, Budget, Request, Response, number
from shared.model import ThumbnailLocation, User
from shared.sharepoint import (
    SHOW_PLACEHOLDER,
    Hosts,
    Site,
    file_url,
    parse,
    read_picture_url,
    read_url,
    stored,
)

PICTURE, PLACEHOLDER, TIMESTAMP = (
    "PictureURL",
    "SPS-PicturePlaceholderState",
    "SPS-PictureTimestamp",
)
SYNC_STATE = "SPS-PictureExchangeSyncState"


class NotTried(Exception):
    """A probe is left out; the message says why."""


class OneToken:
    """Gives every host the token of one host.

    Args:
        token: bearer token.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, resource: str, deadline: float = 0.0) -> str:  # noqa: ARG002 - that is the question
        """The same for every host."""
        return self._token

    def forget(self, resource: str, refused: str = "") -> None:
        """Do nothing: there is no other token."""


@dataclass(frozen=True)
class Found:
    """A profile as SharePoint answered it.

    Attributes:
        values: stored properties by name in lower case.
        host: origin of the user's My Site host, "" when none is named.
        shown: `PictureUrl`, which SharePoint makes of the stored properties.
        answer: with the headers.
    """

    values: Mapping[str, str]
    host: str
    shown: str
    answer: Response

    def __getitem__(self, name: str) -> str:
        """A stored property; "" when it is not there."""
        return self.values.get(name.lower(), "")

    @property
    def has_picture(self) -> bool:
        """Whether the profile shows a picture."""
        return bool(self[PICTURE]) and self[PLACEHOLDER] != SHOW_PLACEHOLDER


@dataclass
class Context:
    """One user and everything needed to ask about them.

    Args:
        app: the program.
        user: whose profile.
        budget: time and guard of the invocation.
        read_only: why nothing may be written; "" when it may.

    Attributes:
        mysite: origin of the user's My Site host.
        admin: origin of the admin site of the user's geo.
        root: origin of the root site; "" when it does not follow from the others.
        site: sends to these three.
        profile: as it was before any probe; None when it cannot be read.
        trouble: why it cannot.
    """

    app: App
    user: User
    budget: Budget
    read_only: str
    mysite: str = ""
    admin: str = ""
    root: str = ""
    profile: Found | None = None
    trouble: str = ""
    site: Site = field(init=False)

    def __post_init__(self) -> None:
        """Find the user's geo, and read their profile there."""
        try:
            self._use_host(self.app.settings.mysite_url)
            self.profile = self.read(self.admin)
            if self.profile.host not in {"", self.mysite}:
                self._use_host(self.profile.host)
                self.profile = self.read(self.admin)
        except (PhotoSyncError, NotTried, ValueError) as error:
            self.profile, self.trouble = None, str(error)

    def _use_host(self, mysite: str) -> None:
        settings = self.app.settings
        hosts = Hosts(settings.mysite_url, settings.admin_url, settings.sharepoint_satellites)
        if not hosts.is_mysite(mysite):
            raise NotTried(f"not a My Site host of this tenant: {mysite}")
        self.mysite, self.root = mysite, root_of(mysite)
        self.admin = hosts.admin_of(mysite)
        service = self.app.sharepoint_service([mysite, self.admin, self.root])
        self.site = Site(service, self.budget)

    @property
    def hosts(self) -> dict[str, str]:
        """The three kinds of host; the root site only when it is known."""
        known = {"admin site": self.admin, "My Site host": self.mysite}
        return known | {"root site": self.root} if self.root else known

    def found(self) -> Found:
        """The profile.

        Raises:
            NotTried: it could not be read.
        """
        if self.profile is None:
            raise NotTried(f"the profile cannot be read: {self.trouble}")
        return self.profile

    def writable(self) -> Found:
        """The profile, if something of the user may be written back.

        Raises:
            NotTried: nothing may be written.
        """
        if self.read_only:
            raise NotTried(self.read_only)
        if not self.found().has_picture:
            raise NotTried(
                "this user has no picture in SharePoint to write back. Synchronize the user with "
                "POST /api/sync/{user}, then run the pilot again"
            )
        return self.found()

    def location(self) -> ThumbnailLocation:
        """Where the files are that the profile shows.

        Raises:
            NotTried: it shows none, or one that is not in the user's library.
        """
        location = read_picture_url(self.found()[PICTURE])
        if location is None or location.host != self.mysite:
            raise NotTried(
                "PictureURL names no file in the library of the user's My Site host. Synchronize "
                "the user with POST /api/sync/{user}, then run the pilot again"
            )
        return location

    def folder(self) -> str:
        """Name of the folder of the user's files.

        Raises:
            PermissionMissing, ConfigurationError, ServiceError: as `Library.folder`.
        """
        try:
            return self.location().folder
        except NotTried:
            return self.app.sharepoint(self.budget, read_only=True).folder(self.mysite)

    def read(self, host: str, upn: str = "", site: Site | None = None) -> Found:
        """Read a profile on a host; by default the user's.

        Raises:
            ProfileMissing: there is none.
            ServiceError: SharePoint refuses or fails.
        """
        url = f"{read_url(host, upn or self.user.upn)},PictureUrl"
        answer = (site or self.site).get(url)
        profile = parse(answer.status, answer.value)
        values = stored(answer.value) if profile else None
        if profile is None or values is None:
            raise answer.malformed("no profile in the answer")
        return Found(values, profile.host, str(answer.value.get("PictureUrl") or ""), answer)

    def file(self, location: ThumbnailLocation, size: str) -> tuple[int, str] | None:
        """Length in bytes and time of the last change of a file; None when there is none."""
        url = file_url(location, size, "?$select=Exists,Length,TimeLastModified")
        answer = self.site.get(url, accept={NOT_FOUND})
        value = answer.value if answer.ok and isinstance(answer.value, dict) else {}
        length = number(value.get("Length"))
        return None if length is None else (int(length), str(value.get("TimeLastModified", "")))

    def graph(self, path: str) -> Response:
        """Ask Microsoft Graph. Raises what `Service.send` raises."""
        url = f"{self.app.settings.graph_url}/v1.0/{path}"
        return self.app.graph_service.send(self.budget, Request("GET", url))

    def with_token_of(self, origin: str, hosts: Collection[str]) -> Site:
        """A site that sends the token of one host to every host.

        Raises:
            TokenUnavailable: there is none.
        """
        tokens = OneToken(self.app.identity.token(origin))
        return Site(self.app.sharepoint_service(hosts, tokens), self.budget)


def root_of(mysite: str) -> str:
    """Origin of the root site beside a My Site host; "" when the name does not tell."""
    host = str(urlsplit(mysite).hostname)
    label, dot, domain = host.partition("-my.")
    return f"https://{label}.{domain}" if label and dot else ""


def short(error: Exception) -> str:
    """An error in a few words; the host is named beside it."""
    if not isinstance(error, ServiceError):
        return str(error)
    evidence = error.evidence
    parts = (str(evidence.status or "no answer"), evidence.code, evidence.message)
    return " ".join(part for part in parts if part)


def photo_page(root: str, upn: str) -> str:
    """The page that shows a user's large picture to a signed-in browser."""
    host = root or "https://<tenant>.sharepoint.com"
    return f"{host}/_layouts/15/userphoto.aspx?size=L&accountname={quote(upn)}"
