"""`SP.UserProfiles.PeopleManager` over REST and over ProcessQuery.

Sources: Microsoft Learn, "PeopleManager class" (REST and client object model), "User profiles REST
API reference".
"""

import json
from typing import Final

from local.tenant.sharepoint.odata import Segment, Value, invalid, no_resource
from local.tenant.sharepoint.odata_answers import Result
from local.tenant.sharepoint.profiles import Profiles
from local.tenant.sharepoint.site import PROFILE_READ, PROFILE_WRITE, Caller, Order

PEOPLE_MANAGER: Final = "sp.userprofiles.peoplemanager"
ENTITY: Final = "SP.UserProfiles.PersonProperties"
_SET_PARAMETERS: Final = ("accountName", "propertyName", "propertyValue")


class PeopleManager:
    """PeopleManager as one caller may use it; errors are ServiceError.

    Args:
        profiles: the store.
        caller: whose roles count, and through which geo they call.
    """

    def __init__(self, profiles: Profiles, caller: Caller) -> None:
        self._profiles = profiles
        self._caller = caller

    def set(self, account_name: str, name: str, value: str) -> None:
        """SetSingleValueProfileProperty."""
        self._caller.need_profiles(PROFILE_WRITE)
        self._profiles.set(account_name, name, value, self._caller.site.geo)

    def entity(self, account_name: str) -> dict[str, object] | None:
        """GetPropertiesFor; None (or an error, by quirk) for a person without profile."""
        self._caller.need_profiles(PROFILE_READ)
        person = self._profiles.find(account_name)
        if person is None and self._caller.quirks.unknown_profile == "error":
            self._profiles.known(account_name)
        return None if person is None else self._profiles.entity(person, self._caller.site.geo)

    def get(self, account_name: str, name: str) -> str:
        """GetUserProfilePropertyFor."""
        self._caller.need_profiles(PROFILE_READ)
        return self._profiles.get(self._profiles.known(account_name), name, self._caller.site.geo)

    def handle(self, order: Order) -> Result:
        """Answer a REST request below `SP.UserProfiles.PeopleManager/`."""
        if len(order.call.segments) != 2:  # noqa: PLR2004 - the class and one method
            raise no_resource("/".join(order.call.names))
        segment = order.call.segments[1]
        match segment.name:
            case "getpropertiesfor":
                # Both verbs reach this method; the Python client library posts.
                order.need("GET", "POST")
                order.call.only("$select")
                found = self.entity(segment.text("accountName"))
                if found is None:
                    return Result(None, "GetPropertiesFor")
                return Result(order.call.select(found), ENTITY)
            case "getuserprofilepropertyfor":
                order.need("GET", "POST")
                order.call.only()
                account, name = _strings(segment.take("accountName", "propertyName"))
                return Result(self.get(account, name), "GetUserProfilePropertyFor")
            case "setsinglevalueprofileproperty":
                order.need("POST")
                order.call.only()
                self.set(*_strings(_set_arguments(segment, order)))
                return Result(None, "SetSingleValueProfileProperty")
            case name:
                raise no_resource(name)


def _set_arguments(segment: Segment, order: Order) -> list[Value]:
    """The three arguments, from the body or from the address, never from both."""
    if segment.arguments:
        return segment.take(*_SET_PARAMETERS)
    if "json" not in order.headers.get("content-type", ""):
        raise invalid("The body must have the Content-Type application/json.")
    try:
        document = json.loads(order.body)
    except ValueError as error:
        raise invalid("Invalid JSON. The body could not be read.") from error
    if not isinstance(document, dict):
        raise invalid("Invalid JSON. An object was expected.")
    for name in document:
        if name not in _SET_PARAMETERS:
            raise invalid(f"The parameter {name} does not exist in method {segment.name}.")
    return [document.get(name) for name in _SET_PARAMETERS]


def _strings(values: list[Value]) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise invalid(
                "Cannot convert a primitive value to the expected type 'Edm.String'. See the "
                "inner exception for more details."
            )
    return [str(value) for value in values]
