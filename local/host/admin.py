"""The admin endpoints of the Functions host, as far as operators of this app use them.

Observed with host 4.1037: no key is 401 with a challenge, a function key is 403, and whoever
invokes a function must send `Content-Type: application/json`.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from local.host.authorization import Keys, Level
from local.host.function_json import Function
from local.host.http_message import HttpAnswer, Request

_PREFIX = "/admin/functions/"


class Admin:
    """Answers below `/admin`.

    Args:
        functions: of the app.
        errors: for each function in error, why.
        disabled: names of functions that a setting disables.
        keys: what callers offer.
        url: of the host.
        fire: starts a timer function; returns at once.
    """

    def __init__(
        self,
        *,
        functions: tuple[Function, ...],
        errors: Mapping[str, str],
        disabled: frozenset[str],
        keys: Keys,
        url: str,
        fire: Callable[[str], None],
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._errors = errors
        self._disabled = disabled
        self._keys = keys
        self._url = url
        self._fire = fire

    def answer(self, request: Request, level: Level) -> HttpAnswer:
        """Answer a request whose path begins with `/admin/`."""
        path = request.path.lower().rstrip("/")
        if path in ("/admin/host/ping", "/admin/warmup"):
            return HttpAnswer(HTTPStatus.OK)
        endpoint = self._endpoint(request, path)
        if endpoint is None:
            return HttpAnswer(HTTPStatus.NOT_FOUND)
        if level is Level.ANONYMOUS:
            return HttpAnswer(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})
        if level is not Level.ADMIN:
            return HttpAnswer(HTTPStatus.FORBIDDEN)
        return endpoint()

    def _endpoint(self, request: Request, path: str) -> Callable[[], HttpAnswer] | None:
        match request.method, path:
            case "GET", "/admin/host/status":
                return self._status
            case "GET", "/admin/host/keys":
                return lambda: _json(self._key_list())
            case "GET", "/admin/functions":
                return lambda: _json([self._described(f) for f in self._functions.values()])
        if not path.startswith(_PREFIX):
            return None
        name, _, part = path.removeprefix(_PREFIX).partition("/")
        match request.method, part:
            case "POST", "":
                return lambda: self._invoke(name, request)
            case "GET", "":
                return lambda: self._about(name, self._described)
            case "GET", "status":
                return lambda: self._about(name, self._errors_of)
            case "GET", "keys":
                return lambda: self._about(name, lambda _: self._key_list())
        return None

    def _about(self, name: str, told: Callable[[Function], object]) -> HttpAnswer:
        function = self._functions.get(name)
        return HttpAnswer(HTTPStatus.NOT_FOUND) if function is None else _json(told(function))

    def _status(self) -> HttpAnswer:
        return _json({"id": "local", "state": "Running", "errors": []})

    def _errors_of(self, function: Function) -> dict[str, Any]:
        found = self._errors.get(function.name)
        return {"errors": [found]} if found else {}

    def _key_list(self) -> dict[str, Any]:
        """The one function key, which stands for the host's and for every function's own."""
        return {"keys": [{"name": "default", "value": self._keys.function}], "links": []}

    def _described(self, function: Function) -> dict[str, Any]:
        bindings = [
            {"name": b.name, "type": b.type, "direction": b.direction, **b.properties}
            for b in function.bindings
        ]
        return {
            "name": function.name,
            "href": f"{self._url}{_PREFIX}{function.name}",
            "config": {"bindings": bindings},
            "isDisabled": function.name in self._disabled,
            "language": "python",
        }

    def _invoke(self, name: str, request: Request) -> HttpAnswer:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            return HttpAnswer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        try:
            document = json.loads(request.receive())
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("input", ""), str):
            return HttpAnswer(HTTPStatus.BAD_REQUEST)
        function = self._functions.get(name)
        if function is None:
            return HttpAnswer(HTTPStatus.NOT_FOUND)
        # Also for a function in error, whose invocation then goes nowhere.
        self._fire(function.name)
        return HttpAnswer(HTTPStatus.ACCEPTED)


def _json(document: object) -> HttpAnswer:
    body = json.dumps(document).encode()
    return HttpAnswer(HTTPStatus.OK, {"Content-Type": "application/json; charset=utf-8"}, body)
