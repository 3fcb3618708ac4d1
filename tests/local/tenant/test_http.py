"""The HTTP server: kept connections, malformed requests, and every planned fault."""

import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.support.clock import VirtualClock
from local.tenant import Fault, Tenant

LIST = "/users?$top=1&$select=id"


@pytest.fixture
def line(tenant: Tenant) -> Iterator[socket.socket]:
    """A bare connection to Graph."""
    port = urlsplit(tenant.url("graph")).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=5) as connection:
        yield connection


def status(line: socket.socket) -> int:
    """Status of the next answer, of which the rest is read and dropped."""
    head = b""
    while b"\r\n\r\n" not in head:
        got = line.recv(1)
        assert got, head
        head += got
    length = next(
        int(part.split(b":")[1])
        for part in head.split(b"\r\n")
        if part.lower().startswith(b"content-length")
    )
    while length:
        length -= len(line.recv(length))
    return int(head.split()[1])


def test_connection_is_kept(line: socket.socket) -> None:
    """Several requests go through one connection, until the client wants it closed."""
    for _ in range(3):
        line.sendall(b"GET /v1.0/users HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(line) == 401
    line.sendall(b"GET /v1.0/users HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert status(line) == 401
    assert line.recv(1) == b""


def test_pipelined_requests(line: socket.socket) -> None:
    """A body is read to its end and no further."""
    one = b"POST /v1.0/$batch HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    line.sendall(one + one)
    assert [status(line), status(line)] == [401, 401]


def test_chunked_body(graph: Any) -> None:
    """A request body may come in chunks."""
    body = b'{"requests":[{"id":"1","method":"GET","url":"/users?$top=1"}]}'
    answer = graph.post(
        f"{graph.root}/$batch",
        data=iter([body[:10], body[10:]]),
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["responses"][0]["status"] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1.0/users SPDY/3\r\n\r\n",
        b"GET /v1.0/users HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /v1.0/users/łukasz HTTP/1.1\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    ],
)
def test_malformed(line: socket.socket, tenant: Tenant, sent: bytes) -> None:
    """What is no HTTP request is 400 or a closed connection, and not on the tape."""
    line.sendall(sent)
    assert line.recv(12) in (b"HTTP/1.1 400", b"")
    assert tenant.tape.entries() == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("status", status=500), "500 application/json"),
        (Fault("status", status=503, body="html"), "503 text/html"),
        (Fault("status", status=503, body="empty"), "503 text/plain"),
        (Fault("token_rejected"), "401 application/json"),
        (Fault("forbidden"), "403 application/json"),
    ],
)
def test_error_answers(graph: Any, tenant: Tenant, fault: Fault, expected: str) -> None:
    """A planned status comes once, in the form wanted, and is marked on the tape."""
    tenant.faults.add(fault)
    answer = graph.read(LIST)
    assert f"{answer.status_code} {answer.headers['Content-Type']}" == expected
    assert "Retry-After" not in answer.headers
    assert graph.read(LIST).status_code == 200
    assert [entry.fault for entry in tenant.tape.entries()] == [fault.kind, ""]


def test_retry_after(make_tenant: Any, connect: Any) -> None:
    """Retry-After as seconds, or as a date of the tenant's clock."""
    clock = VirtualClock(2_000_000_000)
    tenant = make_tenant(users=1, clock=clock)
    graph = connect(tenant)
    tenant.faults.add(Fault("status", status=429, retry_after=30))
    tenant.faults.add(Fault("status", status=429, retry_after=30, retry_after_date=True))
    assert graph.read(LIST).headers["Retry-After"] == "30"
    when = parsedate_to_datetime(graph.read(LIST).headers["Retry-After"])
    assert when.timestamp() == 2_000_000_030
    assert tenant.tape.summary()["throttled"] == 2


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "reset", "truncate"])
def test_broken_delivery(graph: Any, tenant: Tenant, kind: Any) -> None:
    """No answer, a reset, or half an answer: the client sees a broken connection."""
    tenant.faults.add(Fault(kind))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        graph.read(LIST)
    assert graph.read(LIST).status_code == 200
    entry = tenant.tape.entries()[0]
    assert entry.status == (200 if kind == "truncate" else 0)


def test_half_of_a_body_as_if_whole(graph: Any, tenant: Tenant) -> None:
    """Half a JSON document arrives with a matching length."""
    tenant.faults.add(Fault("truncate_clean"))
    answer = graph.read(LIST)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_hang(graph: Any, tenant: Tenant) -> None:
    """Silence until the client's own time-out; the tenant can be stopped meanwhile."""
    tenant.faults.add(Fault("hang", times=None))
    with pytest.raises(requests.ReadTimeout):
        graph.get(f"{graph.root}{LIST}", timeout=0.05)


def test_stop_does_not_wait_for_clients(make_tenant: Any) -> None:
    """Open connections, also one that hangs, do not hold up the end of a tenant."""
    tenant: Tenant = make_tenant(users=1)
    tenant.faults.add(Fault("hang", times=None))
    port = urlsplit(tenant.url("graph")).port or 0
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while not tenant.tape.entries():
            time.sleep(0.001)
        began = time.monotonic()
        tenant.stop()
        assert time.monotonic() - began < 2
        assert one.recv(1) == b""


def test_before_or_after_the_effect(tenant: Tenant, graph: Any) -> None:
    """A callable runs at the planned request only, before or after it is answered."""
    moments: list[int] = []
    note = lambda: moments.append(len(tenant.tape.entries()))  # noqa: E731 - two uses
    tenant.faults.add(Fault("call", index=1, action=note))
    tenant.faults.add(Fault("call", index=2, action=note, when="after"))
    for _ in range(4):
        assert graph.read(LIST).status_code == 200
    assert moments == [2, 3]


@pytest.mark.parametrize(
    ("matcher", "hit"),
    [
        ({"index": 2}, [2]),
        ({"service": "graph", "times": 2}, [0, 1]),
        ({"operation": "users.get"}, [1]),
        ({"operation": "users.get", "nth": 1}, [3]),
        ({"operation": "nothing"}, []),
        ({"times": None}, [0, 1, 2, 3]),
        ({"person": "second", "times": None}, [3]),
        ({"person": "first", "operation": "photo.batch"}, [2]),
    ],
)
def test_matchers(graph: Any, tenant: Tenant, matcher: dict[str, Any], hit: list[int]) -> None:
    """A fault fires at the requests that match all it names, as often as planned."""
    first, second = list(tenant.directory.people.values())[:2]
    ids = {"first": first.id, "second": second.id}
    if "person" in matcher:
        matcher = matcher | {"person": ids[matcher["person"]]}
    tenant.faults.add(Fault("status", **matcher))
    graph.read(LIST)
    graph.read(f"/users/{first.id}")
    graph.batch_answer = graph.envelope(
        [{"id": "1", "method": "GET", "url": f"/users/{first.id}/photo"}]
    )
    graph.read(f"/users/{second.upn}")
    entries = tenant.tape.entries()
    assert [entry.index for entry in entries if entry.fault] == hit
    assert [entry.index for entry in entries if entry.status == 503] == hit


def test_tape(graph: Any, tenant: Tenant) -> None:
    """The tape knows origin, service, operation, sizes and times of every request, in order."""
    tenant.tape.clear()
    graph.read(LIST)
    graph.read(f"/users/{graph.person('ordinary')}/photo/$value")
    graph.read("/nothing")
    entries = tenant.tape.entries()
    assert [entry.index for entry in entries] == [0, 1, 2]
    assert [entry.operation for entry in entries] == ["users.list", "photo.bytes", "other"]
    assert [entry.status for entry in entries] == [200, 200, 400]
    assert {entry.origin for entry in entries} == {"graph"}
    assert entries[1].response_bytes > 1000
    assert {entry.agent for entry in entries} == {graph.headers["User-Agent"]}
    assert all(entry.started <= entry.ended for entry in entries)
    assert tenant.tape.count(service="graph") == 3
    assert tenant.tape.count(operation="photo.bytes") == 1
    assert tenant.tape.writes() == []
    tenant.tape.clear()
    assert tenant.tape.count() == 0


@pytest.mark.parametrize(
    ("origin", "keys"),
    [
        ("graph", {"error"}),
        ("mysite", {"odata.error"}),
        ("login", {"error", "error_description"}),
        ("identity", {"statusCode", "message"}),
    ],
)
def test_errors_have_the_form_of_their_service(tenant: Tenant, origin: str, keys: set[str]) -> None:
    """An injected error looks like one of the service it comes from."""
    tenant.faults.add(Fault("status", status=429))
    answer = requests.get(f"{tenant.url(origin)}/x", verify=str(tenant.certificate), timeout=5)
    assert answer.status_code == 429
    assert answer.json().keys() == keys


def test_error_of_csom(tenant: Tenant) -> None:
    """A failed ProcessQuery is HTTP 200 with ErrorInfo in the first element."""
    tenant.faults.add(Fault("error_info", operation="profile.query", code="-2147024891"))
    url = f"{tenant.url('admin')}/_vti_bin/client.svc/ProcessQuery"
    answer = requests.post(url, data=b"<Request/>", timeout=5)
    assert answer.status_code == 200
    assert answer.json()[0]["ErrorInfo"]["ErrorCode"] == -2147024891


def test_action_of_a_fault_without_answer(graph: Any, tenant: Tenant) -> None:
    """Any fault may run an action: a test kills there, while the client waits for an answer."""
    done: list[str] = []
    tenant.faults.add(Fault("timeout_after", action=lambda: done.append("killed"), when="after"))
    with pytest.raises(requests.ConnectionError):
        graph.read(LIST)
    assert done == ["killed"]
