"""`web/...`: the site itself, folders, files and lists over REST.

Sources: Microsoft Learn, "Working with folders and files with REST", "Support for % and # in
files and folders with the ResourcePath API", "Files and folders REST API reference".
"""

import json
from collections.abc import Sequence
from typing import Final

from local.tenant.sharepoint.entities import (
    PICTURE_LIBRARY,
    file_entity,
    folder_entity,
    list_entity,
    version_entities,
)
from local.tenant.sharepoint.library import LIBRARY, Library, over_threshold
from local.tenant.sharepoint.odata import Segment, ServiceError, invalid, legacy_name, no_resource
from local.tenant.sharepoint.odata_answers import Result
from local.tenant.sharepoint.site import SITE_MANAGE, SITE_READ, SITE_WRITE, Caller, Order

_FILE_ACTIONS: Final = frozenset({"recycle", "deleteobject", "checkout", "checkin", "undocheckout"})


class Web:
    """The root web of a site as one caller may use it; errors are ServiceError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._library: Library = caller.site.library

    def handle(self, order: Order) -> Result:
        """Answer a REST request below `web`."""
        self._caller.need_site(SITE_READ if order.method == "GET" else SITE_WRITE)
        rest = order.call.segments[1:]
        if not rest:
            return self._entity(order, self._web(), "SP.Web", ())
        first, rest = rest[0], rest[1:]
        match first.name:
            case "getfolderbyserverrelativepath":
                return self._folder(order, first.text("decodedUrl"), rest)
            case "getfolderbyserverrelativeurl":
                path = legacy_name(first.text("serverRelativeUrl"))
                return self._folder(order, path, rest)
            case "getfilebyserverrelativepath":
                return self._file(order, first.text("decodedUrl"), rest)
            case "getfilebyserverrelativeurl":
                return self._file(order, legacy_name(first.text("serverRelativeUrl")), rest)
            case "getfilebyid":
                path = self._library.file_by_id(first.text("uniqueId")).path
                return self._file(order, path, rest)
            case "folders":
                return self._folders(order, "", rest)
            case "lists":
                return self._lists(order, rest)
            case name if not rest:
                return self._entity(order, self._web(), "SP.Web", (first,))
            case name:
                raise no_resource(name)

    def _web(self) -> dict[str, object]:
        return {
            "Id": "b9a5ab4b-4b9a-4b3a-9e2b-0d4f6f6d1a11",
            "Language": 1033,
            "ServerRelativeUrl": "/",
            "Title": "Tenant administration" if self._caller.site.is_admin else "My Site host",
            "Url": self._caller.site.url,
            "WebTemplate": "TENANTADMIN" if self._caller.site.is_admin else "SPSMSITEHOST",
        }

    def _entity(
        self, order: Order, entity: dict[str, object], kind: str, rest: Sequence[Segment]
    ) -> Result:
        """An entity, or the one property that the rest of the address names."""
        known = {name.lower(): name for name in entity}
        if rest and (len(rest) != 1 or rest[0].arguments or rest[0].name not in known):
            raise no_resource(rest[-1].name)
        order.need("GET")
        if not rest:
            order.call.only("$select")
            return Result(order.call.select(entity), kind)
        order.call.only()
        name = known[rest[0].name]
        return Result(entity[name], name)

    # -- folders ---------------------------------------------------------------------------

    def _folder(self, order: Order, path: str, rest: Sequence[Segment]) -> Result:
        if order.method == "GET" and (missing := self._missing_folder(order, path, rest)):
            return missing
        match rest[0].name if rest else "":
            case "files":
                return self._files(order, path, rest)
            case "folders":
                return self._folders(order, path, rest[1:])
            case "recycle" | "deleteobject":
                order.need("POST")
                self._library.folder(path)
                self._library.delete_folder(path)
                return Result(None, "Recycle")
            case "" if order.method == "DELETE":
                self._library.folder(path)
                self._library.delete_folder(path)
                return Result(None, "Delete")
            case _:
                return self._entity(
                    order, folder_entity(self._library.folder(path)), "SP.Folder", rest
                )

    def _missing_folder(self, order: Order, path: str, rest: Sequence[Segment]) -> Result | None:
        """The answer about a folder that is not there, unless it is 404."""
        if self._caller.quirks.missing_folder == "404" or self._library.has_folder(path):
            return None
        if any(segment.arguments for segment in rest):
            return None
        selected = [name.lower() for name in order.call.selected()]
        match [segment.name for segment in rest]:
            case [] if "exists" in selected:
                return Result({"Exists": False}, "SP.Folder")
            case ["exists"]:
                return Result(False, "Exists")
            case ["files" | "folders"]:
                return Result([])
        return None

    def _folders(self, order: Order, path: str, rest: Sequence[Segment]) -> Result:
        if not rest:
            order.need("GET")
            order.call.only("$select", "$top")
            over = self._caller.quirks.folders_over_threshold
            if over and path.strip("/").lower() == LIBRARY.strip("/").lower():
                raise over_threshold()
            children = self._library.folder(path).folders.values()
            return Result([order.call.select(folder_entity(child)) for child in children])
        order.need("POST")
        self._caller.need_folder_right()
        match rest[0].name:
            case "addusingpath":
                name, _ = rest[0].take("decodedUrl", "overwrite")
            case "add":
                (name,) = rest[0].take("url")
                name = legacy_name(str(name)) if name is not None else None
            case other:
                raise no_resource(other)
        if not isinstance(name, str) or not name or len(rest) > 1:
            raise invalid("The name of the folder must be a non-empty string.")
        absolute = name if name.startswith("/") else f"{path}/{name}"
        return Result(folder_entity(self._library.create_folder(absolute)), "SP.Folder")

    # -- files -----------------------------------------------------------------------------

    def _files(self, order: Order, path: str, rest: Sequence[Segment]) -> Result:
        if rest[0].arguments:
            return self._file(order, f"{path}/{rest[0].text('url')}", rest[1:])
        if len(rest) == 1:
            order.need("GET")
            order.call.only("$select", "$top")
            listed = self._library.listed(self._library.folder(path), _top(order))
            return Result([order.call.select(file_entity(stored)) for stored in listed])
        order.need("POST")
        match rest[1].name:
            case "addusingpath":
                name, overwrite, _ = rest[1].take(
                    "decodedUrl", "overwrite", "autoCheckoutOnInvalidData"
                )
            case "add":
                name, overwrite = rest[1].take("url", "overwrite")
                name = legacy_name(str(name)) if name is not None else None
            case other:
                raise no_resource(other)
        if not isinstance(name, str) or not name or len(rest) > 2:  # noqa: PLR2004 - Files, Add
            raise invalid("The name of the file must be a non-empty string.")
        if overwrite not in (True, False, None):
            raise invalid("The parameter overwrite must be true or false.")
        stored = self._library.put(
            path, name, order.body, overwrite=overwrite is True, by=self._caller.name
        )
        return Result(file_entity(stored), "SP.File")

    def _file(self, order: Order, path: str, rest: Sequence[Segment]) -> Result:
        name = rest[0].name if len(rest) == 1 else ""
        if name in _FILE_ACTIONS:
            order.need("POST")
            return self._file_action(order, path, rest[0])
        if order.method == "DELETE" and not rest:
            self._library.delete(path, self._caller.name)
            return Result(None, "Delete")
        if name == "$value":
            if order.method == "PUT":
                folder, _, leaf = self._library.file(path).path.rpartition("/")
                by = self._caller.name
                self._library.put(folder, leaf, order.body, overwrite=True, by=by)
                return Result(None, "SaveBinary")
            order.need("GET")
            order.call.only()
            return Result(self._library.file(path).content)
        if name == "versions":
            order.need("GET")
            order.call.only("$select", "$top")
            versions = version_entities(self._library.file(path))
            return Result([order.call.select(version) for version in versions])
        return self._entity(order, file_entity(self._library.file(path)), "SP.File", rest)

    def _file_action(self, order: Order, path: str, segment: Segment) -> Result:
        order.call.only()
        by = self._caller.name
        match segment.name:
            case "recycle":
                segment.take()
                return Result(self._library.recycle(path, by), "Recycle")
            case "deleteobject":
                self._library.delete(path, by)
            case "checkout":
                self._library.check_out(path, by)
            case "checkin":
                segment.take("comment", "checkInType")
                self._library.check_in(path)
            case _:  # undocheckout
                self._library.check_in(path)
        return Result(None, segment.name)

    # -- lists -----------------------------------------------------------------------------

    def _lists(self, order: Order, rest: Sequence[Segment]) -> Result:
        if not rest:
            order.need("POST")
            self._caller.need_site(SITE_MANAGE)
            return Result(self._create_list(order.body), "SP.List")
        if rest[0].name != "getbytitle":
            raise no_resource(rest[0].name)
        title = rest[0].text("title")
        if title.lower() != LIBRARY.strip("/").lower() or not self._library.has_folder(LIBRARY):
            raise ServiceError(
                404,
                "-1, System.ArgumentException",
                f"List '{title}' does not exist at site with URL '{self._caller.site.url}'.",
            )
        return self._entity(order, list_entity(self._library.folder(LIBRARY)), "SP.List", rest[1:])

    def _create_list(self, body: bytes) -> dict[str, object]:
        try:
            wanted = json.loads(body)
            title, template = wanted["Title"], wanted["BaseTemplate"]
        except (ValueError, TypeError, KeyError) as error:
            raise invalid("A list needs Title and BaseTemplate.") from error
        if template != PICTURE_LIBRARY or title != LIBRARY.strip("/"):
            raise invalid("Only the picture library User Photos can be created here.")
        return list_entity(self._library.create_library())


def _top(order: Order) -> int | None:
    text = order.call.options.get("$top")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise invalid("$top must be a number.")
    return int(text)
