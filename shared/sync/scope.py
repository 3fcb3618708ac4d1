"""Who is in scope, kept compactly: 100,000 users must not cost more than some ten megabytes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from shared.graph.client import Graph, Page
from shared.model import User

_ID_BYTES = 16
_COUNT_TOLERANCE = (5, 500)
"""Users by which a listing may differ from its announced count: at least, at most."""


@dataclass(frozen=True)
class Scope:
    """The users in scope, in order of their object id.

    Attributes:
        entries: for each user the 16 bytes of the id, then the name in UTF-8. Bytes sort like ids,
            and cost a third of two strings and a tuple.
        fault: why the listing is not trusted; "" when it is.
    """

    entries: list[bytes]
    fault: str = ""

    def __len__(self) -> int:
        return len(self.entries)

    def slices(self, size: int, after: str = "") -> Iterator[list[User]]:
        """Users behind the cursor `after`, `size` at a time."""
        start = self.position(after)
        for begin in range(start, len(self.entries), size):
            yield [_unpack(entry) for entry in self.entries[begin : begin + size]]

    def position(self, after: str) -> int:
        """How many users the cursor covers."""
        if not after:
            return 0
        low, high = 0, len(self.entries)
        cursor = UUID(after).bytes
        while low < high:
            middle = (low + high) // 2
            if self.entries[middle][:_ID_BYTES] <= cursor:
                low = middle + 1
            else:
                high = middle
        return low


def read(graph: Graph, user_filter: str, group_id: str | None) -> Scope:
    """List who is in scope: all users that match the filter, of them the members of the group.

    The group's members are listed apart and intersected here, because Graph does not document
    which filters it supports on members.

    Raises:
        ConfigurationError: Graph refuses the filter or the group, or a role is missing.
        ServiceError: Graph failed.
    """
    members: set[bytes] | None = None
    faults = []
    if group_id:
        entries, fault = _collect(graph.members(group_id), "members of SYNC_GROUP_ID")
        members = {entry[:_ID_BYTES] for entry in entries}
        faults.append(fault)
    entries, fault = _collect(graph.users(user_filter), "users")
    faults.append(fault)
    if members is not None:
        entries = [entry for entry in entries if entry[:_ID_BYTES] in members]
    return Scope(entries, next(filter(None, faults), ""))


def compare(scope: Scope, previous: int | None) -> str:
    """Why this list is not to be trusted, judged by the run before; "" when it is.

    Args:
        scope: the list.
        previous: users in the list of the run before; None when there was none.
    """
    if scope.fault:
        return scope.fault
    if not scope.entries:
        return "the list of users is empty"
    if previous is not None and len(scope) * 2 < previous:
        return f"the list has {len(scope)} users, less than half of the {previous} of the last run"
    return ""


def _collect(pages: Iterable[Page], what: str) -> tuple[list[bytes], str]:
    """Entries in order and without duplicates, and what is wrong with the listing."""
    entries: list[bytes] = []
    expected: int | None = None
    unusable = 0
    for page in pages:
        entries += [_pack(user) for user in page.users]
        unusable += page.unusable
        if page.expected is not None:
            expected = page.expected
    entries.sort()
    unique = [
        entry
        for index, entry in enumerate(entries)
        if index == 0 or entries[index - 1][:_ID_BYTES] != entry[:_ID_BYTES]
    ]
    low, high = _COUNT_TOLERANCE
    if unusable:
        return unique, f"{unusable} {what} came without a usable id or name"
    if expected is not None and expected - len(unique) > min(max(low, expected // 1000), high):
        return unique, f"{len(unique)} {what} came, but Graph announced {expected}"
    return unique, ""


def _pack(user: User) -> bytes:
    return UUID(user.id).bytes + user.upn.encode()


def _unpack(entry: bytes) -> User:
    return User(str(UUID(bytes=entry[:_ID_BYTES])), entry[_ID_BYTES:].decode())
