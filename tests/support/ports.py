"""Small stand-ins in memory for Graph, SharePoint, storage, and time, on one tape.

They answer as the real parts do, so that tests of the engine need no sockets: each call is noted in
order, and each can be told to fail for a user.
"""

from collections.abc import Iterable
from typing import Any

from local.support.clock import VirtualClock
from shared.checkpoint import Record
from shared.model import User
from tests.support.memory_services import Faults, MemoryGraph, MemorySharePoint, Patiences, Tape
from tests.support.memory_storage import MemoryCheckpoint
from tests.support.people import NOW, TAG, kept, picture, place


class Ports:
    """All stand-ins of one test, on one tape.

    Attributes:
        tape: every call, in order.
        healthy: what the healthy user answers when a service is suspected.
    """

    def __init__(self) -> None:
        self.tape: Tape = []
        self.faults = Faults()
        self.patiences = Patiences()
        self.clock = VirtualClock(NOW)
        self.graph = MemoryGraph(self.tape, self.faults, self.patiences)
        self.sharepoint = MemorySharePoint(self.tape, self.faults, self.patiences)
        self.checkpoint = MemoryCheckpoint(self.tape)

    def give(self, whose: Iterable[User] | User, tag: str = TAG, red: int = 200) -> None:
        """Photos in Exchange."""
        for one in [whose] if isinstance(whose, User) else whose:
            self.graph.photos[one.id] = (tag, picture(red))

    def know(self, whose: Iterable[User] | User, **changes: Any) -> None:
        """Photos in Exchange that an earlier run has written."""
        for one in [whose] if isinstance(whose, User) else whose:
            self.give(one)
            self.checkpoint.records[one.id] = kept(one, **changes)
            self.sharepoint.pictures[one.id] = place(one).picture_url

    def record(self, one: User) -> Record | None:
        """What is stored of a user."""
        return self.checkpoint.records.get(one.id)

    def calls(self, *names: str) -> list[Any]:
        """What was said in the calls of these names (all when none is given), in order."""
        return [what for name, what in self.tape if not names or name in names]

    def names(self, *without: str) -> list[str]:
        """Names of the calls, in order."""
        return [name for name, _ in self.tape if name not in without]

    def saved(self) -> list[dict[str, Record | None]]:
        """Changes of records, save by save."""
        return [what for name, what in self.tape if name.startswith("save ") and name != "save run"]
