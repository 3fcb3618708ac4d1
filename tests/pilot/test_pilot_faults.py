"""The pilot while services fail: every error is an answer, and SharePoint stays as it is."""

from collections.abc import Callable
from typing import Any

import pytest

from local.tenant import Fault
from local.tenant.directory import Person
from local.tenant.quirks import Quirks
from shared import pilot
from shared.model import Outcome
from shared.pilot import report
from shared.pilot.context import Context
from shared.pilot.probes import ANSWERS, LOOK, NOT_TRIED, Answer
from tests.support.blob_faults import BlobFaults
from tests.support.sampling import sample
from tests.support.world import World

MakeWorld = Callable[..., World]

ANSWER_SECONDS = 60
FAULTS: dict[str, dict[str, Any]] = {
    "401": {"kind": "token_rejected"},
    "403": {"kind": "forbidden"},
    "404": {"kind": "status", "status": 404},
    "302": {"kind": "status", "status": 302},
    "429 for ten minutes": {"kind": "status", "status": 429, "retry_after": 600},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "503 HTML": {"kind": "status", "status": 503, "body": "html"},
    "200 empty": {"kind": "status", "status": 200, "body": "empty"},
    "time-out before": {"kind": "timeout_before"},
    "time-out after": {"kind": "timeout_after"},
    "reset": {"kind": "reset"},
    "cut": {"kind": "truncate"},
    "cut, complete as HTTP": {"kind": "truncate_clean"},
}
OPERATIONS = ["profile.read", "profile.write", "file.read", "file.upload"]


def person(world: World) -> Person:
    """The only one."""
    return next(iter(world.tenant.directory.people.values()))


def holds(world: World) -> tuple[object, ...]:
    """What SharePoint holds of the user, but the timestamp."""
    profile = world.tenant.sharepoint.profile(person(world).id)
    del profile["SPS-PictureTimestamp"]
    return profile, world.tenant.sharepoint.files()


def probes(world: World) -> dict[str, dict[str, str]]:
    """The pilot's probes of the user, by id."""
    found = pilot.run(world.app(), person(world).id)
    return {probe["id"]: probe for probe in found["probes"]}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_every_error_is_an_answer(world: MakeWorld, operation: str, times: int | None) -> None:
    """Ten answers within a minute; what SharePoint holds is the same, whatever was cut or lost."""
    here = world(users=1)
    here.call(person(here).id)
    before = holds(here)
    for name, fields in sample(
        FAULTS.items(), 4, 2 * OPERATIONS.index(operation) + (times is None)
    ):
        here.clock.advance(3600)
        began = here.clock.monotonic()
        fault = here.tenant.faults.add(Fault(operation=operation, times=times, **fields))

        found = pilot.run(here.app(), person(here).id)

        here.tenant.faults.clear()
        assert fault.fired, name
        assert here.clock.monotonic() - began <= ANSWER_SECONDS, name
        assert len(found["probes"]) == 10, name
        for probe in found["probes"]:
            assert probe["answer"] in ANSWERS, (name, probe)
            assert probe["detail"], (name, probe)
            assert "internal error" not in probe["detail"], (name, probe)
        assert holds(here) == before, name
    assert here.fire().counts[Outcome.UNCHANGED] == 1


def test_a_graph_that_fails_leaves_the_other_probes_alone(world: MakeWorld) -> None:
    """Whether the user has an Exchange plan is then not said."""
    here = world(users=1)
    here.call(person(here).id)
    here.tenant.tape.clear()
    fault = Fault("status", status=404, operation="users.get", nth=1)
    here.tenant.faults.add(fault)
    found = probes(here)
    assert fault.fired
    assert found["P5"]["answer"] == LOOK
    assert "with or without" in found["P5"]["detail"]


def test_a_run_that_takes_over_ends_the_writing(world: MakeWorld) -> None:
    """A pilot frozen past its lease must not write what is no longer true."""
    here = world(users=1)
    here.call(person(here).id)
    before = holds(here)
    here.tenant.tape.clear()
    with pytest.MonkeyPatch.context() as patch:
        frozen = Fault(
            "call",
            operation="profile.read",
            action=lambda: patch.setattr("shared.checkpoint.lease.LEASE_SECONDS", 0),
        )
        here.tenant.faults.add(frozen)
        found = probes(here)
    for id_ in ("P1", "P2", "P3", "P4"):
        assert found[id_]["answer"] == "unknown", id_
        assert "another run took over" in found[id_]["detail"]
    assert here.writes() == []
    assert holds(here) == before


def test_a_defect_of_one_probe_is_its_answer(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are asked all the same; the text of the error stays in the log."""

    def broken(_: Context) -> Answer:
        raise ZeroDivisionError("secret")

    monkeypatch.setitem(report.PROBES, "P7", ("?", broken))
    here = world(users=1)
    found = probes(here)
    assert found["P7"]["detail"] == "internal error: ZeroDivisionError"
    assert found["P9"]["detail"].startswith("with the token of ")


@pytest.mark.parametrize("second", [True, False], ids=["second geo", "central"])
def test_users_are_asked_about_in_their_own_geo(world: MakeWorld, second: bool) -> None:
    """The stores of other geos are neither read for an answer nor written."""
    here = world(users=1, quirks=Quirks(second_geo=True))
    person(here).geo = "second" if second else ""
    here.call(person(here).id)
    here.tenant.tape.clear()
    found = probes(here)
    assert [found[id_]["answer"] for id_ in ("P1", "P2", "P3", "P4")] == ["yes", "yes", "no", "yes"]
    origins = {entry.origin for entry in here.writes()}
    assert origins == ({"mysite2"} if second else {"mysite", "admin"})


def test_a_foreign_my_site_host_is_not_asked(world: MakeWorld) -> None:
    """No token leaves the tenant because a profile names another place."""
    here = world(users=1)
    here.app(
        SHAREPOINT_MYSITE_URL="https://contoso-my.sharepoint.invalid",
        SHAREPOINT_ADMIN_URL=here.tenant.url("admin"),
    )
    here.clock.advance(1)
    found = probes(here)
    assert found["P1"]["answer"] in {NOT_TRIED, "unknown"}
    assert "not a My Site host of this tenant" in found["P2"]["detail"]
    assert here.writes() == []


def test_storage_that_fails_keeps_it_from_writing(world: MakeWorld, faults: BlobFaults) -> None:
    here = world(users=1)
    here.call(person(here).id)
    here.tenant.tape.clear()
    faults.add("status", times=10**6, status=403, code="AuthorizationPermissionMismatch")
    found = probes(here)
    assert "Storage Blob Data Owner" in found["P3"]["detail"]
    assert here.writes() == []
    assert found["P7"]["answer"] == "yes"


def test_a_file_that_somebody_changes_meanwhile_is_noticed(world: MakeWorld) -> None:
    """The report says what puts it right."""
    here = world(users=1)
    here.call(person(here).id)
    here.tenant.tape.clear()
    library = here.tenant.sharepoint.library["mysite"]

    def meddle() -> None:
        for path in list(here.tenant.sharepoint.files()):
            folder, _, name = path.rpartition("/")
            library.put(folder, name, b"another picture", overwrite=True)

    here.tenant.faults.add(Fault("call", operation="file.upload", when="after", action=meddle))
    found = probes(here)
    assert "force=true" in found["P3"]["detail"]


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_a_file_that_came_cut_is_not_written_back(world: MakeWorld, times: int | None) -> None:
    """A file that is shorter than SharePoint announced is not written back."""
    here = world(users=1)
    here.call(person(here).id)
    before = holds(here)
    fault = Fault("truncate_clean", operation="file.read", url="/$value", times=times)
    here.tenant.faults.add(fault)
    found = probes(here)
    assert fault.fired
    assert found["P3"]["answer"] == NOT_TRIED
    assert "not as long as SharePoint says" in found["P3"]["detail"]
    assert holds(here) == before


def test_a_user_without_profile_shows_whether_a_token_is_taken(world: MakeWorld) -> None:
    """That SharePoint has no profile is an answer, so it took the token."""
    here = world(users=1)
    person(here).has_profile = False
    every = [here.tenant.url(name) for name in ("graph", "mysite", "admin")]
    check = here.tenant.tokens.check
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(here.tenant.tokens, "check", lambda asked, _: check(asked, every))
        assert probes(here)["P9"]["answer"] == "yes"
    assert probes(here)["P9"]["answer"] == "no"
