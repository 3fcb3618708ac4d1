"""Short stable names for what a request asks, by its method, URL and body."""

import json
import re
from typing import NamedTuple

from local.tenant.http import Request

_PHOTO = re.compile(r"^/?users(/[^/]+|\([^/]+\))/photos?(/[^/$]+)?$", re.IGNORECASE)
_PHOTO_BYTES = re.compile(
    r"^/?users(/[^/]+|\([^/]+\))/photos?(/[^/]+)?/(\$|%24)value$", re.IGNORECASE
)
_GRAPH = (
    ("users.list", re.compile(r"^/users/?$", re.IGNORECASE)),
    ("photo.bytes", _PHOTO_BYTES),
    ("photo.read", _PHOTO),
    ("users.get", re.compile(r"^/users(/[^/]+|\([^/]+\))$", re.IGNORECASE)),
    ("member.check", re.compile(r"^/users/[^/]+/checkmembergroups$", re.IGNORECASE)),
    ("group.members", re.compile(r"^/groups/[^/]+/(transitive)?members(/|$)", re.IGNORECASE)),
    ("group.read", re.compile(r"^/groups/[^/]+$", re.IGNORECASE)),
    ("approles.read", re.compile(r"^/serviceprincipals.*/approleassignments$", re.IGNORECASE)),
    ("principal.read", re.compile(r"^/serviceprincipals", re.IGNORECASE)),
    ("site.read", re.compile(r"^/sites/", re.IGNORECASE)),
)
#: Names of batches by the operations in them.
_GRAPH_BATCHES = {
    frozenset({"photo.read"}): "photo.batch",
    frozenset({"photo.bytes"}): "photo.bytes.batch",
    frozenset({"users.get"}): "user.batch",
    frozenset({"users.get", "photo.read"}): "user.photo.batch",
    frozenset({"users.list"}): "scope.batch",
    frozenset({"member.check"}): "members.batch",
}
_SHAREPOINT = (
    # name, method, pattern of the lower-case path
    ("digest", "POST", re.compile(r"/_api/contextinfo$")),
    ("profile.write", "POST", re.compile(r"peoplemanager.*/set[a-z]+")),
    ("profile.read", "", re.compile(r"peoplemanager")),
    ("file.upload", "POST", re.compile(r"/files/add")),
    ("file.recycle", "POST", re.compile(r"/recycle(\(\))?$")),
    ("file.delete", "DELETE", re.compile(r"/getfileby")),
    ("file.upload", "PUT", re.compile(r"/(\$|%24)value$")),
    ("file.write", "POST", re.compile(r"/getfileby")),
    ("file.read", "GET", re.compile(r"/getfileby|/files\b|^/user%20photos/")),
    ("folder.create", "POST", re.compile(r"/folders\b")),
    ("folder.delete", "DELETE", re.compile(r"/getfolderby")),
    ("folder.read", "GET", re.compile(r"/getfolderby|/folders\b")),
    ("list.create", "POST", re.compile(r"/_api/web/lists$")),
    ("list.read", "GET", re.compile(r"/_api/web/lists")),
    ("web.read", "GET", re.compile(r"/_api/web\b")),
)
_CHANGES = frozenset(
    {"profile.write", "file.upload", "file.recycle", "file.delete", "file.write"}
    | {"folder.create", "folder.delete", "list.create"}
)


class Operation(NamedTuple):
    """What a request asks.

    Attributes:
        service: `graph`, `sharepoint`, `identity`, `login`.
        name: short stable name, such as `photo.batch`.
        changes: meant to change SharePoint.
        items: of a batch, the URLs in it.
    """

    service: str
    name: str
    changes: bool = False
    items: tuple[str, ...] = ()


def classify(request: Request) -> Operation:
    """Name a request; `other` when it is none that the tenant knows."""
    if request.origin == "graph":
        return _graph(request)
    if request.origin == "login":
        token = request.method == "POST"
        return Operation("login", "token" if token else "openid")
    if request.origin == "identity":
        return Operation("identity", "token")
    return _sharepoint(request)


def _graph(request: Request) -> Operation:
    path = request.path().partition("/")[2].partition("/")[2]
    if path.lower() in ("$batch", "%24batch"):
        return _graph_batch(request)
    return Operation("graph", _graph_name(f"/{path}"))


def _graph_name(path: str) -> str:
    return next((name for name, pattern in _GRAPH if pattern.match(path)), "other")


def _graph_batch(request: Request) -> Operation:
    try:
        urls = tuple(str(item["url"]) for item in json.loads(request.body)["requests"])
    except (ValueError, TypeError, KeyError):
        return Operation("graph", "batch")
    names = {_graph_name(f"/{url.partition('?')[0].lstrip('/')}") for url in urls}
    return Operation("graph", _GRAPH_BATCHES.get(frozenset(names), "batch"), items=urls)


def _sharepoint(request: Request) -> Operation:
    path = request.path().lower()
    method = request.headers.get("x-http-method", request.method).upper()
    if path.endswith("/_vti_bin/client.svc/processquery"):
        writes = b"SetSingleValueProfileProperty" in request.body
        writes = writes or b"SetMultiValuedProfileProperty" in request.body
        return Operation("sharepoint", "profile.write" if writes else "profile.query", writes)
    if path.endswith(("/_api/$batch", "/_api/%24batch")):
        lines = re.findall(rb"^(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP", request.body, re.MULTILINE)
        items = tuple(target.decode("latin-1") for _, target in lines)
        writes = any(verb != b"GET" for verb, _ in lines)
        return Operation("sharepoint", "profile.batch", writes, items)
    for name, verb, pattern in _SHAREPOINT:
        if verb in ("", method) and pattern.search(path):
            return Operation("sharepoint", name, name in _CHANGES)
    return Operation("sharepoint", "other", method not in ("GET", "HEAD"))
