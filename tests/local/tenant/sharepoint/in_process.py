"""A SharePoint of the emulated tenant without a server: requests go straight to `handle`."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from local.support.clock import VirtualClock
from local.tenant.directory import Directory, Person
from local.tenant.http import Request, Response
from local.tenant.identity.tokens import Tokens
from local.tenant.quirks import Quirks, Quotas
from local.tenant.sharepoint.service import SharePoint

APP = "11111111-2222-3333-4444-555555555555"
JSON = "application/json;odata=nometadata"
FOLDER = "/User Photos/Profile Pictures"
PROFILES = "/_api/SP.UserProfiles.PeopleManager"
ALL_ROLES = frozenset({"User.ReadWrite.All", "Sites.FullControl.All"})


def person(upn: str, **changes: Any) -> Person:
    """An ordinary member called `upn`, with a stable id."""
    values: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, upn)),
        "upn": upn,
        "display_name": "Anna Example",
        "mail": upn,
        "account_enabled": True,
        "user_type": "Member",
        "plans": [],
        "photo": None,
        "has_profile": True,
        "geo": "",
        "existing": "none",
    }
    return Person(**values | changes)


def claim(upn: str) -> str:
    """The account name of a UPN."""
    return f"i:0#.f|membership|{upn}"


def literal(text: str) -> str:
    """An OData string, percent-encoded for an address."""
    return quote("'" + text.replace("'", "''") + "'", safe="")


def folder_url(path: str = FOLDER) -> str:
    return f"/_api/web/GetFolderByServerRelativePath(decodedUrl={literal(path)})"


def file_url(name: str, path: str = FOLDER) -> str:
    return f"/_api/web/GetFileByServerRelativePath(decodedUrl={literal(f'{path}/{name}')})"


def upload_url(name: str, *, overwrite: bool = True, path: str = FOLDER) -> str:
    flag = str(overwrite).lower()
    return f"{folder_url(path)}/Files/AddUsingPath(decodedUrl={literal(name)},overwrite={flag})"


def profile_url(upn: str, select: str = "") -> str:
    query = f"&$select={select}" if select else ""
    return f"{PROFILES}/GetPropertiesFor(accountName=@v)?@v={literal(claim(upn))}{query}"


def body_of(response: Response) -> Any:
    return json.loads(response.body)


def error_of(response: Response) -> tuple[int, str]:
    """Status and error code of an answer in the nometadata form."""
    return response.status, body_of(response)["odata.error"]["code"]


@dataclass
class Bench:
    """The parts under test; fields may be changed before or between requests."""

    quirks: Quirks = field(default_factory=Quirks)
    quotas: Quotas = field(default_factory=Quotas)
    clock: VirtualClock = field(default_factory=VirtualClock)
    directory: Directory = field(default_factory=Directory)
    roles: dict[str, set[str]] = field(default_factory=lambda: {"sharepoint": set(ALL_ROLES)})

    def __post_init__(self) -> None:
        self.urls = {
            name: f"http://{name}.test" for name in ("mysite", "admin", "mysite2", "admin2")
        }
        self.tokens = Tokens(roles=self.roles, origins=lambda name: self.urls.get(name, name))
        self.sharepoint = SharePoint(
            directory=self.directory,
            tokens=self.tokens,
            clock=self.clock,
            origins=lambda name: self.urls[name],
            quirks=self.quirks,
            quotas=self.quotas,
        )

    def add(self, upn: str, **changes: Any) -> Person:
        return self.directory.add(person(upn, **changes))

    def send(
        self,
        method: str,
        target: str,
        body: bytes | object = b"",
        *,
        origin: str = "mysite",
        audience: str | None = None,
        app: str = APP,
        **headers: str,
    ) -> Response:
        """Send a request with a fresh token; underscores in header names become hyphens."""
        token = self.tokens.mint(audience or self.urls[origin], app, "object")
        sent = {"accept": JSON, "authorization": f"Bearer {token}"}
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["content-type"] = JSON
        if method == "POST":
            sent["content-length"] = str(len(body))
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.sharepoint.handle(Request(method, origin, target, sent, body))

    def get(self, target: str, **options: str) -> Response:
        return self.send("GET", target, **options)

    def upload(self, name: str, content: bytes = b"jpeg", **options: Any) -> Response:
        overwrite = options.pop("overwrite", True)
        return self.send("POST", upload_url(name, overwrite=overwrite), content, **options)

    def set(self, upn: str, name: str, value: object, *, origin: str = "admin") -> Response:
        document = {"accountName": claim(upn), "propertyName": name, "propertyValue": value}
        return self.send(
            "POST", f"{PROFILES}/SetSingleValueProfileProperty", document, origin=origin
        )
