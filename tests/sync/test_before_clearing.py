"""Before anything is cleared, the user is read again by object id: name, existence, scope."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from local.tenant import Fault, Person
from tests.support.oracle import Oracle
from tests.support.world import World, jpeg, outcomes

Make = Callable[..., World]
ONCE = {"REMOVAL_CONFIRMATIONS": "1"}


class Removal:
    """A synchronized tenant in which one photo is gone, and the night that is to remove it.

    Args:
        here: the world.
    """

    def __init__(self, here: World) -> None:
        self.here = here
        self.oracle = Oracle(here)
        self.group = here.tenant.group_id
        here.tenant.directory.groups[self.group] = set(here.ids())
        here.settings["SYNC_GROUP_ID"] = self.group
        self.oracle.verify(here.fire())
        self.user, self.colleague = here.ids()[1:3]
        here.tenant.directory.remove_photo(self.user)

    @property
    def person(self) -> Person:
        """Whose photo is gone."""
        return self.here.tenant.directory.people[self.user]

    def shown(self, user_id: str) -> bytes | None:
        """What SharePoint shows of a user."""
        return self.here.tenant.sharepoint.shown_picture(user_id)

    def leave(self, how: str) -> None:
        """The user leaves the scope."""
        directory = self.here.tenant.directory
        if how == "filter":
            self.person.account_enabled = False
        elif how == "license":
            self.person.plans = []
        elif how == "group":
            directory.groups[self.group].discard(self.user)
        else:
            directory.remove(self.user)
        directory.version += 1

    def pass_on_the_name(self) -> None:
        """The user is renamed, and a colleague gets the old name."""
        directory, old = self.here.tenant.directory, self.person.upn
        directory.rename(self.user, "new.name@contoso.com")
        directory.rename(self.colleague, old)

    def interrupted(self) -> None:
        """A night that ends after the decision and before the removal."""
        self.here.tenant.faults.add(
            Fault("status", operation="scope.batch", status=429, retry_after=3000)
        )
        run = self.here.night()
        assert run.status == "interrupted"
        assert outcomes(run) == {"unchanged": 5, "deferred": 1}
        self.here.clock.advance(900)
        self.here.tenant.tape.clear()


@pytest.fixture
def removal(world: Make) -> Removal:
    """Six users, one of whom lost their photo."""
    return Removal(world(users=6, shards=1, settings=ONCE))


@pytest.mark.parametrize("how", ["filter", "license", "group", "directory"])
def test_who_leaves_after_the_decision_is_left_alone(removal: Removal, how: str) -> None:
    """Decided in this very firing, and gone from the scope when it comes to the removal."""
    here = removal.here
    files = here.tenant.sharepoint.files()
    fault = here.tenant.faults.add(
        Fault("call", operation="scope.batch", action=lambda: removal.leave(how))
    )

    run = here.night()

    assert fault.fired == 1
    assert outcomes(run) == {"unchanged": 5, "removal_pending": 1}
    assert "in scope any more" in here.lines(run)[-1]["detail"]
    assert here.writes() == []
    assert here.tenant.sharepoint.files() == files
    assert outcomes(here.night()) == {"unchanged": 5}
    assert here.writes() == []


@pytest.mark.parametrize("how", ["filter", "license", "group", "directory"])
def test_who_leaves_between_two_firings_is_left_alone(removal: Removal, how: str) -> None:
    """A6: the run was interrupted in between; its counts stay right and its document readable."""
    here = removal.here
    removal.interrupted()
    files = here.tenant.sharepoint.files()
    removal.leave(how)

    run = here.fire()

    assert run.status == "completed"
    assert outcomes(run) == {"unchanged": 5, "removal_pending": 1}
    assert all(count >= 0 for count in here.report(run)["counts"].values())
    assert here.kept_run() == run
    assert here.writes() == []
    assert here.tenant.sharepoint.files() == files


@pytest.mark.parametrize("when", ["in the run", "between firings"])
def test_a_name_that_is_passed_on_meanwhile(removal: Removal, when: str) -> None:
    """A4: the user's own picture is cleared by the present name; the colleague's picture stays."""
    here = removal.here
    colleagues = removal.shown(removal.colleague)
    assert colleagues
    if when == "in the run":
        here.tenant.faults.add(
            Fault("call", operation="scope.batch", action=removal.pass_on_the_name)
        )
        run = here.night()
    else:
        removal.interrupted()
        removal.pass_on_the_name()
        run = here.fire()

    assert outcomes(run) == {"unchanged": 5, "removed": 1}
    assert here.lines(run)[-1]["userPrincipalName"] == "new.name@contoso.com"
    removal.oracle.verify(run)
    assert removal.shown(removal.user) is None
    assert removal.shown(removal.colleague) == colleagues
    assert here.tenant.sharepoint.profile(removal.colleague)["PictureURL"]
    assert outcomes(here.night()) == {"unchanged": 5, "no_photo": 1}
    assert here.writes() == []


def test_a_successor_with_the_old_name(removal: Removal) -> None:
    """The user leaves for good, and somebody new gets the name: nobody's picture is cleared."""
    here, directory = removal.here, removal.here.tenant.directory
    removal.interrupted()
    old = removal.person
    directory.remove(removal.user)
    successor = directory.add(replace(old, id="00" + "f" * 6 + old.id[8:]))
    directory.set_photo(successor.id, jpeg())
    assert here.call(successor.id).outcome == "updated"
    shown = removal.shown(successor.id)
    here.tenant.tape.clear()

    run = here.fire()

    assert outcomes(run) == {"unchanged": 5, "removal_pending": 1}
    assert here.writes() == []
    assert removal.shown(successor.id) == shown is not None


def test_a_scope_that_cannot_be_read_clears_nobody(removal: Removal) -> None:
    """Not knowing whether the user is in scope is no reason to clear anything."""
    here = removal.here
    here.tenant.faults.add(
        Fault("item_status", operation="scope.batch", status=404, code="Unknown", times=None)
    )
    run = here.night()
    assert outcomes(run) == {"unchanged": 5, "removal_pending": 1}
    assert here.writes() == []
    here.tenant.faults.clear()
    removal.oracle.verify(here.night())


def test_the_scope_is_read_by_the_filter_of_the_listing(world: Make) -> None:
    """C1: where Graph refuses the default filter, removals ask by the filter of version 1 too."""
    here = world(users=6, shards=1, settings=ONCE)
    here.tenant.quirks.combined_filter_refused = True
    here.tenant.directory.people[here.ids()[5]].user_type = None
    run = here.fire()
    assert outcomes(run) == {"updated": 5}
    assert here.report(run)["filterRefused"] is True
    here.tenant.directory.remove_photo(here.ids()[0])
    run = here.night()
    assert run.status == "completed"
    assert outcomes(run) == {"unchanged": 4, "removed": 1}
    assert here.report(run)["filterRefused"] is True


def test_accounts_without_a_type_are_in_scope(world: Make) -> None:
    """C1: `userType` null and a plan in its grace period count; their picture is removed too."""
    here = world(users=6, shards=1, settings=ONCE)
    oracle = Oracle(here)
    old, warned, guest = (here.tenant.directory.people[key] for key in here.ids()[:3])
    old.user_type = None
    warned.plans = [{**plan, "capabilityStatus": "Warning"} for plan in warned.plans]
    guest.user_type = "Guest"
    run = here.fire()
    assert outcomes(run) == {"updated": 5}
    assert here.report(run)["filterRefused"] is False
    for person in (old, warned):
        here.tenant.directory.remove_photo(person.id)
    run = here.night()
    oracle.verify(run)
    assert outcomes(run) == {"unchanged": 3, "removed": 2}
