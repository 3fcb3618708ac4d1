"""The Functions host on loopback: what it answers to callers, and when it fires timers.

The rules are those that were observed with the real host (4.1037). `docs/local-host.md` says what
is the same and, under "Not here", what is not.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from local.host import timers
from local.host.admin import Admin
from local.host.authorization import Keys, Level, MalformedPrincipal, proven_level
from local.host.function_json import Function
from local.host.http_message import HttpAnswer, Request
from local.host.http_server import Answer, Server
from local.host.routing import Route, RouteMalformed, resolve_settings
from local.host.storage_watch import storage_url
from local.host.worker import InvocationFailed, Worker
from shared.config.schedule import Schedule

_log = logging.getLogger("local.host")

type Middleware = Callable[[Request, Answer], HttpAnswer]
"""Stands in front of the host, as App Service's sign-in does.

It gets each request and what answers it, and may answer itself, or call on with another request
(`dataclasses.replace(request, headers=…)`).
"""

_HOME = b"<!doctype html><title>Functions host</title><p>The functions app is running."


class Host:
    """The functions of one app behind a loopback port.

    Args:
        worker: a started worker; the caller stops it.
        app_root: the folder with `host.json`.
        settings: application settings, read once.
        keys: generated when omitted.
        port: 0 for any free one.
        in_front: sees every request before the host does.

    Attributes:
        url: `http://127.0.0.1:<port>`.
        keys: what callers must offer.
        errors: for each function that the host leaves out or cannot run, why.

    Raises:
        OSError: the port is taken.
        ValueError: host.json is no JSON object.
    """

    def __init__(
        self,
        worker: Worker,
        app_root: Path,
        settings: Mapping[str, str],
        *,
        keys: Keys | None = None,
        port: int = 0,
        in_front: Middleware | None = None,
    ) -> None:
        self.keys = keys or Keys.generate()
        self.errors: dict[str, str] = dict(worker.refused) | worker.errors
        self._worker = worker
        self._settings = settings
        self._timers: dict[str, Schedule] = {}
        self._routes: list[Route] = []
        self._broken = ""
        document = json.loads((app_root / "host.json").read_text(encoding="utf-8"))
        http = document.get("extensions", {}).get("http", {})
        self._custom_headers: dict[str, str] = http.get("customHeaders", {})
        self._disabled = frozenset(f.name for f in worker.functions if _is_disabled(f, settings))
        for function in worker.functions:
            self._index(function, str(http.get("routePrefix", "api")).strip("/"))
        for name, error in self.errors.items():
            _log.error("The '%s' function is in error: %s", name, error)
        answer = self._answer if in_front is None else partial(_call, in_front, self._answer)
        self._server = Server(answer, port)
        self.url = self._server.url
        self._admin = Admin(
            functions=worker.functions,
            errors=self.errors,
            disabled=self._disabled,
            keys=self.keys,
            url=self.url,
            fire=self._start,
        )

    def _index(self, function: Function, prefix: str) -> None:
        kind = function.trigger.type.lower()
        try:
            values = resolve_settings(function.trigger.properties, self._settings)
            if kind == "timertrigger":
                self._timers[function.name] = _schedule(str(values.get("schedule", "")))
            elif kind == "httptrigger" and function.name not in self._disabled:
                self._routes.append(Route.of(function, values, prefix))
        except RouteMalformed as error:
            self._broken = f"{function.name}: {error}"
            _log.error("The host cannot start: %s", self._broken)
        except ValueError as error:
            self.errors[function.name] = (
                f"Microsoft.Azure.WebJobs.Host: Error indexing method 'Functions.{function.name}'. "
                f"Microsoft.Azure.WebJobs.Host: {error}"
            )

    def start(self) -> Self:
        """Begin to answer."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop answering; running invocations are the worker's."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fire(self, name: str) -> None:
        """Run a timer function now and log how it ended; firings may overlap."""
        _log.info("Executing %s", name)
        began = time.monotonic()
        try:
            self._worker.invoke_timer(name)
        except InvocationFailed:
            _log.exception("%s failed", name)
        else:
            _log.info("Executed %s in %.1f s", name, time.monotonic() - began)

    def follow_schedules(self) -> None:
        """Fire every enabled timer when it is due, each in its own thread, for ever."""
        if storage_url(self._settings) is None:
            _log.error("No timer fires by its schedule: the setting AzureWebJobsStorage is missing")
            return
        for name, schedule in self._timers.items():
            if name not in self._disabled:
                _background(partial(timers.follow, schedule, partial(self.fire, name)))

    def _start(self, name: str) -> None:
        """A manual start, which the schedule and a setting that disables do not hold back."""
        if name in self._timers:
            _background(partial(self.fire, name))

    def _answer(self, request: Request) -> HttpAnswer:
        if self._broken:
            return HttpAnswer(HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            level = proven_level(request, self.keys, self._settings)
            answer = self._route(request, level)
        except MalformedPrincipal:
            answer = HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR)
        own = {name.lower() for name in answer.headers}
        more = {k: v for k, v in self._custom_headers.items() if k.lower() not in own}
        return HttpAnswer(answer.status, answer.headers | more, answer.body, answer.cookies)

    def _route(self, request: Request, level: Level) -> HttpAnswer:
        path = request.path.lower()
        if path == "/":
            if self._settings.get("AzureWebJobsDisableHomepage", "").lower() == "true":
                return HttpAnswer(HTTPStatus.NO_CONTENT)
            return HttpAnswer(HTTPStatus.OK, {"Content-Type": "text/html"}, _HOME)
        if path.startswith("/admin/"):
            return self._admin.answer(request, level)
        if path.startswith("/runtime/webhooks/"):
            known = level is Level.ADMIN
            return HttpAnswer(HTTPStatus.NOT_FOUND if known else HTTPStatus.UNAUTHORIZED)
        for route in self._routes:  # by name of the function, not the more specific one first
            variables = route.match(request.method, request.path)
            if variables is not None:
                if level < route.level:
                    return HttpAnswer(HTTPStatus.UNAUTHORIZED)
                return self._invoke(route.function, request, variables)
        # also for a known route with a method it does not list
        return HttpAnswer(HTTPStatus.NOT_FOUND)

    def _invoke(self, name: str, request: Request, variables: Mapping[str, str]) -> HttpAnswer:
        body = request.receive()
        try:
            return self._worker.invoke_http(
                name,
                method=request.method,
                url=request.url,
                headers=request.headers,
                route_params=variables,
                query=request.parameters,
                body=body,
            )
        except InvocationFailed:
            _log.exception("%s failed", name)
            return HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR)


def _schedule(text: str) -> Schedule:
    try:
        return Schedule.parse(text)
    except ValueError as error:
        raise ValueError(
            f"The schedule expression '{text}' was not recognized as a valid cron expression or "
            f"timespan string. ({error})"
        ) from error


def _is_disabled(function: Function, settings: Mapping[str, Any]) -> bool:
    value = settings.get(f"AzureWebJobs.{function.name}.Disabled", "")
    return function.disabled or value.lower() in ("true", "1")


def _call(in_front: Middleware, answer: Answer, request: Request) -> HttpAnswer:
    return in_front(request, answer)


def _background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
