"""Requests and what the real Functions host (4.1037) answered to them, as data.

Every expected value was observed with the real host and its Python worker, in front of functions
like those of `observed_app`. `section` names the chapter of that observation: 1 routing, 2 methods
and answers, 3 requests and identity, 5 admin endpoints, 6 earlier differences.
"""

from dataclasses import dataclass, field
from typing import Any

FUNCTION_KEY, MASTER_KEY = "function-key", "master-key"
JSON = ("Content-Type: application/json",)


@dataclass(frozen=True)
class Row:
    """One request and its answer.

    Attributes:
        section: of the observation.
        target: request target, as sent.
        status: of the answer; 0: the connection is closed without an answer.
        method: of the request.
        headers: header lines beside Host and the key.
        key: value of `x-functions-key`; None: no such header.
        body: with its length announced.
        raw: the whole request instead, without key.
        seen: parts of what the function saw; None: it was not called.
        has: headers of the answer.
        lacks: headers that the answer does not have.
        content: body of the answer; None: any.
        closes: whether the connection ends after the answer.
    """

    section: int
    target: str
    status: int
    method: str = "GET"
    headers: tuple[str, ...] = ()
    key: str | None = FUNCTION_KEY
    body: bytes = b""
    raw: bytes = b""
    seen: dict[str, Any] | None = None
    has: dict[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    content: bytes | None = None
    closes: bool = False

    @property
    def name(self) -> str:
        """For the test's report."""
        start = self.raw[:50].decode("latin-1") or f"{self.method} {self.target[:60]}"
        told = [start, *self.headers, *([] if self.key == FUNCTION_KEY else [f"key {self.key}"])]
        return " ".join(told).encode("unicode_escape").decode()[:110]


def _path(target: str, function: str, **route: str) -> Row:
    return Row(1, target, 200, seen={"function": function, "route": route})


def _not_found(section: int, target: str, method: str = "GET") -> Row:
    lacks = ("content-type", "allow", "transfer-encoding")
    return Row(section, target, 404, method, content=b"", lacks=lacks)


def _url(target: str, url: str) -> Row:
    return Row(3, f"/api{target}", 200, seen={"url": url})


def _query(query: str, **seen: str) -> Row:
    return Row(1, f"/api/portal?{query}", 200, seen={"query": seen})


def _raw(status: int, head: bytes, *, closes: bool = True) -> Row:
    return Row(6, "", status, raw=head, content=b"" if closes else None, closes=closes)


ROUTING: tuple[Row, ...] = (
    _path("/api/portal", "Portal"),
    _path("/api/portal/", "Portal"),
    _path("/api/portal/a", "Portal", path="a"),
    _path("/api/portal/a/b", "Portal", path="a/b"),
    _path("/api/portal/a/b/", "Portal", path="a/b/"),
    _path("/api/portal/a//b", "Portal", path="a//b"),
    _path("/API/Portal/Aa", "Portal", path="Aa"),
    _path("/api/portal/a/../b", "Portal", path="b"),
    _path("/api/portal/a/%2e%2e/b", "Portal", path="b"),
    _path("/api/portal/a/%2E%2e/b", "Portal", path="b"),
    _path("/api/portal/%2e/b", "Portal", path="b"),
    _path("/api/portal/./b", "Portal", path="b"),
    _path("/api/portal/../sync/u", "SyncHttp", user="u"),
    _path("/api/portal/%252e%252e/x", "Portal", path="%2e%2e/x"),
    _path("/api/portal/a%2Fb", "Portal", path="a%2Fb"),
    _path("/api/portal/a%2fb", "Portal", path="a%2fb"),
    _path("/api/portal/a%252Fb", "Portal", path="a%2Fb"),
    _path("/api/portal/a%5Cb", "Portal", path="a\\b"),
    _path("/api/portal/a%0ab", "Portal", path="a\nb"),
    _path("/api/portal/a%09b", "Portal", path="a\tb"),
    _path("/api/portal/a+b", "Portal", path="a+b"),
    _path("/api/portal/a%2Bb", "Portal", path="a+b"),
    _path("/api/portal/a%20b", "Portal", path="a b"),
    _path("/api/portal/a%3Fb", "Portal", path="a?b"),
    _path("/api/portal/a%23b", "Portal", path="a#b"),
    _path("/api/portal/%C3%A4", "Portal", path="ä"),
    _path("/api/portal/a%CC%88", "Portal", path="a\u0308"),
    _path("/api/portal/%FF", "Portal", path="%FF"),
    _path("/api/portal/%C0%AE", "Portal", path="%C0%AE"),
    _path("/api/portal/%zz", "Portal", path="%zz"),
    _path("/api/sync", "SyncHttp"),
    _path("/api/sync/", "SyncHttp"),
    _path("/api/sync/.", "SyncHttp"),
    _path("/api/sync/x/../u", "SyncHttp", user="u"),
    _path("/api/x/../sync", "SyncHttp"),
    _path("/api/sync/o%27neil%23EXT%23%40x.com", "SyncHttp", user="o'neil#EXT#@x.com"),
    _path("/api/sync/a+b%26c", "SyncHttp", user="a+b&c"),
    _path("/api/sync/a%2Fb", "SyncHttp", user="a%2Fb"),
    _path("/api/sync/a%252Fb", "SyncHttp", user="a%2Fb"),
    _path("/api/sync/100%25", "SyncHttp", user="100%"),
    _path("/api/over/exact", "OverA", rest="exact"),
    _not_found(1, "/api/portal//"),
    _not_found(1, "/api/portal//a"),
    _not_found(1, "//api/portal/a"),
    _not_found(1, "/api//portal/a"),
    _not_found(6, "//api/sync"),
    _not_found(6, "/api/sync/.."),
    _not_found(1, "/api"),
    _not_found(1, "/api/portalx"),
    _not_found(1, "/api/SyncTimer"),
    _not_found(1, "/favicon.ico"),
    _not_found(1, "/.auth/me"),
    _not_found(1, "/.auth/login/aad"),
    _not_found(1, "/admin"),
    _not_found(1, "/api/bad/methods"),
    _not_found(1, "/api/disabled"),
    Row(1, "/api/bad/import", 500, content=b"", lacks=("content-type",)),
    Row(1, "/api/bad/parameter", 500, content=b"", lacks=("content-type",)),
    Row(1, "/api/portal/%00", 400, content=b"", closes=True),
    Row(1, "/", 200, has={"content-type": "text/html"}),
    _query("a=1&a=2", a="1,2"),
    _query("a=1&A=2", A="1,2"),
    _query("a"),
    _query("a="),
    _query("a=&b=1", b="1"),
    _query("q=x+y", q="x y"),
    _query("q=%2B", q="+"),
    _query("q=%FF", q="%FF"),
    _query("q=%00", q="\0"),
    _query("a=1;b=2", a="1;b=2"),
    _query("a=%26%20+b", a="&  b"),
)

URLS: tuple[Row, ...] = (
    _url("/portal/a?b=c", "/portal/a?b=c"),
    _url("/portal/a/../b", "/portal/b"),
    _url("/portal/a%2Fb", "/portal/a%2Fb"),
    _url("/portal/a%252Fb", "/portal/a%2Fb"),
    _url("/portal/a%20b", "/portal/a%20b"),
    _url("/portal/%C3%A4", "/portal/%C3%A4"),
    _url("/portal/%7Ea", "/portal/~a"),
    _url("/portal/a%40b", "/portal/a@b"),
    _url("/portal/a%3Fb", "/portal/a%3Fb"),
    _url("/portal?q=%7E+%FF&Q=%zz", "/portal?q=%7E+%FF&Q=%zz"),
)

METHODS: tuple[Row, ...] = (
    *(_not_found(2, "/api/sync", m) for m in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "FOO")),
    *(_not_found(2, "/api/portal/a", m) for m in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")),
    Row(2, "/api/sync/u", 200, "POST", seen={"method": "POST"}),
    Row(2, "/api/portal", 200, "HEAD", content=b"", lacks=("content-length", "transfer-encoding")),
)

KEYS: tuple[Row, ...] = (
    Row(1, "/api/sync/u", 401, key=None, content=b"", lacks=("www-authenticate", "content-type")),
    Row(1, "/api/sync/u", 401, key="wrong", content=b"", lacks=("www-authenticate",)),
    Row(1, "/api/sync/u", 401, key="wröng", content=b""),
    Row(1, "/api/sync/u", 200, key=MASTER_KEY, seen={"route": {"user": "u"}}),
    Row(1, "/api/sync?code=wrong", 401, key=None, content=b""),
    Row(3, f"/api/sync?code={FUNCTION_KEY}", 200, key=None, seen={"query": {"code": FUNCTION_KEY}}),
    Row(6, f"/api/sync?CODE={FUNCTION_KEY}", 200, key=None, seen={"query": {"CODE": FUNCTION_KEY}}),
    Row(6, f"/api/sync?Code={MASTER_KEY}", 200, key=None, seen={"function": "SyncHttp"}),
    Row(6, f"/api/sync?code={FUNCTION_KEY}", 401, key="", content=b""),
    Row(6, "/api/sync", 200, key=f"  {FUNCTION_KEY}  ", seen={"function": "SyncHttp"}),
    Row(3, "/api/portal", 200, key=None, seen={"function": "Portal"}),
    Row(1, "/api/sync/u", 401, "POST", key=None, content=b""),
    # Where WEBSITE_AUTH_ENABLED is unset, the host itself ignores what sign-in would have sent.
    Row(3, "/api/sync", 401, key=None, headers=("X-MS-CLIENT-PRINCIPAL: e30=",), content=b""),
    Row(3, "/api/sync", 401, key=None, headers=("X-MS-CLIENT-PRINCIPAL-ID: a",), content=b""),
)

HEADERS: tuple[Row, ...] = (
    Row(3, "/api/sync", 200, headers=("X-Mixed: Value",), seen={"headers": {"x-mixed": "Value"}}),
    Row(3, "/api/sync", 200, headers=("X-A: 1", "x-a: 2"), seen={"headers": {"x-a": "1,2"}}),
    Row(
        *(3, "/api/sync", 200),
        headers=("Cookie: a=1", "Cookie: b=2"),
        seen={"headers": {"cookie": "a=1,b=2"}},
    ),
    Row(
        *(3, "/api/portal", 200),
        headers=("X-MS-CLIENT-PRINCIPAL: a", "X-MS-CLIENT-PRINCIPAL: b"),
        seen={"headers": {"x-ms-client-principal": "a,b"}},
    ),
    Row(
        *(3, "/api/portal", 200),
        headers=("X-MS-TOKEN-AAD-ID-TOKEN: t",),
        seen={"headers": {"x-ms-token-aad-id-token": "t"}},
    ),
    Row(
        *(3, "/api/portal", 200),
        headers=("Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"),
        seen={"headers": {"sec-fetch-site": "none,cross-site"}},
    ),
    Row(6, "/api/sync", 200, headers=("X-A:",), seen={"headers": {"x-a": ""}}),
    Row(6, "/api/sync", 200, headers=("X-A: b  ",), seen={"headers": {"x-a": "b"}}),
    Row(6, "/api/sync", 200, headers=("X-A: ä",), seen={"headers": {"x-a": "ä"}}),
    Row(3, "/api/sync", 200, seen={"headers": {"x-functions-key": FUNCTION_KEY}}),
    Row(3, "/api/sync", 431, headers=("X-A: " + "x" * 40_000,), content=b"", closes=True),
    Row(3, "/api/sync", 431, headers=tuple(f"X-{n}: 1" for n in range(120)), content=b""),
    Row(3, "/api/sync", 200, headers=("X-A: " + "x" * 30_000,), seen={"function": "SyncHttp"}),
    Row(3, "/api/sync", 200, headers=tuple(f"X-{n}: 1" for n in range(90)), seen={"method": "GET"}),
)

BODIES: tuple[Row, ...] = (
    Row(3, "/api/sync", 200, "POST", body=b"\x00body", seen={"text": "\x00body", "body": 5}),
    Row(3, "/api/sync", 200, "GET", body=b"body", seen={"text": "body"}),
    Row(3, "/api/portal", 200, "HEAD", body=b"body", content=b""),
    Row(3, "/api/sync", 200, "POST", seen={"text": "", "body": 0}),
    Row(3, "/api/sync", 200, "POST", body=b"x" * 300_000, seen={"body": 300_000}),
    Row(
        *(3, "/api/sync", 200, "POST"),
        headers=("Content-Encoding: gzip",),
        body=b"\x1f\x8b\x08",
        seen={"text": "\x1f\x8b\x08"},
    ),
    Row(6, "/api/sync", 401, "POST", key=None, body=b"x" * 1000, content=b""),
)
_POST = b"POST /api/portal HTTP/1.1\r\nHost: h\r\n"
_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

RAW: tuple[Row, ...] = (
    _raw(400, "GET /api/portal/ä HTTP/1.1\r\nHost: h\r\n\r\n".encode()),
    _raw(400, "GET /api/portal?q=ä HTTP/1.1\r\nHost: h\r\n\r\n".encode()),
    _raw(400, b"GET /api/portal/a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    _raw(400, b"GET http://other/api/portal HTTP/1.1\r\nHost: h\r\n\r\n"),
    _raw(400, b"GET /api/portal HTTP/1.1\r\n\r\n"),
    _raw(400, b"GET /api/portal HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    _raw(400, b"GET /api/portal HTTP/1.1\r\nHost: h\r\nmalformed\r\n\r\n"),
    _raw(400, b"GET /api/portal HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n"),
    _raw(414, b"GET /api/portal?q=" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    _raw(414, b"GET /api/portal/" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"),
    _raw(500, _POST + b"Content-Length: 104857601\r\n\r\n"),
    _raw(400, _POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    _raw(400, _POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\none"),
    _raw(400, _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\none"),
    Row(3, "", 200, raw=_POST + _CHUNKS, seen={"text": "", "body": 0}),
    Row(6, "", 200, raw=_POST + b"Content-Length: 6\r\n" + _CHUNKS, seen={"text": ""}),
)


def _answer(query: str, status: int, content: bytes, **has: str) -> Row:
    headers = {name.replace("_", "-"): value for name, value in has.items()}
    if content and "content-length" not in headers:
        headers["transfer-encoding"] = "chunked"
    lacks = tuple({"content-length"} - set(headers)) if content else ()
    return Row(2, f"/api/answers/{query}", status, content=content, has=headers, lacks=lacks)


_NO_HEADERS = ("content-type", "x-own")

ANSWERS: tuple[Row, ...] = (
    *(_answer(f"status?code={c}&body=b", c, b"b") for c in (200, 201, 207, 299, 302, 400, 401)),
    *(_answer(f"status?code={c}&body=b", c, b"b") for c in (404, 409, 418, 429, 500, 503, 599)),
    *(Row(2, f"/api/answers/status?code={c}", c, content=b"") for c in (204, 205, 304)),
    *(Row(2, f"/api/answers/status?code={c}&body=b", c, closes=True) for c in (204, 205, 304)),
    Row(6, "/api/answers/status?code=204", 204, content=b"", lacks=("content-length",)),
    _answer("type?mimetype=text/plain", 200, b"x", content_type="text/plain; charset=utf-8"),
    _answer("type?mimetype=text/css", 200, b"x", content_type="text/css; charset=utf-8"),
    _answer("type?mimetype=image/png", 200, b"x", content_type="image/png"),
    _answer("type?mimetype=application/problem%2Bjson", 200, b"x"),
    _answer(
        *("type?mimetype=text/css;charset=utf-8", 200, b"x"),
        content_type="text/css;charset=utf-8; charset=utf-8",
    ),
    _answer("header?name=Retry-After&value=7&body=b", 200, b"b", retry_after="7"),
    _answer("header?name=Location&value=/x&body=b", 200, b"b", location="/x"),
    _answer("header?name=Vary&value=Accept&body=b", 200, b"b", vary="Accept"),
    _answer("header?name=Cache-Control&value=no-store&body=b", 200, b"b", cache_control="no-store"),
    _answer("header?name=X-Own&body=b", 200, b"b", x_own=""),
    _answer("header?name=Content-Length&value=1&body=b", 200, b"b", content_length="1"),
    _answer("header?name=X-Content-Type-Options&value=own", 200, b"", x_content_type_options="own"),
    Row(2, "/api/answers/header?name=Content-Length&value=1&body=bb", 500, content=b""),
    Row(
        *(2, "/api/answers/header?name=Content-Length&value=9&body=b", 200),
        has={"content-length": "9"},
        closes=True,
    ),
    Row(
        *(2, "/api/answers/header?name=Content-Length&value=9", 200, "HEAD"),
        has={"content-length": "9"},
        content=b"",
    ),
    Row(2, "/api/answers/crlf", 500, content=b"", lacks=_NO_HEADERS),
    Row(2, "/api/answers/late", 500, content=b"", lacks=_NO_HEADERS),
    *(
        Row(2, f"/api/answers/{kind}", 500, content=b"", lacks=_NO_HEADERS)
        for kind in ("raise", "none", "dict", "exit")
    ),
    Row(2, "/api/nothing", 404, has={"x-content-type-options": "nosniff"}),
    Row(2, "/api/sync", 401, key=None, has={"x-content-type-options": "nosniff"}),
    Row(2, "/api/answers/raise", 500, has={"x-content-type-options": "nosniff"}),
    Row(2, "/api/portal/%00", 400, lacks=("x-content-type-options",), closes=True),
)


def _admin(path: str, status: int, key: str | None = MASTER_KEY) -> Row:
    challenge = {"www-authenticate": "Bearer"} if status == 401 else {}
    return Row(5, f"/admin/{path}", status, key=key, has=challenge)


def _fire(status: int, **changed: Any) -> Row:
    usual = {"headers": JSON, "key": MASTER_KEY, "body": b'{"input":""}'}
    target = changed.pop("target", "/admin/functions/SyncTimer")
    return Row(5, target, status, "POST", **(usual | changed))


ADMIN: tuple[Row, ...] = (
    *(_admin(p, 200, None) for p in ("host/ping", "warmup")),
    *(
        _admin(path, status, key)
        for path in ("host/status", "host/keys", "functions", "functions/SyncTimer")
        for key, status in ((None, 401), ("wrong", 401), (FUNCTION_KEY, 403), (MASTER_KEY, 200))
    ),
    *(_admin(f"functions/SyncTimer/{part}", 200) for part in ("status", "keys")),
    *(_admin(f"functions/SyncTimer/{part}", 401, None) for part in ("status", "keys")),
    _admin("functions/Nobody", 404),
    Row(6, "/runtime/webhooks/x", 401, key=None),
    _fire(202),
    _fire(202, headers=("Content-Type: application/json; charset=utf-8",)),
    _fire(202, target="/admin/functions/synctimer"),
    _fire(202, target="/admin/functions/SyncHttp"),
    _fire(415, headers=()),
    _fire(415, headers=("Content-Type: application/x-www-form-urlencoded",)),
    _fire(400, body=b'{"input":{}}'),
    _fire(400, body=b"no json"),
    _fire(401, key=None, has={"www-authenticate": "Bearer"}),
    _fire(403, key=FUNCTION_KEY),
    _fire(404, target="/admin/functions/Nobody"),
)

ROWS: tuple[Row, ...] = (
    *(*ROUTING, *URLS, *METHODS, *KEYS, *HEADERS),
    *(*BODIES, *RAW, *ANSWERS, *ADMIN),
)
