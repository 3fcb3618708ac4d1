"""Graph's client against the emulated tenant: listing, versions, bytes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.tenant import Quirks, Quotas
from shared.errors import (
    AccessDenied,
    ConfigurationError,
    FilterRefused,
    ListingExpired,
    PermissionMissing,
    PhotoSyncError,
    RequestRejected,
    Throttled,
    Unavailable,
    UserUnknown,
)
from shared.graph import BATCH_SIZE, NoPhoto, Unknown, Version
from shared.http import THROTTLES
from shared.model import User
from tests.support.service_clients import Clients, as_user

Make = Callable[..., Clients]
EVERYBODY = "accountEnabled eq true or accountEnabled eq false"
USER_FILTER = (
    "accountEnabled eq true and userType eq 'Member' and "
    "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled')"
)
NAMES = ["apostrophe", "hash", "ampersand", "plus", "percent", "letters", "licensed guest"]
NAMES += ["upper case", "long name"]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Clients(**options))


@pytest.fixture
def here(make: Make) -> Clients:
    return make()


def listed(here: Clients, user_filter: str = EVERYBODY) -> list[User]:
    return [user for page in here.graph.user_pages(user_filter) for user in page.users]


def a_batch(here: Clients) -> list[str]:
    return list(here.tenant.directory.people)[:BATCH_SIZE]


# -- listing --


def test_everybody_in_pages(make: Make) -> None:
    """All pages, the header on every one of them, the count on the first."""
    here = make(users=2100, plain=True)
    pages = list(here.graph.user_pages(USER_FILTER))
    assert [len(page.users) for page in pages] == [999, 999, 102]
    assert [page.expected for page in pages] == [2100, None, None]
    assert {page.unusable for page in pages} == {0}
    assert {u.id for p in pages for u in p.users} == set(here.tenant.directory.people)
    assert here.count("users.list") == 3


def test_the_default_filter(here: Clients) -> None:
    """Enabled members with an Exchange plan; guests, blocked and unlicensed accounts are not."""
    kinds = {here.tenant.directory.people[user.id].kind for user in listed(here, USER_FILTER)}
    assert not kinds & {"guest", "licensed guest", "sign-in blocked", "no licence", "suspended"}
    assert not kinds & {"no Exchange plan", "no Exchange plan, photo"}
    assert {"ordinary", "kiosk", "hash", "letters"} <= kinds


def test_members_of_a_group(here: Clients) -> None:
    """Users only, those of nested groups included."""
    directory = here.tenant.directory
    outer = "00000000-aaaa-4bbb-8ccc-000000000001"
    directory.groups[outer] = {here.tenant.group_id, here.person("hash").id}
    found = {u.id for page in here.graph.member_pages(outer) for u in page.users}
    assert found == directory.groups[here.tenant.group_id] | {here.person("hash").id}


def test_a_listing_goes_on_where_it_was_interrupted(make: Make) -> None:
    """With the link to the next page, in another invocation, everybody comes once."""
    here = make(users=2100, plain=True)
    first = next(here.graph.user_pages(USER_FILTER))
    here.renew()
    rest = list(here.graph.user_pages(USER_FILTER, resume=first.next_link))
    users = [user for page in (first, *rest) for user in page.users]
    assert len(users) == 2100
    assert {user.id for user in users} == set(here.tenant.directory.people)
    assert [page.next_link is None for page in (first, *rest)] == [False, False, True]
    assert here.count("users.list") == 3


@pytest.mark.parametrize("resumed", [False, True])
def test_an_expired_page_token(make: Make, resumed: bool) -> None:
    """The listing has expired: whoever reads it starts again."""
    here = make(users=1100, plain=True)
    pages = here.graph.user_pages(USER_FILTER)
    first = next(pages)
    here.tenant.graph.users.expire_pages()
    if resumed:
        pages = here.graph.user_pages(USER_FILTER, resume=first.next_link)
    with pytest.raises(ListingExpired, match="Directory_ExpiredPageToken"):
        next(pages)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/users?$skiptoken=x",
        "/v1.0/users?$skiptoken=x",
        "{url}/beta/users?$skiptoken=x",
        "{url}.evil.example/v1.0/users",
        "",
        "x\ny",
    ],
)
def test_a_stored_link_that_leads_elsewhere(here: Clients, link: str) -> None:
    """No token follows a link that storage holds and Graph never gave."""
    stored = link.format(url=here.tenant.url("graph"))
    with pytest.raises(ListingExpired):
        list(here.graph.user_pages(USER_FILTER, resume=stored))
    assert here.tenant.tape.count() == 0


@pytest.mark.parametrize(
    ("bad", "setting"), [("not odata at all", "USER_FILTER"), ("photo eq 1", "USER_FILTER")]
)
def test_a_filter_that_graph_refuses(here: Clients, bad: str, setting: str) -> None:
    """The setting is named, with Graph's own words."""
    with pytest.raises(FilterRefused, match=setting):
        list(here.graph.user_pages(bad))


def test_an_unknown_group(here: Clients) -> None:
    """The setting is named."""
    with pytest.raises(ConfigurationError, match="SYNC_GROUP_ID"):
        list(here.graph.member_pages("00000000-aaaa-4bbb-8ccc-00000000dead"))


def test_roles_that_are_missing_are_named(here: Clients) -> None:
    """403 on each kind of call names its role."""
    here.tenant.roles["graph"].clear()
    asked: list[tuple[Callable[[], object], str]] = [
        (lambda: list(here.graph.user_pages(USER_FILTER)), r"User\.Read\.All"),
        (lambda: list(here.graph.member_pages(here.tenant.group_id)), r"GroupMember\.Read\.All"),
        (lambda: here.graph.user("a@b.c"), r"User\.Read\.All"),
    ]
    for ask, role in asked:
        with pytest.raises(PermissionMissing, match=role):
            ask()
    seen = here.graph.photo_versions(a_batch(here))
    assert all(isinstance(s, Unknown) and isinstance(s.error, AccessDenied) for s in seen.values())
    with pytest.raises(AccessDenied):
        here.graph.photo(a_batch(here)[0])


@pytest.mark.parametrize("status", [401, 403])
def test_a_batch_that_is_refused_as_a_whole(here: Clients, status: int) -> None:
    """The envelope's 401 or 403 is a missing permission, never a missing photo; few requests."""
    here.fault("status", operation="photo.batch", status=status, times=None)
    seen = here.graph.photo_versions(a_batch(here))
    assert len(seen) == BATCH_SIZE
    assert all(isinstance(s, Unknown) and isinstance(s.error, AccessDenied) for s in seen.values())
    # A refused token is renewed and tried once more.
    assert here.count("photo.batch") <= 16


@pytest.mark.parametrize("status", [500, 503])
def test_a_listing_that_breaks_off_is_an_error(make: Make, status: int) -> None:
    """A page that cannot be had is an error, not the end of the list."""
    here = make(users=1100, plain=True)
    pages = here.graph.user_pages(USER_FILTER)
    next(pages)
    here.fault("status", operation="users.list", status=status, times=None)
    with pytest.raises(Unavailable):
        next(pages)


# -- names --


@pytest.mark.parametrize("kind", NAMES)
def test_any_name_finds_its_user(here: Clients, kind: str) -> None:
    """By name and by id, whatever letters the name has."""
    person = here.person(kind)
    for name in (person.upn, person.id, person.id.upper()):
        assert here.graph.user(name) == as_user(person)
    assert here.graph.photo_versions([person.id]) == {
        person.id: Version(person.photo.etag if person.photo else "")
    }
    assert here.graph.photo(person.id)


@pytest.mark.parametrize("name", ["nobody@contoso.com", "00000000-aaaa-4bbb-8ccc-00000000dead"])
def test_an_unknown_user(here: Clients, name: str) -> None:
    """The directory says so."""
    with pytest.raises(UserUnknown):
        here.graph.user(name)


# -- versions --


def expected(here: Clients, user_id: str) -> object:
    photo = here.tenant.directory.people[user_id].photo
    return Version(photo.etag) if photo else NoPhoto()


CODES = ["ImageNotFound", "ErrorItemNotFound", "ErrorEntityNotFound", "GetUserPhoto"]


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("quirk", [{"no_photo": "1x1"}, *({"no_photo_code": c} for c in CODES)])
def test_versions_of_everybody(make: Make, shuffled: bool, quirk: dict[str, Any]) -> None:
    """Each user gets their own answer, in whatever order and form they come."""
    here = make(quirks=Quirks(batch_shuffled=shuffled, **quirk))
    for start in range(0, 60, BATCH_SIZE):
        ids = list(here.tenant.directory.people)[start : start + BATCH_SIZE]
        assert here.graph.photo_versions(ids) == {i: expected(here, i) for i in ids}
    assert here.count("photo.batch") == 3


@pytest.mark.parametrize("user_id", ["00000000-aaaa-4bbb-8ccc-00000000dead"])
def test_a_user_who_is_gone_is_not_one_without_a_photo(here: Clients, user_id: str) -> None:
    """At most Graph answers as for no photo; then one look is not enough to remove anything."""
    assert isinstance(here.graph.photo_versions([user_id])[user_id], NoPhoto | Unknown)


FAULTS: dict[str, dict[str, Any]] = {
    "429": {"kind": "item_status", "status": 429, "retry_after": 5},
    "429 without Retry-After": {"kind": "item_status", "status": 429},
    "503": {"kind": "item_status", "status": 503},
    "503 as HTML": {"kind": "item_status", "status": 503, "body": "html"},
    "504 with Retry-After": {"kind": "item_status", "status": 504, "retry_after": 5},
    "missing": {"kind": "item_missing"},
    "unknown id": {"kind": "item_unknown_id"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_item_that_fails_once_is_asked_again(here: Clients, fault: dict[str, Any]) -> None:
    """Alone, after the wait it asks for; everybody has the right answer in the end."""
    ids = a_batch(here)
    here.fault(**fault, operation="photo.batch", person=ids[7])
    assert here.graph.photo_versions(ids) == {i: expected(here, i) for i in ids}
    batches = here.tenant.tape.entries(operation="photo.batch")
    assert [len(entry.items) for entry in batches] == [BATCH_SIZE, 1]
    assert batches[1].started - batches[0].started >= fault.get("retry_after", 0.75)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_item_that_fails_for_ever_harms_nobody_else(
    here: Clients, fault: dict[str, Any]
) -> None:
    """Bounded requests; unknown for this user, right for all others."""
    ids = a_batch(here)
    here.fault(**fault, operation="photo.batch", person=ids[7], times=None)
    seen = here.graph.photo_versions(ids)
    poisoned = seen.pop(ids[7])
    assert isinstance(poisoned, Unknown)
    assert isinstance(poisoned.error, Unavailable | Throttled)
    assert seen == {i: expected(here, i) for i in ids if i != ids[7]}
    assert here.count("photo.batch") <= THROTTLES + 1


def test_an_item_that_asks_for_a_long_pause(here: Clients) -> None:
    """The pause is that user's own: nobody waits for it, and everybody else is answered."""
    ids = a_batch(here)
    here.fault("item_status", status=429, retry_after=300, person=ids[7], times=None)
    before = here.clock.monotonic()
    seen = here.graph.photo_versions(ids)
    poisoned = seen.pop(ids[7])
    assert isinstance(poisoned, Unknown)
    assert isinstance(poisoned.error, Throttled)
    assert poisoned.error.retry_after == 300
    assert seen == {i: expected(here, i) for i in ids if i != ids[7]}
    assert (here.count("photo.batch"), here.clock.monotonic() - before) == (1, 0)


def test_a_lone_item_that_asks_for_a_long_pause(here: Clients) -> None:
    """Also when only this user is asked for, the service is not paused."""
    ids = a_batch(here)
    here.fault("item_status", status=429, retry_after=300, person=ids[7], times=None)
    seen = here.graph.photo_versions([ids[7]])[ids[7]]
    assert isinstance(seen, Unknown)
    assert isinstance(seen.error, Throttled)
    assert here.graph.photo_versions(ids[:1]) == {ids[0]: expected(here, ids[0])}
    assert here.clock.monotonic() == 0


def test_an_item_whose_pause_is_kept(here: Clients) -> None:
    """A short pause of one user is kept, again and again, without pausing the service."""
    ids = a_batch(here)
    here.fault("item_status", status=429, retry_after=5, person=ids[7], times=4)
    assert here.graph.photo_versions(ids) == {i: expected(here, i) for i in ids}
    assert here.clock.monotonic() == 20
    assert here.graph_service.limiter.limit >= 4


@pytest.mark.parametrize("in_flight", [1, 4])
def test_the_mailbox_limit_is_lived_with(make: Make, in_flight: int) -> None:
    """Photos that Graph lets through few at a time all come in the end."""
    here = make(quotas=Quotas(graph_photos_in_flight=in_flight, graph_photo_latency=0.01))
    ids = a_batch(here)
    assert here.graph.photo_versions(ids) == {i: expected(here, i) for i in ids}


def test_item_codes_that_say_little(here: Clients) -> None:
    """A mailbox that Graph cannot reach may have a photo; nothing but a known code says no."""
    ids = a_batch(here)
    for user_id, status, code in [
        (ids[0], 404, "MailboxNotEnabledForRESTAPI"),
        (ids[1], 400, "AuthenticationError"),
        (ids[2], 400, "Request_BadRequest"),
        (ids[3], 403, "ErrorAccessDenied"),
    ]:
        here.tenant.faults.clear()
        here.fault("item_status", status=status, code=code, person=user_id)
        seen = here.graph.photo_versions(ids)[user_id]
        assert isinstance(seen, Unknown)


@pytest.mark.parametrize("kind", ["truncate", "truncate_clean", "reset", "timeout_before"])
def test_a_broken_batch_is_asked_again(here: Clients, kind: str) -> None:
    """A batch that breaks on its way is asked for again as a whole."""
    ids = a_batch(here)
    here.fault(kind, operation="photo.batch")
    assert here.graph.photo_versions(ids) == {i: expected(here, i) for i in ids}


# -- bytes --


def test_bytes_of_the_largest_rendition(here: Clients) -> None:
    """648 pixels where there are so many; the original where there are not."""
    large = here.graph.photo(here.person("4 MB photo").id)
    assert large is not None
    assert len(large) < 1_000_000
    small = here.person("240x240 photo")
    assert small.photo is not None
    assert here.graph.photo(small.id) == small.photo.data


def test_no_photo_after_all(here: Clients) -> None:
    """A photo that went away between version and bytes is no error."""
    assert here.graph.photo(here.person("no photo").id) is None


@pytest.mark.parametrize("kind", ["truncate", "reset", "timeout_after", "token_rejected"])
def test_broken_bytes_are_fetched_again(here: Clients, kind: str) -> None:
    """Half an image is never taken for a whole one."""
    person = here.person("240x240 photo")
    here.fault(kind, operation="photo.bytes", nth=1)
    assert person.photo is not None
    assert here.graph.photo(person.id) == person.photo.data


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, AccessDenied), (500, Unavailable), (400, RequestRejected), (304, RequestRejected)],
)
def test_bytes_that_cannot_be_had_are_no_missing_photo(
    here: Clients, status: int, error: type[PhotoSyncError]
) -> None:
    """Only 404 is "no photo"."""
    here.fault("status", operation="photo.bytes", status=status, times=None)
    with pytest.raises(error):
        here.graph.photo(a_batch(here)[0])


def test_errors_of_the_listing_are_typed(here: Clients) -> None:
    """What does not speak of the filter is Graph's error, not the setting's."""
    here.fault("status", operation="users.list", status=409)
    with pytest.raises(RequestRejected):
        list(here.graph.user_pages(USER_FILTER))
