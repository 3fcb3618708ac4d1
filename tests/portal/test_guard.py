"""How often one may call, and what is on record."""

import json
import uuid
from http import HTTPStatus
from typing import Any

import pytest

from local.host.sign_in import Dialect, accounts, principal
from local.support.clock import VirtualClock
from shared.errors import ConfigurationError, StateError
from shared.portal import rate_limit
from shared.portal.audit import Action, Audit
from shared.portal.message import Answer, Request
from shared.portal.rate_limit import Bucket, Calls, Limit, RateLimit, dump, parse, take
from shared.problem import Problem
from tests.support.portal_core import EMPLOYEE_ID, HELP_DESK_ID, PEOPLE, Blobs, FakeCore
from tests.support.portal_site import portal

ACCOUNTS = {account.key: account for account in accounts(PEOPLE)}


class Desk:
    """The portal on a virtual clock, and what people send to it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.core = FakeCore.with_people()
        self.blobs = Blobs()
        self.core.store = self.blobs
        self._portal = portal(self.core, clock=self.clock)

    def send(self, method: str, path: str, who: str, **body: Any) -> Answer:
        now = self.clock.time()
        headers = {
            "x-ms-client-principal": principal(ACCOUNTS[who], Dialect.SHORT, now),
            "x-ms-client-principal-idp": "aad",
            "sec-fetch-site": "same-origin",
            "x-requested-with": "portal",
            "content-type": "application/json",
        }
        path, _, query = path.partition("?")
        content = json.dumps({"requestId": str(uuid.uuid4()), **body}).encode()
        parameters = dict([query.split("=")]) if query else {}
        return self._portal.answer(Request(method, path, parameters, headers, content))

    def lines(self) -> list[dict[str, str]]:
        found = [c for n, c in self.blobs.content.items() if n.startswith("audit/")]
        return [json.loads(line) for line in b"".join(found).splitlines()]


def test_one_update_a_minute() -> None:
    """A person updates their photo once a minute; the answer says how long to wait."""
    desk = Desk()
    assert desk.send("POST", "api/me/sync", "employee").status == HTTPStatus.OK
    desk.clock.advance(12.5)
    answer = desk.send("POST", "api/me/sync", "employee")
    assert answer.status == HTTPStatus.TOO_MANY_REQUESTS
    assert answer.headers["Retry-After"] == "48"
    assert json.loads(answer.body)["retryAfter"] == 48
    assert len(desk.core.synced) == 1
    desk.clock.advance(47.5)
    assert desk.send("POST", "api/me/sync", "employee").status == HTTPStatus.OK


def test_ten_updates_an_hour() -> None:
    """The eleventh update within an hour waits until the first is an hour old."""
    desk = Desk()
    for _ in range(10):
        assert desk.send("POST", "api/me/sync", "employee").status == HTTPStatus.OK
        desk.clock.advance(60)
    answer = desk.send("POST", "api/me/sync", "employee")
    assert answer.headers["Retry-After"] == str(3600 - 600)
    desk.clock.advance(3000)
    assert desk.send("POST", "api/me/sync", "employee").status == HTTPStatus.OK


def test_the_help_desk_acts_thirty_times_a_minute() -> None:
    """Views and updates of the help desk are counted together; other people are not affected."""
    desk = Desk()
    for number in range(30):
        path = f"api/users/{EMPLOYEE_ID}"
        answer = (
            desk.send("POST", path + "/sync", "helpdesk")
            if number % 2
            else desk.send("GET", path, "helpdesk")
        )
        assert answer.status == HTTPStatus.OK
    answer = desk.send("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk")
    assert answer.status == HTTPStatus.TOO_MANY_REQUESTS
    assert desk.send("POST", "api/me/sync", "employee").status == HTTPStatus.OK


def test_nobody_reads_out_the_directory() -> None:
    """Searches are limited as well, sixty a minute."""
    desk = Desk()
    answers = [desk.send("GET", "api/users?query=ade", "helpdesk").status for _ in range(61)]
    assert answers == [HTTPStatus.OK] * 60 + [HTTPStatus.TOO_MANY_REQUESTS]


def test_a_write_is_carried_out_once() -> None:
    """A repeated request, as browsers send on a broken connection, is refused."""
    desk = Desk()
    request_id = str(uuid.uuid4())
    path = f"api/users/{EMPLOYEE_ID}/sync"
    assert desk.send("POST", path, "helpdesk", requestId=request_id).status == HTTPStatus.OK
    for repeated in (request_id, request_id.upper()):
        answer = desk.send("POST", path, "helpdesk", requestId=repeated)
        assert answer.status == HTTPStatus.CONFLICT
    assert len(desk.core.synced) == 1


def test_lines_before_and_after() -> None:
    """Every effect stands between two lines that name who, whom, what, and the outcome."""
    desk = Desk()
    desk.send("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk", force=True)
    before, after = desk.lines()
    for line in (before, after):
        assert line["actorId"] == HELP_DESK_ID
        assert line["actorRole"] == "helpdesk"
        assert line["targetId"] == EMPLOYEE_ID
        assert line["activity"] == "force"
    assert before["correlationId"] == after["correlationId"]
    assert (before["result"], before["outcome"]) == ("started", "")
    assert (after["result"], after["outcome"]) == ("succeeded", "updated")
    day = before["at"][:10]
    assert list(desk.blobs.content) == [f"portal/limits/{HELP_DESK_ID}.json", f"audit/{day}.jsonl"]


@pytest.mark.parametrize(
    ("method", "path", "who", "body", "activity", "lines"),
    [
        ("POST", "api/me/sync", "employee", {}, "sync", 2),
        ("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk", {}, "sync", 2),
        ("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk", {"dryRun": True}, "dry_run", 2),
        ("GET", f"api/users/{EMPLOYEE_ID}", "helpdesk", {}, "view", 1),
        ("GET", "api/users?query=adel", "helpdesk", {}, "search", 1),
    ],
)
def test_activities(  # noqa: PLR0917 - a row of the table
    method: str, path: str, who: str, body: dict[str, bool], activity: str, lines: int
) -> None:
    """Updates have two lines, looks of the help desk one; none holds a name or a search."""
    desk = Desk()
    assert desk.send(method, path, who, **body).status == HTTPStatus.OK
    assert [line["activity"] for line in desk.lines()] == [activity] * lines
    text = b"".join(desk.blobs.content.values()).lower()
    assert b"contoso" not in text
    assert b"adel" not in text


def test_what_failed_is_on_record() -> None:
    """The line after a failure says so and names the kind of failure."""
    desk = Desk()
    desk.core.users[EMPLOYEE_ID].outcome = "failed"
    desk.send("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk")
    assert (desk.lines()[-1]["result"], desk.lines()[-1]["outcome"]) == ("failed", "failed")
    desk.core.fails = ConfigurationError(["SHAREPOINT_TENANT: secret of a technician"])
    desk.send("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk")
    assert (desk.lines()[-1]["result"], desk.lines()[-1]["reason"]) == (
        "failed",
        "misconfiguration",
    )
    desk.core.fails = RuntimeError("boom")
    answer = desk.send("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk")
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert desk.lines()[-1]["reason"] == "internal-error"


def test_photos_are_on_record_too() -> None:
    """A photo that belongs to a view costs nothing more; any other is counted and put on record."""
    desk = Desk()
    photo = f"api/users/{EMPLOYEE_ID}/photo/exchange"
    version = json.loads(desk.send("GET", f"api/users/{EMPLOYEE_ID}", "helpdesk").body)["exchange"]
    for _ in range(40):
        request = f"{photo}?v={version['version']}"
        assert desk.send("GET", request, "helpdesk").status == HTTPStatus.OK
    assert len(desk.lines()) == 1
    statuses = [desk.send("GET", photo, "helpdesk").status for _ in range(30)]
    assert statuses == [HTTPStatus.OK] * 29 + [HTTPStatus.TOO_MANY_REQUESTS]
    assert [line["activity"] for line in desk.lines()] == ["view"] * 30
    own = [desk.send("GET", "api/me/photo/exchange", "employee").status for _ in range(31)]
    assert own == [HTTPStatus.OK] * 30 + [HTTPStatus.TOO_MANY_REQUESTS]


@pytest.mark.parametrize(
    ("method", "path", "who"),
    [
        ("POST", "api/me/sync", "employee"),
        ("POST", f"api/users/{EMPLOYEE_ID}/sync", "helpdesk"),
        ("GET", f"api/users/{EMPLOYEE_ID}", "helpdesk"),
        ("GET", "api/users?query=ade", "helpdesk"),
        ("GET", f"api/users/{EMPLOYEE_ID}/photo/exchange", "helpdesk"),
        ("GET", "api/me", "employee"),
        ("GET", "api/me/photo/exchange", "employee"),
        ("GET", "api/run", "helpdesk"),
    ],
)
def test_without_storage_nothing_happens(method: str, path: str, who: str) -> None:
    """What cannot be counted and put on record is not done and not shown."""
    desk = Desk()
    desk.blobs.fails = StateError("cannot read: ServerBusy")
    answer = desk.send(method, path, who)
    assert answer.status == HTTPStatus.BAD_GATEWAY
    assert desk.core.synced == []
    assert b"Adele" not in answer.body


def test_a_line_that_is_lost_after_the_effect(caplog: pytest.LogCaptureFixture) -> None:
    """The effect has happened, so the answer is right; the log tells what is missing."""
    blobs, clock = Blobs(), VirtualClock()
    action = Action("sync", EMPLOYEE_ID, "self", EMPLOYEE_ID, "the-correlation")
    Audit(blobs, clock).begin(action)
    blobs.fails = StateError("cannot append")
    Audit(blobs, clock).end(action, "succeeded", outcome="updated")
    assert "the-correlation" in caplog.text


BUCKET = Bucket("b", (Limit(2, 10), Limit(3, 100)))


def test_windows_slide() -> None:
    """Every limit of a bucket is kept, and a call is allowed as soon as all allow it."""
    known, times = Calls(), []
    for second in range(250):
        taken = take(known, BUCKET, float(second))
        if isinstance(taken, Calls):
            known = taken
            times.append(second)
    assert times == [0, 1, 10, 100, 101, 110, 200, 201, 210]


def test_the_wait_is_exact() -> None:
    """Whoever waits as long as they are told is let through, and not a moment earlier."""
    known = Calls({"b": [0.0, 1.0, 10.0]})
    wait = take(known, BUCKET, 20.25)
    assert wait == 79.75
    assert isinstance(take(known, BUCKET, 20.25 + 79.7), float)
    assert isinstance(take(known, BUCKET, 20.25 + 79.75), Calls)


def test_a_clock_that_was_wrong() -> None:
    """Calls noted in the future lock nobody out."""
    assert isinstance(take(Calls({"b": [1e12, 1e12]}), BUCKET, 5.0), Calls)


def test_calls_survive_the_blob() -> None:
    """What is written is read again; it stays small."""
    known = Calls()
    for number in range(500):
        taken = take(known, BUCKET, number * 100.0, str(uuid.UUID(int=number)))
        assert isinstance(taken, Calls)
        known = parse(dump(taken))
    assert len(known.calls["b"]) == 3
    assert len(dump(known)) < 10_000


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"schema":2}', b'{"schema":1}', b"[" * 2000,
     b'{"schema":1,"calls":{"b":[true]},"requests":[]}',
     b'{"schema":1,"calls":{"b":[NaN]},"requests":[]}',
     b'{"schema":1,"calls":{"b":["x"]},"requests":[]}',
     b'{"schema":1,"calls":{},"requests":[[1]]}'],
)  # fmt: skip
def test_a_broken_blob(content: bytes) -> None:
    """A blob that cannot be read is replaced and locks nobody out."""
    blobs = Blobs()
    blobs.write(f"portal/limits/{EMPLOYEE_ID}.json", content, None)
    RateLimit(blobs, VirtualClock()).spend(EMPLOYEE_ID, rate_limit.OWN_SYNC)
    with pytest.raises(Problem):
        RateLimit(blobs, VirtualClock()).spend(EMPLOYEE_ID, rate_limit.OWN_SYNC)


def test_other_instances_write_meanwhile() -> None:
    """A lost race is run again; too many of them are throttled, not let through."""
    blobs = Blobs()
    blobs.disturb = rate_limit.ATTEMPTS - 1
    RateLimit(blobs, VirtualClock()).spend(EMPLOYEE_ID, rate_limit.OWN_VIEW)
    blobs.disturb = rate_limit.ATTEMPTS
    with pytest.raises(Problem) as refused:
        RateLimit(blobs, VirtualClock()).spend(EMPLOYEE_ID, rate_limit.OWN_VIEW)
    assert refused.value.status is HTTPStatus.TOO_MANY_REQUESTS
