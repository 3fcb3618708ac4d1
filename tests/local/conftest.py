"""A tiny v1 app, written to disk for each test that runs one."""

import copy
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ECHO = """
import json
import azure.functions as func

def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    if req.params.get("raise"):
        raise RuntimeError("broken on purpose")
    seen = {
        "function": context.function_name,
        "method": req.method,
        "url": req.url,
        "route": dict(req.route_params),
        "query": dict(req.params),
        "headers": dict(req.headers),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(
        json.dumps(seen), status_code=207, mimetype="application/json", headers={"x-own": "1"}
    )
"""

TICK = """
import pathlib
import azure.functions as func

def main(timer: func.TimerRequest) -> None:
    log = pathlib.Path(__file__).parent / "fired.txt"
    log.write_text("past due" if timer.past_due else "on time")
    if (log.parent / "raise").exists():
        raise RuntimeError("broken on purpose")
"""

HTTP_BINDINGS: list[dict[str, object]] = [
    {
        "name": "req",
        "type": "httpTrigger",
        "direction": "in",
        "authLevel": "function",
        "methods": ["get", "post"],
        "route": "echo/{user?}",
    },
    {"name": "$return", "type": "http", "direction": "out"},
]
TIMER_BINDINGS: list[dict[str, object]] = [
    {"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": "%TICK_SCHEDULE%"}
]

_CONNECTIONS, _SECONDS_TO_DIE = 20, 60

WriteApp = Callable[[Mapping[str, tuple[list[dict[str, object]], str]]], Path]


@pytest.fixture
def http_bindings() -> list[dict[str, object]]:
    """Bindings of Echo: a parameter `req`, key needed, GET and POST."""
    return copy.deepcopy(HTTP_BINDINGS)


@pytest.fixture
def timer_bindings() -> list[dict[str, object]]:
    """Bindings of Tick: a parameter `timer`, schedule from the setting TICK_SCHEDULE."""
    return copy.deepcopy(TIMER_BINDINGS)


@pytest.fixture
def write_app(tmp_path: Path) -> WriteApp:
    """Writes an app of functions given as name: (bindings, source)."""

    def write(functions: Mapping[str, tuple[list[dict[str, object]], str]]) -> Path:
        root = tmp_path / "app"
        root.mkdir()
        (root / "host.json").write_text('{"version": "2.0"}')
        for name, (bindings, source) in functions.items():
            (root / name).mkdir()
            (root / name / "function.json").write_text(json.dumps({"bindings": bindings}))
            (root / name / "__init__.py").write_text(source)
        return root

    return write


@pytest.fixture
def app(write_app: WriteApp) -> Path:
    """An HTTP function Echo and a timer function Tick."""
    return write_app({"Echo": (HTTP_BINDINGS, ECHO), "Tick": (TIMER_BINDINGS, TICK)})


@pytest.fixture
def nobody_listens() -> Callable[[str], bool]:
    """Tells whether a URL's port refuses connections, once those that were accepted have ended."""

    def refused(url: str) -> bool:
        address = (str(urlsplit(url).hostname), urlsplit(url).port or 0)
        for _ in range(_CONNECTIONS):
            try:
                with socket.create_connection(address, _SECONDS_TO_DIE) as connection:
                    connection.recv(1)  # returns when the process at the other end is gone
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:  # it is just dying
                continue
        return False

    return refused
