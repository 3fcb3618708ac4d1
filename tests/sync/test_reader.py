"""Reading for many users at once: what is not asked any more, and whose trouble counts."""

import pytest

from shared.errors import DeadlineExceeded, HostUnavailable, PhotoSyncError
from shared.http import Patience
from shared.log import InvocationLog
from shared.sharepoint import Profile
from shared.sync.health import Health
from shared.sync.plan import Fetch, Policy
from shared.sync.reader import Reader
from shared.sync.user_sync import Loaded, UserSync
from tests.support.memory_executors import Inline
from tests.support.people import DOWN, HOST, NOW, RUN, ids, users
from tests.support.ports import Ports

GEO = "https://contosoeur-my.sharepoint.com"
PEOPLE = users(20)
POLICY = Policy(now=NOW, run=RUN)


def patience(user_id: str) -> Patience:
    return Patience(30, subject=user_id)


class Desk(Ports):
    """A reader, and small stand-ins for everything around it."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: PhotoSyncError | None = None
        self.health = Health(lambda _, __: lambda *_: False, home=HOST, probing=False)
        self.reader = Reader(
            graph=self.graph,
            sharepoint=self.sharepoint,
            user_sync=UserSync(self.graph, self.sharepoint, (48, 72, 240)),
            pool=Inline(),
            health=self.health,
            log=InvocationLog(),
            ended=lambda: self.ended,
        )


def test_when_the_run_has_to_end_nobody_is_asked_about() -> None:
    """Everybody has an answer: their turn came too late."""
    desk = Desk()
    desk.ended = DOWN
    found = desk.reader.names(PEOPLE), desk.reader.profiles(PEOPLE)
    for answers in found:
        assert list(answers) == ids(PEOPLE)
        assert all(isinstance(answer, DeadlineExceeded) for answer in answers.values())
    assert desk.tape == []


def test_profiles_that_fail_one_by_one_are_an_outage() -> None:
    """Twenty users of one answer that succeeds: the reason names the work."""
    desk = Desk()
    desk.faults.always("profile", PEOPLE, DOWN)
    desk.reader.profiles(PEOPLE)
    assert "reading profiles from SharePoint fails for everybody" in str(desk.health.cause)


def test_versions_that_fail_one_by_one_are_an_outage() -> None:
    """The same for photo versions."""
    desk = Desk()
    desk.faults.always("version", PEOPLE, DOWN)
    for future in desk.reader.ask_versions(PEOPLE):
        future.result()
    assert "fails for everybody" in str(desk.health.cause)


@pytest.mark.parametrize(("down", "asked"), [(HOST, True), (GEO, False)])
def test_a_host_that_works_for_nobody_is_not_asked(down: str, asked: bool) -> None:
    """Users of other hosts do not suffer."""
    desk = Desk()
    desk.give(PEOPLE[0])
    for one in PEOPLE:
        desk.health.writing(down).failed(DOWN, [one.id])
    fetch = Fetch('"A"')
    (loaded,) = desk.reader.load([(PEOPLE[0], None, fetch)], POLICY, patience).values()
    assert isinstance(loaded, Loaded)
    wanted = [(PEOPLE[0], None, loaded, Profile(GEO, "", "0"))]
    (ready,) = desk.reader.prepare(wanted, POLICY, patience).values()
    assert isinstance(ready, HostUnavailable) is not asked
