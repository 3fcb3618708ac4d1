"""Who counts as a leaver, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.checkpoint import Photo, Record, iso
from shared.errors import Evidence, Unavailable
from shared.model import Outcome, ThumbnailLocation, User
from shared.sync.leavers import ASK_EVERY_DAYS, is_due, notice, to_ask
from shared.sync.plan import Policy

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC).timestamp()
DAY = 86_400.0
ID = "6ea91a8d-e32e-41a1-b7bd-d2d185ee0000"
OTHER = "6ea91a8d-e32e-41a1-b7bd-d2d185ee0001"
PHOTO = Photo("A", "aa", ThumbnailLocation("https://contoso-my.sharepoint.com", "P", ID))
KEPT = Record("a@b.c", Outcome.UPDATED, iso(NOW - DAY), "r", photo=PHOTO, verified_at=iso(NOW))
LEFT = replace(KEPT, left_on="2026-02-20")


def policy(**changes: Any) -> Policy:
    return replace(Policy(now=NOW, run="run-9"), **changes)


def test_people_outside_the_scope_are_asked_about_once_a_week() -> None:
    """A license that is gone must not cost a request every night, nor all on the same night."""
    records = {f"{ID[:-4]}{n:04x}": KEPT for n in range(70)}
    asked = [
        {user.id for user in to_ask(records, (), policy(now=NOW + day * DAY))}
        for day in range(ASK_EVERY_DAYS)
    ]
    assert [len(ids) for ids in asked] == [10] * ASK_EVERY_DAYS
    assert set().union(*asked) == set(records)


def test_who_left_is_asked_about_every_night() -> None:
    """So that nobody who is back is cleared, and nobody waits for their weekday."""
    records = {f"{ID[:-4]}{n:04x}": LEFT for n in range(9)}
    assert [user.id for user in to_ask(records, (), policy())] == sorted(records)


def test_a_short_time_is_kept() -> None:
    """With LEAVER_DAYS=1 everybody is asked about every night."""
    records = {f"{ID[:-4]}{n:04x}": KEPT for n in range(9)}
    assert len(to_ask(records, (), policy(leaver_days=1))) == 9


@pytest.mark.parametrize("changes", [{"leaver_days": 0}, {"trust_missing": False}])
def test_nobody_is_asked_about(changes: dict[str, Any]) -> None:
    """LEAVER_DAYS=0 means never; a list in doubt says nothing about who is not in it."""
    assert to_ask({ID: LEFT}, (), policy(**changes)) == []


def test_who_is_in_the_list_is_no_leaver() -> None:
    """They are not asked about; if they had left, they are back."""
    assert to_ask({ID: LEFT}, {ID}, policy()) == []
    noticed = notice({ID: LEFT, OTHER: KEPT}, {ID, OTHER, "new"}, {}, policy())
    assert (noticed.changes, noticed.due) == ({ID: replace(LEFT, left_on="")}, [])


def test_the_day_of_the_first_notice_counts() -> None:
    """Not the day on which the account was deleted, which nobody can read."""
    noticed = notice({ID: KEPT}, (), {ID: None}, policy())
    assert (noticed.changes, noticed.due) == ({ID: replace(KEPT, left_on="2026-03-10")}, [])


@pytest.mark.parametrize(("leaver_days", "due"), [(17, True), (18, True), (19, False)])
def test_they_are_due_after_leaver_days(leaver_days: int, due: bool) -> None:
    """From the first notice on, 18 days ago; a record that is due is not changed again."""
    noticed = notice({ID: LEFT}, (), {ID: None}, policy(leaver_days=leaver_days))
    assert (noticed.changes, noticed.due) == ({}, [ID] if due else [])
    assert is_due(LEFT, policy(leaver_days=leaver_days)) is due
    assert not is_due(LEFT, policy(leaver_days=0))
    assert not is_due(KEPT, policy(leaver_days=1))


def test_somebody_who_exists_is_left_alone() -> None:
    """Who only left the scope is never touched; who came back does not stay a leaver."""
    noticed = notice(
        {ID: KEPT, OTHER: LEFT}, (), {ID: User(ID, "x"), OTHER: User(OTHER, "y")}, policy()
    )
    assert (noticed.changes, noticed.due) == ({OTHER: replace(LEFT, left_on="")}, [])


def test_an_error_proves_nothing() -> None:
    """Neither that somebody left, nor that they are back."""
    down = Unavailable(Evidence("graph", "GET", "https://graph.microsoft.com/v1.0/users/x", 503))
    noticed = notice({ID: KEPT, OTHER: LEFT}, (), {ID: down, OTHER: down}, policy())
    assert (noticed.changes, noticed.due) == ({}, [])


def test_a_year_without_runs_makes_nobody_due_at_once() -> None:
    """The days count from the first notice, so a long pause gives no surprise."""
    late = policy(now=NOW + 365 * DAY)
    noticed = notice({ID: KEPT}, (), {ID: None}, late)
    left = noticed.changes[ID]
    assert left is not None
    assert (
        left.left_on == (datetime.fromtimestamp(NOW, UTC) + timedelta(days=365)).date().isoformat()
    )
    assert noticed.due == []


def test_people_are_asked_about_by_their_recorded_name() -> None:
    """The name is of the record; the id alone decides."""
    (asked,) = to_ask({ID: LEFT}, (), policy())
    assert asked == User(ID, LEFT.upn)


def test_the_day_of_a_person_is_fixed_by_the_id() -> None:
    """The last four digits and the date alone: a week later it is their day again."""
    records = {ID: KEPT, OTHER: KEPT}
    first = next(day for day in range(7) if to_ask({ID: KEPT}, (), policy(now=NOW + day * DAY)))
    then = policy(now=NOW + (first + 6) * DAY)
    assert [user.id for user in to_ask(records, (), then)] == [OTHER]
    twin = f"{ID[:-5]}1{ID[-4:]}"
    both = policy(now=NOW + (first + 7) * DAY)
    assert [user.id for user in to_ask({ID: KEPT, twin: KEPT}, (), both)] == sorted([ID, twin])
