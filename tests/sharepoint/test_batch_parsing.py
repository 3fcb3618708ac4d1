"""SharePoint's multipart batches: what is asked, and any bytes as an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sharepoint.batch import Part, build, parse

TYPE = 'multipart/mixed; boundary="batchresponse_1"'


def compose(*parts: str, end: str = "\r\n") -> bytes:
    lines = []
    for part in parts:
        lines += [
            "--batchresponse_1",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            "",
            part,
        ]
    return end.join([*lines, "--batchresponse_1--", ""]).encode()


OK = 'HTTP/1.1 200 OK\r\nCONTENT-TYPE: application/json\r\n\r\n{"a": "b"}'
BUSY = "HTTP/1.1 429 Too Many Requests\r\nRETRY-AFTER: 30\r\nContent-Type: text/plain\r\n\r\nno"


def test_what_is_asked() -> None:
    """One GET each, absolute URLs as they are, closed by the boundary of the Content-Type."""
    urls = ["https://admin.example/_api/x?@v='a%27%27b'", "https://admin.example/_api/y"]
    body, content_type = build(urls)
    boundary = content_type.partition('boundary="')[2].rstrip('"')
    parts = body.decode().split(f"--{boundary}")
    assert parts[0] == ""
    assert parts[-1] == "--\r\n"
    assert [part.split("\r\n\r\n")[1].split("\r\n")[0] for part in parts[1:-1]] == [
        f"GET {url} HTTP/1.1" for url in urls
    ]
    assert build(urls)[1] != content_type


@pytest.mark.parametrize(
    "content_type",
    [
        TYPE,
        "multipart/mixed; boundary=batchresponse_1",
        "Multipart/Mixed;Boundary=batchresponse_1 ",
        "multipart/mixed; boundary=batchresponse_1; charset=utf-8",
    ],
)
def test_parts_in_order(content_type: str) -> None:
    """Status, headers and JSON of each part, in the order they came."""
    found = parse(compose(OK, BUSY, OK.replace("200", "404")), content_type)
    assert [(part.status, part.value) for part in found] == [
        (200, {"a": "b"}),
        (429, None),
        (404, {"a": "b"}),
    ]
    assert found[1].headers["retry-after"] == "30"


def test_bare_line_feeds() -> None:
    """Lines that end without a carriage return are read too."""
    assert parse(compose(OK, end="\n").replace(b"\r", b""), TYPE)[0].value == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (compose(OK), "application/json", []),
        (compose(OK), "", []),
        (b"", TYPE, []),
        (b"--batchresponse_1--", TYPE, []),
        (compose(OK), "multipart/mixed; boundary=other", []),
        (compose("nothing"), TYPE, [Part()]),
        (compose("HTTP/1.1 200 OK"), TYPE, [Part(200)]),
        (compose("HTTP/1.1 200 OK\r\n\r\n{"), TYPE, [Part(200)]),
        (compose("HTTP/1.1 2000 OK\r\n\r\n{}"), TYPE, [Part()]),
        (compose("HTTP/1.1 200 OK\r\n\r\n" + "[" * 100_000), TYPE, [Part(200)]),
    ],
)
def test_broken_answers(body: bytes, content_type: str, expected: list[Part]) -> None:
    """What cannot be read has no status or no value."""
    assert parse(body, content_type) == expected


@given(st.binary(), st.text())
def test_any_bytes(body: bytes, content_type: str) -> None:
    """No bytes and no header raise."""
    for kind in (content_type, TYPE, f"multipart/mixed; boundary={content_type}"):
        for part in parse(body, kind) + parse(b"--batchresponse_1\r\n" + body, kind):
            assert 0 <= part.status <= 999


@given(st.binary(), st.integers(0, 200))
def test_any_damage(noise: bytes, at: int) -> None:
    """A damaged answer gives parts that were there, or fewer, or unreadable ones."""
    whole = compose(OK, BUSY)
    for damaged in (whole[:at], whole[:at] + noise + whole[at:], whole[:at] + whole[at + 5 :]):
        for part in parse(damaged, TYPE):
            json.dumps(part.value)
