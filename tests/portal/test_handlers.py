"""What the pages' calls accept and answer."""

import itertools
import json
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pytest

from local.host.sign_in import Dialect, accounts, principal
from shared.errors import (
    ConfigurationError,
    DeadlineExceeded,
    Evidence,
    NewerSchema,
    PhotoSyncError,
    StateError,
    Throttled,
    TokenUnavailable,
    Unavailable,
)
from shared.portal.core import Photo, Record, State
from shared.portal.message import Answer, Request
from tests.support.portal_core import EMPLOYEE_ID, PEOPLE, FakeCore, picture
from tests.support.portal_site import portal

ACCOUNTS = {account.key: account for account in accounts(PEOPLE)}
EVIDENCE = Evidence("graph", "GET", "https://graph.example/x", 503, request_id="for-support")
SECRET = "host and setting of a technician"


def send(  # noqa: PLR0917 - short calls read best
    core: FakeCore,
    path: str,
    who: str = "helpdesk",
    method: str = "GET",
    body: bytes = b"",
    query: dict[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    sent = {
        "x-ms-client-principal": principal(ACCOUNTS[who], Dialect.LONG),
        "x-ms-client-principal-idp": "aad",
        "sec-fetch-site": "same-origin",
        "x-requested-with": "portal",
        "content-type": "application/json; charset=utf-8",
        **(headers or {}),
    }
    return portal(core).answer(Request(method, path, query or {}, sent, body))


def document(answer: Answer) -> Any:
    return json.loads(answer.body)


_numbers = itertools.count(1)


def body(**values: Any) -> bytes:
    """A body with a request id that no other has; the same in every test process."""
    return json.dumps({"requestId": str(uuid.UUID(int=next(_numbers))), **values}).encode()


def test_my_photos_in_words() -> None:
    """A person learns what both places hold, and where to get the photos."""
    core = FakeCore.with_people()
    found = document(send(core, "api/me", "employee"))
    assert found["user"]["name"] == "Adele Vance"
    assert found["comparison"] == "different"
    for source in ("exchange", "sharepoint"):
        assert found[source]["state"] == "photo"
        photo = send(core, f"api/me/photo/{source}", "employee")
        assert photo.mimetype == "image/jpeg"
        assert photo.headers["ETag"] == f'"{found[source]["version"]}"'


def test_technicians_sentences_stay_with_the_help_desk() -> None:
    """Details of services and hosts are for the help desk only."""
    core = FakeCore.with_people()
    core.users[EMPLOYEE_ID].record = Record("failed", SECRET, "2026-11-26T01:00:00Z", failures=2)
    core.users[EMPLOYEE_ID].outcome = "failed"
    mine = send(core, "api/me", "employee")
    assert document(mine)["record"]["outcome"] == "failed"
    done = send(core, "api/me/sync", "employee", "POST", body())
    assert document(done)["outcome"] == "failed"
    for answer in (mine, done):
        assert SECRET.encode() not in answer.body
        assert b"sharepoint:" not in answer.body
    theirs = document(send(core, f"api/users/{EMPLOYEE_ID}"))
    assert theirs["record"]["detail"] == SECRET
    assert len(theirs["history"]) == 3


FAILURES: list[tuple[PhotoSyncError, int, str]] = [
    (ConfigurationError([SECRET]), 500, "misconfiguration"),
    (TokenUnavailable(SECRET), 500, "misconfiguration"),
    (NewerSchema(SECRET), 500, "misconfiguration"),
    (StateError(SECRET), 502, "storage-failed"),
    (Unavailable(EVIDENCE), 502, "service-failed"),
    (Throttled(EVIDENCE, 12.2), 503, "throttled"),
    (DeadlineExceeded(SECRET), 503, "out-of-time"),
    (PhotoSyncError(SECRET), 502, "service-failed"),
]


@pytest.mark.parametrize(("error", "status", "kind"), FAILURES, ids=[k for *_, k in FAILURES])
@pytest.mark.parametrize("who", ["employee", "helpdesk"])
def test_failures(error: PhotoSyncError, status: int, kind: str, who: str) -> None:
    """A failure has its status and kind; only the help desk reads the sentence behind it."""
    core = FakeCore.with_people()
    core.fails = error
    path = "api/me" if who == "employee" else f"api/users/{EMPLOYEE_ID}"
    answer = send(core, path, who)
    assert (answer.status, answer.mimetype) == (status, "application/problem+json")
    assert document(answer)["type"] == f"urn:photo-sync:problem:{kind}"
    assert (str(error).encode() in answer.body) is (who == "helpdesk")
    if isinstance(error, Throttled):
        assert answer.headers["Retry-After"] == "13"
    if isinstance(error, (Throttled, Unavailable)):
        assert document(answer)["requestId"] == "for-support"


def test_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is answered by its type only; the log has the rest."""
    core = FakeCore.with_people()
    core.fails = RuntimeError(SECRET)
    answer = send(core, f"api/users/{EMPLOYEE_ID}")
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert SECRET.encode() not in answer.body
    assert SECRET in caplog.text


@pytest.mark.parametrize(
    "query",
    ["", "ab", "a b", "a-b", "  ab  ", "..,", "x" * 101, "abc\x00", "abc\x1b", "abc\u202e"],
)
def test_searches_that_are_refused(query: str) -> None:
    """A search needs three letters and holds nothing that cannot be seen."""
    core = FakeCore.with_people()
    answer = send(core, "api/users", query={"query": query})
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert document(answer)["type"].endswith("bad-search")


@pytest.mark.parametrize("query", ["ade", "  Ade  ", "adele@contoso", "ADELE V"])
def test_searches(query: str) -> None:
    """Spaces and case do not matter."""
    found = document(send(FakeCore.with_people(), "api/users", query={"query": query}))
    assert [user["id"] for user in found["users"]] == [EMPLOYEE_ID]
    assert found["more"] is False


def test_at_most_ten_hits() -> None:
    """Nobody reads out the directory: ten people, and that there are more."""
    core = FakeCore.with_people()
    for number in range(30):
        person = (str(uuid.UUID(int=number)), f"Twin {number}", f"twin{number}@contoso.example")
        core.add(person, Photo(State.NONE), Photo(State.NONE))
    found = document(send(core, "api/users", query={"query": "twin"}))
    assert len(found["users"]) == 10
    assert found["more"] is True


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"x", b"[" * 1900, b"\xef\xbb\xbf{}", b'{"requestId":"x"}',
     b'{"requestId":7}', body(user=EMPLOYEE_ID), body(dry_run=True), body(force="true"),
     body(force=1), body(force=None), body(dryRun="no"), body(x="y" * 2000)],
)  # fmt: skip
def test_bodies_that_are_refused(content: bytes) -> None:
    """A misspelled switch must not turn a trial into a real update."""
    core = FakeCore.with_people()
    answer = send(core, f"api/users/{EMPLOYEE_ID}/sync", "helpdesk", "POST", content)
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert core.synced == []


@pytest.mark.parametrize("switch", ["force", "dryRun"])
def test_self_service_has_no_switches(switch: str) -> None:
    """Only the help desk may force or try."""
    core = FakeCore.with_people()
    answer = send(core, "api/me/sync", "employee", "POST", body(**{switch: True}))
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert core.synced == []


@pytest.mark.parametrize(
    ("switches", "called"),
    [
        ({}, (EMPLOYEE_ID, False, False)),
        ({"force": True}, (EMPLOYEE_ID, True, False)),
        ({"dryRun": True}, (EMPLOYEE_ID, False, True)),
        ({"force": True, "dryRun": True}, (EMPLOYEE_ID, True, True)),
    ],
)
def test_switches(switches: dict[str, bool], called: tuple[str, bool, bool]) -> None:
    """The help desk's switches reach the sync, and nothing else does."""
    core = FakeCore.with_people()
    answer = send(core, f"api/users/{EMPLOYEE_ID}/sync", "helpdesk", "POST", body(**switches))
    assert document(answer)["dryRun"] is called[2]
    assert core.synced == [called]


def test_photos_are_asked_again() -> None:
    """A browser keeps a photo for its owner only, and asks whether it is still the one."""
    core = FakeCore.with_people()
    first = send(core, "api/me/photo/exchange", "employee")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = send(
        core, "api/me/photo/exchange", "employee", headers={"If-None-Match": f'"x", {tag}'}
    )
    assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")
    core.users[EMPLOYEE_ID].exchange = Photo(State.PHOTO, picture("#111111", "ZZ"))
    other = send(core, "api/me/photo/exchange", "employee", headers={"If-None-Match": tag})
    assert other.status == HTTPStatus.OK


@pytest.mark.parametrize("state", [State.NONE, State.NO_PROFILE, State.UNUSABLE, State.UNKNOWN])
def test_no_photo(state: State) -> None:
    """Where there is no photo, words say why, and the photo itself is 404."""
    core = FakeCore.with_people()
    core.users[EMPLOYEE_ID].sharepoint = Photo(state)
    assert document(send(core, "api/me", "employee"))["sharepoint"]["state"] == state.value
    answer = send(core, "api/me/photo/sharepoint", "employee")
    assert answer.status == HTTPStatus.NOT_FOUND


def test_history_that_cannot_be_read() -> None:
    """The photos are shown all the same."""
    core = FakeCore.with_people()

    def fail(user_id: str) -> list[Any]:
        raise StateError(user_id)

    core.history = fail  # type: ignore[method-assign]
    assert document(send(core, f"api/users/{EMPLOYEE_ID}"))["history"] is None


def test_last_night() -> None:
    """The help desk sees the run, its problems, and the checks with their remedies."""
    found = document(send(FakeCore.with_people(), "api/run"))
    assert found["run"]["removals"]["heldBack"] == 14
    assert [line["outcome"] for line in found["lines"]] == ["failed", "invalid_photo"]
    assert found["checks"][1]["remedy"].startswith("infra/permissions/grant.sh")
