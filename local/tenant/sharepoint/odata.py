"""SharePoint's dialect of OData v3: addresses and errors.

An address such as `web/GetFolderByServerRelativePath(decodedUrl=@f)/Files?$select=Name&@f='/x'`
becomes a `Call`. Sources: Microsoft Learn, "Use OData query operations in SharePoint REST
requests", "Determine SharePoint REST service endpoint URIs".
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

type Value = str | int | bool | None

INVALID_QUERY: Final = "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"
NO_RESOURCE: Final = "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"
ACCESS_DENIED: Final = "-2147024891, System.UnauthorizedAccessException"
NOT_FOUND: Final = "-2147024894, System.IO.FileNotFoundException"

_LEGAL: Final = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEGMENT: Final = re.compile(r"(?P<name>[$\w.\-]+)")
_LITERAL: Final = re.compile(
    r"(?:guid|datetime|time)?'(?P<text>(?:[^']|'')*)'"
    r"|(?P<word>true|false|null)\b|(?P<number>-?\d+)|(?P<alias>@\w+)",
    re.IGNORECASE,
)
_ARGUMENT: Final = re.compile(r"\s*(?:(?P<name>\w+)\s*=\s*)?")
_OPTIONS: Final = {"$select", "$expand", "$top", "$filter", "$orderby", "$skip"}


class ServiceError(Exception):
    """An answer other than success, raised anywhere while a request is served.

    Attributes:
        status: the HTTP status.
        code: what SharePoint puts into `code`: "<HRESULT>, <.NET type>".
        message: English text; the real service localises it.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def number(self) -> int:
        """The HRESULT alone, as ProcessQuery reports it."""
        return int(self.code.split(",")[0])

    @property
    def type_name(self) -> str:
        """The .NET type alone, as ProcessQuery reports it."""
        return self.code.split(",")[1].strip()


class BadAddress(ServiceError):
    """The web server refused the address before SharePoint saw it: 400 with an HTML body."""

    def __init__(self) -> None:
        super().__init__(400, INVALID_QUERY, "Bad Request - Invalid URL")


def invalid(message: str) -> ServiceError:
    """400 for a request that SharePoint understands as an address, but cannot execute."""
    return ServiceError(400, INVALID_QUERY, message)


def no_resource(name: str) -> ServiceError:
    """404 for an endpoint that does not exist."""
    return ServiceError(404, NO_RESOURCE, f"Cannot find resource for the request {name}.")


@dataclass(frozen=True)
class Segment:
    """One step of an address: a lower-case name and, when it had parentheses, its arguments.

    Arguments keep their order; a positional one has the name "".
    """

    name: str
    arguments: tuple[tuple[str, Value], ...] = ()

    def take(self, *names: str) -> list[Value]:
        """The arguments by name (case-insensitive) or position; None for one not given.

        Raises:
            ServiceError: 400 for an argument that the method does not have.
        """
        found: dict[str, Value] = {}
        for position, (name, value) in enumerate(self.arguments):
            key = name.lower() or (names[position].lower() if position < len(names) else "")
            if key not in {known.lower() for known in names} or key in found:
                raise invalid(f"The parameter {name} does not exist in method {self.name}.")
            found[key] = value
        return [found.get(name.lower()) for name in names]

    def text(self, name: str) -> str:
        """The only argument, a non-empty string. Raises ServiceError 400 for anything else."""
        (value,) = self.take(name)
        if not isinstance(value, str) or not value:
            raise invalid(f"The parameter {name} of {self.name} must be a non-empty string.")
        return value


@dataclass(frozen=True)
class Call:
    """A parsed address below `_api/`: its steps and its `$` options (lower-case names)."""

    segments: tuple[Segment, ...]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The lower-case names of all steps."""
        return tuple(segment.name for segment in self.segments)

    def select(self, entity: dict[str, object]) -> dict[str, object]:
        """The entity reduced to `$select`. Raises ServiceError 400 for an unknown field."""
        wanted = self.selected()
        if not wanted:
            return entity
        known = {name.lower(): name for name in entity}
        for name in wanted:
            if name.lower() not in known:
                raise invalid(f"The field or property '{name}' does not exist.")
        return {known[name.lower()]: entity[known[name.lower()]] for name in wanted}

    def selected(self) -> list[str]:
        """The fields of `$select`, in order; empty when everything is wanted."""
        wanted = [name.strip() for name in self.options.get("$select", "").split(",")]
        return [name for name in wanted if name not in {"", "*"}]

    def only(self, *options: str) -> None:
        """Raise ServiceError 400 when an option was given that the endpoint does not take."""
        for option in self.options:
            if option not in options:
                raise invalid(f"The query option {option} is not supported here.")


def parse(target: str) -> Call:
    """Read an address, percent-encoded as sent, without the leading `/_api/`.

    Names are decoded once, as the web server does; a doubly encoded name stays encoded.

    Raises:
        BadAddress: a character that must be percent-encoded, a broken escape, no UTF-8.
        ServiceError: 400 for bad syntax or an alias without value.
    """
    if not _LEGAL.fullmatch(target) or _BROKEN_ESCAPE.search(target):
        raise BadAddress
    raw_path, _, raw_query = target.partition("?")
    path = _decoded(raw_path)
    options, aliases = _query(raw_query)
    segments: list[Segment] = []
    at = 0
    while at < len(path):
        match = _SEGMENT.match(path, at)
        if match is None:
            raise _not_valid(path)
        at = match.end()
        arguments: tuple[tuple[str, Value], ...] = ()
        if path[at : at + 1] == "(":
            arguments, at = _arguments(path, at + 1, aliases)
        segments.append(Segment(match["name"].lower(), arguments))
        if at < len(path):
            if path[at] != "/":
                raise _not_valid(path)
            at += 1
    return Call(tuple(segments), options)


def _decoded(raw: str) -> str:
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadAddress from None
    if "\0" in text:
        raise BadAddress
    return text


def _query(raw: str) -> tuple[dict[str, str], dict[str, str]]:
    options: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for pair in filter(None, raw.split("&")):
        name, _, value = pair.partition("=")
        name, value = _decoded(name), _decoded(value.replace("+", " "))
        if name.startswith("@"):
            aliases[name.lower()] = value
        elif name.startswith("$"):
            if name.lower() not in _OPTIONS:
                raise invalid(f"The query option {name} is not supported.")
            options[name.lower()] = value
    return options, aliases


def _arguments(
    path: str, at: int, aliases: dict[str, str]
) -> tuple[tuple[tuple[str, Value], ...], int]:
    found: list[tuple[str, Value]] = []
    while path[at : at + 1] != ")":
        name = _ARGUMENT.match(path, at)
        literal = _LITERAL.match(path, name.end()) if name else None
        if name is None or literal is None:
            raise _not_valid(path)
        found.append((name["name"] or "", _value(literal, aliases, path)))
        at = literal.end()
        if path[at : at + 1] == ",":
            at += 1
        elif path[at : at + 1] != ")":
            raise _not_valid(path)
    return tuple(found), at + 1


def _value(literal: re.Match[str], aliases: dict[str, str], path: str) -> Value:
    if literal["text"] is not None:
        return literal["text"].replace("''", "'")
    if literal["word"]:
        return {"true": True, "false": False, "null": None}[literal["word"].lower()]
    if literal["number"]:
        return int(literal["number"])
    named = aliases.get(literal["alias"].lower())
    inner = _LITERAL.fullmatch(named) if named is not None else None
    if inner is None or inner["alias"]:
        raise _not_valid(path)
    return _value(inner, {}, path)


def _not_valid(path: str) -> ServiceError:
    return invalid(f'The expression "{path}" is not valid.')


def legacy_name(url: str) -> str:
    """A name as the older `...Url` calls read it: an escape in it is decoded once more."""
    return unquote(url)
