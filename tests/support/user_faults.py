"""Faults that strike people of a world, one by one or all."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from local.tenant import Fault, Tenant
from shared.checkpoint import INTERRUPTED, STOPPED, Run
from shared.errors import RunStopped
from tests.support import failures
from tests.support.failure_kinds import (
    BUSY,
    CALLS,
    F403,
    FINE,
    GROUPS,
    HALF,
    LOCKED,
    ONCE,
    ONE,
    PASSING,
    TOKENS,
    U401,
    WAIT,
    WRITES,
    Row,
)
from tests.support.oracle import Oracle
from tests.support.sampling import sample
from tests.support.world import NIGHT_SECONDS, World, jpeg, outcomes

LONG = {"TIME_BUDGET_SECONDS": "3300", "MAX_CONCURRENCY": "2"}
"""For runs in which many users are waited for."""

MOST_FIRINGS = 6

MOST_REQUESTS = 2 * 8
"""How often one thing is asked for in a firing, at most, whatever comes back: a user has two tries.
"""


@dataclass(frozen=True)
class Cell:
    """One fault in one call."""

    call: str
    group: str
    name: str
    lasts: str

    def fault(self, tenant: Tenant, person: str | None = None) -> Fault:
        """The fault to plan."""
        match: dict[str, Any] = dict(CALLS[self.call].match)
        if self.call in TOKENS:
            match["url"] = tenant.url(match["url"])
        times = 1 if self.lasts == ONCE else None
        return Fault(**GROUPS[self.group][self.name], **match, times=times, person=person)

    @property
    def row(self) -> Row:
        """What is announced of it."""
        return failures.row_of(self.call, self.group, self.lasts)


SIDE = 96
"""Pixels of photos: small ones are quickly done."""


def colours() -> Iterator[tuple[int, int, int]]:
    """Many colours, each once."""
    return ((n % 16 * 16, n // 16 % 16 * 16, n // 256 % 16 * 16) for n in count())


def cells(calls: Iterable[str], lasts: str, groups: Iterable[str] = ()) -> list[Cell]:
    """Cells of these calls, or those of some groups of faults.

    Of faults that read the same, some for each call, for the next call others.
    """
    return [
        Cell(call, group, name, lasts)
        for call in calls
        for group in CALLS[call].groups
        if group in (groups or _ordinary(call))
        for name in names_for(call, group, lasts)
    ]


def names_for(call: str, group: str, lasts: str) -> list[str]:
    """Faults of a group to try at a call."""
    return sample(GROUPS[group], 3, list(CALLS).index(call) + (lasts == ONE))


def _ordinary(call: str) -> tuple[str, ...]:
    """Faults of a call that change nothing for other users' calls in the same run."""
    return (WAIT, BUSY, PASSING, HALF, U401, *(() if call in WRITES else (F403, LOCKED)))


class Stage:
    """A world in which faults strike."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tenant = world.tenant
        self.tenant.quirks.sized_photo_missing = False
        self.people = world.ids()
        self._colours = colours()
        self.paint()
        self.oracle = Oracle(world)

    def paint(self) -> None:
        """A new photo for everybody, each of its own colour."""
        for person in self.people:
            self.tenant.directory.set_photo(person, jpeg(next(self._colours), SIDE))

    def fire(self) -> Run:
        """Fire; the run, however it ended. No record lies, and everybody is in one count."""
        self.tenant.tape.clear()
        try:
            run = self.world.fire()
        except RunStopped:
            run = self.world.kept_run()
        assert self.oracle.false_claims() == []
        assert sum(outcomes(run).values()) == run.listed
        return run

    def through(self) -> Run:
        """Fire a day later, and again as long as the run did not come to its end.

        Where four of five users are in trouble, a service may look as if it answered nobody.
        """
        run = self.night()
        while run.status in {INTERRUPTED, STOPPED} and run.firings < MOST_FIRINGS:
            run = self.fire()
        return run

    def night(self, nights: float = 1) -> Run:
        """Fire when some days have passed."""
        self.world.clock.advance(nights * NIGHT_SECONDS)
        return self.fire()

    def clean_night(self) -> None:
        """Nothing fails any more: a day later everything is as it should be."""
        self.tenant.faults.clear()
        self.oracle.verify(self.night(1))

    def strike(self, cells: Iterable[Cell]) -> dict[str, tuple[Cell, Fault]]:
        """Each fault for a person of its own; every fifth person has none."""
        victims = (person for number, person in enumerate(self.people) if number % 5)
        plan = {}
        for cell in cells:
            person = next(victims)
            plan[person] = cell, self.tenant.faults.add(cell.fault(self.tenant, person))
        return plan

    def judge(
        self,
        run: Run,
        plan: dict[str, tuple[Cell, Fault]],
        fine: str,
        untouched: Collection[str] = (),
    ) -> None:
        """Everybody ended as announced: the victims by their rows, the others as `fine`.

        Who is untouched, with whom nothing was to be done, is `unchanged`.
        """
        lines = {line["id"]: line for line in self.world.lines(run)}
        wrong = self.oracle.wrong()
        for person in self.people:
            name = self.tenant.directory.people[person].upn
            line = lines.get(person, {"outcome": "unchanged", "detail": ""})
            cell, fault = plan.get(person, (None, None))
            outcome = fine if cell is None or cell.row.outcome == FINE else cell.row.outcome
            outcome = "unchanged" if person in untouched else outcome
            assert (cell, line["outcome"]) == (cell, outcome), line["detail"]
            if cell and fault:
                assert cell.row.status == run.status
                assert cell.row.says(line["detail"]), (cell, line["detail"])
                assert 1 <= fault.fired <= MOST_REQUESTS * run.firings, cell
            if outcome == fine:
                assert name not in wrong, (cell, wrong[name])

    def forget(self) -> None:
        """Delete the records of everybody."""
        self.world.app().checkpoint().prepare()
        container = self.world.app().container
        for name in self.world.blobs("state/"):
            container.delete_blob(name)


def people_for(cells: Iterable[Cell]) -> int:
    """How many people a world needs, so that every fifth is nobody's victim."""
    return len(list(cells)) * 5 // 4 + 5
