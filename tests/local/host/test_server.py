"""What the local host does beyond a single request: settings, errors of functions, the wire."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.host import (
    Answer,
    Host,
    HttpAnswer,
    Keys,
    Request,
    Worker,
    http_server,
    server,
    storage_watch,
    timers,
)
from local.host import __main__ as command
from local.host.__main__ import load_local_settings
from shared.config.schedule import Schedule

KEYS = Keys("function-key", "master-key")
SETTINGS = {"TICK_SCHEDULE": "0 */15 1-5 * * *"}
OPEN = {"x-functions-key": KEYS.function}
MASTER = {"x-functions-key": KEYS.master}
WriteApp = Callable[..., Path]
Bindings = list[dict[str, object]]


@pytest.fixture
def host(app: Path) -> Iterator[Host]:
    """The tiny app on a free port."""
    with Worker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as running:
        yield running


def get(host: Host, path: str, **headers: str) -> requests.Response:
    """Send a GET."""
    return requests.get(host.url + path, headers=headers, timeout=20)


def status_of(host: Host, name: str) -> dict[str, Any]:
    """What `GET /admin/functions/<name>/status` tells."""
    answer = get(host, f"/admin/functions/{name}/status", **MASTER)
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def test_url_is_absolute(host: Host) -> None:
    """`req.url` has the scheme http and the Host header."""
    seen = get(host, "/api/echo/a?b=c", **OPEN).json()
    assert seen["url"] == f"{host.url}/api/echo/a?b=c"


def test_one_connection_carries_many_requests(host: Host) -> None:
    """Also after chunked bodies, whose content the functions never see."""
    with requests.Session() as session:
        for _ in range(2):
            chunks = iter([b"one", b"two"])
            answer = session.post(f"{host.url}/api/echo", data=chunks, headers=OPEN, timeout=20)
            assert answer.json()["body"] == ""


@pytest.mark.parametrize(
    ("level", "key", "status"),
    [("anonymous", "", 200), ("admin", "function-key", 401), ("admin", "master-key", 200)],
)
def test_auth_levels(
    write_app: WriteApp, http_bindings: Bindings, level: str, key: str, status: int
) -> None:
    """A function asks for no key, for a function key, or for the master key."""
    http_bindings[0]["authLevel"] = level
    root = write_app({"Echo": (http_bindings, "def main(req) -> str:\n    return 'ok'\n")})
    with Worker(root) as worker, Host(worker, root, {}, keys=KEYS) as host:
        assert get(host, "/api/echo", **{"x-functions-key": key}).status_code == status


def test_text_answer_has_the_hosts_type(write_app: WriteApp, http_bindings: Bindings) -> None:
    """A function that returns text answers as text/plain in UTF-8."""
    root = write_app({"Echo": (http_bindings, "def main(req) -> str:\n    return 'ä'\n")})
    with Worker(root) as worker, Host(worker, root, {}, keys=KEYS) as host:
        answer = get(host, "/api/echo", **OPEN)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.content == "ä".encode()


def _principal(document: object) -> dict[str, str]:
    return {"x-ms-client-principal": base64.b64encode(json.dumps(document).encode()).decode()}


@pytest.mark.parametrize("path", ["/api/echo", "/admin/host/status", "/admin/host/keys"])
def test_forged_principal_opens_everything_where_sign_in_is_only_claimed(
    app: Path, path: str
) -> None:
    """WEBSITE_AUTH_ENABLED=True without a sign-in layer: one header is as good as every key."""
    settings = SETTINGS | {"WEBSITE_AUTH_ENABLED": "True"}
    with Worker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        assert get(host, path).status_code == 401
        assert get(host, path, **_principal({"claims": []})).ok


@pytest.mark.parametrize("path", ["/api/echo", "/admin/host/ping", "/nothing", "/"])
def test_malformed_principal_is_500_on_every_route(app: Path, path: str) -> None:
    """The function is not called."""
    settings = SETTINGS | {"WEBSITE_AUTH_ENABLED": "True"}
    with Worker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        for value in ("%%%", "e30", _principal([])["x-ms-client-principal"]):
            answer = get(host, path, **OPEN, **{"x-ms-client-principal": value})
            assert (answer.status_code, answer.content) == (500, b"")


def test_flag_1_is_no_flag_for_keys(app: Path) -> None:
    """Only true and false count there."""
    settings = SETTINGS | {"WEBSITE_AUTH_ENABLED": "1"}
    with Worker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        assert get(host, "/api/echo", **_principal({})).status_code == 401


def test_home_page_can_be_switched_off(app: Path) -> None:
    """AzureWebJobsDisableHomepage makes it 204."""
    settings = SETTINGS | {"AzureWebJobsDisableHomepage": "true"}
    with Worker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        assert get(host, "/").status_code == 204


@pytest.mark.parametrize("route", ["/echo", "echo/{user", "echo/user}"])
def test_malformed_route_ends_the_whole_host(
    app: Path, http_bindings: Bindings, route: str
) -> None:
    """Every path answers 503, the other functions' too."""
    http_bindings[0]["route"] = route
    (app / "Echo" / "function.json").write_text(json.dumps({"bindings": http_bindings}))
    with Worker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as host:
        assert {get(host, path).status_code for path in ("/", "/api/echo", "/admin/host/ping")} == {
            503
        }


@pytest.mark.parametrize("disabled", ["true", "True", "1"])
def test_disabled_function_is_not_found(app: Path, disabled: str) -> None:
    """`AzureWebJobs.<name>.Disabled` is a kill switch."""
    settings = SETTINGS | {"AzureWebJobs.Echo.Disabled": disabled}
    with Worker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        assert get(host, "/api/echo", **OPEN).status_code == 404
        assert get(host, "/admin/functions/Echo", **MASTER).json()["isDisabled"] is True


def test_yes_disables_nothing(app: Path) -> None:
    """Only `true` and `1` do."""
    settings = SETTINGS | {"AzureWebJobs.Echo.Disabled": "yes"}
    with Worker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        assert get(host, "/api/echo", **OPEN).status_code == 207


class FiredWorker(Worker):
    """A worker whose timer invocations can be awaited."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ended = threading.Event()

    def invoke_timer(self, name: str, *, past_due: bool = False) -> None:
        """Run the function, then tell."""
        try:
            super().invoke_timer(name, past_due=past_due)
        finally:
            self.ended.set()


@pytest.mark.parametrize("raising", [False, True])
@pytest.mark.parametrize("more", [{}, {"AzureWebJobs.Tick.Disabled": "true"}])
def test_admin_endpoint_fires_the_timer(app: Path, raising: bool, more: dict[str, str]) -> None:
    """202 at once; it runs in the background, disabled or not; the host outlives its failure."""
    if raising:
        (app / "Tick" / "raise").touch()
    with FiredWorker(app) as worker, Host(worker, app, SETTINGS | more, keys=KEYS) as host:
        url = f"{host.url}/admin/functions/Tick"
        answer = requests.post(url, json={"input": ""}, headers=MASTER, timeout=20)
        assert answer.status_code == 202
        assert worker.ended.wait(20)
        assert (app / "Tick" / "fired.txt").read_text() == "on time"
        assert get(host, "/api/echo", **OPEN).status_code == 207


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "'%TICK_SCHEDULE%' does not resolve to a value"),
        ({"TICK_SCHEDULE": ""}, "'%TICK_SCHEDULE%' does not resolve to a value"),
        ({"TICK_SCHEDULE": "every night"}, "The schedule expression 'every night' was not recog"),
    ],
)
def test_timer_without_a_schedule_is_in_error(
    app: Path, settings: dict[str, str], problem: str
) -> None:
    """The host runs, the other function answers, a manual start is 202 and runs nothing."""
    with FiredWorker(app) as worker, Host(worker, app, settings, keys=KEYS) as host:
        assert problem in status_of(host, "Tick")["errors"][0]
        assert status_of(host, "Echo") == {}
        assert get(host, "/api/echo", **OPEN).status_code == 207
        url = f"{host.url}/admin/functions/Tick"
        answer = requests.post(url, json={"input": ""}, headers=MASTER, timeout=20)
        assert answer.status_code == 202
    assert not worker.ended.is_set()


def test_function_that_cannot_be_loaded_is_in_error(app: Path) -> None:
    """Each invocation is 500 and the status names the import; the others work."""
    (app / "Echo" / "__init__.py").write_text("import no_such_module")
    with FiredWorker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as host:
        assert "no_such_module" in status_of(host, "Echo")["errors"][0]
        assert get(host, "/api/echo", **OPEN).status_code == 500
        requests.post(f"{host.url}/admin/functions/Tick", json={}, headers=MASTER, timeout=20)
        assert worker.ended.wait(20)


def test_route_prefix_of_host_json(app: Path) -> None:
    """Routes begin with what host.json says instead of `api`."""
    document = {"version": "2.0", "extensions": {"http": {"routePrefix": "v1/photos"}}}
    (app / "host.json").write_text(json.dumps(document))
    with Worker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as host:
        assert get(host, "/v1/photos/echo/a", **OPEN).json()["route"] == {"user": "a"}


def test_middleware_stands_in_front_of_the_host(app: Path) -> None:
    """It may answer itself, with several cookies, or pass on another request."""

    def in_front(request: Request, answer: Answer) -> HttpAnswer:
        if request.path == "/.auth/me":
            return HttpAnswer(200, {"Content-Type": "text/plain"}, b"me", ("a=1", "b=2"))
        return answer(replace(request, headers={**request.headers, "x-added": "yes"}))

    with Worker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS, in_front=in_front) as host:
        own = get(host, "/.auth/me")
        assert (own.text, own.cookies.get_dict()) == ("me", {"a": "1", "b": "2"})
        answer = requests.post(f"{host.url}/api/echo", data=b"x", headers=OPEN, timeout=20).json()
    assert (answer["headers"]["x-added"], answer["body"]) == ("yes", "x")


def _connected(host: Host) -> socket.socket:
    address = urlsplit(host.url)
    return socket.create_connection((str(address.hostname), address.port or 0), timeout=20)


_HEAD = f"POST /api/echo HTTP/1.1\r\nHost: h\r\nx-functions-key: {KEYS.function}\r\n".encode()


def test_body_is_asked_for_at_once(host: Host) -> None:
    """`Expect: 100-continue` is answered before the body comes."""
    with _connected(host) as connection:
        connection.sendall(_HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert json.loads(answer.read())["body"] == "body"


def test_body_that_comes_too_slowly_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 240 bytes a second after the grace: 500, the function is not called."""
    monkeypatch.setattr(http_server, "_BODY_GRACE_SECONDS", 0.05)
    with _connected(host) as connection:
        connection.sendall(_HEAD + b"Content-Length: 5\r\n\r\nbody")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (500, b"")
        assert connection.recv(1) == b""


def test_client_that_leaves_disturbs_nobody(app: Path) -> None:
    """The function runs to its end, and the host goes on."""
    ended = threading.Event()

    class Slow(Worker):
        def invoke_http(self, name: str, **request: Any) -> HttpAnswer:
            try:
                return super().invoke_http(name, **request)
            finally:
                ended.set()

    with Slow(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as host:
        with _connected(host) as connection:
            connection.sendall(_HEAD + b"\r\n")
        assert ended.wait(20)
        assert get(host, "/api/echo", **OPEN).status_code == 207


def test_local_settings_fill_what_the_environment_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment wins where both speak."""
    monkeypatch.setenv("FROM_BOTH", "environment")
    monkeypatch.delenv("FROM_FILE", raising=False)
    values = {"FROM_BOTH": "file", "FROM_FILE": "file"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    load_local_settings(tmp_path)
    import os

    assert (os.environ["FROM_BOTH"], os.environ["FROM_FILE"]) == ("environment", "file")
    monkeypatch.delenv("FROM_FILE")


STORAGE = {"AzureWebJobsStorage__accountName": "account"}


@pytest.mark.parametrize(
    ("more", "followed"),
    [
        (STORAGE, ["0 */15 1-5 * * *"]),
        ({}, []),
        (STORAGE | {"AzureWebJobs.Tick.Disabled": "1"}, []),
        (STORAGE | {"TICK_SCHEDULE": "wrong"}, []),
    ],
)
def test_schedules_that_are_followed(
    app: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], followed: list[str]
) -> None:
    """Those of enabled timers without an error, and none where the host has no storage."""
    expected = [Schedule.parse(text) for text in followed]
    seen: list[Schedule] = []
    monkeypatch.setattr(timers, "follow", lambda schedule, _: seen.append(schedule))
    monkeypatch.setattr(server, "_background", lambda work: work())
    with Worker(app) as worker, Host(worker, app, SETTINGS | more, keys=KEYS) as host:
        host.follow_schedules()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [found.next_after(now) for found in seen] == [s.next_after(now) for s in expected]


def test_process_ends_when_storage_is_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With status 1 and the reason; without storage settings nothing is watched."""
    ended: list[int] = []
    monkeypatch.setattr(command, "_end", ended.append)
    monkeypatch.setattr(storage_watch, "watch", lambda _: None)
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    command._end_without_storage()
    assert ended == []
    monkeypatch.setenv("AzureWebJobsStorage__accountName", "account")
    command._end_without_storage()
    assert ended == [1]
    assert "https://account.blob.core.windows.net has refused for half a minute" in caplog.text
