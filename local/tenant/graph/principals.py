"""Service principals, their app roles, and the root site in Microsoft Graph.

Sources: Microsoft Graph docs "Get servicePrincipal", "List appRoleAssignments"; role ids from
Microsoft's published permission data.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from local.tenant.graph.answers import Answer, Call, bad_request, not_found
from local.tenant.identity.tokens import GRAPH_APP_ID, SHAREPOINT_APP_ID

READ_APPLICATIONS = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All")
READ_SITES = ("Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All")

ROLE_IDS = {
    "graph": {
        "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
        "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
        "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
        "MailboxSettings.Read": "40f97065-369a-49f4-947c-6a255697ae91",
        "PeopleSettings.Read.All": "ef02f2e7-e22d-4c77-8614-8f765683b86e",
        "ProfilePhoto.Read.All": "e24d31aa-e1ab-4c80-85fe-23018690335d",
        "Sites.FullControl.All": "a82116e5-55eb-4c41-a434-62fe8a61c773",
        "Sites.Selected": "883ea226-0bf2-4a8f-9f9d-92c9162a727d",
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "User.ReadBasic.All": "97235f07-e226-4f63-ace3-39588e11d3a1",
    },
    "sharepoint": {
        "Sites.FullControl.All": "678536fe-1083-478a-9c59-b99265e6b0d3",
        "Sites.ReadWrite.All": "fbcd29d2-fcca-4405-aded-518d457caae4",
        "Sites.Selected": "20d37865-089c-4dee-8c41-6967602d4ac8",
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
    },
}
_RESOURCES = {
    "graph": (GRAPH_APP_ID, "Microsoft Graph"),
    "sharepoint": (SHAREPOINT_APP_ID, "Office 365 SharePoint Online"),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A managed identity: client id and object (principal) id."""

    client_id: str
    object_id: str
    name: str


class Principals:
    """Answers calls below `/servicePrincipals`, and `/sites/root`.

    Args:
        identities: the managed identities of the app.
        roles: granted role names by service.
        tenant_name: as in the SharePoint host name.
    """

    def __init__(
        self,
        *,
        identities: Collection[Identity],
        roles: Mapping[str, Collection[str]],
        tenant_name: str,
    ) -> None:
        self._identities = identities
        self._roles = roles
        self._tenant_name = tenant_name
        # Ids of service principals differ from tenant to tenant.
        self._resource_ids = {service: str(uuid.uuid4()) for service in _RESOURCES}

    def root_site(self, call: Call) -> Answer:
        """`GET /sites/root`."""
        call.allow(*READ_SITES)
        host = f"{self._tenant_name}.sharepoint.com"
        body = {
            "@odata.context": f"{call.root}/$metadata#sites/$entity",
            "id": f"{host},{uuid.uuid4()},{uuid.uuid4()}",
            "siteCollection": {"hostname": host},
            "webUrl": f"https://{host}",
        }
        return Answer(200, body)

    def get(self, call: Call) -> Answer:
        """A service principal by id or by `(appId='…')`, or its role assignments."""
        call.allow(*READ_APPLICATIONS)
        match call.segments[1:]:
            case (key,):
                context = f"{call.root}/$metadata#servicePrincipals/$entity"
                return Answer(200, {"@odata.context": context} | self._find(key))
            case (key, "appRoleAssignments"):
                context = f"{call.root}/$metadata#appRoleAssignments"
                found = self._assignments(str(self._find(key)["id"]))
                return Answer(200, {"@odata.context": context, "value": found}, units=2)
        raise bad_request(f"Resource not found for the segment '{call.segments[-1]}'.")

    def _find(self, key: str) -> dict[str, Any]:
        """Key is an object id, or an app id in its own form."""
        wanted = key.lower()
        for service, (app_id, name) in _RESOURCES.items():
            if wanted in (f"appid={app_id}", self._resource_ids[service]):
                roles = [
                    {"id": role_id, "value": value, "allowedMemberTypes": ["Application"]}
                    for value, role_id in ROLE_IDS[service].items()
                ]
                return {
                    "id": self._resource_ids[service],
                    "appId": app_id,
                    "displayName": name,
                    "appRoles": roles,
                }
        for identity in self._identities:
            if wanted in (f"appid={identity.client_id}", identity.object_id):
                return {
                    "id": identity.object_id,
                    "appId": identity.client_id,
                    "displayName": identity.name,
                    "servicePrincipalType": "ManagedIdentity",
                    "appRoles": [],
                }
        raise not_found(key)

    def _assignments(self, principal_id: str) -> list[dict[str, Any]]:
        if principal_id in self._resource_ids.values():
            return []
        return [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{principal_id}{service}{role}")),
                "principalId": principal_id,
                "resourceId": self._resource_ids[service],
                "resourceDisplayName": _RESOURCES[service][1],
                "appRoleId": ROLE_IDS[service][role],
            }
            for service in _RESOURCES
            for role in sorted(self._roles.get(service, ()))
            if role in ROLE_IDS[service]
        ]
