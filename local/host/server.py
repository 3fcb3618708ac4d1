"""Serves the functions over HTTP as the Azure Functions host does, on loopback.

Routing, keys and what reaches a function follow azure-functions-host 4: its HTTP and RPC
conversion, and ASP.NET Core's treatment of paths and queries. What `func start` answers to `curl`,
this answers too. Not here: the 230 second limit of Azure's load balancer, the timer's lease
and its memory of missed firings.

`python -m local.host.server --port 7071` runs it until Ctrl-C.
"""

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from local.host.function_json import AppError, Function
from local.host.http_server import Request, Server, decode_path
from local.host.routing import Keys, Route, query_values, resolve_settings
from local.host.worker import HttpAnswer, InvocationFailed, LoadFailed, Worker
from shared.config.schedule import Schedule

_log = logging.getLogger("local.host.server")


class Host:
    """The functions of one app behind a loopback port.

    Args:
        worker: a started worker; the caller stops it.
        app_root: the folder with `host.json`.
        settings: application settings, for `%SETTING%` in function.json.
        keys: generated when omitted.
        port: 0 for any free one.

    Attributes:
        url: `http://127.0.0.1:<port>`.
        keys: what callers must offer.

    Raises:
        AppError: a setting that function.json names is missing, a schedule or route is malformed.
        OSError: the port is taken.
    """

    def __init__(
        self,
        worker: Worker,
        app_root: Path,
        settings: Mapping[str, str],
        *,
        keys: Keys | None = None,
        port: int = 0,
    ) -> None:
        self.keys = keys or Keys.generate()
        self._worker = worker
        self._timers: dict[str, Schedule] = {}
        self._routes: list[Route] = []
        self._read(app_root, settings)
        self._server = Server(self._answer, port)
        self.url = self._server.url

    def _read(self, app_root: Path, settings: Mapping[str, str]) -> None:
        document = json.loads((app_root / "host.json").read_text(encoding="utf-8"))
        http = document.get("extensions", {}).get("http", {})
        prefix = str(http.get("routePrefix", "api")).strip("/")
        problems = []
        for function in self._worker.functions:
            try:
                values = resolve_settings(function.trigger.properties, settings)
                if function.trigger.type.lower() == "timertrigger":
                    self._timers[function.name] = Schedule.parse(str(values.get("schedule", "")))
                elif function.trigger.type.lower() == "httptrigger":
                    self._routes.append(Route.of(function, values, prefix))
            except ValueError as error:
                problems.append(f"{function.name}: {error}")
        if problems:
            raise AppError(problems)

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
        """Fire every timer when its time comes, each in its own thread, for ever."""
        for name, schedule in self._timers.items():
            _background(partial(self._follow, name, schedule))

    def _follow(self, name: str, schedule: Schedule) -> None:
        while True:
            now = datetime.now(UTC)
            time.sleep((schedule.next_after(now) - now).total_seconds())
            self.fire(name)

    def _answer(self, request: Request) -> HttpAnswer:
        path = decode_path(request.path)
        if path is None:
            return HttpAnswer(HTTPStatus.BAD_REQUEST)
        query = query_values(request.query)
        key = request.headers.get("x-functions-key") or query.get("code", "")
        if path.lower().startswith("/admin/"):
            return self._admin(request, path.removesuffix("/"), key)
        for route in self._routes:
            variables = route.match(request.method, path)
            if variables is None:
                continue
            if not self.keys.allow(route.level, key):
                return HttpAnswer(HTTPStatus.UNAUTHORIZED)
            return self._invoke(route.function, request, variables, query)
        # also for a known route with a method it does not list (azure-functions-host #10098)
        return HttpAnswer(HTTPStatus.NOT_FOUND)

    def _invoke(
        self, name: str, request: Request, variables: Mapping[str, str], query: Mapping[str, str]
    ) -> HttpAnswer:
        try:
            return self._worker.invoke_http(
                name,
                method=request.method,
                url=self.url + request.target,
                headers=request.headers,
                route_params=variables,
                query=query,
                body=request.body,
            )
        except InvocationFailed:
            _log.exception("%s failed", name)
            return HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _admin(self, request: Request, path: str, key: str) -> HttpAnswer:
        if not self.keys.allow("admin", key):
            return HttpAnswer(HTTPStatus.UNAUTHORIZED)
        names = {f"/admin/functions/{f.name}".lower(): f.name for f in self._worker.functions}
        match request.method, path.lower():
            case "GET", "/admin/host/status":
                return _json({"id": "local", "state": "Running", "errors": []})
            case "GET", "/admin/functions":
                return _json([_description(f, self.url) for f in self._worker.functions])
            case "POST", known if known in names:
                return self._trigger(names[known], request)
        return HttpAnswer(HTTPStatus.NOT_FOUND)

    def _trigger(self, name: str, request: Request) -> HttpAnswer:
        try:
            document = json.loads(request.body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or name not in self._timers:
            return HttpAnswer(HTTPStatus.BAD_REQUEST)
        _background(partial(self.fire, name))
        return HttpAnswer(HTTPStatus.ACCEPTED)


def _description(function: Function, url: str) -> dict[str, Any]:
    return {
        "name": function.name,
        "href": f"{url}/admin/functions/{function.name}",
        "config": {
            "bindings": [
                {"name": b.name, "type": b.type, "direction": b.direction, **b.properties}
                for b in function.bindings
            ]
        },
    }


def _json(document: object) -> HttpAnswer:
    body = json.dumps(document).encode()
    return HttpAnswer(HTTPStatus.OK, {"content-type": "application/json; charset=utf-8"}, body)


def _background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def load_local_settings(root: Path) -> None:
    """Put `Values` of local.settings.json into the environment, which wins where both speak.

    Raises:
        ValueError: the file is no JSON object with texts under `Values`.
    """
    path = root / "local.settings.json"
    if not path.exists():
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8")).get("Values", {})
        for name, value in values.items():
            os.environ.setdefault(name, value)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{path.name}: expected {{"Values": {{name: text}}}} ({error})') from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the host until Ctrl-C; returns the exit status.

    `LOCAL_FUNCTION_KEY` and `LOCAL_MASTER_KEY` set the keys, otherwise fresh ones are printed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m local.host.server", description="Functions host"
    )
    parser.add_argument("--port", type=int, default=7071, help="0: any free one")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="folder with host.json")
    parser.add_argument("--schedule", action="store_true", help="fire timers when they are due")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    # the worker in Azure sets the root logger to INFO too
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The worker library's own log; Azure keeps it apart too, and failures are logged here.
    logging.getLogger("azure.functions").setLevel(logging.CRITICAL)
    fresh = Keys.generate()
    # popped, so that the functions cannot see them, as they cannot in Azure
    function, master = (os.environ.pop(f"LOCAL_{name}_KEY", "") for name in ("FUNCTION", "MASTER"))
    keys = Keys(function or fresh.function, master or fresh.master)
    try:
        load_local_settings(options.root)
        worker = Worker(options.root).start()
        host = Host(worker, options.root, os.environ, keys=keys, port=options.port).start()
    except (AppError, LoadFailed, OSError, ValueError) as error:
        print(f"The functions host cannot start: {error}", file=sys.stderr)
        return 1
    print(f"Functions host on {host.url}", flush=True)
    if not function:
        print(f"  function key  {keys.function}", flush=True)
    if not master:
        print(f"  master key    {keys.master}", flush=True)
    if options.schedule:
        host.follow_schedules()
    try:
        if options.until_eof:
            sys.stdin.read()
        else:
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    # As in Azure nobody waits for invocations or says goodbye to them.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
