"""Promises over histories that nobody thought of: Hypothesis invents them.

The short form is the same in every run. `STATE_MACHINE_EXAMPLES=500` asks for so many histories,
new ones each time; `make soak` does.
"""

import os
import uuid
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local.support.azurite import Azurite
from local.tenant import Fault, Person
from local.tenant.population import FULL_LICENCE
from shared.config.settings import SETTINGS
from shared.errors import PhotoSyncError, UserUnknown
from shared.model import Outcome
from tests.support.history_oracle import DEPARTMENT, Death, Judge
from tests.support.sampling import THOROUGH
from tests.support.world import World, jpeg

_LONG = int(os.environ.get("STATE_MACHINE_EXAMPLES", "0"))
_DEFAULT_FILTER = next(s.default for s in SETTINGS if s.name == "USER_FILTER")
_LEAST_PEOPLE = 8
_MONTH = 31.0
"""Days after which every retry is due and every picture is looked at again."""

_KINDS = (
    "status status status error_info timeout_before timeout_after reset truncate truncate_clean "
    "token_rejected forbidden item_status item_missing item_unknown_id"
)
_OPERATIONS = (
    "users.list photo.batch photo.bytes profile.batch file.upload profile.write file.read "
    "file.recycle folder.read"
)
_people = st.integers(0, 60)
_hours = st.sampled_from((0.25, 13.0, 24.0, 24.0, 24.0 * 9))
_faults = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(_KINDS.split()),
        "operation": st.one_of(st.none(), st.sampled_from(_OPERATIONS.split())),
        "nth": st.one_of(st.none(), st.integers(0, 12)),
        "times": st.sampled_from((1, 1, 2, 5, None)),
        "status": st.sampled_from((429, 429, 500, 502, 503, 504, 404)),
        "retry_after": st.sampled_from((None, 1.0, 20.0, 4000.0)),
        "body": st.sampled_from(("json", "html", "empty")),
    }
)


class Histories(RuleBasedStateMachine):
    """A tenant, storage and the program; people, administrators and bad luck act on them."""

    azurite: ClassVar[Azurite]

    def __init__(self) -> None:
        super().__init__()
        # One request at a time: what a fault's action sees is a moment, not a mixture of two.
        fixed = {"MAX_CONCURRENCY": "1", "REMOVAL_LIMIT": "100%"}
        self.world = World(self.azurite, users=13, plain=False, shards=4, settings=fixed)
        self.world.__enter__()
        self.tenant = self.world.tenant
        self.directory = self.tenant.directory
        self.directory.groups[self.tenant.group_id] = set(self.world.ids()[::2])
        self.judge = Judge(self.world)
        self.world.app().checkpoint().prepare()
        self.bad: list[str] = []

    def teardown(self) -> None:
        """However it went on: some quiet nights later all is well."""
        try:
            self.quiet_nights()
        finally:
            self.world.__exit__()

    @initialize(first=st.booleans())
    def first_night(self, first: bool) -> None:
        """Mostly there is something to lose."""
        if first:
            self.night(24.0)

    # -- people ------------------------------------------------------------------------------

    @rule(who=_people, shade=st.integers(0, 5))
    def photo_is_set(self, who: int, shade: int) -> None:
        self.directory.set_photo(self.person(who).id, jpeg((40 * shade, 90, 200), side=120))
        self.judge.look()

    @rule(who=_people)
    def photo_is_no_image(self, who: int) -> None:
        self.directory.set_photo(self.person(who).id, b"\xff\xd8\xff no image")
        self.judge.look()

    @rule(who=_people)
    def photo_is_removed(self, who: int) -> None:
        self.directory.remove_photo(self.person(who).id)

    @rule(number=st.integers(0, 2**64 - 1), like=_people, shade=st.integers(0, 5))
    def user_comes(self, number: int, like: int, shade: int) -> None:
        person_id = str(uuid.UUID(int=number * 2**64 + 1, version=4))
        if person_id in self.directory.people:
            return
        model = self.person(like)
        person = Person(
            id=person_id,
            upn=f"new{number}@contoso.com",
            display_name="New",
            mail=f"new{number}@contoso.com",
            account_enabled=True,
            user_type="Member",
            plans=FULL_LICENCE,
            photo=None,
            has_profile=bool(shade % 3),
            geo="",
            existing="none",
            department=model.department,
        )
        self.directory.add(person)
        if shade:
            self.photo_is_set(self.world.ids().index(person_id), shade)
        if shade % 2:
            self.directory.groups[self.tenant.group_id].add(person_id)

    @precondition(lambda self: len(self.directory.people) > _LEAST_PEOPLE)
    @rule(who=_people)
    def user_goes(self, who: int) -> None:
        self.directory.remove(self.person(who).id)

    @rule(who=_people, number=st.integers(0, 99))
    def user_is_renamed(self, who: int, number: int) -> None:
        upn = f"Renamed.{number}@contoso.com"
        if self.directory.by_upn(upn) is None:
            self.directory.rename(self.person(who).id, upn)

    @rule(who=_people)
    def licence_changes(self, who: int) -> None:
        person = self.person(who)
        person.plans = [] if person.plans else FULL_LICENCE
        self.directory.version += 1

    @rule(who=_people)
    def profile_comes(self, who: int) -> None:
        self.person(who).has_profile = True

    @rule(who=_people, what=st.sampled_from(("placeholder", "nothing", "elsewhere", "file")))
    def profile_is_edited(self, who: int, what: str) -> None:
        """By hand, or by another program: the picture is hidden, changed, or one of its files."""
        person = self.person(who)
        if not person.has_profile:
            return
        url = "" if what == "nothing" else "https://intranet.example.com/me.jpg"
        if what == "file":
            record = self.world.records().get(person.id)
            path = record.photo.location.path("S") if record and record.photo else ""
            if path not in self.tenant.sharepoint.files():
                return
            self.tenant.sharepoint.library["mysite"].delete(path)
        elif what == "placeholder":
            self.tenant.sharepoint.profiles.put(person, {"SPS-PicturePlaceholderState": "1"})
        else:
            self.tenant.sharepoint.profiles.put(person, {"PictureURL": url})
        self.judge.edited(person.id)
        self.world.clock.advance(1)

    # -- administrators ----------------------------------------------------------------------

    @rule(group=st.booleans(), department=st.booleans())
    def scope_changes(self, group: bool, department: bool) -> None:
        self.judge.by_group, self.judge.by_department = group, department
        more = f" and department eq '{DEPARTMENT}'" if department else ""
        self.world.settings["USER_FILTER"] = f"{_DEFAULT_FILTER}{more}"
        self.world.settings["SYNC_GROUP_ID"] = self.tenant.group_id if group else ""

    @rule(remove=st.booleans(), confirmations=st.integers(1, 3))
    def removal_changes(self, remove: bool, confirmations: int) -> None:
        self.world.settings["REMOVE_PHOTOS"] = str(remove)
        self.world.settings["REMOVAL_CONFIRMATIONS"] = str(confirmations)

    @rule(which=st.integers(0, 300), how=st.sampled_from(("deleted", "cut", "noise", "other")))
    def state_is_broken(self, which: int, how: str) -> None:
        """A blob of the checkpoint, or the document of the run."""
        blobs = {**self.world.blobs("state/"), **self.world.blobs("run.json")}
        if not blobs:
            return
        name = sorted(blobs)[which % len(blobs)]
        data = blobs[name]
        if name != "run.json":
            self.judge.forgotten(data)
        container = self.world.app().container
        if how == "deleted":
            container.delete_blob(name)
            return
        kinds = {"cut": data[: len(data) // 2], "noise": b"\x00\xff{", "other": b'{"schema":1}'}
        container.upload_blob(name, kinds[how], overwrite=True)

    # -- the program -------------------------------------------------------------------------

    @rule(hours=_hours)
    def night(self, hours: float) -> None:
        """Nothing fails, so the run completes, whatever it finds."""
        with self.judge.keeps_pictures():
            run = self.world.night(hours / 24)
        assert run.status == "completed"
        self.judge.account(run)

    @rule(hours=_hours, faults=st.lists(_faults, min_size=1, max_size=3), who=_people)
    def night_with_faults(self, hours: float, faults: list[dict[str, Any]], who: int) -> None:
        self.photos_change(who)
        for fault in faults:
            self.tenant.faults.add(Fault(**fault))
        self.try_night(hours)

    @rule(hours=_hours, at=st.integers(0, 45), after=st.booleans(), who=_people)
    def night_with_death(self, hours: float, at: int, after: bool, who: int) -> None:
        self.photos_change(who)
        with Death(at, after=after).awaits(self.world):
            self.try_night(hours)

    @rule(
        hours=_hours,
        at=st.lists(st.integers(0, 60), min_size=1, max_size=3, unique=True),
        who=_people,
        what=st.sampled_from(("call", "force", "photo", "no photo", "look")),
    )
    def night_with_company(self, hours: float, at: list[int], who: int, what: str) -> None:
        """Meanwhile somebody calls for one user, or changes their photo, or reads the records."""
        self.photos_change(who)
        person_id = self.person(who).id
        shades = iter(range(10))
        actions: dict[str, Any] = {
            "call": lambda: self.world.call(person_id),
            "force": lambda: self.world.call(person_id, force=True),
            "photo": lambda: self.photo_is_set(who, next(shades)),
            "no photo": lambda: self.photo_is_removed(who),
            "look": lambda: self.bad.extend(self.judge.lies()),
        }

        def act() -> None:
            try:
                actions[what]()
            except Exception as error:  # noqa: BLE001 - told by the invariant: this thread is the tenant's
                self.bad.append(f"{what} meanwhile: {error!r}")

        for each in at:
            self.tenant.faults.add(Fault("call", nth=each, action=act))
        self.try_night(hours)

    @rule(hours=_hours)
    def dry_night(self, hours: float) -> None:
        """Nothing is written to SharePoint, and no record."""
        before = self.world.blobs("state/"), self.tenant.sharepoint.files()
        self.world.settings["DRY_RUN"] = "true"
        run = self.world.night(hours / 24)
        self.world.settings["DRY_RUN"] = "false"
        self.judge.account(run)
        assert self.world.writes() == []
        assert (self.world.blobs("state/"), self.tenant.sharepoint.files()) == before

    @rule(who=_people, force=st.booleans(), by_name=st.booleans())
    def call(self, who: int, force: bool, by_name: bool) -> None:
        """In scope or not; what it says is so."""
        person = self.person(who)
        try:
            result = self.world.call(person.upn if by_name else person.id, force=force)
        except UserUnknown:
            raise AssertionError("the user is there") from None
        if result.outcome in {Outcome.UPDATED, Outcome.REPAIRED}:
            assert self.judge._wrong(person) == ""
        if result.outcome is Outcome.REMOVED:
            assert person.photo is None
            assert set(self.judge.shown(person.id).values()) == {None}

    @rule(who=_people, at=st.integers(0, 15), after=st.booleans())
    def call_with_death(self, who: int, at: int, after: bool) -> None:
        self.photo_is_set(who, at % 6)
        with Death(at, after=after).awaits(self.world):
            self.world.call(self.person(who).id)

    @rule(days=st.sampled_from((0.1, 1.0, 3.0, 40.0)))
    def time_passes(self, days: float) -> None:
        self.world.clock.advance(days * 86_400)

    def quiet_nights(self) -> None:
        """Converged, honest, exact, tidy; the first may still doubt its list of users."""
        self.world.settings |= {"REMOVE_PHOTOS": "true", "REMOVAL_CONFIRMATIONS": "2"}
        self.tenant.faults.clear()
        for who, what in enumerate(("placeholder", "nothing", "elsewhere", "file")):
            self.profile_is_edited(who, what)
        for days in (_MONTH, _MONTH, 1.0):
            if days < _MONTH:
                self.photos_change(4)
            run = self.world.night(days)
            assert run.status == "completed"
            self.judge.account(run)
        self.judge.converged(run)

    # -- always ------------------------------------------------------------------------------

    @invariant()
    def records_tell_the_truth(self) -> None:
        """At every moment, also after a death and in the middle of a run."""
        assert self.bad == []
        assert self.judge.lies() == []

    # -- helpers -----------------------------------------------------------------------------

    def person(self, number: int) -> Person:
        """Somebody who is there."""
        ids = self.world.ids()
        return self.directory.people[ids[number % len(ids)]]

    def photos_change(self, who: int) -> None:
        """So that the next run has something to do."""
        for each in (who, who + 3, who + 5):
            self.photo_is_set(each, each % 6)

    def try_night(self, hours: float) -> None:
        """A run that may fail, but only as it should; and its accounts are exact."""
        with self.judge.keeps_pictures():
            try:
                self.world.night(hours / 24)
            except PhotoSyncError as error:
                note(f"the run failed: {error}")
        self.tenant.faults.clear()
        self.judge.account(self.world.app().checkpoint(read_only=True).run())


def test_all_histories_end_well(azurite: Azurite) -> None:
    """Promises 2, 4, 8, 9, 12, 13: whatever happened, some quiet nights later all is well."""
    Histories.azurite = azurite
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=_LONG or (18 if THOROUGH else 5),
            stateful_step_count=30 if _LONG else 14,
            derandomize=not _LONG,
            # Shrinking takes minutes; only the long form has them.
            phases=(Phase.generate, Phase.shrink) if _LONG else (Phase.generate,),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
