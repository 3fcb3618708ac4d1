"""Batches to Graph while one user, or everything, fails."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest

from local.tenant import Fault, PhotoError, Quirks
from shared.errors import (
    AccessDenied,
    NotFound,
    PatienceExceeded,
    RequestRejected,
    Unavailable,
    UserUnknown,
)
from shared.graph import BATCH_SIZE, NoPhoto, Unknown, Version
from shared.http.division import WHOLE
from tests.support.sampling import sample
from tests.support.service_clients import Clients

Make = Callable[..., Clients]
ELSEWHERE = PhotoError(404, "MailboxNotHostedInExchangeOnline")


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Clients(**options))


@pytest.fixture
def here(make: Make) -> Clients:
    return make(users=20, plain=True)


def ids_of(here: Clients) -> list[str]:
    return list(here.tenant.directory.people)


def expected(here: Clients, user_id: str) -> object:
    photo = here.tenant.directory.people[user_id].photo
    return Version(photo.etag) if photo else NoPhoto()


POISON: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "500 as HTML": {"kind": "status", "status": 500, "body": "html"},
    "502 without body": {"kind": "status", "status": 502, "body": "empty"},
    "503": {"kind": "status", "status": 503},
    "504": {"kind": "status", "status": 504},
    "400": {"kind": "status", "status": 400},
    "403": {"kind": "status", "status": 403},
    "404": {"kind": "status", "status": 404, "body": "html"},
    "409": {"kind": "status", "status": 409},
    "413": {"kind": "status", "status": 413},
    "reset": {"kind": "reset"},
    "no answer": {"kind": "timeout_after"},
    "truncated": {"kind": "truncate"},
    "half as if whole": {"kind": "truncate_clean"},
}


@pytest.mark.parametrize(("poison", "position"), sample(product(POISON, [0, 12, 19]), 2))
def test_a_user_who_spoils_every_batch(here: Clients, poison: str, position: int) -> None:
    """Whatever every batch that names one user answers, everybody else's version is read."""
    ids = ids_of(here)
    here.fault(**POISON[poison], url="$batch", person=ids[position], times=None)
    began = here.clock.monotonic()
    seen = here.graph.photo_versions(ids)
    assert isinstance(seen.pop(ids[position]), Unknown)
    assert seen == {i: expected(here, i) for i in ids if i != ids[position]}
    # A kept connection that gives no byte is tried once more at once.
    assert here.count("photo.batch") <= 22
    assert here.clock.monotonic() - began < 30


def test_forty_of_two_hundred(make: Make) -> None:
    """Every fifth user spoils every batch: all others are read."""
    here = make(users=200, plain=True)
    ids = ids_of(here)
    poisoned = set(ids[::5])
    for user_id in poisoned:
        here.tenant.faults.add(Fault.poison(user_id))
    for start in range(0, 200, BATCH_SIZE):
        some = ids[start : start + BATCH_SIZE]
        seen = here.graph.photo_versions(some)
        unknown = {i for i in some if isinstance(seen[i], Unknown)}
        assert unknown == poisoned & set(some)


@pytest.mark.parametrize("failures", [1, 2, 4, 5])
def test_a_batch_that_fails_for_a_moment(here: Clients, failures: int) -> None:
    """After a few failures in a row most users are read in the same call."""
    here.fault("status", operation="photo.batch", status=503, times=failures)
    seen = here.graph.photo_versions(ids_of(here))
    unknown = [each for each in seen.values() if isinstance(each, Unknown)]
    assert len(unknown) <= 2


@pytest.mark.parametrize("kind", ["status", "reset", "truncate"])
def test_an_outage_costs_few_requests(here: Clients, kind: Any) -> None:
    """When nobody is answered the whole batch is unknown, after a handful of requests."""
    here.fault(kind, operation="photo.batch", times=None)
    seen = here.graph.photo_versions(ids_of(here))
    assert len(seen) == 20
    for each in seen.values():
        assert isinstance(each, Unknown)
        assert isinstance(each.error, Unavailable)
    assert here.count("photo.batch") <= 14


ERRORS = [
    ELSEWHERE,
    PhotoError(404, "MailboxNotEnabledForRESTAPI"),
    PhotoError(404, "ErrorNonExistentMailbox"),
    PhotoError(404, "ProfileNotFound"),
    PhotoError(404, ""),
    PhotoError(404, body="html"),
    PhotoError(404, body="empty"),
    PhotoError(400, "AuthenticationError"),
    PhotoError(410, "ImageNotFound"),
    PhotoError(423, "resourceLocked"),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_an_answer_that_proves_nothing(here: Clients, error: PhotoError) -> None:
    """A mailbox that moved on premises, or a proxy's page: neither version nor bytes say "none"."""
    ids = ids_of(here)
    for user_id in ids[:8]:
        here.tenant.directory.people[user_id].photo_error = error
    seen = here.graph.photo_versions(ids)
    assert all(isinstance(seen[user_id], Unknown) for user_id in ids[:8])
    assert {i: seen[i] for i in ids[8:]} == {i: expected(here, i) for i in ids[8:]}
    with pytest.raises(NotFound if error.status == 404 else RequestRejected):
        here.graph.photo(ids[0])


@pytest.mark.parametrize(
    "code", ["ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound", "GetUserPhoto"]
)
def test_bytes_that_are_gone(make: Make, code: str) -> None:
    """With a known code there is no photo after all, also when only the bytes say so."""
    here = make(quirks=Quirks(no_photo_code=code))
    assert here.graph.photo(here.person("no photo").id) is None


@pytest.mark.parametrize("code", ["ErrorAccessDenied", "Authorization_RequestDenied"])
def test_photos_that_are_refused(make: Make, code: str) -> None:
    """Everybody's photo is refused although the listing works: each user has the refusal."""
    quirks = Quirks(photos_need_own_role=True, photo_denied_code=code)
    here = make(users=20, plain=True, quirks=quirks)
    assert list(here.graph.user_pages("accountEnabled eq true"))
    seen = here.graph.photo_versions(ids_of(here))
    for each in seen.values():
        assert isinstance(each, Unknown)
        assert isinstance(each.error, AccessDenied)
        assert code in str(each.error)
    with pytest.raises(AccessDenied):
        here.graph.photo(ids_of(here)[0])
    here.tenant.roles["graph"].add("ProfilePhoto.Read.All")
    here.renew()
    assert here.graph.photo(ids_of(here)[0])


def test_a_user_for_whom_every_batch_hangs(here: Clients) -> None:
    """No batch is tried again when its time is over, and everybody else's version is read."""
    ids = ids_of(here)
    here.fault(
        "timeout_before",
        url="$batch",
        person=ids[12],
        times=None,
        action=lambda: here.clock.advance(WHOLE.seconds),
    )
    seen = here.graph.photo_versions(ids)
    hung = seen.pop(ids[12])
    assert isinstance(hung, Unknown)
    assert isinstance(hung.error, PatienceExceeded)
    assert seen == {i: expected(here, i) for i in ids if i != ids[12]}
    assert here.clock.monotonic() <= 7 * WHOLE.seconds


def test_bytes_of_a_user_who_is_gone(here: Clients) -> None:
    """A user whom the directory no longer has is unknown, not without a photo."""
    here.fault(
        "status", operation="photo.bytes", status=404, code="Request_ResourceNotFound", times=None
    )
    with pytest.raises(NotFound):
        here.graph.photo(ids_of(here)[0])


def test_an_item_of_a_user_who_is_gone(here: Clients) -> None:
    """The directory's own code names the reason."""
    here.fault("item_status", status=404, code="Request_ResourceNotFound", item=3)
    seen = here.graph.photo_versions(ids_of(here))[ids_of(here)[3]]
    assert isinstance(seen, Unknown)
    assert isinstance(seen.error, UserUnknown)
