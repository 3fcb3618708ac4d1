"""Who is in scope: listed once a run, page by page, and kept compactly.

The listing is saved as it proceeds, so that a firing goes on where the last one was interrupted,
and every firing of a run works on the same users.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol
from uuid import UUID

from shared.checkpoint import SHARDS, read_users
from shared.errors import BrokenState, FilterRefused, ListingExpired
from shared.graph import Graph, Page
from shared.model import User, is_object_id

MEMBERS = "members"
USERS = "users"

LISTING_RESTARTS = 5
"""How often an expired next link may start the listing again in one firing."""

_ID_BYTES = 16
_LENGTH_BYTES = 4
_FEWEST_MISSING, _MOST_MISSING = 5, 500
"""Users by which a listing may differ from its announced count: at least, at most."""


class Pages(Protocol):
    """Where the listing is kept (`shared.checkpoint.RunBlobs`)."""

    def pages(self) -> Iterator[dict[str, Any]]:
        """The pages so far."""
        ...

    def append_page(self, page: dict[str, Any]) -> None:
        """Add a page."""
        ...

    def delete_pages(self) -> None:
        """Start again."""
        ...


class Entries:
    """Byte strings in one piece of memory: each costs its length and four bytes.

    Objects of their own would cost twice as much, and a million of them most of the memory.

    Args:
        entries: in the order in which they are kept.
    """

    def __init__(self, entries: Sequence[bytes] = ()) -> None:
        self._data = b"".join(entries)
        self._ends = array("I", accumulate(map(len, entries)))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        return self._data[self._ends[index - 1] if index else 0 : self._ends[index]]


@dataclass(frozen=True)
class Scope:
    """The users in scope, in order of their object id.

    Attributes:
        entries: by the first byte of the id. Each user has the 16 bytes of the id, then the name
            in UTF-8; bytes sort like ids.
        fault: why the listing is not trusted; "" when it is.
    """

    entries: Sequence[Entries]
    fault: str = ""

    def __len__(self) -> int:
        return sum(map(len, self.entries))

    def of_shard(self, name: str, after: str = "") -> list[User]:
        """The users of a shard behind an object id.

        Args:
            name: first two hexadecimal digits of the ids.
            after: object id; "" for the whole shard.
        """
        entries = self.entries[int(name, 16)]
        start = bisect_right(entries, UUID(after).bytes, key=_id_of) if after else 0
        return [_unpack(entries[index]) for index in range(start, len(entries))]

    def shards(self) -> set[str]:
        """Names of the shards that have users in scope."""
        return {f"{first:02x}" for first, entries in enumerate(self.entries) if len(entries)}

    def find(self, user_ids: Iterable[str]) -> list[User]:
        """These users, as far as they are in scope, in the order given."""
        found = []
        for user_id in user_ids:
            wanted = UUID(user_id).bytes
            entries = self.entries[wanted[0]]
            index = bisect_left(entries, wanted)
            if index < len(entries) and _id_of(entries[index]) == wanted:
                found.append(_unpack(entries[index]))
        return found


@dataclass
class _Part:
    """One of the two listings: of users, or of the group's members.

    Attributes:
        shards: entries by the first byte of their id, in the order they came, each behind its
            length: a million objects are never in memory at once.
        came: how many different ones were taken.
    """

    shards: list[bytearray] = field(default_factory=lambda: [bytearray() for _ in range(SHARDS)])
    came: int = 0
    expected: int | None = None
    unusable: int = 0
    next_link: str | None = None
    complete: bool = False

    def add(self, page: dict[str, Any]) -> None:
        users = read_users(page)
        if not all(is_object_id(user_id) for user_id, _ in users):
            raise BrokenState("a page of the listing has users without object id")
        for user_id, upn in users:
            entry = _pack(User(user_id, upn))
            self.shards[entry[0]] += len(entry).to_bytes(_LENGTH_BYTES) + entry
        expected, unusable, link = page.get("expected"), page.get("unusable"), page.get("next")
        if isinstance(expected, int):
            self.expected = expected
        self.unusable += unusable if isinstance(unusable, int) else 0
        self.next_link = link if isinstance(link, str) else None
        self.complete = self.next_link is None

    def take(self, first: int) -> list[bytes]:
        """The entries of a shard in the order of the ids, without duplicates; they leave."""
        data, self.shards[first] = self.shards[first], bytearray()
        entries, position = [], 0
        while position < len(data):
            begin = position + _LENGTH_BYTES
            position = begin + int.from_bytes(data[position:begin])
            entries.append(bytes(data[begin:position]))
        entries.sort()
        different = [
            entry
            for entry, before in zip(entries, [b"", *entries], strict=False)
            if _id_of(entry) != _id_of(before)
        ]
        self.came += len(different)
        return different

    def fault(self, what: str) -> str:
        """What is wrong with the listing, once all its entries are taken."""
        if self.unusable:
            return f"{self.unusable} {what} have no usable id or name"
        announced, came = self.expected, self.came
        if announced is not None and announced - came > min(
            max(_FEWEST_MISSING, announced // 1000), _MOST_MISSING
        ):
            return f"Graph announced {announced} {what}, but listed {came}"
        return ""


class Listing:
    """Lists who is in scope, or goes on with a listing that was interrupted.

    The group's members are listed apart and intersected here, because Graph does not document
    which filters it supports on members.

    Args:
        graph: asked for pages.
        blobs: where pages are kept.
        user_filter: the OData filter.
        fallback: another filter that is used when Graph refuses the first one; "" for none.
        group_id: only members of this group; None for everybody.
        check: called before each page; raises when the time is up.
    """

    def __init__(
        self,
        graph: Graph,
        blobs: Pages,
        *,
        user_filter: str,
        fallback: str = "",
        group_id: str | None,
        check: Callable[[], None],
    ) -> None:
        self._graph = graph
        self._blobs = blobs
        self._filter = user_filter
        self._fallback = fallback
        self._group_id = group_id
        self._check = check
        self.filter_refused = False

    def read(self) -> Scope:
        """All users in scope.

        Raises:
            DeadlineExceeded: to be continued by the next firing.
            ConfigurationError: Graph refuses the filter or the group, or a role is missing.
            BrokenState: what was saved cannot be read; it is deleted, and the run has to end.
            ServiceError: Graph failed.
        """
        restarts = 0
        while True:
            try:
                return self._read()
            except ListingExpired:
                restarts += 1
                if restarts > LISTING_RESTARTS:
                    raise
                self._blobs.delete_pages()

    def _read(self) -> Scope:
        parts = self._saved()
        wanted = (MEMBERS, USERS) if self._group_id else (USERS,)
        for name in wanted:
            part = parts.setdefault(name, _Part())
            if not part.complete:
                self._go_on(name, part)
        users, members = parts[USERS], parts.get(MEMBERS)
        entries = []
        for first in range(SHARDS):
            found = users.take(first)
            if members is not None:
                ids = set(map(_id_of, members.take(first)))
                found = [entry for entry in found if _id_of(entry) in ids]
            entries.append(Entries(found))
        fault = "" if members is None else members.fault("members of SYNC_GROUP_ID")
        return Scope(entries, fault or users.fault("users"))

    def _saved(self) -> dict[str, _Part]:
        parts: dict[str, _Part] = {}
        for page in self._blobs.pages():
            name = page.get("of")
            if name not in {MEMBERS, USERS}:
                raise BrokenState("a page of the listing does not say of what")
            parts.setdefault(str(name), _Part()).add(page)
        return parts

    def _go_on(self, name: str, part: _Part) -> None:
        for page in self._pages(name, part.next_link):
            saved = {
                "of": name,
                "users": [[user.id, user.upn] for user in page.users],
                "expected": page.expected,
                "unusable": page.unusable,
                "next": page.next_link,
            }
            self._blobs.append_page(saved)
            part.add(saved)
            if page.next_link:
                self._check()

    def _pages(self, name: str, link: str | None) -> Iterator[Page]:
        if name == MEMBERS:
            yield from self._graph.member_pages(str(self._group_id), resume=link)
            return
        try:
            yield from self._graph.user_pages(self._filter, resume=link)
        except FilterRefused:
            if not self._fallback:
                raise
            # Only the first page can be refused, so nothing was saved yet.
            self.filter_refused = True
            yield from self._graph.user_pages(self._fallback)


def compare(scope: Scope, previous: int | None) -> str:
    """Why this list is not to be trusted, judged by the run before; "" when it is.

    Args:
        scope: the list.
        previous: users in the list of the run before; None when there was none.
    """
    if scope.fault:
        return scope.fault
    if not len(scope):
        return "the list of users is empty"
    if previous is not None and len(scope) * 2 < previous:
        return f"the list has {len(scope)} users, less than half of the {previous} of the last run"
    return ""


def _id_of(entry: bytes) -> bytes:
    return entry[:_ID_BYTES]


def _pack(user: User) -> bytes:
    return UUID(user.id).bytes + user.upn.encode()


def _unpack(entry: bytes) -> User:
    return User(str(UUID(bytes=entry[:_ID_BYTES])), entry[_ID_BYTES:].decode())
