"""The local host answers each request of the table as the real Functions host answered it."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.host import Host, Keys, Worker, http_server
from tests.local.host.observed import FUNCTION_KEY, MASTER_KEY, ROWS, Row
from tests.local.host.observed_app import SETTINGS, write

_PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The observed app on a free port; it waits for bodies as long as a busy machine may need."""
    root = write(tmp_path_factory.mktemp("observed") / "app")
    keys = Keys(FUNCTION_KEY, MASTER_KEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_server, "_BODY_GRACE_SECONDS", 10 * _PATIENCE_SECONDS)
        with Worker(root) as worker, Host(worker, root, SETTINGS, keys=keys) as running:
            yield running


def _bytes(row: Row) -> bytes:
    if row.raw:
        return row.raw
    lines = [f"{row.method} {row.target} HTTP/1.1", "Host: h", *row.headers]
    if row.key is not None:
        lines.append(f"x-functions-key: {row.key}")
    if row.body:
        lines.append(f"Content-Length: {len(row.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + row.body


def _ended(connection: socket.socket) -> bool:
    """Whether the server has closed the connection, or still answers on it."""
    try:
        connection.sendall(b"GET /admin/host/ping HTTP/1.1\r\nHost: h\r\n\r\n")
        return connection.recv(12) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_answer_is_the_real_hosts(host: Host, row: Row) -> None:
    """Status, headers, framing, body, and what the function saw."""
    address = urlsplit(host.url)
    with socket.create_connection((str(address.hostname), address.port or 0)) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        connection.sendall(_bytes(row))
        answer = http.client.HTTPResponse(connection, method=row.method)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        try:
            content = answer.read()
        except http.client.IncompleteRead as error:
            assert row.closes
            content = error.partial
        assert answer.status == row.status
        assert {name: headers.get(name) for name in row.has} == row.has
        assert not set(row.lacks) & set(headers)
        assert row.content is None or content == row.content
        if row.seen is not None:
            _compare(row.seen, json.loads(content))
        if row.status != 431:
            assert _ended(connection) == row.closes
    assert headers["server"] == "Kestrel"


def _compare(expected: dict[str, Any], seen: dict[str, Any]) -> None:
    for name, value in expected.items():
        found = seen[name]
        if name == "headers":
            found = {header: found.get(header) for header in value}
        assert found == value, name


def test_the_table_is_large_enough() -> None:
    """Every row is its own request."""
    assert len({(_bytes(row), row.status, tuple(row.has), row.lacks) for row in ROWS}) >= 200
