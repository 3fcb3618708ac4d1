"""ProcessQuery of the client object model: an XML request with several actions, a JSON answer.

Source: [MS-CSOM], SharePoint Client Query Protocol, sections 2.2 (messages) and 3.1.4.1
(ProcessQuery). The answer is an array: a header with `ErrorInfo`, then an id and a value for each
action that returns something. A void method returns nothing. An error ends the query: the answer
has the header only, and the actions before the failing one stay done.
"""

import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from local.tenant.sharepoint.odata import ServiceError, invalid

NAMESPACE: Final = "{http://schemas.microsoft.com/sharepoint/clientquery/2009}"
PEOPLE_MANAGER: Final = "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"
LIBRARY_VERSION: Final = "16.0.26512.12011"
MAX_BODY: Final = 2_097_152
_VERSION: Final = re.compile(r"1[456]\.0\.0\.0")


class People(Protocol):
    """What a query may call; arguments are raw, errors are ServiceError."""

    def set(self, account_name: str, name: str, value: str) -> None:
        """SetSingleValueProfileProperty."""
        ...

    def entity(self, account_name: str) -> dict[str, object] | None:
        """GetPropertiesFor; None for a person without profile."""
        ...

    def get(self, account_name: str, name: str) -> str:
        """GetUserProfilePropertyFor."""
        ...


@dataclass(frozen=True)
class Method:
    """A method call: name and parameters; None stands for a null."""

    name: str
    parameters: tuple[str | None, ...]

    def strings(self, count: int) -> tuple[str, ...]:
        """Exactly so many strings. Raises ServiceError 400 otherwise."""
        if len(self.parameters) != count or None in self.parameters:
            raise invalid(f"The method {self.name} needs {count} parameters that are not null.")
        return tuple(text for text in self.parameters if text is not None)


@dataclass(frozen=True)
class Action:
    """One action: `ObjectPath`, `Method` or `Query`, its id, the path it works on, the call."""

    kind: str
    id: int
    path: int
    method: Method | None = None


@dataclass
class Query:
    """A parsed request. A path is a PeopleManager (None) or what one of its methods returned."""

    paths: dict[int, Method | None] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)

    @property
    def people_calls(self) -> int:
        """How many calls of PeopleManager it holds."""
        methods = sum(action.method is not None for action in self.actions)
        return methods + sum(method is not None for method in self.paths.values())


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse document types: entities could blow the document up."""
        raise invalid(f"A document type is not allowed ({name}, {pubid}, {system}).")


def parse(body: bytes) -> Query:
    """Read a request.

    Raises:
        ServiceError: it is no well-formed, known query.
    """
    if len(body) > MAX_BODY:
        raise invalid("The request message is too big.")
    try:
        root = ET.fromstring(body, ET.XMLParser(target=_Builder()))  # noqa: S314 - see _Builder
    except (ET.ParseError, LookupError, ValueError) as error:
        raise invalid(f"The request is not well-formed: {error}.") from error
    if root.tag != f"{NAMESPACE}Request":
        raise invalid("The root element must be Request.")
    for name in ("SchemaVersion", "LibraryVersion"):
        if not _VERSION.fullmatch(root.get(name, "")):
            raise invalid(f"The {name} of the request is missing or not supported.")
    query = Query()
    for element in _children(root, "ObjectPaths"):
        query.paths[_number(element, "Id")] = _path(element, query)
    for element in _children(root, "Actions"):
        query.actions.append(_action(element, query))
    ids = [*query.paths, *(action.id for action in query.actions)]
    if len(ids) != len(set(ids)):
        raise invalid("An Id is used twice.")
    return query


def _children(root: ET.Element, name: str) -> Iterator[ET.Element]:
    parent = root.find(NAMESPACE + name)
    if parent is None:
        raise invalid(f"The request has no {name}.")
    yield from parent


def _path(element: ET.Element, query: Query) -> Method | None:
    match element.tag.removeprefix(NAMESPACE):
        case "Constructor":
            if element.get("TypeId", "").lower() != PEOPLE_MANAGER:
                raise invalid(f"Type {element.get('TypeId')} is not supported.")
            return None
        case "Method":
            if query.paths.get(_number(element, "ParentId"), element) is not None:
                raise invalid("The parent of an object path must be a PeopleManager.")
            return _method(element)
        case other:
            raise invalid(f"The object path {other} is not supported.")


def _action(element: ET.Element, query: Query) -> Action:
    kind = element.tag.removeprefix(NAMESPACE)
    path = _number(element, "ObjectPathId")
    if kind not in {"ObjectPath", "ObjectIdentityQuery", "Method", "Query"}:
        raise invalid(f"The action {kind} is not supported.")
    if path not in query.paths:
        raise invalid(f"The object path {path} does not exist.")
    method = _method(element) if kind == "Method" else None
    if method is not None and query.paths[path] is not None:
        raise invalid(f'Method "{method.name}" does not exist.')
    return Action(kind, _number(element, "Id"), path, method)


def _method(element: ET.Element) -> Method:
    found = element.find(f"{NAMESPACE}Parameters")
    values: list[str | None] = []
    for parameter in found if found is not None else ():
        match parameter.get("Type"):
            case "String":
                values.append(parameter.text or "")
            case "Null":
                values.append(None)
            case other:
                raise invalid(f"Cannot convert a parameter of type {other} to String.")
    return Method(element.get("Name", ""), tuple(values))


def _number(element: ET.Element, name: str) -> int:
    text = element.get(name, "")
    if not (text.isascii() and text.isdigit()):
        raise invalid(f"The attribute {name} must be a number.")
    return int(text)


def run(query: Query, people: People) -> list[object]:
    """Carry a query out, action by action; returns the answer's array.

    Raises:
        ServiceError: of the action that failed; those before it stay done.
    """
    answer: list[object] = []
    objects: dict[int, dict[str, object] | None] = {}
    for action in query.actions:
        if action.method is not None:
            value = _call(action.method, people)
            if value is not None:
                answer += [action.id, value]
            continue
        if action.path not in objects:
            objects[action.path] = _instantiate(query.paths[action.path], people)
        found = objects[action.path]
        if action.kind == "ObjectPath":
            answer += [action.id, {"IsNull": found is None}]
        elif action.kind == "Query":
            answer += [action.id, found]
    return [header(), *answer]


def _instantiate(method: Method | None, people: People) -> dict[str, object] | None:
    if method is None:
        return {"_ObjectType_": "SP.UserProfiles.PeopleManager"}
    if method.name != "GetPropertiesFor":
        raise invalid(f'Method "{method.name}" does not exist.')
    found = people.entity(*method.strings(1))
    if found is None:
        return None
    properties = found["UserProfileProperties"]
    pairs = properties if isinstance(properties, list) else []
    return (
        {"_ObjectType_": "SP.UserProfiles.PersonProperties"}
        | found
        | {"UserProfileProperties": {pair["Key"]: pair["Value"] for pair in pairs}}
    )


def _call(method: Method, people: People) -> str | None:
    match method.name:
        case "SetSingleValueProfileProperty":
            people.set(*method.strings(3))
            return None
        case "GetUserProfilePropertyFor":
            return people.get(*method.strings(2))
        case name:
            raise invalid(f'Method "{name}" does not exist.')


def header(error: ServiceError | None = None) -> dict[str, object]:
    """The first element of an answer, with `ErrorInfo` when the query failed."""
    trace = str(uuid.uuid4())
    info = None
    if error is not None:
        info = {
            "ErrorMessage": error.message,
            "ErrorValue": None,
            "TraceCorrelationId": trace,
            "ErrorCode": error.number,
            "ErrorTypeName": error.type_name,
        }
    return {
        "SchemaVersion": "15.0.0.0",
        "LibraryVersion": LIBRARY_VERSION,
        "ErrorInfo": info,
        "TraceCorrelationId": trace,
    }
