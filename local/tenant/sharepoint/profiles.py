"""The user profile store behind PeopleManager, one per geo.

Sources: Microsoft Learn, "PeopleManager class" and "UserProfiles" (SharePoint REST and client
object model reference), "Default user profile properties"; answers recorded by open-source
clients for the way `PictureUrl` follows from the stored properties.
"""

import hashlib
import re
import threading
import uuid
from collections.abc import Callable
from typing import Final

from local.tenant.directory import Directory, Person
from local.tenant.quirks import Quirks
from local.tenant.sharepoint.odata import ServiceError

CLAIM_PREFIX: Final = "i:0#.f|membership|"
PICTURE_URL: Final = "PictureURL"
PLACEHOLDER_STATE: Final = "SPS-PicturePlaceholderState"
EXCHANGE_SYNC_STATE: Final = "SPS-PictureExchangeSyncState"
TIMESTAMP: Final = "SPS-PictureTimestamp"
MAX_URL_LENGTH: Final = 2_048
#: Names of the stores; a person's `geo` is empty for the central one.
CENTRAL: Final = "central"
SECOND: Final = "second"

_READ_ONLY: Final = (
    "UserProfile_GUID",
    "SID",
    "ADGuid",
    "AccountName",
    "UserName",
    "PersonalSpace",
    "SPS-ClaimID",
    "SPS-ClaimProviderID",
    "SPS-ClaimProviderType",
    "SPS-DistinguishedName",
    "SPS-UserPrincipalName",
    "SPS-SavedAccountName",
    "SPS-ObjectExists",
    "SPS-UserType",
    "msOnline-ObjectId",
)
_INTEGERS: Final = (PLACEHOLDER_STATE, EXCHANGE_SYNC_STATE, TIMESTAMP)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}|")
_WRITABLE: Final = (
    "FirstName",
    "LastName",
    "PreferredName",
    "WorkEmail",
    "WorkPhone",
    "CellPhone",
    "HomePhone",
    "Fax",
    "Office",
    "Department",
    "Title",
    "SPS-JobTitle",
    "SPS-Department",
    "Manager",
    "Assistant",
    "AboutMe",
    "WebSite",
    "PublicSiteRedirect",
    "QuickLinks",
    "SPS-Location",
    "SPS-TimeZone",
    "SPS-Birthday",
    "SPS-HireDate",
    "SPS-School",
    "SPS-Skills",
    "SPS-Interests",
    "SPS-Responsibility",
    "SPS-PastProjects",
    "SPS-StatusNotes",
    "SPS-MUILanguages",
    "SPS-RegionalSettings-Initialized",
    "SPS-PrivacyPeople",
    "SPS-PrivacyActivity",
    "SPS-PersonalSiteCapabilities",
    PICTURE_URL,
    *_INTEGERS,
)
_NAMES: Final = {name.lower(): name for name in (*_READ_ONLY, *_WRITABLE)}


def geo_of(person: Person) -> str:
    """Which geo holds a person's profile and picture: CENTRAL or SECOND."""
    return SECOND if person.geo else CENTRAL


class Profiles:
    """The profiles of all people who have one; thread-safe.

    Every geo has its own store. A profile lives in the store of its person's geo; what is written
    through another geo stays there and is shown nowhere, as Microsoft's multi-geo guidance warns.

    Args:
        directory: who exists; a renamed person keeps their profile, a deleted one loses it.
        mysite: URL of the My Site host of a geo.
        quirks: whether the picture may be edited.
    """

    def __init__(
        self, *, directory: Directory, mysite: Callable[[str], str], quirks: Quirks | None = None
    ) -> None:
        self._directory = directory
        self._quirks = quirks or Quirks()
        self._mysite = mysite
        self._stored: dict[tuple[str, str], dict[str, str]] = {}
        self._lock = threading.Lock()

    def find(self, account_name: str) -> Person | None:
        """Who is meant by a claim such as `i:0#.f|membership|user@contoso.com`, in any case."""
        if not account_name.lower().startswith(CLAIM_PREFIX):
            return None
        person = self._directory.by_upn(account_name[len(CLAIM_PREFIX) :])
        return person if person is not None and person.has_profile else None

    def known(self, account_name: str) -> Person:
        """As `find`. Raises ServiceError 500 when there is no such profile."""
        person = self.find(account_name)
        if person is None:
            raise ServiceError(
                500,
                "-1, Microsoft.Office.Server.UserProfiles.UserNotFoundException",
                "User Profile Error 1000: User Not Found: Could not load profile data from the "
                "database.",
            )
        return person

    def put(self, person: Person, values: dict[str, str]) -> None:
        """Store values in a person's own geo without any check, to arrange a situation."""
        with self._lock:
            self._stored.setdefault((geo_of(person), person.id), {}).update(values)

    def forget(self, person: Person) -> None:
        """Drop all that is stored of a deleted person."""
        with self._lock:
            for key in [key for key in self._stored if key[1] == person.id]:
                del self._stored[key]

    def move(self, person: Person) -> None:
        """Take what is stored of a person along to the geo where they are now.

        The old geo keeps a copy; PictureURL still names a file of the old host.
        """
        with self._lock:
            for (_, person_id), values in list(self._stored.items()):
                if person_id == person.id:
                    self._stored.setdefault((geo_of(person), person.id), dict(values))

    def set(self, account_name: str, name: str, value: str, geo: str) -> None:
        """SetSingleValueProfileProperty in the store of a geo.

        Raises:
            ServiceError: 500 for an unknown profile or property, a read-only property, a value
                of the wrong type.
        """
        person = self.known(account_name)
        canonical = _canonical(name)
        pictures = {PICTURE_URL, PLACEHOLDER_STATE, TIMESTAMP}
        locked = canonical in pictures and not self._quirks.picture_editable
        if canonical in _READ_ONLY or locked:
            why = "Property Not Editable: This property can only be modified by an administrator."
            raise _refused("PropertyNotEditableException", why)
        if canonical in _INTEGERS and not _INTEGER.fullmatch(value):
            raise _refused("InvalidValueException", f"Invalid Value: {canonical}.")
        if canonical == PICTURE_URL and len(value) > MAX_URL_LENGTH:
            raise _refused("InvalidValueException", f"Invalid Value: {canonical}.")
        with self._lock:
            self._stored.setdefault((geo, person.id), {})[canonical] = value

    def get(self, person: Person, name: str, geo: str) -> str:
        """GetUserProfilePropertyFor. Raises ServiceError 500 for an unknown property."""
        return self.properties(person, geo)[_canonical(name)]

    def properties(self, person: Person, geo: str | None = None) -> dict[str, str]:
        """All properties as the store of a geo (by default the person's own) has them."""
        first, _, last = person.display_name.partition(" ")
        upn = person.upn.lower()
        values = (
            dict.fromkeys(_NAMES.values(), "")
            | {
                "UserProfile_GUID": str(uuid.UUID(hashlib.md5(person.id.encode()).hexdigest())),  # noqa: S324 - an id, no secret
                "SID": f"i:0h.f|membership|{person.id.replace('-', '')[:16]}@live.com",
                "AccountName": CLAIM_PREFIX + upn,
                "UserName": upn,
                "SPS-ClaimID": upn,
                "SPS-ClaimProviderID": "membership",
                "SPS-ClaimProviderType": "Forms",
                "SPS-UserPrincipalName": upn,
                "SPS-UserType": "1" if person.user_type == "Guest" else "0",
                "msOnline-ObjectId": person.id,
                "FirstName": first,
                "LastName": last,
                "PreferredName": person.display_name,
                "WorkEmail": person.mail,
                "Department": person.department,
                "SPS-Department": person.department,
            }
        )
        with self._lock:
            stored = self._stored.get((geo or geo_of(person), person.id), {})
            return values | stored

    def entity(self, person: Person, geo: str) -> dict[str, object]:
        """PersonProperties as GetPropertiesFor returns them."""
        values = self.properties(person, geo)
        host = self._mysite(geo_of(person))
        return {
            "AccountName": values["AccountName"],
            "DirectReports": [],
            "DisplayName": person.display_name,
            "Email": person.mail or None,
            "ExtendedManagers": [],
            "ExtendedReports": [values["AccountName"]],
            "IsFollowed": False,
            "LatestPost": None,
            "Peers": [],
            "PersonalSiteHostUrl": f"{host}/",
            "PersonalUrl": f"{host}/Person.aspx",
            "PictureUrl": shown_url(values),
            "Title": values["Title"] or None,
            "UserProfileProperties": [
                {"Key": key, "Value": value, "ValueType": "Edm.String"}
                for key, value in values.items()
            ],
            "UserUrl": f"{host}/Person.aspx",
        }


def shown_url(values: dict[str, str]) -> str | None:
    """The top-level `PictureUrl` that follows from the stored properties.

    None while the placeholder is shown or no URL is stored; else the stored URL, with the
    timestamp as cache buster.
    """
    url = values[PICTURE_URL]
    if not url or values[PLACEHOLDER_STATE] == "1":
        return None
    return f"{url}?t={values[TIMESTAMP]}" if values[TIMESTAMP] else url


def _canonical(name: str) -> str:
    try:
        return _NAMES[name.lower()]
    except KeyError:
        raise _refused("PropertyNotDefinedException", f"Property Not Defined: {name}.") from None


def _refused(exception: str, message: str) -> ServiceError:
    return ServiceError(500, f"-1, Microsoft.Office.Server.UserProfiles.{exception}", message)
