"""Sites, callers and what an application role permits on a site."""

from dataclasses import dataclass
from typing import Final

from local.tenant.quirks import Quirks
from local.tenant.sharepoint.library import Library
from local.tenant.sharepoint.odata import ACCESS_DENIED, Call, ServiceError
from local.tenant.sharepoint.profiles import CENTRAL, SECOND

#: The geo of each SharePoint origin.
GEO_OF_ORIGIN: Final = {"mysite": CENTRAL, "admin": CENTRAL, "mysite2": SECOND, "admin2": SECOND}
MYSITE_OF_GEO: Final = {CENTRAL: "mysite", SECOND: "mysite2"}

PROFILE_READ: Final = frozenset({"User.Read.All", "User.ReadWrite.All"})
PROFILE_WRITE: Final = frozenset({"User.ReadWrite.All"})
SITE_WRITE: Final = frozenset({"Sites.ReadWrite.All", "Sites.Manage.All", "Sites.FullControl.All"})
SITE_READ: Final = SITE_WRITE | {"Sites.Read.All"}
SITE_MANAGE: Final = SITE_WRITE - {"Sites.ReadWrite.All"}
SELECTED: Final = "Sites.Selected"


def access_denied(
    message: str = (
        "Access denied. You do not have permission to perform this action or access this resource."
    ),
) -> ServiceError:
    """403, or in ProcessQuery the same as ErrorInfo."""
    return ServiceError(403, ACCESS_DENIED, message)


def method_not_allowed(method: str, resource: str) -> ServiceError:
    """405 for an endpoint that exists, but not with this HTTP method."""
    return ServiceError(
        405,
        "-1, Microsoft.SharePoint.Client.ClientServiceException",
        f"The HTTP method '{method}' cannot be used to access the resource '{resource}'. The "
        "operation type of the resource is specified as 'Default'. Please use correct HTTP "
        "method to invoke the resource.",
    )


@dataclass(frozen=True)
class Site:
    """The root site of a host: its origin, geo, URL without slash at the end, and library."""

    origin: str
    geo: str
    url: str
    library: Library

    @property
    def is_admin(self) -> bool:
        """This is a tenant administration site."""
        return self.origin.startswith("admin")


@dataclass(frozen=True)
class Caller:
    """An application on a site.

    Attributes:
        app_id: client id.
        roles: SharePoint roles of its token.
        grant: what Sites.Selected was granted here: "", "read", "write" or "fullcontrol".
        site: where it calls.
        quirks: of the tenant.
    """

    app_id: str
    roles: frozenset[str]
    grant: str
    site: Site
    quirks: Quirks

    @property
    def name(self) -> str:
        """As SharePoint shows it, for example as holder of a check-out."""
        return f"i:0i.t|ms.sp.ext|{self.app_id}"

    def need_site(self, roles: frozenset[str]) -> None:
        """Raise ServiceError 403 unless a role, or a grant worth as much, is there.

        A grant never covers what only SITE_MANAGE covers: creating lists was refused even with
        full control of the site (reported in 2025).
        """
        granted = (
            SELECTED in self.roles
            and self.grant != ""
            and roles != SITE_MANAGE
            and (roles == SITE_READ or self.grant != "read")
        )
        if not granted and not self.roles & roles:
            raise access_denied()

    def need_folder_right(self) -> None:
        """Raise ServiceError 403 unless folders may be created."""
        selected_will_do = self.quirks.selected_creates_folders
        self.need_site(SITE_WRITE)
        if not self.roles & SITE_WRITE and not selected_will_do:
            raise access_denied()

    def need_profiles(self, roles: frozenset[str]) -> None:
        """Raise ServiceError 403 unless profile calls with this need are allowed here."""
        if not self.roles & PROFILE_READ:
            raise access_denied(
                "Access Denied: This application does not have the required permissions to "
                "access profile information."
            )
        if self.quirks.profile_host == "admin" and not self.site.is_admin:
            raise access_denied(
                "This operation requires you to be managing your own data or have administrator "
                "privileges."
            )
        if self.quirks.profile_needs_site_role:
            self.need_site(SITE_READ)
        if not self.roles & roles:
            raise access_denied()


@dataclass(frozen=True)
class Order:
    """One REST request, ready to be carried out: address, effective method, body, headers."""

    call: Call
    method: str
    body: bytes
    headers: dict[str, str]

    def need(self, *methods: str) -> None:
        """Raise ServiceError 405 for another HTTP method."""
        if self.method not in methods:
            raise method_not_allowed(self.method, self.call.segments[-1].name)
