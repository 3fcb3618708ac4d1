"""Who is in scope: filter, group, doubtful lists, and when a firing starts a run."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from local.tenant import Fault
from local.tenant.http import Request, Response
from shared.checkpoint.runs import Run
from tests.support.oracle import Oracle, is_in_scope
from tests.support.world import World, outcomes

Make = Callable[..., World]
HOUR = 3600.0


def half_gone(world: Make, **settings: str) -> World:
    """A synchronised tenant in which three photos went, removals needing no confirmation."""
    here = world(
        users=40, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1", **settings}, settled=True
    )
    for user_id in here.ids()[:3]:
        here.tenant.directory.remove_photo(user_id)
    return here


def list_only(here: World, number: int) -> None:
    """From now on only the first so many people are in scope."""
    directory = here.tenant.directory
    for index, user_id in enumerate(here.ids()):
        directory.people[user_id].account_enabled = index < number
    directory.version += 1


def interrupted(here: World) -> Run:
    """Fire a run that is throttled away after its first slice."""
    here.tenant.faults.add(
        Fault("status", operation="photo.batch", nth=1, status=429, retry_after=3000)
    )
    run = here.fire()
    assert run.status == "interrupted"
    return run


def tamper(here: World, change: Callable[[dict[str, object]], None]) -> None:
    """Change each page of the listing of users before it is sent."""
    serve = here.tenant.graph.handle

    def handle(request: Request) -> Response:
        response = serve(request)
        if request.path() == "/v1.0/users" and response.status == 200:
            document = json.loads(response.body)
            change(document)
            response = replace(response, body=json.dumps(document).encode())
        return response

    here.tenant._handlers["graph"] = handle


def held_back(here: World, run: Run, why: str) -> None:
    """The run ended well, and removed nothing because of its list."""
    assert run.status == "completed"
    assert here.writes() == []
    assert "removed" not in outcomes(run)
    report = here.report(run)
    assert why in report["sourceFault"]
    assert why in report["removals"]["note"]
    assert all(record.missing is None for record in here.records().values())


def test_the_list_is_empty(world: Make) -> None:
    """Nobody is touched, the run says so, and goes on comparing with the last good list."""
    here = half_gone(world)
    list_only(here, 0)
    run = here.night()
    held_back(here, run, "the list of users is empty")
    assert outcomes(run) == {}
    list_only(here, 19)
    held_back(here, here.night(), "less than half of the 40")
    list_only(here, 40)
    assert outcomes(here.night()) == {"unchanged": 37, "removed": 3}


@pytest.mark.parametrize(("left", "doubted"), [(20, False), (19, True)])
def test_the_list_is_halved(world: Make, left: int, doubted: bool) -> None:
    """Shorter than half of the last run's list is a fault of the source; just half is not."""
    here = half_gone(world)
    list_only(here, left)
    run = here.night()
    if doubted:
        held_back(here, run, f"the list has {left} users, less than half of the 40 of the last run")
        assert outcomes(run) == {"unchanged": left - 3, "removal_pending": 3}
    else:
        assert outcomes(run) == {"unchanged": left - 3, "removed": 3}


def test_a_page_is_missing(world: Make) -> None:
    """Graph announces more users than it lists: nothing is removed."""
    here = half_gone(world)

    def end(document: dict[str, object]) -> None:
        users = document["value"]
        assert isinstance(users, list)
        del users[30:]

    tamper(here, end)
    held_back(here, here.night(), "Graph announced 40 users, but listed 30")


def test_entries_without_a_usable_id(world: Make) -> None:
    """What is no user is left out, and the list is not trusted."""
    here = half_gone(world)

    def spoil(document: dict[str, object]) -> None:
        users = document["value"]
        assert isinstance(users, list)
        users[0]["id"] = "nobody"

    tamper(here, spoil)
    run = here.night()
    held_back(here, run, "1 users have no usable id or name")
    assert run.listed == 39


@pytest.mark.parametrize("setting", ["USER_FILTER", "SYNC_GROUP_ID"])
def test_a_changed_scope_is_no_removal(world: Make, setting: str) -> None:
    """The first run with another scope removes and counts nothing; the next one does."""
    here = half_gone(world)
    group = here.tenant.group_id
    here.tenant.directory.groups[group] = set(here.ids())
    here.settings[setting] = group if setting == "SYNC_GROUP_ID" else "accountEnabled eq true"
    held_back(here, here.night(), "scope settings changed")
    assert outcomes(here.night()) == {"unchanged": 37, "removed": 3}


def test_a_group_that_was_emptied(world: Make) -> None:
    """An empty group looks like an empty tenant: nobody is touched."""
    here = world(users=40, shards=1, settings={"REMOVAL_CONFIRMATIONS": "1"})
    group = here.tenant.group_id
    assert outcomes(here.fire(SYNC_GROUP_ID=group)) == {"updated": 4}
    members = here.tenant.directory.groups[group]
    here.tenant.directory.groups[group] = set()
    here.tenant.directory.version += 1
    files = here.tenant.sharepoint.files()
    held_back(here, here.night(), "the list of users is empty")
    here.tenant.directory.groups[group] = members
    here.tenant.directory.version += 1
    assert outcomes(here.night()) == {"unchanged": 4}
    assert here.tenant.sharepoint.files() == files


def test_a_group_and_the_groups_in_it(world: Make) -> None:
    """In scope are members, also of nested groups, of those whom the filter means."""
    here = world(users=60, plain=False, shards=1)
    directory = here.tenant.directory
    oracle = Oracle(here)
    people = list(directory.people.values())
    inner = "11111111-2222-4333-8444-555555555555"
    directory.groups[inner] = {p.id for p in people[40:60]}
    directory.groups[here.tenant.group_id] = {p.id for p in people[:10]} | {inner}
    run = here.fire(SYNC_GROUP_ID=here.tenant.group_id)
    meant = [p for p in people[:10] + people[40:60] if is_in_scope(p)]
    assert run.listed == sum(outcomes(run).values()) == len(meant)
    assert 0 < len(meant) < 30
    assert {user_id for user_id, r in here.records().items() if r.photo} <= {p.id for p in meant}
    assert not set(oracle.wrong()) & {p.upn for p in meant}


def test_who_leaves_the_scope_keeps_the_picture(world: Make) -> None:
    """A user who is not listed any more is left alone, with or without a photo."""
    here = half_gone(world)
    files = here.tenant.sharepoint.files()
    for user_id in here.ids()[:3]:
        here.tenant.directory.people[user_id].account_enabled = False
    here.tenant.directory.version += 1
    for _ in range(3):
        assert outcomes(here.night()) == {"unchanged": 37}
        assert here.writes() == []
    assert here.tenant.sharepoint.files() == files


def test_a_new_run_after_the_interval(world: Make) -> None:
    """RUN_INTERVAL_HOURS counts from the start of the finished run; before, nothing is asked."""
    here = world(users=5, shards=1, settings={"RUN_INTERVAL_HOURS": "12"})
    first = here.fire()
    for hours in (0.25, 5, 6.7):
        here.clock.advance(hours * HOUR)
        here.tenant.tape.clear()
        assert here.fire().id == first.id
        assert here.tenant.tape.count() == 0
    here.clock.advance(0.1 * HOUR)
    second = here.fire()
    assert second.id != first.id
    assert second.firings == first.firings == 1


def test_every_firing_starts_a_run_when_the_interval_is_zero(world: Make) -> None:
    """But an unfinished one is resumed."""
    here = world(users=5, shards=1, settings={"RUN_INTERVAL_HOURS": "0"})
    runs = [here.fire() for _ in range(2)]
    here.clock.advance(1)
    runs.append(here.fire())
    assert len({run.id for run in runs}) == 3
    assert len({run.started for run in runs}) == 3
    assert len(here.blobs("runs/")) == 4  # one of them wrote lines


def test_an_old_unfinished_run_is_closed(world: Make) -> None:
    """Up to 48 hours it is resumed; then it is reported as interrupted and a new one starts."""
    here = world(users=60, shards=1, settings={"MAX_CONCURRENCY": "1"})
    first = interrupted(here)
    here.clock.advance(47.9 * HOUR)
    again = interrupted(here)
    assert again.id == first.id
    here.clock.advance(0.2 * HOUR)
    last = here.fire()
    assert last.id != first.id
    assert last.status == "completed"
    closed = here.report(again)
    assert closed["status"] == "interrupted"
    assert sum(closed["counts"].values()) == closed["inScope"] == 60
    assert closed["counts"]["deferred"] > 0


def test_settings_changed_in_the_middle_of_a_run(world: Make) -> None:
    """Another scope closes the run, exactly accounted for; other settings do not."""
    here = world(users=60, shards=1, settings={"MAX_CONCURRENCY": "1"})
    first = interrupted(here)
    assert here.fire(REVERIFY_DAYS="7", MAX_CONCURRENCY="4").id == first.id
    here.clock.advance(24 * HOUR)
    here.tenant.population.change(50, seed=3)
    second = interrupted(here)
    third = here.fire(USER_FILTER="accountEnabled eq true")
    assert third.id != second.id
    assert third.source_fault == "the scope settings changed since the last run"
    closed = here.report(second)
    assert sum(closed["counts"].values()) == closed["inScope"] == 60
    assert closed["ended"]


def test_a_listing_that_never_came(world: Make) -> None:
    """Days without any list do not make the next one trusted blindly."""
    here = half_gone(world)
    roles = here.tenant.roles["graph"]
    here.tenant.roles["graph"] = {"Directory.None"}
    here.clock.advance(24 * HOUR)
    run, message = here.stopped()
    assert "User.Read.All" in message
    here.clock.advance(49 * HOUR)
    here.stopped()
    here.tenant.roles["graph"] = roles
    list_only(here, 19)
    held_back(here, here.night(3), "less than half of the 40")
    assert outcomes(run).get("failed", 0) == 0
