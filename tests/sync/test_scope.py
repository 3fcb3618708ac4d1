"""The list of users in scope: order, cursor, faults of the source."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.graph import Page
from shared.model import User
from shared.sync import scope
from shared.sync.scope import Scope


def user(number: int, upn: str = "") -> User:
    return User(str(uuid.UUID(int=number)), upn or f"user{number}@contoso.com")


class FakeGraph:
    """Pages as given."""

    def __init__(self, users: Iterable[Page], members: Iterable[Page] = ()) -> None:
        self._users, self._members = users, members
        self.asked: list[str] = []

    def users(self, user_filter: str) -> Iterator[Page]:
        self.asked.append(user_filter)
        return iter(self._users)

    def members(self, group_id: str) -> Iterator[Page]:
        self.asked.append(group_id)
        return iter(self._members)


def read(graph: Any, group_id: str | None = None) -> Scope:
    return scope.read(graph, "filter", group_id)


def listed(found: Scope) -> list[User]:
    return [each for slice_ in found.slices(3) for each in slice_]


def page(*numbers: int, expected: int | None = None, unusable: int = 0) -> Page:
    return Page([user(number) for number in numbers], expected, unusable)


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
    assert listed(read(FakeGraph([Page(users, None, 0)]))) == users


def test_a_renamed_user_counts_once() -> None:
    """One object id is one user, also when a restarted listing shows him under two names."""
    found = read(FakeGraph([Page([user(1, "old@c.com"), user(1, "new@c.com")], 1, 0)]))
    assert len(found) == 1
    assert found.fault == ""


@pytest.mark.parametrize(
    ("after", "slices"),
    [
        ("", [[1, 2, 3], [5, 8]]),
        (user(2).id, [[3, 5, 8]]),
        (user(2).id.upper(), [[3, 5, 8]]),
        (user(4).id, [[5, 8]]),  # the user of the cursor is gone
        (user(8).id, []),
        (user(9).id, []),
        (user(0).id, [[1, 2, 3], [5, 8]]),
    ],
)
def test_the_cursor(after: str, slices: list[list[int]]) -> None:
    """What the cursor covers is skipped, whoever has come or gone since."""
    found = read(FakeGraph([page(8, 5, 3, 2, 1)]))
    assert list(found.slices(3, after)) == [[user(n) for n in slice_] for slice_ in slices]
    assert found.position(after) == 5 - sum(map(len, slices))


def test_a_group_narrows_the_scope() -> None:
    """Only users that match the filter and are members."""
    graph = FakeGraph([page(1, 2, 3, 4)], [page(2, 9), page(4)])
    found = read(graph, "group")
    assert listed(found) == [user(2), user(4)]
    assert found.fault == ""
    assert sorted(graph.asked) == ["filter", "group"]


@pytest.mark.parametrize(
    ("came", "expected", "trusted"),
    [
        (100, None, True),
        (100, 100, True),
        (100, 90, True),
        (100, 105, True),
        (100, 106, False),
        (0, 6, False),
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
    entries = [Page([user(n) for n in range(1000)], 1501, 0)]
    assert read(FakeGraph(entries)).fault
    assert scope._COUNT_TOLERANCE == (5, 500)


def test_entries_without_a_usable_name_are_a_fault() -> None:
    """A user that cannot be addressed must not look like one that is gone."""
    assert "1 users came without" in read(FakeGraph([page(1, unusable=1)])).fault
    found = read(FakeGraph([page(1)], [page(1, unusable=2)]), "group")
    assert "2 members of SYNC_GROUP_ID came without" in found.fault


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
    assert scope.compare(Scope([b""], "broken"), 1) == "broken"


def test_memory() -> None:
    """A user costs the 16 bytes of the id and the name, not objects of their own."""
    found = read(FakeGraph([page(1)]))
    assert found.entries == [uuid.UUID(int=1).bytes + b"user1@contoso.com"]
