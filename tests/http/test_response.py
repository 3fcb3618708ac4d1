"""Error bodies and headers as services send them, and as nobody should."""

import json
import re
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.support.clock import VirtualClock
from shared.errors import (
    AccessDenied,
    Evidence,
    MalformedResponse,
    NotFound,
    RequestRejected,
    ServiceError,
)
from shared.http import Response, error_of, number, printable, retry_after, without_tokens
from shared.http.response import evidence_of
from shared.http.token_requests import reason_of

ASKED = Evidence("graph", "GET", "https://graph.example/v1.0/users")
REJECTED = (301, 302, 304, 400, 423, 501)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "ImageNotFound", "message": "gone"}}, "ImageNotFound", "gone"),
        ({"error": {"code": "", "message": "", "innererror": {}}}, "", ""),
        ({"error": {"code": "-1, X", "message": {"lang": "en", "value": "no"}}}, "-1, X", "no"),
        ({"odata.error": {"code": "-1, X", "message": {"value": "no"}}}, "-1, X", "no"),
        ({"error": {"code": -1, "message": "verbose"}}, "-1", "verbose"),
        (
            {"error": "invalid_request", "error_description": "Token type is not allowed."},
            "invalid_request",
            "Token type is not allowed.",
        ),
        ({"error": {"code": ["odd"], "message": {"value": {}}}}, "", ""),
        ({"error": None}, "", ""),
        ({"error": []}, "", ""),
        ([{"error": {"code": "x"}}], "", ""),
        ("error", "", ""),
        (None, "", ""),
    ],
)
def test_error_bodies(body: object, code: str, message: str) -> None:
    """Code and message are found in every documented shape, and in nothing else."""
    assert error_of(body) == (code, message)


@given(JSON)
def test_any_json_is_read_as_an_error(body: object) -> None:
    """Any JSON gives two short printable texts."""
    for text in error_of({"error": body}) + error_of(body):
        assert len(text) <= 200
        assert text.isprintable()


HEAVY = [
    "eyJ" * 300_000,
    "eyJ." * 250_000,
    "eyJ-" * 250_000 + ".",
    "." * 1_000_000,
    "a" * 1_000_000,
    "eyJ a" * 200_000,
    "eyJa.b " * 150_000,
    " " * 1_000_000,
    "1" * 1_000_000,
    "Mon, " * 200_000,
    ", 01 Jan (" * 100_000,
]


@pytest.mark.parametrize("text", HEAVY, ids=lambda text: text[:10])
def test_a_megabyte_of_text_is_read_in_linear_time(text: str) -> None:
    """No text of an error or a header costs more than looking at it once or twice.

    In quadratic time each of these would take minutes; the bound is generous for slow machines.
    """
    began = time.process_time()
    without_tokens(text)
    printable(text)
    number(text)
    reason_of(ValueError(text))
    retry_after({"Retry-After": text}, VirtualClock())
    body = json.dumps({"error": {"code": text, "message": {"value": text}}}).encode()
    evidence_of(ASKED, 500, {"request-id": text}, body)
    assert time.process_time() - began < 10


TOKEN = "eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl-_x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Bearer {TOKEN}", "Bearer [hidden]"),
        (f"x={TOKEN}, y", "x=[hidden], y"),
        (f"token_{TOKEN}", "token_[hidden]"),
        (f"a.b.{TOKEN}", "a.b.[hidden]"),
        (f'"{TOKEN}"', '"[hidden]"'),
        (f"{TOKEN} and {TOKEN}", "[hidden] and [hidden]"),
        (TOKEN[:20], "[hidden]"),
        ("eyJ0eXAi", "eyJ0eXAi"),
        ("a.b.c and heyJude", "a.b.c and heyJude"),
        ("", ""),
    ],
)
def test_no_token_is_shown(text: str, shown: str) -> None:
    """A token that a service quotes is hidden, whole or cut, whatever stands before it."""
    assert without_tokens(text) == shown


@given(st.text(alphabet="eyJ.-_ab ", max_size=60))
def test_hidden_as_the_definition_says(text: str) -> None:
    """A token: `eyJ`, then characters of base64url, with at least one dot among them."""
    plain = re.sub(r"eyJ[\w-]*(?:\.[\w-]*)+", "[hidden]", text)
    assert without_tokens(text) == plain


@given(st.binary(), st.integers(100, 599))
def test_any_bytes_become_an_answer_or_a_typed_error(body: bytes, status: int) -> None:
    """No body, whatever its status, raises anything but an error of the program."""
    evidence = evidence_of(ASKED, status, {}, body)
    reply = Response(status, {}, body, evidence)
    reply.error_value()
    for attempt in (reply.parsed, reply.judged):
        try:
            found = attempt().evidence
        except ServiceError as error:
            found = error.evidence
        assert (found.status, found.url) == (status, ASKED.url)


@pytest.mark.parametrize("opening", [b"[", b'{"error":', b'{"error":{"code":'])
def test_deep_nesting_is_no_crash(opening: bytes) -> None:
    """A body that nests without end is no JSON; it does not end the process."""
    body = opening * 200_000
    assert evidence_of(ASKED, 500, {}, body).message == "no JSON"
    with pytest.raises(MalformedResponse):
        Response(200, {}, body, ASKED).parsed()


@pytest.mark.parametrize("depth", [10, 500, 900, 5000])
def test_nesting_that_is_json_is_no_crash(depth: int) -> None:
    """What the JSON parser still takes can be looked at."""
    try:
        nested = json.loads(b'{"code":' * depth + b"1" + b"}" * depth)
    except RecursionError:
        return
    assert error_of({"error": {"code": nested, "message": {"value": nested}}}) == ("", "")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        *((s, RequestRejected) for s in REJECTED),
    ],
)
def test_statuses(status: int, error: type[Exception]) -> None:
    """Each status has its error, unless the caller accepts it."""
    reply = Response(status, {}, b"", ASKED)
    with pytest.raises(error):
        reply.judged()
    assert reply.judged({status}) is reply


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"request-id": "r-1"}, "r-1"),
        ({"sprequestguid": "s-1"}, "s-1"),
        ({"request-id": "a\r\nb" + "x" * 100}, "a b" + "x" * 60 + "…"),
        ({}, ""),
    ],
)
def test_request_id(headers: dict[str, str], expected: str) -> None:
    """The id for Microsoft's support is kept, on one line."""
    assert evidence_of(ASKED, 500, headers, b"").request_id == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("٣", None),
        ("3600.5", 3600.0),
        ("9" * 30, 3600.0),
        ("9" * 400, None),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds are read; what makes no sense counts as absent."""
    headers = {} if value is None else {"ReTRY-aFTER": value}
    assert retry_after(headers, VirtualClock()) == seconds


@pytest.fixture
def local_time() -> Iterator[None]:
    """Sets the process's time zone back."""
    yield
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.usefixtures("local_time", "monkeypatch")
@pytest.mark.parametrize("late", [90, 0, -90])
@pytest.mark.parametrize("gmt", [True, False])
def test_retry_after_as_date(late: int, gmt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date counts from now, in UTC wherever we are; one that is over asks for nothing."""
    monkeypatch.setenv("TZ", "Etc/GMT+5")
    if hasattr(time, "tzset"):
        time.tzset()
    clock = VirtualClock(1_790_000_000.0)
    date = formatdate(clock.time() + late, usegmt=gmt)
    assert retry_after({"Retry-After": date}, clock) == max(0, late)


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, .{1,30} (GMT|[+-][0-9]{4})"))
def test_any_retry_after(value: str) -> None:
    """No value of the header raises, and none makes the program wait a negative time."""
    seconds = retry_after({"Retry-After": value}, VirtualClock())
    assert seconds is None or 0 <= seconds <= 3600


@given(st.text() | st.integers() | st.floats() | st.lists(st.integers()))
def test_any_number(value: object) -> None:
    """No value gives anything but a finite number that is not negative."""
    read = number(value)
    assert read is None or 0 <= read < 1e9


@given(st.text())
def test_log_texts(text: str) -> None:
    """Whatever a service says fits on one line of a log."""
    shown = printable(text, 50)
    assert len(shown) <= 50
    assert "\n" not in shown
    assert shown.isprintable()
