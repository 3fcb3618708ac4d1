"""Present names, and who is in scope now."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.tenant import PhotoError, Quirks
from local.tenant.http import Response
from shared.errors import (
    AccessDenied,
    FilterRefused,
    MalformedResponse,
    PermissionMissing,
    PhotoSyncError,
    RequestRejected,
    Unavailable,
    UserUnknown,
)
from shared.graph import BATCH_SIZE, Graph, NoPhoto, Unknown, Version
from shared.model import User
from tests.support.scripted_service import Loopback, answer, budget, client
from tests.support.service_clients import Clients, as_user

Make = Callable[..., Clients]
NOBODY = "00000000-aaaa-4bbb-8ccc-00000000dead"
PLANS = (
    "(assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Enabled') or "
    "assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Warning'))"
)
USER_FILTER = f"accountEnabled eq true and userType ne 'Guest' and {PLANS}"


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Clients(**options))


@pytest.fixture
def here(make: Make) -> Clients:
    return make()


def ids_of(here: Clients, count: int = BATCH_SIZE) -> list[str]:
    return list(here.tenant.directory.people)[:count]


# -- scope --


def test_the_default_filter(here: Clients) -> None:
    """Accounts without a type and plans in their grace period are in scope; guests are not."""
    people = here.tenant.directory.people
    found = {u.id for page in here.graph.user_pages(USER_FILTER) for u in page.users}
    kinds = {people[user_id].kind for user_id in found}
    assert {"ordinary", "kiosk", "oldest account", "grace"} <= kinds
    assert not kinds & {"guest", "licensed guest", "sign-in blocked", "suspended", "no licence"}


def test_a_tenant_that_refuses_the_filter(make: Make) -> None:
    """The refusal is told from every other, so that another filter can be tried."""
    here = make(quirks=Quirks(combined_filter_refused=True))
    with pytest.raises(FilterRefused, match="Request_UnsupportedQuery"):
        list(here.graph.user_pages(USER_FILTER))


# -- names --


def test_present_names(here: Clients) -> None:
    """Twenty in one request, whatever letters the names have; nobody for who is deleted."""
    ids = ids_of(here, 18)
    here.tenant.directory.rename(ids[0], "new.name@contoso.com")
    here.tenant.directory.remove(ids[1])
    found = here.graph.users([*ids, NOBODY])
    people = here.tenant.directory.people
    assert found == {i: as_user(people[i]) if i in people else None for i in [*ids, NOBODY]}
    assert found[ids[0]] == User(ids[0], "new.name@contoso.com")
    assert here.tenant.tape.count() == 1


ITEMS: dict[str, dict[str, Any]] = {
    "403": {"kind": "item_status", "status": 403},
    "404 of a proxy": {"kind": "item_status", "status": 404, "body": "html"},
    "404 of another kind": {"kind": "item_status", "status": 404, "code": "ResourceNotFound"},
    "400": {"kind": "item_status", "status": 400},
    "500": {"kind": "item_status", "status": 500},
    "429": {"kind": "item_status", "status": 429, "retry_after": 300},
    "missing": {"kind": "item_missing"},
}


@pytest.mark.parametrize("fault", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize("question", ["users", "in_scope"])
def test_an_answer_that_proves_nothing(here: Clients, fault: dict[str, Any], question: str) -> None:
    """An error is no absence: the user's entry is the error, everybody else has theirs."""
    people = [p for p in here.tenant.directory.people.values() if p.kind == "ordinary"][:5]
    ids = [person.id for person in people]
    here.fault(**fault, person=ids[2], times=None)
    found: dict[str, Any] = (
        here.graph.users(ids) if question == "users" else here.graph.in_scope(ids, USER_FILTER)
    )
    assert isinstance(found.pop(ids[2]), PhotoSyncError)
    assert found == {person.id: as_user(person) for person in people if person.id != ids[2]}


# -- who is in scope now --


def test_who_is_in_scope_now(here: Clients) -> None:
    """The present name of who still matches; nothing for who is deleted or matches no more."""
    directory = here.tenant.directory
    matching = [u.id for page in here.graph.user_pages(USER_FILTER) for u in page.users][:15]
    directory.rename(matching[0], "new.name@contoso.com")
    directory.remove(matching[1])
    directory.people[matching[2]].account_enabled = False
    directory.people[matching[3]].user_type = "Guest"
    directory.people[matching[4]].plans = []
    directory.people[matching[5]].user_type = None
    directory.version += 1
    here.tenant.tape.clear()
    found = here.graph.in_scope(matching, USER_FILTER)
    assert {i for i in matching if found[i] is None} == set(matching[1:5])
    assert found[matching[0]] == User(matching[0], "new.name@contoso.com")
    assert here.count("scope.batch") == here.tenant.tape.count() == 1


def test_who_is_in_the_group_now(here: Clients) -> None:
    """Members, those of nested groups too; who has left or was never in it is out of scope."""
    directory = here.tenant.directory
    people = [p for p in directory.people.values() if p.kind == "ordinary"][:6]
    outer, inner = "00000000-aaaa-4bbb-8ccc-000000000001", "00000000-aaaa-4bbb-8ccc-000000000002"
    directory.groups[inner] = {people[1].id}
    directory.groups[outer] = {people[0].id, inner}
    found = here.graph.in_scope([p.id for p in people], USER_FILTER, outer)
    assert {i for i, user in found.items() if user} == {people[0].id, people[1].id}
    assert here.count("members.batch") == 1


@pytest.mark.parametrize("status", [403, 500, 404])
def test_a_membership_that_is_not_known(here: Clients, status: int) -> None:
    """An error is no absence from the group."""
    people = [p for p in here.tenant.directory.people.values() if p.kind == "ordinary"][:3]
    group = here.tenant.group_id
    here.tenant.directory.groups[group] = {person.id for person in people}
    poison = people[1].id
    here.fault("item_status", operation="members.batch", status=status, person=poison, times=None)
    found = here.graph.in_scope([p.id for p in people], USER_FILTER, group)
    assert sum(isinstance(each, PhotoSyncError) for each in found.values()) == 1
    assert sum(isinstance(each, User) for each in found.values()) == 2


def test_a_filter_that_graph_refuses_for_one_user(here: Clients) -> None:
    """Nobody is taken for out of scope because the filter is wrong."""
    ids = ids_of(here, 3)
    found = here.graph.in_scope(ids, "no filter at all")
    assert all(isinstance(found[user_id], RequestRejected) for user_id in ids)


def test_a_missing_role_for_the_group(here: Clients) -> None:
    """Without the role nobody is out of scope."""
    ids = ids_of(here, 3)
    here.tenant.roles["graph"].discard("GroupMember.Read.All")
    here.renew()
    found = here.graph.in_scope(ids, "accountEnabled eq true", here.tenant.group_id)
    assert all(isinstance(found[user_id], AccessDenied) for user_id in ids)


# -- one user and their photo --


@pytest.mark.parametrize("kind", ["ordinary", "no photo", "hash", "letters", "apostrophe"])
def test_a_user_with_the_version_of_their_photo(here: Clients, kind: str) -> None:
    """Both in one request, by name or by id."""
    person = here.person(kind)
    seen = Version(person.photo.etag) if person.photo else NoPhoto()
    for name in (person.upn, person.id, person.id.upper()):
        here.tenant.tape.clear()
        assert here.graph.user_with_version(name) == (as_user(person), seen)
        assert here.tenant.tape.count() == 1


@pytest.mark.parametrize("name", ["nobody@contoso.com", NOBODY])
def test_nobody_with_a_version(here: Clients, name: str) -> None:
    """The directory has no such user."""
    with pytest.raises(UserUnknown, match="no user"):
        here.graph.user_with_version(name)


def test_a_user_whose_photo_is_not_known(here: Clients) -> None:
    """The user is known, their photo is not."""
    person = here.person("ordinary")
    person.photo_error = PhotoError(404, "MailboxNotHostedInExchangeOnline")
    user, seen = here.graph.user_with_version(person.id)
    assert user == as_user(person)
    assert isinstance(seen, Unknown)


def test_a_role_that_is_missing(here: Clients) -> None:
    """403 about the user names the role."""
    here.tenant.roles["graph"].clear()
    here.renew()
    with pytest.raises(PermissionMissing, match=r"User\.Read\.All"):
        here.graph.user_with_version("a@b.c")


def test_a_graph_that_is_down(here: Clients) -> None:
    """The error is Graph's."""
    here.fault("status", service="graph", times=None)
    with pytest.raises(Unavailable):
        here.graph.user_with_version("a@b.c")


# -- hostile answers --

IDS = [f"6ea91a8d-e32e-41a1-b7bd-d2d185eed0e{n}" for n in range(2)]


@pytest.fixture
def far() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


def graph_of(far: Loopback) -> Graph:
    service = client(far.url)
    return Graph(service, far.url, budget(service))


def batch(*bodies: object) -> Response:
    items = [{"id": str(n), "status": 200, "body": body} for n, body in enumerate(bodies)]
    return answer(200, {"responses": items})


def user(number: int) -> dict[str, str]:
    return {"id": IDS[number], "userPrincipalName": f"u{number}@contoso.com"}


@pytest.mark.parametrize("body", [None, [], {}, "x", {"id": IDS[0]}, user(1), {"value": []}])
def test_a_user_of_another_shape(far: Loopback, body: object) -> None:
    """What is no user, or another one than was asked for, proves nothing."""
    far.script(batch(body, user(1)))
    found = graph_of(far).users(IDS)
    assert isinstance(found[IDS[0]], MalformedResponse)
    assert found[IDS[1]] == User(IDS[1], "u1@contoso.com")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"value": None},
        {"value": {}},
        {"value": [user(1)]},
        {"value": [user(0), user(1)]},
        {"value": [None]},
        {"value": [], "@odata.nextLink": "https://evil.example/"},
    ],
)
def test_a_list_of_another_shape(far: Loopback, body: object) -> None:
    """What is no list of this one user proves nothing, also not that they are gone."""
    far.script(batch(body, {"value": []}))
    found = graph_of(far).in_scope(IDS, "x eq 1")
    assert isinstance(found[IDS[0]], MalformedResponse)
    assert found[IDS[1]] is None


@pytest.mark.parametrize("body", [None, [], {}, {"value": None}, {"value": "x"}])
def test_groups_of_another_shape(far: Loopback, body: object) -> None:
    """What is no list of groups proves no absence."""
    far.script(batch({"value": [user(0)]}, {"value": [user(1)]}), batch(body, {"value": ["G-1"]}))
    found = graph_of(far).in_scope(IDS, "x eq 1", "g-1")
    assert isinstance(found[IDS[0]], MalformedResponse)
    assert found[IDS[1]] == User(IDS[1], "u1@contoso.com")


def test_a_user_under_another_name(far: Loopback) -> None:
    """When the name led to another user, the photo is asked for by that user's id."""
    photo = {"@odata.mediaEtag": '"A"'}
    far.script(batch(user(0), {"@odata.mediaEtag": '"B"'}), batch(photo))
    found = graph_of(far).user_with_version("alias@contoso.com")
    assert found == (User(IDS[0], "u0@contoso.com"), Version('"A"'))


def test_nothing_leaves_its_literal(far: Loopback) -> None:
    """A quote in an id or name cannot end what it stands in."""
    far.script(batch({"value": []}))
    graph_of(far).in_scope(["a' or '1' eq '1"], "x eq 1")
    assert b"id+eq+%27a%27%27+or+%27%271%27%27+eq+%27%271%27+and+%28x+eq+1%29" in (
        far.requests[0].body
    )
