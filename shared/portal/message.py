"""What the portal receives and answers, and the headers of each kind of answer. Pure.

Header values: reference/portal.md 4. The headers are set here and not in `host.json`, because the
host leaves its own answers (400, 429) without them in any case, and the four kinds differ.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from shared.problem import Problem

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"

_NO_STORE = "no-store"
_PRIVATE = "private, no-cache"
_FOREVER = "public, max-age=31536000, immutable"

_EVERYWHERE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


@dataclass(frozen=True)
class Request:
    """One request below `/api/portal`.

    Attributes:
        method: "GET", "HEAD" or "POST".
        path: what follows `/api/portal/`, decoded once by the host; "" for the first page.
        query: as the host gives it: no empty values.
        headers: by name; names are compared in lower case.
        body: bytes.
    """

    method: str
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header; None when it is absent. The host joins repeats with a comma."""
        wanted = name.lower()
        return next((v for k, v in self.headers.items() if k.lower() == wanted), None)


@dataclass(frozen=True)
class Answer:
    """What the function answers.

    Attributes:
        status: HTTP status.
        body: bytes; empty for 302 and 304.
        mimetype: of the body, without a charset: the host's library appends it to `text/*`.
        headers: beside it.
    """

    status: int
    body: bytes = b""
    mimetype: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


def page(html: str, *, status: int = HTTPStatus.OK, style_hash: str = "") -> Answer:
    """An HTML page.

    Args:
        html: the document.
        status: HTTP status.
        style_hash: CSP source of the one inline style sheet of a page that needs no other file.
    """
    policy = PAGE_POLICY
    if style_hash:
        policy = (
            f"default-src 'none'; style-src '{style_hash}'; img-src data:; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
    headers = _headers(policy, _NO_STORE) | {"Vary": "Accept-Language"}
    return Answer(status, html.encode(), "text/html", headers)


def data(document: Mapping[str, Any], *, status: int = HTTPStatus.OK) -> Answer:
    """A JSON document for the pages' scripts."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return Answer(status, body, "application/json", _headers(DATA_POLICY, _NO_STORE))


def problem(error: Problem) -> Answer:
    """A refusal or failure as RFC 9457 describes it."""
    document = error.to_json(error.kind.replace("-", " ").capitalize())
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = _headers(DATA_POLICY, _NO_STORE) | error.headers
    return Answer(error.status, body, "application/problem+json", headers)


def photo(jpeg: bytes, etag: str, if_none_match: str | None) -> Answer:
    """A photo that only the browser of the person who asked may keep.

    Args:
        jpeg: made by this program; bytes from elsewhere are never passed on.
        etag: strong entity tag with its quotes.
        if_none_match: the request's header.
    """
    headers = _headers(DATA_POLICY, _PRIVATE) | {"ETag": etag}
    if if_none_match is not None and etag in {t.strip() for t in if_none_match.split(",")}:
        return Answer(HTTPStatus.NOT_MODIFIED, b"", "image/jpeg", headers)
    return Answer(HTTPStatus.OK, jpeg, "image/jpeg", headers)


def asset(body: bytes, mimetype: str) -> Answer:
    """A file of the pages; its path changes with its content, so it is kept forever."""
    return Answer(HTTPStatus.OK, body, mimetype, _headers(DATA_POLICY, _FOREVER))


def redirect(location: str) -> Answer:
    """A redirect within this site.

    Args:
        location: an absolute path made by the program, encoded.
    """
    headers = _headers(DATA_POLICY, _NO_STORE) | {"Location": location}
    return Answer(HTTPStatus.FOUND, b"", "text/plain", headers)


def nothing() -> Answer:
    """404 without a word: what every path answers while there is no portal."""
    return Answer(HTTPStatus.NOT_FOUND, b"", "text/plain", _headers(DATA_POLICY, _NO_STORE))


def _headers(policy: str, cache: str) -> dict[str, str]:
    return {"Content-Security-Policy": policy, "Cache-Control": cache, **_EVERYWHERE}
