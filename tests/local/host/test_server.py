"""What `func start` answers to curl, the local host answers too."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.host.function_json import AppError
from local.host.routing import Keys
from local.host.server import Host, load_local_settings
from local.host.worker import Worker

KEYS = Keys("function-key", "master-key")
SETTINGS = {"TICK_SCHEDULE": "0 */15 1-5 * * *"}
OPEN = {"x-functions-key": KEYS.function}
MASTER = {"x-functions-key": KEYS.master}


@pytest.fixture
def host(app: Path) -> Iterator[Host]:
    """The tiny app on a free port."""
    with Worker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as running:
        yield running


def seen(host: Host, target: str, **headers: str) -> dict[str, Any]:
    """What the function saw of a request whose target is sent exactly as written."""
    connection = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=20)
    connection.request("GET", target, headers=OPEN | headers)
    document = json.loads(connection.getresponse().read())
    connection.close()
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("path", "user"),
    [
        ("/api/echo", None),
        ("/api/echo/", None),
        ("/API/Echo/a", "a"),
        ("/api/echo/o%27neil%23EXT%23%40x.com", "o'neil#EXT#@x.com"),
        ("/api/echo/a+b%26c", "a+b&c"),
        ("/api/echo/j%C3%B6rg", "jörg"),
        ("/api/echo/a%2Fb", "a%2Fb"),
        ("/api/echo/a%252Fb", "a%2Fb"),
        ("/api/echo/%FF", "%FF"),
        ("/api/echo/100%25", "100%"),
    ],
)
def test_route_values_are_decoded_as_aspnet_does(host: Host, path: str, user: str | None) -> None:
    """Once, everything but an encoded slash, and nothing that is not UTF-8."""
    assert seen(host, path)["route"] == ({} if user is None else {"user": user})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("force=true&dry_run=", {"force": "true"}),
        ("force", {}),
        ("a=1&a=2&A=3", {"a": "1,2,3"}),
        ("a=%26%20+b", {"a": "&  b"}),
    ],
)
def test_query_as_functions_see_it(host: Host, query: str, expected: dict[str, str]) -> None:
    """Empty values are dropped, repeated ones joined, names compared without case."""
    assert seen(host, f"/api/echo?{query}")["query"] == expected


def test_header_names_arrive_in_lower_case(host: Host) -> None:
    headers = seen(host, "/api/echo", **{"X-Mixed-Case": "Value"})["headers"]
    assert headers["x-mixed-case"] == "Value"


def test_url_is_absolute(host: Host) -> None:
    assert seen(host, "/api/echo/a?b=c")["url"] == f"{host.url}/api/echo/a?b=c"


def test_answer_of_the_function_is_passed_on(host: Host) -> None:
    answer = requests.post(f"{host.url}/api/echo", data=b"body", headers=OPEN, timeout=20)
    assert (answer.status_code, answer.headers["x-own"]) == (207, "1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["body"] == "body"


def test_chunked_body_arrives_empty_and_the_connection_lives_on(host: Host) -> None:
    """The real host passes on a body only when its length was announced."""
    with requests.Session() as session:
        for _ in range(2):
            chunks = iter([b"one", b"two"])
            url = f"{host.url}/api/echo"
            answer = session.post(url, data=chunks, headers=OPEN, timeout=20)
            assert answer.json()["body"] == ""


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_method_that_is_not_listed_is_not_found(host: Host, method: str) -> None:
    assert requests.request(method, f"{host.url}/api/echo", timeout=20).status_code == 404


@pytest.mark.parametrize("path", ["/", "/echo", "/api", "/api/echo/a/b", "/api/Tick"])
def test_unknown_route_is_not_found(host: Host, path: str) -> None:
    assert requests.get(host.url + path, headers=MASTER, timeout=20).status_code == 404


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"x-functions-key": "wrong"}, "", 401),
        ({"x-functions-key": "wröng"}, "", 401),
        ({}, "?code=wrong", 401),
        ({}, "?code=function-key", 207),
        ({"x-functions-key": "function-key"}, "", 207),
        ({"x-functions-key": "master-key"}, "", 207),
    ],
)
def test_function_key(host: Host, headers: dict[str, str], query: str, status: int) -> None:
    """Header or `code`; the master key opens everything; no or a wrong key is 401, no body."""
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = requests.get(f"{host.url}/api/echo{query}", headers=encoded, timeout=20)
    assert answer.status_code == status
    assert status != 401 or answer.content == b""


@pytest.mark.parametrize(
    ("level", "key", "status"),
    [
        ("anonymous", "", 200),
        ("admin", "function-key", 401),
        ("admin", "master-key", 200),
    ],
)
def test_auth_levels(
    write_app: Callable[..., Path],
    http_bindings: list[dict[str, object]],
    level: str,
    key: str,
    status: int,
) -> None:
    http_bindings[0]["authLevel"] = level
    root = write_app({"Echo": (http_bindings, "def main(req) -> str:\n    return 'ok'\n")})
    with Worker(root) as worker, Host(worker, root, {}, keys=KEYS) as host:
        headers = {"x-functions-key": key}
        answer = requests.get(f"{host.url}/api/echo", headers=headers, timeout=20)
    assert answer.status_code == status


def test_raising_function_is_500_without_a_body(host: Host) -> None:
    """Nothing of the error leaves the host."""
    answer = requests.get(f"{host.url}/api/echo?raise=1", headers=OPEN, timeout=20)
    assert (answer.status_code, answer.content) == (500, b"")


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
def test_admin_endpoint_fires_the_timer(app: Path, raising: bool) -> None:
    """202 at once, the function runs in the background; its failure does not end the host."""
    if raising:
        (app / "Tick" / "raise").touch()
    with FiredWorker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as host:
        url = f"{host.url}/admin/functions/Tick"
        answer = requests.post(url, json={"input": ""}, headers=MASTER, timeout=20)
        assert answer.status_code == 202
        assert worker.ended.wait(20)
        assert (app / "Tick" / "fired.txt").read_text() == "on time"
        assert requests.get(f"{host.url}/api/echo", headers=OPEN, timeout=20).status_code == 207


@pytest.mark.parametrize(
    ("name", "key", "body", "status"),
    [
        ("Tick", "function-key", b"{}", 401),
        ("Tick", "", b"{}", 401),
        ("Tick", "master-key", b"no json", 400),
        ("Tick", "master-key", b"", 400),
        ("Nobody", "master-key", b"{}", 404),
    ],
)
def test_admin_endpoint_refuses(host: Host, name: str, key: str, body: bytes, status: int) -> None:
    url = f"{host.url}/admin/functions/{name}"
    answer = requests.post(url, data=body, headers={"x-functions-key": key}, timeout=20)
    assert answer.status_code == status


def test_admin_lists_functions_and_status(host: Host) -> None:
    status = requests.get(f"{host.url}/admin/host/status", headers=MASTER, timeout=20)
    functions = requests.get(f"{host.url}/admin/functions", headers=MASTER, timeout=20)
    assert status.json()["state"] == "Running"
    assert [function["name"] for function in functions.json()] == ["Echo", "Tick"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "the setting TICK_SCHEDULE is missing"),
        ({"TICK_SCHEDULE": ""}, "the setting TICK_SCHEDULE is missing"),
        ({"TICK_SCHEDULE": "every night"}, "6 fields"),
        ({"TICK_SCHEDULE": "0 61 * * * *"}, "minute '61': expected 0 to 59"),
    ],
)
def test_schedule_that_the_host_refuses(app: Path, settings: dict[str, str], problem: str) -> None:
    """A missing or malformed schedule stops the host at start, as an indexing error does."""
    with Worker(app) as worker, pytest.raises(AppError, match=problem):
        Host(worker, app, settings)


def test_route_prefix_of_host_json(app: Path) -> None:
    document = {"version": "2.0", "extensions": {"http": {"routePrefix": "v1/photos"}}}
    (app / "host.json").write_text(json.dumps(document))
    with Worker(app) as worker, Host(worker, app, SETTINGS, keys=KEYS) as host:
        assert seen(host, "/v1/photos/echo/a")["route"] == {"user": "a"}


def test_local_settings_fill_what_the_environment_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_BOTH", "environment")
    monkeypatch.delenv("FROM_FILE", raising=False)
    values = {"FROM_BOTH": "file", "FROM_FILE": "file"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    load_local_settings(tmp_path)
    import os

    assert (os.environ["FROM_BOTH"], os.environ["FROM_FILE"]) == ("environment", "file")
    monkeypatch.delenv("FROM_FILE")
