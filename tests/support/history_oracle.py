"""The oracle for long histories: it knows what the settings mean and what was done by hand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import requests
from requests.adapters import HTTPAdapter

from local.tenant import Person
from shared.checkpoint import runs, seconds_of
from shared.checkpoint.records import parse_shard
from shared.checkpoint.runs import Run
from shared.errors import BrokenState
from shared.model import Outcome
from tests.support.blob_faults import end_lease
from tests.support.oracle import Oracle
from tests.support.world import World, outcomes

DEPARTMENT = "Finance"


class Judge(Oracle):
    """Judges after changes that nobody told the program.

    Attributes:
        by_group: SYNC_GROUP_ID is set.
        by_department: USER_FILTER asks for `DEPARTMENT`, too.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.by_group = False
        self.by_department = False
        self._edited: dict[str, float] = {}
        self._forgotten: set[str] = set()
        self._lost: set[str] = set()

    def people(self) -> list[Person]:
        """Everybody in scope by the settings of now."""
        group = self._tenant.directory.groups[self._tenant.group_id]
        return [
            person
            for person in super().people()
            if (not self.by_group or person.id in group)
            and (not self.by_department or person.department == DEPARTMENT)
        ]

    def edited(self, person_id: str) -> None:
        """Somebody changed what SharePoint shows: claims made before are excused."""
        self._edited[person_id] = self._world.clock.time()

    def forgotten(self, shard: bytes) -> None:
        """This shard is about to be lost: what only it knew nobody can know again."""
        try:
            records = parse_shard(shard)
        except BrokenState:
            return
        for user_id, record in records.items():
            if record.photo:
                place = record.photo.location
                self._forgotten.add(user_id)
                self._lost |= {f"{place.host}{place.path(size)}" for size in "SML"}

    def lies(self) -> list[str]:
        """Claims of records that are false, but for what was changed by hand after them."""
        self.look()
        files = self._world.files()
        return [
            record.upn
            for user_id, record in self._world.records().items()
            if record.photo
            and record.photo.sha256
            and seconds_of(record.verified_at) > self._edited.get(user_id, 0)
            and not self._is_true(user_id, record, files)
        ]

    @contextmanager
    def keeps_pictures(self) -> Iterator[None]:
        """Whatever happens inside: who has a photo in Exchange does not lose their picture."""
        seen = {person_id for person_id in self._tenant.directory.people if self._sees(person_id)}
        try:
            yield
        finally:
            people = self._tenant.directory.people
            lost = [i for i in seen if i in people and not self._sees(i)]
            robbed = [people[i].upn for i in lost if people[i].photo]
            assert robbed == [], f"pictures lost of {robbed}"

    def _sees(self, person_id: str) -> bool:
        return self.shown(person_id)["M"] is not None

    def account(self, run: Run | None) -> None:
        """Counts of a run that is not at work: a closed set, and they add up to who is in scope."""
        if run is None or run.status == runs.RUNNING:
            return
        assert run.counts.keys() <= {outcome.value for outcome in Outcome}, run.counts
        assert all(number >= 0 for number in run.counts.values()), run.counts
        assert sum(outcomes(run).values()) == run.listed, run.counts

    def converged(self, run: Run) -> None:
        """After enough clean runs: all as it should be."""
        assert (run.status, run.reason) == ("completed", ""), run
        self.account(run)
        assert run.listed == len(self.people()), run
        wrong = self.wrong()
        for person in self.people():
            if person.photo is None and person.id in self._forgotten:
                wrong.pop(person.upn, None)
        assert wrong == {}, wrong
        lies = self.lies()
        assert lies == [], f"false claims of {lies}"
        orphans = set(self.orphans()) - self._lost
        assert not orphans, f"files that nobody knows of: {orphans}"


class Killed(BaseException):
    """The process dies here."""


class Death:
    """Ends the program at one of its requests, to any service; from then on it sends nothing.

    Args:
        at: how many requests go well.
        after: the last one still has its effect.
    """

    def __init__(self, at: int, *, after: bool) -> None:
        self._left = at
        self._after = after
        self._lock = threading.Lock()
        self.came = False

    @contextmanager
    def awaits(self, world: World) -> Iterator[None]:
        """Run the program inside; its lease is gone afterwards."""
        real = HTTPAdapter.send

        def send(
            adapter: HTTPAdapter, request: requests.PreparedRequest, **options: object
        ) -> requests.Response:
            with self._lock:
                last = self._left == 0
                self._left -= 1
                if self._left < -1 or (last and not self._after):
                    self.came = True
                    raise Killed
            answer = real(adapter, request, **options)  # type: ignore[arg-type]  # as they came
            if last:
                self.came = True
                answer.close()
                raise Killed
            return answer

        try:
            with patch.object(HTTPAdapter, "send", send):
                yield
        except Killed:
            container = world.app().container
            if container.get_blob_client("run.json").exists():
                lease = container.get_blob_client("run.json").get_blob_properties().lease
                if lease.state == "leased":
                    end_lease(container)
