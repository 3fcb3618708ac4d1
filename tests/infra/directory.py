"""Microsoft Graph as an administrator's tools meet it: service principals, grants, sites.

One server on loopback answers both the stand-in for the Azure CLI and the one for Microsoft's
PowerShell module. It answers as Graph does, also where that is inconvenient: a list of site
permissions without `roles`, grants that are listed late and refused twice, 403, 404, throttling.
Sources: Microsoft Graph docs, "Get servicePrincipal", "Grant an appRoleAssignment to a service
principal", "List permissions" and "Create permission" of a site, "Upsert application",
"Create federatedIdentityCredential", "Create oAuth2PermissionGrant", "Microsoft Graph error
responses".
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
SHAREPOINT_APP = "00000003-0000-0ff1-ce00-000000000000"
GRAPH, SHAREPOINT = "graph-sp", "sharepoint-sp"
PRINCIPAL = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-8888-7777-6666-555555555555"
HOST = "contoso-my.sharepoint.com"
SITE = f"{HOST},aaaaaaaa-0000-0000-0000-000000000001,aaaaaaaa-0000-0000-0000-000000000002"
TENANT = "00000000-0000-0000-0000-00000000000b"

# Ids from Microsoft's published permission data; Graph and SharePoint share some.
ROLE_IDS = {
    "graph": {
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
        "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
        "ProfilePhoto.Read.All": "e24d31aa-e1ab-4c80-85fe-23018690335d",
        "Sites.FullControl.All": "a82116e5-55eb-4c41-a434-62fe8a61c773",
    },
    "sharepoint": {
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
        "Sites.FullControl.All": "678536fe-1083-478a-9c59-b99265e6b0d3",
        "Sites.Selected": "20d37865-089c-4dee-8c41-6967602d4ac8",
    },
}
RESOURCES = {"graph": (GRAPH, GRAPH_APP), "sharepoint": (SHAREPOINT, SHAREPOINT_APP)}
CLI_SCOPES = frozenset({"Directory.AccessAsUser.All"})
"""What the token of the Azure CLI may do in a directory, as far as its user may."""

_READ = {"Application.Read.All", "Application.ReadWrite.All", "Directory.AccessAsUser.All"}
_GRANT = {"AppRoleAssignment.ReadWrite.All", "Directory.AccessAsUser.All"}
_REGISTER = {"Application.ReadWrite.All", "Directory.AccessAsUser.All"}
_CONSENT = {"DelegatedPermissionGrant.ReadWrite.All", "Directory.AccessAsUser.All"}
_SITES = {"Sites.FullControl.All"}

type Json = dict[str, Any]


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}


def _missing(what: str) -> RefusedError:
    text = (
        f"Resource '{what}' does not exist or one of its queried reference-property objects "
        "are not present."
    )
    return RefusedError(404, "Request_ResourceNotFound", text)


_DENIED = RefusedError(
    403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
)


@dataclass
class Directory:
    """One tenant: what is in it, and what a test wants to know of it.

    Attributes:
        administrator: whether the caller's user may grant and register.
        principals: service principals by object id.
        people: object ids of users and groups.
        assignments: app role assignments.
        unlisted: assignments that exist and are not listed yet.
        permissions: of sites, by site id.
        busy: how many requests more are throttled.
        lag: how many requests more do not know what was created before.
        calls: method and path of each request, in order.
        connections: what `Connect-MgGraph` was asked for.
        roots: where requests were sent.
    """

    administrator: bool = True
    principals: dict[str, Json] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    assignments: list[Json] = field(default_factory=list)
    unlisted: list[Json] = field(default_factory=list)
    permissions: dict[str, list[Json]] = field(default_factory=lambda: {SITE: []})
    applications: list[Json] = field(default_factory=list)
    credentials: dict[str, list[Json]] = field(default_factory=dict)
    consents: list[Json] = field(default_factory=list)
    busy: int = 0
    lag: int = 0
    calls: list[str] = field(default_factory=list)
    connections: list[Json] = field(default_factory=list)
    roots: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for service, (object_id, app_id) in RESOURCES.items():
            roles = [
                # A delegated permission of the same name, which must not be taken.
                {"id": "delegated", "value": "User.Read.All", "allowedMemberTypes": ["User"]},
                *(
                    {"id": role_id, "value": value, "allowedMemberTypes": ["Application"]}
                    for value, role_id in ROLE_IDS[service].items()
                ),
            ]
            self.add_principal(object_id, app_id, roles)
        self.add_principal(PRINCIPAL, CLIENT, [])

    def add_principal(self, object_id: str, app_id: str, roles: list[Json]) -> None:
        """A service principal of this tenant."""
        self.principals[object_id] = {"id": object_id, "appId": app_id, "appRoles": roles}

    def granted(self, principal: str = PRINCIPAL) -> set[tuple[str, str]]:
        """Service and role of each grant that a principal has."""
        names = {
            (RESOURCES[service][0], role_id): (service, value)
            for service, roles in ROLE_IDS.items()
            for value, role_id in roles.items()
        }
        found = [a for a in self.assignments if a["principalId"] == principal]
        return {names[a["resourceId"], a["appRoleId"]] for a in found}

    def changes(self) -> list[str]:
        """Requests that were to change something."""
        return [call for call in self.calls if not call.startswith("GET ")]

    def request(
        self, method: str, path: str, query: dict[str, list[str]], body: Json, scopes: set[str]
    ) -> tuple[int, Json]:
        """Status and body for one request.

        Args:
            method: in upper case.
            path: below `/v1.0/`.
            query: decoded.
            body: an object; empty when there is none.
            scopes: what the token may do.

        Raises:
            RefusedError: Graph would not do it.
        """
        path = path.removesuffix("/")
        self.calls.append(f"{method} {path}")
        if set(query) - {"$select", "$top"}:
            raise RefusedError(400, "BadRequest", f"Invalid query {query}")
        status, answer = self._answer(method, path, body, scopes)
        if "$select" in query and "value" not in answer:
            chosen = query["$select"][0].split(",")
            answer = {k: v for k, v in answer.items() if k in chosen}
        return status, answer

    def _answer(self, method: str, path: str, body: Json, scopes: set[str]) -> tuple[int, Json]:
        if self.busy:
            self.busy -= 1
            raise RefusedError(429, "TooManyRequests", "Too many requests")
        for pattern, method_of, needed, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method_of == method:
                if not needed & scopes:
                    raise _DENIED
                if method != "GET" and not self.administrator:
                    raise _DENIED
                return answer(self, body, *match.groups())
        raise RefusedError(400, "BadRequest", f"Resource not found for the segment '{path}'.")

    # ---- service principals and grants ----------------------------------------------------------

    def _principal(self, key: str) -> Json:
        try:
            return self.principals[key]
        except KeyError:
            raise _missing(key) from None

    def _principal_of_app(self, _: Json, app_id: str) -> tuple[int, Json]:
        found = [p for p in self.principals.values() if p["appId"] == app_id]
        if not found:
            raise _missing(app_id)
        return 200, found[0]

    def _principal_by_id(self, _: Json, key: str) -> tuple[int, Json]:
        return 200, self._principal(key)

    def _add_principal(self, body: Json) -> tuple[int, Json]:
        app = next((a for a in self.applications if a["appId"] == body["appId"]), None)
        if app is None or self._lagging():
            text = (
                f"The appId '{body['appId']}' of the service principal does not reference a valid "
                "application object."
            )
            raise RefusedError(400, "NoBackingApplicationObject", text)
        object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"sp/{body['appId']}"))
        self.add_principal(object_id, body["appId"], app["appRoles"])
        return 201, self.principals[object_id]

    def _assignments(self, _: Json, key: str) -> tuple[int, Json]:
        self._principal(key)
        return 200, {"value": [a for a in self.assignments if a["principalId"] == key]}

    def _assigned(self, _: Json, key: str) -> tuple[int, Json]:
        self._principal(key)
        return 200, {"value": [a for a in self.assignments if a["resourceId"] == key]}

    def _lagging(self) -> bool:
        self.lag -= 1
        return self.lag >= 0

    def _assign(self, body: Json, resource: str) -> tuple[int, Json]:
        self._principal(resource)
        if resource not in (GRAPH, SHAREPOINT) and body["principalId"] not in self.people:
            raise _missing(body["principalId"])
        if body["resourceId"] != resource:
            raise RefusedError(400, "Request_BadRequest", "Invalid resourceId.")
        known = [{k: a[k] for k in body} for a in self.assignments + self.unlisted]
        if body in known:
            text = "Permission being assigned already exists on the object"
            raise RefusedError(400, "Request_BadRequest", text)
        self.assignments.append({"id": f"a{len(self.assignments)}", **body})
        return 201, self.assignments[-1]

    # ---- sites ----------------------------------------------------------------------------------

    def _site(self, _: Json, host: str) -> tuple[int, Json]:
        found = [site for site in self.permissions if site.split(",")[0] == host]
        if not found:
            raise RefusedError(404, "itemNotFound", "Requested site could not be found")
        return 200, {"id": found[0]}

    def _permissions(self, _: Json, site: str) -> tuple[int, Json]:
        # The list leaves `roles` out; only a permission read by its id has them.
        listed = [{k: v for k, v in p.items() if k != "roles"} for p in self.permissions[site]]
        return 200, {"value": listed}

    def _permission(self, _: Json, site: str, key: str) -> tuple[int, Json]:
        found = [p for p in self.permissions[site] if p["id"] == key]
        if not found:
            raise RefusedError(404, "itemNotFound", "Item not found")
        return 200, found[0]

    def _admit(self, body: Json, site: str) -> tuple[int, Json]:
        granted = [{"application": i["application"]} for i in body["grantedToIdentities"]]
        key = f"aTowaS50fG1zLnNwLmV4dHw{len(self.permissions[site])}"
        permission = {"id": key, "roles": body["roles"], "grantedToIdentitiesV2": granted}
        self.permissions[site].append(permission)
        return 201, permission

    # ---- applications ---------------------------------------------------------------------------

    def _application(self, _: Json, name: str) -> tuple[int, Json]:
        found = [a for a in self.applications if a.get("uniqueName") == name]
        if not found:
            raise _missing(name)
        return 200, found[0]

    def _register(self, body: Json) -> tuple[int, Json]:
        number = len(self.applications) + 1
        ids = {"id": f"0b0b0b0b-0000-0000-0000-{number:012}"}
        ids["appId"] = f"0a0a0a0a-0000-0000-0000-{number:012}"
        self.applications.append({"appRoles": [], **body, **ids})
        return 201, self.applications[-1]

    def _change(self, body: Json, key: str) -> tuple[int, Json]:
        app = next(a for a in self.applications if a["id"] == key)
        roles: list[Json] = body.get("appRoles") or app["appRoles"]
        kept = {role["id"] for role in roles}
        if any(r["isEnabled"] and r["id"] not in kept for r in app["appRoles"]):
            text = "Property value cannot be deleted unless it is disabled first."
            raise RefusedError(400, "CannotDeleteOrUpdateEnabledEntitlement", text)
        app.update(body)
        return 204, {}

    def _credentials_of(self, _: Json, key: str) -> tuple[int, Json]:
        return 200, {"value": self.credentials.get(key, [])}

    def _trust(self, body: Json, key: str) -> tuple[int, Json]:
        if self._lagging():
            raise _missing(key)
        held = self.credentials.setdefault(key, [])
        if any((c["issuer"], c["subject"]) == (body["issuer"], body["subject"]) for c in held):
            text = "FederatedIdentityCredential with the same issuer and subject already exists."
            raise RefusedError(409, "Request_MultipleObjectsWithSameKeyValue", text)
        if any(c["name"] == body["name"] for c in held):
            text = f"FederatedIdentityCredential with name {body['name']} already exists."
            raise RefusedError(409, "Request_MultipleObjectsWithSameKeyValue", text)
        held.append({"id": f"f{len(held)}", **body})
        return 201, held[-1]

    def _retrust(self, body: Json, key: str, credential: str) -> tuple[int, Json]:
        next(c for c in self.credentials[key] if c["id"] == credential).update(body)
        return 204, {}

    def _consents_of(self, _: Json, key: str) -> tuple[int, Json]:
        return 200, {"value": [c for c in self.consents if c["clientId"] == key]}

    def _consent(self, body: Json) -> tuple[int, Json]:
        self.consents.append({"id": f"c{len(self.consents)}", **body})
        return 201, self.consents[-1]

    def _extend_consent(self, body: Json, key: str) -> tuple[int, Json]:
        next(c for c in self.consents if c["id"] == key).update(body)
        return 204, {}


type _Answer = Callable[..., tuple[int, Json]]
_KEY = r"([\w-]+)"
_SITE_ID = r"([\w.-]+,[\w-]+,[\w-]+)"
_ROUTES: list[tuple[str, str, set[str], _Answer]] = [
    (r"servicePrincipals\(appId='([^']+)'\)", "GET", _READ, Directory._principal_of_app),
    (rf"servicePrincipals/{_KEY}", "GET", _READ, Directory._principal_by_id),
    (rf"servicePrincipals/{_KEY}/appRoleAssignments", "GET", _READ, Directory._assignments),
    (rf"servicePrincipals/{_KEY}/appRoleAssignedTo", "GET", _READ, Directory._assigned),
    (rf"servicePrincipals/{_KEY}/appRoleAssignedTo", "POST", _GRANT, Directory._assign),
    (rf"servicePrincipals/{_KEY}/oauth2PermissionGrants", "GET", _READ, Directory._consents_of),
    (r"servicePrincipals", "POST", _REGISTER, Directory._add_principal),
    (r"sites/([\w.-]+):", "GET", _SITES, Directory._site),
    (rf"sites/{_SITE_ID}/permissions", "GET", _SITES, Directory._permissions),
    (rf"sites/{_SITE_ID}/permissions/{_KEY}", "GET", _SITES, Directory._permission),
    (rf"sites/{_SITE_ID}/permissions", "POST", _SITES, Directory._admit),
    (r"applications\(uniqueName='([^']+)'\)", "GET", _READ, Directory._application),
    (r"applications", "POST", _REGISTER, Directory._register),
    (rf"applications/{_KEY}", "PATCH", _REGISTER, Directory._change),
    (rf"applications/{_KEY}/federatedIdentityCredentials", "GET", _READ, Directory._credentials_of),
    (rf"applications/{_KEY}/federatedIdentityCredentials", "POST", _REGISTER, Directory._trust),
    (
        rf"applications/{_KEY}/federatedIdentityCredentials/{_KEY}",
        "PATCH",
        _REGISTER,
        Directory._retrust,
    ),
    (r"oauth2PermissionGrants", "POST", _CONSENT, Directory._consent),
    (rf"oauth2PermissionGrants/{_KEY}", "PATCH", _CONSENT, Directory._extend_consent),
]


def reason(status: int) -> str:
    """What HTTP calls a status."""
    return HTTPStatus(status).phrase


class Served:
    """Directories on loopback: each is the first part of the path.

    Attributes:
        directories: by name.
    """

    def __init__(self, port: int) -> None:
        self.directories: dict[str, Directory] = {}
        self._port = port

    def add(self, name: str, directory: Directory) -> str:
        """Serve a directory; the URL at which it answers."""
        self.directories[name] = directory
        return f"http://127.0.0.1:{self._port}/{name}"


@contextmanager
def serving() -> Iterator[Served]:
    """A server until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            url = urlsplit(self.path)
            _, name, rest = unquote(url.path).split("/", 2)
            directory = served.directories[name]
            if rest == "connect":
                directory.connections.append(body)
                self._send(200, {})
                return
            scopes = set(self.headers["Authorization"].removeprefix("Bearer ").split())
            path, query = rest.removeprefix("v1.0/"), parse_qs(url.query)
            try:
                self._send(*directory.request(self.command, path, query, body, scopes))
            except RefusedError as refused:
                self._send(refused.status, refused.body)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - names of the standard library

        def _send(self, status: int, answer: Json) -> None:
            data = b"" if status == 204 else json.dumps(answer).encode()
            self.send_response(status, reason(status))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Served(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
