"""The run's document and the choice of the run that a firing works on."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.checkpoint import runs
from shared.checkpoint.documents import iso, parse_document
from shared.checkpoint.runs import (
    CLEARING,
    COMPLETED,
    DONE,
    DRY_RUN,
    INTERRUPTED,
    LISTING,
    RUNNING,
    STOPPED,
    SYNC,
    USERS,
    Run,
    next_run,
)
from shared.errors import BrokenState, NewerSchema
from shared.model import Outcome, ThumbnailLocation

HOUR = 3600.0
NOW = 1_790_000_000.0
INTERVAL = 12 * HOUR
ID = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"

STEADY = settings(derandomize=True, deadline=None)

_text = st.text(max_size=10)
_count = st.integers(0, 10**9)
_moment = st.floats(0, 4e9).map(iso)
_run = st.builds(
    Run,
    id=_text,
    version=_text,
    trigger=_text,
    mode=st.sampled_from([SYNC, DRY_RUN]),
    scope=_text,
    started=_moment,
    updated=st.just("") | _moment,
    ended=st.just("") | _moment,
    status=st.sampled_from([RUNNING, COMPLETED, INTERRUPTED, STOPPED]),
    reason=_text,
    firings=_count,
    cursor=st.just("") | st.uuids().map(str),
    phase=st.sampled_from(["", LISTING, USERS, CLEARING, DONE]),
    shard=st.sampled_from(["", "00", "ff"]),
    deferred=st.lists(st.uuids().map(str), max_size=3),
    put_aside=st.lists(st.uuids().map(str), max_size=3),
    clearing=st.lists(st.sampled_from(["00", "ff"]), max_size=2),
    confirmations=_count,
    candidates=st.lists(st.uuids().map(str), max_size=3),
    listed=_count,
    previous_listed=st.none() | _count,
    filter_refused=st.booleans(),
    counts=st.fixed_dictionaries(
        {outcome: _count for outcome in Outcome if outcome is not Outcome.DEFERRED}
    ),
    requests=st.fixed_dictionaries({"graph": _count, "sharepoint": _count}),
    throttled=_count,
    received=_count,
    sent=_count,
    source_fault=_text,
    photos=_count,
    removal_candidates=_count,
    removals_failed=_count,
    leaver_candidates=_count,
    leavers_cleared=_count,
    leavers_held_back=_count,
    removals_held_back=_count,
    removal_limit=st.none() | _count,
    removal_note=_text,
    reverified=_count,
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def run(started: float = NOW, **fields: Any) -> Run:
    """A finished run that listed 100 users."""
    values: dict[str, Any] = {"id": "before", "version": "1", "trigger": "timer", "mode": SYNC}
    values |= {"scope": "all", "status": COMPLETED, "listed": 100, "phase": USERS}
    values["started"] = iso(started)
    return Run(**values | fields)


def fire(
    previous: Run | None,
    *,
    now: float = NOW,
    interval: float = INTERVAL,
    mode: str = SYNC,
    scope: str = "all",
) -> tuple[Run | None, Run | None]:
    """What a firing finds to do."""
    return next_run(
        previous, run_id="new", version="2", mode=mode, scope=scope, now=now, interval=interval
    )


def document(**changed: Any) -> dict[str, Any]:
    """A run's document with some fields changed."""
    return run(updated=iso(NOW), ended=iso(NOW), cursor=ID).to_json() | changed


# -- the document --------------------------------------------------------------------------------


def test_report_has_what_the_contract_names() -> None:
    """What operators are promised to find in a report, and the schema; no list of users."""
    one = run(listed=3, counts={Outcome.UPDATED: 3}, deferred=[ID], put_aside=[ID])
    report = one.report()

    assert {"id", "version", "trigger", "mode", "started", "ended", "status"} < report.keys()
    assert {"inScope", "counts", "requests", "throttled", "bytes"} < report.keys()
    assert report["schema"] == 1
    assert list(report["counts"]) == [outcome.value for outcome in Outcome]
    assert list(report["requests"]) == ["graph", "sharepoint"]
    assert list(report["bytes"]) == ["received", "sent"]
    assert report["removals"]["heldBack"] == 0
    assert report["leavers"] == {"candidates": 0, "cleared": 0, "heldBack": 0}
    assert ID not in json.dumps(report)


def test_documented_form() -> None:
    """The document as docs/architecture.md describes it, name by name."""
    place = ThumbnailLocation("https://contoso-my.sharepoint.com", "Profile Pictures", ID)
    one = Run(
        "abc", "2.0.0", "timer", SYNC, "all", "2026-03-10T01:00:00.000Z",
        firings=2, phase=USERS, cursor=ID, shard="6d", deferred=[ID], put_aside=[ID],
        clearing=["00"], confirmations=2, candidates=[ID], listed=9, previous_listed=8,
        filter_refused=True, counts={Outcome.UPDATED: 3, Outcome.REMOVED: 1},
        requests={"graph": 4, "sharepoint": 5}, throttled=6, received=7, sent=8,
        photos=10, removal_candidates=11, removals_failed=12, removals_held_back=13,
        removal_limit=14, leaver_candidates=15, leavers_cleared=16, leavers_held_back=17,
        reverified=18, writing={ID: place},
    )  # fmt: skip
    counts = {outcome.value: 0 for outcome in Outcome}
    assert one.to_json() == {
        "schema": 1,
        "id": "abc",
        "version": "2.0.0",
        "trigger": "timer",
        "mode": "sync",
        "scope": "all",
        "started": "2026-03-10T01:00:00.000Z",
        "updated": "",
        "ended": None,
        "status": "running",
        "reason": None,
        "firings": 2,
        "phase": "users",
        "cursor": ID,
        "shard": "6d",
        "deferredUsers": [ID],
        "putAside": [ID],
        "clearing": ["00"],
        "confirmations": 2,
        "candidates": [ID],
        "listed": 9,
        "previousListed": 8,
        "filterRefused": True,
        "inScope": 9,
        "counts": counts | {"updated": 3, "removed": 1, "deferred": 5},
        "requests": {"graph": 4, "sharepoint": 5},
        "throttled": 6,
        "bytes": {"received": 7, "sent": 8},
        "sourceFault": None,
        "removals": {
            "photos": 10,
            "candidates": 11,
            "removed": 1,
            "failed": 12,
            "heldBack": 13,
            "limit": 14,
            "note": None,
        },
        "leavers": {"candidates": 15, "cleared": 16, "heldBack": 17},
        "reverified": 18,
        "writing": {},
    }
    assert one.report().keys() == one.to_json().keys() - {
        "phase", "cursor", "shard", "deferredUsers", "putAside", "clearing", "confirmations",
        "candidates", "writing",
    }  # fmt: skip


@STEADY
@given(_run)
def test_round_trip(one: Run) -> None:
    """A run is read back as it was written."""
    assert runs.from_json(parse_document(json.dumps(one.to_json()).encode())) == one


def test_the_document_that_only_carries_the_lease_is_no_run() -> None:
    """Before the first run there is a document without one."""
    assert runs.from_json({"schema": 1, "status": "none"}) is None


@STEADY
@given(st.binary(max_size=60) | _json.map(json.dumps).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever stands in run.json, it is a run, none, or refused by a typed error."""
    try:
        found = runs.from_json(parse_document(data))
    except (BrokenState, NewerSchema):
        return
    assert found is None


@STEADY
@given(st.data())
def test_any_spoilt_field_is_read_or_refused(data: st.DataObject) -> None:
    """A run with one field spoilt is read so that it can be written again, or refused."""
    spoilt = document()
    holder = data.draw(st.sampled_from([spoilt, spoilt["removals"], spoilt["bytes"]]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(_json)
    try:
        found = runs.from_json(spoilt)
    except BrokenState:
        return
    if found:
        again = runs.from_json(found.to_json())
        assert again is not None
        assert again.to_json() == found.to_json()


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "sleeping"},
        {"mode": "wild"},
        {"started": ""},
        {"started": "../x"},
        {"started": "0001-01-01T00:00:00+23:59"},
        {"ended": "late"},
        {"updated": 7},
        {"cursor": "nobody"},
        {"cursor": 1},
        {"phase": "sleeping"},
        {"deferredUsers": ["nobody"]},
        {"putAside": [1]},
        {"leavers": {"candidates": -1}},
        {"counts": {"exploded": 1}},
        {"counts": {"updated": -1}},
        {"counts": {"updated": True}},
        {"counts": []},
        {"requests": {"graph": "1"}},
        {"removals": None},
        {"bytes": {"received": 1}},
        {"previousListed": "many"},
        {"reason": 5},
    ],
)
def test_broken_runs(changed: dict[str, Any]) -> None:
    """A run that could not be resumed or reported is broken, instead of stopping every firing."""
    with pytest.raises(BrokenState, match=r"^it is no run$"):
        runs.from_json(document(**changed))


OF_VERSION_2 = {
    "phase", "shard", "deferredUsers", "putAside", "clearing", "confirmations", "candidates",
    "filterRefused", "leavers", "writing",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(document()))
def test_fields_of_version_1_are_needed(name: str) -> None:
    """A document without one of its fields is broken (the schema is judged before)."""
    cut = document()
    del cut[name]
    if name == "schema":
        with pytest.raises(BrokenState):
            parse_document(json.dumps(cut).encode())
    elif name in OF_VERSION_2 or name == "inScope":
        assert runs.from_json(cut) is not None
    else:
        with pytest.raises(BrokenState):
            runs.from_json(cut)


# -- accounts ------------------------------------------------------------------------------------


def test_the_sum_of_counts_is_the_users_in_scope() -> None:
    """At any moment of a run, whoever has no outcome yet is deferred."""
    one = run(listed=10)
    one.count(Outcome.UPDATED)
    one.count(Outcome.UNCHANGED, 5)

    assert one.count_of(Outcome.DEFERRED) == 4
    assert sum(one.to_json()["counts"].values()) == 10


def test_nothing_is_counted_before_the_list_is_complete() -> None:
    """While users are listed, their number is not known, and all counts are 0."""
    one = run(listed=0, phase=LISTING)
    assert set(one.to_json()["counts"].values()) == {0}


def test_a_document_of_version_1_is_read() -> None:
    """Its counts and its list stay; it cannot be resumed, so it is closed."""
    old = document(listed=9, inScope=10, counts={"updated": 6, "deferred": 4})
    for name in OF_VERSION_2:
        del old[name]
    place = {"host": "https://contoso-my.sharepoint.com", "folder": "Profile Pictures"}
    old["writing"] = {ID: place | {"prefix": "adele_contoso_com"}}
    old["status"] = INTERRUPTED

    found = runs.from_json(old)

    assert found is not None
    assert sum(found.to_json()["counts"].values()) == 10
    assert (found.phase, list(found.writing)) == ("", [ID])
    new, closed = fire(found)
    assert closed is found
    assert new is not None
    assert new.writing == found.writing


def test_what_an_old_document_does_not_tell_did_not_happen() -> None:
    """Fields that came later are zero, also where only a part of them is there."""
    old = document(counts={"updated": 1}, leavers={})
    for name in OF_VERSION_2 - {"leavers"}:
        del old[name]
    for name in ("photos", "failed"):
        del old["removals"][name]

    found = runs.from_json(old)

    assert found is not None
    assert (found.confirmations, found.filter_refused) == (0, False)
    assert (found.photos, found.removals_failed) == (0, 0)
    assert (found.leaver_candidates, found.leavers_cleared, found.leavers_held_back) == (0, 0, 0)


# -- which run -----------------------------------------------------------------------------------


def test_the_first_firing_starts_a_run() -> None:
    """Nothing is known: a run starts, with no earlier list to compare with."""
    new, closed = fire(None)
    assert new == Run("new", "2", "timer", SYNC, "all", iso(NOW), phase=LISTING)
    assert closed is None


NOTHING, RESUME, START, REPLACE = "nothing", "resume", "start", "close and start"


@pytest.mark.parametrize(
    ("previous", "settings", "expected"),
    [
        # Finished: by its start, not by its end.
        (run(NOW - INTERVAL + 1), {}, NOTHING),
        (run(NOW - INTERVAL), {}, START),
        (run(NOW - INTERVAL - 1), {}, START),
        (run(NOW), {}, NOTHING),
        (run(NOW - 1), {"interval": 0}, START),
        (run(NOW), {"interval": 0}, START),
        (run(NOW - 1), {"scope": "other"}, NOTHING),
        # A clock that was wrong must not stop the program for years.
        (run(NOW + HOUR), {}, NOTHING),
        (run(NOW + 1000 * HOUR), {}, START),
        (run(NOW + 1000 * HOUR, status=RUNNING), {}, REPLACE),
        # Unfinished: whatever the interval.
        *((run(NOW - HOUR, status=status), {}, RESUME) for status in (RUNNING, INTERRUPTED)),
        (run(NOW - HOUR, status=STOPPED), {}, RESUME),
        (run(NOW - HOUR, status=INTERRUPTED), {"interval": 0}, RESUME),
        (run(NOW - 48 * HOUR, status=INTERRUPTED), {}, RESUME),
        (run(NOW - 48 * HOUR - 1, status=INTERRUPTED), {}, REPLACE),
        (run(NOW - 48 * HOUR - 1, status=RUNNING), {}, REPLACE),
        (run(NOW - HOUR, status=INTERRUPTED, phase=""), {}, REPLACE),
        (run(NOW - HOUR, status=INTERRUPTED), {"scope": "other"}, REPLACE),
        (run(NOW - HOUR, status=INTERRUPTED), {"mode": DRY_RUN}, REPLACE),
        # Dry and real runs do not wait for each other.
        (run(NOW - HOUR, mode=DRY_RUN), {}, START),
        (run(NOW - HOUR), {"mode": DRY_RUN}, START),
        (run(NOW - HOUR, mode=DRY_RUN), {"mode": DRY_RUN}, NOTHING),
        (run(NOW - HOUR, mode=DRY_RUN, status=INTERRUPTED), {}, REPLACE),
    ],
)
def test_which_run(previous: Run, settings: dict[str, Any], expected: str) -> None:
    """A finished run keeps the next one waiting; an unfinished one is resumed, for 48 hours."""
    before = replace(previous)

    new, closed = fire(previous, **settings)

    found = {
        (True, False): NOTHING,
        (False, False): START,
        (False, True): REPLACE,
    }[new is None, closed is not None]
    if new is previous:
        assert new.firings == before.firings + 1
        assert replace(new, firings=before.firings) == before
        found = RESUME
    elif new:
        assert new.id == "new"
        assert new.started == (iso(NOW + 0.001) if before.started == iso(NOW) else iso(NOW))
        assert new.previous_listed == 100
        assert closed in (None, previous)
    assert expected == found


def test_two_runs_never_share_their_report() -> None:
    """Reports are named by `started`, so two runs in one millisecond are parted."""
    new, _ = fire(run(NOW), interval=0)
    assert new is not None
    assert new.started == iso(NOW + 0.001)


@pytest.mark.parametrize(
    ("listed", "previous_listed", "expected"),
    [(100, None, 100), (100, 90, 100), (0, 90, 90), (0, None, None)],
)
def test_a_run_that_died_before_listing_hides_no_earlier_list(
    listed: int, previous_listed: int | None, expected: int | None
) -> None:
    """The list of users is compared with the last one that there was."""
    stale = run(NOW - 72 * HOUR, status=RUNNING, listed=listed, previous_listed=previous_listed)
    new, _ = fire(stale)
    assert new is not None
    assert new.previous_listed == expected


def test_another_scope_is_no_removal() -> None:
    """After a change of the scope settings the list is not trusted to tell who is gone."""
    new, _ = fire(run(NOW - 24 * HOUR), scope="other")
    assert new is not None
    assert "scope settings changed" in new.source_fault


def test_another_scope_says_so() -> None:
    """In the words of the report; and every count is an outcome's own."""
    new, _ = fire(run(NOW - 24 * HOUR), scope="other")
    assert new is not None
    assert new.source_fault == "the scope settings changed since the last run"
    new.count(Outcome.UPDATED)
    new.count(Outcome.UPDATED, 2)
    new.count(Outcome.FAILED)
    assert new.counts == {Outcome.UPDATED: 3, Outcome.FAILED: 1}
