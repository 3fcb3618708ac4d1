"""HTTP requests and answers as the Functions host sees them.

The rules for paths, queries and `req.url` are those that were observed with host 4.1037 (ASP.NET
Core's server Kestrel and the host's own conversion).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PATH_ESCAPES = re.compile(r"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+")
_KEPT_ESCAPE = re.compile(r"(%[0-9A-Fa-f]{2})")
_PATH_CHARACTERS = "/-._~!$&'()*+,;=:@"


class BadRequest(Exception):
    """A request that Kestrel refuses before any part of the host sees it.

    Attributes:
        status: of the answer, whose body is empty.
    """

    def __init__(self, status: int = 400) -> None:
        self.status = status
        super().__init__(f"refused with {status}")


@dataclass(frozen=True)
class HttpAnswer:
    """An HTTP answer.

    Attributes:
        status: HTTP status.
        headers: names as they were spelled.
        body: bytes.
        cookies: values of `Set-Cookie` headers, which alone may occur several times. Those of
            functions are not passed on.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A request as the Functions host hands it on.

    Attributes:
        method: as sent.
        path: decoded once, without dot segments.
        query: as sent, without the question mark.
        headers: names in lower case, repeated ones joined by a comma.
        receive: reads the body; only the first call reads, later ones give the same bytes.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    receive: Callable[[], bytes]

    @classmethod
    def of(
        cls, method: str, target: str, headers: Mapping[str, str], receive: Callable[[], bytes]
    ) -> "Request":
        """Read the request target of a request line.

        Raises:
            BadRequest: the target is no path, is an absolute URI of another host, or has a NUL.
        """
        if not target.startswith("/"):
            target = _origin_form(method, target, headers.get("host", ""))
        path, _, query = target.partition("?")
        return cls(method, _without_dot_segments(_decode_path(path)), query, headers, receive)

    @property
    def url(self) -> str:
        """What a function finds in `req.url`: the path encoded again, the query as sent."""
        path = "".join(
            part if _KEPT_ESCAPE.fullmatch(part) else quote(part, safe=_PATH_CHARACTERS)
            for part in _KEPT_ESCAPE.split(self.path)
        )
        query = f"?{self.query}" if self.query else ""
        return f"http://{self.headers.get('host', '')}{path}{query}"

    @property
    def parameters(self) -> dict[str, str]:
        """What a function finds in `req.params`.

        Parameters without a value are absent. The values of a repeated one are joined by a comma;
        names ignore case, and the spelling that came last stays.
        """
        found: dict[str, tuple[str, str]] = {}
        for pair in self.query.split("&"):
            name, _, value = pair.replace("+", " ").partition("=")
            if value:
                name, value = _decode(_ESCAPES, name), _decode(_ESCAPES, value)
                before = found.get(name.lower())
                found[name.lower()] = (name, f"{before[1]},{value}" if before else value)
        return dict(found.values())

    def parameter(self, name: str) -> str:
        """Value of a query parameter, whatever the case of its name; "" without one."""
        return next((v for key, v in self.parameters.items() if key.lower() == name), "")


def _origin_form(method: str, target: str, host: str) -> str:
    if method == "OPTIONS" and target == "*":
        return ""
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or parts.netloc.lower() != host.lower():
        raise BadRequest
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _decode_path(path: str) -> str:
    """Decode once, all but `%2F` and what is not UTF-8."""
    decoded = _decode(_PATH_ESCAPES, path)
    if "\0" in decoded:
        raise BadRequest
    return decoded


def _decode(escapes: re.Pattern[str], text: str) -> str:
    return escapes.sub(lambda match: _decode_run(match[0]), text)


def _decode_run(run: str) -> str:
    """Decode a run of escapes; those that are not UTF-8 stay as they were written."""
    data, text = bytes.fromhex(run.replace("%", "")), ""
    while data:
        try:
            return text + data.decode()
        except UnicodeDecodeError as error:
            text += data[: error.start].decode() + run[3 * error.start : 3 * error.end]
            data, run = data[error.end :], run[3 * error.end :]
    return text


def _without_dot_segments(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    kept: list[str] = []
    for segment in (segments := path.split("/")[1:]):
        if segment == ".." and kept:
            kept.pop()
        if segment not in (".", ".."):
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
