"""Who is in scope: the order, faults of the list, and a listing that is interrupted."""

import json
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    BrokenState,
    DeadlineExceeded,
    Evidence,
    FilterRefused,
    ListingExpired,
)
from shared.graph import Page
from shared.model import User
from shared.sync import scope
from shared.sync.scope import LISTING_RESTARTS, Entries, Listing, Scope

EVIDENCE = Evidence("graph", "GET", "https://graph.microsoft.com/v1.0/users", 400)


def user(number: int, upn: str = "") -> User:
    return User(str(uuid.UUID(int=number)), upn or f"user{number}@contoso.com")


def page(*numbers: int, expected: int | None = None, unusable: int = 0) -> Page:
    return Page([user(number) for number in numbers], expected, unusable, None)


def entries_of(found: Scope) -> list[bytes]:
    return [entries[index] for entries in found.entries for index in range(len(entries))]


class Blobs:
    """Keeps pages as JSON, like the blob does."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.deleted = 0

    def pages(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, list(self.saved))

    def append_page(self, page: dict[str, Any]) -> None:
        self.saved.append(json.dumps(page))

    def delete_pages(self) -> None:
        self.saved.clear()
        self.deleted += 1


class FakeGraph:
    """Pages as given, each with a link to the next."""

    def __init__(self, users: list[Page], members: list[Page] | None = None) -> None:
        self.lists = {"users": users, "members": members or []}
        self.asked: list[str] = []
        self.refuse: set[str] = set()
        self.expire = 0

    def user_pages(self, user_filter: str, *, resume: str | None = None) -> Iterator[Page]:
        self.asked.append(user_filter)
        if user_filter in self.refuse and resume is None:
            raise FilterRefused(EVIDENCE)
        return self._pages("users", resume)

    def member_pages(self, group_id: str, *, resume: str | None = None) -> Iterator[Page]:
        self.asked.append(group_id)
        return self._pages("members", resume)

    def _pages(self, name: str, resume: str | None) -> Iterator[Page]:
        if resume is not None and self.expire:
            self.expire -= 1
            raise ListingExpired(EVIDENCE)
        pages = self.lists[name] or [page()]
        for number in range(int(resume or 0), len(pages)):
            one = pages[number]
            link = str(number + 1) if number + 1 < len(pages) else None
            yield Page(one.users, one.expected, one.unusable, link)


def listing(
    graph: Any,
    blobs: Blobs | None = None,
    *,
    group_id: str | None = None,
    fallback: str = "",
    check: Callable[[], None] = lambda: None,
) -> Listing:
    return Listing(
        graph,
        blobs or Blobs(),
        user_filter="filter",
        fallback=fallback,
        group_id=group_id,
        check=check,
    )


def read(graph: Any, group_id: str | None = None) -> Scope:
    return listing(graph, group_id=group_id).read()


def listed(found: Scope) -> list[User]:
    return [each for name in sorted(found.shards()) for each in found.of_shard(name)]


class Interrupt:
    """Raises when a listing has come so far."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise DeadlineExceeded("the time budget is spent")


def test_users_come_in_order_of_their_id() -> None:
    """Whatever the order of the pages; empty pages and repeated users do not matter."""
    found = read(FakeGraph([page(5, 1, expected=4), page(), page(9, 5), page(2, 1)]))
    assert [each.id for each in listed(found)] == [user(n).id for n in (1, 2, 5, 9)]
    assert len(found) == 4
    assert found.fault == ""


@given(st.lists(st.text(min_size=1).filter(str.isprintable), max_size=20))
def test_names_survive(names: list[str]) -> None:
    """A user principal name comes out as it went in."""
    users = [user(number, name) for number, name in enumerate(names)]
    assert listed(read(FakeGraph([Page(users, None, 0, None)]))) == users


def test_a_renamed_user_counts_once() -> None:
    """One object id is one user, also when a listing shows them under two names."""
    users = [user(1, "old@c.com"), user(1, "new@c.com")]
    found = read(FakeGraph([Page(users, 1, 0, None)]))
    assert len(found) == 1
    assert found.fault == ""


def test_a_group_narrows_the_scope() -> None:
    """Only users that match the filter and are members."""
    graph = FakeGraph([page(1, 2, 3, 4)], [page(2, 9), page(4)])
    found = read(graph, "group")
    assert listed(found) == [user(2), user(4)]
    assert found.fault == ""
    assert sorted(graph.asked) == ["filter", "group"]


# -- shards and single users ----------------------------------------------------------------------


def ids(*prefixes: str) -> list[User]:
    return [
        User(f"{prefix:<08}-0000-0000-0000-000000000000".replace(" ", "0"), "a@b.c")
        for prefix in prefixes
    ]


@pytest.mark.parametrize(
    ("name", "after", "expected"),
    [
        ("00", "", ["00", "001"]),
        ("7f", "", ["7f", "7ff"]),
        ("ff", "", ["ff", "fff"]),
        ("80", "", []),
        ("7f", "7f", ["7ff"]),
        ("7f", "7ff", []),
        ("7f", "7e", ["7f", "7ff"]),
        ("7f", "80", []),
        ("ff", "ffe", ["fff"]),
    ],
)
def test_the_users_of_a_shard(name: str, after: str, expected: list[str]) -> None:
    """In order, behind the cursor, and none of another shard."""
    one = FakeGraph([Page(ids("fff", "7f", "00", "ff", "7ff", "001"), None, 0, None)])
    found = read(one)
    cursor = ids(after)[0].id if after else ""
    assert found.of_shard(name, cursor) == ids(*expected)
    assert found.of_shard(name, cursor.upper()) == ids(*expected)
    assert found.shards() == {"00", "7f", "ff"}


def test_single_users_are_found_as_far_as_they_are_in_scope() -> None:
    """Who was deferred or put aside is looked up with the name of the list."""
    found = read(FakeGraph([page(1, 5, 9)]))
    assert found.find([user(9).id, user(2).id, user(1).id, user(99).id]) == [user(9), user(1)]


# -- a list in doubt ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came", "expected", "trusted"),
    [
        (100, None, True),
        (100, 100, True),
        (100, 90, True),
        (100, 105, True),
        (100, 106, False),
        (0, 6, False),
        (5_994, 6_000, True),
        (5_993, 6_000, False),
        (20_000, 20_020, True),
        (20_000, 20_021, False),
    ],
)
def test_a_listing_shorter_than_announced_is_not_trusted(
    came: int, expected: int | None, trusted: bool
) -> None:
    """A missing page shows by the count that Graph announced; a few joiners and leavers do not."""
    found = read(FakeGraph([page(*range(came), expected=expected)]))
    assert (found.fault == "") is trusted
    if not trusted:
        assert f"announced {expected}" in found.fault


def test_the_tolerance_is_capped() -> None:
    """Of a million users at most 500 may be missing."""
    assert scope._Part(expected=1_000_000, came=999_500).fault("users") == ""
    assert scope._Part(expected=1_000_000, came=999_499).fault("users") != ""


def test_entries_without_a_usable_name_are_a_fault() -> None:
    """A user that cannot be addressed must not look like one that is gone."""
    assert "1 users have no usable" in read(FakeGraph([page(1, unusable=1)])).fault
    found = read(FakeGraph([page(1, unusable=1), page(2, unusable=2)]))
    assert found.fault == "3 users have no usable id or name"
    found = read(FakeGraph([page(1)], [page(1, unusable=1), page(2, unusable=1)]), "group")
    assert "2 members of SYNC_GROUP_ID have no usable" in found.fault


@pytest.mark.parametrize(
    ("count", "previous", "trusted"),
    [
        (0, None, False),
        (0, 10, False),
        (10, None, True),
        (10, 10, True),
        (5, 10, True),
        (4, 10, False),
        (1, 2, True),
        (1, 3, False),
        (100, 1, True),
    ],
)
def test_a_list_that_shrank_is_not_trusted(count: int, previous: int | None, trusted: bool) -> None:
    """Empty, or less than half of the last run's: a fault of the source."""
    found = read(FakeGraph([page(*range(count))]))
    assert (scope.compare(found, previous) == "") is trusted


def test_the_first_fault_is_told() -> None:
    """A faulty list is told as such, however long it is."""
    assert scope.compare(Scope([Entries([b""])], "broken"), 1) == "broken"


def test_memory() -> None:
    """A user costs the 16 bytes of the id, the name, and little more; nobody is there twice."""
    found = read(FakeGraph([page(1)]))
    assert entries_of(found) == [uuid.UUID(int=1).bytes + b"user1@contoso.com"]

    count = 20_000
    blobs = Blobs()
    for start in range(0, count, 1000):
        blobs.append_page(
            {
                "of": "users",
                "users": [
                    [str(uuid.UUID(int=number << 108)), "adele.vance@contoso.com"]
                    for number in range(start, start + 1000)
                ],
                "next": None,
            }
        )
    tracemalloc.start()
    try:
        large = listing(FakeGraph([]), blobs).read()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(large) == count
    assert large.find([str(uuid.UUID(int=(count - 1) << 108))])[0].upn == "adele.vance@contoso.com"
    assert kept < count * 60
    assert peak < count * 85 + 1_000_000


# -- interruptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(5))
def test_a_listing_goes_on_where_it_was_interrupted(after: int) -> None:
    """Pages that came once are not asked for again, neither members nor users."""
    users = [page(1, 2, expected=5), page(3), page(4, 5)]
    graph, blobs = FakeGraph(users, [page(1, 2), page(5), page(3)]), Blobs()
    try:
        first = listing(graph, blobs, group_id="group", check=Interrupt(after)).read()
    except DeadlineExceeded:
        kept = len(blobs.saved)
        assert kept == (after + 1 if after < 2 else after + 2)
        first = listing(graph, blobs, group_id="group").read()
    else:
        assert after == 4
    assert listed(first) == [user(n) for n in (1, 2, 3, 5)]
    assert first.fault == ""
    assert len(blobs.saved) == 6
    graph.asked.clear()
    again = listing(graph, blobs, group_id="group").read()
    assert (entries_of(again), graph.asked) == (entries_of(first), [])


def test_an_expired_link_starts_the_listing_again() -> None:
    """What was saved is given up, so that nobody is listed twice or forgotten."""
    graph, blobs = FakeGraph([page(1), page(2), page(3)]), Blobs()
    with pytest.raises(DeadlineExceeded):
        listing(graph, blobs, check=Interrupt(0)).read()
    graph.expire = LISTING_RESTARTS
    assert len(listing(graph, blobs).read()) == 3
    assert blobs.deleted == 1


def test_a_link_that_always_expires_ends_the_firing() -> None:
    """A service that cannot finish a listing is no reason to ask for ever."""

    class Expiring(FakeGraph):
        def _pages(self, name: str, resume: str | None) -> Iterator[Page]:  # noqa: ARG002
            yield Page([user(1)], 2, 0, "1")
            raise ListingExpired(EVIDENCE)

    graph, blobs = Expiring([]), Blobs()
    with pytest.raises(ListingExpired):
        listing(graph, blobs).read()
    assert blobs.deleted == LISTING_RESTARTS


def test_a_refused_default_filter_gives_way_to_that_of_version_1() -> None:
    """Both forms are right; which of them Graph takes shows when it is asked."""
    graph, blobs = FakeGraph([page(1), page(2)]), Blobs()
    graph.refuse = {"filter"}
    one = listing(graph, blobs, fallback="older filter")
    assert len(one.read()) == 2
    assert one.filter_refused
    assert graph.asked == ["filter", "older filter"]


def test_a_refused_filter_of_the_operator_is_told() -> None:
    """Nobody's own filter is replaced by another one."""
    graph = FakeGraph([page(1)])
    graph.refuse = {"filter"}
    one = listing(graph)
    with pytest.raises(FilterRefused, match="USER_FILTER"):
        one.read()
    assert not one.filter_refused


@pytest.mark.parametrize(
    "saved",
    [
        {"of": "groups", "users": []},
        {"users": []},
        {"of": "users"},
        {"of": "users", "users": [["nobody", "a@b.c"]]},
        {"of": "users", "users": [[user(1).id]]},
        {"of": "users", "users": [[user(1).id, 7]]},
        {"of": "users", "users": ["a@b.c"]},
    ],
)
def test_a_saved_listing_that_cannot_be_read_is_broken(saved: dict[str, Any]) -> None:
    """It is told by a typed error, and never taken for a shorter list."""
    blobs = Blobs()
    blobs.append_page(saved)
    with pytest.raises(BrokenState, match=r"^a page of the listing "):
        listing(FakeGraph([page(1)]), blobs).read()


@pytest.mark.parametrize("changed", [{"expected": "many"}, {"unusable": "few"}, {"next": 7}])
def test_odd_figures_of_a_saved_page_are_ignored(changed: dict[str, Any]) -> None:
    """Without a link the listing is complete, as far as it says."""
    blobs = Blobs()
    blobs.append_page({"of": "users", "users": [[user(1).id, "a@b.c"]], "next": None, **changed})
    graph = FakeGraph([])
    found = listing(graph, blobs).read()
    assert (len(found), found.fault, graph.asked) == (1, "", [])


def test_a_list_that_is_empty_says_so() -> None:
    """In the words of the report."""
    assert scope.compare(Scope([]), None) == "the list of users is empty"
    assert scope.compare(Scope([], "broken"), None) == "broken"
